//! The live socket: who gets in, what may be sent on it, how it ends, and what a client that missed something does.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chat_client::contract::v1::live_event::Event;
use chat_client::contract::v1::{CreateLiveTicketRequest, CreateLiveTicketResponse, LiveEvent, SendMessageRequest};
use chat_client::timeline::Timeline;
use chat_client::{ChatClient, Code, FollowOptions, Follower, History, LiveConnection, LiveOptions, Retries, State};
use chat_message::SendMessage;
use chat_operation::FromSettings;
use chat_stores::dynamo::{Connection, Registry};
use chat_testing::{call, user};
use chrono::Utc;
use futures::future::join_all;
use futures::{SinkExt as _, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::harness::{PATIENCE, Stack, eventually};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket with these subprotocols, or tells with what status it was refused.
async fn connect(url: &str, offer: Option<&str>) -> Result<Socket, u16> {
    let mut request = url.into_client_request().unwrap();
    if let Some(offer) = offer {
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", offer.parse().unwrap());
    }
    let connected = timeout(PATIENCE, tokio_tungstenite::connect_async(request)).await;
    match connected.unwrap() {
        Ok((socket, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
            Ok(socket)
        }
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn ticket(client: &ChatClient) -> CreateLiveTicketResponse {
    client.call(CreateLiveTicketRequest {}).await.unwrap()
}

fn offer(ticket: &str) -> String {
    format!("chat.v1, ticket.{ticket}")
}

async fn open(client: &ChatClient) -> Socket {
    let ticket = ticket(client).await;
    connect(&ticket.url, Some(&offer(&ticket.ticket))).await.unwrap()
}

async fn next(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap()
}

/// Sends a text frame and answers what comes back.
async fn ask(socket: &mut Socket, text: &str) -> Value {
    socket.send(Message::text(text)).await.unwrap();
    let answer = next(socket).await;
    serde_json::from_str(answer.to_text().unwrap()).unwrap()
}

/// Sends messages and answers the code that the service closes the socket with.
async fn closed_after(mut socket: Socket, messages: impl IntoIterator<Item = Message>) -> u16 {
    for message in messages {
        // The service may close before it has read all of it.
        let _ = socket.send(message).await;
    }
    match next(&mut socket).await {
        Message::Close(Some(frame)) => frame.code.into(),
        other => panic!("a close frame was expected, not {other:?}"),
    }
}

// ---- Who gets in ----

#[tokio::test]
async fn a_ticket_works_once() {
    let stack = Stack::start().await;
    let alice = stack.client("alice");
    let used = ticket(&alice).await;
    let mut first = connect(&used.url, Some(&offer(&used.ticket))).await.unwrap();
    assert_eq!(connect(&used.url, Some(&offer(&used.ticket))).await.unwrap_err(), 403);
    // The refused one did not harm the first, and the end of the first does not bring the ticket back.
    assert!(ask(&mut first, r#"{"ping":{}}"#).await["pong"].is_object());
    first.close(None).await.unwrap();
    eventually(async || stack.connections_of("alice").await, Vec::is_empty).await;
    assert_eq!(connect(&used.url, Some(&offer(&used.ticket))).await.unwrap_err(), 403);

    let raced = ticket(&alice).await;
    let raced_offer = offer(&raced.ticket);
    let attempts = join_all((0..8).map(|_| connect(&raced.url, Some(&raced_offer)))).await;
    let refused: Vec<u16> = attempts
        .iter()
        .filter_map(|attempt| attempt.as_ref().err().copied())
        .collect();
    assert_eq!(refused, [403; 7]);
    assert_eq!(stack.connections_of("alice").await.len(), 1);
}

/// A ticket of alice, as the service signs it, that works for so many seconds from now.
fn signed(key: &str, lifetime_seconds: i64) -> String {
    let mut body = vec![1];
    body.extend(rand::random::<[u8; 16]>());
    body.extend((Utc::now().timestamp() + lifetime_seconds).to_be_bytes());
    body.extend(0_i64.to_be_bytes());
    body.extend(b"alice");
    let key = STANDARD.decode(key).unwrap();
    let signature = Hmac::<Sha256>::new_from_slice(&key)
        .unwrap()
        .chain_update(b"chat.v1 live ticket\0")
        .chain_update(&body)
        .finalize();
    body.extend(signature.into_bytes());
    URL_SAFE_NO_PAD.encode(body)
}

#[tokio::test]
async fn without_a_good_ticket_nobody_gets_in() {
    let stack = Stack::start().await;
    let good = ticket(&stack.client("alice")).await;
    let key = stack.fixture.settings().get("TICKET_KEY").unwrap();
    let url = good.url.as_str();
    assert_eq!(connect(url, None).await.unwrap_err(), 401);
    let altered = good.ticket.replacen('A', "B", 1);
    assert_ne!(altered, good.ticket);
    let other_key = STANDARD.encode([7; 32]);
    for bad in [
        "chat.v1".to_owned(),
        offer(""),
        offer("garbage"),
        offer(&altered),
        offer(&"A".repeat(5_000)),
        offer(&signed(key, -1)),
        offer(&signed(&other_key, 30)),
        format!("ticket.{}", good.ticket),
        format!("chat.v2, ticket.{}", good.ticket),
        format!("chat.v1, {}", good.ticket),
    ] {
        assert_eq!(connect(url, Some(&bad)).await.unwrap_err(), 403, "{bad}");
    }
    assert_eq!(stack.connections_of("alice").await, []);
    // What was refused above was refused for the reason that it was meant to be.
    connect(url, Some(&offer(&signed(key, 30)))).await.unwrap();
    connect(url, Some(&offer(&good.ticket))).await.unwrap();
}

#[tokio::test]
async fn a_ticket_is_good_for_30_seconds_and_a_connection_for_as_long_as_its_token() {
    let stack = Stack::start().await;
    let ticket = ticket(&stack.client("alice")).await;
    let left = ticket.expires_at.unwrap().seconds - Utc::now().timestamp();
    assert!((1..=30).contains(&left), "{left}");

    let device = stack.device("alice").await;
    let welcome = device.connection().welcome();
    assert_eq!(welcome.user_id, "alice");
    let left = welcome.expires_at.as_ref().unwrap().seconds - Utc::now().timestamp();
    assert!(
        (3_500..=3_600).contains(&left),
        "the token of the test ends in an hour, not {left} s"
    );
    assert_eq!(
        stack.connections_of("alice").await[0].until.timestamp(),
        welcome.expires_at.as_ref().unwrap().seconds
    );
}

#[tokio::test]
async fn a_seventeenth_connection_closes_the_one_that_was_quiet_for_longest() {
    let stack = Stack::start().await;
    let alice = stack.client("alice");
    let mut oldest = open(&alice).await;
    let mut first = open(&alice).await;
    assert!(ask(&mut oldest, r#"{"hello":{}}"#).await["welcome"].is_object());
    assert!(ask(&mut first, r#"{"hello":{}}"#).await["welcome"].is_object());
    let mut devices = Vec::new();
    for _ in 0..14 {
        devices.push(stack.device("alice").await);
    }
    // A heartbeat, and the oldest is not the quietest any more.
    assert!(ask(&mut oldest, r#"{"ping":{}}"#).await["pong"].is_object());
    devices.push(stack.device("alice").await);
    let Message::Close(Some(frame)) = next(&mut first).await else {
        panic!("the replaced connection was to be closed")
    };
    assert_eq!(u16::from(frame.code), 1000);
    // Its $disconnect takes nobody with it, and all others are heard.
    let conversation = stack.fixture.open_direct("alice", "bob").await.to_string();
    let sent = stack.client("bob").send_text(&conversation, "Hi, all").await.unwrap();
    for device in &mut devices {
        assert_eq!(device.event().await, Event::MessageSent(sent.message.clone().unwrap()));
    }
    let pushed: LiveEvent =
        chat_client::contract::json::decode(next(&mut oldest).await.to_text().unwrap().as_bytes()).unwrap();
    assert_eq!(pushed.event, Some(Event::MessageSent(sent.message.unwrap())));
    assert_eq!(stack.connections_of("alice").await.len(), 16);
}

#[tokio::test]
async fn who_asks_for_tickets_too_often_is_told_when_to_come_back() {
    let stack = Stack::start().await;
    let alice = stack.client("alice");
    let refused = loop {
        match alice.call(CreateLiveTicketRequest {}).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::ResourceExhausted, Some("TOO_MANY_TICKETS"))
    );
    ticket(&stack.client("bob")).await;
}

// ---- What may be sent ----

#[tokio::test]
async fn garbage_is_answered_and_the_connection_lives_on() {
    let stack = Stack::start().await;
    let mut socket = open(&stack.client("alice")).await;
    for garbage in [
        "",
        " ",
        "hello",
        "{",
        "{}",
        "[]",
        "null",
        "0",
        r#""ping""#,
        r#"{"ping":1}"#,
        r#"{"shout":{}}"#,
        r#"{"action":"$disconnect"}"#,
        "\u{0}\u{feff}💥",
        &"[".repeat(30_000),
    ] {
        let answer = ask(&mut socket, garbage).await;
        assert_eq!(
            answer["error"]["reason"],
            json!("MALFORMED_FRAME"),
            "{garbage}: {answer}"
        );
        assert!(answer["error"]["message"].as_str().unwrap().contains(r#"{"ping":{}}"#));
    }
    let welcome = ask(&mut socket, r#"{"hello":{}}"#).await;
    assert_eq!(welcome["welcome"]["userId"], json!("alice"));
    assert_eq!(ask(&mut socket, r#"{"ping":{}}"#).await, json!({ "pong": {} }));

    // And it is still told what happens.
    let conversation = stack.fixture.open_direct("alice", "bob").await.to_string();
    stack.client("bob").send_text(&conversation, "Hi").await.unwrap();
    let event: LiveEvent =
        chat_client::contract::json::decode(next(&mut socket).await.to_text().unwrap().as_bytes()).unwrap();
    assert_eq!((event.revision, event.previous_revision), (1, 0));
}

#[tokio::test]
async fn frames_that_are_not_allowed_close_the_socket_with_their_code() {
    let stack = Stack::start().await;
    let alice = stack.client("alice");
    let fragment =
        |size: usize, kind, is_final| Message::Frame(Frame::message("x".repeat(size), OpCode::Data(kind), is_final));
    let fragments = |count: usize| {
        (0..count).map(move |index| {
            let kind = if index == 0 { Data::Text } else { Data::Continue };
            fragment(32 * 1024, kind, index + 1 == count)
        })
    };
    let binary = Message::binary(br#"{"ping":{}}"#.to_vec());
    assert_eq!(closed_after(open(&alice).await, [binary]).await, 1003);
    let oversize = Message::text("x".repeat(32 * 1024 + 1));
    assert_eq!(closed_after(open(&alice).await, [oversize]).await, 1009);
    assert_eq!(closed_after(open(&alice).await, fragments(5)).await, 1009);
    let broken = fragment(1, Data::Continue, true);
    assert_eq!(closed_after(open(&alice).await, [broken]).await, 1002);
    let not_text = Message::Frame(Frame::message(vec![0xff], OpCode::Data(Data::Text), true));
    assert_eq!(closed_after(open(&alice).await, [not_text]).await, 1007);
    eventually(async || stack.connections_of("alice").await, Vec::is_empty).await;

    // The largest of each is let through, to be answered.
    let mut socket = open(&alice).await;
    for message in fragments(4) {
        socket.send(message).await.unwrap();
    }
    let answer = next(&mut socket).await;
    assert!(answer.to_text().unwrap().contains("MALFORMED_FRAME"));
}

#[tokio::test]
async fn a_connection_that_floods_is_closed_and_no_other() {
    let stack = Stack::start().await;
    let alice = stack.client("alice");
    let (mut flooding, mut other) = (open(&alice).await, open(&alice).await);
    let mut answered = 0;
    let end = loop {
        // The service may close before it has read all of it.
        let _ = flooding.send(Message::text(r#"{"ping":{}}"#)).await;
        match next(&mut flooding).await {
            Message::Text(text) if text.contains("pong") => answered += 1,
            // Rarely, the answer is faster than the end that comes with it.
            Message::Text(text) => assert!(text.contains("TOO_MANY_FRAMES"), "{text}"),
            Message::Close(frame) => break frame.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(end.code), 1000);
    assert!(answered >= 20, "{answered}");
    assert!(ask(&mut other, r#"{"ping":{}}"#).await["pong"].is_object());
    eventually(async || stack.connections_of("alice").await.len(), |open| *open == 1).await;
}

#[tokio::test]
async fn a_connection_that_the_registry_has_lost_is_closed_by_its_heartbeat() {
    let stack = Stack::start().await;
    let mut socket = open(&stack.client("alice")).await;
    let connection = stack.connections_of("alice").await.remove(0);
    let registry = Registry::from_settings(stack.fixture.settings()).unwrap();
    let Connection {
        user,
        ticket,
        id,
        ticket_until,
        ..
    } = &connection;
    registry
        .unregister(user, *ticket, id, *ticket_until, Utc::now())
        .await
        .unwrap();
    socket.send(Message::text(r#"{"ping":{}}"#)).await.unwrap();
    let end = loop {
        match next(&mut socket).await {
            // Rarely, the answer is faster than the end that comes with it.
            Message::Text(text) => assert!(text.contains("NOT_CONNECTED"), "{text}"),
            Message::Close(frame) => break frame.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(end.code), 1000);
}

// ---- How it ends, and what follows ----

#[tokio::test]
async fn a_connection_that_ends_is_forgotten() {
    let (stack, faults) = Stack::with_faults().await;
    let (closed, lost) = (stack.device("alice").await, stack.device("alice").await);
    assert_eq!(stack.connections_of("alice").await.len(), 2);
    closed.close().await;
    eventually(async || stack.connections_of("alice").await.len(), |open| *open == 1).await;
    for proxy in &faults.sockets {
        proxy.cut_all();
    }
    eventually(async || stack.connections_of("alice").await, Vec::is_empty).await;
    drop(lost);
}

/// Follows without long pauses, and syncs only for a reason.
fn patient() -> FollowOptions {
    FollowOptions {
        pauses: Retries {
            attempts_max: u32::MAX,
            pause: Duration::from_millis(20),
            pause_max: Duration::from_millis(100),
        },
        history: History::Newest,
        ..FollowOptions::default()
    }
}

fn texts(state: &State, conversation_id: &str) -> Vec<String> {
    let timeline = state.conversation(conversation_id);
    let messages = timeline.into_iter().flat_map(Timeline::messages);
    messages.map(|message| message.text.clone()).collect()
}

/// Sends without telling anyone: the sender dies before delivery.
async fn send_in_silence(stack: &Stack, sender: &str, conversation_id: &str, text: &str) {
    let send: SendMessage = stack.fixture.operation();
    let request: SendMessageRequest = ChatClient::text_message(conversation_id, text);
    call(&send, sender, request).await.unwrap();
}

#[tokio::test]
async fn a_client_whose_socket_was_cut_recovers_with_one_sync() {
    let (stack, faults) = Stack::with_faults().await;
    let conversation = stack.fixture.open_direct("alice", "bob").await.to_string();
    let bob = stack.client("bob");
    bob.send_text(&conversation, "before").await.unwrap();
    let follower = Follower::start(stack.client("alice"), patient());
    let state = follower.wait_until(PATIENCE, State::is_whole).await.unwrap();
    assert_eq!(texts(&state, &conversation), ["before"]);
    let syncs = state.syncs();

    for proxy in &faults.sockets {
        proxy.refuse();
        proxy.cut_all();
    }
    follower.wait_until(PATIENCE, |state| !state.is_live()).await.unwrap();
    for text in ["missed", "missed too"] {
        bob.send_text(&conversation, text).await.unwrap();
    }
    for proxy in &faults.sockets {
        proxy.accept();
    }
    let state = follower
        .wait_until(PATIENCE, |state| texts(state, &conversation).len() == 3)
        .await
        .unwrap();
    assert_eq!(texts(&state, &conversation), ["before", "missed", "missed too"]);
    assert_eq!(state.conversation(&conversation).unwrap().unread_count(), 3);
    follower
        .wait_until(PATIENCE, |state| state.syncs() == syncs + 1)
        .await
        .unwrap();
    // With its new ticket it is as good as before: what follows comes live.
    bob.send_text(&conversation, "after").await.unwrap();
    let state = follower
        .wait_until(PATIENCE, |state| texts(state, &conversation).len() == 4)
        .await
        .unwrap();
    assert_eq!(
        (texts(&state, &conversation)[3].as_str(), state.syncs()),
        ("after", syncs + 1)
    );
}

#[tokio::test]
async fn a_client_that_missed_a_push_recovers_with_one_sync_after_the_next() {
    let stack = Stack::start().await;
    let conversation = stack.fixture.open_direct("alice", "bob").await.to_string();
    let follower = Follower::start(stack.client("alice"), patient());
    let syncs = follower.wait_until(PATIENCE, State::is_whole).await.unwrap().syncs();
    send_in_silence(&stack, "bob", &conversation, "unheard").await;
    stack.client("bob").send_text(&conversation, "heard").await.unwrap();
    let state = follower
        .wait_until(PATIENCE, |state| texts(state, &conversation).len() == 2)
        .await
        .unwrap();
    assert_eq!(texts(&state, &conversation), ["unheard", "heard"]);
    let state = follower
        .wait_until(PATIENCE, |state| state.syncs() > syncs)
        .await
        .unwrap();
    assert_eq!(state.syncs(), syncs + 1);
}

#[tokio::test]
async fn a_heartbeat_finds_what_nobody_told() {
    let stack = Stack::start().await;
    let conversation = stack.fixture.open_direct("alice", "bob").await.to_string();
    let options = FollowOptions {
        live: LiveOptions {
            // Not more often than a connection may send frames.
            heartbeat: Duration::from_millis(600),
            ..LiveOptions::default()
        },
        ..patient()
    };
    let follower = Follower::start(stack.client("alice"), options);
    follower.wait_until(PATIENCE, State::is_whole).await.unwrap();
    send_in_silence(&stack, "bob", &conversation, "unheard").await;
    let state = follower
        .wait_until(PATIENCE, |state| !texts(state, &conversation).is_empty())
        .await
        .unwrap();
    assert_eq!(texts(&state, &conversation), ["unheard"]);
    assert!(state.is_live() && state.failure().is_none());

    // Anyone's heartbeat is answered.
    let options = LiveOptions {
        heartbeat: Duration::from_millis(20),
        ..LiveOptions::default()
    };
    let mut connection = LiveConnection::open(&stack.client("bob"), options).await.unwrap();
    for _ in 0..3 {
        let event = timeout(PATIENCE, connection.next()).await.unwrap().unwrap();
        assert!(matches!(event.event, Some(Event::Pong(_))), "{event:?}");
    }
}

#[tokio::test]
async fn a_conversation_that_is_opened_meanwhile_is_found() {
    let stack = Stack::start().await;
    let follower = Follower::start(stack.client("alice"), patient());
    follower.wait_until(PATIENCE, State::is_whole).await.unwrap();
    // Opened past the service, so that nobody is told.
    let conversation = stack.fixture.open_direct("alice", "bob").await.to_string();
    stack.client("bob").send_text(&conversation, "Hi").await.unwrap();
    let state = follower
        .wait_until(PATIENCE, |state| !texts(state, &conversation).is_empty())
        .await
        .unwrap();
    assert_eq!(texts(&state, &conversation), ["Hi"]);
    let position = |of| state.conversation(&conversation).unwrap().read_position(of);
    assert_eq!(
        (position("alice"), position("bob"), position("carol")),
        (Some(0), Some(0), None)
    );
    assert_eq!(state.user_id(), user("alice").as_str());
}
