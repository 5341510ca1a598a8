use std::collections::HashSet;
use std::sync::Mutex;

use chat_contract::Rpc;
use chat_contract::v1::{
    ConversationOpened, CreateLiveTicketRequest, CreateLiveTicketResponse, FriendChanged, FriendState, LiveRequest,
    MarkConversationReadRequest, MarkConversationReadResponse, Message, Poke, Pong, ReadPositionMoved,
    SendMessageRequest, SendMessageResponse, SyncConversationsRequest, Welcome, feed_change, live_request,
};
use futures::{SinkExt, StreamExt};
use prost::Message as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::*;
use crate::error::Outcome;
use crate::live::{LiveEnd, LiveError};
use crate::model::{ALICE, BOB, FeedModel, Service};
use crate::scripted::{Reaction, Scripted, Seen, frame, grpc_web, http_answer, ok};

/// How long anything may take; what goes well takes milliseconds.
const SOON: Duration = Duration::from_secs(10);
/// Longer than any test.
const NEVER: Duration = Duration::from_hours(1);
const CONVERSATION: &str = "c";

/// The service's side: real sockets, one conversation of Alice and Bob, and a log of what a client did.
struct Peer {
    shared: Arc<PeerState>,
    http: Scripted,
    _sockets: JoinSet<()>,
}

struct PeerState {
    url: String,
    service: Mutex<Service>,
    feed: Mutex<FeedModel>,
    is_member: Mutex<bool>,
    /// What happens to the next sends; when there is nothing more, they are done.
    sends: Mutex<Vec<Reaction>>,
    sent: Mutex<Vec<Message>>,
    /// How many of the next syncs start over.
    resets: Mutex<u32>,
    answers_pings: Mutex<bool>,
    tickets: Mutex<HashSet<String>>,
    tickets_made: Mutex<u32>,
    sockets: Mutex<Vec<mpsc::UnboundedSender<Option<LiveEvent>>>>,
    log: Mutex<Vec<String>>,
}

impl Peer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(PeerState {
            url: format!("ws://{}/live", listener.local_addr().unwrap()),
            service: Mutex::default(),
            feed: Mutex::default(),
            is_member: Mutex::new(true),
            sends: Mutex::default(),
            sent: Mutex::default(),
            resets: Mutex::default(),
            answers_pings: Mutex::new(true),
            tickets: Mutex::default(),
            tickets_made: Mutex::default(),
            sockets: Mutex::default(),
            log: Mutex::default(),
        });
        shared.join(true);
        let mut sockets = JoinSet::new();
        let accepting = shared.clone();
        sockets.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.spawn(accepting.clone().serve(stream));
            }
        });
        let answering = shared.clone();
        let http = Scripted::start(move |_, request| answering.answer(request)).await;
        Self {
            shared,
            http,
            _sockets: sockets,
        }
    }

    fn client(&self) -> ChatClient {
        ChatClient::new(&self.http.url).unwrap()
    }

    /// Follows with a patience that only what a test is about can cut short.
    fn follow(&self, change: impl FnOnce(&mut FollowOptions)) -> Follower {
        let mut options = FollowOptions {
            live: LiveOptions {
                heartbeat: NEVER,
                pong_timeout: SOON,
            },
            gap_wait: NEVER,
            poll_interval: NEVER,
            push_wait: NEVER,
            mark_interval: Duration::ZERO,
            history: History::Newest,
            pauses: Retries {
                attempts_max: 1,
                pause: Duration::from_millis(1),
                pause_max: Duration::from_millis(5),
            },
        };
        change(&mut options);
        Follower::start(self.client(), options)
    }

    /// Bob says something. Answers what is pushed about it.
    fn send(&self) -> LiveEvent {
        let message = self.shared.service.lock().unwrap().send(BOB);
        pushed(message)
    }

    fn push(&self, event: &LiveEvent) {
        for socket in self.shared.sockets.lock().unwrap().iter() {
            let _ = socket.send(Some(event.clone()));
        }
    }

    /// Breaks all sockets without a word.
    fn cut(&self) {
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.send(None);
        }
    }

    fn log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap().clone()
    }
}

impl PeerState {
    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    /// Alice joins or leaves the conversation. Answers the revision of her feed.
    fn join(&self, is_member: bool) -> i64 {
        *self.is_member.lock().unwrap() = is_member;
        let conversation = self.service.lock().unwrap().conversation(CONVERSATION);
        self.feed.lock().unwrap().join(conversation, is_member)
    }

    /// A message of Alice's, which is the first one's answer when it is repeated.
    fn take_sent(&self, request: &SendMessageRequest) -> SendMessageResponse {
        let mut sent = self.sent.lock().unwrap();
        let first = sent
            .iter()
            .find(|it| it.client_message_id == request.client_message_id)
            .cloned();
        let deduplicated = first.is_some();
        let message = first.unwrap_or_else(|| {
            let message = Message {
                client_message_id: request.client_message_id.clone(),
                conversation_id: request.conversation_id.clone(),
                ..self.service.lock().unwrap().send(ALICE)
            };
            sent.push(message.clone());
            message
        });
        SendMessageResponse {
            message: Some(message),
            deduplicated,
        }
    }

    fn answer(&self, request: &Seen) -> Reaction {
        let body = &request.body[5..];
        match request.path.as_str() {
            CreateLiveTicketRequest::PATH => {
                self.note("ticket");
                let mut made = self.tickets_made.lock().unwrap();
                *made += 1;
                let ticket = format!("t{made}");
                self.tickets.lock().unwrap().insert(ticket.clone());
                ok(&CreateLiveTicketResponse {
                    ticket,
                    url: self.url.clone(),
                    expires_at: None,
                })
            }
            ListMessagesRequest::PATH => {
                self.note("page");
                let request = ListMessagesRequest::decode(body).unwrap();
                let before = match request.position {
                    Some(Position::BeforeSeq(seq)) => seq,
                    _ => i64::MAX,
                };
                let size = usize::try_from(request.page_size).unwrap();
                ok(&self.service.lock().unwrap().page(before, size))
            }
            SendMessageRequest::PATH => {
                let request = SendMessageRequest::decode(body).unwrap();
                let SendMessageRequest {
                    client_message_id: id,
                    retry,
                    read_seq,
                    ..
                } = &request;
                self.note(format!("send {id} retry={retry} read={read_seq}"));
                let next = self.sends.lock().unwrap().pop();
                next.unwrap_or_else(|| ok(&self.take_sent(&request)))
            }
            MarkConversationReadRequest::PATH => {
                let request = MarkConversationReadRequest::decode(body).unwrap();
                self.note(format!("mark {}", request.read_seq));
                let mut service = self.service.lock().unwrap();
                let moved = service.read(0, request.read_seq);
                ok(&MarkConversationReadResponse {
                    read_seq: moved.read_seq,
                    unread_count: service.unread(),
                    counted_seq: service.message_count,
                    settings: None,
                })
            }
            SyncConversationsRequest::PATH => {
                self.note("sync");
                ok(&self.sync(&SyncConversationsRequest::decode(body).unwrap()))
            }
            path => http_answer("404 Not Found", &[], path.as_bytes()),
        }
    }

    fn sync(&self, request: &SyncConversationsRequest) -> SyncConversationsResponse {
        let service = self.service.lock().unwrap();
        let mut answer = SyncConversationsResponse::default();
        for cursor in &request.cursors {
            if !*self.is_member.lock().unwrap() {
                answer.lost_conversation_ids.push(cursor.conversation_id.clone());
                continue;
            }
            let mut sync = service.sync(cursor, 10);
            let mut resets = self.resets.lock().unwrap();
            if *resets > 0 {
                *resets -= 1;
                sync.reset = true;
                sync.changes.clear();
                sync.cursor.as_mut().unwrap().revision = service.head();
                sync.incomplete = false;
            }
            answer.conversations.push(sync);
        }
        answer.feed = request
            .feed
            .as_ref()
            .map(|cursor| self.feed.lock().unwrap().sync(cursor, 3));
        for change in answer.feed.iter_mut().flat_map(|feed| &mut feed.changes) {
            if let Some(feed_change::Change::Membership(membership)) = &mut change.change {
                membership.conversation = Some(service.conversation(CONVERSATION));
            }
        }
        answer
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        #[expect(clippy::result_large_err, reason = "the library's callback has this form")]
        let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let offer = request.headers()["sec-websocket-protocol"].to_str().unwrap();
            let ticket = offer.strip_prefix("chat.v1, ticket.").unwrap();
            if !self.tickets.lock().unwrap().remove(ticket) {
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = http::StatusCode::UNAUTHORIZED;
                return Err(refusal);
            }
            response
                .headers_mut()
                .insert("sec-websocket-protocol", "chat.v1".parse().unwrap());
            Ok(response)
        };
        let Ok(mut socket) = accept_hdr_async(stream, check).await else {
            return;
        };
        let (sender, mut pushes) = mpsc::unbounded_channel();
        loop {
            let event = tokio::select! {
                event = pushes.recv() => match event.unwrap() {
                    Some(event) => event,
                    None => return,
                },
                received = socket.next() => match received {
                    Some(Ok(Frame::Text(text))) => match chat_contract::json::decode::<LiveRequest>(text.as_bytes()).unwrap().request.unwrap() {
                        live_request::Request::Hello(_) => {
                            self.note("hello");
                            self.sockets.lock().unwrap().push(sender.clone());
                            let welcome = Welcome { user_id: ALICE.into(), expires_at: None };
                            LiveEvent { event: Some(Event::Welcome(welcome)), ..LiveEvent::default() }
                        }
                        live_request::Request::Ping(_) if *self.answers_pings.lock().unwrap() => {
                            LiveEvent { event: Some(Event::Pong(Pong {})), ..LiveEvent::default() }
                        }
                        live_request::Request::Ping(_) => continue,
                    },
                    Some(Ok(Frame::Close(_))) => {
                        self.note("close");
                        continue;
                    }
                    Some(Ok(_)) => continue,
                    _ => return,
                },
            };
            let text = serde_json::to_string(&event).unwrap();
            if socket.send(Frame::text(text)).await.is_err() {
                return;
            }
        }
    }
}

fn pushed(message: Message) -> LiveEvent {
    LiveEvent {
        conversation_id: CONVERSATION.into(),
        revision: message.revision,
        previous_revision: message.revision - 1,
        event: Some(Event::MessageSent(message)),
        feed_revision: 0,
    }
}

fn seqs(state: &State) -> Vec<i64> {
    state
        .conversation(CONVERSATION)
        .map(|timeline| timeline.messages().map(|it| it.seq).collect())
        .unwrap_or_default()
}

async fn shows(follower: &Follower, expected: impl IntoIterator<Item = i64>) {
    let expected: Vec<_> = expected.into_iter().collect();
    follower
        .wait_until(SOON, |state| seqs(state) == expected && state.is_whole())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_socket_listens_before_the_first_sync() {
    let peer = Peer::start().await;
    peer.send();
    let follower = peer.follow(|_| {});
    shows(&follower, [1]).await;
    let state = follower.wait_until(SOON, |state| state.syncs() > 0).await.unwrap();
    assert_eq!((state.user_id(), state.is_live(), state.failure()), (ALICE, true, None));
    assert_eq!(peer.log(), ["ticket", "hello", "sync", "sync", "page", "sync"]);
}

#[tokio::test]
async fn contiguous_pushes_are_shown_without_a_sync() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    let syncs = peer.log().len();
    for _ in 0..3 {
        peer.push(&peer.send());
    }
    shows(&follower, 1..=3).await;
    assert_eq!(peer.log().len(), syncs);
}

#[tokio::test]
async fn a_lost_push_is_fetched_once_the_wait_is_over() {
    let peer = Peer::start().await;
    let follower = peer.follow(|options| options.gap_wait = Duration::from_millis(5));
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    peer.send();
    peer.push(&peer.send());
    shows(&follower, [1, 2]).await;
}

#[tokio::test]
async fn a_gap_that_closes_by_itself_needs_no_sync() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    let syncs = peer.log().len();
    let (first, second) = (peer.send(), peer.send());
    peer.push(&second);
    peer.push(&first);
    shows(&follower, [1, 2]).await;
    assert_eq!(peer.log().len(), syncs);
}

#[tokio::test]
async fn a_heartbeat_finds_what_was_never_pushed() {
    let peer = Peer::start().await;
    let follower = peer.follow(|options| options.live.heartbeat = Duration::from_millis(20));
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    peer.send();
    shows(&follower, [1]).await;
}

#[tokio::test]
async fn a_poke_or_an_unknown_event_makes_the_client_sync_at_once() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    let about = LiveEvent {
        conversation_id: CONVERSATION.into(),
        ..LiveEvent::default()
    };
    peer.send();
    peer.push(&LiveEvent {
        revision: 1,
        event: Some(Event::Poke(Poke {})),
        ..about.clone()
    });
    shows(&follower, [1]).await;
    peer.send();
    peer.push(&about);
    shows(&follower, [1, 2]).await;
}

#[tokio::test]
async fn read_positions_arrive_live() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    peer.push(&peer.send());
    shows(&follower, [1]).await;
    assert_eq!(follower.state().conversation(CONVERSATION).unwrap().unread_count(), 1);
    for user_id in [ALICE, BOB] {
        let moved = ReadPositionMoved {
            user_id: user_id.into(),
            read_seq: 1,
            ..ReadPositionMoved::default()
        };
        let event = Some(Event::ReadPositionMoved(moved));
        peer.push(&LiveEvent {
            conversation_id: CONVERSATION.into(),
            event,
            ..LiveEvent::default()
        });
    }
    let read = |state: &State| state.conversation(CONVERSATION).unwrap().read_position(BOB) == Some(1);
    let state = follower.wait_until(SOON, read).await.unwrap();
    assert_eq!(state.conversation(CONVERSATION).unwrap().unread_count(), 0);
}

#[tokio::test]
async fn a_broken_socket_is_replaced_with_a_new_ticket() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    peer.cut();
    peer.send();
    shows(&follower, [1]).await;
    assert_eq!(*peer.shared.tickets_made.lock().unwrap(), 2);
    peer.push(&peer.send());
    shows(&follower, [1, 2]).await;
}

#[tokio::test]
async fn a_service_that_answers_no_heartbeat_counts_as_gone() {
    let peer = Peer::start().await;
    *peer.shared.answers_pings.lock().unwrap() = false;
    let beat = Duration::from_millis(5);
    let live = LiveOptions {
        heartbeat: beat,
        pong_timeout: beat,
    };
    let mut connection = LiveConnection::open(&peer.client(), live).await.unwrap();
    assert_eq!(connection.next().await, None);
    assert_eq!(connection.close().await, LiveEnd::Silent);
}

#[tokio::test]
async fn a_change_that_is_still_being_written_is_waited_for() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    peer.push(&peer.send());
    shows(&follower, [1]).await;
    let (_, second) = (peer.send(), peer.send());
    peer.shared.service.lock().unwrap().unwritten.insert(2);
    follower.sync();
    let held_back = |state: &State| state.conversation(CONVERSATION).is_some_and(|it| it.head() == 3);
    assert_eq!(seqs(&follower.wait_until(SOON, held_back).await.unwrap()), [1]);
    // What comes after it is shown, and the cursor waits.
    peer.push(&second);
    let syncs = follower.state().syncs();
    let state = follower
        .wait_until(SOON, |state| state.syncs() > syncs + 1 && seqs(state).len() > 1)
        .await
        .unwrap();
    assert_eq!((seqs(&state), state.is_whole()), (vec![1, 3], false));
    assert_eq!(state.conversation(CONVERSATION).unwrap().cursor_revision(), 1);
    peer.shared.service.lock().unwrap().unwritten.clear();
    shows(&follower, 1..=3).await;
}

#[tokio::test]
async fn a_page_ends_below_an_open_place_and_a_sync_goes_on_from_there() {
    let peer = Peer::start().await;
    for _ in 0..3 {
        peer.send();
    }
    peer.shared.service.lock().unwrap().unwritten.insert(2);
    let follower = peer.follow(|_| {});
    let state = follower
        .wait_until(SOON, |state| !seqs(state).is_empty())
        .await
        .unwrap();
    assert_eq!((seqs(&state), state.is_whole()), (vec![1], false));
    peer.shared.service.lock().unwrap().unwritten.clear();
    shows(&follower, 1..=3).await;
}

#[tokio::test]
async fn a_conversation_that_cannot_start_yet_is_asked_for_until_it_can() {
    let peer = Peer::start().await;
    peer.send();
    peer.shared.service.lock().unwrap().unwritten.insert(1);
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, |state| state.syncs() > 2).await.unwrap();
    assert!(!peer.log().contains(&"page".to_owned()));
    peer.shared.service.lock().unwrap().unwritten.clear();
    shows(&follower, [1]).await;
}

#[tokio::test]
async fn a_long_absence_is_caught_up_in_several_rounds() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    for _ in 0..35 {
        peer.send();
    }
    follower.sync();
    shows(&follower, 1..=35).await;
}

#[tokio::test]
async fn a_reset_loads_history_anew() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    for _ in 0..150 {
        peer.send();
    }
    *peer.shared.resets.lock().unwrap() = 1;
    follower.sync();
    shows(&follower, 51..=150).await;
    follower.load_older(CONVERSATION).await.unwrap();
    assert_eq!(seqs(&follower.state()), (1..=150).collect::<Vec<_>>());
}

#[tokio::test]
async fn all_of_history_is_loaded_when_asked_for() {
    let peer = Peer::start().await;
    for _ in 0..250 {
        peer.send();
    }
    let follower = peer.follow(|options| options.history = History::All);
    shows(&follower, 1..=250).await;
    assert!(!follower.state().conversation(CONVERSATION).unwrap().has_older());
}

#[tokio::test]
async fn conversations_come_and_go() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    peer.shared.join(false);
    follower.sync();
    follower
        .wait_until(SOON, |state| state.conversations().len() == 0)
        .await
        .unwrap();
    let feed_revision = peer.shared.join(true);
    let opened = ConversationOpened {
        conversation: Some(peer.shared.service.lock().unwrap().conversation(CONVERSATION)),
    };
    peer.push(&LiveEvent {
        conversation_id: CONVERSATION.into(),
        event: Some(Event::ConversationOpened(opened)),
        feed_revision,
        ..LiveEvent::default()
    });
    follower
        .wait_until(SOON, |state| state.conversations().len() == 1 && state.is_whole())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_does_not_come_about_is_told_with_what_is_known() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    peer.send();
    shows(&follower, [1]).await;
    let late = follower
        .wait_until(Duration::from_millis(1), |state| seqs(state).len() == 2)
        .await
        .unwrap_err();
    assert_eq!(
        late.to_string(),
        format!(
            "not within 1 ms; by then: \"alice\" is live, {} syncs; c at 1 of 1 shows 1",
            follower.state().syncs()
        )
    );
}

#[tokio::test]
async fn stopping_closes_the_socket() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    assert!(!follower.stop().await.is_live());
    assert_eq!(peer.log().last().unwrap(), "close");
}

#[tokio::test]
async fn a_follower_goes_on_when_the_service_fails_for_a_while() {
    let peer = Peer::start().await;
    let failing = Arc::new(Mutex::new(3));
    let (shared, left) = (peer.shared.clone(), failing.clone());
    let front = Scripted::start(move |_, request| {
        let mut left = left.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return grpc_web(&frame(0x80, b"grpc-status:13\r\n"));
        }
        shared.answer(request)
    })
    .await;
    peer.send();
    let options = FollowOptions {
        history: History::Newest,
        pauses: Retries {
            attempts_max: 1,
            pause: Duration::from_millis(1),
            pause_max: Duration::from_millis(5),
        },
        ..FollowOptions::default()
    };
    let follower = Follower::start(ChatClient::new(&front.url).unwrap(), options);
    shows(&follower, [1]).await;
    *failing.lock().unwrap() = 2;
    peer.send();
    follower.sync();
    shows(&follower, [1, 2]).await;
}

#[tokio::test]
async fn a_ticket_works_once_and_a_refusal_is_told() {
    let peer = Peer::start().await;
    let url = peer.shared.url.clone();
    let stale = Scripted::start(move |_, _| {
        ok(&CreateLiveTicketResponse {
            ticket: "stale".into(),
            url: url.clone(),
            expires_at: None,
        })
    })
    .await;
    let refused = LiveConnection::open(&ChatClient::new(&stale.url).unwrap(), LiveOptions::default()).await;
    assert!(
        matches!(refused, Err(LiveError::Refused(http::StatusCode::UNAUTHORIZED))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_ticket_goes_to_no_place_that_is_not_a_socket() {
    for url in ["http://127.0.0.1/live", "", "wss://"] {
        let odd = Scripted::start(move |_, _| {
            ok(&CreateLiveTicketResponse {
                ticket: "t".into(),
                url: url.into(),
                expires_at: None,
            })
        })
        .await;
        let refused = LiveConnection::open(&ChatClient::new(&odd.url).unwrap(), LiveOptions::default()).await;
        assert!(matches!(refused, Err(LiveError::Url { .. })), "{url}: {refused:?}");
    }
}

#[test]
fn a_connection_is_replaced_before_it_ends() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let in_seconds = |seconds: u64| {
        let expires_at = Timestamp {
            seconds: i64::try_from(now + seconds).unwrap(),
            nanos: 0,
        };
        renewal(Some(&expires_at)).as_secs()
    };
    assert!((7_135..=7_140).contains(&in_seconds(7_200)));
    assert!((70..=75).contains(&in_seconds(100)));
    assert_eq!(in_seconds(0), 1);
    assert_eq!(
        renewal(Some(&Timestamp {
            seconds: i64::MIN,
            nanos: 0
        })),
        Duration::from_secs(1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_followers_show_the_same_although_pushes_are_lost_and_sockets_break() {
    for seed in 0..5 {
        let random = &mut StdRng::seed_from_u64(seed);
        let peer = Peer::start().await;
        let followers: Vec<_> = (0..3)
            .map(|_| {
                peer.follow(|options| {
                    options.gap_wait = Duration::from_millis(2);
                    options.live.heartbeat = Duration::from_millis(50);
                })
            })
            .collect();
        let mut late = Vec::new();
        for _ in 0..60 {
            let event = peer.send();
            if random.random_bool(0.1) {
                peer.shared.service.lock().unwrap().die(BOB);
            }
            match random.random_range(0..10) {
                0 => {}
                1 | 2 => late.push(event),
                3 => {
                    peer.push(&event);
                    peer.push(&event);
                }
                _ => peer.push(&event),
            }
            if random.random_bool(0.2) {
                late.shuffle(random);
                late.drain(..).for_each(|event| peer.push(&event));
            }
            if random.random_bool(0.05) {
                peer.cut();
            }
            tokio::task::yield_now().await;
        }
        let (head, expected) = {
            let service = peer.shared.service.lock().unwrap();
            let expected: Vec<Message> = service.page(i64::MAX, 1_000).messages;
            (service.head(), expected)
        };
        for follower in followers {
            let caught_up = |state: &State| {
                state.is_whole() && state.conversation(CONVERSATION).is_some_and(|it| it.head() == head)
            };
            let state = follower.wait_until(SOON, caught_up).await.unwrap();
            let shown: Vec<_> = state.conversation(CONVERSATION).unwrap().messages().cloned().collect();
            assert_eq!(shown, expected, "seed {seed}");
        }
    }
}

fn friend_event(revision_and_friend: (i64, chat_contract::v1::Friend)) -> LiveEvent {
    let (feed_revision, friend) = revision_and_friend;
    LiveEvent {
        event: Some(Event::FriendChanged(FriendChanged { friend: Some(friend) })),
        feed_revision,
        ..LiveEvent::default()
    }
}

fn friends(state: &State) -> Vec<&str> {
    let mut friends: Vec<_> = state.friends().map(|friend| friend.user_id.as_str()).collect();
    friends.sort_unstable();
    friends
}

#[tokio::test]
async fn friends_are_listed_followed_and_found_again_after_a_lost_event() {
    let peer = Peer::start().await;
    let befriend = |name: &str, state| peer.shared.feed.lock().unwrap().befriend(name, state);
    for name in ["bob", "carol", "dave", "erin", "frank"] {
        befriend(name, FriendState::Accepted);
    }
    let follower = peer.follow(|options| options.gap_wait = Duration::from_millis(5));
    let state = follower.wait_until(SOON, State::is_whole).await.unwrap();
    assert_eq!(friends(&state), ["bob", "carol", "dave", "erin", "frank"]);
    let calls = peer.log().len();
    peer.push(&friend_event(befriend("bob", FriendState::Unspecified)));
    peer.push(&friend_event(befriend("grace", FriendState::RequestReceived)));
    let changed = |state: &State| state.friend("grace").is_some();
    let state = follower.wait_until(SOON, changed).await.unwrap();
    assert_eq!(friends(&state), ["carol", "dave", "erin", "frank", "grace"]);
    assert_eq!((state.is_whole(), peer.log().len()), (true, calls));
    // One event is lost: the next one tells.
    befriend("carol", FriendState::Unspecified);
    peer.push(&friend_event(befriend("grace", FriendState::Accepted)));
    let changed = |state: &State| state.is_whole() && state.friend("carol").is_none();
    let state = follower.wait_until(SOON, changed).await.unwrap();
    assert_eq!(friends(&state), ["dave", "erin", "frank", "grace"]);
    assert_eq!(state.friend("grace").unwrap().state(), FriendState::Accepted);
}

#[tokio::test]
async fn a_conversation_is_a_line_of_a_list_until_it_is_opened() {
    let peer = Peer::start().await;
    peer.send();
    let follower = peer.follow(|options| options.history = History::OnDemand);
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    peer.push(&peer.send());
    let heard = |state: &State| state.conversation(CONVERSATION).is_some_and(|it| it.head() == 2);
    let state = follower.wait_until(SOON, heard).await.unwrap();
    let timeline = state.conversation(CONVERSATION).unwrap();
    assert_eq!(
        (timeline.messages().count(), timeline.unread_count(), state.is_whole()),
        (0, 2, true)
    );
    assert_eq!(timeline.last_message().unwrap().seq, 2);
    assert!(!peer.log().contains(&"page".to_owned()));
    follower.open(CONVERSATION);
    shows(&follower, [1, 2]).await;
    follower.close(CONVERSATION);
    let state = follower.state();
    assert_eq!((seqs(&state), state.is_whole()), (vec![], true));
    follower.open(CONVERSATION);
    shows(&follower, [1, 2]).await;
}

#[tokio::test]
async fn a_conversation_can_be_opened_before_it_is_known() {
    let peer = Peer::start().await;
    peer.send();
    let follower = peer.follow(|options| options.history = History::OnDemand);
    follower.open(CONVERSATION);
    shows(&follower, [1]).await;
}

#[tokio::test]
async fn without_a_live_connection_it_syncs_on_a_timer() {
    let peer = Peer::start().await;
    let shared = peer.shared.clone();
    // Tickets are never to be had.
    let front = Scripted::start(move |_, request| match request.path.as_str() {
        CreateLiveTicketRequest::PATH => grpc_web(&frame(0x80, b"grpc-status:13\r\n")),
        _ => shared.answer(request),
    })
    .await;
    peer.send();
    let options = FollowOptions {
        history: History::Newest,
        poll_interval: Duration::from_millis(20),
        ..FollowOptions::default()
    };
    // A token tells who follows.
    let claims = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, r#"{"sub":"alice"}"#);
    let client = ChatClient::builder(&front.url)
        .token(format!("e30.{claims}.x"))
        .build()
        .unwrap();
    let follower = Follower::start(client, options);
    shows(&follower, [1]).await;
    peer.send();
    shows(&follower, [1, 2]).await;
    let state = follower.state();
    assert_eq!((state.is_live(), state.user_id()), (false, ALICE));
    peer.shared.service.lock().unwrap().send(ALICE);
    shows(&follower, 1..=3).await;
    assert_eq!(follower.state().conversation(CONVERSATION).unwrap().unread_count(), 2);
}

fn sends(peer: &Peer) -> Vec<String> {
    let log = peer.log().into_iter();
    log.filter(|line| line.starts_with("send") || line.starts_with("mark"))
        .collect()
}

fn refusal(code: u8) -> Reaction {
    grpc_web(&frame(0x80, format!("grpc-status:{code}\r\n").as_bytes()))
}

#[tokio::test]
async fn messages_are_sent_in_order_and_repeated_until_they_are_acknowledged() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    // Taken from the end.
    *peer.shared.sends.lock().unwrap() = vec![Reaction::Cut, refusal(14), Reaction::Cut];
    let sending = ["a", "b", "c"].map(|id| follower.send(CONVERSATION, id, "Hi", None));
    let sent: Vec<i64> = futures::future::join_all(sending)
        .await
        .into_iter()
        .map(|sent| sent.unwrap().seq)
        .collect();
    assert_eq!(sent, [1, 2, 3]);
    let expected = [
        "a retry=false",
        "a retry=true",
        "a retry=true",
        "a retry=true",
        "b retry=false",
        "c retry=false",
    ];
    assert_eq!(sends(&peer), expected.map(|it| format!("send {it} read=0")));
    // They are shown from their answers; nobody has pushed them.
    let state = follower.state();
    assert_eq!(
        (seqs(&state), state.conversation(CONVERSATION).unwrap().unread_count()),
        (vec![1, 2, 3], 0)
    );
}

#[tokio::test]
async fn a_refusal_is_reported_and_holds_nothing_up() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    *peer.shared.sends.lock().unwrap() = vec![refusal(9)];
    let (refused, sent) = (
        follower.send(CONVERSATION, "a", "Hi", None),
        follower.send(CONVERSATION, "b", "Hi", None),
    );
    let Err(SendError::Failed(error)) = refused.await else {
        panic!("it was refused");
    };
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::FailedPrecondition, Outcome::NotDone)
    );
    assert_eq!(sent.await.unwrap().seq, 1);
}

#[tokio::test]
async fn a_defect_that_stays_is_reported_after_a_few_attempts() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    *peer.shared.sends.lock().unwrap() = (0..9).map(|_| refusal(13)).collect();
    let sent = follower.send(CONVERSATION, "a", "Hi", None).await;
    assert!(matches!(sent, Err(SendError::Failed(error)) if error.outcome() == Outcome::Unknown));
    assert_eq!(sends(&peer).len(), 4);
}

#[tokio::test]
async fn what_is_not_sent_when_the_follower_stops_is_told_so() {
    let peer = Peer::start().await;
    let follower = peer.follow(|_| {});
    *peer.shared.sends.lock().unwrap() = vec![Reaction::Silence];
    let sending = ["a", "b"].map(|id| follower.send(CONVERSATION, id, "Hi", None));
    follower.stop().await;
    for sent in futures::future::join_all(sending).await {
        assert!(matches!(sent, Err(SendError::Stopped)), "{sent:?}");
    }
}

#[tokio::test]
async fn a_message_whose_push_does_not_come_back_is_repeated_until_it_does() {
    let peer = Peer::start().await;
    let follower = peer.follow(|options| options.push_wait = Duration::from_millis(20));
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    let message = follower.send(CONVERSATION, "a", "Hi", None).await.unwrap();
    let repeats = async |count| {
        while sends(&peer).len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, repeats(3)).await.unwrap();
    assert_eq!(sends(&peer)[2], "send a retry=true read=0");
    peer.push(&pushed(message));
    let whole = |state: &State| state.conversation(CONVERSATION).unwrap().cursor_revision() == 1;
    follower.wait_until(SOON, whole).await.unwrap();
    let count = sends(&peer).len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // One may have been on its way.
    assert!(sends(&peer).len() <= count + 1);
}

#[tokio::test]
async fn a_push_that_comes_back_in_time_is_enough() {
    let peer = Peer::start().await;
    let follower = peer.follow(|options| options.push_wait = Duration::from_millis(100));
    follower.wait_until(SOON, State::is_whole).await.unwrap();
    let message = follower.send(CONVERSATION, "a", "Hi", None).await.unwrap();
    peer.push(&pushed(message));
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(sends(&peer).len(), 1);
}

#[tokio::test]
async fn marks_are_told_at_once_then_together_and_the_last_one_always() {
    let peer = Peer::start().await;
    for _ in 0..9 {
        peer.send();
    }
    let follower = peer.follow(|options| options.mark_interval = NEVER);
    shows(&follower, 1..=9).await;
    let unread = |state: &State| state.conversation(CONVERSATION).unwrap().unread_count();
    assert_eq!(unread(&follower.state()), 9);
    follower.mark_read(CONVERSATION, 3);
    assert_eq!(unread(&follower.state()), 6);
    let told = |state: &State| state.conversation(CONVERSATION).unwrap().unsent_mark().is_none();
    follower.wait_until(SOON, told).await.unwrap();
    for seq in [5, 4, 7, 99] {
        follower.mark_read(CONVERSATION, seq);
    }
    assert_eq!(
        (unread(&follower.state()), sends(&peer)),
        (0, vec!["mark 3".to_owned()])
    );
    // A message may carry it.
    follower.send(CONVERSATION, "a", "Hi", None).await.unwrap();
    let state = follower.stop().await;
    assert_eq!(
        (unread(&state), sends(&peer)),
        (
            0,
            ["mark 3", "send a retry=false read=9", "mark 9"]
                .map(String::from)
                .to_vec()
        )
    );
}

#[tokio::test]
async fn an_elsewhere_read_message_is_read_here() {
    let peer = Peer::start().await;
    for _ in 0..3 {
        peer.send();
    }
    let follower = peer.follow(|_| {});
    shows(&follower, 1..=3).await;
    let moved = peer.shared.service.lock().unwrap().read(0, 2);
    peer.push(&LiveEvent {
        conversation_id: CONVERSATION.into(),
        event: Some(Event::ReadPositionMoved(moved)),
        ..LiveEvent::default()
    });
    let read = |state: &State| state.conversation(CONVERSATION).unwrap().unread_count() == 1;
    follower.wait_until(SOON, read).await.unwrap();
}
