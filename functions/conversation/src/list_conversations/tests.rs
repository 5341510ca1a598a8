//! What the list of conversations shows and what it costs, on a real database.

use std::collections::BTreeSet;

use chat_contract::v1::{Conversation, GetConversationRequest};
use chat_domain::ConversationId;
use chat_operation::Code;
use chat_testing::{Called, Fixture, call, call_without_token, user};
use sqlx::PgConnection;

use super::*;
use crate::GetConversation;
use crate::scene::{Scene, Stores, bad_fields, calls, fill, list as list_first, until_alone};

fn request(page_size: i32, page_token: &str) -> ListConversationsRequest {
    ListConversationsRequest {
        page_size,
        page_token: page_token.to_owned(),
        ..ListConversationsRequest::default()
    }
}

fn page(called: Called<ListConversations>) -> (Vec<Conversation>, String) {
    let answer = called.expect("the page is read");
    assert_eq!(answer.notices, [], "nobody is told");
    (answer.response.conversations, answer.response.next_page_token)
}

fn ids(conversations: &[Conversation]) -> Vec<String> {
    let conversations = conversations.iter();
    conversations
        .map(|conversation| conversation.conversation_id.clone())
        .collect()
}

fn strings(conversations: &[ConversationId]) -> Vec<String> {
    conversations.iter().map(ToString::to_string).collect()
}

/// Pages through everything; asserts that every page but the last is full.
async fn walk(list: &ListConversations, caller: &str, page_size: i32) -> Vec<Conversation> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (conversations, next) = page(call(list, caller, request(page_size, &token)).await);
        assert!(!conversations.is_empty(), "no page is empty");
        assert!(next.is_empty() || conversations.len() == usize::try_from(page_size).unwrap());
        all.extend(conversations);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
}

#[tokio::test]
async fn the_newest_activity_comes_first_and_what_is_said_moves_to_the_front() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    let stores = Stores::new(fixture.settings());
    let postgres = &stores.postgres;
    let bob = fixture.open_direct("alice", "bob").await;
    let carol = fixture.open_direct("carol", "alice").await;
    let dave = fixture.open_direct("alice", "dave").await;
    // Not the caller's.
    fixture.open_direct("bob", "carol").await;
    // Opening counts as activity; conversations opened within one millisecond come by id.
    let (opened, next) = page(call(&list, "alice", ListConversationsRequest::default()).await);
    let all: BTreeSet<String> = ids(&opened).into_iter().collect();
    assert_eq!(all, strings(&[bob, carol, dave]).into_iter().collect());
    assert_eq!(next, "");

    stores.say(carol, "alice", "a1", "to carol").await;
    let order = async || ids(&page(call(&list, "alice", request(0, "")).await).0);
    let last_said = order().await;
    assert_eq!(last_said[0], carol.to_string());
    say_later(&fixture, &stores, bob, "bob").await;
    assert_eq!(order().await[..2], strings(&[bob, carol]));

    // Reading is no activity, nor is the end of the friendship.
    let marked = postgres.mark_conversation_read(carol, &user("carol"), 1).await;
    assert!(marked.unwrap().unwrap().is_some());
    let removed = postgres.remove_friend(&user("alice"), &user("dave")).await;
    assert!(removed.unwrap().is_ok());
    assert_eq!(order().await, strings(&[bob, carol, dave]));
}

/// Says something a second after everything else in the conversation's database, without waiting for it.
async fn say_later(fixture: &Fixture, stores: &Stores, conversation: ConversationId, sender: &str) {
    stores.say(conversation, sender, "later", "hello").await;
    sqlx::query(
        "UPDATE conversations SET last_activity_at = (SELECT max(last_activity_at) FROM conversations) + interval '1 second'
         WHERE conversation_id = $1",
    )
    .bind(conversation.uuid())
    .execute(&mut fixture.connect_postgres().await)
    .await
    .unwrap();
}

#[tokio::test]
async fn each_conversation_is_as_it_is_when_read_alone() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    let get: GetConversation = fixture.operation();
    let stores = Stores::new(fixture.settings());
    for other in ["bob", "carol", "Dave"] {
        let conversation = fixture.open_direct("alice", other).await;
        stores.say(conversation, other, "1", &format!("I am {other}")).await;
        stores.say(conversation, other, "2", "still there?").await;
        if other == "bob" {
            let marked = stores
                .postgres
                .mark_conversation_read(conversation, &user("alice"), 1)
                .await;
            assert!(marked.unwrap().unwrap().is_some());
        }
    }

    let (listed, _) = page(call(&list, "alice", request(0, "")).await);

    let mut unread: Vec<i64> = listed.iter().map(|conversation| conversation.unread_count).collect();
    unread.sort_unstable();
    assert_eq!(unread, [1, 2, 2]);
    for conversation in listed {
        let request = GetConversationRequest {
            conversation_id: conversation.conversation_id.clone(),
        };
        let alone = call(&get, "alice", request).await.unwrap().response.conversation;
        assert_eq!(Some(conversation), alone);
    }
}

#[tokio::test]
async fn paging_through_everything_loses_and_doubles_nothing() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    fill(&fixture, "m", 230).await;
    fixture.open_direct("alice", "bob").await;
    for page_size in [1, 7, 10, 100] {
        let all = walk(&list, "m", page_size).await;
        let distinct: BTreeSet<String> = ids(&all).into_iter().collect();
        assert_eq!((all.len(), distinct.len()), (230, 230), "{page_size}");
        let order: Vec<_> = all
            .iter()
            .map(|conversation| {
                let at = conversation.last_activity_at.as_ref().unwrap();
                (at.seconds, at.nanos, conversation.conversation_id.clone())
            })
            .collect();
        assert!(order.is_sorted_by(|one, next| one > next), "{page_size}");
        assert!(all.iter().all(|conversation| conversation.members.len() == 2));
    }
}

#[tokio::test]
async fn activity_while_paging_loses_nothing() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    fill(&fixture, "m", 30).await;
    let before: BTreeSet<String> = ids(&walk(&list, "m", 100).await).into_iter().collect();

    let (mut seen, next) = page(call(&list, "m", request(10, "")).await);
    // One that was shown and one that was not move to the front.
    let unseen = before.iter().find(|id| !ids(&seen).contains(id)).unwrap();
    for moved in [&seen[9].conversation_id, unseen] {
        sqlx::query("UPDATE conversations SET last_activity_at = now() WHERE conversation_id::text = $1")
            .bind(moved)
            .execute(&mut fixture.connect_postgres().await)
            .await
            .unwrap();
    }
    let mut token = next;
    while !token.is_empty() {
        let (more, next) = page(call(&list, "m", request(10, &token)).await);
        seen.extend(more);
        token = next;
    }
    // What moved is at the front, where a client looks anyway.
    seen.extend(page(call(&list, "m", request(2, "")).await).0);

    let seen: BTreeSet<String> = ids(&seen).into_iter().collect();
    assert_eq!(seen, before);
}

#[tokio::test]
async fn page_sizes_are_clamped() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    fill(&fixture, "m", 101).await;
    for (asked, expected) in [(0, 50), (1, 1), (100, 100), (101, 100), (i32::MAX, 100)] {
        let (conversations, next) = page(call(&list, "m", request(asked, "")).await);
        assert_eq!(conversations.len(), expected);
        assert_ne!(next, "");
    }
    let (whole, next) = page(call(&list, "a-2", request(1, "")).await);
    assert_eq!((whole.len(), next.as_str()), (1, ""), "a full page may be the last");
    let (none, next) = page(call(&list, "nobody", request(0, "")).await);
    assert_eq!((none, next.as_str()), (vec![], ""));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    for negative in [-1, i32::MIN] {
        let failure = call(&list, "m", request(negative, "x")).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["page_size", "page_token"]);
    }
    for unknown in [-1, 3, i32::MAX] {
        let bad = ListConversationsRequest {
            archived: unknown,
            kind: unknown,
            ..request(0, "")
        };
        let failure = call(&list, "m", bad).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["archived", "kind"]);
        assert!(failure.to_string().contains(&unknown.to_string()), "{failure}");
    }
}

#[tokio::test]
async fn a_foreign_page_token_is_refused_and_a_forged_one_shows_nothing_of_others() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    fill(&fixture, "m", 3).await;
    let id = ConversationId::generate();
    for foreign in [
        "x".to_owned(),
        "1".to_owned(),
        "1.a".to_owned(),
        "u.alice".to_owned(),
        format!(".{id}"),
        format!("-1.{id}"),
        format!("01.{id}"),
        format!("99999999999999999999.{id}"),
        "9".repeat(600),
    ] {
        let failure = call(&list, "m", request(0, &foreign)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["page_token"]);
    }
    // Times that no row has.
    for (forged, expected) in [(format!("0.{id}"), 0), (format!("8000000000000000.{id}"), 3)] {
        let (own, _) = page(call(&list, "m", request(0, &forged)).await);
        assert_eq!(own.len(), expected, "{forged}");
        let (nobody, _) = page(call(&list, "nobody", request(0, &forged)).await);
        assert_eq!(nobody, []);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    for attempt in [request(0, ""), request(-1, "x")] {
        let failure = call_without_token(&list, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn listing_costs_a_round_trip_of_each_store_and_another_where_something_is_missing() {
    let scene = Scene::new().await;
    let carol = scene.fixture.open_direct("carol", "bob").await;
    for conversation in [scene.conversation, carol] {
        for op in ["1", "2"] {
            scene.stores.say(conversation, "bob", op, "x").await;
        }
        scene.stores.sealer().seal(conversation).await.unwrap();
    }
    let proxies = scene.fixture.with_proxies().await;
    let list: ListConversations = proxies.operation();
    let costs = async |caller: &str| {
        proxies.postgres.reset_counts();
        proxies.mongo.reset_counts();
        let (_, seal) = list_first(&list, caller).await;
        (calls(&proxies.postgres), calls(&proxies.mongo), seal)
    };
    costs("bob").await;
    assert_eq!(costs("bob").await, (1, 1, vec![]));
    assert_eq!(costs("alice").await, (1, 1, vec![]));
    // Not sealed: what counts is looked up beside the previews.
    scene.say("bob", "3", "x").await;
    assert_eq!(costs("bob").await, (1, 1, vec![]));
    assert_eq!(costs("alice").await, (1, 2, vec![]));
    // Being written: the message below is looked for, and what is unread is counted again for whom it would be.
    scene.place("bob", "4").await;
    assert_eq!(costs("bob").await, (1, 2, vec![scene.conversation]));
    assert_eq!(costs("alice").await, (2, 3, vec![scene.conversation]));
}

#[tokio::test]
async fn a_list_heals_what_it_finds_and_nothing_stays_of_a_message_that_was_never_stored() {
    let scene = Scene::new().await;
    let carol = scene.fixture.open_direct("alice", "carol").await;
    let list: ListConversations = scene.fixture.operation();
    let first = scene.say("bob", "1", "one").await;
    scene.stores.say(carol, "carol", "1", "from carol").await;
    // Later than the message of carol, so that it moves the conversation up.
    let unwritten = scene.place("bob", "2").await;
    scene.age(-60).await;
    say_later_without_message(&scene).await;

    let ((before, seal), order) = (list_first(&list, "alice").await, strings(&[scene.conversation, carol]));
    assert_eq!((ids(&before), &seal), (order, &vec![scene.conversation]));
    assert_eq!((before[0].unread_count, before[0].counted_seq), (1, 1));
    assert_eq!(before[0].last_message.as_ref().unwrap().excerpt, "one");
    list.seal(seal.clone()).await;
    assert_eq!(list_first(&list, "alice").await.1, seal, "a young place stays open");

    scene.age(70).await;
    list.seal(seal).await;
    let (after, seal) = list_first(&list, "alice").await;
    assert_eq!((ids(&after), seal), (strings(&[carol, scene.conversation]), vec![]));
    assert_eq!(after[1].last_activity_at, Some(first.allocated_at.into()));
    assert_eq!((after[1].unread_count, after[1].counted_seq), (1, 2));
    let late = scene.write("bob", "2", "late", &unwritten).await;
    assert_eq!(late, chat_stores::mongo::Inserted::Taken);
    // The next message moves it up again.
    say_later(&scene.fixture, &scene.stores, scene.conversation, "bob").await;
    assert_eq!(list_first(&list, "alice").await.0[0].unread_count, 2);
}

/// Lets the newest place of alice and bob be later than all else.
async fn say_later_without_message(scene: &Scene) {
    sqlx::query(
        "UPDATE conversations SET last_activity_at = last_activity_at + interval '1 s' WHERE conversation_id = $1",
    )
    .bind(scene.conversation.uuid())
    .execute(&mut scene.fixture.connect_postgres().await)
    .await
    .unwrap();
}

#[tokio::test]
async fn where_nothing_was_ever_stored_the_conversation_stands_where_it_was_opened() {
    let scene = Scene::new().await;
    let list: ListConversations = scene.fixture.operation();
    scene.place("bob", "1").await;
    scene.place("bob", "2").await;
    say_later_without_message(&scene).await;
    scene.age(10).await;
    let (_, seal) = list_first(&list, "alice").await;
    list.seal(seal).await;
    let (listed, seal) = list_first(&list, "alice").await;
    assert_eq!((listed[0].last_activity_at, seal), (listed[0].created_at, vec![]));
    assert_eq!((listed[0].unread_count, &listed[0].last_message), (0, &None));
}

#[tokio::test]
async fn a_list_that_is_refused_reads_no_conversation() {
    let fixture = Fixture::new().await;
    crate::scene::fill(&fixture, "alice", 30).await;
    let explain = format!(
        "EXPLAIN (ANALYZE, COSTS OFF) {}",
        chat_stores::postgres::LIST_CONVERSATIONS
    );
    let mut session = fixture.connect_postgres().await;
    for is_refused in [false, true] {
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain.clone()))
            .bind("alice")
            .bind(None::<chrono::DateTime<chrono::Utc>>)
            .bind(None::<uuid::Uuid>)
            .bind(21_i64)
            .bind(60_000_000_i64)
            .bind(1_i64)
            .bind(false)
            .bind(false)
            .bind(None::<&str>)
            .bind(false)
            .fetch_all(&mut session)
            .await
            .unwrap();
        // Of those that are hidden, there are none to be read in any case.
        let reads = plan
            .iter()
            .filter(|line| line.contains(" on conversations ") && (is_refused || !line.contains("conversations h")));
        let reads: Vec<bool> = reads.map(|line| !line.contains("(never executed)")).collect();
        assert!(
            !reads.is_empty() && reads.iter().all(|is_read| *is_read != is_refused),
            "{plan:#?}"
        );
    }
}

#[tokio::test]
async fn who_lists_too_often_is_told_when_to_come_again() {
    let fixture = Fixture::new().await;
    let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let list = ListConversations::from_settings(&settings).unwrap();
    for _ in 0..6 {
        assert_eq!(list_first(&list, "alice").await, (vec![], vec![]));
    }
    let failure = call(&list, "alice", request(0, "")).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    let wait = failure.retry_after().unwrap();
    assert!(!wait.is_zero() && wait <= std::time::Duration::from_secs(5), "{wait:?}");
    // Nobody else is kept.
    assert_eq!(list_first(&list, "bob").await.0, []);
}

#[tokio::test]
async fn five_thousand_conversations_come_in_pages() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    fill(&fixture, "m", 5_000).await;
    let all = walk(&list, "m", 100).await;
    let distinct: BTreeSet<String> = ids(&all).into_iter().collect();
    assert_eq!((all.len(), distinct.len()), (5_000, 5_000));
}

/// How many rows of `members` Postgres reads for one page, by its own count.
async fn member_rows_read(fixture: &Fixture, watch: &mut PgConnection, page_size: i32) -> i64 {
    let read = async |watch: &mut PgConnection| {
        until_alone(watch).await;
        sqlx::query_scalar::<_, i64>(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'members'",
        )
        .fetch_one(watch)
        .await
        .unwrap()
    };
    let before = read(watch).await;
    let list: ListConversations = fixture.operation();
    let (conversations, _) = page(call(&list, "m", request(page_size, "")).await);
    assert_eq!(conversations.len(), usize::try_from(page_size).unwrap());
    drop(list);
    read(watch).await - before
}

#[tokio::test]
async fn members_are_read_for_the_answered_conversations_only() {
    let fixture = Fixture::new().await;
    fill(&fixture, "m", 1_000).await;
    // Of others: enough for Postgres not to read the whole table.
    fill(&fixture, "n", 10_000).await;
    let mut watch = fixture.connect_postgres().await;
    for page_size in [1, 100] {
        let rows = member_rows_read(&fixture, &mut watch, page_size).await;
        // To sort them: the user's own rows, twice in some plans. To answer: two of each on the page, and of the one after
        // it. The planner looks at a few more. Those of all would be 2,000 more.
        let most = 2_000 + 2 * i64::from(page_size + 1) + 50;
        assert!(rows >= 1_000 && rows <= most, "{rows} for {page_size}");
    }
}

/// Sets what conversations are to a user, past the operations: so many of the ones that were active first.
async fn set_own(fixture: &Fixture, user: &str, column: &'static str, conversations: i64) {
    let set = format!(
        "UPDATE members m SET {column} = true FROM (
             SELECT c.conversation_id FROM members m JOIN conversations c USING (conversation_id) WHERE m.user_id = $1
             ORDER BY c.last_activity_at, c.conversation_id LIMIT $2
         ) first WHERE m.user_id = $1 AND m.conversation_id = first.conversation_id"
    );
    sqlx::query(sqlx::AssertSqlSafe(set))
        .bind(user)
        .bind(conversations)
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
}

/// Pages through all that a request asks for, whatever is on a page.
async fn walk_all(list: &ListConversations, caller: &str, asked: ListConversationsRequest) -> Vec<Conversation> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let asked = ListConversationsRequest {
            page_token: token,
            ..asked.clone()
        };
        let (conversations, next) = page(call(list, caller, asked).await);
        all.extend(conversations);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
}

#[tokio::test]
async fn pinned_ones_come_first_and_pages_lead_through_them_to_the_others() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    fill(&fixture, "m", 60).await;
    set_own(&fixture, "m", "pinned", 23).await;
    for page_size in [1, 7, 23, 24, 100] {
        let all = walk(&list, "m", page_size).await;
        let distinct: BTreeSet<String> = ids(&all).into_iter().collect();
        assert_eq!((all.len(), distinct.len()), (60, 60), "{page_size}");
        let order: Vec<_> = all
            .iter()
            .map(|conversation| {
                let at = conversation.last_activity_at.as_ref().unwrap();
                let pinned = conversation.settings.as_ref().unwrap().pinned;
                (pinned, at.seconds, at.nanos, conversation.conversation_id.clone())
            })
            .collect();
        assert!(order.is_sorted_by(|one, next| one > next), "{page_size}");
        assert_eq!(order.iter().filter(|place| place.0).count(), 23);
    }
    // Nobody else's list knows of it.
    let (others, _) = list_first(&list, "a-2").await;
    assert!(!others[0].settings.as_ref().unwrap().pinned);
}

#[tokio::test]
async fn archived_ones_are_left_out_unless_they_are_asked_for() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    fill(&fixture, "m", 30).await;
    set_own(&fixture, "m", "archived", 12).await;
    set_own(&fixture, "m", "pinned", 5).await;
    for (archived, expected) in [
        (ArchivedFilter::Unspecified, (18, 0, 0)),
        (ArchivedFilter::Only, (12, 12, 5)),
        (ArchivedFilter::Included, (30, 12, 5)),
    ] {
        for page_size in [1, 4, 100] {
            let asked = ListConversationsRequest {
                archived: archived.into(),
                ..request(page_size, "")
            };
            let all = walk_all(&list, "m", asked).await;
            let settings: Vec<_> = all.iter().map(|it| it.settings.unwrap()).collect();
            let archived = settings.iter().filter(|settings| settings.archived).count();
            let pinned = settings.iter().take_while(|settings| settings.pinned).count();
            assert_eq!((all.len(), archived, pinned), expected, "{page_size}");
            assert_eq!(ids(&all).into_iter().collect::<BTreeSet<_>>().len(), all.len());
        }
    }
}

#[tokio::test]
async fn a_kind_can_be_asked_for() {
    let fixture = Fixture::new().await;
    let list: ListConversations = fixture.operation();
    let direct = fixture.open_direct("alice", "bob").await;
    let group = Stores::new(fixture.settings())
        .make_group("alice", &["bob"], true)
        .await;
    for (kind, expected) in [
        (ConversationKind::Unspecified, vec![direct, group]),
        (ConversationKind::Direct, vec![direct]),
        (ConversationKind::Group, vec![group]),
    ] {
        let asked = ListConversationsRequest {
            kind: kind.into(),
            ..request(0, "")
        };
        let all: BTreeSet<String> = ids(&page(call(&list, "bob", asked).await).0).into_iter().collect();
        assert_eq!(all, strings(&expected).into_iter().collect());
    }
}

#[tokio::test]
async fn only_what_is_unread_is_what_counts_or_is_flagged() {
    let scene = Scene::new().await;
    let list: ListConversations = scene.fixture.operation();
    let stores = &scene.stores;
    let [carol, dave, erin, frank] = [
        scene.fixture.open_direct("alice", "carol").await,
        scene.fixture.open_direct("alice", "dave").await,
        scene.fixture.open_direct("alice", "erin").await,
        scene.fixture.open_direct("alice", "frank").await,
    ];
    // Unread; read; one's own; being written, or never; nothing, but flagged.
    scene.say("bob", "1", "one").await;
    stores.say(carol, "carol", "1", "one").await;
    let marked = stores.postgres.mark_conversation_read(carol, &user("alice"), 1).await;
    assert!(marked.unwrap().unwrap().is_some());
    stores.say(dave, "alice", "1", "one").await;
    stores.place(erin, "erin", "1").await;
    let flag = chat_stores::postgres::OwnUpdate {
        marked_unread: Some(true),
        ..Default::default()
    };
    stores
        .postgres
        .update_own(frank, &user("alice"), 0, &flag)
        .await
        .unwrap()
        .unwrap();

    for page_size in [1, 100] {
        let asked = ListConversationsRequest {
            only_unread: true,
            ..request(page_size, "")
        };
        let all: BTreeSet<String> = ids(&walk_all(&list, "alice", asked).await).into_iter().collect();
        assert_eq!(all, strings(&[scene.conversation, frank]).into_iter().collect());
    }
    let asked = ListConversationsRequest {
        only_unread: true,
        ..request(0, "")
    };
    assert_eq!(ids(&page(call(&list, "dave", asked).await).0), strings(&[dave]));
}

#[tokio::test]
async fn filters_cost_no_further_round_trip() {
    let scene = Scene::new().await;
    scene.say("bob", "1", "x").await;
    scene.stores.sealer().seal(scene.conversation).await.unwrap();
    let proxies = scene.fixture.with_proxies().await;
    let list: ListConversations = proxies.operation();
    let asked = ListConversationsRequest {
        only_unread: true,
        archived: ArchivedFilter::Included.into(),
        kind: ConversationKind::Direct.into(),
        ..request(0, "")
    };
    for _ in 0..2 {
        proxies.postgres.reset_counts();
        proxies.mongo.reset_counts();
        assert_eq!(page(call(&list, "alice", asked.clone()).await).0.len(), 1);
    }
    assert_eq!((calls(&proxies.postgres), calls(&proxies.mongo)), (1, 1));
}

/// What of ten thousand conversations is read, by the plan.
#[tokio::test]
async fn of_ten_thousand_conversations_each_part_is_found_by_its_index() {
    let fixture = Fixture::new().await;
    fill(&fixture, "m", 10_000).await;
    set_own(&fixture, "m", "archived", 200).await;
    set_own(&fixture, "m", "pinned", 100).await;
    let mut session = fixture.connect_postgres().await;
    sqlx::raw_sql("VACUUM ANALYZE members")
        .execute(&mut session)
        .await
        .unwrap();
    let explain = format!("EXPLAIN (ANALYZE) {}", chat_stores::postgres::LIST_CONVERSATIONS);
    for (archived, only_unread) in [
        (Some(false), false),
        (Some(true), false),
        (None, false),
        (Some(false), true),
    ] {
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain.clone()))
            .bind("m")
            .bind(None::<chrono::DateTime<chrono::Utc>>)
            .bind(None::<uuid::Uuid>)
            .bind(51_i64)
            .bind(1_i64)
            .bind(1_000_000_000_i64)
            .bind(false)
            .bind(archived)
            .bind(None::<&str>)
            .bind(only_unread)
            .fetch_all(&mut session)
            .await
            .unwrap();
        let plan = plan.join("\n");
        let uses = |index: &str| plan.contains(&format!("using {index} ")) || plan.contains(&format!("on {index} "));
        assert!(uses("members_pinned"), "{plan}");
        assert!(archived == Some(true) || uses("members_listed"), "{plan}");
        assert!(archived == Some(false) || uses("members_archived"), "{plan}");
    }
}
