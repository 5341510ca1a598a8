//! Says something: Postgres hands out the message's place, MongoDB keeps it there.
//!
//! Normally that is one round trip each. Everything else in this file is about what happens when someone died, froze or
//! repeated in between: the timeline's unique indexes tell, and the loop below decides.

use chat_contract::v1::{LiveEvent, SendMessageRequest, SendMessageResponse, live_event};
use chat_domain::{Audience, ClientMessageId, ConversationId, MessageId, MessageText, UserId, Window, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Notice, Operation};
use chat_sealing::Sealer;
use chat_stores::StoreError;
use chat_stores::mongo::{Heads, Inserted, MessageEntry, PreviewEntry, ReplyEntry, Slot, Timeline};
use chat_stores::postgres::{Append, Appended, Outcome, Place, Postgres, ReadPosition, Refusal};

use crate::content_key::ContentKey;

/// How often a send looks for a place before it gives up: each further round means that another writer got in between.
const ROUNDS_MAX: usize = 4;

/// The RPC `SendMessage`.
#[derive(Debug, FromSettings)]
pub struct SendMessage {
    postgres: Postgres,
    timeline: Timeline,
    key: ContentKey,
}

impl Operation for SendMessage {
    type Request = SendMessageRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        let sender = &context.caller()?.user;
        let draft = self.parse(&request)?;
        let mut read = None;
        let sent = self.send(sender, &draft, &mut read).await;
        // How far they have read is the caller's own act, whatever became of the message.
        let read_notices = read.map(|read| chat_view::read_position_moved(draft.conversation, sender, &read));
        let read_notices = read_notices.into_iter().flatten();
        let sent = sent.map_err(|failure| read_notices.clone().fold(failure, Failure::notify))?;
        // A repeat delivers again: the first call may have died before it could.
        let notice = notice(&sent);
        let is_seal_due = !sent.deduplicated && chat_sealing::is_due(sent.message.revision);
        let quoted: Vec<PreviewEntry> = sent.quoted.into_iter().collect();
        let mut answer = Answer::new(SendMessageResponse {
            message: chat_view::messages(vec![sent.message], &quoted, sent.window).pop(),
            deduplicated: sent.deduplicated,
        });
        if is_seal_due {
            answer.seal.push(draft.conversation);
        }
        Ok(read_notices.fold(answer.notify(notice), Answer::notify))
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.sealer().seal_all(&conversations).await;
    }
}

/// What the caller wants to say.
#[derive(Debug)]
struct Draft {
    conversation: ConversationId,
    op: ClientMessageId,
    op_id_hash: [u8; 32],
    op_hash: [u8; 32],
    text: MessageText,
    reply_to: Option<MessageId>,
    retry: bool,
    read_seq: i64,
}

/// What was said.
#[derive(Debug)]
struct Sent {
    message: MessageEntry,
    deduplicated: bool,
    members: Audience,
    /// What it replies to, as it is now, if the sender may see it.
    quoted: Option<PreviewEntry>,
    window: Window,
}

/// What is replied to, and what the sender may see.
#[derive(Debug, Default)]
struct Target {
    quoted: Option<PreviewEntry>,
    window: Window,
}

impl SendMessage {
    fn sealer(&self) -> Sealer<'_> {
        Sealer::new(&self.postgres, &self.timeline)
    }

    fn parse(&self, request: &SendMessageRequest) -> Result<Draft, Failure> {
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let op = fields.take("client_message_id", request.client_message_id.parse());
        let text = fields.take("text", MessageText::parse(&request.text));
        let reply_to = match request.reply_to_message_id.as_str() {
            "" => Some(None),
            target => fields.take("reply_to_message_id", target.parse().map(Some)),
        };
        let read_seq = fields.take("read_seq", at_least(request.read_seq, 0));
        match (conversation, op, text, reply_to, read_seq) {
            (Some(conversation), Some(op), Some(text), Some(reply_to), Some(read_seq)) => Ok(Draft {
                conversation,
                op_id_hash: self.key.0.hash_operation(&op),
                op,
                op_hash: self.key.0.hash_content(&text, reply_to),
                text,
                reply_to,
                retry: request.retry,
                read_seq,
            }),
            _ => Err(fields.refuse()),
        }
    }

    /// Says it, or finds what was said. `read` is where the sender's read position stands, when others are to be told.
    async fn send(&self, sender: &UserId, draft: &Draft, read: &mut Option<ReadPosition>) -> Result<Sent, Failure> {
        if draft.retry
            && let Some(sent) = self.find(sender, draft, read).await?
        {
            return Ok(sent);
        }
        let target = match draft.reply_to {
            Some(message) => self.target(sender, draft.conversation, message).await?,
            None => Target::default(),
        };
        self.place(sender, draft, target, read).await
    }

    /// Looks for what an earlier call has sent. One call to each store, side by side, and no place is taken; a read position
    /// takes another of Postgres, a quote from elsewhere another of MongoDB.
    async fn find(
        &self,
        sender: &UserId,
        draft: &Draft,
        read: &mut Option<ReadPosition>,
    ) -> Result<Option<Sent>, Failure> {
        let (writer, first) = tokio::try_join!(
            self.postgres.charge_writer(draft.conversation, sender),
            self.lookup_first(sender, draft),
        )?;
        let writer = writer?.ok_or_else(Failure::conversation_not_found)?;
        let Some(first) = first else { return Ok(None) };
        let read_seq = draft.read_seq.min(first.seq - 1);
        if read_seq > 0 {
            let marked = self
                .postgres
                .repeat_read_position(draft.conversation, sender, read_seq)
                .await??;
            *read = marked.filter(|position| position.announce).or(read.take());
        }
        let elsewhere = chat_view::quoted_elsewhere(std::iter::once(&first));
        let target = Target {
            quoted: self.timeline.list_previews(&elsewhere).await?.pop(),
            window: writer.window,
        };
        self.repeated(draft, first, None, writer.members, target)
            .await
            .map(Some)
    }

    /// Reads the message to reply to. A caller who may not see the conversation learns nothing about its messages.
    async fn target(
        &self,
        sender: &UserId,
        conversation: ConversationId,
        target: MessageId,
    ) -> Result<Target, Failure> {
        let ids = [target];
        let (membership, found) = tokio::try_join!(
            self.postgres.lookup_membership(conversation, sender),
            self.timeline.list_previews(&ids),
        )?;
        let window = membership.ok_or_else(Failure::conversation_not_found)?.window;
        let is_there = |found: &PreviewEntry| found.conversation == conversation && window.shows(found.seq);
        let quoted = found.into_iter().find(is_there).ok_or_else(|| {
            Failure::not_found(
                "REPLY_TARGET_NOT_FOUND",
                "the conversation has no message to reply to with this id",
            )
        })?;
        Ok(Target {
            quoted: Some(quoted),
            window,
        })
    }

    /// Asks the sequencer for a place, and writes the message there.
    async fn place(
        &self,
        sender: &UserId,
        draft: &Draft,
        target: Target,
        read: &mut Option<ReadPosition>,
    ) -> Result<Sent, Failure> {
        let (mut after, mut floors) = (0, Heads::default());
        // A place that this call holds without having written it.
        let mut unwritten: Option<Place> = None;
        for _ in 0..ROUNDS_MAX {
            let append = Append {
                conversation: draft.conversation,
                actor: sender,
                op_id_hash: &draft.op_id_hash,
                content_hash: &draft.op_hash,
                is_message: true,
                after,
                floor_revision: floors.revision,
                floor_seq: floors.seq,
                read_seq: draft.read_seq,
            };
            let Appended { outcome, read: moved } = self.postgres.append(&append).await?;
            *read = moved.or(read.take());
            if let Some(unwritten) = unwritten.take()
                && !matches!(&outcome, Outcome::Placed(place) if place.revision == unwritten.revision)
            {
                self.give_up(draft.conversation, &unwritten).await?;
            }
            let place = match outcome {
                Outcome::Placed(place) => place,
                Outcome::NotFound => return Err(Failure::conversation_not_found()),
                Outcome::Limited(limited) => return Err(limited.into()),
                // The sequencer remembers what was last asked for, which may have been refused; the timeline, what was said.
                Outcome::Reused => return self.find(sender, draft, read).await?.ok_or_else(reused),
                Outcome::CannotSend { held, why } => return self.refused(sender, draft, held, why, target).await,
            };
            let message = MessageEntry {
                message: MessageId::at(draft.conversation, place.messages_after, place.allocated_at),
                conversation: draft.conversation,
                revision: place.revision,
                seq: place.messages_after,
                sender: sender.clone(),
                op: draft.op.clone(),
                op_hash: draft.op_hash,
                text: draft.text.as_str().to_owned(),
                reply_to: target.quoted.as_ref().map(|quoted| ReplyEntry {
                    message: quoted.message,
                    seq: quoted.seq,
                }),
                allocated_at: place.allocated_at,
                state_revision: place.revision,
            };
            if self.timeline.add(&message).await? == Inserted::Written {
                return Ok(Sent {
                    message,
                    deduplicated: false,
                    members: place.members,
                    quoted: target.quoted,
                    window: target.window,
                });
            }
            // Something of it is there already. By what stands there, not by which index said so:
            if let Some(first) = self.lookup_first(sender, draft).await? {
                let members = place.members.clone();
                return self.repeated(draft, first, Some(place), members, target).await;
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
                    self.timeline.close(&[(draft.conversation, place.revision)]).await?;
                    after = place.revision;
                }
            }
        }
        if let Some(unwritten) = unwritten {
            self.give_up(draft.conversation, &unwritten).await?;
        }
        Err(Failure::unavailable(
            "SEND_CONTENDED",
            "too many writers got in between; repeat with the same client_message_id",
        ))
    }

    /// Answers a send that is not allowed now. If it was allowed and done before, that is what it is answered; if it has a
    /// place from then and nothing is in it, the place is closed.
    async fn refused(
        &self,
        sender: &UserId,
        draft: &Draft,
        held: Option<Place>,
        why: Refusal,
        target: Target,
    ) -> Result<Sent, Failure> {
        let members = held
            .as_ref()
            .map_or(Audience::Users(Vec::new()), |held| held.members.clone());
        if let Some(first) = self.lookup_first(sender, draft).await? {
            return self.repeated(draft, first, held, members, target).await;
        }
        if let Some(held) = held {
            self.give_up(draft.conversation, &held).await?;
            // An earlier attempt that was still on its way may have been faster.
            if let Some(first) = self.lookup_first(sender, draft).await? {
                return self.repeated(draft, first, Some(held), members, target).await;
            }
        }
        Err(cannot_send(why))
    }

    /// Answers a send whose operation is in the timeline already. `place` is the one that this call was given.
    async fn repeated(
        &self,
        draft: &Draft,
        first: MessageEntry,
        place: Option<Place>,
        members: Audience,
        target: Target,
    ) -> Result<Sent, Failure> {
        if let Some(place) = place.as_ref().filter(|place| place.revision != first.revision) {
            // The sequencer had forgotten the operation and handed out a second place, which nobody else will fill.
            self.give_up(draft.conversation, place).await?;
        }
        if first.op_hash != draft.op_hash {
            return Err(reused());
        }
        Ok(Sent {
            message: first,
            deduplicated: true,
            members,
            quoted: target.quoted,
            window: target.window,
        })
    }

    /// Reads what this operation has sent, if it has.
    async fn lookup_first(&self, sender: &UserId, draft: &Draft) -> Result<Option<MessageEntry>, StoreError> {
        self.timeline
            .lookup_operation(draft.conversation, sender, &draft.op)
            .await
    }

    /// Closes a place that this call holds and will not use, and takes back what others could see of it.
    async fn give_up(&self, conversation: ConversationId, place: &Place) -> Result<(), StoreError> {
        self.timeline.close(&[(conversation, place.revision)]).await?;
        // Another call of the same operation has the same place, and may have been faster.
        let (revision, seq) = (place.revision, place.messages_after);
        if self.timeline.lookup_slot(conversation, revision, seq).await? == Slot::Void {
            self.sealer().uncount(conversation, seq).await?;
        }
        Ok(())
    }
}

fn cannot_send(why: Refusal) -> Failure {
    match why {
        Refusal::NotFriends => Failure::failed_precondition(
            "CANNOT_SEND",
            "you cannot send in this conversation now: the two of you are no longer friends; RequestFriend asks to be again",
        ),
        Refusal::NotPermitted => Failure::not_permitted(),
    }
}

fn reused() -> Failure {
    Failure::already_exists(
        "CLIENT_MESSAGE_ID_REUSED",
        "you have used this client_message_id for another message in this conversation; choose a new one",
    )
}

/// What a push of a message says: what it replies to is named there, and quoted by whoever reads it.
fn notice(sent: &Sent) -> Notice {
    let message = chat_view::message(sent.message.clone());
    Notice {
        recipients: sent.members.clone(),
        event: LiveEvent {
            conversation_id: message.conversation_id.clone(),
            revision: message.revision,
            previous_revision: message.revision - 1,
            event: Some(live_event::Event::MessageSent(message)),
            ..LiveEvent::default()
        },
        occurred_at: sent.message.allocated_at,
    }
}

#[cfg(test)]
mod tests;
