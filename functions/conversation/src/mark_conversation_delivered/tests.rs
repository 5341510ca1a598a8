//! How far messages have reached members' devices and who hears of it, on a real database.

use chat_operation::Code;
use chat_testing::{Called, Filter, Fixture, call, call_without_token, user};

use super::*;
use crate::scene::{Stores, assert_not_found, bad_fields};

fn request(conversation: &(impl ToString + ?Sized), delivered_seq: i64) -> MarkConversationDeliveredRequest {
    MarkConversationDeliveredRequest {
        conversation_id: conversation.to_string(),
        delivered_seq,
    }
}

/// (position, number of notices)
fn marked(called: Called<MarkConversationDelivered>) -> (i64, usize) {
    let answer = called.expect("the position is marked");
    (answer.response.delivered_seq, answer.notices.len())
}

async fn say_many(fixture: &Fixture, conversation: ConversationId, messages: usize) {
    let stores = Stores::new(fixture.settings());
    for message in 0..messages {
        stores.place(conversation, "alice", &format!("{message}")).await;
    }
}

/// What each member is shown of all: (read, delivered).
async fn shown(fixture: &Fixture, conversation: ConversationId, caller: &str) -> Vec<(i64, i64)> {
    let row = fixture
        .postgres()
        .lookup_conversation(conversation, &user(caller))
        .await;
    let members = row.unwrap().unwrap().conversation.members.into_iter();
    members.map(|member| (member.read_seq, member.delivered_seq)).collect()
}

#[tokio::test]
async fn a_position_moves_and_all_members_hear_of_it() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, 3).await;

    let answer = call(&mark, "bob", request(&conversation, 2)).await.unwrap();

    assert_eq!(answer.response, MarkConversationDeliveredResponse { delivered_seq: 2 });
    let notice = Notice {
        recipients: vec![user("alice"), user("bob")].into(),
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            event: Some(live_event::Event::DeliveredPositionMoved(DeliveredPositionMoved {
                user_id: "bob".to_owned(),
                delivered_seq: 2,
            })),
            ..LiveEvent::default()
        },
        occurred_at: answer.notices[0].occurred_at,
    };
    assert_eq!(answer.notices, [notice]);
    for caller in ["alice", "bob"] {
        assert_eq!(shown(&fixture, conversation, caller).await, [(0, 0), (0, 2)]);
    }
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_is_told_again_and_a_position_never_moves_back_or_past_the_newest() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    // Nothing was said: nothing can have come.
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 9)).await), (0, 0));
    say_many(&fixture, conversation, 3).await;
    for (asked, expected) in [(2, (2, 1)), (2, (2, 1)), (1, (2, 0)), (i64::MAX, (3, 1)), (3, (3, 1))] {
        assert_eq!(
            marked(call(&mark, "bob", request(&conversation, asked)).await),
            expected
        );
    }
}

#[tokio::test]
async fn what_is_read_is_delivered_and_need_not_be_told() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, 3).await;
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 1)).await), (1, 1));
    let read = fixture
        .postgres()
        .mark_conversation_read(conversation, &user("bob"), 2)
        .await;
    assert!(read.unwrap().is_ok());
    assert_eq!(shown(&fixture, conversation, "alice").await, [(0, 0), (2, 2)]);
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 2)).await), (2, 0));
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 3)).await), (3, 1));
    assert_eq!(shown(&fixture, conversation, "alice").await, [(0, 0), (2, 3)]);
}

#[tokio::test]
async fn of_many_members_nothing_is_kept_and_nobody_is_told() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    fixture.befriend("alice", "bob").await;
    let group = Stores::new(fixture.settings())
        .make_group("alice", &["bob"], true)
        .await;
    say_many(&fixture, group, 2).await;
    let mut session = fixture.connect_postgres().await;
    for (members, expected) in [(101, (0, 0)), (100, (1, 1))] {
        sqlx::query("UPDATE conversations SET member_count = $1")
            .bind(members)
            .execute(&mut session)
            .await
            .unwrap();
        assert_eq!(marked(call(&mark, "bob", request(&group, 1)).await), expected);
    }
    assert_eq!(shown(&fixture, group, "alice").await, [(0, 0), (0, 1)]);
}

#[tokio::test]
async fn who_is_no_longer_a_friend_is_not_told() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, 1).await;
    let removed = fixture.postgres().remove_friend(&user("alice"), &user("bob")).await;
    assert!(removed.unwrap().is_ok());
    let answer = call(&mark, "bob", request(&conversation, 1)).await.unwrap();
    assert_eq!(answer.notices[0].recipients.users(), [user("bob")]);
}

#[tokio::test]
async fn who_marks_too_often_is_told_when_to_come_again() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, 3).await;
    let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let mark = MarkConversationDelivered::from_settings(&settings).unwrap();
    for seq in [1, 2] {
        assert_eq!(marked(call(&mark, "bob", request(&conversation, seq)).await).0, seq);
    }
    let failure = call(&mark, "bob", request(&conversation, 3)).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    assert_not_found([call(&mark, "mallory", request(&conversation, 3)).await.unwrap_err()]);
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        failures.extend(call(&mark, "mallory", request(&conversation, 1)).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    for seq in [0, -1, i64::MIN] {
        let failure = call(&mark, "alice", request("x", seq)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id", "delivered_seq"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let mark: MarkConversationDelivered = fixture.operation();
    let failure = call_without_token(&mark, request("x", 0)).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn marking_costs_one_round_trip_and_a_lost_answer_is_asked_for_again() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    say_many(&fixture, conversation, 3).await;
    let proxies = fixture.with_proxies().await;
    let mark: MarkConversationDelivered = proxies.operation();
    marked(call(&mark, "bob", request(&conversation, 1)).await);
    proxies.postgres.reset_counts();
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 2)).await), (2, 1));
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
    let cut = proxies.postgres.cut_before_answer(Filter::operation("mark_delivered("));
    assert_eq!(marked(call(&mark, "bob", request(&conversation, 3)).await).0, 3);
    cut.happened().await;
}
