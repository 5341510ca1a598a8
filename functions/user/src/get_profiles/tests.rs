//! What reading profiles answers, on a real database.

use chat_domain::DisplayName;
use chat_operation::Code;
use chat_stores::postgres::ProfileUpdate;
use chat_testing::{Called, Fixture, call, call_without_token, user};

use super::*;

fn request<S: ToString>(user_ids: impl IntoIterator<Item = S>) -> GetProfilesRequest {
    GetProfilesRequest {
        user_ids: user_ids.into_iter().map(|user| user.to_string()).collect(),
    }
}

/// Gives users profiles that say their ids.
async fn introduce(fixture: &Fixture, users: impl IntoIterator<Item = String>) {
    let postgres = fixture.postgres();
    for id in users {
        let update = ProfileUpdate {
            display_name: Some(DisplayName::parse(&format!("I am {id}")).unwrap()),
            avatar_url: None,
        };
        assert!(
            postgres
                .upsert_profile(&user(&id), &update)
                .await
                .unwrap()
                .unwrap()
                .is_some()
        );
    }
}

fn ids(called: Called<GetProfiles>) -> Vec<String> {
    let answer = called.expect("the profiles are read");
    assert_eq!(answer.notices, [], "nobody is told");
    let profiles = answer.response.profiles.into_iter();
    profiles.map(|profile| profile.user_id).collect()
}

#[tokio::test]
async fn profiles_come_in_the_order_of_the_request_once_each_and_without_those_that_are_missing() {
    let fixture = Fixture::new().await;
    introduce(&fixture, ["alice", "bob", "Bob", "carol"].map(str::to_owned)).await;
    let get: GetProfiles = fixture.operation();

    // Anyone with a token may, also without a profile of their own.
    let called = call(
        &get,
        "mallory",
        request(["carol", "nobody", "alice", "Bob", "carol", "bob"]),
    )
    .await;
    assert_eq!(ids(called), ["carol", "alice", "Bob", "bob"]);
    assert_eq!(
        ids(call(&get, "mallory", request(["nobody"])).await),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_profile_is_answered_as_it_is_stored() {
    let fixture = Fixture::new().await;
    introduce(&fixture, ["alice".to_owned()]).await;
    let get: GetProfiles = fixture.operation();

    let profiles = call(&get, "bob", request(["alice"])).await.unwrap().response.profiles;

    let row = fixture.postgres().list_profiles(&[user("alice")]).await.unwrap();
    assert_eq!(profiles, row.into_iter().map(chat_view::profile).collect::<Vec<_>>());
    assert_eq!(profiles[0].display_name, "I am alice");
    assert_eq!(profiles[0].avatar_url, "");
}

#[tokio::test]
async fn one_hundred_different_users_may_be_asked_for_and_no_more() {
    let fixture = Fixture::new().await;
    let get: GetProfiles = fixture.operation();
    let users: Vec<String> = (0..=PROFILES_PER_CALL_MAX).map(|user| format!("user-{user}")).collect();
    introduce(&fixture, users[98..].iter().cloned()).await;

    assert_eq!(ids(call(&get, "alice", request(&users[..100])).await), &users[98..100]);
    // Repeated ids count once.
    let repeated = users[..100].iter().chain(&users[..100]);
    assert_eq!(ids(call(&get, "alice", request(repeated)).await), &users[98..100]);

    for refused in [&users[..], &[]] {
        let failure = call(&get, "alice", request(refused)).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::InvalidArgument, "INVALID_FIELDS")
        );
        let expected = format!("user_ids has {} different entries; 1 to 100 are allowed", refused.len());
        assert_eq!(failure.to_string(), expected);
    }
}

#[tokio::test]
async fn every_bad_user_id_is_named() {
    let fixture = Fixture::new().await;
    let get: GetProfiles = fixture.operation();
    let long = "x".repeat(129);
    let failure = call(&get, "alice", request(["", "fine", "a b", "ålice", &long]))
        .await
        .unwrap_err();

    assert_eq!(failure.code(), Code::InvalidArgument);
    let violations = failure.violations();
    assert_eq!(violations.len(), 4);
    assert!(violations.iter().all(|violation| violation.field == "user_ids"));
    assert!(call(&get, "alice", request(["x".repeat(128)])).await.is_ok());
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let get: GetProfiles = fixture.operation();
    for attempt in [request(["alice"]), request([""])] {
        let failure = call_without_token(&get, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn reading_profiles_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    introduce(&fixture, ["alice".to_owned()]).await;
    let proxies = fixture.with_proxies().await;
    let get: GetProfiles = proxies.operation();
    let users: Vec<String> = (0..99).map(|user| format!("user-{user}")).collect();
    ids(call(&get, "bob", request(["alice"])).await);
    proxies.postgres.reset_counts();

    let asked = users.iter().map(String::as_str).chain(["alice"]);
    assert_eq!(ids(call(&get, "bob", request(asked)).await), ["alice"]);

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
