//! How read positions move and who hears of it, alone and in races, on a real database.

use std::sync::Arc;

use chat_contract::v1::{LiveEvent, ReadPositionMoved, live_event};
use chat_operation::{Code, Notice};
use chat_testing::{Called, Filter, Fixture, call, call_without_token, user};
use tokio::task::JoinSet;

use super::*;
use crate::scene::{Stores, age, assert_not_found, bad_fields};

fn request(conversation: &(impl ToString + ?Sized), read_seq: i64) -> MarkConversationReadRequest {
    MarkConversationReadRequest {
        conversation_id: conversation.to_string(),
        read_seq,
    }
}

/// (read position, unread count, number of notices)
fn marked(called: Called<MarkConversationRead>) -> (i64, i64, usize) {
    let answer = called.expect("the position is marked");
    (
        answer.response.read_seq,
        answer.response.unread_count,
        answer.notices.len(),
    )
}

async fn say_many(fixture: &Fixture, conversation: ConversationId, sender: &str, messages: usize) {
    let stores = Stores::new(fixture.settings());
    for message in 0..messages {
        stores.place(conversation, sender, &format!("{sender}-{message}")).await;
    }
}

/// What is stored: alice's and bob's read positions.
async fn stored(fixture: &Fixture, conversation: ConversationId) -> Vec<i64> {
    let row = fixture
        .postgres()
        .lookup_conversation(conversation, &user("alice"))
        .await;
    let members = row.unwrap().unwrap().conversation.members;
    members.into_iter().map(|member| member.read_seq).collect()
}

#[tokio::test]
async fn a_position_moves_and_both_hear_of_it_but_only_the_reader_how_many_are_left() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 3).await;

    let answer = call(&mark, "bob", request(&conversation, 2)).await.unwrap();

    let expected = MarkConversationReadResponse {
        read_seq: 2,
        unread_count: 1,
        counted_seq: 3,
        settings: None,
    };
    assert_eq!(answer.response, expected);
    let at = answer.notices[0].occurred_at;
    let notice = |recipient: &str, unread_count, counted_seq| Notice {
        recipients: vec![user(recipient)].into(),
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            event: Some(live_event::Event::ReadPositionMoved(ReadPositionMoved {
                user_id: "bob".to_owned(),
                read_seq: 2,
                unread_count,
                counted_seq,
            })),
            ..LiveEvent::default()
        },
        occurred_at: at,
    };
    assert_eq!(answer.notices, [notice("bob", Some(1), 3), notice("alice", None, 0)]);
    assert_eq!(stored(&fixture, conversation).await, [0, 2]);
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_is_told_again_and_a_position_never_moves_back() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 3).await;

    assert_eq!(marked(call(&mark, "bob", request(&conversation, 2)).await), (2, 1, 2));
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 2)).await), (2, 1, 2));
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 1)).await), (2, 1, 0));
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 3)).await), (3, 0, 2));
    assert_eq!(stored(&fixture, conversation).await, [0, 3]);
}

#[tokio::test]
async fn who_is_no_longer_a_friend_is_not_told() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 3).await;
    let removed = fixture.postgres().remove_friend(&user("alice"), &user("bob")).await;
    assert!(removed.unwrap().is_ok());
    for _ in 0..2 {
        let answer = call(&mark, "bob", request(&conversation, 2)).await.unwrap();
        let told: Vec<_> = answer
            .notices
            .iter()
            .flat_map(|notice| notice.recipients.users())
            .collect();
        assert_eq!(told, [&user("bob")]);
    }
    assert_eq!(stored(&fixture, conversation).await, [0, 2]);
}

#[tokio::test]
async fn a_position_never_passes_the_newest_message() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    // Nothing was said: nothing can be read.
    assert_eq!(
        marked(call(&mark, "bob", request(&conversation, i64::MAX)).await),
        (0, 0, 0)
    );
    say_many(&fixture, conversation, "alice", 2).await;
    assert_eq!(
        marked(call(&mark, "bob", request(&conversation, i64::MAX)).await),
        (2, 0, 2)
    );
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 3)).await), (2, 0, 2));

    say_many(&fixture, conversation, "bob", 1).await;
    Stores::new(fixture.settings())
        .place(conversation, "alice", "last")
        .await;
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 1)).await), (2, 1, 0));
}

#[tokio::test]
async fn ones_own_messages_are_not_unread_but_can_be_marked() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 5).await;
    assert_eq!(marked(call(&mark, "alice", request(&conversation, 2)).await), (2, 0, 2));
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 2)).await), (2, 3, 2));
}

#[tokio::test]
async fn own_messages_among_those_of_others_are_not_unread_wherever_the_mark_is() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 2).await;
    say_many(&fixture, conversation, "bob", 2).await;
    let stores = Stores::new(fixture.settings());
    stores.place(conversation, "alice", "last").await;
    for (read_seq, unread) in [(1, 2), (2, 1), (3, 1), (4, 1), (5, 0)] {
        let expected = (read_seq, unread, 2);
        assert_eq!(
            marked(call(&mark, "bob", request(&conversation, read_seq)).await),
            expected
        );
    }
}

#[tokio::test]
async fn a_place_that_was_closed_is_not_unread_once_that_is_reported() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 3).await;
    age(&fixture, conversation, 10).await;
    Stores::new(fixture.settings())
        .sealer()
        .seal(conversation)
        .await
        .unwrap();
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 1)).await), (1, 0, 2));
}

#[tokio::test]
async fn who_marks_too_often_is_told_when_to_come_again() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 3).await;
    let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let mark = MarkConversationRead::from_settings(&settings).unwrap();
    for read_seq in [1, 2] {
        assert_eq!(
            marked(call(&mark, "bob", request(&conversation, read_seq)).await).0,
            read_seq
        );
    }
    let failure = call(&mark, "bob", request(&conversation, 3)).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    assert!(failure.retry_after().is_some_and(|wait| !wait.is_zero()));
    assert_eq!(stored(&fixture, conversation).await, [0, 2]);
    // A stranger learns nothing, whatever is left to them.
    let failure = call(&mark, "mallory", request(&conversation, 3)).await.unwrap_err();
    assert_not_found([failure]);
}

#[tokio::test]
async fn positions_marked_at_once_end_at_the_greatest() {
    let fixture = Arc::new(Fixture::new().await);
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 20).await;
    let mut callers = JoinSet::new();
    for device in 0..8 {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let mark: MarkConversationRead = fixture.operation();
            let mut before = 0;
            // In another order on every device.
            for step in 0..20 {
                let seq = (step * 7 + device * 3) % 20 + 1;
                let (read_seq, unread, _) = marked(call(&mark, "bob", request(&conversation, seq)).await);
                assert!(read_seq >= seq && read_seq >= before && read_seq <= 20);
                assert_eq!(unread, 20 - read_seq);
                before = read_seq;
            }
        });
    }
    callers.join_all().await;
    assert_eq!(stored(&fixture, conversation).await, [0, 20]);
}

#[tokio::test]
async fn marking_while_others_send_neither_blocks_nor_passes_them() {
    let fixture = Arc::new(Fixture::new().await);
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut tasks = JoinSet::new();
    for sender in ["alice", "bob"] {
        let fixture = Arc::clone(&fixture);
        tasks.spawn(async move { say_many(&fixture, conversation, sender, 30).await });
    }
    for reader in ["alice", "bob"] {
        let fixture = Arc::clone(&fixture);
        tasks.spawn(async move {
            let mark: MarkConversationRead = fixture.operation();
            let mut before = 0;
            for _ in 0..30 {
                let (read_seq, unread, _) = marked(call(&mark, reader, request(&conversation, i64::MAX)).await);
                assert!(read_seq >= before && read_seq <= 60);
                assert!(unread <= 60 - read_seq, "{unread} above {read_seq}");
                before = read_seq;
            }
        });
    }
    tasks.join_all().await;
    let mark: MarkConversationRead = fixture.operation();
    for reader in ["alice", "bob"] {
        let (read_seq, unread, _) = marked(call(&mark, reader, request(&conversation, 60)).await);
        assert_eq!((read_seq, unread), (60, 0));
    }
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 1).await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        for read_seq in [1, i64::MAX] {
            failures.extend(call(&mark, "mallory", request(&conversation, read_seq)).await.err());
        }
    }
    assert_eq!(failures.len(), 4);
    assert_not_found(failures);
    assert_eq!(stored(&fixture, conversation).await, [0, 0]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    for seq in [0, -1, i64::MIN] {
        let failure = call(&mark, "alice", request("x", seq)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id", "read_seq"]);
        let failure = call(&mark, "alice", request(&ConversationId::generate(), seq))
            .await
            .unwrap_err();
        assert_eq!(bad_fields(&failure), ["read_seq"]);
        assert!(failure.to_string().contains(&seq.to_string()), "{failure}");
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationRead = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    for attempt in [request(&conversation, 1), request("x", 0)] {
        let failure = call_without_token(&mark, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn marking_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 2).await;
    let proxies = fixture.with_proxies().await;
    let mark: MarkConversationRead = proxies.operation();
    marked(call(&mark, "bob", request(&conversation, 1)).await);
    proxies.postgres.reset_counts();

    assert_eq!(marked(call(&mark, "bob", request(&conversation, 2)).await), (2, 0, 2));

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_unnoticed() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, "alice", 2).await;
    let proxies = fixture.with_proxies().await;
    let mark: MarkConversationRead = proxies.operation();
    marked(call(&mark, "bob", request(&conversation, 1)).await);

    let cut = proxies.postgres.cut_before_answer(Filter::operation("mark_read("));
    let (read_seq, unread, _) = marked(call(&mark, "bob", request(&conversation, 2)).await);
    cut.happened().await;
    assert_eq!((read_seq, unread), (2, 0));
}
