//! Delivery from a real registry of connections to a server that plays the gateway's `@connections`.
#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps fails where it should, also in its helpers"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "delivery looks at the clock, and what it finds must fit"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use chat_contract::v1::{FriendChanged, LiveEvent, Message, Poke, live_event::Event};
use chat_delivery::Deliverer;
use chat_domain::{NAMED_MEMBERS_MAX, PUSH_BYTES_MAX, UserId};
use chat_operation::Settings;
use chat_operation::{FromSettings, Notice};
use chat_stores::dynamo::{Connection, Registration, Registry, RegistryReader, TicketId};
use chrono::Utc;
use tokio::sync::mpsc;

/// Long enough for anything that works.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the gateway does with the posts to a connection.
#[derive(Clone, Debug)]
enum Answers {
    /// These statuses first, then 200.
    Statuses(Vec<u16>),
    /// This status, always.
    Always(u16),
    /// None at all.
    Never,
}

/// The gateway's side: what it answers, and every post that it got.
#[derive(Clone)]
struct Gateway {
    answers: Arc<Mutex<HashMap<String, Answers>>>,
    posts: mpsc::UnboundedSender<(String, LiveEvent)>,
}

async fn take(State(gateway): State<Gateway>, Path(id): Path<String>, body: String) -> StatusCode {
    gateway
        .posts
        .send((id.clone(), chat_contract::json::decode(body.as_bytes()).unwrap()))
        .unwrap();
    let status = match gateway.answers.lock().unwrap().get_mut(&id) {
        None => 200,
        Some(Answers::Statuses(statuses)) if statuses.is_empty() => 200,
        Some(Answers::Statuses(statuses)) => statuses.remove(0),
        Some(Answers::Always(status)) => *status,
        Some(Answers::Never) => 0,
    };
    if status == 0 {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(status).unwrap()
}

struct Fixture {
    /// Held for its drop.
    _databases: chat_testing::Fixture,
    deliverer: Deliverer,
    registry: Registry,
    reader: RegistryReader,
    gateway: Gateway,
    posts: mpsc::UnboundedReceiver<(String, LiveEvent)>,
}

impl Fixture {
    async fn new() -> Self {
        let databases = chat_testing::Fixture::new().await;
        let (posts_in, posts) = mpsc::unbounded_channel();
        let gateway = Gateway {
            answers: Arc::default(),
            posts: posts_in,
        };
        let router = Router::new()
            .route("/live/@connections/{id}", post(take))
            .with_state(gateway.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let settings = databases
            .settings()
            .clone()
            .with("LIVE_ENDPOINT", format!("http://{address}/live"));
        Self {
            deliverer: Deliverer::from_settings(&settings).unwrap(),
            registry: Registry::from_settings(&settings).unwrap(),
            reader: RegistryReader::from_settings(&settings).unwrap(),
            _databases: databases,
            gateway,
            posts,
        }
    }

    /// Registers a connection that was opened this long ago.
    async fn connect(&self, name: &str, id: &str, age: Duration) {
        let since = Utc::now() - age;
        let connection = Connection {
            user: user(name),
            ticket: TicketId::generate(),
            id: id.parse().unwrap(),
            since,
            until: since + Duration::from_hours(2),
            ticket_until: since + Duration::from_secs(30),
        };
        assert_eq!(
            self.registry.register(&connection, since).await.unwrap(),
            Registration::Registered
        );
    }

    async fn connection_ids(&self, name: &str) -> Vec<String> {
        let connections = self
            .reader
            .connections_of(&[user(name)].into(), Utc::now())
            .await
            .unwrap();
        let mut ids: Vec<_> = connections.iter().map(|connection| connection.id.to_string()).collect();
        ids.sort();
        ids
    }

    fn answer(&self, id: &str, answers: Answers) {
        self.gateway.answers.lock().unwrap().insert(id.to_owned(), answers);
    }

    async fn deliver(&self, notices: Vec<Notice>) {
        self.deliverer.deliver(notices, Instant::now() + PATIENCE).await;
    }

    /// The posts so far.
    fn posts(&mut self) -> Vec<(String, LiveEvent)> {
        std::iter::from_fn(|| self.posts.try_recv().ok()).collect()
    }

    /// The ids of the connections that were posted to so far, sorted.
    fn posted_to(&mut self) -> Vec<String> {
        let mut ids: Vec<_> = self.posts().into_iter().map(|(id, _)| id).collect();
        ids.sort();
        ids
    }
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn message(revision: i64, text: &str) -> LiveEvent {
    LiveEvent {
        conversation_id: "conversation".to_owned(),
        revision,
        previous_revision: revision - 1,
        event: Some(Event::MessageSent(Message {
            text: text.to_owned(),
            revision,
            ..Message::default()
        })),
        ..LiveEvent::default()
    }
}

fn notice(names: &[&str], event: LiveEvent) -> Notice {
    Notice {
        recipients: names.iter().map(|name| user(name)).collect(),
        event,
        occurred_at: Utc::now(),
    }
}

#[tokio::test]
async fn every_connection_of_every_recipient_gets_the_event_once() {
    let mut fixture = Fixture::new().await;
    for (name, id) in [("alice", "a1"), ("alice", "a2="), ("bob", "b/1"), ("carol", "c1")] {
        fixture.connect(name, id, Duration::ZERO).await;
    }
    let event = message(7, "hello");
    fixture
        .deliver(vec![notice(&["alice", "bob", "alice", "offline"], event.clone())])
        .await;
    let mut posts = fixture.posts();
    posts.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(posts, ["a1", "a2=", "b/1"].map(|id| (id.to_owned(), event.clone())));
}

#[tokio::test]
async fn a_connection_gets_its_events_in_order() {
    let mut fixture = Fixture::new().await;
    fixture.connect("alice", "a1", Duration::ZERO).await;
    fixture.connect("bob", "b1", Duration::ZERO).await;
    fixture.answer("a1", Answers::Statuses(vec![503, 200, 429]));
    let events: Vec<_> = (1..=3).map(|revision| message(revision, "hello")).collect();
    let mut notices: Vec<_> = events.iter().map(|event| notice(&["alice"], event.clone())).collect();
    let own = LiveEvent {
        event: Some(Event::FriendChanged(FriendChanged::default())),
        ..LiveEvent::default()
    };
    notices.insert(1, notice(&["bob"], own.clone()));
    fixture.deliver(notices).await;
    let (to_bob, to_alice): (Vec<_>, Vec<_>) = fixture.posts().into_iter().partition(|(id, _)| id == "b1");
    assert_eq!(to_bob, [("b1".to_owned(), own)]);
    let revisions: Vec<_> = to_alice.iter().map(|(_, event)| event.revision).collect();
    assert_eq!(
        revisions,
        [1, 1, 2, 2, 3],
        "refused ones come again before what follows them"
    );
}

#[tokio::test]
async fn a_connection_that_is_gone_is_removed_and_no_other() {
    let mut fixture = Fixture::new().await;
    for (name, id) in [("alice", "a1"), ("alice", "a2"), ("bob", "b1")] {
        fixture.connect(name, id, Duration::from_mins(1)).await;
    }
    fixture.answer("a1", Answers::Always(410));
    fixture
        .deliver(vec![notice(&["alice", "bob"], message(1, "hello"))])
        .await;
    assert_eq!(fixture.posted_to(), ["a1", "a2", "b1"]);
    assert_eq!(fixture.connection_ids("alice").await, ["a2"]);
    assert_eq!(fixture.connection_ids("bob").await, ["b1"]);
}

#[tokio::test]
async fn a_connection_that_is_just_being_opened_stays_registered() {
    let mut fixture = Fixture::new().await;
    fixture.connect("alice", "a1", Duration::ZERO).await;
    fixture.answer("a1", Answers::Statuses(vec![410]));
    fixture.deliver(vec![notice(&["alice"], message(1, "hello"))]).await;
    fixture.deliver(vec![notice(&["alice"], message(2, "hello"))]).await;
    let revisions: Vec<_> = fixture.posts().iter().map(|(_, event)| event.revision).collect();
    assert_eq!(revisions, [1, 2]);
}

#[tokio::test]
async fn posts_are_repeated_a_few_times_and_then_given_up() {
    let mut fixture = Fixture::new().await;
    for id in ["busy", "broken", "refusing"] {
        fixture.connect("alice", id, Duration::from_mins(1)).await;
    }
    fixture.answer("busy", Answers::Always(429));
    fixture.answer("broken", Answers::Statuses(vec![500, 503, 504]));
    fixture.answer("refusing", Answers::Always(413));
    fixture.deliver(vec![notice(&["alice"], message(1, "hello"))]).await;
    let expected = [["broken"; 4].as_slice(), &["busy"; 4], &["refusing"]].concat();
    assert_eq!(fixture.posted_to(), expected);
    assert_eq!(
        fixture.connection_ids("alice").await,
        ["broken", "busy", "refusing"],
        "none of them is gone"
    );
}

#[tokio::test]
async fn repeats_are_bounded_over_all_connections() {
    let mut fixture = Fixture::new().await;
    let names: Vec<_> = (0..95).map(|number| format!("user-{number}")).collect();
    for name in &names {
        fixture.connect(name, name, Duration::ZERO).await;
        fixture.answer(name, Answers::Always(429));
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    fixture.deliver(vec![notice(&names, message(1, "hello"))]).await;
    assert_eq!(
        fixture.posts().len(),
        95 + 256,
        "without the bound there would be {}",
        95 * 4
    );
}

#[tokio::test]
async fn large_and_old_events_become_pokes() {
    let mut fixture = Fixture::new().await;
    fixture.connect("alice", "a1", Duration::ZERO).await;
    let large = notice(&["alice"], message(1, &"x".repeat(PUSH_BYTES_MAX)));
    let mut old = notice(&["alice"], message(2, "hello"));
    old.occurred_at -= Duration::from_secs(11);
    fixture.deliver(vec![large, old]).await;
    let poke = |revision| LiveEvent {
        conversation_id: "conversation".to_owned(),
        revision,
        previous_revision: 0,
        event: Some(Event::Poke(Poke {})),
        ..LiveEvent::default()
    };
    assert_eq!(
        fixture.posts(),
        [("a1".to_owned(), poke(1)), ("a1".to_owned(), poke(2))]
    );
}

#[tokio::test]
async fn a_slow_client_delays_nobody_and_is_given_up() {
    let mut fixture = Fixture::new().await;
    fixture.connect("alice", "slow", Duration::from_mins(1)).await;
    fixture.answer("slow", Answers::Never);
    for number in 0..20 {
        fixture
            .connect(&format!("user-{number}"), &format!("fast-{number}"), Duration::ZERO)
            .await;
    }
    let names: Vec<_> = std::iter::once("alice".to_owned())
        .chain((0..20).map(|n| format!("user-{n}")))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let notices = vec![notice(&names, message(1, "hello")), notice(&names, message(2, "hello"))];
    {
        let mut arrived = 0;
        let delivery = fixture.deliverer.deliver(notices, Instant::now() + PATIENCE);
        tokio::pin!(delivery);
        while arrived < 41 {
            tokio::select! {
                () = &mut delivery => panic!("gave the slow client up before the others had everything"),
                post = fixture.posts.recv() => arrived += usize::from(post.is_some()),
            }
        }
        delivery.await;
    }
    assert!(fixture.posts().is_empty(), "one that does not answer gets no more");
    assert_eq!(fixture.connection_ids("alice").await, ["slow"]);
}

#[tokio::test]
async fn delivery_is_back_by_its_deadline() {
    let fixture = Fixture::new().await;
    fixture.connect("alice", "slow", Duration::ZERO).await;
    fixture.answer("slow", Answers::Never);
    let start = Instant::now();
    let deadline = start + Duration::from_millis(500);
    fixture
        .deliverer
        .deliver(vec![notice(&["alice"], message(1, "hello"))], deadline)
        .await;
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
    // And at once when it has passed.
    fixture
        .deliverer
        .deliver(vec![notice(&["alice"], message(1, "hello"))], start)
        .await;
}

#[tokio::test]
async fn an_event_for_too_many_users_is_dropped_and_the_others_are_delivered() {
    let mut fixture = Fixture::new().await;
    fixture.connect("user-0", "u0", Duration::ZERO).await;
    let names: Vec<_> = (0..=NAMED_MEMBERS_MAX).map(|number| format!("user-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    fixture
        .deliver(vec![
            notice(&names, message(1, "hello")),
            notice(&["user-0"], message(2, "hello")),
        ])
        .await;
    let revisions: Vec<_> = fixture.posts().iter().map(|(_, event)| event.revision).collect();
    assert_eq!(revisions, [2]);
}

/// Settings of a deliverer whose registry is at this endpoint.
fn settings_with_registry_at(endpoint: &str) -> Settings {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("LIVE_TABLE", "any"),
        ("DELIVERY_QUEUE_URL", "any"),
        ("LIVE_ENDPOINT", "http://127.0.0.1:1/live"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .collect()
}

#[tokio::test]
async fn a_registry_that_hangs_keeps_an_environment_no_longer_than_a_second_and_a_half() {
    // It takes connections, and that is all that it does.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let deliverer = Deliverer::from_settings(&settings_with_registry_at(&endpoint)).unwrap();
    let start = Instant::now();
    deliverer
        .deliver(vec![notice(&["alice"], message(1, "hello"))], start + PATIENCE)
        .await;
    // As long as it waits, and what a busy machine adds.
    assert!(start.elapsed() < Duration::from_millis(2_500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn nobody_to_tell_and_a_registry_that_is_away_are_no_failure() {
    let settings = settings_with_registry_at("http://127.0.0.1:1");
    let deliverer = Deliverer::from_settings(&settings).unwrap();
    deliverer.deliver(Vec::new(), Instant::now() + PATIENCE).await;
    deliverer
        .deliver(vec![notice(&["alice"], message(1, "hello"))], Instant::now() + PATIENCE)
        .await;

    for bad in ["", "127.0.0.1:1/live", "wss://host/live"] {
        let error = Deliverer::from_settings(&settings.clone().with("LIVE_ENDPOINT", bad)).unwrap_err();
        assert!(error.to_string().starts_with("LIVE_ENDPOINT is not "), "{error}");
    }
}
