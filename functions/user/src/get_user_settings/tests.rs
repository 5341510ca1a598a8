//! Users see what they have decided about themselves, on real databases.

use chat_operation::Code;
use chat_testing::{Fixture, call, call_without_token};

use super::*;

/// A request that is answered.
fn request() -> GetUserSettingsRequest {
    GetUserSettingsRequest {}
}

#[tokio::test]
async fn who_has_said_nothing_is_added_by_friends() {
    let fixture = Fixture::new().await;
    let operation: GetUserSettings = fixture.operation();
    let answer = call(&operation, "alice", request()).await.unwrap();
    let expected = chat_view::user_settings(chat_domain::GroupAdders::Friends);
    assert_eq!(answer.response.settings, Some(expected));
    assert_eq!(answer.notices, []);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let operation: GetUserSettings = fixture.operation();
    let failure = call_without_token(&operation, request()).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let operation: GetUserSettings = proxies.operation();
    // The first call also connects.
    call(&operation, "alice", request()).await.unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "alice", request()).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
