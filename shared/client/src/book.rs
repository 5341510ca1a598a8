//! All that a follower knows of its user's friends and conversations, and the rules by which it learns and asks. No IO; time
//! comes as an argument.
//!
//! What it costs to take an event, or to look at the [`State`], does not grow with the number of conversations: a copy of
//! the state shares what did not change, and which conversations are to be asked for is kept, never searched for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chat_contract::v1::{
    ClearConversationHistoryResponse, Conversation, ConversationCursor, ConversationSettings, ConversationSync, Friend,
    FriendState, ListMessagesResponse, LiveEvent, MarkConversationReadResponse, Membership, MembershipState, Message,
    SyncConversationsRequest, SyncConversationsResponse, feed_change, live_event::Event,
};
use rpds::HashTrieMapSync;
use tokio::time::Instant;

use crate::feed::{Feed, Key, Moment};
use crate::timeline::{Phase, Place, Step, Timeline};

/// Conversations in one sync, at most; the service refuses more.
pub const CURSORS_MAX: usize = 200;
/// Branches of a node of the maps in a state. Each change copies the nodes on its way and counts their other branches as
/// shared once more: many mean fewer nodes, and more of those that are far from any cache.
const DEGREE: u8 = 8;
/// Conversations that a state's text names, at most.
const NAMED_MAX: usize = 20;

/// What a follower knows at one moment. Copies are cheap: they share what did not change in between.
#[derive(Clone, Debug)]
pub struct State {
    user_id: Arc<str>,
    is_live: bool,
    syncs: u64,
    failure: Option<Arc<str>>,
    friends: HashTrieMapSync<Arc<str>, Arc<Friend>>,
    conversations: HashTrieMapSync<Arc<str>, Arc<Timeline>>,
    /// Whether something of the user's own feed is missing.
    feed_is_behind: bool,
    /// How many opened conversations miss something.
    behind: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            user_id: Arc::from(""),
            is_live: false,
            syncs: 0,
            failure: None,
            friends: HashTrieMapSync::new_sync_with_degree(DEGREE),
            conversations: HashTrieMapSync::new_sync_with_degree(DEGREE),
            feed_is_behind: true,
            behind: 0,
        }
    }
}

impl State {
    /// Who follows; empty until a token or the first connection has told.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Whether a live connection stands. While there is none, changes are found by syncing on a timer.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// How many syncs were completed.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// What failed last, if nothing succeeded since.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Friends and open requests, in no particular order.
    pub fn friends(&self) -> impl ExactSizeIterator<Item = &Friend> {
        self.friends.values().map(|friend| &**friend)
    }

    /// How the user and another stand; nothing when they are strangers.
    pub fn friend(&self, user_id: &str) -> Option<&Friend> {
        self.friends.get(user_id).map(|friend| &**friend)
    }

    /// A conversation, if the user is a member.
    pub fn conversation(&self, conversation_id: &str) -> Option<&Timeline> {
        self.conversations.get(conversation_id).map(|timeline| &**timeline)
    }

    /// All conversations that the user is a member of, opened or not, in no particular order.
    pub fn conversations(&self) -> impl ExactSizeIterator<Item = &Timeline> {
        self.conversations.values().map(|timeline| &**timeline)
    }

    /// Whether a first sync is done, all friends and memberships are known, and nothing is missing in any opened
    /// conversation below anything that was heard of.
    pub fn is_whole(&self) -> bool {
        self.syncs > 0 && !self.feed_is_behind && self.behind == 0
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = if self.is_live { "live" } else { "not live" };
        write!(formatter, "{:?} is {live}, {} syncs", self.user_id, self.syncs)?;
        if let Some(failure) = &self.failure {
            write!(formatter, ", last failure: {failure}")?;
        }
        for timeline in self.conversations().take(NAMED_MAX) {
            let (id, head) = (timeline.conversation_id(), timeline.head());
            if timeline.phase() == Phase::Closed {
                write!(formatter, "; {id} of {head} is closed")?;
            } else {
                let (cursor, shown) = (timeline.cursor_revision(), timeline.messages().count());
                write!(formatter, "; {id} at {cursor} of {head} shows {shown}")?;
            }
        }
        match self.conversations.size().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(formatter, "; and {more} more"),
        }
    }
}

/// What has to follow an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wants {
    /// Nothing.
    Nothing,
    /// A sync, unless the gap closes by itself.
    GapSync,
    /// A sync at once.
    Sync,
}

/// A call of a sync, and when it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What to ask.
    pub request: SyncConversationsRequest,
    since: Moment,
}

/// History to be loaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Load {
    /// Of which conversation.
    pub conversation_id: Arc<str>,
    /// The cursor that a sync gave: what the newest page must show.
    pub cursor: ConversationCursor,
    since: Moment,
}

/// How much history is loaded of which conversations, at first and when one starts over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum History {
    /// The newest page of those that are [opened](Follower::open). Of all others, what a list shows.
    OnDemand,
    /// The newest page of all. Older ones on demand.
    Newest,
    /// All of all, up to 100,000 messages a conversation.
    All,
}

/// All that a follower knows, and what it has to ask next.
#[derive(Debug)]
pub struct Book {
    state: State,
    history: History,
    feed: Feed,
    plan: Plan,
    /// Conversations to open as soon as the feed names them.
    wanted: HashSet<Arc<str>>,
    /// How often a cursor moved.
    advances: u64,
}

/// Which conversations are to be asked for. Only opened ones are.
#[derive(Debug, Default)]
struct Plan {
    /// Those that moved, or want to start.
    due: BTreeSet<Arc<str>>,
    /// Those whose next change is still being written, and until when to wait for it.
    waiting: BTreeMap<Arc<str>, Instant>,
    /// Those whose history is to be loaded, first come first served, and those whose history is on its way.
    to_load: VecDeque<Arc<str>>,
    loading: HashSet<Arc<str>>,
    /// Loaded but not synced since, or to be asked for whatever is known of them.
    fresh: HashSet<Arc<str>>,
    /// All that can be continued, the one first that was not named for longest.
    turns: BTreeSet<(u64, Arc<str>)>,
    turn_of: HashMap<Arc<str>, u64>,
    /// Counts calls.
    turn: u64,
    sync: CurrentSync,
}

/// A sync: calls until nothing more is to be had now.
#[derive(Debug, Default)]
struct CurrentSync {
    first_turn: u64,
    calls: usize,
    named: HashSet<Arc<str>>,
    /// Named and answered: what still moves is for the next sync.
    settled: HashSet<Arc<str>>,
    feed_is_incomplete: bool,
}

impl Book {
    /// A book without a word in it.
    pub fn new(history: History) -> Self {
        let mut book = Self {
            state: State::default(),
            history,
            feed: Feed::default(),
            plan: Plan::default(),
            wanted: HashSet::new(),
            advances: 0,
        };
        book.weigh();
        book
    }

    /// What is known now.
    pub fn state(&self) -> State {
        self.state.clone()
    }

    /// How often a cursor moved: whether syncs get anywhere.
    pub(crate) fn advances(&self) -> u64 {
        self.advances
    }

    /// Says who follows.
    pub fn take_user_id(&mut self, user_id: &str) {
        if *self.state.user_id == *user_id {
            return;
        }
        self.state.user_id = user_id.into();
        // Once in the life of a follower.
        let ids: Vec<_> = self.state.conversations.keys().cloned().collect();
        for id in ids {
            if let Some(timeline) = self.state.conversations.get_mut(&*id) {
                Arc::make_mut(timeline).take_user_id(&self.state.user_id);
            }
        }
    }

    /// Says whether a live connection stands.
    pub fn take_live(&mut self, is_live: bool) {
        self.state.is_live = is_live;
    }

    /// Says what failed.
    pub fn take_failure(&mut self, failure: &str) {
        self.state.failure = Some(failure.into());
    }

    /// Whether anything is missing, apart from what the service said to wait for.
    pub fn has_gap(&self) -> bool {
        self.feed.is_behind() || !self.plan.due.is_empty()
    }

    /// When the first of the waits for what is still being written is over.
    pub fn wait_ends(&self) -> Option<Instant> {
        self.plan.waiting.values().min().copied()
    }

    /// Whether loaded conversations should be synced now: enough for a call, or all that there are.
    pub fn has_fresh(&self) -> bool {
        let fresh = self.plan.fresh.len();
        fresh >= CURSORS_MAX || (fresh > 0 && self.plan.loading.is_empty() && self.plan.to_load.is_empty())
    }

    /// Opens a conversation: its history is loaded and followed. Answers whether a sync has to follow.
    pub fn open(&mut self, conversation_id: &str) -> bool {
        match self.state.conversation(conversation_id).map(Timeline::phase) {
            Some(Phase::Closed) => {
                self.change(conversation_id, Timeline::open);
                true
            }
            Some(_) => false,
            None => self.wanted.insert(conversation_id.into()),
        }
    }

    /// Closes a conversation: its history is forgotten, and only its line of the list is kept up to date.
    pub fn close(&mut self, conversation_id: &str) {
        self.wanted.remove(conversation_id);
        self.change(conversation_id, Timeline::close);
    }

    /// Takes a live event: a hint.
    pub fn take_event(&mut self, event: LiveEvent) -> Wants {
        let LiveEvent {
            conversation_id: id,
            revision,
            previous_revision,
            event,
            feed_revision,
        } = event;
        let is_known = self.state.conversations.contains_key(&*id);
        let wants = match event {
            Some(Event::MessageSent(message)) if is_known => {
                let take = |it: &mut Timeline| {
                    let step = it.take_pushed_message(message, revision, previous_revision);
                    (step, it.is_loaded())
                };
                after_step(self.change(&id, take), Wants::GapSync)
            }
            Some(Event::ReadPositionMoved(moved)) if is_known => {
                self.change(&id, |timeline| timeline.take_read_position(&moved));
                Wants::Nothing
            }
            Some(Event::DeliveredPositionMoved(moved)) if is_known => {
                self.change(&id, |timeline| {
                    timeline.take_delivered_position(&moved.user_id, moved.delivered_seq);
                });
                Wants::Nothing
            }
            Some(Event::Poke(_)) if is_known && revision > 0 => {
                let take = |it: &mut Timeline| (it.take_poke(revision), it.is_loaded());
                after_step(self.change(&id, take), Wants::Sync)
            }
            Some(Event::ConversationSettingsChanged(changed)) if feed_revision > 0 && is_known => {
                let (is_news, step) = self
                    .feed
                    .hears(Key::Membership(id.as_str().into()), true, feed_revision);
                let take = |it: &mut Timeline| it.take_settings(changed.settings.as_ref(), changed.marked_unread);
                if is_news && self.change(&id, take) == Some(true) {
                    // Its cursor is to start over.
                    self.ask_for(&id);
                }
                match (self.feed_step(step), self.plan.fresh.contains(&*id)) {
                    (_, true) => Wants::Sync,
                    (wants, false) => wants,
                }
            }
            // Also settings of a conversation that was not heard of: its membership comes with a sync.
            Some(Event::Poke(_) | Event::ConversationSettingsChanged(_)) if feed_revision > 0 => {
                match self.feed.pokes(feed_revision) {
                    Step::Whole => Wants::Nothing,
                    Step::Gap => Wants::Sync,
                }
            }
            Some(Event::FriendChanged(changed)) if feed_revision > 0 && changed.friend.is_some() => {
                let friend = changed.friend.unwrap_or_default();
                let key = Key::Friend(friend.user_id.as_str().into());
                let is_there = friend.state() != FriendState::Unspecified;
                let (is_news, step) = self.feed.hears(key, is_there, feed_revision);
                if is_news {
                    self.put_friend(friend);
                }
                self.feed_step(step)
            }
            Some(Event::ConversationOpened(opened)) if feed_revision > 0 && opened.conversation.is_some() => {
                let conversation = opened.conversation.unwrap_or_default();
                let key = Key::Membership(conversation.conversation_id.as_str().into());
                let (is_news, step) = self.feed.hears(key, true, feed_revision);
                let is_opened = is_news && self.put_conversation(&conversation);
                if is_opened { Wants::Sync } else { self.feed_step(step) }
            }
            Some(Event::GroupChanged(changed)) if is_known && changed.change.is_some() => {
                let take = |it: &mut Timeline| (it.take_pushed_change(changed, previous_revision), it.is_loaded());
                after_step(self.change(&id, take), Wants::GapSync)
            }
            Some(Event::MembershipEnded(_)) if feed_revision > 0 => {
                let (is_news, step) = self
                    .feed
                    .hears(Key::Membership(id.as_str().into()), false, feed_revision);
                if is_news {
                    self.remove_conversation(&id);
                }
                self.feed_step(step)
            }
            // Who asks to join is listed by those who want to know, and no part of what is followed.
            Some(Event::Welcome(_) | Event::JoinRequested(_)) => Wants::Nothing,
            // An error of this side's frames changes nothing.
            Some(Event::Error(error)) => {
                tracing::debug!(reason = error.reason, "the service refused a frame");
                Wants::Nothing
            }
            // What cannot be understood here can be by a sync that names what it is about.
            _ => {
                self.change(&id, |timeline| timeline.take_poke(revision));
                self.ask_for(&id);
                Wants::Sync
            }
        };
        self.weigh();
        wants
    }

    /// Has a conversation named by the next sync, whether it is known to have moved or not.
    fn ask_for(&mut self, id: &str) {
        if self.state.conversation(id).is_some_and(Timeline::is_loaded) {
            self.plan.fresh.insert(id.into());
            self.change(id, |_| ());
        }
    }

    fn feed_step(&mut self, step: Step) -> Wants {
        match step {
            Step::Whole => {
                self.advances += 1;
                Wants::Nothing
            }
            Step::Gap => Wants::GapSync,
        }
    }

    /// Begins a sync: calls follow until there is none to make.
    pub fn begin_sync(&mut self) {
        self.plan.sync = CurrentSync {
            first_turn: self.plan.turn,
            ..CurrentSync::default()
        };
    }

    /// The next call of the sync: names what moved, and fills up with what was not named for longest. A first call is made
    /// in any case, further ones only for what moved.
    pub fn next_call(&mut self, now: Instant) -> Option<Asked> {
        if !self.has_calls(now) {
            return None;
        }
        let plan = &mut self.plan;
        plan.turn += 1;
        plan.sync.calls += 1;
        // Those that take many calls come after those that were not asked for yet.
        let due = || plan.due.iter().filter(|id| !plan.sync.settled.contains(*id));
        let unnamed = due().filter(|id| !plan.sync.named.contains(*id));
        let again = due().filter(|id| plan.sync.named.contains(*id));
        let mut names: Vec<Arc<str>> = unnamed.chain(again).take(CURSORS_MAX).cloned().collect();
        let first_turn = plan.sync.first_turn;
        let others = plan.turns.iter().take_while(|(turn, _)| *turn <= first_turn);
        let others = others.filter(|(_, id)| !plan.due.contains(id) && !plan.waiting.contains_key(id));
        let others: Vec<_> = others
            .take(CURSORS_MAX - names.len())
            .map(|(_, id)| id.clone())
            .collect();
        names.extend(others);
        let mut cursors = Vec::with_capacity(names.len());
        for id in names {
            let Some(timeline) = self.state.conversations.get(&*id) else {
                continue;
            };
            cursors.push(timeline.cursor());
            plan.sync.named.insert(id.clone());
            if let Some(turn) = plan.turn_of.get_mut(&id) {
                plan.turns.remove(&(*turn, id.clone()));
                *turn = plan.turn;
                plan.turns.insert((plan.turn, id));
            }
        }
        Some(Asked {
            request: SyncConversationsRequest {
                cursors,
                feed: Some(self.feed.cursor()),
            },
            since: self.feed.now(),
        })
    }

    fn has_calls(&mut self, now: Instant) -> bool {
        let plan = &mut self.plan;
        let over = plan.waiting.iter().filter(|(_, until)| **until <= now);
        let over: Vec<_> = over.map(|(id, _)| id.clone()).collect();
        for id in over {
            plan.waiting.remove(&id);
            plan.sync.settled.remove(&id);
            plan.due.insert(id);
        }
        let sync = &plan.sync;
        sync.calls == 0 || sync.feed_is_incomplete || plan.due.iter().any(|id| !sync.settled.contains(id))
    }

    /// Takes the answer to a call. Answers whether the sync is complete.
    pub fn take_answer(&mut self, asked: &Asked, answer: &SyncConversationsResponse, now: Instant) -> bool {
        for sync in &answer.conversations {
            let Some(id) = sync.cursor.as_ref().map(|cursor| cursor.conversation_id.as_str()) else {
                continue;
            };
            let mut named = asked.request.cursors.iter();
            if let Some(cursor) = named.find(|cursor| cursor.conversation_id == id) {
                self.take_conversation_sync(cursor, sync, now);
            }
        }
        if let Some(sync) = &answer.feed {
            let cursor = asked.request.feed.unwrap_or_default();
            if self.feed.begins(asked.since, &cursor, sync) {
                self.forget_former_life();
            }
            for change in &sync.changes {
                match &change.change {
                    Some(feed_change::Change::Friend(friend)) => self.list_friend(friend, change.revision),
                    Some(feed_change::Change::Membership(it)) => self.list_membership(it, change.revision),
                    // Of a later version of the service: stepped over.
                    None => {}
                }
            }
            for gone in self.feed.ends(sync) {
                match gone {
                    Key::Friend(id) => drop(self.state.friends.remove_mut(&*id)),
                    Key::Membership(id) => self.remove_conversation(&id),
                }
            }
            self.plan.sync.feed_is_incomplete = sync.incomplete;
            self.advances += u64::from(!sync.changes.is_empty());
        } else {
            self.plan.sync.feed_is_incomplete = false;
        }
        for id in &answer.lost_conversation_ids {
            if self.feed.loses(asked.since, &Key::Membership(id.as_str().into())) {
                self.remove_conversation(id);
            }
        }
        let is_complete = !self.has_calls(now);
        if is_complete {
            self.state.syncs += 1;
            self.state.failure = None;
        }
        self.weigh();
        is_complete
    }

    /// The databases went back to an earlier state: what was counted and numbered before cannot be compared with what comes.
    /// Opened conversations start over by themselves.
    fn forget_former_life(&mut self) {
        let ids: Vec<_> = self.state.conversations.keys().cloned().collect();
        for id in ids {
            self.change(&id, Timeline::forget_former_life);
        }
    }

    fn take_conversation_sync(&mut self, asked: &ConversationCursor, sync: &ConversationSync, now: Instant) {
        let id = asked.conversation_id.as_str();
        let Some(key) = self.state.conversations.get_key_value(id).map(|(key, _)| key.clone()) else {
            return;
        };
        // Answered from a cursor that pages have led to: what follows comes live, or is seen to be missing.
        self.plan.fresh.remove(id);
        self.change(id, |timeline| timeline.take_sync(asked, sync));
        let wait = sync.retry_after.as_ref().and_then(wait).filter(|_| sync.incomplete);
        match wait {
            Some(wait) if self.plan.due.remove(id) => {
                self.plan.waiting.insert(key, now + wait);
            }
            None if sync.incomplete => {}
            _ => drop(self.plan.sync.settled.insert(key)),
        }
    }

    fn list_friend(&mut self, friend: &Friend, revision: i64) {
        let is_there = friend.state() != FriendState::Unspecified;
        let key = Key::Friend(friend.user_id.as_str().into());
        if self.feed.takes(key, is_there, revision) {
            self.put_friend(friend.clone());
        }
    }

    fn list_membership(&mut self, membership: &Membership, revision: i64) {
        let Some(conversation) = &membership.conversation else {
            return;
        };
        let is_there = membership.state() == MembershipState::Active;
        let id = conversation.conversation_id.as_str();
        if !self.feed.takes(Key::Membership(id.into()), is_there, revision) {
            return;
        }
        if is_there {
            self.put_conversation(conversation);
        } else {
            self.remove_conversation(id);
        }
    }

    fn put_friend(&mut self, friend: Friend) {
        if friend.state() == FriendState::Unspecified {
            self.state.friends.remove_mut(friend.user_id.as_str());
        } else {
            let id = Arc::from(friend.user_id.as_str());
            self.state.friends.insert_mut(id, Arc::new(friend));
        }
    }

    /// Puts a membership. Answers whether its history is wanted from now on.
    fn put_conversation(&mut self, conversation: &Conversation) -> bool {
        let id = conversation.conversation_id.as_str();
        if self.state.conversations.contains_key(id) {
            if self.change(id, |timeline| timeline.take_conversation(conversation)) == Some(true) {
                self.ask_for(id);
            }
            return false;
        }
        let timeline = Timeline::new(&self.state.user_id, conversation);
        self.state.conversations.insert_mut(id.into(), Arc::new(timeline));
        let is_wanted = self.wanted.remove(id) || self.history != History::OnDemand;
        if is_wanted {
            self.change(id, Timeline::open);
        }
        is_wanted
    }

    fn remove_conversation(&mut self, id: &str) {
        // Closed first, so that it leaves the plan.
        self.change(id, Timeline::close);
        self.state.conversations.remove_mut(id);
    }

    /// The next history to load, if any.
    pub fn next_load(&mut self) -> Option<Load> {
        let mut next = None;
        while next.is_none()
            && let Some(conversation_id) = self.plan.to_load.pop_front()
        {
            let timeline = self.state.conversation(&conversation_id);
            // One whose outdated history is on its way stands here again once that has come.
            let timeline = timeline.filter(|it| it.phase() == Phase::Paging);
            if let Some(timeline) = timeline
                && self.plan.loading.insert(conversation_id.clone())
            {
                let cursor = ConversationCursor {
                    revision: timeline.known_from(),
                    ..timeline.cursor()
                };
                next = Some(Load {
                    conversation_id,
                    cursor,
                    since: self.feed.now(),
                });
            }
        }
        self.weigh();
        next
    }

    /// Takes the history that was loaded, newest page first; none if the conversation is not there any more.
    pub fn take_history(&mut self, load: &Load, pages: Option<Vec<ListMessagesResponse>>) {
        let id = &*load.conversation_id;
        self.plan.loading.remove(id);
        let is_asked = |it: &Timeline| {
            let cursor = it.cursor();
            let now = (cursor.joined_revision, cursor.epoch, it.known_from());
            let then = (load.cursor.joined_revision, load.cursor.epoch, load.cursor.revision);
            it.phase() == Phase::Paging && now == then
        };
        match (self.state.conversation(id), pages) {
            (Some(timeline), Some(pages)) if is_asked(timeline) => {
                self.plan.fresh.insert(load.conversation_id.clone());
                // All at once, so that no one sees half a history.
                self.change(id, |timeline| {
                    for page in pages {
                        timeline.take_page(page);
                    }
                });
            }
            (Some(timeline), None)
                if is_asked(timeline) && self.feed.loses(load.since, &Key::Membership(id.into())) =>
            {
                self.remove_conversation(id);
            }
            // Started over meanwhile, or gained again, and passed over while this was on its way.
            (Some(timeline), _) if timeline.phase() == Phase::Paging => {
                self.plan.to_load.push_back(load.conversation_id.clone());
            }
            _ => {}
        }
        self.weigh();
    }

    /// Takes a page of history that was asked for from below a seq. It is passed over when what is loaded begins elsewhere
    /// by now, as after starting over: between the two something would be missing for good.
    pub fn take_older_page(&mut self, conversation_id: &str, below: Option<i64>, page: ListMessagesResponse) {
        self.change(conversation_id, |timeline| {
            if timeline.is_loaded() && timeline.oldest_seq() == below {
                timeline.take_page(page);
            }
        });
    }

    /// Takes a message that the user has sent.
    pub(crate) fn take_sent(&mut self, message: &Message) {
        self.change(&message.conversation_id, |timeline| {
            timeline.take_sent_message(message.clone());
        });
    }

    /// Marks messages as read. Answers the seq to tell the service of.
    pub(crate) fn mark_read(&mut self, conversation_id: &str, seq: i64) -> Option<i64> {
        self.change(conversation_id, |timeline| timeline.mark_read(seq))
            .flatten()
    }

    /// Takes the answer to a mark.
    pub(crate) fn take_mark(&mut self, conversation_id: &str, answer: &MarkConversationReadResponse) {
        self.change(conversation_id, |timeline| {
            timeline.take_counts(answer.read_seq, answer.unread_count, answer.counted_seq);
            timeline.take_settings(answer.settings.as_ref(), false);
        });
    }

    /// Takes what a conversation is to the user alone, from the answer to a call.
    pub(crate) fn take_settings(
        &mut self,
        conversation_id: &str,
        settings: &ConversationSettings,
        marked_unread: bool,
    ) {
        self.change(conversation_id, |timeline| {
            timeline.take_settings(Some(settings), marked_unread);
        });
    }

    /// Takes what is left of a conversation to the user who has cleared it.
    pub(crate) fn take_cleared(&mut self, conversation_id: &str, answer: &ClearConversationHistoryResponse) {
        let take = |it: &mut Timeline| {
            let has_moved = it.take_settings(answer.settings.as_ref(), it.is_marked_unread());
            it.take_counts(it.read_seq(), answer.unread_count, answer.counted_seq);
            has_moved
        };
        if self.change(conversation_id, take) == Some(true) {
            self.ask_for(conversation_id);
        }
        self.weigh();
    }

    /// How far the user has marked a conversation as read here, unless the service is known to know.
    pub(crate) fn unsent_mark(&self, conversation_id: &str) -> Option<i64> {
        self.state.conversation(conversation_id)?.unsent_mark()
    }

    /// What to tell the service that was read, which it knows, to take off that the user has flagged the conversation as unread.
    pub(crate) fn flag_to_take_off(&self, conversation_id: &str) -> Option<i64> {
        let timeline = self.state.conversation(conversation_id)?;
        timeline.is_marked_unread().then(|| timeline.read_seq().max(1))
    }

    /// Changes a conversation, if it is there, and its place in the plan with it.
    fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut Timeline) -> T) -> Option<T> {
        let timeline = Arc::make_mut(self.state.conversations.get_mut(id)?);
        let cursor = timeline.cursor_revision();
        let changed = change(timeline);
        let place = self.plan.place(timeline);
        self.advances += u64::from(timeline.cursor_revision() != cursor);
        if place != timeline.place {
            timeline.place = place;
            self.plan.put(id.into(), place);
        }
        self.weigh();
        Some(changed)
    }

    /// Keeps the state's counts of what is missing.
    fn weigh(&mut self) {
        let plan = &self.plan;
        self.state.behind = plan.due.len() + plan.waiting.len() + plan.to_load.len() + plan.loading.len();
        self.state.feed_is_behind = self.feed.is_behind();
    }
}

impl Plan {
    fn place(&self, timeline: &Timeline) -> Place {
        match timeline.phase() {
            Phase::Closed => Place::Nowhere,
            Phase::Starting => Place::ToStart,
            Phase::Paging => Place::ToLoad,
            Phase::Loaded if timeline.is_whole() && !self.fresh.contains(timeline.conversation_id()) => Place::Whole,
            Phase::Loaded => Place::Moved,
        }
    }

    fn put(&mut self, id: Arc<str>, place: Place) {
        if place == Place::Nowhere {
            self.to_load.retain(|waiting| *waiting != id);
        }
        let is_due = matches!(place, Place::ToStart | Place::Moved);
        if !is_due {
            self.due.remove(&id);
            self.waiting.remove(&id);
        } else if !self.waiting.contains_key(&id) {
            self.due.insert(id.clone());
        }
        if matches!(place, Place::Whole | Place::Moved) {
            self.turn_of.entry(id).or_insert_with_key(|id| {
                self.turns.insert((0, id.clone()));
                0
            });
            return;
        }
        if let Some(turn) = self.turn_of.remove(&id) {
            self.turns.remove(&(turn, id.clone()));
        }
        self.fresh.remove(&id);
        if place == Place::ToLoad && !self.loading.contains(&id) {
            self.to_load.push_back(id);
        }
    }
}

/// What a step of a conversation calls for; one without history is loaded anyway.
fn after_step(step: Option<(Step, bool)>, wanted: Wants) -> Wants {
    if step == Some((Step::Gap, true)) {
        wanted
    } else {
        Wants::Nothing
    }
}

/// How long the service says to wait; none for no or an impossible time.
fn wait(retry_after: &chat_contract::Duration) -> Option<Duration> {
    let (seconds, nanos) = (
        u64::try_from(retry_after.seconds).ok()?,
        u32::try_from(retry_after.nanos).ok()?,
    );
    Some(Duration::new(seconds, nanos)).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests;
