//! A user's conversations and friends, kept up to date.

mod marks;
mod outbox;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_contract::v1::{
    ClearConversationHistoryRequest, ConversationSettings, HideConversationRequest, ListMessagesRequest,
    ListMessagesResponse, LiveEvent, MarkConversationDeliveredRequest, MarkConversationUnreadRequest, Message,
    SyncConversationsResponse, UpdateConversationSettingsRequest, list_messages_request::Position, live_event::Event,
};
use chat_contract::{FieldMask, Timestamp};
use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::book::{Asked, Book, History, Load, State, Wants};
use crate::client::{ChatClient, Retries};
use crate::error::CallError;
use crate::live::{LiveConnection, LiveError, LiveOptions, jittered};
use crate::timeline::{NAMED_MEMBERS_MAX, Timeline};

pub use outbox::SendError;

/// By how much longer, at most, a client waits for a missing live event in a large group, whose members hear of all in no order.
const LARGE_GROUP_GAP_FACTOR: f64 = 10.0;

/// How long a client waits for a missing live event before it syncs, when the options do not say. In a conversation of more than
/// 100 members it waits up to ten times as long: so many clients miss the same one, as theirs come in no order, and are not to
/// sync at once.
pub const GAP_WAIT_DEFAULT: Duration = Duration::from_millis(300);
/// How often a client syncs while it has no live connection, when the options do not say.
pub const POLL_INTERVAL_DEFAULT: Duration = Duration::from_secs(30);

/// How long the push of one's own message may take to come back, when the options do not say.
pub const PUSH_WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// How far apart two read marks of one conversation are, when the options do not say.
pub const MARK_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);

/// How often the wait for a gap is doubled, at most.
const GAP_DOUBLINGS_MAX: u32 = 7;
/// Calls of one sync, at most; what is left follows after a pause.
const CALLS_MAX: usize = 1_000;
const CALLS_PAUSE: Duration = Duration::from_millis(100);
/// Conversations whose history is loaded at the same time, at most.
const LOADS_MAX: usize = 8;
/// Messages on a page of history.
const PAGE_SIZE: i32 = 100;
/// Pages that are loaded of one conversation, at most.
const PAGES_MAX: usize = 1_000;
/// How long before its end a live connection is replaced, at most.
const RENEWAL_MARGIN_MAX: Duration = Duration::from_mins(1);
/// How long a follower that stops waits for its last words to be said.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How a [`Follower`] follows.
#[derive(Clone, Copy, Debug)]
pub struct FollowOptions {
    /// How the live connection keeps itself alive. A sync follows each heartbeat, so this bounds how long anything can
    /// stay unnoticed; of more than 200 opened conversations, a heartbeat looks at 200 and all that moved.
    pub live: LiveOptions,
    /// How long to wait for a missing live event before syncing.
    pub gap_wait: Duration,
    /// How often to sync while there is no live connection; each time comes a random part of up to a fifth earlier.
    pub poll_interval: Duration,
    /// How long the push of a message that was [sent](Follower::send) may take to come back before the call is repeated.
    pub push_wait: Duration,
    /// How far apart two marks of one conversation are told to the service, at least.
    pub mark_interval: Duration,
    /// Which conversations to open by themselves, and how much history to load.
    pub history: History,
    /// How long to wait between attempts to connect, to sync, to load or to send; they never end.
    pub pauses: Retries,
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
            poll_interval: POLL_INTERVAL_DEFAULT,
            push_wait: PUSH_WAIT_DEFAULT,
            mark_interval: MARK_INTERVAL_DEFAULT,
            history: History::OnDemand,
            pauses,
        }
    }
}

/// Keeps a user's friends and conversations up to date until it is dropped or stopped: connects and reconnects, takes live
/// events, and syncs at start, on a gap, with every heartbeat, whenever the service says so, and on a timer while there is
/// no live connection.
///
/// It follows the client rules of the protocol: the socket opens and hello is answered *before* the first sync, so that
/// nothing falls between; only syncs and contiguous events move a cursor.
#[derive(Debug)]
pub struct Follower {
    engine: Arc<Engine>,
    running: JoinHandle<()>,
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

/// One line, not all of history: this is what a test that unwraps shows.
impl std::fmt::Debug for Late {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

#[derive(Debug)]
struct Engine {
    client: ChatClient,
    options: FollowOptions,
    book: Mutex<Book>,
    state: watch::Sender<State>,
    sync_wanted: Notify,
    stopped: CancellationToken,
    outbox: outbox::Outbox,
    marks: marks::Marks,
    /// Sends and marks that are under way.
    tasks: Mutex<JoinSet<()>>,
}

impl Follower {
    /// Starts to follow as the user whose tokens `client` has. It never gives up on its own.
    pub fn start(client: ChatClient, options: FollowOptions) -> Self {
        let engine = Arc::new(Engine {
            client,
            options,
            book: Mutex::new(Book::new(options.history)),
            state: watch::Sender::default(),
            sync_wanted: Notify::new(),
            stopped: CancellationToken::new(),
            outbox: outbox::Outbox::default(),
            marks: marks::Marks::default(),
            tasks: Mutex::default(),
        });
        engine.change(|_| ());
        let following = engine.clone();
        let running = tokio::spawn(async move { Following::new(&following).run().await });
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

    /// Opens a conversation: its newest page is loaded, and from then on its history is followed. Returns at once; wait
    /// until the conversation [is loaded](Timeline::is_loaded). One that the user is not known to be in is opened as soon
    /// as they are.
    pub fn open(&self, conversation_id: &str) {
        if self.engine.change(|book| book.open(conversation_id)) {
            self.sync();
        }
    }

    /// Closes a conversation: its history is forgotten; what a list shows of it is kept up to date by live events.
    pub fn close(&self, conversation_id: &str) {
        self.engine.change(|book| book.close(conversation_id));
    }

    /// Loads one more page of an opened conversation's older history.
    pub async fn load_older(&self, conversation_id: &str) -> Result<(), CallError> {
        let state = self.state();
        let oldest = state.conversation(conversation_id).and_then(Timeline::oldest_seq);
        let page = self.engine.page(conversation_id, oldest, 0).await?;
        self.engine
            .change(|book| book.take_older_page(conversation_id, oldest, page));
        Ok(())
    }

    /// Says something, after all that was said in the conversation before, and answers it once it is durable. Goes on
    /// until it is, however long the service cannot be reached, also when the answer is not waited for; fails with what
    /// repeating cannot mend. A message whose push does not come back is repeated until it does, so that the others hear
    /// of it.
    ///
    /// The `client_message_id` is unique for ever in the conversation, such as a UUID; who repeats a message after a restart
    /// of the program keeps it.
    pub fn send(
        &self,
        conversation_id: &str,
        client_message_id: &str,
        text: &str,
        reply_to: Option<&str>,
    ) -> impl Future<Output = Result<Message, SendError>> + Send + 'static + use<> {
        outbox::send(&self.engine, conversation_id, client_message_id, text, reply_to)
    }

    /// Marks a conversation's messages as read, up to this seq or to the newest that was shown. The state counts so at
    /// once; the service is told at once, or a moment after it was told last (`mark_interval`).
    pub fn mark_read(&self, conversation_id: &str, seq: i64) {
        marks::mark_read(&self.engine, conversation_id, seq);
    }

    /// Changes what a conversation is to the user alone, from what is known of it here: of `settings`, what `paths` names
    /// (`muted_until`, `archived`, `pinned`). Who else has changed it meanwhile is not overruled: the call is refused as
    /// ABORTED, and what is so now is known after the next sync, which is asked for.
    pub async fn update_settings(
        &self,
        conversation_id: &str,
        settings: ConversationSettings,
        paths: &[&str],
    ) -> Result<(), CallError> {
        let request = UpdateConversationSettingsRequest {
            conversation_id: conversation_id.to_owned(),
            settings: Some(settings),
            update_mask: Some(FieldMask {
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            }),
            settings_revision: self.settings_revision(conversation_id),
        };
        let answer = self.synced_if_changed(self.engine.client.call(request).await)?;
        self.take_settings(conversation_id, answer.settings.as_ref(), answer.marked_unread);
        Ok(())
    }

    /// Flags a conversation as unread, for the user alone, until they read it.
    pub async fn mark_unread(&self, conversation_id: &str) -> Result<(), CallError> {
        let request = MarkConversationUnreadRequest {
            conversation_id: conversation_id.to_owned(),
            settings_revision: self.settings_revision(conversation_id),
        };
        let answer = self.synced_if_changed(self.engine.client.call(request).await)?;
        self.take_settings(conversation_id, answer.settings.as_ref(), answer.marked_unread);
        Ok(())
    }

    /// Says that messages have reached this device, up to this seq. What is read need not be said to be.
    pub async fn mark_delivered(&self, conversation_id: &str, delivered_seq: i64) -> Result<(), CallError> {
        let request = MarkConversationDeliveredRequest {
            conversation_id: conversation_id.to_owned(),
            delivered_seq,
        };
        self.engine.client.call(request).await?;
        Ok(())
    }

    /// Clears a conversation's history for the user alone, up to this seq.
    pub async fn clear_history(&self, conversation_id: &str, through_seq: i64) -> Result<(), CallError> {
        let request = ClearConversationHistoryRequest {
            conversation_id: conversation_id.to_owned(),
            through_seq,
        };
        let answer = self.engine.client.call(request).await?;
        self.engine.change(|book| book.take_cleared(conversation_id, &answer));
        self.sync();
        Ok(())
    }

    /// Hides a conversation from the user's lists until something newer is said than what is known here.
    pub async fn hide(&self, conversation_id: &str) -> Result<(), CallError> {
        let state = self.state();
        let newest = state.conversation(conversation_id).map(Timeline::newest_seq);
        let request = HideConversationRequest {
            conversation_id: conversation_id.to_owned(),
            through_seq: newest.unwrap_or_default(),
        };
        let answer = self.engine.client.call(request).await?;
        let flagged = state
            .conversation(conversation_id)
            .is_some_and(Timeline::is_marked_unread);
        self.take_settings(conversation_id, answer.settings.as_ref(), flagged);
        Ok(())
    }

    /// The revision of the settings that are known here.
    fn settings_revision(&self, conversation_id: &str) -> i64 {
        let state = self.state();
        state
            .conversation(conversation_id)
            .map_or(0, |timeline| timeline.settings().revision)
    }

    fn take_settings(&self, conversation_id: &str, settings: Option<&ConversationSettings>, marked_unread: bool) {
        if let Some(settings) = settings {
            self.engine
                .change(|book| book.take_settings(conversation_id, settings, marked_unread));
        }
    }

    /// Asks for a sync when a call was refused since something else has changed what it is about.
    fn synced_if_changed<T>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        answer.inspect_err(|error| {
            if error.code() == Code::Aborted {
                self.sync();
            }
        })
    }

    /// Closes the connection and stops following. What was marked as read is still told to the service; what was not sent
    /// yet is not sent any more. Answers what is known in the end.
    pub async fn stop(mut self) -> State {
        self.engine.stopped.cancel();
        let _ = (&mut self.running).await;
        let mut tasks = std::mem::take(&mut *lock(&self.engine.tasks));
        let _ = tokio::time::timeout(STOP_TIMEOUT, async { while tasks.join_next().await.is_some() {} }).await;
        self.state()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.engine.stopped.cancel();
        self.running.abort();
    }
}

/// Nothing that is done under one of this crate's locks can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Changes what is known, and tells of it.
    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = lock(&self.book);
        let mut changed = None;
        self.state.send_modify(|state| {
            // Nobody sees this one. What no reader has a copy of is now the book's alone, and need not be copied to change.
            *state = State::default();
            changed = Some(change(&mut book));
            *state = book.state();
        });
        changed.expect("send_modify calls once")
    }

    fn note(&self, error: &dyn std::error::Error) {
        let chain = std::iter::successors(Some(error), |error| error.source());
        let failure = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::debug!(failure, "following goes on after a pause");
        self.change(|book| book.take_failure(&failure));
    }

    /// Does something that outlives its caller.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// How long to wait for what is missing in a conversation.
    fn gap_wait(&self, conversation_id: &str) -> Duration {
        let state = lock(&self.book).state();
        let group = state.conversation(conversation_id).and_then(Timeline::group);
        let wait = self.options.gap_wait;
        if group.is_some_and(|group| group.member_count > NAMED_MEMBERS_MAX) {
            wait.mul_f64(rand::random_range(1.0..=LARGE_GROUP_GAP_FACTOR))
        } else {
            wait
        }
    }

    fn take_event(&self, event: LiveEvent) -> Wants {
        if let Some(Event::MessageSent(message)) = &event.event {
            self.outbox.hear(&event.conversation_id, message);
        }
        self.change(|book| book.take_event(event))
    }

    async fn connect(&self) -> Result<LiveConnection, LiveError> {
        // The service says so as well, but only to those who get a live connection.
        if lock(&self.book).state().user_id().is_empty()
            && let Some(subject) = self.client.subject().await
        {
            self.change(|book| book.take_user_id(&subject));
        }
        LiveConnection::open(&self.client, self.options.live).await
    }

    /// Loads history, however long it takes.
    async fn load(&self, load: Load) -> (Load, Option<Vec<ListMessagesResponse>>) {
        let mut failed = 0;
        loop {
            match self.history(&load).await {
                Ok(pages) => return (load, Some(pages)),
                // Lost since the sync, which the next one will say as well.
                Err(error) if error.code() == Code::NotFound => return (load, None),
                Err(error) => {
                    self.note(&error);
                    failed += 1;
                    sleep(self.pause(failed, &error)).await;
                }
            }
        }
    }

    /// Pages of a conversation, newest first, as many as the options say. They are read as those that follow a restart: a
    /// page of an outdated server could lack what the cursor says is known.
    async fn history(&self, load: &Load) -> Result<Vec<ListMessagesResponse>, CallError> {
        let pages_max = match self.options.history {
            History::OnDemand | History::Newest => 1,
            History::All => PAGES_MAX,
        };
        let mut pages = Vec::new();
        let mut before = None;
        while pages.len() < pages_max {
            let page = self.page(&load.conversation_id, before, load.cursor.revision).await?;
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
    async fn page(
        &self,
        conversation_id: &str,
        before: Option<i64>,
        restart_revision: i64,
    ) -> Result<ListMessagesResponse, CallError> {
        let request = ListMessagesRequest {
            conversation_id: conversation_id.to_owned(),
            position: before.map(Position::BeforeSeq),
            page_size: PAGE_SIZE,
            restart_revision,
        };
        self.client.call(request).await
    }

    /// How long to wait after so many failures, no less than the service says.
    fn pause(&self, failed: u32, error: &CallError) -> Duration {
        let pause = self.options.pauses.jittered(failed);
        pause.max(error.retry_after().unwrap_or_default())
    }
}

/// A follower at work: what is under way, and what is to come when.
struct Following<'a> {
    engine: &'a Engine,
    connection: Option<LiveConnection>,
    connecting: Option<BoxFuture<'a, Result<LiveConnection, LiveError>>>,
    connect_at: Option<Instant>,
    renew_at: Option<Instant>,
    syncing: Option<BoxFuture<'a, (Asked, Result<SyncConversationsResponse, CallError>)>>,
    loading: FuturesUnordered<BoxFuture<'a, (Load, Option<Vec<ListMessagesResponse>>)>>,
    sync_at: Option<Instant>,
    gap_at: Option<Instant>,
    /// When to sync without a reason, as long as there is no live connection.
    poll_at: Instant,
    calls: usize,
    failed_connects: u32,
    failed_syncs: u32,
    gap_syncs: u32,
    advances_before: u64,
}

impl<'a> Following<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            connection: None,
            connecting: None,
            connect_at: Some(Instant::now()),
            renew_at: None,
            syncing: None,
            loading: FuturesUnordered::new(),
            sync_at: None,
            gap_at: None,
            poll_at: Instant::now() + jittered(engine.options.poll_interval),
            calls: 0,
            failed_connects: 0,
            failed_syncs: 0,
            gap_syncs: 0,
            advances_before: 0,
        }
    }

    async fn run(&mut self) {
        let engine = self.engine;
        loop {
            self.start_loads();
            let sync_due = self.sync_due();
            let never = Instant::now() + Duration::from_hours(24);
            tokio::select! {
                () = engine.stopped.cancelled() => break,
                () = engine.sync_wanted.notified() => self.sync_at = Some(Instant::now()),
                () = sleep_until(self.connect_at.unwrap_or(never)), if self.connect_at.is_some() => {
                    self.connect_at = None;
                    self.connecting = Some(engine.connect().boxed());
                }
                Some(opened) = OptionFuture::from(self.connecting.as_mut()) => self.connected(opened),
                () = sleep_until(self.renew_at.unwrap_or(never)), if self.renew_at.is_some() => self.renew(),
                Some(event) = OptionFuture::from(self.connection.as_mut().map(LiveConnection::next)) => match event {
                    Some(event) => self.heard(event),
                    None => self.disconnected().await,
                },
                Some((asked, answer)) = OptionFuture::from(self.syncing.as_mut()) => self.answered(&asked, answer),
                Some((load, pages)) = self.loading.next() => self.loaded(&load, pages),
                () = sleep_until(sync_due.unwrap_or(never)), if sync_due.is_some() => self.sync_if_needed(),
            }
        }
        self.syncing = None;
        engine.change(|book| book.take_live(false));
        if let Some(connection) = self.connection.take() {
            let end = connection.close().await;
            tracing::debug!(%end, "the last live connection is over");
        }
    }

    fn start_loads(&mut self) {
        let engine = self.engine;
        while self.loading.len() < LOADS_MAX
            && let Some(load) = lock(&engine.book).next_load()
        {
            self.loading.push(engine.load(load).boxed());
        }
    }

    fn loaded(&mut self, load: &Load, pages: Option<Vec<ListMessagesResponse>>) {
        let needs_sync = self.engine.change(|book| {
            book.take_history(load, pages);
            book.has_fresh()
        });
        if needs_sync {
            self.sync_at = earliest(self.sync_at, Some(Instant::now()));
        }
    }

    fn connected(&mut self, opened: Result<LiveConnection, LiveError>) {
        self.connecting = None;
        match opened {
            Ok(connection) => {
                let welcome = connection.welcome();
                self.renew_at = Some(Instant::now() + renewal(welcome.expires_at.as_ref()));
                self.engine.change(|book| {
                    book.take_user_id(&welcome.user_id);
                    book.take_live(true);
                });
                self.connection = Some(connection);
                self.sync_at = Some(Instant::now());
            }
            Err(error) => {
                self.engine.note(&error);
                // Who cannot listen asks.
                if self.engine.state.borrow().syncs() == 0 && self.failed_syncs == 0 {
                    self.sync_at = earliest(self.sync_at, Some(Instant::now()));
                }
                self.connect_later();
            }
        }
    }

    async fn disconnected(&mut self) {
        if let Some(connection) = self.connection.take() {
            let end = connection.close().await;
            tracing::debug!(%end, "a live connection is over");
        }
        self.not_live();
        self.connect_later();
    }

    /// Replaces a connection before the service ends it.
    fn renew(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::spawn(connection.close());
        }
        self.not_live();
        self.connect_at = Some(Instant::now());
    }

    fn not_live(&mut self) {
        self.renew_at = None;
        self.poll_at = Instant::now() + jittered(self.engine.options.poll_interval);
        self.engine.change(|book| book.take_live(false));
    }

    fn connect_later(&mut self) {
        self.failed_connects = self.failed_connects.saturating_add(1);
        self.connect_at = Some(Instant::now() + self.engine.options.pauses.jittered(self.failed_connects));
    }

    fn heard(&mut self, event: LiveEvent) {
        let conversation_id = event.conversation_id.clone();
        match self.engine.take_event(event) {
            Wants::Nothing => {}
            Wants::Sync => self.sync_at = Some(Instant::now()),
            Wants::GapSync => {
                let wait = self.engine.gap_wait(&conversation_id);
                self.gap_at = earliest(self.gap_at, Some(Instant::now() + wait));
            }
        }
    }

    /// When to sync next. A call that is under way was asked before whatever happens now: a wanted sync waits for its turn.
    fn sync_due(&self) -> Option<Instant> {
        if self.syncing.is_some() {
            return None;
        }
        let poll_at = self.connection.is_none().then_some(self.poll_at);
        earliest(earliest(self.sync_at, self.gap_at), poll_at)
    }

    fn sync_if_needed(&mut self) {
        let now = Instant::now();
        let is_polled = self.connection.is_none() && self.poll_at <= now;
        let is_wanted = is_polled || self.sync_at.is_some_and(|at| at <= now);
        self.gap_at = None;
        if !is_wanted && !lock(&self.engine.book).has_gap() {
            return;
        }
        self.sync_at = None;
        self.poll_at = now + jittered(self.engine.options.poll_interval);
        self.calls = 0;
        lock(&self.engine.book).begin_sync();
        self.call();
    }

    fn call(&mut self) {
        let engine = self.engine;
        let asked = lock(&engine.book).next_call(Instant::now());
        self.calls += 1;
        self.syncing = asked.map(|asked| {
            let calling = async move {
                let answer = engine.client.call(asked.request.clone()).await;
                (asked, answer)
            };
            calling.boxed()
        });
    }

    fn answered(&mut self, asked: &Asked, answer: Result<SyncConversationsResponse, CallError>) {
        self.syncing = None;
        let now = Instant::now();
        match answer {
            Ok(answer) => {
                let is_complete = self.engine.change(|book| book.take_answer(asked, &answer, now));
                if !is_complete && self.calls < CALLS_MAX {
                    self.call();
                    return;
                }
                self.failed_syncs = 0;
                if self.connection.is_some() {
                    self.failed_connects = 0;
                }
                self.synced(is_complete, now);
            }
            Err(error) => {
                self.engine.note(&error);
                self.failed_syncs = self.failed_syncs.saturating_add(1);
                self.sync_at = Some(now + self.engine.pause(self.failed_syncs, &error));
            }
        }
    }

    fn synced(&mut self, is_complete: bool, now: Instant) {
        let (waits, has_gap, advances) = {
            let book = lock(&self.engine.book);
            (book.wait_ends(), book.has_gap(), book.advances())
        };
        self.sync_at = earliest(self.sync_at, waits);
        if !is_complete {
            self.sync_at = earliest(self.sync_at, Some(now + CALLS_PAUSE));
        } else if has_gap {
            // Should a gap stay although syncs succeed, then ask less and less often.
            let is_stuck = advances == self.advances_before;
            self.gap_syncs = if is_stuck { self.gap_syncs + 1 } else { 1 };
            self.advances_before = advances;
            let doublings = self.gap_syncs.min(GAP_DOUBLINGS_MAX) - 1;
            let wait = self.engine.options.gap_wait * 2_u32.pow(doublings);
            self.gap_at = earliest(self.gap_at, Some(now + wait));
        }
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
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
