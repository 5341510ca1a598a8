//! What every change of a group does once Postgres has decided it: its entry goes to the timeline, the members are told, and
//! the caller is shown the group as it now is.

use chat_contract::v1::{
    Conversation, ConversationOpened, Group, GroupChanged, GroupRole, LiveEvent, MembershipEnded, Poke, live_event,
};
use chat_domain::{CONVERSATIONS_MAX, ConversationId, GROUP_MEMBERS_MAX, UserId};
use chat_operation::{Answer, Failure, Notice};
use chat_stores::mongo::Timeline;
use chat_stores::postgres::{self, ConversationRow, FeedPlace, GroupDone, Postgres};
use chat_stores::{GroupAction, GroupEntry, StoreError};

/// What a change has led to.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The group as the caller sees it; None when it is not there for them any more.
    conversation: Option<Conversation>,
    /// Who was asked for and could not be added.
    pub(crate) not_added: Vec<String>,
    notices: Vec<Notice>,
    /// To be sealed: its outbox is emptied then.
    seal: Option<ConversationId>,
}

impl Changed {
    /// The answer of a call whose caller stays a member.
    pub(crate) fn show<T>(
        mut self,
        response: impl FnOnce(Conversation, Vec<String>) -> T,
    ) -> Result<Answer<T>, Failure> {
        match self.conversation.take() {
            Some(conversation) => {
                let not_added = std::mem::take(&mut self.not_added);
                Ok(self.answer(response(conversation, not_added)))
            }
            // Removed by somebody else, right after this.
            None => Err(self
                .notices
                .into_iter()
                .fold(Failure::conversation_not_found(), Failure::notify)),
        }
    }

    /// The answer of a call that shows nothing.
    pub(crate) fn answer<T>(self, response: T) -> Answer<T> {
        Answer {
            notices: self.notices,
            seal: self.seal.into_iter().collect(),
            ..Answer::new(response)
        }
    }
}

/// Completes a change that Postgres has decided. One call of each store, side by side.
pub(crate) async fn complete(
    postgres: &Postgres,
    timeline: &Timeline,
    caller: &UserId,
    changed: postgres::GroupChanged,
) -> Result<Changed, Failure> {
    match changed {
        postgres::GroupChanged::Done(done) => Ok(announce(postgres, timeline, caller, *done).await?),
        postgres::GroupChanged::Repeated(conversation) => Ok(repeat(postgres, timeline, caller, conversation).await?),
        postgres::GroupChanged::NotFound => Err(Failure::conversation_not_found()),
        postgres::GroupChanged::NotPermitted => Err(Failure::not_permitted()),
        postgres::GroupChanged::Reused => Err(Failure::already_exists(
            "REQUEST_ID_REUSED",
            "you have used this request_id for something else; choose a new one",
        )),
        postgres::GroupChanged::NoMember => Err(Failure::not_found(
            "MEMBER_NOT_FOUND",
            "the user is not a member of this group",
        )),
        postgres::GroupChanged::Owner => Err(Failure::failed_precondition(
            "OWNER_CANNOT_LEAVE",
            "you own this group: make another member its owner first, or delete it",
        )),
        postgres::GroupChanged::Full => Err(Failure::resource_exhausted(
            "GROUP_FULL",
            format!("the group would have more than {GROUP_MEMBERS_MAX} members"),
        )
        .with_metadata("limit", GROUP_MEMBERS_MAX.to_string())),
        postgres::GroupChanged::TooManyConversations => Err(Failure::resource_exhausted(
            "CONVERSATION_LIMIT",
            format!("you have {CONVERSATIONS_MAX} conversations, the most that are allowed"),
        )
        .with_metadata("limit", CONVERSATIONS_MAX.to_string())),
    }
}

async fn announce(
    postgres: &Postgres,
    timeline: &Timeline,
    caller: &UserId,
    done: GroupDone,
) -> Result<Changed, StoreError> {
    // Who has left sees nothing; what the others are told is what any of them sees.
    let is_member = done.told.is_empty() || done.told.iter().any(|member| member == caller.as_str());
    let reader = done
        .told
        .first()
        .and_then(|member| member.parse().ok())
        .filter(|_| !is_member);
    let reader = reader.as_ref().unwrap_or(caller);
    let (row, ()) = tokio::try_join!(
        postgres.lookup_conversation(done.conversation, reader),
        timeline.fill(done.entry.as_slice(), &[]),
    )?;
    let row = row.map(|row| row.conversation);
    let notices = notices(&done, row.as_ref());
    Ok(Changed {
        conversation: row.filter(|_| is_member).map(chat_view::conversation),
        not_added: done.left_out,
        notices,
        seal: done.entry.map(|entry| entry.conversation),
    })
}

/// Completes what an earlier call may have left undone when it died: entries that have a place and are not in the timeline. The
/// members are told to look.
async fn repeat(
    postgres: &Postgres,
    timeline: &Timeline,
    caller: &UserId,
    conversation: ConversationId,
) -> Result<Changed, StoreError> {
    let pending = postgres.list_pending(conversation).await?;
    let (row, ()) = tokio::try_join!(
        postgres.lookup_conversation(conversation, caller),
        timeline.fill(&pending, &[]),
    )?;
    let row = row.map(|row| row.conversation);
    let poke = row.as_ref().map(|row| Notice {
        recipients: row
            .members
            .iter()
            .filter_map(|member| member.user_id.parse().ok())
            .collect(),
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            revision: row.revision,
            event: Some(live_event::Event::Poke(Poke {})),
            ..LiveEvent::default()
        },
        occurred_at: row.last_activity_at,
    });
    Ok(Changed {
        conversation: row.map(chat_view::conversation),
        not_added: Vec::new(),
        notices: poke.into_iter().collect(),
        seal: (!pending.is_empty()).then_some(conversation),
    })
}

/// What is told of a change: to those whose membership came or went, that; to the other members, the change.
fn notices(done: &GroupDone, row: Option<&ConversationRow>) -> Vec<Notice> {
    let conversation_id = done.conversation.to_string();
    let Some(occurred_at) = done.at else { return Vec::new() };
    let begins = done
        .entry
        .as_ref()
        .is_some_and(|entry| matches!(entry.action, GroupAction::Created | GroupAction::MembersAdded));
    let mut notices = Vec::new();
    if let (Some(entry), Some(row)) = (&done.entry, row) {
        let concerned = |user: &str| done.feeds.iter().any(|feed| feed.user == user);
        let others = done.told.iter().filter(|member| !concerned(member));
        let others: Vec<UserId> = others.filter_map(|member| member.parse().ok()).collect();
        if !others.is_empty() {
            notices.push(Notice {
                recipients: others,
                event: LiveEvent {
                    conversation_id: conversation_id.clone(),
                    revision: entry.revision,
                    previous_revision: entry.revision - 1,
                    event: Some(live_event::Event::GroupChanged(group_changed(entry, row))),
                    ..LiveEvent::default()
                },
                occurred_at,
            });
        }
    }
    notices.extend(done.feeds.iter().filter_map(|feed| {
        let event = match (begins, row) {
            (false, _) => live_event::Event::MembershipEnded(MembershipEnded {}),
            (true, Some(row)) => live_event::Event::ConversationOpened(ConversationOpened {
                conversation: Some(seen_by(feed, row, done.entry.as_ref())),
            }),
            (true, None) => live_event::Event::Poke(Poke {}),
        };
        Some(Notice {
            recipients: vec![feed.user.parse().ok()?],
            event: LiveEvent {
                conversation_id: conversation_id.clone(),
                event: Some(event),
                feed_revision: feed.revision,
                ..LiveEvent::default()
            },
            occurred_at,
        })
    }));
    notices
}

/// A change as the other members are told of it, with the members that it is about as they are now.
fn group_changed(entry: &GroupEntry, row: &ConversationRow) -> GroupChanged {
    let is_about = |user: &String| *user == entry.actor || entry.users.contains(user);
    let members = row.members.iter().filter(|member| is_about(&member.user_id));
    GroupChanged {
        change: Some(chat_view::group_change(entry.clone())),
        group: row.group.clone().map(|group| Group {
            role: GroupRole::Unspecified.into(),
            ..chat_view::group(group)
        }),
        members: members.cloned().map(chat_view::member).collect(),
    }
}

/// The group as a new member sees it, to whom nothing is unread.
fn seen_by(feed: &FeedPlace, row: &ConversationRow, entry: Option<&GroupEntry>) -> Conversation {
    let mut conversation = chat_view::conversation(row.clone());
    // What was said since, they count themselves.
    conversation.unread_count = 0;
    conversation.counted_seq = entry.map_or(row.counted_seq, |entry| entry.after_seq);
    let own = row.members.iter().find(|member| member.user_id == feed.user);
    if let (Some(group), Some(role)) = (&mut conversation.group, own.and_then(|own| own.role)) {
        group.role = chat_view::role(role).into();
    }
    conversation
}
