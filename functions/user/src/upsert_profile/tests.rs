//! What setting a profile does, on a real database.

use std::sync::Arc;
use std::time::Duration;

use chat_contract::FieldMask;
use chat_contract::v1::Profile;
use chat_domain::WRITE_BUDGET;
use chat_operation::Code;
use chat_testing::{Called, Fixture, call, call_without_token, user};
use tokio::task::JoinSet;

use super::*;

const AVATAR: &str = "https://example.com/a.png";

fn request(display_name: &str, avatar_url: &str, mask: &[&str]) -> UpsertProfileRequest {
    UpsertProfileRequest {
        display_name: display_name.to_owned(),
        avatar_url: avatar_url.to_owned(),
        update_mask: (!mask.is_empty()).then(|| FieldMask {
            paths: mask.iter().map(|path| (*path).to_owned()).collect(),
        }),
    }
}

fn profile(called: Called<UpsertProfile>) -> Profile {
    let answer = called.expect("the profile is set");
    assert_eq!(answer.notices, [], "nobody is told");
    answer.response.profile.expect("an answer has a profile")
}

fn refused(called: Called<UpsertProfile>) -> Vec<String> {
    let failure = called.expect_err("the call is refused");
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::InvalidArgument, "INVALID_FIELDS")
    );
    failure
        .violations()
        .iter()
        .map(|violation| violation.field.clone())
        .collect()
}

/// What is stored of a user, past the operation: (display name, avatar URL).
async fn stored(fixture: &Fixture, of: &str) -> Option<(String, String)> {
    let rows = fixture.postgres().list_profiles(&[user(of)]).await.unwrap();
    rows.into_iter().next().map(|row| (row.display_name, row.avatar_url))
}

fn time(profile: &Profile) -> (i64, i32) {
    let at = profile.updated_at.as_ref().expect("a profile has a time");
    (at.seconds, at.nanos)
}

#[tokio::test]
async fn a_first_profile_is_created_for_the_caller_alone() {
    let fixture = Fixture::new().await;
    let upsert: UpsertProfile = fixture.operation();

    let made = profile(call(&upsert, "alice", request("Alice ☀", AVATAR, &[])).await);

    let expected = Profile {
        user_id: "alice".to_owned(),
        display_name: "Alice ☀".to_owned(),
        avatar_url: AVATAR.to_owned(),
        updated_at: made.updated_at,
    };
    assert_eq!(made, expected);
    assert!(time(&made).0 > 1_700_000_000);
    assert_eq!(
        stored(&fixture, "alice").await,
        Some(("Alice ☀".to_owned(), AVATAR.to_owned()))
    );
    assert_eq!(stored(&fixture, "bob").await, None);
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_a_change_moves_the_time() {
    let fixture = Fixture::new().await;
    let upsert: UpsertProfile = fixture.operation();

    let first = profile(call(&upsert, "alice", request("Alice", AVATAR, &[])).await);
    let repeat = profile(call(&upsert, "alice", request("Alice", AVATAR, &[])).await);
    assert_eq!(repeat, first);

    let changed = profile(call(&upsert, "alice", request("Alice B.", AVATAR, &[])).await);
    assert_eq!(changed.display_name, "Alice B.");
    assert!(time(&changed) > time(&first));
}

#[tokio::test]
async fn only_the_fields_of_the_mask_are_set() {
    let fixture = Fixture::new().await;
    let upsert: UpsertProfile = fixture.operation();
    let set = async |request| {
        let profile = profile(call(&upsert, "alice", request).await);
        (profile.display_name, profile.avatar_url)
    };
    let is = |name: &str, avatar: &str| (name.to_owned(), avatar.to_owned());

    // A first profile may name the display name alone.
    assert_eq!(set(request("Alice", AVATAR, &["display_name"])).await, is("Alice", ""));
    assert_eq!(set(request("", AVATAR, &["avatar_url"])).await, is("Alice", AVATAR));
    assert_eq!(set(request("Al", "", &["display_name"])).await, is("Al", AVATAR));
    assert_eq!(
        set(request("Bea", "", &["display_name", "avatar_url"])).await,
        is("Bea", "")
    );
    assert_eq!(set(request("Cleo", AVATAR, &[])).await, is("Cleo", AVATAR));
    // No mask means both, so that an empty URL takes the picture away.
    assert_eq!(set(request("Cleo", "", &[])).await, is("Cleo", ""));
}

#[tokio::test]
async fn a_field_outside_the_mask_is_not_looked_at() {
    let fixture = Fixture::new().await;
    let upsert: UpsertProfile = fixture.operation();
    let made = profile(call(&upsert, "alice", request("Alice", "http://no", &["display_name"])).await);
    assert_eq!(made.avatar_url, "");
}

#[tokio::test]
async fn a_first_profile_without_a_display_name_is_refused_and_not_made() {
    let fixture = Fixture::new().await;
    let upsert: UpsertProfile = fixture.operation();
    assert_eq!(
        refused(call(&upsert, "alice", request("", AVATAR, &["avatar_url"])).await),
        ["display_name"]
    );
    assert_eq!(stored(&fixture, "alice").await, None);
}

#[tokio::test]
async fn every_bad_field_is_named_and_nothing_is_written() {
    let fixture = Fixture::new().await;
    let upsert: UpsertProfile = fixture.operation();
    let (name, avatar) = ("display_name", "avatar_url");
    let url = |bytes: usize| format!("https://{}", "x".repeat(bytes - "https://".len()));
    for (bad, fields) in [
        (request("", "ftp://a", &[]), vec![name, avatar]),
        (
            request("", "ftp://a", &[name, avatar, "user_id"]),
            vec!["update_mask", name, avatar],
        ),
        (request("Alice", "", &["displayname", "x"]), vec!["update_mask"]),
        (request(" \t", "", &[]), vec![name]),
        (request("Alice\n", "", &[]), vec![name]),
        (request("Alice\u{0}", "", &[]), vec![name]),
        (request(&"🦀".repeat(65), "", &[]), vec![name]),
        (request("Alice", &url(513), &[]), vec![avatar]),
        (request("Alice", "http://example.com", &[]), vec![avatar]),
        (request("Alice", "javascript:alert(1)", &[]), vec![avatar]),
    ] {
        assert_eq!(refused(call(&upsert, "alice", bad).await), fields);
    }
    assert_eq!(stored(&fixture, "alice").await, None);

    let longest = "🦀".repeat(64);
    let made = profile(call(&upsert, "alice", request(&longest, &url(512), &[])).await);
    assert_eq!((made.display_name, made.avatar_url), (longest, url(512)));
}

#[tokio::test]
async fn a_call_without_a_token_is_refused_and_nothing_is_written() {
    let fixture = Fixture::new().await;
    let upsert: UpsertProfile = fixture.operation();
    // Before anything of the request is looked at.
    for attempt in [request("Alice", "", &[]), request("", "x", &["y"])] {
        let failure = call_without_token(&upsert, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
    assert_eq!(stored(&fixture, "alice").await, None);
}

#[tokio::test]
async fn first_profiles_set_at_once_end_as_one_of_them() {
    let fixture = Arc::new(Fixture::new().await);
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let upsert: UpsertProfile = fixture.operation();
            let url = format!("https://example.com/{caller}");
            profile(call(&upsert, "alice", request(&format!("Alice {caller}"), &url, &[])).await)
        });
    }
    let answers = callers.join_all().await;

    let (name, url) = stored(&fixture, "alice").await.unwrap();
    assert!(
        answers
            .iter()
            .any(|answer| (&answer.display_name, &answer.avatar_url) == (&name, &url)),
        "the two fields are of one call"
    );
}

#[tokio::test]
async fn setting_a_profile_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let upsert: UpsertProfile = proxies.operation();
    profile(call(&upsert, "alice", request("warm", "", &[])).await);
    proxies.postgres.reset_counts();

    profile(call(&upsert, "alice", request("counted", "", &[])).await);

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_unnoticed() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let upsert: UpsertProfile = proxies.operation();
    profile(call(&upsert, "alice", request("warm", "", &[])).await);

    let cut = proxies
        .postgres
        .cut_before_answer(chat_testing::Filter::operation("upsert_profile("));
    let answered = profile(call(&upsert, "alice", request("Alice", "", &[])).await);
    cut.happened().await;

    assert_eq!(answered.display_name, "Alice");
    assert_eq!(
        stored(&fixture, "alice").await,
        Some(("Alice".to_owned(), String::new()))
    );
}

#[tokio::test]
async fn who_writes_too_often_is_told_when_to_go_on_and_nothing_is_written() {
    let fixture = Fixture::new().await;
    // Two at once, and one more every ten seconds.
    let factor = 2.0 / f64::from(WRITE_BUDGET.at_once);
    let settings = fixture
        .settings()
        .clone()
        .with("USER_BUDGET_FACTOR", factor.to_string());
    let upsert = UpsertProfile::from_settings(&settings).unwrap();
    let made = profile(call(&upsert, "alice", request("Alice", AVATAR, &[])).await);
    // A repeat is charged as well.
    assert_eq!(
        profile(call(&upsert, "alice", request("Alice", AVATAR, &[])).await),
        made
    );

    for attempt in [request("Al", "", &[]), request("Alice", AVATAR, &[])] {
        let failure = call(&upsert, "alice", attempt).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::ResourceExhausted, "RATE_LIMITED")
        );
        let wait = failure.retry_after().unwrap();
        assert!(!wait.is_zero() && wait <= Duration::from_secs(10), "{wait:?}");
    }
    assert_eq!(
        stored(&fixture, "alice").await,
        Some(("Alice".to_owned(), AVATAR.to_owned()))
    );
    // Each has a budget of their own; a refused first profile is charged, too.
    for _ in 0..2 {
        assert_eq!(
            refused(call(&upsert, "bob", request("", AVATAR, &["avatar_url"])).await),
            ["display_name"]
        );
    }
    let failure = call(&upsert, "bob", request("Bob", "", &[])).await.unwrap_err();
    assert_eq!(failure.reason(), "RATE_LIMITED");
    assert_eq!(stored(&fixture, "bob").await, None);

    // When it has refilled, there is one more.
    sqlx::query("UPDATE budgets SET used_until = used_until - interval '10 seconds' WHERE user_id = 'alice'")
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(
        profile(call(&upsert, "alice", request("Al", "", &[])).await).display_name,
        "Al"
    );
    let failure = call(&upsert, "alice", request("Alice", "", &[])).await.unwrap_err();
    assert_eq!(failure.reason(), "RATE_LIMITED");
}
