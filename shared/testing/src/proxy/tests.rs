use std::str::FromStr;
use std::time::Instant;

use bson::{Document, doc};
use bytes::BytesMut;
use mongodb::Collection;
use mongodb::options::ClientOptions;
use sqlx::postgres::{PgConnectOptions, PgListener};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{Fixture, Proxies};

const INSERT: &str = "INSERT INTO things (name) VALUES ($1)";

async fn postgres(settings: &chat_operation::Settings) -> PgConnection {
    let options = PgConnectOptions::from_str(settings.get("DATABASE_URL").unwrap()).unwrap();
    PgConnection::connect_with(&options).await.unwrap()
}

/// A fixture with a table that anybody may fill, its proxies, a connection through the proxy and one past it.
async fn things() -> (Fixture, Proxies, PgConnection, PgConnection) {
    let fixture = Fixture::new().await;
    let mut direct = fixture.connect_postgres().await;
    sqlx::raw_sql("CREATE TABLE things (name text); GRANT ALL ON things TO PUBLIC")
        .execute(&mut direct)
        .await
        .unwrap();
    let proxies = fixture.with_proxies().await;
    let client = postgres(proxies.settings()).await;
    (fixture, proxies, client, direct)
}

async fn insert(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT).bind(name).execute(connection).await.map(drop)
}

async fn names(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM things ORDER BY name")
        .fetch_all(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_prepared_statement_is_one_round_trip() {
    let (_fixture, proxies, mut client, _) = things().await;
    assert_eq!(
        proxies.postgres.counts(),
        Counts {
            connections_opened: 1,
            ..Counts::default()
        }
    );
    insert(&mut client, "first").await.unwrap();
    proxies.postgres.reset_counts();
    insert(&mut client, "second").await.unwrap();
    let counts = proxies.postgres.counts();
    assert_eq!((counts.requests, counts.round_trips), (1, 1));
    assert_eq!(counts.round_trips_by_connection, BTreeMap::from([(0, 1)]));
    assert_eq!(counts.operations, BTreeMap::from([(INSERT.to_owned(), 1)]));
}

#[tokio::test]
async fn preparing_a_statement_is_counted_apart() {
    let (_fixture, proxies, mut client, _) = things().await;
    insert(&mut client, "first").await.unwrap();
    let operations = proxies.postgres.counts().operations;
    assert_eq!(
        operations,
        BTreeMap::from([(INSERT.to_owned(), 1), (format!("prepare: {INSERT}"), 1)])
    );
}

#[tokio::test]
async fn a_simple_query_is_one_round_trip() {
    let (_fixture, proxies, mut client, _) = things().await;
    sqlx::raw_sql("SELECT 1; SELECT 2")
        .fetch_all(&mut client)
        .await
        .unwrap();
    assert_eq!(
        proxies.postgres.counts().operations,
        BTreeMap::from([("SELECT 1; SELECT 2".to_owned(), 1)])
    );
}

#[tokio::test]
async fn a_held_statement_waits_while_other_connections_go_on() {
    let (_fixture, proxies, mut client, mut direct) = things().await;
    insert(&mut client, "prepared long ago").await.unwrap();
    let mut other = postgres(proxies.settings()).await;
    let held = proxies
        .postgres
        .hold(Filter::operation("INTO things").containing("wanted"));
    let inserting = tokio::spawn(async move { insert(&mut client, "wanted").await });
    held.caught().await;
    insert(&mut other, "other").await.unwrap();
    assert_eq!(names(&mut direct).await, ["other", "prepared long ago"]);
    held.release();
    inserting.await.unwrap().unwrap();
    assert_eq!(names(&mut direct).await, ["other", "prepared long ago", "wanted"]);
}

#[tokio::test]
async fn a_held_statement_whose_connection_is_dropped_never_happens() {
    let (_fixture, proxies, mut client, mut direct) = things().await;
    // One is let by first, so that it is the execution of a prepared statement that is held.
    let held = proxies.postgres.hold(Filter::operation(INSERT).skip(1));
    insert(&mut client, "first").await.unwrap();
    let inserting = tokio::spawn(async move { insert(&mut client, "second").await });
    held.caught().await;
    held.drop_connection();
    assert!(matches!(inserting.await.unwrap(), Err(sqlx::Error::Io(_))));
    assert_eq!(names(&mut direct).await, ["first"]);
}

#[tokio::test]
async fn a_hold_that_a_test_lets_go_of_holds_nothing() {
    let (_fixture, proxies, mut client, _) = things().await;
    drop(proxies.postgres.hold(Filter::any()));
    drop(proxies.postgres.cut_before_answer(Filter::any()));
    insert(&mut client, "passes").await.unwrap();
}

#[tokio::test]
async fn a_hold_takes_one_request_and_preparing_is_none() {
    let (_fixture, proxies, mut client, _) = things().await;
    let held = proxies.postgres.hold(Filter::operation(INSERT));
    let inserting = tokio::spawn(async move {
        insert(&mut client, "first").await.unwrap();
        insert(&mut client, "second").await
    });
    held.caught().await;
    let operations = proxies.postgres.counts().operations;
    assert_eq!(operations, BTreeMap::from([(format!("prepare: {INSERT}"), 1)]));
    held.release();
    inserting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_statement_whose_answer_is_cut_off_has_happened_once() {
    let (_fixture, proxies, mut client, mut direct) = things().await;
    let cut = proxies.postgres.cut_before_answer(Filter::operation(INSERT));
    assert!(matches!(insert(&mut client, "once").await, Err(sqlx::Error::Io(_))));
    cut.happened().await;
    assert_eq!(names(&mut direct).await, ["once"]);
    // It works once: the next connection is left alone.
    insert(&mut postgres(proxies.settings()).await, "twice").await.unwrap();
}

#[tokio::test]
async fn a_frozen_answer_waits_although_the_statement_happened() {
    let (fixture, proxies, mut client, mut direct) = things().await;
    insert(&mut client, "prepare").await.unwrap();
    let mut listener = PgListener::connect(fixture.settings().get("DATABASE_URL").unwrap())
        .await
        .unwrap();
    listener.listen("happened").await.unwrap();
    sqlx::raw_sql(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY happened; RETURN NULL; END $$;
         CREATE TRIGGER tell AFTER INSERT ON things EXECUTE FUNCTION tell()",
    )
    .execute(&mut direct)
    .await
    .unwrap();
    proxies.postgres.freeze(Direction::ToClient);
    let inserting = tokio::spawn(async move { insert(&mut client, "frozen").await });
    listener.recv().await.unwrap();
    assert_eq!(names(&mut direct).await, ["frozen", "prepare"]);
    assert!(!inserting.is_finished());
    proxies.postgres.thaw(Direction::ToClient);
    inserting.await.unwrap().unwrap();
}

#[tokio::test]
async fn cutting_all_resets_every_connection_and_takes_new_ones() {
    let (_fixture, proxies, mut client, _) = things().await;
    let mut second = postgres(proxies.settings()).await;
    proxies.postgres.cut_all();
    for broken in [&mut client, &mut second] {
        assert!(matches!(insert(broken, "lost").await, Err(sqlx::Error::Io(_))));
    }
    insert(&mut postgres(proxies.settings()).await, "found").await.unwrap();
}

#[tokio::test]
async fn refusing_keeps_new_connections_out_and_old_ones_open() {
    let (_fixture, proxies, mut client, _) = things().await;
    proxies.postgres.refuse();
    let options = PgConnectOptions::from_str(proxies.settings().get("DATABASE_URL").unwrap()).unwrap();
    assert!(PgConnection::connect_with(&options).await.is_err());
    insert(&mut client, "open before").await.unwrap();
    proxies.postgres.accept();
    insert(&mut PgConnection::connect_with(&options).await.unwrap(), "open again")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_delay_is_paid_once_a_round_trip() {
    let (_fixture, proxies, mut client, _) = things().await;
    let delay = Duration::from_millis(50);
    proxies.postgres.delay(Direction::ToServer, delay);
    proxies.postgres.delay(Direction::ToClient, delay);
    let started = Instant::now();
    sqlx::raw_sql("SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
        .execute(&mut client)
        .await
        .unwrap();
    // The answer has 5 MB: distance delays it as a whole, not packet by packet.
    assert!(
        (delay * 2..delay * 10).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
}

/// A collection through the proxy, whose driver does not try again by itself, and the same one past it.
async fn documents() -> (Fixture, Proxies, Collection<Document>, Collection<Document>) {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let collection = async |settings: &chat_operation::Settings| {
        let mut options = ClientOptions::parse(settings.get("MONGODB_URI").unwrap())
            .await
            .unwrap();
        options.retry_writes = Some(false);
        mongodb::Client::with_options(options)
            .unwrap()
            .database(fixture.name())
            .collection("things")
    };
    let (client, direct) = (
        collection(proxies.settings()).await,
        collection(fixture.settings()).await,
    );
    (fixture, proxies, client, direct)
}

#[tokio::test]
async fn an_insert_is_one_round_trip_and_the_drivers_own_commands_are_none() {
    let (_fixture, proxies, client, _) = documents().await;
    client.insert_one(doc! { "name": "first" }).await.unwrap();
    let counts = proxies.mongo.counts();
    assert_eq!((counts.requests, counts.round_trips), (1, 1));
    assert_eq!(counts.operations, BTreeMap::from([("insert things".to_owned(), 1)]));
    assert!(counts.connections_opened >= 1);
}

#[tokio::test]
async fn one_of_many_inserts_is_held() {
    let (_fixture, proxies, client, direct) = documents().await;
    let held = proxies
        .mongo
        .hold(Filter::operation("insert things").containing("wanted"));
    let inserting = tokio::spawn({
        let client = client.clone();
        async move { client.insert_one(doc! { "name": "wanted" }).await }
    });
    held.caught().await;
    client.insert_one(doc! { "name": "other" }).await.unwrap();
    assert_eq!(direct.count_documents(doc! {}).await.unwrap(), 1);
    held.release();
    inserting.await.unwrap().unwrap();
    assert_eq!(direct.count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test]
async fn a_held_insert_whose_connection_is_dropped_never_happens() {
    let (_fixture, proxies, client, direct) = documents().await;
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let inserting = tokio::spawn(async move { client.insert_one(doc! { "name": "never" }).await });
    held.caught().await;
    held.drop_connection();
    assert!(inserting.await.unwrap().is_err());
    assert_eq!(direct.count_documents(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn an_insert_whose_answer_is_cut_off_has_happened() {
    let (_fixture, proxies, client, direct) = documents().await;
    let cut = proxies.mongo.cut_before_answer(Filter::operation("insert"));
    assert!(client.insert_one(doc! { "name": "once" }).await.is_err());
    cut.happened().await;
    assert_eq!(direct.count_documents(doc! {}).await.unwrap(), 1);
    client.insert_one(doc! { "name": "again" }).await.unwrap();
}

#[tokio::test]
async fn bytes_of_no_known_protocol_pass_both_ways_and_end_when_a_side_ends() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(Protocol::Opaque, upstream.local_addr().unwrap().to_string())
        .await
        .unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = upstream.accept().await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
    assert_eq!(proxy.counts().requests, 0);
}

#[tokio::test]
async fn a_client_of_a_server_that_is_down_is_reset() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(Protocol::Opaque, nobody.to_string()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(client.read_u8().await.is_err());
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

/// What a parser makes of bytes that arrive one at a time.
fn drip<T>(bytes: &[u8], mut next: impl FnMut(&mut BytesMut) -> io::Result<Option<T>>) -> Vec<T> {
    let mut buffer = BytesMut::new();
    let mut parsed = Vec::new();
    for byte in bytes {
        buffer.extend_from_slice(&[*byte]);
        while let Some(item) = next(&mut buffer).unwrap() {
            parsed.push(item);
        }
    }
    assert!(buffer.is_empty());
    parsed
}

#[test]
fn postgres_requests_are_seen_however_reads_split_them() {
    let bytes = [
        message(b'p', b"password\0"),
        message(b'P', b"s1\0SELECT 1\0\0\0"),
        message(b'D', b"Ss1\0"),
        message(b'S', b""),
        message(b'B', b"\0s1\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'C', b"Ss1\0"),
        message(b'S', b""),
        message(b'Q', b"SELECT 2\0"),
        message(b'B', b"\0s1\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
        message(b'X', b""),
    ]
    .concat();
    let mut frontend = postgres::Frontend::default();
    let units = drip(&bytes, |buffer| frontend.next(buffer));
    assert_eq!(
        units.iter().flat_map(|unit| unit.bytes.to_vec()).collect::<Vec<_>>(),
        bytes
    );
    let operations: Vec<_> = units
        .iter()
        .map(|unit| unit.request.as_ref().map(|it| it.operation.to_string()))
        .collect();
    let expected = [
        None,
        Some("prepare: SELECT 1"),
        Some("SELECT 1"),
        Some("SELECT 2"),
        Some(""),
        None,
    ];
    assert_eq!(operations, expected.map(|text| text.map(str::to_owned)));
}

#[test]
fn mongo_requests_are_seen_however_reads_split_them() {
    let msg = |flags: i32, sections: &[u8]| {
        let length = i32::try_from(20 + sections.len()).unwrap();
        let header: Vec<u8> = [length, 7, 0, 2013, flags]
            .iter()
            .flat_map(|int| int.to_le_bytes())
            .collect();
        [header, sections.to_vec()].concat()
    };
    let body = |document: &Document| [vec![0], document.to_vec().unwrap()].concat();
    let insert = body(&doc! { "insert": "things", "$db": "test" });
    let sequence = [&[1][..], &9_i32.to_le_bytes(), b"docs\0"].concat();
    let bytes = [
        msg(0, &body(&doc! { "hello": 1 })),
        msg(0, &insert),
        msg(0, &[sequence, insert.clone()].concat()),
        msg(1 << 1, &insert),
        msg(0, &body(&doc! { "getMore": 5_i64, "collection": "things" })),
    ]
    .concat();
    let units = drip(&bytes, mongo::next);
    let operations: Vec<_> = units
        .iter()
        .map(|unit| unit.request.as_ref().map(|it| it.operation.to_string()))
        .collect();
    let expected = [
        None,
        Some("insert things"),
        Some("insert things"),
        None,
        Some("getMore"),
    ];
    assert_eq!(operations, expected.map(|text| text.map(str::to_owned)));
    assert!(
        units
            .iter()
            .flat_map(|unit| &unit.request)
            .all(|request| request.id == 7)
    );
}

#[test]
fn a_length_that_no_message_has_is_an_error() {
    for length in [-1, 0, 3, i32::MAX] {
        let mut buffer = BytesMut::from(&[b"Q".as_slice(), &length.to_be_bytes()].concat()[..]);
        assert!(postgres::Frontend::default().next(&mut buffer).is_err(), "{length}");
    }
}

#[tokio::test]
async fn new_connections_are_led_elsewhere_and_open_ones_stay() {
    let (one, other) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let proxy = FaultProxy::start(Protocol::Opaque, one.local_addr().unwrap().to_string())
        .await
        .unwrap();
    let mut early = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut at_one, _) = one.accept().await.unwrap();
    proxy.lead_to(other.local_addr().unwrap().to_string());
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut at_other, _) = other.accept().await.unwrap();

    early.write_all(b"1").await.unwrap();
    late.write_all(b"2").await.unwrap();
    assert_eq!(at_one.read_u8().await.unwrap(), b'1');
    assert_eq!(at_other.read_u8().await.unwrap(), b'2');
}
