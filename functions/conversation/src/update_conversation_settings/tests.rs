//! What a conversation is to its caller alone, and that nobody else learns of it, on a real database.

use std::sync::Arc;

use chat_contract::v1::{
    Conversation, ConversationSettingsChanged, FeedCursor, GetConversationRequest, LiveEvent,
    MarkConversationReadRequest, MarkConversationUnreadRequest, SyncConversationsRequest, feed_change, live_event,
};
use chat_contract::{FieldMask, Timestamp};
use chat_domain::PINNED_CONVERSATIONS_MAX;
use chat_operation::{Code, Notice};
use chat_testing::{Filter, Fixture, call, call_without_token, user};
use tokio::task::JoinSet;

use super::*;
use crate::scene::{Scene, Stores, assert_not_found, bad_fields, fill};
use crate::{GetConversation, MarkConversationRead, MarkConversationUnread, OpenDirectConversation, SyncConversations};

/// A time that no test lives to see.
const LATER: Timestamp = Timestamp {
    seconds: 253_402_300_799,
    nanos: 0,
};

/// Sets what is named, of everything.
fn request(conversation: &(impl ToString + ?Sized), paths: &[&str], seen: i64) -> UpdateConversationSettingsRequest {
    UpdateConversationSettingsRequest {
        conversation_id: conversation.to_string(),
        settings: Some(ConversationSettings {
            muted_until: Some(LATER),
            archived: true,
            pinned: true,
            ..ConversationSettings::default()
        }),
        update_mask: Some(mask(paths)),
        settings_revision: seen,
    }
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    }
}

/// The conversation as somebody is shown it, and as their feed has it.
async fn shown(fixture: &Fixture, conversation: ConversationId, caller: &str) -> [Conversation; 2] {
    let get: GetConversation = fixture.operation();
    let asked = GetConversationRequest {
        conversation_id: conversation.to_string(),
    };
    let got = call(&get, caller, asked).await.unwrap().response.conversation.unwrap();
    let sync: SyncConversations = fixture.operation();
    let asked = SyncConversationsRequest {
        cursors: Vec::new(),
        feed: Some(FeedCursor::default()),
    };
    let feed = call(&sync, caller, asked).await.unwrap().response.feed.unwrap();
    let listed = feed.changes.into_iter().find_map(|change| match change.change {
        Some(feed_change::Change::Membership(membership)) => membership.conversation,
        _ => None,
    });
    [got, listed.unwrap()]
}

#[tokio::test]
async fn what_is_set_is_shown_to_the_caller_alone_and_told_to_their_own_devices() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let before = shown(&fixture, conversation, "bob").await;

    let answer = call(&update, "alice", request(&conversation, &["muted_until", "pinned"], 0))
        .await
        .unwrap();

    let settings = ConversationSettings {
        muted_until: Some(LATER),
        archived: false,
        pinned: true,
        // After the friendship, asked for and accepted, and the conversation.
        revision: answer.response.settings.unwrap().revision,
        ..ConversationSettings::default()
    };
    assert!(settings.revision > 0);
    let expected = UpdateConversationSettingsResponse {
        settings: Some(settings),
        marked_unread: false,
    };
    assert_eq!(answer.response, expected);
    let notice = Notice {
        recipients: vec![user("alice")].into(),
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            event: Some(live_event::Event::ConversationSettingsChanged(
                ConversationSettingsChanged {
                    settings: Some(settings),
                    marked_unread: false,
                },
            )),
            feed_revision: settings.revision,
            ..LiveEvent::default()
        },
        occurred_at: answer.notices[0].occurred_at,
    };
    assert_eq!(answer.notices, [notice]);
    for shown in shown(&fixture, conversation, "alice").await {
        assert_eq!((shown.settings, shown.marked_unread), (Some(settings), false));
    }
    assert_eq!(shown(&fixture, conversation, "bob").await, before);
    assert_eq!(before[0].settings, Some(ConversationSettings::default()));
}

#[tokio::test]
async fn only_what_the_mask_names_is_set() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut seen = 0;
    for (paths, expected) in [
        (&["archived"][..], (false, true, false)),
        (&["pinned", "pinned"], (false, true, true)),
        (&["muted_until"], (true, true, true)),
    ] {
        let answer = call(&update, "alice", request(&conversation, paths, seen))
            .await
            .unwrap();
        let set = answer.response.settings.unwrap();
        assert_eq!((set.muted_until.is_some(), set.archived, set.pinned), expected);
        seen = set.revision;
    }
    // Without settings, what is named is as at first.
    let off = UpdateConversationSettingsRequest {
        settings: None,
        ..request(&conversation, &["archived", "muted_until"], seen)
    };
    let set = call(&update, "alice", off).await.unwrap().response.settings.unwrap();
    assert_eq!((set.muted_until, set.archived, set.pinned), (None, false, true));
}

#[tokio::test]
async fn what_is_so_already_is_told_nobody_and_takes_no_place_in_the_feed() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let nothing = UpdateConversationSettingsRequest {
        settings: None,
        ..request(&conversation, &["archived", "pinned", "muted_until"], 7)
    };
    let over = UpdateConversationSettingsRequest {
        settings: Some(ConversationSettings {
            muted_until: Some(Timestamp { seconds: 1, nanos: 0 }),
            ..ConversationSettings::default()
        }),
        ..request(&conversation, &["muted_until"], 0)
    };
    for same in [nothing, over] {
        let answer = call(&update, "alice", same).await.unwrap();
        assert_eq!(answer.response.settings, Some(ConversationSettings::default()));
        assert_eq!(answer.notices, []);
    }
    let all = ["archived", "pinned", "muted_until"];
    let first = call(&update, "alice", request(&conversation, &all, 0)).await.unwrap();
    let again = call(&update, "alice", request(&conversation, &all, 0)).await.unwrap();
    assert_eq!((first.notices.len(), again.notices.len()), (1, 0));
    assert_eq!(again.response, first.response);
}

#[tokio::test]
async fn a_repeat_does_not_undo_what_came_after_it() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let first = call(&update, "alice", request(&conversation, &["pinned"], 0))
        .await
        .unwrap();
    // The other member's settings are others.
    call(&update, "bob", request(&conversation, &["archived"], 0))
        .await
        .unwrap();
    let off = UpdateConversationSettingsRequest {
        settings: None,
        ..request(&conversation, &["pinned"], first.response.settings.unwrap().revision)
    };
    let off = call(&update, "alice", off).await.unwrap().response;

    let failure = call(&update, "alice", request(&conversation, &["pinned"], 0))
        .await
        .unwrap_err();

    assert_eq!((failure.code(), failure.reason()), (Code::Aborted, "SETTINGS_CHANGED"));
    let [got, _] = shown(&fixture, conversation, "alice").await;
    assert_eq!(got.settings, off.settings);
}

#[tokio::test]
async fn a_mute_ends_by_itself() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    call(&update, "alice", request(&conversation, &["muted_until"], 0))
        .await
        .unwrap();
    sqlx::query("UPDATE members SET muted_until = clock_timestamp() WHERE user_id = 'alice'")
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    for shown in shown(&fixture, conversation, "alice").await {
        assert_eq!(shown.settings.unwrap().muted_until, None);
    }
}

#[tokio::test]
async fn a_hundred_are_pinned_and_no_more() {
    let fixture = Arc::new(Fixture::new().await);
    let conversation = fixture.open_direct("alice", "bob").await;
    let other = fixture.open_direct("alice", "carol").await;
    fill(&fixture, "alice", i64::from(PINNED_CONVERSATIONS_MAX)).await;
    sqlx::query(
        "UPDATE members SET pinned = true WHERE user_id = 'alice' AND conversation_id IN (
             SELECT conversation_id FROM members WHERE user_id = 'alice' AND conversation_id NOT IN ($1, $2) LIMIT $3)",
    )
    .bind(conversation.uuid())
    .bind(other.uuid())
    .bind(PINNED_CONVERSATIONS_MAX - 1)
    .execute(&mut fixture.connect_postgres().await)
    .await
    .unwrap();

    // Two at once, of which one is the hundredth.
    let mut callers = JoinSet::new();
    for conversation in [conversation, other] {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let update: UpdateConversationSettings = fixture.operation();
            call(&update, "alice", request(&conversation, &["pinned", "archived"], 0))
                .await
                .err()
        });
    }
    let refused: Vec<_> = callers.join_all().await.into_iter().flatten().collect();

    let [failure] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "PINNED_LIMIT")
    );
    assert!(failure.to_string().contains("100"), "{failure}");
    // Of a refused call, nothing is done.
    let mut archived = 0;
    for conversation in [conversation, other] {
        let [got, _] = shown_alone(&fixture, conversation).await;
        archived += i32::from(got);
    }
    assert_eq!(archived, 1);
    // What is pinned can be pinned again, and others set something else.
    let update: UpdateConversationSettings = fixture.operation();
    assert!(
        call(&update, "bob", request(&conversation, &["pinned"], 0))
            .await
            .is_ok()
    );
}

/// Whether alice has archived and pinned it.
async fn shown_alone(fixture: &Fixture, conversation: ConversationId) -> [bool; 2] {
    let row = fixture
        .postgres()
        .lookup_conversation(conversation, &user("alice"))
        .await;
    let own = row.unwrap().unwrap().conversation.own;
    [own.archived, own.pinned]
}

#[tokio::test]
async fn each_of_many_changes_at_once_takes_a_place_of_the_feed_or_is_refused() {
    let fixture = Arc::new(Fixture::new().await);
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut callers = JoinSet::new();
    for device in 0..6 {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let update: UpdateConversationSettings = fixture.operation();
            let path = ["archived", "pinned", "muted_until"][device % 3];
            let set = call(&update, "alice", request(&conversation, &[path], 0)).await;
            set.is_ok_and(|answer| !answer.notices.is_empty())
        });
    }
    let changed = callers.join_all().await.into_iter().filter(|changed| *changed).count();
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn settings_outlive_reading_and_sending() {
    let scene = Scene::new().await;
    let update: UpdateConversationSettings = scene.fixture.operation();
    let mark: MarkConversationRead = scene.fixture.operation();
    let flag: MarkConversationUnread = scene.fixture.operation();
    let all = request(&scene.conversation, &["archived", "pinned", "muted_until"], 0);
    let set = call(&update, "alice", all).await.unwrap().response.settings.unwrap();
    scene.say("bob", "one", "Hello").await;
    scene.say("alice", "two", "Hello").await;
    let flagged = MarkConversationUnreadRequest {
        conversation_id: scene.conversation.to_string(),
        settings_revision: set.revision,
    };
    call(&flag, "alice", flagged).await.unwrap();
    let read = MarkConversationReadRequest {
        conversation_id: scene.conversation.to_string(),
        read_seq: 2,
    };
    call(&mark, "alice", read).await.unwrap();
    let [got, listed] = shown(&scene.fixture, scene.conversation, "alice").await;
    let settings = got.settings.unwrap();
    assert_eq!(
        (settings.archived, settings.pinned, settings.muted_until),
        (true, true, Some(LATER))
    );
    assert_eq!(listed.settings, Some(settings));
}

#[tokio::test]
async fn who_opens_a_conversation_again_shows_the_other_nothing_of_their_own() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let open: OpenDirectConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    call(&update, "alice", request(&conversation, &["pinned"], 0))
        .await
        .unwrap();
    let again = chat_contract::v1::OpenDirectConversationRequest {
        user_id: "bob".to_owned(),
    };
    let answer = call(&open, "alice", again).await.unwrap();
    assert!(answer.response.conversation.unwrap().settings.unwrap().pinned);
    for notice in answer.notices {
        assert!(!format!("{notice:?}").contains("pinned"));
    }
}

#[tokio::test]
async fn a_former_member_sets_nothing() {
    let fixture = Fixture::new().await;
    for friend in ["bob", "carol"] {
        fixture.befriend("alice", friend).await;
    }
    let stores = Stores::new(fixture.settings());
    let group = stores.make_group("alice", &["bob"], true).await;
    let update: UpdateConversationSettings = fixture.operation();
    call(&update, "bob", request(&group, &["pinned"], 0)).await.unwrap();
    sqlx::query("UPDATE members SET ended_at = clock_timestamp() WHERE user_id = 'bob'")
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    let mut failures = Vec::new();
    for caller in ["bob", "carol"] {
        failures.extend(call(&update, caller, request(&group, &["archived"], 0)).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        failures.extend(
            call(&update, "mallory", request(&conversation, &["pinned"], 0))
                .await
                .err(),
        );
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn who_sets_too_often_is_told_when_to_come_again() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let update = UpdateConversationSettings::from_settings(&settings).unwrap();
    // What changes nothing is paid for as well.
    for _ in 0..2 {
        call(&update, "bob", request(&conversation, &["pinned"], 0))
            .await
            .unwrap();
    }
    let failure = call(&update, "bob", request(&conversation, &["archived"], 0))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    assert!(failure.retry_after().is_some_and(|wait| !wait.is_zero()));
    let failure = call(&update, "mallory", request(&conversation, &["archived"], 0))
        .await
        .unwrap_err();
    assert_not_found([failure]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let masks: [&[&str]; 4] = [&[], &["revision"], &["pinned", "settings.archived"], &["marked_unread"]];
    for paths in masks {
        let failure = call(&update, "alice", request("x", paths, -1)).await.unwrap_err();
        assert_eq!(
            bad_fields(&failure),
            ["conversation_id", "update_mask", "settings_revision"]
        );
    }
    let unset = UpdateConversationSettingsRequest {
        update_mask: None,
        ..request(&ConversationId::generate(), &[], 0)
    };
    assert_eq!(
        bad_fields(&call(&update, "alice", unset).await.unwrap_err()),
        ["update_mask"]
    );
    for (seconds, nanos) in [
        (253_402_300_800, 0),
        (0, -1),
        (0, 1_000_000_000),
        (i64::MIN, 0),
        (-62_135_596_801, 0),
    ] {
        let mut bad = request(&ConversationId::generate(), &["muted_until"], i64::MIN);
        bad.settings = Some(ConversationSettings {
            muted_until: Some(Timestamp { seconds, nanos }),
            ..ConversationSettings::default()
        });
        let failure = call(&update, "alice", bad.clone()).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["settings.muted_until", "settings_revision"]);
        // What is not named is not looked at.
        bad.update_mask = Some(mask(&["pinned"]));
        let failure = call(&update, "alice", bad).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["settings_revision"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let update: UpdateConversationSettings = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    for attempt in [request(&conversation, &["pinned"], 0), request("x", &[], -1)] {
        let failure = call_without_token(&update, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn a_change_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let update: UpdateConversationSettings = proxies.operation();
    let first = call(&update, "bob", request(&conversation, &["pinned"], 0))
        .await
        .unwrap();
    let seen = first.response.settings.unwrap().revision;
    proxies.postgres.reset_counts();

    call(&update, "bob", request(&conversation, &["archived"], seen))
        .await
        .unwrap();

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_unnoticed() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let update: UpdateConversationSettings = proxies.operation();
    let first = call(&update, "bob", request(&conversation, &["pinned"], 0))
        .await
        .unwrap();
    let seen = first.response.settings.unwrap().revision;

    let cut = proxies.postgres.cut_before_answer(Filter::operation("change_own("));
    let answer = call(&update, "bob", request(&conversation, &["archived"], seen))
        .await
        .unwrap();
    cut.happened().await;
    assert!(answer.response.settings.unwrap().archived);
}
