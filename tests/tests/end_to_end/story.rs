//! The main story: two people become friends, talk, and see each other's messages arrive, on all their devices.

use std::slice::from_ref;

use chat_client::contract::health::{HealthCheckRequest, health_check_response::ServingStatus};
use chat_client::contract::v1::live_event::Event;
use chat_client::contract::v1::{
    Conversation, ConversationKind, ConversationOpened, ConversationSettings, Friend, FriendChanged,
    FriendRequestAnswer, FriendState, GetConversationRequest, GetMessageRequest, GetProfilesRequest, LastMessage,
    ListConversationsRequest, ListFriendsRequest, ListMessagesRequest, LiveEvent, MarkConversationReadRequest,
    MarkConversationReadResponse, Member, Message, OpenDirectConversationRequest, Poke, Quote, ReadPositionMoved,
    RemoveFriendRequest, Reply, RequestFriendRequest, RespondToFriendRequestRequest, SendMessageRequest,
    UpsertProfileRequest,
};
use chat_client::timeline::Timeline;
use chat_client::{ChatClient, Code, FollowOptions, Follower, History, State};

use crate::harness::{Device, PATIENCE, Stack, refusal};

fn opening(user: &str) -> OpenDirectConversationRequest {
    OpenDirectConversationRequest { user_id: user.into() }
}

fn member(user: &str, read_seq: i64) -> Member {
    Member {
        user_id: user.into(),
        read_seq,
        joined_revision: 0,
        // What is read has arrived.
        delivered_seq: read_seq,
        ..Member::default()
    }
}

fn changed(friend: &Friend) -> Event {
    Event::FriendChanged(FriendChanged {
        friend: Some(friend.clone()),
    })
}

async fn conversations(client: &ChatClient) -> Vec<Conversation> {
    let page = client.call(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(page.next_page_token, "");
    page.conversations
}

async fn friends(client: &ChatClient) -> Vec<(String, FriendState)> {
    let page = client.call(ListFriendsRequest::default()).await.unwrap();
    page.friends
        .iter()
        .map(|friend| (friend.user_id.clone(), friend.state()))
        .collect()
}

async fn history(client: &ChatClient, conversation_id: &str) -> Vec<Message> {
    let request = ListMessagesRequest {
        conversation_id: conversation_id.into(),
        ..ListMessagesRequest::default()
    };
    let page = client.call(request).await.unwrap();
    assert!(!page.has_more_before && !page.has_more_after);
    page.messages
}

/// All of them get this event next.
async fn all_get<const N: usize>(devices: [&mut Device; N], event: &LiveEvent) {
    for device in devices {
        assert_eq!(device.next().await, *event);
    }
}

/// The users, and what they follow along with.
struct Story {
    _stack: Stack,
    alice: ChatClient,
    bob: ChatClient,
    phone: Device,
    laptop: Device,
    bobs: Device,
}

impl Story {
    async fn begin() -> Self {
        let stack = Stack::start().await;
        let (alice, bob) = (stack.client("alice"), stack.client("bob"));
        let (phone, laptop, bobs) = (
            stack.device("alice").await,
            stack.device("alice").await,
            stack.device("bob").await,
        );
        Self {
            _stack: stack,
            alice,
            bob,
            phone,
            laptop,
            bobs,
        }
    }

    async fn all_get(&mut self, event: &LiveEvent) {
        all_get([&mut self.phone, &mut self.laptop, &mut self.bobs], event).await;
    }

    /// alice's devices are told this, and bob's that.
    async fn both_get(&mut self, alices: &Event, bobs: &Event) {
        assert_eq!(self.phone.event().await, *alices);
        assert_eq!(self.laptop.event().await, *alices);
        assert_eq!(self.bobs.event().await, *bobs);
    }

    /// alice asks, bob accepts.
    async fn befriend(&mut self) {
        let request = RequestFriendRequest { user_id: "bob".into() };
        let asked = self.alice.call(request).await.unwrap().friend.unwrap();
        assert_eq!((&*asked.user_id, asked.state()), ("bob", FriendState::RequestSent));
        let seen_by_bob = Friend {
            user_id: "alice".into(),
            state: FriendState::RequestReceived.into(),
            ..asked.clone()
        };
        self.both_get(&changed(&asked), &changed(&seen_by_bob)).await;
        assert_eq!(
            friends(&self.alice).await,
            [("bob".to_owned(), FriendState::RequestSent)]
        );
        assert_eq!(
            friends(&self.bob).await,
            [("alice".to_owned(), FriendState::RequestReceived)]
        );
        let not_yet = (Code::FailedPrecondition, "NOT_FRIENDS".to_owned());
        assert_eq!(refusal(&self.alice, opening("bob")).await, not_yet);

        let answer = RespondToFriendRequestRequest {
            user_id: "alice".into(),
            answer: FriendRequestAnswer::Accept.into(),
        };
        let accepted = self.bob.call(answer).await.unwrap().friend.unwrap();
        assert_eq!((&*accepted.user_id, accepted.state()), ("alice", FriendState::Accepted));
        let seen_by_alice = Friend {
            user_id: "bob".into(),
            ..accepted.clone()
        };
        self.both_get(&changed(&seen_by_alice), &changed(&accepted)).await;
        assert_eq!(friends(&self.alice).await, [("bob".to_owned(), FriendState::Accepted)]);
        assert_eq!(friends(&self.bob).await, [("alice".to_owned(), FriendState::Accepted)]);
    }

    /// Both open it at the same moment, and again.
    async fn open(&mut self) -> Conversation {
        let (alices, bobs) = tokio::join!(self.alice.call(opening("bob")), self.bob.call(opening("alice")));
        let (alices, bobs) = (alices.unwrap(), bobs.unwrap());
        assert!(alices.created != bobs.created, "exactly one call created it");
        assert_eq!(alices.conversation, bobs.conversation);
        let conversation = alices.conversation.unwrap();
        assert_eq!(
            conversation,
            Conversation {
                conversation_id: conversation.conversation_id.clone(),
                kind: ConversationKind::Direct.into(),
                members: vec![member("alice", 0), member("bob", 0)],
                created_at: conversation.created_at,
                last_activity_at: conversation.created_at,
                settings: Some(ConversationSettings::default()),
                ..Conversation::default()
            }
        );
        // In the feed of both it comes third, after what they asked and answered.
        let tells = |event| LiveEvent {
            conversation_id: conversation.conversation_id.clone(),
            event: Some(event),
            feed_revision: 3,
            ..LiveEvent::default()
        };
        // What it is to one of them alone is told to nobody else.
        let opened = tells(Event::ConversationOpened(ConversationOpened {
            conversation: Some(Conversation {
                settings: None,
                ..conversation.clone()
            }),
        }));
        // What a call finds done is told as well: that there is something to sync, if it was missed.
        let found = tells(Event::Poke(Poke {}));
        for device in [&mut self.phone, &mut self.laptop, &mut self.bobs] {
            let told = [device.next().await, device.next().await];
            assert!(told.contains(&opened) && told.contains(&found), "{told:?}");
        }
        for (client, other) in [(self.alice.clone(), "bob"), (self.bob.clone(), "alice")] {
            let again = client.call(opening(other)).await.unwrap();
            assert_eq!(
                (again.created, again.conversation.as_ref()),
                (false, Some(&conversation))
            );
            self.all_get(&found).await;
            assert_eq!(conversations(&client).await, from_ref(&conversation));
        }
        conversation
    }

    /// Everyone gets the same message live.
    async fn all_get_message(&mut self, message: &Message) {
        let event = LiveEvent {
            conversation_id: message.conversation_id.clone(),
            revision: message.revision,
            previous_revision: message.revision - 1,
            event: Some(Event::MessageSent(pushed(message))),
            ..LiveEvent::default()
        };
        self.all_get(&event).await;
    }

    /// One marks as read; everyone hears of it, and only the reader of what is left.
    async fn read(&mut self, reader: &str, conversation: &Conversation, read_seq: i64) {
        let request = MarkConversationReadRequest {
            conversation_id: conversation.conversation_id.clone(),
            read_seq,
        };
        let client = if reader == "alice" { &self.alice } else { &self.bob };
        let now = client.call(request).await.unwrap();
        let all_read = MarkConversationReadResponse {
            read_seq,
            unread_count: 0,
            counted_seq: read_seq,
            settings: None,
        };
        assert_eq!(now, all_read);
        let moved = |unread_count| {
            Event::ReadPositionMoved(ReadPositionMoved {
                user_id: reader.into(),
                read_seq,
                unread_count,
                counted_seq: unread_count.map_or(0, |_| read_seq),
            })
        };
        let (own, other) = (moved(Some(0)), moved(None));
        if reader == "alice" {
            self.both_get(&own, &other).await;
        } else {
            self.both_get(&other, &own).await;
        }
    }
}

fn last_message(message: &Message, excerpt: &str) -> LastMessage {
    LastMessage {
        seq: message.seq,
        sender_id: message.sender_id.clone(),
        excerpt: excerpt.into(),
        sent_at: message.sent_at,
        message_id: message.message_id.clone(),
    }
}

/// A message as it is pushed: what it replies to is named, not quoted.
fn pushed(message: &Message) -> Message {
    let mut message = message.clone();
    if let Some(reply) = &mut message.reply_to {
        reply.quote = None;
    }
    message
}

fn shown(timeline: &Timeline) -> Vec<Message> {
    timeline.messages().map(pushed).collect()
}

impl Story {
    /// alice sends; everyone sees it live, in lists and in history.
    async fn hello(&mut self, conversation: &Conversation) -> Message {
        let id = &conversation.conversation_id;
        let request = SendMessageRequest {
            conversation_id: id.clone(),
            client_message_id: "a-1".into(),
            text: "Hello, Bob ☀\nHow are you?".into(),
            ..SendMessageRequest::default()
        };
        let answer = self.alice.call(request.clone()).await.unwrap();
        assert!(!answer.deduplicated);
        let hello = answer.message.unwrap();
        let expected = Message {
            conversation_id: id.clone(),
            message_id: hello.message_id.clone(),
            seq: 1,
            revision: 1,
            sender_id: "alice".into(),
            client_message_id: "a-1".into(),
            text: "Hello, Bob ☀\nHow are you?".into(),
            reply_to: None,
            sent_at: hello.sent_at,
            state_revision: 1,
        };
        assert_eq!(hello, expected);
        self.all_get_message(&hello).await;
        let for_alice = Conversation {
            revision: 1,
            counted_seq: 1,
            last_message: Some(last_message(&hello, "Hello, Bob ☀ How are you?")),
            last_activity_at: hello.sent_at,
            ..conversation.clone()
        };
        let for_bob = Conversation {
            unread_count: 1,
            ..for_alice.clone()
        };
        assert_eq!(conversations(&self.alice).await, [for_alice]);
        assert_eq!(conversations(&self.bob).await, [for_bob]);
        assert_eq!(history(&self.bob, id).await, from_ref(&hello));

        // A repeat is answered as the first call was, and is heard of again: the first call may have died before that.
        let repeat = self.alice.call(request).await.unwrap();
        assert_eq!((repeat.deduplicated, repeat.message.as_ref()), (true, Some(&hello)));
        self.all_get_message(&hello).await;
        hello
    }

    /// bob reads and replies; alice has one to read, and then has not.
    async fn reply(&mut self, conversation: &Conversation, hello: &Message) -> Message {
        let id = &conversation.conversation_id;
        let reply = SendMessageRequest {
            conversation_id: id.clone(),
            client_message_id: "b-1".into(),
            text: "Fine!".into(),
            reply_to_message_id: hello.message_id.clone(),
            read_seq: 1,
            ..SendMessageRequest::default()
        };
        let fine = self.bob.call(reply).await.unwrap().message.unwrap();
        let quoted = Reply {
            message_id: hello.message_id.clone(),
            seq: 1,
            quote: Some(Quote {
                sender_id: "alice".into(),
                excerpt: "Hello, Bob ☀ How are you?".into(),
                state_revision: 1,
            }),
            unavailable: false,
        };
        assert_eq!(
            (fine.seq, fine.revision, &*fine.sender_id, fine.reply_to.as_ref()),
            (2, 2, "bob", Some(&quoted))
        );
        self.all_get_message(&fine).await;
        // The reply said how far bob has read; all hear of it, and only he of what is left.
        let moved = |unread_count: Option<i64>| {
            Event::ReadPositionMoved(ReadPositionMoved {
                user_id: "bob".into(),
                read_seq: 1,
                unread_count,
                counted_seq: unread_count.map_or(0, |_| 2),
            })
        };
        self.both_get(&moved(None), &moved(Some(0))).await;
        let one = GetMessageRequest {
            conversation_id: id.clone(),
            message_id: fine.message_id.clone(),
        };
        assert_eq!(self.alice.call(one).await.unwrap().message, Some(fine.clone()));

        let unread = Conversation {
            members: vec![member("alice", 0), member("bob", 1)],
            revision: 2,
            counted_seq: 2,
            unread_count: 1,
            last_message: Some(last_message(&fine, "Fine!")),
            last_activity_at: fine.sent_at,
            ..conversation.clone()
        };
        assert_eq!(conversations(&self.alice).await, from_ref(&unread));
        self.read("alice", conversation, 2).await;
        let read = Conversation {
            members: vec![member("alice", 2), member("bob", 1)],
            unread_count: 0,
            ..unread
        };
        let request = GetConversationRequest {
            conversation_id: id.clone(),
        };
        for client in [&self.alice, &self.bob] {
            let answer = client.call(request.clone()).await.unwrap();
            assert_eq!(answer.conversation.as_ref(), Some(&read));
        }
        fine
    }

    /// A device of alice that comes late sees the same, and what follows live: one more message of bob.
    async fn late_device(&mut self, conversation: &Conversation, so_far: &[Message]) -> Message {
        let id = &conversation.conversation_id;
        let options = FollowOptions {
            history: History::All,
            ..FollowOptions::default()
        };
        let tablet = Follower::start(self.alice.clone(), options);
        let state = tablet.wait_until(PATIENCE, State::is_whole).await.unwrap();
        let syncs = state.syncs();
        let timeline = state.conversation(id).unwrap();
        assert_eq!(shown(timeline), so_far.iter().map(pushed).collect::<Vec<_>>());
        assert_eq!(
            timeline.read_positions().collect::<Vec<_>>(),
            [("alice", 2), ("bob", 1)]
        );

        let bye = self.bob.send_text(id, "Bye").await.unwrap().message.unwrap();
        self.all_get_message(&bye).await;
        let is_unread = |state: &State| state.conversation(id).unwrap().unread_count() == 1;
        let state = tablet.wait_until(PATIENCE, is_unread).await.unwrap();
        assert_eq!(
            shown(state.conversation(id).unwrap()),
            [so_far, from_ref(&bye)].concat().iter().map(pushed).collect::<Vec<_>>()
        );
        assert_eq!(state.syncs(), syncs, "what came live needed no sync");
        self.read("alice", conversation, 3).await;
        let is_read = |state: &State| {
            let timeline = state.conversation(id).unwrap();
            (timeline.unread_count(), timeline.read_position("alice")) == (0, Some(3))
        };
        tablet.wait_until(PATIENCE, is_read).await.unwrap();
        bye
    }

    /// A friendship that ends ends the talk, not what was said.
    async fn end(&mut self, conversation: &Conversation, said: &[Message]) {
        let id = &conversation.conversation_id;
        let remove = RemoveFriendRequest {
            user_id: "alice".into(),
        };
        self.bob.call(remove).await.unwrap();
        let Event::FriendChanged(FriendChanged { friend: Some(ended) }) = self.bobs.event().await else {
            panic!("bob hears of the end");
        };
        assert_eq!((&*ended.user_id, ended.state()), ("alice", FriendState::Unspecified));
        let seen_by_alice = Friend {
            user_id: "bob".into(),
            ..ended
        };
        assert_eq!(self.phone.event().await, changed(&seen_by_alice));
        assert_eq!(self.laptop.event().await, changed(&seen_by_alice));
        for client in [&self.alice, &self.bob] {
            let refused = refusal(client, ChatClient::text_message(id, "Still there?")).await;
            assert_eq!(refused, (Code::FailedPrecondition, "CANNOT_SEND".to_owned()));
            assert_eq!(history(client, id).await, said);
        }
        let again = self.alice.call(opening("bob")).await.unwrap();
        assert_eq!(
            (again.created, again.conversation.unwrap().conversation_id),
            (false, id.clone())
        );
    }
}

#[tokio::test]
async fn two_people_talk_and_all_their_devices_follow() {
    let mut story = Story::begin().await;
    story.befriend().await;
    let conversation = story.open().await;
    let hello = story.hello(&conversation).await;
    let fine = story.reply(&conversation, &hello).await;
    let bye = story.late_device(&conversation, &[hello.clone(), fine.clone()]).await;
    story.end(&conversation, &[hello, fine, bye]).await;
}

#[tokio::test]
async fn lists_are_by_newest_activity_and_strangers_see_nothing() {
    let stack = Stack::start().await;
    let alice = stack.client("alice");
    let with_bob = stack.fixture.open_direct("alice", "bob").await.to_string();
    let with_carol = stack.fixture.open_direct("alice", "carol").await.to_string();
    let order = |list: Vec<Conversation>| -> Vec<(String, i64)> {
        list.into_iter()
            .map(|one| (one.conversation_id, one.unread_count))
            .collect()
    };
    let carol_first = [(with_carol.clone(), 0), (with_bob.clone(), 0)];
    assert_eq!(order(conversations(&alice).await), carol_first);
    stack.client("bob").send_text(&with_bob, "Hi").await.unwrap();
    let bob_first = [(with_bob.clone(), 1), (with_carol.clone(), 0)];
    assert_eq!(order(conversations(&alice).await), bob_first);
    alice.send_text(&with_carol, "Hi").await.unwrap();
    let carol_first = [(with_carol.clone(), 0), (with_bob.clone(), 1)];
    assert_eq!(order(conversations(&alice).await), carol_first);

    // Not by any call, and just as for what is not there.
    let carol = stack.client("carol");
    let missing = "01890a5d-ac96-774b-bcce-b302099a8057";
    for id in [with_bob.as_str(), missing] {
        let hidden = (Code::NotFound, "CONVERSATION_NOT_FOUND".to_owned());
        let conversation_id = id.to_owned();
        assert_eq!(refusal(&carol, ChatClient::text_message(id, "Hi")).await, hidden);
        let request = GetConversationRequest {
            conversation_id: conversation_id.clone(),
        };
        assert_eq!(refusal(&carol, request).await, hidden);
        let request = ListMessagesRequest {
            conversation_id: conversation_id.clone(),
            ..ListMessagesRequest::default()
        };
        assert_eq!(refusal(&carol, request).await, hidden);
        let request = GetMessageRequest {
            conversation_id: conversation_id.clone(),
            message_id: missing.into(),
        };
        assert_eq!(refusal(&carol, request).await, hidden);
        let request = MarkConversationReadRequest {
            conversation_id,
            read_seq: 1,
        };
        assert_eq!(refusal(&carol, request).await, hidden);
    }
    assert_eq!(order(conversations(&carol).await), [(with_carol, 1)]);
}

#[tokio::test]
async fn people_show_who_they_are_and_the_service_that_it_is_well() {
    let stack = Stack::start().await;
    let request = UpsertProfileRequest {
        display_name: "Alice Liddell".into(),
        avatar_url: "https://example.com/alice.png".into(),
        update_mask: None,
    };
    let profile = stack.client("alice").call(request).await.unwrap().profile.unwrap();
    assert_eq!(
        (&*profile.user_id, &*profile.display_name, &*profile.avatar_url),
        ("alice", "Alice Liddell", "https://example.com/alice.png")
    );
    let request = GetProfilesRequest {
        user_ids: ["nobody", "alice"].map(str::to_owned).into(),
    };
    assert_eq!(
        stack.client("bob").call(request).await.unwrap().profiles,
        from_ref(&profile)
    );
    let request = RequestFriendRequest {
        user_id: "alice".into(),
    };
    stack.client("bob").call(request).await.unwrap();
    let list = stack.client("bob").call(ListFriendsRequest::default()).await.unwrap();
    assert_eq!(list.friends[0].profile, Some(profile));

    let health = stack.nobody.call(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(health.status(), ServingStatus::Serving);
}
