//! The registry of connections against a real DynamoDB API. Each test has a table of its own. Where a test needs DynamoDB
//! to be busy or its answers to be lost, a proxy in front of it sees to that.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that unwraps or indexes fails where it should, also in its helpers"
)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use chat_domain::{
    CONNECTION_LIFETIME, CONNECTIONS_PER_USER_MAX, FRAME_INTERVAL, FRAMES_AT_ONCE_MAX, TICKET_INTERVAL,
    TICKET_LIFETIME, TICKETS_AT_ONCE_MAX, UserId,
};
use chat_operation::FromSettings;
use chat_stores::StoreErrorKind;
use chat_stores::aws::{Aws, Patience};
use chat_stores::dynamo::{
    Allowance, Connection, Hearing, Registration, Registry, RegistryReader, RegistryTable, TicketId,
};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Fixture {
    databases: chat_testing::Fixture,
    registry: Registry,
    reader: RegistryReader,
}

impl Fixture {
    async fn new() -> Self {
        let databases = chat_testing::Fixture::new().await;
        let registry = Registry::from_settings(databases.settings()).unwrap();
        let reader = RegistryReader::from_settings(databases.settings()).unwrap();
        Self {
            databases,
            registry,
            reader,
        }
    }

    async fn register(&self, connection: &Connection) -> Registration {
        self.registry.register(connection, now()).await.unwrap()
    }

    async fn unregister(&self, connection: &Connection, now: DateTime<Utc>) -> bool {
        let Connection {
            user,
            ticket,
            id,
            ticket_until,
            ..
        } = connection;
        self.registry
            .unregister(user, *ticket, id, *ticket_until, now)
            .await
            .unwrap()
    }

    async fn count_ticket(&self, name: &str, now: DateTime<Utc>) -> Allowance {
        self.registry.count_ticket(&user(name), now).await.unwrap()
    }

    async fn hear(&self, connection: &Connection, now: DateTime<Utc>) -> Hearing {
        let Connection { user, ticket, id, .. } = connection;
        self.registry.hear(user, *ticket, id, now).await.unwrap()
    }

    /// Registers as many connections of a user as are allowed.
    async fn fill(&self, name: &str) -> Vec<Connection> {
        let connections: Vec<_> = (0..CONNECTIONS_PER_USER_MAX).map(|_| connection(name)).collect();
        for connection in &connections {
            assert_eq!(self.register(connection).await, Registration::Registered);
        }
        connections
    }

    async fn connections_of(&self, names: &[&str]) -> Vec<Connection> {
        let users = names.iter().map(|name| user(name)).collect();
        let mut connections = self.reader.connections_of(&users, now()).await.unwrap();
        connections.sort_by_key(|connection| connection.ticket);
        connections
    }

    /// A way past the registry.
    fn client(&self) -> aws_sdk_dynamodb::Client {
        let patience = Patience {
            connect: Duration::from_secs(1),
            attempt: Duration::from_secs(5),
            operation: Duration::from_secs(5),
            attempts: 1,
        };
        let settings = self.databases.settings();
        let config = Aws::new(settings)
            .unwrap()
            .sdk_config(settings.get("AWS_ENDPOINT_URL"), patience);
        aws_sdk_dynamodb::Client::new(&config)
    }

    /// The item as DynamoDB has it.
    async fn item(&self, name: &str) -> Option<HashMap<String, AttributeValue>> {
        self.client()
            .get_item()
            .table_name(self.databases.name())
            .key("user_id", AttributeValue::S(name.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .unwrap()
            .item
    }
}

/// What a proxy in front of DynamoDB does with each call.
#[derive(Clone, Copy)]
enum Fault {
    /// Hands one key of a batch on and leaves the others unprocessed.
    OneKeyAtATime,
    /// Leaves all keys of a batch unprocessed.
    NoKeys,
    /// Hands the call on and loses the first answer.
    FirstAnswerLost,
    /// Hands all calls on, and counts them.
    None,
    /// Never answers.
    Hang,
}

struct Proxy {
    fault: Fault,
    upstream: String,
    calls: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy and answers a registry that calls through it.
    /// A proxy with this fault, and a client that goes through it.
    async fn start<C: FromSettings>(fixture: &Fixture, fault: Fault) -> (Arc<Self>, C) {
        let settings = fixture.databases.settings();
        let upstream = settings
            .get("AWS_ENDPOINT_URL")
            .unwrap()
            .strip_prefix("http://")
            .unwrap();
        let upstream = upstream.trim_end_matches('/').to_owned();
        let proxy = Arc::new(Self {
            fault,
            upstream,
            calls: AtomicUsize::new(0),
        });
        let router = axum::Router::new()
            .fallback(Self::answer)
            .with_state(Arc::clone(&proxy));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let settings = settings.clone().with("AWS_ENDPOINT_URL", endpoint);
        (proxy, C::from_settings(&settings).unwrap())
    }

    async fn answer(State(proxy): State<Arc<Self>>, headers: HeaderMap, body: String) -> (StatusCode, String) {
        let first = proxy.calls.fetch_add(1, Ordering::Relaxed) == 0;
        match proxy.fault {
            Fault::None => proxy.forward(&headers, &body).await,
            Fault::Hang => std::future::pending().await,
            Fault::FirstAnswerLost => {
                let answer = proxy.forward(&headers, &body).await;
                if first {
                    (StatusCode::INTERNAL_SERVER_ERROR, String::new())
                } else {
                    answer
                }
            }
            Fault::NoKeys => {
                let request: Value = serde_json::from_str(&body).unwrap();
                let answer = json!({ "Responses": {}, "UnprocessedKeys": request["RequestItems"] });
                (StatusCode::OK, answer.to_string())
            }
            Fault::OneKeyAtATime => {
                let mut request: Value = serde_json::from_str(&body).unwrap();
                let table = request["RequestItems"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .next()
                    .unwrap()
                    .clone();
                let mut left = request["RequestItems"].clone();
                let first = left[&table]["Keys"].as_array_mut().unwrap().remove(0);
                request["RequestItems"][&table]["Keys"] = json!([first]);
                let (status, answer) = proxy.forward(&headers, &request.to_string()).await;
                let mut answer: Value = serde_json::from_str(&answer).unwrap();
                if left[&table]["Keys"] != json!([]) {
                    answer["UnprocessedKeys"] = left;
                }
                (status, answer.to_string())
            }
        }
    }

    async fn forward(&self, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
        let mut stream = TcpStream::connect(&self.upstream).await.unwrap();
        let header = |name| headers.get(name).unwrap().to_str().unwrap();
        let request = format!(
            "POST / HTTP/1.0\r\nhost: {}\r\nx-amz-target: {}\r\ncontent-type: {}\r\nauthorization: {}\r\n\
                content-length: {}\r\n\r\n{body}",
            self.upstream,
            header("x-amz-target"),
            header("content-type"),
            header("authorization"),
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (StatusCode::from_u16(status).unwrap(), body.to_owned())
    }
}

/// The fixed present of these tests.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

/// A connection of a ticket that was made just now.
fn connection(name: &str) -> Connection {
    let ticket = TicketId::generate();
    Connection {
        user: user(name),
        ticket,
        id: format!("connection-{ticket}").parse().unwrap(),
        since: now(),
        until: now() + CONNECTION_LIFETIME,
        ticket_until: now() + TICKET_LIFETIME,
    }
}

fn count(registrations: &[Registration], wanted: &Registration) -> usize {
    registrations
        .iter()
        .filter(|registration| *registration == wanted)
        .count()
}

#[tokio::test]
async fn a_registered_connection_is_found_until_it_is_removed() {
    let fixture = Fixture::new().await;
    let (first, second) = (connection("alice"), connection("alice"));
    assert_eq!(fixture.register(&first).await, Registration::Registered);
    assert_eq!(fixture.register(&second).await, Registration::Registered);
    assert_eq!(
        fixture.connections_of(&["alice"]).await,
        [first.clone(), second.clone()]
    );
    assert!(fixture.unregister(&first, now()).await);
    assert_eq!(fixture.connections_of(&["alice"]).await, [second]);
    assert!(!fixture.unregister(&first, now()).await, "it is gone already");
}

#[tokio::test]
async fn of_eight_at_once_one_uses_the_ticket_up() {
    let fixture = Fixture::new().await;
    for name in ["new-here", "been-here"] {
        if name == "been-here" {
            fixture.register(&connection(name)).await;
        }
        let ticket = connection(name);
        let rivals: Vec<_> = (0..8)
            .map(|number| Connection {
                id: format!("rival-{number}").parse().unwrap(),
                ..ticket.clone()
            })
            .collect();
        let registrations = join_all(rivals.iter().map(|rival| fixture.register(rival))).await;
        assert_eq!(count(&registrations, &Registration::Registered), 1, "{registrations:?}");
        assert_eq!(count(&registrations, &Registration::TicketUsed), 7, "{registrations:?}");
        let winner = registrations
            .iter()
            .position(|one| *one == Registration::Registered)
            .unwrap();
        assert!(fixture.connections_of(&[name]).await.contains(&rivals[winner]));
    }
}

#[tokio::test]
async fn a_repeated_registration_of_the_same_connection_is_no_replay() {
    let fixture = Fixture::new().await;
    let connection = connection("alice");
    assert_eq!(fixture.register(&connection).await, Registration::Registered);
    assert_eq!(fixture.register(&connection).await, Registration::Registered);
    assert_eq!(fixture.connections_of(&["alice"]).await, [connection]);
}

#[tokio::test]
async fn a_ticket_cannot_be_replayed_after_its_connection_closed() {
    let fixture = Fixture::new().await;
    let first = connection("alice");
    fixture.register(&first).await;
    // To the last second of the ticket, and a while longer, for clocks that differ.
    fixture
        .unregister(&first, first.ticket_until + Duration::from_secs(59))
        .await;
    let replay = Connection {
        id: "replay".parse().unwrap(),
        ..first.clone()
    };
    assert_eq!(fixture.register(&replay).await, Registration::TicketUsed);
    assert!(fixture.connections_of(&["alice"]).await.is_empty());
    // Its own connection cannot come back either.
    assert_eq!(fixture.register(&first).await, Registration::TicketUsed);
}

#[tokio::test]
async fn a_ticket_that_was_counted_first_cannot_be_replayed_either() {
    let fixture = Fixture::new().await;
    let first = connection("alice");
    assert_eq!(fixture.count_ticket("alice", now()).await, Allowance::Allowed);
    let item = fixture.item("alice").await.unwrap();
    for map in ["open", "closed"] {
        assert!(item[map].as_m().unwrap().is_empty());
    }
    fixture.register(&first).await;
    assert!(fixture.unregister(&first, now()).await);
    assert_eq!(fixture.register(&first).await, Registration::TicketUsed);
}

#[tokio::test]
async fn a_ticket_that_ended_long_ago_is_refused_without_a_look() {
    let fixture = Fixture::new().await;
    let late = connection("alice");
    let end = late.ticket_until + Duration::from_secs(30);
    assert_eq!(
        fixture.registry.register(&late, end).await.unwrap(),
        Registration::TicketUsed
    );
    assert_eq!(fixture.item("alice").await, None);
    let just_in_time = end - Duration::from_secs(1);
    assert_eq!(
        fixture.registry.register(&late, just_in_time).await.unwrap(),
        Registration::Registered
    );
}

#[tokio::test]
async fn no_mark_is_left_when_the_ticket_can_no_longer_be_presented() {
    let fixture = Fixture::new().await;
    let first = connection("alice");
    fixture.register(&first).await;
    fixture
        .unregister(&first, first.ticket_until + Duration::from_mins(1))
        .await;
    let item = fixture.item("alice").await.unwrap();
    assert!(item["open"].as_m().unwrap().is_empty());
    assert!(item["closed"].as_m().unwrap().is_empty());
}

#[tokio::test]
async fn the_seventeenth_connection_replaces_the_one_that_was_opened_first() {
    let fixture = Fixture::new().await;
    let mut connections = fixture.fill("alice").await;
    let one_more = connection("alice");
    let first = connections.remove(0);
    assert_eq!(
        fixture.register(&one_more).await,
        Registration::Replaced(vec![first.clone()])
    );
    connections.push(one_more);
    assert_eq!(fixture.connections_of(&["alice"]).await, connections);
    assert_eq!(
        fixture.register(&connection("bob")).await,
        Registration::Registered,
        "others have room of their own"
    );
    // Its end, when it comes, takes nobody with it, and makes no room.
    assert!(!fixture.unregister(&first, now()).await);
    assert_eq!(fixture.connections_of(&["alice"]).await, connections);
    // Where one has closed, nobody is replaced.
    fixture.unregister(&connections[3], now()).await;
    assert_eq!(fixture.register(&connection("alice")).await, Registration::Registered);
}

#[tokio::test]
async fn the_connection_that_was_quiet_for_longest_gives_way() {
    let fixture = Fixture::new().await;
    let connections = fixture.fill("alice").await;
    // All but the sixth were heard of since.
    for (number, connection) in connections.iter().enumerate().filter(|(number, _)| *number != 5) {
        let later = now() + Duration::from_secs(60 + number as u64);
        assert_eq!(fixture.hear(connection, later).await, Hearing::Heard);
    }
    let newcomer = |second| Connection {
        since: now() + Duration::from_secs(second),
        ..connection("alice")
    };
    for expected in [&connections[5], &connections[0]] {
        assert_eq!(
            fixture.register(&newcomer(120)).await,
            Registration::Replaced(vec![expected.clone()])
        );
    }
}

#[tokio::test]
async fn the_ticket_of_a_replaced_connection_stays_used() {
    let fixture = Fixture::new().await;
    let connections = fixture.fill("alice").await;
    fixture.register(&connection("alice")).await;
    let replay = Connection {
        id: "replay".parse().unwrap(),
        ..connections[0].clone()
    };
    for again in [&connections[0], &replay] {
        assert_eq!(fixture.register(again).await, Registration::TicketUsed);
    }
    let marks = fixture.item("alice").await.unwrap()["closed"].as_m().unwrap().clone();
    assert_eq!(
        marks.into_keys().collect::<Vec<_>>(),
        [connections[0].ticket.to_string()]
    );

    // Without a mark where the ticket can no longer be presented.
    let later = now() + TICKET_LIFETIME + Duration::from_mins(1);
    let newcomer = Connection {
        ticket_until: later + TICKET_LIFETIME,
        ..connection("alice")
    };
    assert_eq!(
        fixture.registry.register(&newcomer, later).await.unwrap(),
        Registration::Replaced(vec![connections[1].clone()])
    );
    assert!(
        fixture.item("alice").await.unwrap()["closed"]
            .as_m()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn of_many_at_once_all_get_in_and_the_item_stays_within_its_bound() {
    let fixture = Fixture::new().await;
    let connections: Vec<_> = (0..TICKETS_AT_ONCE_MAX).map(|_| connection("alice")).collect();
    let registrations = join_all(connections.iter().map(|connection| fixture.register(connection))).await;
    let mut replaced = Vec::new();
    for registration in registrations {
        match registration {
            Registration::Registered => {}
            Registration::Replaced(others) => replaced.extend(others.into_iter().map(|one| one.ticket)),
            Registration::TicketUsed => panic!("each ticket was used once"),
        }
    }
    let open = fixture.connections_of(&["alice"]).await;
    assert_eq!(open.len(), CONNECTIONS_PER_USER_MAX);
    // Each of the others was replaced, once, and said to be.
    let mut all: Vec<_> = open.iter().map(|one| one.ticket).chain(replaced).collect();
    all.sort_unstable();
    assert_eq!(all, connections.iter().map(|one| one.ticket).collect::<Vec<_>>());
}

#[tokio::test]
async fn expired_leases_make_room_and_are_cleared_away() {
    let fixture = Fixture::new().await;
    let lasting: Vec<_> = (0..2).map(|_| connection("alice")).collect();
    for connection in &lasting {
        fixture.register(connection).await;
    }
    for _ in lasting.len()..CONNECTIONS_PER_USER_MAX {
        let expired = Connection {
            until: now(),
            ..connection("alice")
        };
        assert_eq!(fixture.register(&expired).await, Registration::Registered);
    }
    assert_eq!(
        fixture.connections_of(&["alice"]).await,
        lasting,
        "a lease that has ended is no connection"
    );
    // They go first, all at once: nobody is replaced while there is room.
    let newcomers: Vec<_> = (lasting.len()..CONNECTIONS_PER_USER_MAX)
        .map(|_| connection("alice"))
        .collect();
    let registrations = join_all(newcomers.iter().map(|newcomer| fixture.register(newcomer))).await;
    assert_eq!(count(&registrations, &Registration::Registered), newcomers.len());
    let open = fixture.connections_of(&["alice"]).await;
    assert!(lasting.iter().all(|connection| open.contains(connection)));
    let item = fixture.item("alice").await.unwrap();
    assert_eq!(item["open"].as_m().unwrap().len(), CONNECTIONS_PER_USER_MAX);
}

#[tokio::test]
async fn nobody_is_refused_for_how_often_they_reconnected_and_marks_fade() {
    let fixture = Fixture::new().await;
    // Far more often than there are tickets for.
    let shorts: Vec<_> = (0..100).map(|_| connection("alice")).collect();
    for short in &shorts {
        assert_eq!(fixture.register(short).await, Registration::Registered);
        fixture.unregister(short, now()).await;
    }
    for short in [&shorts[0], &shorts[99]] {
        assert_eq!(fixture.register(short).await, Registration::TicketUsed);
    }
    let marks = async || fixture.item("alice").await.unwrap()["closed"].as_m().unwrap().len();
    assert_eq!(marks().await, 100);
    let next = connection("alice");
    let later = now() + TICKET_LIFETIME + Duration::from_mins(1);
    let next = Connection {
        ticket_until: later + TICKET_LIFETIME,
        ..next
    };
    assert_eq!(
        fixture.registry.register(&next, later).await.unwrap(),
        Registration::Registered
    );
    // As many as one write clears away; the rest goes with the next that finds too many.
    assert_eq!(marks().await, 100 - 64);
}

#[tokio::test]
async fn a_user_gets_a_burst_of_tickets_and_then_one_an_interval() {
    let fixture = Fixture::new().await;
    for _ in 0..TICKETS_AT_ONCE_MAX {
        assert_eq!(fixture.count_ticket("alice", now()).await, Allowance::Allowed);
    }
    assert_eq!(
        fixture.count_ticket("alice", now()).await,
        Allowance::RetryAfter(TICKET_INTERVAL)
    );
    assert_eq!(
        fixture.count_ticket("bob", now()).await,
        Allowance::Allowed,
        "others have a rate of their own"
    );
    let wait = Duration::from_millis(1);
    let early = now() + TICKET_INTERVAL - wait;
    assert_eq!(fixture.count_ticket("alice", early).await, Allowance::RetryAfter(wait));
    for allowance in [Allowance::Allowed, Allowance::RetryAfter(TICKET_INTERVAL)] {
        assert_eq!(fixture.count_ticket("alice", early + wait).await, allowance);
    }
    // Whoever waits long enough gets a burst again, and no more.
    let rested = now() + TICKET_INTERVAL * (2 * TICKETS_AT_ONCE_MAX);
    for _ in 0..TICKETS_AT_ONCE_MAX {
        assert_eq!(fixture.count_ticket("alice", rested).await, Allowance::Allowed);
    }
    assert_ne!(fixture.count_ticket("alice", rested).await, Allowance::Allowed);
}

#[tokio::test]
async fn of_many_tickets_at_once_only_a_burst_is_given() {
    let fixture = Fixture::new().await;
    let allowances = join_all((0..TICKETS_AT_ONCE_MAX + 8).map(|_| fixture.count_ticket("alice", now()))).await;
    let allowed = allowances.iter().filter(|one| **one == Allowance::Allowed).count();
    assert_eq!(allowed, TICKETS_AT_ONCE_MAX as usize, "{allowances:?}");
}

#[tokio::test]
async fn a_clock_that_ran_ahead_locks_nobody_out() {
    let fixture = Fixture::new().await;
    let ahead = now() + Duration::from_hours(24);
    for _ in 0..2 {
        assert_eq!(fixture.count_ticket("alice", ahead).await, Allowance::Allowed);
    }
    assert_eq!(fixture.count_ticket("alice", now()).await, Allowance::Allowed);
}

#[tokio::test]
async fn counting_tickets_leaves_connections_and_marks_alone() {
    let fixture = Fixture::new().await;
    let (open, closed) = (connection("alice"), connection("alice"));
    fixture.register(&open).await;
    fixture.register(&closed).await;
    fixture.unregister(&closed, now()).await;
    for _ in 0..2 {
        assert_eq!(fixture.count_ticket("alice", now()).await, Allowance::Allowed);
    }
    assert_eq!(fixture.connections_of(&["alice"]).await, [open]);
    assert_eq!(fixture.register(&closed).await, Registration::TicketUsed);
}

#[tokio::test]
async fn a_ticket_its_connection_and_its_frames_cost_one_write_each() {
    let fixture = Fixture::new().await;
    let (proxy, registry) = Proxy::start::<Registry>(&fixture, Fault::None).await;
    let calls = || proxy.calls.load(Ordering::Relaxed);
    let connection = connection("new-here");
    registry.count_ticket(&connection.user, now()).await.unwrap();
    assert_eq!(calls(), 1);
    registry.register(&connection, now()).await.unwrap();
    assert_eq!(calls(), 2);
    let hear = |second| {
        let now = now() + Duration::from_secs(second);
        registry.hear(&connection.user, connection.ticket, &connection.id, now)
    };
    hear(0).await.unwrap();
    hear(240).await.unwrap();
    assert_eq!(calls(), 4);
    // A second one within the burst takes one more to be sure.
    hear(240).await.unwrap();
    assert_eq!(calls(), 6);
    registry.count_ticket(&connection.user, now()).await.unwrap();
    assert_eq!(calls(), 8);
}

#[tokio::test]
async fn a_connection_sends_a_burst_of_frames_and_then_one_an_interval() {
    let fixture = Fixture::new().await;
    let (flooding, other) = (connection("alice"), connection("alice"));
    fixture.register(&flooding).await;
    fixture.register(&other).await;
    for _ in 0..FRAMES_AT_ONCE_MAX {
        assert_eq!(fixture.hear(&flooding, now()).await, Hearing::Heard);
    }
    assert_eq!(fixture.hear(&flooding, now()).await, Hearing::Flooding);
    assert_eq!(
        fixture.hear(&other, now()).await,
        Hearing::Heard,
        "the user's other connections have a rate of their own"
    );
    assert_eq!(fixture.hear(&flooding, now() + FRAME_INTERVAL).await, Hearing::Heard);
    assert_eq!(fixture.hear(&flooding, now() + FRAME_INTERVAL).await, Hearing::Flooding);
    let frames = (0..2 * FRAMES_AT_ONCE_MAX).map(|_| fixture.hear(&other, now() + Duration::from_mins(1)));
    let heard = join_all(frames).await.into_iter().filter(|one| *one == Hearing::Heard);
    assert_eq!(
        heard.count(),
        FRAMES_AT_ONCE_MAX as usize,
        "also when they come at once"
    );
}

#[tokio::test]
async fn a_frame_of_a_connection_that_is_not_registered_writes_nothing() {
    let fixture = Fixture::new().await;
    let stranger = connection("nobody");
    assert_eq!(fixture.hear(&stranger, now()).await, Hearing::Unknown);
    assert_eq!(fixture.item("nobody").await, None);

    let closed = connection("alice");
    fixture.register(&closed).await;
    let other = Connection {
        id: "another".parse().unwrap(),
        ..closed.clone()
    };
    assert_eq!(fixture.hear(&other, now()).await, Hearing::Unknown);
    fixture.unregister(&closed, now()).await;
    let item = fixture.item("alice").await;
    assert_eq!(fixture.hear(&closed, now()).await, Hearing::Unknown);
    assert_eq!(fixture.item("alice").await, item);
}

#[tokio::test]
async fn a_connection_that_an_older_version_registered_is_read_and_heard() {
    let fixture = Fixture::new().await;
    let connections = fixture.fill("alice").await;
    fixture
        .client()
        .update_item()
        .table_name(fixture.databases.name())
        .key("user_id", AttributeValue::S("alice".to_owned()))
        .update_expression("REMOVE #open.#ticket.quiet")
        .expression_attribute_names("#open", "open")
        .expression_attribute_names("#ticket", connections[4].ticket.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(fixture.connections_of(&["alice"]).await, connections);
    let later = now() + Duration::from_mins(1);
    assert_eq!(fixture.hear(&connections[4], later).await, Hearing::Heard);
    assert_eq!(fixture.connections_of(&["alice"]).await, connections);
}

#[tokio::test]
async fn a_registry_that_hangs_is_given_up_in_a_second_and_a_half() {
    let fixture = Fixture::new().await;
    let (_proxy, registry) = Proxy::start::<Registry>(&fixture, Fault::Hang).await;
    let (_other_proxy, reader) = Proxy::start::<RegistryReader>(&fixture, Fault::Hang).await;
    let connection = connection("alice");
    let start = Instant::now();
    let users = BTreeSet::from([connection.user.clone()]);
    let (looked_up, counted, heard, registered) = tokio::join!(
        reader.connections_of(&users, now()),
        registry.count_ticket(&connection.user, now()),
        registry.hear(&connection.user, connection.ticket, &connection.id, now()),
        registry.register(&connection, now()),
    );
    // As long as it waits, and what a busy machine adds.
    assert!(start.elapsed() < Duration::from_millis(2_500), "{:?}", start.elapsed());
    for kind in [
        looked_up.unwrap_err().kind(),
        counted.unwrap_err().kind(),
        heard.unwrap_err().kind(),
        registered.unwrap_err().kind(),
    ] {
        assert_eq!(kind, StoreErrorKind::Timeout);
    }
}

#[tokio::test]
async fn removing_what_is_not_there_writes_nothing() {
    let fixture = Fixture::new().await;
    let nobody = connection("nobody");
    for now in [now(), nobody.ticket_until + Duration::from_mins(1)] {
        assert!(!fixture.unregister(&nobody, now).await);
        assert_eq!(fixture.item("nobody").await, None);
    }
}

#[tokio::test]
async fn only_the_connection_with_the_id_is_removed() {
    let fixture = Fixture::new().await;
    let connection = connection("alice");
    fixture.register(&connection).await;
    let other = Connection {
        id: "another".parse().unwrap(),
        ..connection.clone()
    };
    assert!(!fixture.unregister(&other, now()).await);
    assert_eq!(fixture.connections_of(&["alice"]).await, [connection]);
}

#[tokio::test]
async fn more_users_than_one_batch_takes_are_read() {
    let fixture = Fixture::new().await;
    let names: Vec<_> = (0..230).map(|number| format!("user-{number}")).collect();
    let online: Vec<_> = names.iter().step_by(23).map(|name| connection(name)).collect();
    join_all(online.iter().map(|connection| fixture.register(connection))).await;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(fixture.connections_of(&names).await, online);
    assert!(fixture.connections_of(&[]).await.is_empty());
}

#[tokio::test]
async fn keys_that_were_left_unread_are_read_in_a_later_round() {
    let fixture = Fixture::new().await;
    let connections: Vec<_> = ["alice", "bob", "carol", "dave"].map(connection).into();
    join_all(connections.iter().map(|connection| fixture.register(connection))).await;
    let users = connections.iter().map(|connection| connection.user.clone()).collect();
    let (proxy, reader) = Proxy::start::<RegistryReader>(&fixture, Fault::OneKeyAtATime).await;
    let mut found = reader.connections_of(&users, now()).await.unwrap();
    found.sort_by_key(|connection| connection.ticket);
    assert_eq!(found, connections);
    assert_eq!(proxy.calls.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn keys_that_are_never_read_are_given_up() {
    let fixture = Fixture::new().await;
    let (proxy, reader) = Proxy::start::<RegistryReader>(&fixture, Fault::NoKeys).await;
    let error = reader.connections_of(&[user("alice")].into(), now()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(proxy.calls.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_no_replay() {
    let fixture = Fixture::new().await;
    for name in ["new-here", "been-here"] {
        if name == "been-here" {
            fixture.register(&connection(name)).await;
        }
        let (proxy, registry) = Proxy::start::<Registry>(&fixture, Fault::FirstAnswerLost).await;
        let connection = connection(name);
        assert_eq!(
            registry.register(&connection, now()).await.unwrap(),
            Registration::Registered,
            "{name}"
        );
        assert!(proxy.calls.load(Ordering::Relaxed) > 1);
        assert!(fixture.connections_of(&[name]).await.contains(&connection));
    }
}

#[tokio::test]
async fn an_item_outlives_its_latest_lease() {
    let fixture = Fixture::new().await;
    let long = connection("alice");
    let short = Connection {
        until: now() + Duration::from_mins(1),
        ..connection("alice")
    };
    for connection in [&long, &short] {
        fixture.register(connection).await;
        let ttl: i64 = fixture.item("alice").await.unwrap()["ttl"]
            .as_n()
            .unwrap()
            .parse()
            .unwrap();
        assert!(ttl > long.until.timestamp());
    }
}

#[tokio::test]
async fn a_connection_takes_at_most_200_bytes() {
    let fixture = Fixture::new().await;
    let longest = Connection {
        id: "x".repeat(100).parse().unwrap(),
        ..connection("alice")
    };
    fixture.register(&longest).await;
    let item = fixture.item("alice").await.unwrap();
    let (ticket, entry) = item["open"].as_m().unwrap().iter().next().unwrap();
    // DynamoDB counts names, values, and 3 bytes and 1 an element for a map; a number takes a byte for two digits and one.
    let number_bytes = |value: &AttributeValue| value.as_n().unwrap().len().div_ceil(2) + 1;
    let fields = entry.as_m().unwrap().iter();
    let bytes: usize = fields
        .map(|(name, value)| 1 + name.len() + value.as_s().map_or_else(|_| number_bytes(value), String::len))
        .sum();
    assert!(ticket.len() + 3 + bytes <= 200, "{}", ticket.len() + 3 + bytes);
}

#[tokio::test]
async fn making_the_table_again_keeps_what_is_in_it() {
    let fixture = Fixture::new().await;
    let connection = connection("alice");
    fixture.register(&connection).await;
    let table = RegistryTable::new(fixture.databases.settings()).unwrap();
    table.create().await.unwrap();
    assert_eq!(fixture.connections_of(&["alice"]).await, [connection]);
}

#[tokio::test]
async fn a_store_that_is_away_and_a_table_that_is_missing_are_told_apart() {
    let fixture = Fixture::new().await;
    let settings = fixture.databases.settings().clone();
    let missing = Registry::from_settings(&settings.clone().with("LIVE_TABLE", "missing-table")).unwrap();
    let error = missing.register(&connection("alice"), now()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert_eq!(
        error.to_string(),
        "the registry of connections (DynamoDB) failed to register a connection"
    );

    // Over TLS, too: its roots can be loaded.
    for endpoint in ["http://127.0.0.1:1", "https://127.0.0.1:1"] {
        let away = RegistryReader::from_settings(&settings.clone().with("AWS_ENDPOINT_URL", endpoint)).unwrap();
        let error = away
            .connections_of(&BTreeSet::from([user("alice")]), now())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{endpoint}");
    }
}
