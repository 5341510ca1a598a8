//! What listing friends answers, on a real database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chat_contract::v1::Friend;
use chat_domain::{DisplayName, READ_BUDGET};
use chat_operation::Code;
use chat_stores::postgres::ProfileUpdate;
use chat_testing::{Called, Fixture, call, call_without_token, user};

use super::*;
use crate::notice::tests::{ask, assert_exhausted, assert_fields, fill, with_budget};

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
async fn friends_and_requests_come_by_user_id_with_their_profiles() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    ask(&fixture, "alice", "carol").await;
    fixture.befriend("alice", "bob").await;
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
    // By their bytes.
    assert_eq!(
        seen,
        [("Zed", RequestReceived), ("bob", Accepted), ("carol", RequestSent)]
    );
    assert_eq!(friends[1].profile, profile.unwrap().map(chat_view::profile));
    assert_eq!((&friends[0].profile, &friends[2].profile), (&None, &None));
    assert!(friends.iter().all(|friend| friend.updated_at.is_some()));
    assert_eq!(next, "");

    // A change moves nobody, and what ended is not there.
    ask(&fixture, "dave", "alice").await;
    fixture.befriend("carol", "alice").await;
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
        .unwrap()
        .unwrap();
    let (friends, _) = page(call(&list, "alice", ListFriendsRequest::default()).await);
    assert_eq!(others(&friends), ["Zed", "carol", "dave"]);
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
    fill(&fixture, "m", 230, "accepted", "accepted").await;
    for page_size in [1, 7, 10, 100] {
        let all = walk(&list, "m", page_size).await;
        let distinct: BTreeSet<&str> = others(&all).into_iter().collect();
        assert_eq!((all.len(), distinct.len()), (230, 230), "{page_size}");
        assert!(others(&all).is_sorted(), "{page_size}");
    }
}

#[tokio::test]
async fn page_sizes_are_clamped_and_negative_ones_refused() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fill(&fixture, "m", 101, "accepted", "accepted").await;
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
    fill(&fixture, "m", 100, "accepted", "accepted").await;
    let (friends, next) = page(call(&list, "m", request(Unspecified, 100, "")).await);
    assert_eq!((friends.len(), next.as_str()), (100, ""));
}

#[tokio::test]
async fn a_foreign_page_token_is_refused_and_a_forged_one_shows_nothing_of_others() {
    let fixture = Fixture::new().await;
    let list: ListFriends = fixture.operation();
    fill(&fixture, "m", 3, "accepted", "accepted").await;
    for foreign in [
        "x",
        "a-2",
        "u",
        "u.",
        "u.a b",
        "u.\n",
        "u.å",
        "U.a",
        "1.a",
        "1700000000000000.a-2",
        "u.' OR true --",
        &format!("u.{}", "9".repeat(600)),
    ] {
        assert_fields::<ListFriends>(
            call(&list, "m", request(Unspecified, 0, foreign)).await,
            &["page_token"],
        );
    }
    // Users who are not there, or of others.
    for (forged, expected) in [("u.A", 3), ("u.Z-2", 2), ("u.zzz", 0)] {
        let (own, _) = page(call(&list, "m", request(Unspecified, 0, forged)).await);
        assert_eq!(own.len(), expected, "{forged}");
        let (nobody, _) = page(call(&list, "nobody", request(Unspecified, 0, forged)).await);
        assert_eq!(nobody, []);
    }
}

/// Another order of numbers below a prime.
fn shuffled(n: u32) -> u32 {
    n * 37 % 101
}

#[tokio::test]
async fn whoever_is_there_all_the_while_is_met_once_however_others_change() {
    let fixture = Arc::new(Fixture::new().await);
    let list: ListFriends = fixture.operation();
    // 101 who asked `m`, of whom most are answered meanwhile; between them others come and go.
    fill(&fixture, "m", 101, "received", "sent").await;
    let stay: Vec<String> = (1..=101)
        .map(|n| format!("{}{n}", if n % 2 == 0 { "a-" } else { "Z-" }))
        .collect();
    let changing = {
        let (fixture, stay) = (Arc::clone(&fixture), stay.clone());
        tokio::spawn(async move {
            let postgres = fixture.postgres();
            for n in 0..99 {
                let other = user(&stay[shuffled(n) as usize]);
                postgres
                    .respond_to_friend_request(&user("m"), &other, true)
                    .await
                    .unwrap()
                    .unwrap();
                // Ahead of the reader and behind.
                let passing = user(&format!("{}{n}", if n % 2 == 0 { "Z-5x" } else { "a-5x" }));
                postgres.request_friend(&passing, &user("m")).await.unwrap().unwrap();
                if n % 3 != 0 {
                    postgres.remove_friend(&user("m"), &passing).await.unwrap().unwrap();
                }
            }
        })
    };
    let mut walks = 0;
    while walks < 3 || !changing.is_finished() {
        let all = walk(&list, "m", 9).await;
        let mut met: BTreeMap<&str, u32> = BTreeMap::new();
        for other in others(&all) {
            *met.entry(other).or_default() += 1;
        }
        assert!(met.values().all(|times| *times == 1), "{met:?}");
        assert!(stay.iter().all(|other| met.contains_key(other.as_str())), "{met:?}");
        assert!(others(&all).is_sorted());
        walks += 1;
    }
    changing.await.unwrap();
}

#[tokio::test]
async fn who_lists_too_often_is_told_when_to_go_on() {
    let fixture = Fixture::new().await;
    fixture.befriend("alice", "bob").await;
    // Two at once.
    let factor = 2.0 / f64::from(READ_BUDGET.at_once);
    let list: ListFriends = with_budget(&fixture, &factor.to_string());
    for _ in 0..2 {
        page(call(&list, "alice", ListFriendsRequest::default()).await);
    }
    let refused = call(&list, "alice", ListFriendsRequest::default()).await;
    let wait = assert_exhausted::<ListFriends>(refused, "RATE_LIMITED").unwrap();
    assert!(wait.as_secs() < 15 && !wait.is_zero(), "{wait:?}");
    // Each has a budget of their own, and of another class.
    page(call(&list, "bob", ListFriendsRequest::default()).await);
    ask(&fixture, "alice", "carol").await;
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
    fill(&fixture, "m", 101, "accepted", "accepted").await;
    let proxies = fixture.with_proxies().await;
    let list: ListFriends = proxies.operation();
    let (_, next) = page(call(&list, "m", ListFriendsRequest::default()).await);
    proxies.postgres.reset_counts();

    page(call(&list, "m", request(Accepted, 100, &next)).await);

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
