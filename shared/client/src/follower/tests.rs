use std::collections::HashSet;
use std::sync::Mutex;

use chat_contract::Rpc;
use chat_contract::v1::{
    Conversation, ConversationGained, ConversationOpened, CreateLiveTicketRequest, CreateLiveTicketResponse,
    LiveRequest, Message, Poke, Pong, ReadPositionMoved, Welcome, live_request,
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
use crate::live::{LiveEnd, LiveError};
use crate::model::{ALICE, BOB, Place, Service, members};
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
    is_member: Mutex<bool>,
    /// Revisions whose writers are still at work: a sync ends before them.
    unwritten: Mutex<Vec<i64>>,
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
            is_member: Mutex::new(true),
            unwritten: Mutex::default(),
            resets: Mutex::default(),
            answers_pings: Mutex::new(true),
            tickets: Mutex::default(),
            tickets_made: Mutex::default(),
            sockets: Mutex::default(),
            log: Mutex::default(),
        });
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
                ok(&self
                    .service
                    .lock()
                    .unwrap()
                    .page(before, size, &self.unwritten.lock().unwrap()))
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
        match request.cursors.first() {
            _ if !*self.is_member.lock().unwrap() => {
                answer.lost_conversation_ids = request.cursors.iter().map(|it| it.conversation_id.clone()).collect();
            }
            Some(cursor) => {
                let mut sync = service.sync(cursor, 10);
                if let Some(hole) = self.unwritten.lock().unwrap().iter().min()
                    && sync.cursor.as_ref().unwrap().revision >= *hole
                {
                    sync.changes.retain(|change| change.revision < *hole);
                    sync.cursor.as_mut().unwrap().revision = hole - 1;
                    sync.incomplete = true;
                    sync.retry_after = Some(Duration::from_millis(20).into());
                }
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
            None => {
                let conversation = Conversation {
                    conversation_id: CONVERSATION.into(),
                    revision: service.head(),
                    message_count: service.message_count,
                    unread_count: service.message_count - service.cleared,
                    members: members(service.read[0], service.read[1]),
                    ..Conversation::default()
                };
                let hole = self.unwritten.lock().unwrap().iter().min().copied();
                let cursor = ConversationCursor {
                    conversation_id: CONVERSATION.into(),
                    joined_revision: 0,
                    revision: hole.map_or(service.head(), |hole| hole - 1),
                };
                answer.gained.push(ConversationGained {
                    conversation: Some(conversation),
                    cursor: Some(cursor),
                });
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
                    Some(Ok(Frame::Text(text))) => match serde_json::from_str::<LiveRequest>(&text).unwrap().request.unwrap() {
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
    let state = follower.wait_until(SOON, |state| state.syncs() == 1).await.unwrap();
    assert_eq!((state.user_id(), state.is_live(), state.failure()), (ALICE, true, None));
    assert_eq!(peer.log(), ["ticket", "hello", "sync", "page", "sync"]);
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
            unread_count: None,
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
    let (_, second) = (peer.send(), peer.send());
    peer.shared.unwritten.lock().unwrap().push(1);
    follower.sync();
    let held_back = |state: &State| state.conversation(CONVERSATION).is_some_and(|it| it.head() == 2);
    assert_eq!(seqs(&follower.wait_until(SOON, held_back).await.unwrap()), [0; 0]);
    // What comes after it is not shown either.
    peer.push(&second);
    let syncs = follower.state().syncs();
    follower
        .wait_until(SOON, |state| state.syncs() > syncs + 1)
        .await
        .unwrap();
    assert_eq!(seqs(&follower.state()), [0; 0]);
    peer.shared.unwritten.lock().unwrap().clear();
    shows(&follower, [1, 2]).await;
}

#[tokio::test]
async fn a_page_with_a_hole_is_shown_up_to_the_hole() {
    let peer = Peer::start().await;
    for _ in 0..3 {
        peer.send();
    }
    peer.shared.unwritten.lock().unwrap().push(2);
    let follower = peer.follow(|_| {});
    let state = follower.wait_until(SOON, |state| state.syncs() > 0).await.unwrap();
    assert_eq!(seqs(&state), [1]);
    peer.shared.unwritten.lock().unwrap().clear();
    shows(&follower, 1..=3).await;
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
    *peer.shared.is_member.lock().unwrap() = false;
    follower.sync();
    follower
        .wait_until(SOON, |state| state.conversations().len() == 0)
        .await
        .unwrap();
    *peer.shared.is_member.lock().unwrap() = true;
    let event = Some(Event::ConversationOpened(ConversationOpened::default()));
    peer.push(&LiveEvent {
        conversation_id: CONVERSATION.into(),
        event,
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
        "not within 1 ms; by then: \"alice\" is live, 1 syncs; c at 1 of 1 shows 1"
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
                let mut service = peer.shared.service.lock().unwrap();
                service.message_count += 1;
                service.places.push(Place::Void);
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
            let expected: Vec<Message> = service.page(i64::MAX, 1_000, &[]).messages;
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
