//! What listing friends answers, on a real database.

use std::collections::BTreeSet;

use chat_domain::DisplayName;
use chat_rpc::Code;
use chat_stores::postgres::ProfileUpdate;
use chat_testing::{Called, Fixture, call, call_without_token, user};

use super::*;
use crate::notice::tests::assert_fields;

use FriendState::{Accepted, RequestReceived, RequestSent, Unspecified};

fn request(state: FriendState, page_size: i32, page_token: &str) -> ListFriendsRequest {
    ListFriendsRequest {
        state: state.into(),
        page_size,
        page_token: page_token.to_owned(),
    }
}

fn page(called: Called<ListFriends>) -> (Vec<Friend>, String) {
    let answer = called.expect("the page is read");
    assert_eq!(answer.notices, [], "nobody is told");
    (answer.response.friends, answer.response.next_page_token)
}

fn others(friends: &[Friend]) -> Vec<&str> {
    friends.iter().map(|friend| friend.user_id.as_str()).collect()
}

async fn ask(fixture: &Fixture, from: &str, to: &str) {
    let asked = fixture.postgres().request_friend(&user(from), &user(to)).await;
    assert!(asked.unwrap().is_some_and(|(_, changed)| changed));
}

/// Gives a user so many friends, past the operation: many of them changed at the same time, some on either side of the
/// user's id.
async fn fill(fixture: &Fixture, of: &str, friends: i64) {
    let mut connection = fixture.connect_postgres().await;
    sqlx::query(
        "INSERT INTO friendships (low_user_id, high_user_id, requested_by, accepted, updated_at)
         SELECT least($1, other COLLATE \"C\"), greatest($1, other COLLATE \"C\"), $1, true,
                timestamptz '2026-01-01' + n / 7 * interval '1 microsecond'
         FROM (SELECT n, CASE WHEN n % 2 = 0 THEN 'a-' ELSE 'Z-' END || n AS other FROM generate_series(1, $2) n) made",
    )
    .bind(of)
    .bind(friends)
    .execute(&mut connection)
    .await
    .unwrap();
}

/// Pages through everything; asserts that every page but the last is full.
async fn walk(list: &ListFriends, caller: &str, page_size: i32) -> Vec<Friend> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (friends, next) = page(call(list, caller, request(Unspecified, page_size, &token)).await);
        assert!(!friends.is_empty(), "no page is empty");
        assert!(next.is_empty() || friends.len() == usize::try_from(page_size).unwrap());
        all.extend(friends);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
}

#[tokio::test]
async fn friends_and_requests_come_most_recently_changed_first_with_their_profiles() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fixture.befriend("alice", "bob").await;
    ask(&fixture, "alice", "carol").await;
    ask(&fixture, "Zed", "alice").await;
    fixture.befriend("bob", "carol").await;
    let name = ProfileUpdate {
        display_name: Some(DisplayName::parse("Bob").unwrap()),
        avatar_url: None,
    };
    let profile = fixture.postgres().upsert_profile(&user("bob"), &name).await.unwrap();

    let (friends, next) = page(call(&list, "alice", ListFriendsRequest::default()).await);

    let seen: Vec<_> = friends
        .iter()
        .map(|friend| (friend.user_id.as_str(), friend.state()))
        .collect();
    assert_eq!(
        seen,
        [("Zed", RequestReceived), ("carol", RequestSent), ("bob", Accepted)]
    );
    assert_eq!(friends[2].profile, profile.map(view::profile));
    assert_eq!((&friends[0].profile, &friends[1].profile), (&None, &None));
    assert!(friends.iter().all(|friend| friend.updated_at.is_some()));
    assert_eq!(next, "");

    // A change moves to the front.
    ask(&fixture, "carol", "alice").await;
    let (friends, _) = page(call(&list, "alice", ListFriendsRequest::default()).await);
    assert_eq!(others(&friends), ["carol", "Zed", "bob"]);
}

#[tokio::test]
async fn only_those_in_the_wanted_state_are_listed() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fixture.befriend("alice", "bob").await;
    ask(&fixture, "alice", "carol").await;
    ask(&fixture, "Zed", "alice").await;
    for (state, expected) in [(Accepted, "bob"), (RequestSent, "carol"), (RequestReceived, "Zed")] {
        let (friends, next) = page(call(&list, "alice", request(state, 1, "")).await);
        assert_eq!((others(&friends), next.as_str()), (vec![expected], ""));
        assert_eq!(friends[0].state(), state);
    }
    let (nobody, next) = page(call(&list, "nobody", ListFriendsRequest::default()).await);
    assert_eq!((nobody, next.as_str()), (vec![], ""));
}

#[tokio::test]
async fn paging_through_everything_loses_and_doubles_nothing() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fill(&fixture, "m", 230).await;
    for page_size in [1, 7, 10, 100] {
        let all = walk(&list, "m", page_size).await;
        let distinct: BTreeSet<&str> = others(&all).into_iter().collect();
        assert_eq!((all.len(), distinct.len()), (230, 230), "{page_size}");
        let order: Vec<_> = all
            .iter()
            .map(|friend| (friend.updated_at.map(|at| (at.seconds, at.nanos)), &friend.user_id))
            .collect();
        assert!(order.is_sorted_by(|one, next| one > next), "{page_size}");
    }
}

#[tokio::test]
async fn page_sizes_are_clamped_and_negative_ones_refused() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fill(&fixture, "m", 101).await;
    for (asked, expected) in [(0, 50), (1, 1), (100, 100), (101, 100), (i32::MAX, 100)] {
        let (friends, next) = page(call(&list, "m", request(Unspecified, asked, "")).await);
        assert_eq!(friends.len(), expected);
        assert_ne!(next, "");
    }
    for negative in [-1, i32::MIN] {
        assert_fields::<ListFriends>(
            call(&list, "m", request(Unspecified, negative, "")).await,
            &["page_size"],
        );
    }
}

#[tokio::test]
async fn a_full_last_page_says_that_it_is_the_last() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fill(&fixture, "m", 100).await;
    let (friends, next) = page(call(&list, "m", request(Unspecified, 100, "")).await);
    assert_eq!((friends.len(), next.as_str()), (100, ""));
}

#[tokio::test]
async fn a_foreign_page_token_is_refused_and_a_forged_one_shows_nothing_of_others() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fill(&fixture, "m", 3).await;
    for foreign in [
        "x",
        "1",
        ".a",
        "1.",
        "1.a b",
        "1.' OR true --",
        "-1.a",
        "-8000000000000000000.a",
        "99999999999999999999.a",
        &"9".repeat(600),
    ] {
        assert_fields::<ListFriends>(
            call(&list, "m", request(Unspecified, 0, foreign)).await,
            &["page_token"],
        );
    }
    // Times that no row has.
    for (forged, expected) in [("0.a", 0), ("8000000000000000000.a", 3)] {
        let (own, _) = page(call(&list, "m", request(Unspecified, 0, forged)).await);
        assert_eq!(own.len(), expected, "{forged}");
        let (nobody, _) = page(call(&list, "nobody", request(Unspecified, 0, forged)).await);
        assert_eq!(nobody, []);
    }
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    let bad = ListFriendsRequest {
        state: 4,
        page_size: -1,
        page_token: "x".to_owned(),
    };
    assert_fields::<ListFriends>(call(&list, "alice", bad).await, &["state", "page_size", "page_token"]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    for attempt in [ListFriendsRequest::default(), request(Unspecified, -1, "x")] {
        let failure = call_without_token(&list, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn listing_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    fill(&fixture, "m", 101).await;
    let proxies = fixture.with_proxies().await;
    let list: ListFriends = proxies.operation();
    let (_, next) = page(call(&list, "m", ListFriendsRequest::default()).await);
    proxies.postgres.reset_counts();

    page(call(&list, "m", request(Accepted, 100, &next)).await);

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
