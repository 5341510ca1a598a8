//! Many talk at once while everything between them fails: at the end all show the same history, with nothing lost,
//! doubled or out of order, and on the way nobody was shown anything that later changed. Lists count and show what is stored,
//! who only pages misses nothing, and both sides of every friendship are the same.

use std::sync::Arc;
use std::time::Duration;

use bson::doc;
use chat_client::contract::v1::list_messages_request::Position;
use chat_client::contract::v1::{
    FriendRequestAnswer, GetConversationRequest, ListConversationsRequest, ListMessagesRequest,
    MarkConversationReadRequest, RemoveFriendRequest, RequestFriendRequest, RespondToFriendRequestRequest,
    SendMessageRequest,
};
use chat_client::{
    CallError, CallFailure, ChatClient, Code, FollowOptions, Follower, History, LiveOptions, Retries, State,
};
use chat_local::gateway::Gateway;
use chat_testing::{Direction, FaultProxy, HistoryChecker, Told};
use futures::TryStreamExt as _;
use futures::future::{join, join_all};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::{Faults, PATIENCE, Stack, client_of};

/// Names the seed of a run that is to be repeated. What fails then is the same; who runs first is not.
const SEED: &str = "CHAT_TEST_SEED";

const USERS: usize = 12;
const CONVERSATIONS: usize = 8;
/// In each conversation, half of them for each member, as if from devices of their own.
const SENDERS: usize = 4;
const MESSAGES: usize = 6;
/// In the one conversation in which all talk.
const CROWD_SENDERS: usize = 64;
const CROWD_MESSAGES: usize = 2;
/// Conversations that nobody follows, and what is said there.
const SILENT: usize = 3;
const SILENT_SENDERS: usize = 4;
const SILENT_MESSAGES: usize = 8;
/// Devices of each user that follow.
const DEVICES: usize = 2;
/// How often a call is repeated before the test gives up.
const ATTEMPTS_MAX: usize = 200;
/// How long callers wait: the most impatient often do not hear what became of their call.
const CALL_TIMEOUTS: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(20),
];
/// After so many, senders are left in peace, so that a slow machine gets there, too.
const MISFORTUNES_MAX: usize = 40;
/// How long a fault lasts, and the peace after it, at most.
const FAULT_MS: std::ops::Range<u64> = 20..300;
const PEACE_MAX: Duration = Duration::from_millis(300);

/// A conversation and its judge.
struct Talk {
    id: String,
    members: [String; 2],
    checker: HistoryChecker,
    senders: usize,
    messages: usize,
    /// Whether nobody follows it or reads a page of it, so that nothing but lists ever looks at it.
    is_silent: bool,
}

/// A device that follows and reports all that it shows.
struct Watcher {
    name: String,
    follower: Follower,
    reporting: JoinHandle<()>,
}

impl Watcher {
    fn start(client: ChatClient, user: &str, device: &str, talks: Arc<Vec<Talk>>) -> Self {
        let options = FollowOptions {
            live: LiveOptions {
                heartbeat: Duration::from_secs(1),
                pong_timeout: Duration::from_secs(2),
            },
            history: History::All,
            pauses: Retries {
                attempts_max: u32::MAX,
                pause: Duration::from_millis(20),
                pause_max: Duration::from_millis(500),
            },
            ..FollowOptions::default()
        };
        let follower = Follower::start(client, options);
        let mut changes = follower.changes();
        let name = format!("{user}'s {device}");
        let device = name.clone();
        let reporting = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let state = changes.borrow_and_update().clone();
                report(&device, &state, &talks);
            }
        });
        Self {
            name,
            follower,
            reporting,
        }
    }

    /// Waits until it shows its conversations up to here.
    async fn catch_up(&self, heads: &[(Arc<str>, i64)]) {
        self.follower.sync();
        let is_done = |state: &State| {
            state.is_whole()
                && heads.iter().all(|(id, head)| {
                    let timeline = state.conversation(id);
                    timeline.is_none_or(|timeline| timeline.cursor().revision >= *head)
                })
        };
        self.follower.wait_until(PATIENCE, is_done).await.unwrap();
    }
}

fn report(device: &str, state: &State, talks: &[Talk]) {
    for talk in talks {
        if let Some(timeline) = state.conversation(&talk.id) {
            talk.checker.observe(device, timeline);
        }
    }
}

/// One device that sends: each message until it is acknowledged.
struct Sender {
    talks: Arc<Vec<Talk>>,
    talk: usize,
    user: String,
    device: String,
    clients: Vec<ChatClient>,
    random: StdRng,
    calls: watch::Sender<usize>,
}

impl Sender {
    async fn run(mut self) {
        let messages = self.talks[self.talk].messages;
        for number in 0..messages {
            let id = format!("{}-{number}", self.device);
            let text = format!("{number} from {}", self.device);
            self.say(&id, &text).await;
        }
    }

    async fn say(&mut self, id: &str, text: &str) {
        for attempt in 0..ATTEMPTS_MAX {
            // Whoever has asked a few times in vain learns to wait, lest a slow machine be asked for ever.
            let patience = self.random.random_range(0..self.clients.len()).max(attempt / 2);
            let client = &self.clients[patience.min(self.clients.len() - 1)];
            // Now and then two calls at once, as of a client that lost patience.
            let twice = self.random.random_ratio(1, 8);
            // Most say that they repeat; the others cost a place that nobody must see.
            let retry = attempt > 0 && self.random.random_ratio(3, 4);
            let acknowledged = if twice {
                let (one, other) = join(
                    self.attempt(client, id, text, retry),
                    self.attempt(client, id, text, retry),
                )
                .await;
                one || other
            } else {
                self.attempt(client, id, text, retry).await
            };
            // Some never come back to hear what became of it.
            if acknowledged || self.random.random_ratio(1, 50) {
                return;
            }
        }
        panic!("{id} was not acknowledged in {ATTEMPTS_MAX} attempts");
    }

    async fn attempt(&self, client: &ChatClient, id: &str, text: &str, retry: bool) -> bool {
        let talk = &self.talks[self.talk];
        let request = SendMessageRequest {
            conversation_id: talk.id.clone(),
            client_message_id: id.to_owned(),
            text: text.to_owned(),
            retry,
            ..SendMessageRequest::default()
        };
        let attempt = talk.checker.begin(&self.user, id, text);
        let answer = client.call(request).await;
        talk.checker.end(attempt, Told::of(&answer));
        self.calls.send_modify(|calls| *calls += 1);
        match answer {
            Ok(_) => true,
            Err(error) => {
                assert!(is_misfortune(&error), "{error}");
                false
            }
        }
    }
}

/// Whether a call may fail like this because of what the test does to it. Anything else is a defect.
fn is_misfortune(error: &CallError) -> bool {
    let is_killed = matches!(error.failure(), CallFailure::Http { status, .. } if status.as_u16() == 500);
    is_killed || matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded)
}

/// Lets things go wrong, one after another, until all is said. Answers how many did.
async fn misfortunes(
    mut random: StdRng,
    gateway: &Gateway,
    faults: &Faults,
    mut calls: watch::Receiver<usize>,
    said: &CancellationToken,
) -> usize {
    for number in 0..MISFORTUNES_MAX {
        if said.is_cancelled() {
            return number;
        }
        let lasting = Duration::from_millis(random.random_range(FAULT_MS));
        let socket = faults.sockets.choose(&mut random).unwrap();
        let database = [&faults.databases.postgres, &faults.databases.mongo]
            .choose(&mut random)
            .copied()
            .unwrap();
        let direction = *[Direction::ToServer, Direction::ToClient].choose(&mut random).unwrap();
        match random.random_range(0..10) {
            0 | 1 => socket.cut_all(),
            2 => {
                socket.refuse();
                socket.cut_all();
                sleep(lasting).await;
                socket.accept();
            }
            3 => faults.api.cut_all(),
            4 | 5 => gateway.kill_environments(),
            6 => database.cut_all(),
            7 => {
                database.refuse();
                database.cut_all();
                sleep(lasting).await;
                database.accept();
            }
            8 => during(lasting, database, direction, FaultProxy::freeze, FaultProxy::thaw).await,
            _ => {
                database.delay(direction, lasting / 20);
                sleep(lasting).await;
                database.delay(direction, Duration::ZERO);
            }
        }
        // Peace lasts for some calls.
        let until = *calls.borrow_and_update() + random.random_range(4..40);
        let _ = timeout(PEACE_MAX, calls.wait_for(|calls| *calls >= until)).await;
    }
    MISFORTUNES_MAX
}

async fn during(
    lasting: Duration,
    proxy: &FaultProxy,
    direction: Direction,
    begin: impl Fn(&FaultProxy, Direction),
    end: impl Fn(&FaultProxy, Direction),
) {
    begin(proxy, direction);
    sleep(lasting).await;
    end(proxy, direction);
}

/// Who talks with whom: pairs of users, none twice, and the crowd's two.
async fn talks(stack: &Stack, random: &mut StdRng) -> Vec<Talk> {
    let mut pairs: Vec<(usize, usize)> = (0..USERS)
        .flat_map(|low| (low + 1..USERS).map(move |high| (low, high)))
        .collect();
    pairs.shuffle(random);
    pairs.truncate(CONVERSATIONS);
    let named = pairs
        .iter()
        .map(|(low, high)| {
            (
                [format!("user-{low:02}"), format!("user-{high:02}")],
                SENDERS,
                MESSAGES,
                false,
            )
        })
        .chain([(
            ["alice".to_owned(), "bob".to_owned()],
            CROWD_SENDERS,
            CROWD_MESSAGES,
            false,
        )])
        .chain((0..SILENT).map(|number| {
            let members = [format!("silent-{number}-a"), format!("silent-{number}-b")];
            (members, SILENT_SENDERS, SILENT_MESSAGES, true)
        }));
    join_all(named.map(async |(members, senders, messages, is_silent)| Talk {
        id: stack.fixture.open_direct(&members[0], &members[1]).await.to_string(),
        members,
        checker: HistoryChecker::new(),
        senders,
        messages,
        is_silent,
    }))
    .await
}

/// A message as it is stored.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    seq: i64,
    sender: String,
    id: String,
}

/// All messages of a conversation, as they are stored by majority, by seq.
async fn stored(mongo: &mongodb::Database, talk: &Talk) -> Vec<Stored> {
    let id: uuid::Uuid = talk.id.parse().unwrap();
    let filter = doc! { "conversation_id": bson::Uuid::from_bytes(id.into_bytes()), "kind": "message" };
    let timeline = mongo.collection::<bson::Document>("timeline");
    let found = timeline
        .find(filter)
        .sort(doc! { "seq": 1 })
        .read_concern(mongodb::options::ReadConcern::majority())
        .await
        .unwrap();
    let read = |document: bson::Document| {
        let bson::Bson::Binary(id) = document.get("_id").unwrap() else {
            panic!("an id is a UUID");
        };
        Stored {
            seq: document.get_i64("seq").unwrap(),
            sender: document.get_str("sender").unwrap().to_owned(),
            id: uuid::Uuid::from_slice(&id.bytes).unwrap().to_string(),
        }
    };
    found.map_ok(read).try_collect().await.unwrap()
}

/// What a user's list says of a conversation is what is stored: how many messages of the other they have not read (nobody
/// marks anything here), and which is the newest.
async fn judge_lists(stack: &Stack, mongo: &mongodb::Database, talk: &Talk) {
    for member in &talk.members {
        let judged = async {
            loop {
                let before = stored(mongo, talk).await;
                let request = ListConversationsRequest::default();
                let Ok(listed) = stack.client(member).call(request).await else {
                    continue;
                };
                // A write that was under way when its function was killed may still arrive.
                if stored(mongo, talk).await != before {
                    continue;
                }
                let listed = listed
                    .conversations
                    .into_iter()
                    .find(|one| one.conversation_id == talk.id)
                    .unwrap();
                let unread = before.iter().filter(|message| message.sender != *member).count();
                assert_eq!(
                    listed.unread_count,
                    i64::try_from(unread).unwrap(),
                    "{member} in {}",
                    talk.id
                );
                let newest = listed.last_message.map(|last| (last.seq, last.message_id));
                let expected = before.last().map(|message| (message.seq, message.id.clone()));
                assert_eq!(newest, expected, "{member} in {}", talk.id);
                return;
            }
        };
        timeout(PATIENCE, judged).await.unwrap();
    }
}

/// Who only ever asks for the page after the last message that they were shown.
async fn page_along(
    client: ChatClient,
    conversation_id: String,
    mut calls: watch::Receiver<usize>,
    done: CancellationToken,
) -> Vec<(i64, String)> {
    let mut shown: Vec<(i64, String)> = Vec::new();
    loop {
        let is_last = done.is_cancelled();
        let request = ListMessagesRequest {
            conversation_id: conversation_id.clone(),
            position: Some(Position::AfterSeq(shown.last().map_or(0, |(seq, _)| *seq))),
            ..ListMessagesRequest::default()
        };
        match client.call(request).await {
            Ok(page) => {
                let (count, more) = (page.messages.len(), page.has_more_after);
                shown.extend(
                    page.messages
                        .into_iter()
                        .map(|message| (message.seq, message.message_id)),
                );
                if is_last && count == 0 && !more {
                    return shown;
                }
                if count == 0 {
                    next(&mut calls, &done).await;
                }
            }
            Err(error) => assert!(is_misfortune(&error), "{error}"),
        }
    }
}

/// Waits until others have called as well, or all is said.
async fn next(calls: &mut watch::Receiver<usize>, done: &CancellationToken) {
    tokio::select! {
        _ = calls.changed() => {}
        () = done.cancelled() => {}
    }
}

/// Two who cannot decide whether they are friends.
async fn waver(
    clients: [ChatClient; 2],
    users: [String; 2],
    mut random: StdRng,
    mut calls: watch::Receiver<usize>,
    done: CancellationToken,
) {
    while !done.is_cancelled() {
        next(&mut calls, &done).await;
        let one = random.random_range(0..2);
        let other = users[1 - one].clone();
        let called = match random.random_range(0..4) {
            0 => clients[one].call(RequestFriendRequest { user_id: other }).await.err(),
            1 | 2 => {
                let answer = RespondToFriendRequestRequest {
                    user_id: other,
                    answer: FriendRequestAnswer::Accept.into(),
                };
                clients[one].call(answer).await.err()
            }
            _ => clients[one].call(RemoveFriendRequest { user_id: other }).await.err(),
        };
        if let Some(error) = called {
            let is_refused = matches!(
                error.code(),
                Code::NotFound | Code::ResourceExhausted | Code::FailedPrecondition
            );
            assert!(is_refused || is_misfortune(&error), "{error}");
        }
    }
}

/// Both sides of every friendship are the same, and every feed counts what its rows say.
async fn judge_friends(stack: &Stack) {
    let wrong: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM friends one LEFT JOIN friends other
                     ON other.user_id = one.other_id AND other.other_id = one.user_id
                 WHERE other.state IS DISTINCT FROM
                     CASE one.state WHEN 'sent' THEN 'received' WHEN 'received' THEN 'sent' ELSE one.state END)
              + (SELECT count(*) FROM feeds f
                 WHERE f.friend_count <> (SELECT count(*) FROM friends s
                           WHERE s.user_id = f.user_id AND s.state IN ('sent', 'accepted'))
                    OR f.request_count <> (SELECT count(*) FROM friends s
                           WHERE s.user_id = f.user_id AND s.state = 'received')
                    OR f.revision < (SELECT coalesce(max(s.feed_revision), 0) FROM friends s WHERE s.user_id = f.user_id))",
    )
    .fetch_one(&mut stack.fixture.connect_postgres().await)
    .await
    .unwrap();
    assert_eq!(wrong, 0);
}

async fn heads(stack: &Stack, talks: &[Talk]) -> Vec<(Arc<str>, i64)> {
    join_all(talks.iter().filter(|talk| !talk.is_silent).map(async |talk| {
        let request = GetConversationRequest {
            conversation_id: talk.id.clone(),
        };
        let answer = stack.client(&talk.members[0]).call(request).await.unwrap();
        (Arc::from(talk.id.as_str()), answer.conversation.unwrap().revision)
    }))
    .await
}

/// A client that tells of its first attempt, whatever comes of it.
fn once(stack: &Stack, user: &str) -> ChatClient {
    stack.client(user).with_retries(Retries::NONE)
}

#[expect(
    clippy::too_many_lines,
    reason = "one story, in its order: before, the storm, and what is judged after it"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_shows_the_same_history_whatever_fails() {
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    // Shown when the test fails.
    println!("{SEED}={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (stack, faults) = Stack::with_faults().await;
    let talks = Arc::new(talks(&stack, &mut random).await);

    // All devices are there before anything is said, so that they know of every change.
    let followed = talks.iter().filter(|talk| !talk.is_silent);
    let mut users: Vec<&String> = followed.flat_map(|talk| &talk.members).collect();
    users.sort();
    users.dedup();
    let watch = |user: &str, device: &str| Watcher::start(stack.client(user), user, device, talks.clone());
    let watchers: Vec<Watcher> = users
        .iter()
        .flat_map(|user| (0..DEVICES).map(|device| watch(user, &format!("device {device}"))))
        .collect();
    for watcher in &watchers {
        watcher.follower.wait_until(PATIENCE, State::is_whole).await.unwrap();
    }

    let impatient: Vec<ChatClient> = CALL_TIMEOUTS
        .iter()
        .map(|patience| {
            let builder = ChatClient::builder(format!("http://{}", faults.api.address())).timeout(*patience);
            builder.build().unwrap()
        })
        .collect();
    let calls = watch::Sender::new(0);
    let mut senders = JoinSet::new();
    for (index, talk) in talks.iter().enumerate() {
        for sender in 0..talk.senders {
            let user = &talk.members[sender % 2];
            let sender = Sender {
                talks: talks.clone(),
                talk: index,
                user: user.clone(),
                device: format!("{user}-{sender}"),
                clients: impatient.iter().map(|client| client_of(client, user)).collect(),
                random: StdRng::from_rng(&mut random),
                calls: calls.clone(),
            };
            senders.spawn(sender.run());
        }
    }
    let said = CancellationToken::new();
    // The crowd is paged along by one who never syncs.
    let crowd = talks.iter().find(|talk| talk.senders == CROWD_SENDERS).unwrap();
    let pager = tokio::spawn(page_along(
        once(&stack, "alice"),
        crowd.id.clone(),
        calls.subscribe(),
        said.clone(),
    ));
    let waverers = ["waverer-a", "waverer-b"].map(str::to_owned);
    let wavering = tokio::spawn(waver(
        waverers.clone().map(|user| once(&stack, &user)),
        waverers,
        StdRng::from_rng(&mut random),
        calls.subscribe(),
        said.clone(),
    ));
    let fate = misfortunes(random, &stack.gateway, &faults, calls.subscribe(), &said);
    let (misfortunes, ()) = join(fate, async {
        // A sender that panicked fails the test.
        while let Some(sender) = senders.join_next().await {
            sender.unwrap();
        }
        said.cancel();
    })
    .await;

    // Whatever still runs is no one's any more.
    stack.gateway.kill_environments();
    let mongo = mongodb::Client::with_uri_str(stack.fixture.settings().get("MONGODB_URI").unwrap());
    let mongo = mongo.await.unwrap().database(stack.fixture.name());
    // Before anything but a list looks at them, and again after lists, syncs and pages have mended what they met.
    let silent: Vec<&Talk> = talks.iter().filter(|talk| talk.is_silent).collect();
    for talk in &silent {
        judge_lists(&stack, &mongo, talk).await;
    }
    for talk in &silent {
        judge_lists(&stack, &mongo, talk).await;
    }
    wavering.await.unwrap();
    judge_friends(&stack).await;
    let mut reached = heads(&stack, &talks).await;
    let fresh: Vec<Watcher> = users.iter().map(|user| watch(user, "new device")).collect();
    let all: Vec<Watcher> = watchers.into_iter().chain(fresh).collect();
    loop {
        for watcher in &all {
            watcher.catch_up(&reached).await;
        }
        let now = heads(&stack, &talks).await;
        if now == reached {
            break;
        }
        reached = now;
    }
    for watcher in all {
        watcher.reporting.abort();
        let state = watcher.follower.state();
        report(&watcher.name, &state, &talks);
    }

    // Who only paged has seen every message that is stored.
    let by_pages = pager.await.unwrap();
    let crowds = stored(&mongo, crowd).await;
    let expected: Vec<(i64, String)> = crowds.into_iter().map(|message| (message.seq, message.id)).collect();
    assert_eq!(by_pages, expected);

    for talk in talks.iter() {
        judge_lists(&stack, &mongo, talk).await;
    }
    for talk in talks.iter().filter(|talk| !talk.is_silent) {
        let summary = talk
            .checker
            .check()
            .unwrap_or_else(|violation| panic!("{}: {violation}", talk.id));
        println!("{:?} {summary:?}", talk.members);
        let sent = talk.senders * talk.messages;
        assert_eq!((summary.clients, summary.refused), (2 * (DEVICES + 1), 0));
        assert_eq!(summary.acknowledged + summary.unknown, sent);
        assert!((summary.acknowledged..=sent).contains(&summary.messages));
        // Whoever has seen it all can read it all.
        for member in &talk.members {
            let request = MarkConversationReadRequest {
                conversation_id: talk.id.clone(),
                read_seq: i64::MAX,
            };
            assert_eq!(stack.client(member).call(request).await.unwrap().unread_count, 0);
        }
    }
    println!("{misfortunes} misfortunes in {} calls", *calls.borrow());
}
