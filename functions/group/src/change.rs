//! What every change of a group does once Postgres has decided it: its entry goes to the timeline, the members are told, and
//! the caller is shown the group as it now is.

use std::collections::BTreeSet;

use chat_contract::v1::{
    Conversation, ConversationOpened, Group, GroupChanged, GroupRole, LiveEvent, MembershipEndReason, MembershipEnded,
    Poke, live_event,
};
use chat_domain::{Audience, CONVERSATIONS_MAX, ConversationId, GROUP_MEMBERS_MAX, NAMED_MEMBERS_MAX, UserId};
use chat_operation::{Answer, Failure, FromSettings, Notice};
use chat_sealing::{Filled, Sealer};
use chat_stores::mongo::Timeline;
use chat_stores::postgres::{self, ConversationRow, FeedPlace, GroupAudience, GroupDone, MemberRow, Postgres};
use chat_stores::{GroupAction, GroupEntry, StoreError};
use chrono::{DateTime, Utc};

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

/// A group as it is after a change.
struct Looked {
    row: ConversationRow,
    /// The members whom the change is about, where there are more than are named.
    about: Vec<MemberRow>,
}

impl Looked {
    fn member(&self, user: &str) -> Option<&MemberRow> {
        let mut known = self.row.members.iter().chain(&self.about);
        known.find(|member| member.user_id == user)
    }
}

/// How many entries of the outbox a repeated call writes, at most: a group has one, or those of a few calls that died.
const PENDING_MAX: i64 = 100;

/// What changes groups.
#[derive(Debug, FromSettings)]
pub(crate) struct Groups {
    pub(crate) postgres: Postgres,
    timeline: Timeline,
}

impl Groups {
    /// Completes a change that Postgres has decided, and that is about these users, whose memberships it begins or ends. One
    /// call of each store, side by side.
    pub(crate) async fn complete(
        &self,
        caller: &UserId,
        about: &[UserId],
        changed: postgres::GroupChanged,
    ) -> Result<Changed, Failure> {
        match changed {
            postgres::GroupChanged::Done(done) => Ok(self.announce(caller, *done).await?),
            postgres::GroupChanged::Repeated(conversation) => Ok(self.repeat(caller, about, conversation).await?),
            refused => Err(refusal(&refused)),
        }
    }

    /// Seals groups, as whoever changed one does after the answer: that empties its outbox.
    pub(crate) async fn seal(&self, groups: &[ConversationId]) {
        self.sealer().seal_all(groups).await;
    }

    fn sealer(&self) -> Sealer<'_> {
        Sealer::new(&self.postgres, &self.timeline)
    }

    async fn announce(&self, caller: &UserId, done: GroupDone) -> Result<Changed, StoreError> {
        if done.is_deletion {
            return Ok(Changed {
                conversation: None,
                not_added: Vec::new(),
                notices: told(&Listeners::of(&done, None), done.conversation, done.at),
                seal: None,
            });
        }
        let has_left = !begins(&done) && done.feeds.iter().any(|feed| feed.user == caller.as_str());
        let sealer = self.sealer();
        let (looked, filled) = tokio::try_join!(
            self.look(caller, has_left, &done),
            sealer.fill(done.entry.as_slice(), &[]),
        )?;
        let (looked, moved_to) = match filled {
            Filled::InPlace => (looked, None),
            Filled::Moved => {
                let (looked, audience) = tokio::try_join!(
                    self.look(caller, has_left, &done),
                    self.postgres.lookup_audience(done.conversation, caller, &[]),
                )?;
                (looked, audience.map(|audience| audience.revision))
            }
        };
        let notices = match (&looked, moved_to) {
            (Some(looked), None) => notices(&done, looked),
            // What it looks like now, nobody here may see, or it stands elsewhere: they look for themselves.
            _ => told(&Listeners::of(&done, moved_to), done.conversation, done.at),
        };
        Ok(Changed {
            conversation: looked
                .filter(|_| !has_left)
                .map(|looked| chat_view::conversation(looked.row)),
            not_added: done.left_out,
            notices,
            seal: done.entry.map(|entry| entry.conversation),
        })
    }

    /// Reads the group as it is after a change. Who has left sees nothing; what the others are told is what any of them sees. Of
    /// a group with more members than are named, those whom the change is about are read as well.
    async fn look(&self, caller: &UserId, has_left: bool, done: &GroupDone) -> Result<Option<Looked>, StoreError> {
        let (postgres, conversation) = (&self.postgres, done.conversation);
        let other = match &done.told {
            _ if !has_left => None,
            Audience::Users(members) => members.first().cloned(),
            Audience::Members | Audience::Remaining => postgres.lookup_any_member(conversation).await?,
        };
        let row = postgres
            .lookup_conversation(conversation, other.as_ref().unwrap_or(caller))
            .await?;
        let Some(row) = row.map(|row| row.conversation) else {
            return Ok(None);
        };
        // The group may have grown since.
        let are_many = row
            .group
            .as_ref()
            .is_some_and(|group| usize::try_from(group.member_count).is_ok_and(|count| count > NAMED_MEMBERS_MAX));
        let about = match &done.entry {
            Some(entry) if are_many => {
                let about: Vec<&str> = entry.users.iter().chain([&entry.actor]).map(String::as_str).collect();
                postgres.list_members_among(conversation, &about).await?
            }
            _ => Vec::new(),
        };
        Ok(Some(Looked { row, about }))
    }

    /// Completes what an earlier call may have left undone when it died: entries that have a place and are not in the timeline.
    /// Whoever the call was about and all members are told again, those who are in the group to look.
    async fn repeat(
        &self,
        caller: &UserId,
        about: &[UserId],
        conversation: ConversationId,
    ) -> Result<Changed, StoreError> {
        let postgres = &self.postgres;
        let pending = postgres.list_pending(conversation, i64::MAX, PENDING_MAX).await?;
        self.sealer().fill(&pending, &[]).await?;
        // As it is once all is in its place.
        let (row, audience) = tokio::try_join!(
            postgres.lookup_conversation(conversation, caller),
            postgres.lookup_audience(conversation, caller, about),
        )?;
        let is_member = |user: &&UserId| {
            let mut came = audience.iter().flat_map(|audience| &audience.came);
            came.any(|place| place.user == user.as_str())
        };
        let not_added: Vec<String> = about
            .iter()
            .filter(|user| !is_member(user))
            .map(ToString::to_string)
            .collect();
        let notices = audience.map(|mut audience| {
            // Neither who is no member, nor one of many, keeps others awake by repeating what all have been told.
            let are_told = pending.is_empty() && audience.members != Audience::Remaining;
            if are_told && (row.is_none() || audience.members == Audience::Members) {
                audience.members = Vec::new().into();
            }
            if are_told && row.is_none() {
                audience.came.clear();
            }
            told(&Listeners::again(&audience), conversation, Some(audience.at))
        });
        Ok(Changed {
            conversation: row.map(|row| chat_view::conversation(row.conversation)),
            not_added,
            notices: notices.unwrap_or_default(),
            seal: (!pending.is_empty()).then_some(conversation),
        })
    }
}

/// How a call is refused that Postgres did not do.
fn refusal(changed: &postgres::GroupChanged) -> Failure {
    match changed {
        // Neither is refused.
        postgres::GroupChanged::Done(_) | postgres::GroupChanged::Repeated(_) | postgres::GroupChanged::NotFound => {
            Failure::conversation_not_found()
        }
        postgres::GroupChanged::NotPermitted => Failure::not_permitted(),
        postgres::GroupChanged::Reused => Failure::already_exists(
            "REQUEST_ID_REUSED",
            "you have used this request_id for something else; choose a new one",
        ),
        postgres::GroupChanged::NoMember => {
            Failure::not_found("MEMBER_NOT_FOUND", "the user is not a member of this group")
        }
        postgres::GroupChanged::Owner => Failure::failed_precondition(
            "OWNER_CANNOT_LEAVE",
            "you own this group: make another member its owner first, or delete it",
        ),
        postgres::GroupChanged::Full => Failure::resource_exhausted(
            "GROUP_FULL",
            format!("the group would have more than {GROUP_MEMBERS_MAX} members"),
        )
        .with_metadata("limit", GROUP_MEMBERS_MAX.to_string()),
        postgres::GroupChanged::TooManyConversations => Failure::resource_exhausted(
            "CONVERSATION_LIMIT",
            format!("you have {CONVERSATIONS_MAX} conversations, the most that are allowed"),
        )
        .with_metadata("limit", CONVERSATIONS_MAX.to_string()),
    }
}

/// Who is told of a change without what it says.
struct Listeners<'a> {
    revision: i64,
    members: &'a Audience,
    came: &'a [FeedPlace],
    went: &'a [FeedPlace],
    /// Why those went, as far as that is known.
    reason: MembershipEndReason,
}

impl<'a> Listeners<'a> {
    /// Those of a change that has just been made, whose place is another one by now if it has moved.
    fn of(done: &'a GroupDone, moved_to: Option<i64>) -> Self {
        let (came, went): (&[FeedPlace], &[FeedPlace]) = if begins(done) {
            (&done.feeds, &[])
        } else {
            (&[], &done.feeds)
        };
        Self {
            revision: moved_to
                .or(done.entry.as_ref().map(|entry| entry.revision))
                .unwrap_or_default(),
            members: &done.told,
            came,
            went,
            reason: end_reason(done),
        }
    }

    fn again(audience: &'a GroupAudience) -> Self {
        Self {
            revision: audience.revision,
            members: &audience.members,
            came: &audience.came,
            went: &audience.went,
            reason: MembershipEndReason::Unspecified,
        }
    }
}

/// Whether memberships begin with a change, if any come or go.
fn begins(done: &GroupDone) -> bool {
    done.entry.as_ref().is_some_and(|entry| {
        matches!(
            entry.action,
            GroupAction::Created | GroupAction::MembersAdded | GroupAction::MemberJoined
        )
    })
}

/// Tells members to look, or those who remain of a deleted group that they are none any more; those who came to look at their
/// feed; and those who went that they did.
fn told(listeners: &Listeners<'_>, conversation: ConversationId, at: Option<DateTime<Utc>>) -> Vec<Notice> {
    let Some(occurred_at) = at else { return Vec::new() };
    let conversation_id = conversation.to_string();
    let (revision, event) = match listeners.members {
        Audience::Remaining => (0, ended(MembershipEndReason::GroupDeleted)),
        Audience::Users(_) | Audience::Members => (listeners.revision, live_event::Event::Poke(Poke {})),
    };
    let is_told = *listeners.members == Audience::Remaining || !listeners.members.is_empty() && revision > 0;
    let look = is_told.then(|| Notice {
        recipients: listeners.members.clone(),
        event: LiveEvent {
            conversation_id: conversation_id.clone(),
            revision,
            event: Some(event),
            ..LiveEvent::default()
        },
        occurred_at,
    });
    let feed = |event: live_event::Event| {
        let conversation_id = &conversation_id;
        move |place: &FeedPlace| told_by_feed(place, conversation_id, event.clone(), occurred_at)
    };
    let came = listeners.came.iter().filter_map(feed(live_event::Event::Poke(Poke {})));
    let went = listeners.went.iter();
    let went = went.filter_map(feed(ended(listeners.reason)));
    look.into_iter().chain(came).chain(went).collect()
}

fn ended(reason: MembershipEndReason) -> live_event::Event {
    live_event::Event::MembershipEnded(MembershipEnded { reason: reason.into() })
}

/// Why the memberships ended that a change has ended.
fn end_reason(done: &GroupDone) -> MembershipEndReason {
    match done.entry.as_ref().map(|entry| entry.action) {
        _ if done.is_deletion => MembershipEndReason::GroupDeleted,
        Some(GroupAction::MemberLeft) => MembershipEndReason::Left,
        Some(GroupAction::MemberRemoved) => MembershipEndReason::Removed,
        Some(_) | None => MembershipEndReason::Unspecified,
    }
}

fn told_by_feed(
    place: &FeedPlace,
    conversation_id: &str,
    event: live_event::Event,
    occurred_at: DateTime<Utc>,
) -> Option<Notice> {
    Some(Notice {
        recipients: vec![place.user.parse().ok()?].into(),
        event: LiveEvent {
            conversation_id: conversation_id.to_owned(),
            event: Some(event),
            feed_revision: place.revision,
            ..LiveEvent::default()
        },
        occurred_at,
    })
}

/// What is told of a change: to those whose membership came or went, that; to the other members, the change. The group is shown
/// as it is after the change, perhaps long after: to nobody who is no member by then.
fn notices(done: &GroupDone, looked: &Looked) -> Vec<Notice> {
    let conversation_id = done.conversation.to_string();
    let Some(occurred_at) = done.at else { return Vec::new() };
    let mut notices = Vec::new();
    if let Some(entry) = &done.entry {
        let is_about = |user: &str| done.feeds.iter().any(|feed| feed.user == user);
        // Who has come again since then sees nothing of before.
        let was_member = |user: &str| {
            let member = looked.member(user);
            member.is_some_and(|member| member.joined_revision < entry.revision)
        };
        let others = match &done.told {
            Audience::Users(users) => {
                let others = users
                    .iter()
                    .filter(|user| !is_about(user.as_str()) && was_member(user.as_str()));
                Audience::Users(others.cloned().collect())
            }
            // Who came by this change has joined at its revision, and who went is no member: neither is told.
            many => many.clone(),
        };
        if !others.is_empty() {
            notices.push(Notice {
                recipients: others,
                event: LiveEvent {
                    conversation_id: conversation_id.clone(),
                    revision: entry.revision,
                    previous_revision: entry.revision - 1,
                    event: Some(live_event::Event::GroupChanged(group_changed(entry, looked))),
                    ..LiveEvent::default()
                },
                occurred_at,
            });
        }
    }
    let begins = begins(done);
    notices.extend(done.feeds.iter().filter_map(|feed| {
        let event = if !begins {
            ended(end_reason(done))
        } else if looked.member(&feed.user).is_some() {
            live_event::Event::ConversationOpened(ConversationOpened {
                conversation: Some(seen_by(feed, looked, done.entry.as_ref())),
            })
        } else {
            live_event::Event::Poke(Poke {})
        };
        told_by_feed(feed, &conversation_id, event, occurred_at)
    }));
    notices
}

/// A change as the other members are told of it, with the members that it is about as they are now.
fn group_changed(entry: &GroupEntry, looked: &Looked) -> GroupChanged {
    let about: BTreeSet<&str> = entry.users.iter().chain([&entry.actor]).map(String::as_str).collect();
    let members = about.into_iter().filter_map(|user| looked.member(user));
    GroupChanged {
        change: Some(chat_view::group_change(entry.clone())),
        group: looked.row.group.clone().map(|group| Group {
            role: GroupRole::Unspecified.into(),
            ..chat_view::group(group)
        }),
        members: members.cloned().map(chat_view::member).collect(),
    }
}

/// The group as a new member sees it, to whom nothing is unread.
fn seen_by(feed: &FeedPlace, looked: &Looked, entry: Option<&GroupEntry>) -> Conversation {
    let mut conversation = chat_view::conversation(looked.row.clone());
    // What was said since, they count themselves.
    conversation.unread_count = 0;
    conversation.counted_seq = entry.map_or(looked.row.counted_seq, |entry| entry.after_seq);
    let own = looked.member(&feed.user);
    if let (Some(group), Some(role)) = (&mut conversation.group, own.and_then(|own| own.role)) {
        group.role = chat_view::role(role).into();
    }
    // Of a large group the first ones are shown, and who sees it: whoever made the change is not.
    conversation.members.truncate(NAMED_MEMBERS_MAX);
    if let Some(own) = own
        && conversation.members.iter().all(|member| member.user_id != own.user_id)
    {
        conversation.members.push(chat_view::member(own.clone()));
    }
    conversation
}
