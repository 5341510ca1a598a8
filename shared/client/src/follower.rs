//! A user's conversations, kept up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_contract::Timestamp;
use chat_contract::v1::{
    ConversationCursor, ListMessagesRequest, ListMessagesResponse, LiveEvent, SyncConversationsRequest,
    SyncConversationsResponse, list_messages_request::Position, live_event::Event,
};
use futures::future::{BoxFuture, FutureExt, OptionFuture};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::client::{ChatClient, Retries};
use crate::error::CallError;
use crate::live::{LiveConnection, LiveOptions};
use crate::timeline::{Step, Timeline};

/// How long a client waits for a missing live event before it syncs, when the options do not say.
pub const GAP_WAIT_DEFAULT: Duration = Duration::from_millis(300);

/// Conversations in one sync, at most; the service refuses more.
const CURSORS_MAX: usize = 200;
/// How often the wait for a gap is doubled, at most.
const GAP_DOUBLINGS_MAX: u32 = 7;
/// Rounds of one sync, at most; what is left follows after a pause.
const ROUNDS_MAX: usize = 100;
/// Requests of one round, at most: 200 conversations each.
const REQUESTS_MAX: usize = 500;
const ROUNDS_PAUSE: Duration = Duration::from_millis(100);
/// Messages on a page of history.
const PAGE_SIZE: i32 = 100;
/// Pages that are loaded of one conversation, at most.
const PAGES_MAX: usize = 1_000;
/// How long before its end a live connection is replaced, at most.
const RENEWAL_MARGIN_MAX: Duration = Duration::from_mins(1);

/// How a [`Follower`] follows.
#[derive(Clone, Copy, Debug)]
pub struct FollowOptions {
    /// How the live connection keeps itself alive. A sync follows each heartbeat, so this bounds how long anything can
    /// stay unnoticed.
    pub live: LiveOptions,
    /// How long to wait for a missing live event before syncing.
    pub gap_wait: Duration,
    /// How much history to load.
    pub history: History,
    /// How long to wait between attempts to connect or to sync; they never end.
    pub pauses: Retries,
}

/// How much history is loaded when a conversation is first seen, or starts over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum History {
    /// The newest page. Older ones on demand.
    Newest,
    /// All of it, up to 100,000 messages a conversation.
    All,
}

impl Default for FollowOptions {
    fn default() -> Self {
        let pauses = Retries {
            attempts_max: u32::MAX,
            pause: Duration::from_millis(500),
            pause_max: Duration::from_secs(30),
        };
        Self {
            live: LiveOptions::default(),
            gap_wait: GAP_WAIT_DEFAULT,
            history: History::Newest,
            pauses,
        }
    }
}

/// Keeps a user's conversations up to date until it is dropped or stopped: connects and reconnects, takes live events,
/// and syncs at start, on a gap, with every heartbeat and whenever the service says so.
///
/// It follows the client rules of the protocol: the socket opens and hello is answered *before* the first sync, so that
/// nothing falls between; only syncs and contiguous events move a cursor.
#[derive(Debug)]
pub struct Follower {
    engine: Arc<Engine>,
    running: JoinHandle<()>,
}

/// What a follower knows at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    user_id: String,
    is_live: bool,
    syncs: u64,
    failure: Option<String>,
    conversations: BTreeMap<String, Timeline>,
}

/// What was waited for did not come about in time.
#[derive(thiserror::Error)]
#[error("not within {} ms; by then: {state}", within.as_millis())]
pub struct Late {
    /// How long was waited.
    pub within: Duration,
    /// What the follower knew then.
    pub state: Box<State>,
}

#[derive(Debug)]
struct Engine {
    client: ChatClient,
    options: FollowOptions,
    state: watch::Sender<State>,
    sync_wanted: Notify,
    stopped: CancellationToken,
}

/// What has to follow an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wants {
    Nothing,
    /// A sync, unless the gap closes by itself.
    GapSync,
    /// A sync at once.
    Sync,
}

/// The conversations whose next change is still being written, and how long to wait for it.
type Waits = BTreeMap<String, Duration>;

impl State {
    /// Who follows; empty until the first connection stands.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Whether a live connection stands.
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

    /// A conversation, if the user is a member.
    pub fn conversation(&self, conversation_id: &str) -> Option<&Timeline> {
        self.conversations.get(conversation_id)
    }

    /// All conversations, by id.
    pub fn conversations(&self) -> impl ExactSizeIterator<Item = &Timeline> {
        self.conversations.values()
    }

    /// Whether a first sync is done and nothing is missing below anything that was heard of.
    pub fn is_whole(&self) -> bool {
        self.syncs > 0 && self.conversations().all(Timeline::is_whole)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = if self.is_live { "live" } else { "not live" };
        write!(formatter, "{:?} is {live}, {} syncs", self.user_id, self.syncs)?;
        if let Some(failure) = &self.failure {
            write!(formatter, ", last failure: {failure}")?;
        }
        for timeline in self.conversations() {
            let (cursor, head, shown) = (timeline.cursor().revision, timeline.head(), timeline.messages().count());
            write!(
                formatter,
                "; {} at {cursor} of {head} shows {shown}",
                timeline.conversation_id()
            )?;
        }
        Ok(())
    }
}

/// One line, not all of history: this is what a test that unwraps shows.
impl fmt::Debug for Late {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Follower {
    /// Starts to follow as the user whose tokens `client` has. It never gives up on its own.
    pub fn start(client: ChatClient, options: FollowOptions) -> Self {
        let engine = Arc::new(Engine {
            client,
            options,
            state: watch::Sender::default(),
            sync_wanted: Notify::new(),
            stopped: CancellationToken::new(),
        });
        let running = tokio::spawn(run(engine.clone()));
        Self { engine, running }
    }

    /// What it knows now.
    pub fn state(&self) -> State {
        self.engine.state.borrow().clone()
    }

    /// Tells of every change of what it knows; several may be seen as one.
    pub fn changes(&self) -> watch::Receiver<State> {
        self.engine.state.subscribe()
    }

    /// Waits until what it knows fulfils a condition.
    pub async fn wait_until(&self, within: Duration, condition: impl FnMut(&State) -> bool) -> Result<State, Late> {
        let mut changes = self.changes();
        if let Ok(Ok(state)) = tokio::time::timeout(within, changes.wait_for(condition)).await {
            return Ok(state.clone());
        }
        Err(Late {
            within,
            state: Box::new(self.state()),
        })
    }

    /// Asks for a sync now, such as when the user comes back to the app.
    pub fn sync(&self) {
        self.engine.sync_wanted.notify_one();
    }

    /// Loads one more page of a conversation's older history.
    pub async fn load_older(&self, conversation_id: &str) -> Result<(), CallError> {
        let oldest = self
            .state()
            .conversation(conversation_id)
            .and_then(Timeline::oldest_seq);
        let page = self.engine.page(conversation_id, oldest).await?;
        self.engine.state.send_modify(|state| {
            if let Some(timeline) = state.conversations.get_mut(conversation_id) {
                timeline.take_page(page);
            }
        });
        Ok(())
    }

    /// Closes the connection and stops following. Answers what is known in the end.
    pub async fn stop(mut self) -> State {
        self.engine.stopped.cancel();
        let _ = (&mut self.running).await;
        self.state()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Connects and follows, again and again, until stopped.
async fn run(engine: Arc<Engine>) {
    let mut failed = 0;
    while !engine.stopped.is_cancelled() {
        let opened = tokio::select! {
            opened = LiveConnection::open(&engine.client, engine.options.live) => opened,
            () = engine.stopped.cancelled() => return,
        };
        match opened {
            Ok(connection) => {
                engine.follow(connection, &mut failed).await;
                engine.state.send_modify(|state| state.is_live = false);
            }
            Err(error) => engine.note(&error),
        }
        failed += 1;
        tokio::select! {
            () = sleep(engine.options.pauses.jittered(failed)) => {}
            () = engine.stopped.cancelled() => {}
        }
    }
}

impl Engine {
    /// Follows over one connection until it ends or is to be replaced. `failed` counts failures since the last sync.
    async fn follow(&self, mut connection: LiveConnection, failed: &mut u32) {
        let renew_at = Instant::now() + renewal(connection.welcome().expires_at.as_ref());
        self.state.send_modify(|state| {
            state.user_id.clone_from(&connection.welcome().user_id);
            state.is_live = true;
        });
        let mut syncing: Option<BoxFuture<'_, Result<Waits, CallError>>> = None;
        let mut sync_at = Some(Instant::now());
        let mut gap_at: Option<Instant> = None;
        let (mut gap_syncs, mut cursors_before) = (0, 0);
        let mut waits = Waits::new();
        loop {
            // A sync that runs was asked before whatever happens now: a wanted one waits for its turn.
            let due = if syncing.is_some() {
                None
            } else {
                [sync_at, gap_at].into_iter().flatten().min()
            };
            tokio::select! {
                () = self.stopped.cancelled() => break,
                () = sleep_until(renew_at) => break,
                () = self.sync_wanted.notified() => sync_at = Some(Instant::now()),
                event = connection.next() => {
                    let Some(event) = event else { break };
                    match self.take_event(event) {
                        Wants::Nothing => {}
                        Wants::Sync => sync_at = Some(Instant::now()),
                        Wants::GapSync => gap_at = gap_at.or_else(|| Some(Instant::now() + self.options.gap_wait)),
                    }
                }
                Some(result) = OptionFuture::from(syncing.as_mut()) => {
                    syncing = None;
                    match result {
                        Ok(holes) => {
                            *failed = 0;
                            waits = holes;
                            let wait = waits.values().min().copied();
                            sync_at = earliest(sync_at, wait.map(|wait| Instant::now() + wait));
                            if self.has_gap(&waits) {
                                // Should a gap stay although syncs succeed, then ask less and less often.
                                let cursors = self.cursor_sum();
                                gap_syncs = if cursors == cursors_before { gap_syncs + 1 } else { 1 };
                                cursors_before = cursors;
                                let wait = self.options.gap_wait * 2_u32.pow(gap_syncs.min(GAP_DOUBLINGS_MAX) - 1);
                                gap_at = earliest(gap_at, Some(Instant::now() + wait));
                            }
                        }
                        Err(error) => {
                            self.note(&error);
                            *failed = failed.saturating_add(1);
                            sync_at = Some(Instant::now() + self.options.pauses.jittered(*failed));
                        }
                    }
                }
                () = sleep_until(due.unwrap_or(renew_at)), if due.is_some() => {
                    let is_wanted = sync_at.is_some_and(|at| at <= Instant::now());
                    gap_at = None;
                    if is_wanted || self.has_gap(&waits) {
                        sync_at = None;
                        syncing = Some(self.catch_up().boxed());
                    }
                }
            }
        }
        drop(syncing);
        self.state.send_modify(|state| state.is_live = false);
        let end = connection.close().await;
        tracing::debug!(%end, "a live connection is over");
    }

    fn note(&self, error: &dyn std::error::Error) {
        let chain = std::iter::successors(Some(error), |error| error.source());
        let failure = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::debug!(failure, "following goes on after a pause");
        self.state.send_modify(|state| state.failure = Some(failure));
    }

    /// Whether anything is missing, apart from what the service said to wait for.
    fn has_gap(&self, waits: &Waits) -> bool {
        let state = self.state.borrow();
        state
            .conversations
            .iter()
            .any(|(id, timeline)| !timeline.is_whole() && !waits.contains_key(id))
    }

    /// How much is known in all: the sum of all cursors.
    fn cursor_sum(&self) -> i64 {
        self.state
            .borrow()
            .conversations()
            .map(|timeline| timeline.cursor().revision)
            .sum()
    }

    /// Takes a live event: a hint.
    fn take_event(&self, event: LiveEvent) -> Wants {
        let LiveEvent {
            conversation_id,
            revision,
            previous_revision,
            event,
        } = event;
        let mut wants = Wants::Nothing;
        self.state.send_if_modified(|state| {
            let timeline = state.conversations.get_mut(&conversation_id);
            let step = match (event, timeline) {
                (Some(Event::MessageSent(message)), Some(timeline)) => {
                    Some(timeline.take_pushed_message(message, revision, previous_revision))
                }
                (Some(Event::ReadPositionMoved(moved)), Some(timeline)) => {
                    timeline.take_read_position(&moved);
                    return true;
                }
                (Some(Event::Poke(_)), Some(timeline)) if revision > 0 => {
                    wants = if timeline.take_poke(revision) == Step::Gap {
                        Wants::Sync
                    } else {
                        Wants::Nothing
                    };
                    return true;
                }
                (Some(Event::ConversationOpened(_)), Some(_))
                | (Some(Event::Welcome(_) | Event::FriendChanged(_)), _) => None,
                // What cannot be understood here can be by a sync; an error of this side's frames changes nothing.
                (Some(Event::Error(error)), _) => {
                    tracing::debug!(reason = error.reason, "the service refused a frame");
                    None
                }
                (Some(Event::Pong(_)) | None, _) | (_, None) | (Some(Event::Poke(_)), Some(_)) => {
                    wants = Wants::Sync;
                    None
                }
            };
            if step == Some(Step::Gap) {
                wants = Wants::GapSync;
            }
            step.is_some()
        });
        wants
    }

    /// Syncs until nothing more is to be had now. Answers what is still being written.
    async fn catch_up(&self) -> Result<Waits, CallError> {
        for _ in 0..ROUNDS_MAX {
            self.load_missing().await?;
            let mut waits = Waits::new();
            let mut has_more = false;
            let cursors: Vec<_> = self.state.borrow().conversations().map(Timeline::cursor).collect();
            // The first request is made in any case: it discovers conversations.
            let mut chunks = cursors.chunks(CURSORS_MAX);
            let mut asked = chunks.next().unwrap_or_default();
            let mut discover = true;
            let mut gained_page_token = String::new();
            for _ in 0..REQUESTS_MAX {
                let request = SyncConversationsRequest {
                    cursors: asked.to_vec(),
                    discover,
                    gained_page_token,
                };
                let answer = self.client.call(request).await?;
                let gains = self.gains(&answer);
                has_more |= self.take_sync(asked, &answer, &mut waits);
                // Of memberships that a request does not name, the newest activity comes first. A page without anything
                // new is followed by others like it: they are named by another request.
                gained_page_token = answer.next_gained_page_token;
                discover = gains && !gained_page_token.is_empty();
                if !discover {
                    gained_page_token.clear();
                }
                match chunks.next() {
                    Some(next) => asked = next,
                    None if discover => asked = &[],
                    None => break,
                }
            }
            if !has_more {
                self.state.send_modify(|state| {
                    state.syncs += 1;
                    state.failure = None;
                });
                return Ok(waits);
            }
        }
        Ok(Waits::from([(String::new(), ROUNDS_PAUSE)]))
    }

    /// Whether an answer brings conversations that are not known.
    fn gains(&self, answer: &SyncConversationsResponse) -> bool {
        let state = self.state.borrow();
        let is_new = |cursor: &ConversationCursor| !state.conversations.contains_key(&cursor.conversation_id);
        answer
            .gained
            .iter()
            .filter_map(|gained| gained.cursor.as_ref())
            .any(is_new)
    }

    /// Takes the answer to a sync. Answers whether to go on at once.
    fn take_sync(&self, asked: &[ConversationCursor], answer: &SyncConversationsResponse, waits: &mut Waits) -> bool {
        let mut has_more = false;
        self.state.send_modify(|state| {
            for sync in &answer.conversations {
                let Some(cursor) = &sync.cursor else { continue };
                let id = &cursor.conversation_id;
                let asked = asked.iter().find(|asked| asked.conversation_id == *id);
                if let (Some(asked), Some(timeline)) = (asked, state.conversations.get_mut(id)) {
                    timeline.take_sync(asked, sync);
                    has_more |= sync.reset;
                }
                match wait(sync.retry_after.as_ref()) {
                    Some(wait) if sync.incomplete => {
                        waits.insert(id.clone(), wait);
                    }
                    _ => has_more |= sync.incomplete,
                }
            }
            for lost in &answer.lost_conversation_ids {
                state.conversations.remove(lost);
            }
            for gained in &answer.gained {
                if let Some(timeline) = Timeline::gained(&state.user_id, gained)
                    && !state.conversations.contains_key(timeline.conversation_id())
                {
                    state
                        .conversations
                        .insert(timeline.conversation_id().to_owned(), timeline);
                    has_more = true;
                }
            }
        });
        has_more
    }

    /// Loads the history of conversations that are new or start over.
    async fn load_missing(&self) -> Result<(), CallError> {
        let missing: BTreeSet<String> = {
            let state = self.state.borrow();
            let missing = state.conversations().filter(|timeline| !timeline.is_loaded());
            missing.map(|timeline| timeline.conversation_id().to_owned()).collect()
        };
        for id in missing {
            let pages = match self.history(&id).await {
                Ok(pages) => pages,
                // Lost since the sync, which the next one will say as well.
                Err(error) if error.code() == Code::NotFound => {
                    self.state.send_modify(|state| drop(state.conversations.remove(&id)));
                    continue;
                }
                Err(error) => return Err(error),
            };
            // All at once, so that no one sees half a history.
            self.state.send_modify(|state| {
                if let Some(timeline) = state.conversations.get_mut(&id) {
                    for page in pages {
                        timeline.take_page(page);
                    }
                }
            });
        }
        Ok(())
    }

    /// Pages of a conversation, newest first, as many as the options say.
    async fn history(&self, conversation_id: &str) -> Result<Vec<ListMessagesResponse>, CallError> {
        let pages_max = match self.options.history {
            History::Newest => 1,
            History::All => PAGES_MAX,
        };
        let mut pages = Vec::new();
        let mut before = None;
        while pages.len() < pages_max {
            let page = self.page(conversation_id, before).await?;
            before = page.messages.first().map(|message| message.seq);
            let is_last = !page.has_more_before || before.is_none();
            pages.push(page);
            if is_last {
                break;
            }
        }
        Ok(pages)
    }

    /// The page of a conversation before a seq, or the newest.
    async fn page(&self, conversation_id: &str, before: Option<i64>) -> Result<ListMessagesResponse, CallError> {
        let request = ListMessagesRequest {
            conversation_id: conversation_id.to_owned(),
            position: before.map(Position::BeforeSeq),
            page_size: PAGE_SIZE,
        };
        self.client.call(request).await
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

/// How long the service says to wait; none for no or an impossible time.
fn wait(retry_after: Option<&chat_contract::Duration>) -> Option<Duration> {
    let retry_after = retry_after?;
    let (seconds, nanos) = (
        u64::try_from(retry_after.seconds).ok()?,
        u32::try_from(retry_after.nanos).ok()?,
    );
    Some(Duration::new(seconds, nanos)).filter(|wait| !wait.is_zero())
}

/// How long to use a connection that ends at `expires_at`. A connection that does not say is replaced after an hour.
fn renewal(expires_at: Option<&Timestamp>) -> Duration {
    const UNKNOWN: Duration = Duration::from_hours(1);
    let since_epoch = |time: &Timestamp| u64::try_from(time.seconds).map(Duration::from_secs).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = expires_at.map_or(UNKNOWN, |time| since_epoch(time).saturating_sub(now));
    // With a clock that is wrong by far, the service closes the connection first, or it is replaced often, not always.
    left.saturating_sub(RENEWAL_MARGIN_MAX.min(left / 4))
        .clamp(Duration::from_secs(1), UNKNOWN * 24)
}

#[cfg(test)]
mod tests;
