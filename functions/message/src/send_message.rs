//! Says something: Postgres hands out the message's place, MongoDB keeps it there.
//!
//! Normally that is one round trip each. Everything else in this file is about what happens when someone died, froze or
//! repeated in between: the timeline's unique indexes tell, and the loop below decides.

use chat_contract::v1::{LiveEvent, SendMessageRequest, SendMessageResponse, live_event};
use chat_domain::{ClientMessageId, ConversationId, MessageId, MessageText, UserId, content_hash, excerpt};
use chat_rpc::{Answer, CallContext, Failure, Fields, Notice, Operation, view};
use chat_stores::mongo::{Heads, Inserted, MessageEntry, ReplyEntry, Slot, Timeline};
use chat_stores::postgres::{Append, Appended, Place, Postgres};
use chat_stores::{Settings, SettingsError, StoreError};

/// How often a send looks for a place before it gives up: each further round means that another writer got in between.
const ROUNDS_MAX: usize = 4;

/// The RPC `SendMessage`.
#[derive(Debug)]
pub struct SendMessage {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for SendMessage {
    type Request = SendMessageRequest;

    const DELIVERS: bool = true;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
            timeline: Timeline::new(settings)?,
        })
    }

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        let sender = &context.caller()?.user;
        let draft = parse(&request)?;
        let reply_to = match draft.reply_to {
            Some(target) => Some(self.reply(sender, draft.conversation, target).await?),
            None => None,
        };
        let sent = self.send(sender, &draft, reply_to).await?;
        // A repeat delivers again: the first call may have died before it could.
        let notice = notice(&sent);
        Ok(Answer::new(SendMessageResponse {
            message: Some(view::message(sent.message)),
            deduplicated: sent.deduplicated,
        })
        .notify(notice))
    }
}

/// What the caller wants to say.
#[derive(Debug)]
struct Draft {
    conversation: ConversationId,
    op: ClientMessageId,
    op_hash: [u8; 32],
    text: MessageText,
    reply_to: Option<MessageId>,
}

/// What was said.
#[derive(Debug)]
struct Sent {
    message: MessageEntry,
    deduplicated: bool,
    members: Vec<String>,
}

fn parse(request: &SendMessageRequest) -> Result<Draft, Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let op = fields.take("client_message_id", request.client_message_id.parse());
    let text = fields.take("text", MessageText::parse(&request.text));
    let reply_to = match request.reply_to_message_id.as_str() {
        "" => Some(None),
        target => fields.take("reply_to_message_id", target.parse().map(Some)),
    };
    match (conversation, op, text, reply_to) {
        (Some(conversation), Some(op), Some(text), Some(reply_to)) => Ok(Draft {
            conversation,
            op,
            op_hash: content_hash(&text, reply_to),
            text,
            reply_to,
        }),
        _ => Err(fields.refuse()),
    }
}

impl SendMessage {
    /// Reads the message to reply to. A caller who may not see the conversation learns nothing about its messages.
    async fn reply(
        &self,
        sender: &UserId,
        conversation: ConversationId,
        target: MessageId,
    ) -> Result<ReplyEntry, Failure> {
        if let Some(message) = self.timeline.lookup_message(conversation, target).await? {
            return Ok(ReplyEntry {
                message: message.message,
                seq: message.seq,
                sender: message.sender,
                excerpt: excerpt(&message.text),
            });
        }
        self.postgres
            .lookup_membership(conversation, sender)
            .await?
            .ok_or_else(Failure::conversation_not_found)?;
        Err(Failure::not_found(
            "REPLY_TARGET_NOT_FOUND",
            "the conversation has no message to reply to with this id",
        ))
    }

    async fn send(&self, sender: &UserId, draft: &Draft, reply_to: Option<ReplyEntry>) -> Result<Sent, Failure> {
        let preview = excerpt(draft.text.as_str());
        let (mut after, mut floors) = (0, Heads::default());
        // A place that this call holds without having written it.
        let mut unwritten: Option<Place> = None;
        for _ in 0..ROUNDS_MAX {
            let append = Append {
                conversation: draft.conversation,
                actor: sender,
                op: &draft.op,
                excerpt: Some(&preview),
                after,
                floor_revision: floors.revision,
                floor_seq: floors.seq,
            };
            let appended = self.postgres.append(&append).await?;
            if let Some(unwritten) = unwritten.take()
                && !matches!(&appended, Appended::Placed(place) if place.revision == unwritten.revision)
            {
                self.close(draft.conversation, &unwritten).await?;
            }
            let place = match appended {
                Appended::Placed(place) => place,
                Appended::NotFound => return Err(Failure::conversation_not_found()),
                Appended::CannotSend { held } => return self.refused(sender, draft, held).await,
            };
            let message = MessageEntry {
                message: MessageId::generate(),
                conversation: draft.conversation,
                revision: place.revision,
                seq: place.messages_after,
                sender: sender.clone(),
                op: draft.op.clone(),
                op_hash: draft.op_hash,
                text: draft.text.as_str().to_owned(),
                reply_to: reply_to.clone(),
                allocated_at: place.allocated_at,
                state_revision: place.revision,
            };
            if self.timeline.add(&message).await? == Inserted::Written {
                return Ok(Sent {
                    message,
                    deduplicated: false,
                    members: place.members,
                });
            }
            // Something of it is there already. By what stands there, not by which index said so:
            if let Some(first) = self.lookup_first(sender, draft).await? {
                return self.repeated(draft, first, Some(place)).await;
            }
            match self
                .timeline
                .lookup_slot(draft.conversation, place.revision, place.messages_after)
                .await?
            {
                // Whoever stood in the way has been rolled back; the place is still ours.
                Slot::Free => unwritten = Some(place),
                // Someone took us for dead and closed the place.
                Slot::Void => after = place.revision,
                // The sequencer handed out what it had handed out before: it was restored or failed over to an old state.
                Slot::Foreign => {
                    floors = self.timeline.lookup_heads(draft.conversation).await?;
                    tracing::error!(
                        conversation_id = %draft.conversation,
                        revision = place.revision,
                        timeline_revision = floors.revision,
                        timeline_seq = floors.seq,
                        "the sequencer went back behind the timeline; lifting it"
                    );
                    self.close(draft.conversation, &place).await?;
                    after = place.revision;
                }
            }
        }
        if let Some(unwritten) = unwritten {
            self.close(draft.conversation, &unwritten).await?;
        }
        Err(Failure::unavailable(
            "SEND_CONTENDED",
            "too many writers got in between; repeat with the same client_message_id",
        ))
    }

    /// Answers a send that is not allowed now. If it was allowed and done before, that is what it is answered; if it has a
    /// place from then and nothing is in it, the place is closed.
    async fn refused(&self, sender: &UserId, draft: &Draft, held: Option<Place>) -> Result<Sent, Failure> {
        if let Some(first) = self.lookup_first(sender, draft).await? {
            return self.repeated(draft, first, held).await;
        }
        if let Some(held) = held {
            self.close(draft.conversation, &held).await?;
            // An earlier attempt that was still on its way may have been faster.
            if let Some(first) = self.lookup_first(sender, draft).await? {
                return self.repeated(draft, first, Some(held)).await;
            }
        }
        Err(cannot_send())
    }

    /// Answers a send whose operation is in the timeline already. `place` is the one that this call was given.
    async fn repeated(&self, draft: &Draft, first: MessageEntry, place: Option<Place>) -> Result<Sent, Failure> {
        if let Some(place) = place.as_ref().filter(|place| place.revision != first.revision) {
            // The sequencer had forgotten the operation and handed out a second place, which nobody else will fill.
            self.close(draft.conversation, place).await?;
        }
        if first.op_hash != draft.op_hash {
            return Err(Failure::already_exists(
                "CLIENT_MESSAGE_ID_REUSED",
                "you have used this client_message_id for another message in this conversation; choose a new one",
            ));
        }
        Ok(Sent {
            message: first,
            deduplicated: true,
            members: place.map(|place| place.members).unwrap_or_default(),
        })
    }

    /// Reads what this operation has sent, if it has.
    async fn lookup_first(&self, sender: &UserId, draft: &Draft) -> Result<Option<MessageEntry>, StoreError> {
        self.timeline
            .lookup_operation(draft.conversation, sender, &draft.op)
            .await
    }

    /// Closes a place that this call holds and will not use.
    async fn close(&self, conversation: ConversationId, place: &Place) -> Result<(), StoreError> {
        self.timeline.close(&[(conversation, place.revision)]).await
    }
}

fn cannot_send() -> Failure {
    Failure::failed_precondition("CANNOT_SEND", "you cannot send in this conversation now")
}

fn notice(sent: &Sent) -> Notice {
    let message = view::message(sent.message.clone());
    Notice {
        recipients: sent.members.iter().filter_map(|member| member.parse().ok()).collect(),
        event: LiveEvent {
            conversation_id: message.conversation_id.clone(),
            revision: message.revision,
            previous_revision: message.revision - 1,
            event: Some(live_event::Event::MessageSent(message)),
        },
        occurred_at: sent.message.allocated_at,
    }
}

#[cfg(test)]
mod tests;
