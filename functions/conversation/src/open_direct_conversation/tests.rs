//! How direct conversations come to be, alone and in races, on a real database.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_contract::v1::Conversation;
use chat_domain::UserId;
use chat_operation::Code;
use chat_stores::postgres::{Outcome, Sealed};
use chat_testing::{Called, Filter, Fixture, call, call_without_token, user};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use super::*;
use crate::scene::{Stores, bad_fields, deadlocks};

fn request(user_id: &str) -> OpenDirectConversationRequest {
    OpenDirectConversationRequest {
        user_id: user_id.to_owned(),
    }
}

fn opened(called: Called<OpenDirectConversation>) -> (Conversation, bool, Vec<Notice>) {
    let answer = called.expect("the conversation is opened");
    (
        answer.response.conversation.expect("an answer has a conversation"),
        answer.response.created,
        answer.notices,
    )
}

fn assert_not_friends(called: Called<OpenDirectConversation>) {
    let failure = called.expect_err("only friends can");
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::FailedPrecondition, "NOT_FRIENDS")
    );
}

/// How many conversations and members there are.
async fn stored(fixture: &Fixture) -> (i64, i64) {
    let counts = "SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM members)";
    sqlx::query_as(counts)
        .fetch_one(&mut fixture.connect_postgres().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn friends_open_a_conversation_and_both_are_told() {
    let fixture = Fixture::new().await;
    let open: OpenDirectConversation = fixture.operation();
    fixture.befriend("alice", "bob").await;

    let (conversation, created, notices) = opened(call(&open, "bob", request("alice")).await);

    assert!(created);
    let id: ConversationId = conversation.conversation_id.parse().unwrap();
    let row = fixture.postgres().lookup_conversation(id, &user("alice")).await;
    let row = row.unwrap().unwrap();
    let occurred_at = row.conversation.created_at;
    assert_eq!(conversation, chat_view::own_conversation(row.conversation));
    let members: Vec<&str> = conversation.members.iter().map(|member| &*member.user_id).collect();
    assert_eq!(members, ["alice", "bob"]);
    assert_eq!((conversation.revision, conversation.counted_seq), (0, 0));
    let notice = |recipient: &str| Notice {
        recipients: vec![user(recipient)].into(),
        event: LiveEvent {
            conversation_id: id.to_string(),
            event: Some(live_event::Event::ConversationOpened(ConversationOpened {
                conversation: Some(Conversation {
                    settings: None,
                    ..conversation.clone()
                }),
            })),
            // After the request and its answer.
            feed_revision: 3,
            ..LiveEvent::default()
        },
        occurred_at,
    };
    assert_eq!(notices, [notice("bob"), notice("alice")]);
    assert_eq!(stored(&fixture).await, (1, 2));
}

/// Whom notices poke, and where in their feeds.
fn poked(notices: &[Notice]) -> Vec<(&str, i64)> {
    let poked = notices.iter().map(|notice| {
        assert_eq!(notice.event.event, Some(live_event::Event::Poke(Poke {})));
        (notice.recipients.users()[0].as_str(), notice.event.feed_revision)
    });
    poked.collect()
}

#[tokio::test]
async fn a_repeat_from_either_side_answers_the_same_and_pokes_both() {
    let fixture = Fixture::new().await;
    let open: OpenDirectConversation = fixture.operation();
    fixture.befriend("alice", "bob").await;
    let (first, _, _) = opened(call(&open, "alice", request("bob")).await);
    for (caller, other) in [("alice", "bob"), ("bob", "alice")] {
        let (again, created, notices) = opened(call(&open, caller, request(other)).await);
        assert_eq!((&again, created), (&first, false));
        assert_eq!(poked(&notices), [(caller, 3), (other, 3)]);
    }

    // As the caller sees it now.
    let id = first.conversation_id.parse().unwrap();
    Stores::new(fixture.settings()).say(id, "alice", "a1", "hello").await;
    let (seen, created, _) = opened(call(&open, "bob", request("alice")).await);
    assert_eq!((seen.unread_count, seen.counted_seq, created), (1, 1, false));
    assert_eq!(opened(call(&open, "alice", request("bob")).await).0.unread_count, 0);
    assert_eq!(stored(&fixture).await, (1, 2));
}

#[tokio::test]
async fn it_is_found_by_both_after_the_friendship_ended() {
    let fixture = Fixture::new().await;
    let open: OpenDirectConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let removed = fixture.postgres().remove_friend(&user("alice"), &user("bob")).await;
    assert!(removed.unwrap().is_ok());
    for (caller, other) in [("alice", "bob"), ("bob", "alice")] {
        let (found, created, notices) = opened(call(&open, caller, request(other)).await);
        assert_eq!((found.conversation_id, created), (conversation.to_string(), false));
        assert_eq!(poked(&notices), [(caller, 3), (other, 3)]);
    }
}

#[tokio::test]
async fn only_friends_open_one() {
    let fixture = Fixture::new().await;
    let open: OpenDirectConversation = fixture.operation();
    let postgres = fixture.postgres();
    fixture.befriend("alice", "carol").await;
    fixture.befriend("bob", "carol").await;
    assert_not_friends(call(&open, "alice", request("bob")).await);
    // Nor while a request is open, from either side.
    assert!(
        postgres
            .request_friend(&user("alice"), &user("bob"))
            .await
            .unwrap()
            .is_ok()
    );
    assert_not_friends(call(&open, "alice", request("bob")).await);
    assert_not_friends(call(&open, "bob", request("alice")).await);
    assert_eq!(stored(&fixture).await, (0, 0));
}

#[tokio::test]
async fn sixteen_opening_at_once_from_both_sides_get_one_that_one_of_them_created() {
    let fixture = Arc::new(Fixture::new().await);
    for round in 0..4 {
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        fixture.befriend(&one, &other).await;
        let mut callers = JoinSet::new();
        for caller in 0..16 {
            let fixture = Arc::clone(&fixture);
            let (caller, asked) = if caller % 2 == 0 {
                (&one, &other)
            } else {
                (&other, &one)
            };
            let (caller, asked) = (caller.clone(), asked.clone());
            callers.spawn(async move {
                let open: OpenDirectConversation = fixture.operation();
                let (conversation, created, notices) = opened(call(&open, &caller, request(&asked)).await);
                assert_eq!(conversation.members.len(), 2);
                (conversation.conversation_id, created, notices.len())
            });
        }
        let answers = callers.join_all().await;

        let ids: BTreeSet<&String> = answers.iter().map(|(id, ..)| id).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(answers.iter().filter(|(_, created, _)| *created).count(), 1);
        assert!(answers.iter().all(|(_, _, notices)| *notices == 2));
    }
    assert_eq!(stored(&fixture).await, (4, 8));
    assert_eq!(deadlocks(&mut fixture.connect_postgres().await).await, 0);
}

#[tokio::test]
async fn opening_while_the_friendship_is_removed_opens_it_or_is_refused() {
    let fixture = Arc::new(Fixture::new().await);
    for round in 0..8 {
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        fixture.befriend(&one, &other).await;
        let mut callers = JoinSet::new();
        for caller in 0..4 {
            let fixture = Arc::clone(&fixture);
            let (one, other) = (one.clone(), other.clone());
            callers.spawn(async move {
                if caller == 3 {
                    let removed = fixture.postgres().remove_friend(&user(&one), &user(&other)).await;
                    assert!(removed.unwrap().is_ok());
                    return None;
                }
                let open: OpenDirectConversation = fixture.operation();
                match call(&open, &one, request(&other)).await {
                    Ok(answer) => answer.response.conversation.map(|found| found.conversation_id),
                    Err(failure) => {
                        assert_eq!(failure.reason(), "NOT_FRIENDS");
                        None
                    }
                }
            });
        }
        let found: BTreeSet<String> = callers.join_all().await.into_iter().flatten().collect();

        assert!(found.len() <= 1);
        let open: OpenDirectConversation = fixture.operation();
        match found.into_iter().next() {
            // Whoever opened it was in time, and it stays.
            Some(id) => assert_eq!(opened(call(&open, &other, request(&one)).await).0.conversation_id, id),
            None => assert_not_friends(call(&open, &other, request(&one)).await),
        }
    }
    assert_eq!(deadlocks(&mut fixture.connect_postgres().await).await, 0);
}

#[tokio::test]
async fn who_waited_for_the_removal_finds_what_was_opened_before_it() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.befriend("alice", "bob").await;
    let mut other = fixture.connect_postgres().await;
    sqlx::raw_sql("BEGIN; SELECT FROM friends FOR UPDATE")
        .execute(&mut other)
        .await
        .unwrap();
    let waiting = {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            let open: OpenDirectConversation = fixture.operation();
            opened(call(&open, "alice", request("bob")).await)
        })
    };
    fixture.until_one_waits().await;
    // Bob opens and then removes, both before alice's call can go on.
    let id = ConversationId::generate();
    let (made,): (bool,) =
        sqlx::query_as("SELECT created FROM open_direct_conversation($1, 'bob', 'alice', 10, 1, 1000000)")
            .bind(id.uuid())
            .fetch_one(&mut other)
            .await
            .unwrap();
    assert!(made);
    sqlx::raw_sql("SELECT remove_friend('bob', 'alice', 1, 1000000); COMMIT")
        .execute(&mut other)
        .await
        .unwrap();

    let (found, created, notices) = waiting.await.unwrap();
    assert_eq!((found.conversation_id, created), (id.to_string(), false));
    assert_eq!(poked(&notices), [("alice", 3), ("bob", 3)]);
}

#[tokio::test]
async fn a_lost_answer_of_its_making_is_still_told_of() {
    let fixture = Fixture::new().await;
    fixture.befriend("alice", "bob").await;
    fixture.befriend("alice", "carol").await;
    let proxies = fixture.with_proxies().await;
    let open: OpenDirectConversation = proxies.operation();
    opened(call(&open, "alice", request("carol")).await);

    let cut = proxies
        .postgres
        .cut_before_answer(Filter::operation("open_direct_conversation("));
    let (_, created, notices) = opened(call(&open, "alice", request("bob")).await);
    cut.happened().await;

    assert_eq!((created, notices.len()), (true, 2));
    assert_eq!(stored(&fixture).await, (2, 4));
}

#[tokio::test]
async fn bad_user_ids_and_ones_own_are_refused() {
    let fixture = Fixture::new().await;
    let open: OpenDirectConversation = fixture.operation();
    for bad in ["", "alice", "a b", "ålice", &"x".repeat(129)] {
        let failure = call(&open, "alice", request(bad)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["user_id"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let open: OpenDirectConversation = fixture.operation();
    for attempt in ["bob", ""] {
        let failure = call_without_token(&open, request(attempt)).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn opening_costs_at_most_two_round_trips() {
    let fixture = Fixture::new().await;
    fixture.befriend("alice", "bob").await;
    fixture.befriend("alice", "carol").await;
    let proxies = fixture.with_proxies().await;
    let open: OpenDirectConversation = proxies.operation();
    opened(call(&open, "alice", request("carol")).await);
    for created in [true, false] {
        proxies.postgres.reset_counts();
        assert_eq!(opened(call(&open, "alice", request("bob")).await).1, created);
        assert!(proxies.postgres.counts().round_trips <= 2);
    }
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}

#[tokio::test]
async fn nobody_has_more_conversations_than_are_allowed() {
    let fixture = Fixture::new().await;
    let open: OpenDirectConversation = fixture.operation();
    fixture.befriend("alice", "bob").await;
    let set_count = async |count: i32| {
        sqlx::query("UPDATE feeds SET conversation_count = $1 WHERE user_id = 'bob'")
            .bind(count)
            .execute(&mut fixture.connect_postgres().await)
            .await
            .unwrap();
    };
    set_count(CONVERSATIONS_MAX).await;
    for (caller, other) in [("alice", "bob"), ("bob", "alice")] {
        let failure = call(&open, caller, request(other)).await.unwrap_err();
        let refused = (failure.code(), failure.reason());
        assert_eq!(refused, (Code::ResourceExhausted, "CONVERSATION_LIMIT"));
        assert_eq!(failure.retry_after(), None, "waiting does not help");
    }
    assert_eq!(stored(&fixture).await, (0, 0));
    // The last one that is allowed; and who has all of them finds what is there.
    set_count(CONVERSATIONS_MAX - 1).await;
    assert!(opened(call(&open, "alice", request("bob")).await).1);
    assert!(!opened(call(&open, "bob", request("alice")).await).1);
    let counts: Vec<i32> = sqlx::query_scalar("SELECT conversation_count FROM feeds ORDER BY user_id")
        .fetch_all(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(counts, [1, CONVERSATIONS_MAX]);
}

#[tokio::test]
async fn racing_openers_never_pass_the_limit() {
    let fixture = Arc::new(Fixture::new().await);
    for other in 0..8 {
        fixture.befriend("m", &format!("friend-{other}")).await;
    }
    sqlx::query("UPDATE feeds SET conversation_count = $1 WHERE user_id = 'm'")
        .bind(CONVERSATIONS_MAX - 3)
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    let mut callers = JoinSet::new();
    for other in 0..8 {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let open: OpenDirectConversation = fixture.operation();
            let friend = format!("friend-{other}");
            let (caller, other) = if other % 2 == 0 {
                ("m", &*friend)
            } else {
                (&*friend, "m")
            };
            call(&open, caller, request(other)).await.is_ok()
        });
    }
    let opened = callers.join_all().await.into_iter().filter(|opened| *opened).count();
    assert_eq!((opened, stored(&fixture).await), (3, (3, 6)));
    assert_eq!(deadlocks(&mut fixture.connect_postgres().await).await, 0);
}

#[tokio::test]
async fn who_opens_too_often_is_told_when_to_come_again() {
    let fixture = Fixture::new().await;
    fixture.befriend("alice", "bob").await;
    let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let open = OpenDirectConversation::from_settings(&settings).unwrap();
    for _ in 0..2 {
        opened(call(&open, "alice", request("bob")).await);
    }
    let failure = call(&open, "alice", request("bob")).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    assert!(failure.retry_after().is_some_and(|wait| !wait.is_zero()));
    opened(call(&open, "bob", request("alice")).await);
}

/// Users of the race below: few enough to meet all the time.
const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

/// One of everything that locks friendships, conversations, members or feeds.
async fn anything(stores: &Stores, random: &mut StdRng, op: &str) -> Option<ConversationId> {
    let postgres = &stores.postgres;
    let pair: Vec<UserId> = USERS.choose_multiple(random, 2).map(|id| user(id)).collect();
    let (one, other) = (&pair[0], &pair[1]);
    let open = async || {
        let candidate = ConversationId::generate();
        let opened = postgres.open_direct_conversation(candidate, one, other).await.unwrap();
        match opened.unwrap() {
            Opened::Open(opened) => Some(opened.conversation),
            Opened::NotFriends => None,
            Opened::TooManyConversations => panic!("{one} and {other} have few"),
        }
    };
    // Friendships end less often than they can be made again.
    match random.random_range(0..20) {
        0..3 => assert!(postgres.request_friend(one, other).await.unwrap().is_ok()),
        3..6 => {
            let accept = random.random_bool(0.9);
            assert!(
                postgres
                    .respond_to_friend_request(one, other, accept)
                    .await
                    .unwrap()
                    .is_ok()
            );
        }
        6 => assert!(postgres.remove_friend(one, other).await.unwrap().is_ok()),
        7..9 => drop(open().await),
        9..12 => {
            if let Some(conversation) = open().await {
                let read_seq = random.random_range(1..20);
                let read = postgres.mark_conversation_read(conversation, one, read_seq).await;
                assert!(read.unwrap().unwrap().is_some());
            }
        }
        12..14 => {
            if let Some(conversation) = open().await {
                stores.sealer().seal(conversation).await.unwrap();
                let uncounted = vec![random.random_range(1..20)];
                let sealed = Sealed {
                    uncounted,
                    ..Sealed::default()
                };
                postgres.seal(conversation, &sealed).await.unwrap();
            }
        }
        _ => {
            let conversation = open().await?;
            let read_seq = random.random_range(0..20);
            return match stores.append(conversation, one.as_str(), op, read_seq).await.outcome {
                Outcome::Placed(_) => Some(conversation),
                Outcome::CannotSend { .. } => None,
                refused => panic!("{one} opened it: {refused:?}"),
            };
        }
    }
    None
}

#[tokio::test]
async fn everything_at_once_in_any_order_never_deadlocks() {
    const WORKERS: u64 = 12;
    const STEPS: u64 = 100;
    let fixture = Arc::new(Fixture::new().await);
    for (position, one) in USERS.iter().enumerate() {
        for other in &USERS[..position] {
            fixture.befriend(one, other).await;
        }
    }
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "1000");
        workers.spawn(async move {
            let mut random = StdRng::seed_from_u64(worker);
            let stores = Stores::new(&settings);
            let mut sent = Vec::new();
            for step in 0..STEPS {
                sent.extend(anything(&stores, &mut random, &format!("{worker}-{step}")).await);
            }
            sent
        });
    }
    let sent: Vec<ConversationId> = workers.join_all().await.into_iter().flatten().collect();

    let mut watch = fixture.connect_postgres().await;
    assert_eq!(deadlocks(&mut watch).await, 0);
    assert!(!sent.is_empty());
    let rows: Vec<(uuid::Uuid, i64, i64)> = sqlx::query_as(
        "SELECT conversation_id, message_count, count(*) FROM conversations JOIN members USING (conversation_id)
         GROUP BY conversation_id",
    )
    .fetch_all(&mut watch)
    .await
    .unwrap();
    assert!(rows.len() <= 15, "one for each pair");
    for (id, message_count, members) in rows {
        let placed = sent.iter().filter(|conversation| conversation.uuid() == id).count();
        assert_eq!((message_count, members), (i64::try_from(placed).unwrap(), 2));
    }
    // Whatever raced, the newest change of each feed is where the feed says.
    let broken: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM feeds f WHERE f.revision <> (
             SELECT max(place) FROM (
                 SELECT feed_revision AS place FROM friends WHERE user_id = f.user_id
                 UNION ALL SELECT feed_revision FROM members WHERE user_id = f.user_id) places)",
    )
    .fetch_one(&mut watch)
    .await
    .unwrap();
    assert_eq!(broken, 0);
}
