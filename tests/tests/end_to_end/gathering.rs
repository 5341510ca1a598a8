//! Many talk at once while everything between them fails: at the end all show the same history, with nothing lost,
//! doubled or out of order, and on the way nobody was shown anything that later changed.

use std::sync::Arc;
use std::time::Duration;

use chat_client::contract::v1::{GetConversationRequest, MarkConversationReadRequest, SendMessageRequest};
use chat_client::{
    CallError, CallFailure, ChatClient, Code, FollowOptions, Follower, History, LiveOptions, Retries, State,
};
use chat_local::gateway::Gateway;
use chat_testing::{Direction, FaultProxy, HistoryChecker, Told};
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
            let acknowledged = if self.random.random_ratio(1, 8) {
                let (one, other) = join(self.attempt(client, id, text), self.attempt(client, id, text)).await;
                one || other
            } else {
                self.attempt(client, id, text).await
            };
            // Some never come back to hear what became of it.
            if acknowledged || self.random.random_ratio(1, 50) {
                return;
            }
        }
        panic!("{id} was not acknowledged in {ATTEMPTS_MAX} attempts");
    }

    async fn attempt(&self, client: &ChatClient, id: &str, text: &str) -> bool {
        let talk = &self.talks[self.talk];
        let request = SendMessageRequest {
            conversation_id: talk.id.clone(),
            client_message_id: id.to_owned(),
            text: text.to_owned(),
            reply_to_message_id: String::new(),
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
        .map(|(low, high)| ([format!("user-{low:02}"), format!("user-{high:02}")], SENDERS, MESSAGES))
        .chain([(["alice".to_owned(), "bob".to_owned()], CROWD_SENDERS, CROWD_MESSAGES)]);
    join_all(named.map(async |(members, senders, messages)| Talk {
        id: stack.fixture.open_direct(&members[0], &members[1]).await.to_string(),
        members,
        checker: HistoryChecker::new(),
        senders,
        messages,
    }))
    .await
}

async fn heads(stack: &Stack, talks: &[Talk]) -> Vec<(Arc<str>, i64)> {
    join_all(talks.iter().map(async |talk| {
        let request = GetConversationRequest {
            conversation_id: talk.id.clone(),
        };
        let answer = stack.client(&talk.members[0]).call(request).await.unwrap();
        (Arc::from(talk.id.as_str()), answer.conversation.unwrap().revision)
    }))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_shows_the_same_history_whatever_fails() {
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    // Shown when the test fails.
    println!("{SEED}={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (stack, faults) = Stack::with_faults().await;
    let talks = Arc::new(talks(&stack, &mut random).await);

    // All devices are there before anything is said, so that they know of every change.
    let mut users: Vec<&String> = talks.iter().flat_map(|talk| &talk.members).collect();
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

    for talk in talks.iter() {
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
