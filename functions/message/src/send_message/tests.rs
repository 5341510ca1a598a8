//! What a send does, alone and in races, on real databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_operation::{Code, FromSettings};
use chat_stores::mongo::{EntryKind, RevisionRange};
use chat_testing::{Filter, Fixture, call, call_without_token, user};
use futures::future::join_all;
use sqlx::Connection;
use tokio::task::JoinSet;

use super::*;
use crate::scene::{
    Scene, assert_not_found, change_text, die_with_a_place, head, read_positions, say as request, sealed, seen, sent,
};

/// Everything in the timeline up to the sequencer's head, closed or not: (revision, seq, text) or None for a void.
async fn timeline(fixture: &Fixture, conversation: ConversationId) -> Vec<(i64, Option<(i64, String)>)> {
    let timeline = Timeline::from_settings(fixture.settings()).unwrap();
    let range = RevisionRange {
        conversation,
        after: 0,
        through: i64::MAX,
    };
    let entries = timeline
        .list_revisions(&[range])
        .await
        .unwrap()
        .remove(&conversation)
        .unwrap_or_default();
    let content = |kind| match kind {
        EntryKind::Message(message) => Some((message.seq, message.text)),
        EntryKind::Group(_) | EntryKind::Void | EntryKind::Unknown => None,
    };
    entries
        .into_iter()
        .map(|entry| (entry.revision, content(entry.kind)))
        .collect()
}

#[tokio::test]
async fn a_message_gets_its_place_and_both_members_are_told() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();

    let answer = call(&send, "alice", request(conversation, "a1", "Hello ☀\n"))
        .await
        .unwrap();

    let message = answer.response.message.clone().unwrap();
    assert_eq!((message.seq, message.revision, message.state_revision), (1, 1, 1));
    assert_eq!(
        (message.sender_id.as_str(), message.client_message_id.as_str()),
        ("alice", "a1")
    );
    assert_eq!(message.text, "Hello ☀\n");
    assert!(!answer.response.deduplicated);
    let [notice] = answer.notices.as_slice() else {
        panic!("one notice, not {:?}", answer.notices)
    };
    assert_eq!(notice.recipients.users(), [user("alice"), user("bob")]);
    assert_eq!((notice.event.revision, notice.event.previous_revision), (1, 0));
    assert_eq!(notice.event.event, Some(live_event::Event::MessageSent(message)));
}

#[tokio::test]
async fn a_repeat_answers_the_first_message_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();

    let first = sent(&send, "alice", request(conversation, "a1", "one")).await;
    let repeat = call(&send, "alice", request(conversation, "a1", "one"))
        .await
        .unwrap()
        .response;

    assert!(repeat.deduplicated);
    assert_eq!(repeat.message.unwrap(), first);
    assert_eq!(
        timeline(&fixture, conversation).await,
        [(1, Some((1, "one".to_owned())))]
    );
}

#[tokio::test]
async fn a_repeat_after_other_messages_answers_the_first_one_and_takes_no_place() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let first = sent(&send, "alice", request(conversation, "a1", "one")).await;
    sent(&send, "alice", request(conversation, "a2", "two")).await;

    for _ in 0..3 {
        let repeat = call(&send, "alice", request(conversation, "a1", "one"))
            .await
            .unwrap()
            .response;
        assert!(repeat.deduplicated);
        assert_eq!(repeat.message.unwrap(), first);
    }

    let expected = [(1, Some((1, "one".to_owned()))), (2, Some((2, "two".to_owned())))];
    assert_eq!(timeline(&fixture, conversation).await, expected);
    let seen = seen(&fixture, conversation, "bob").await;
    assert_eq!((seen.unread, seen.last_message.unwrap().excerpt.as_str()), (2, "two"));
}

#[tokio::test]
async fn a_repeat_that_the_sequencer_has_forgotten_answers_the_first_one_and_closes_the_place_it_was_given() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let first = sent(&send, "alice", request(conversation, "a1", "one")).await;
    for later in 2..=9 {
        sent(&send, "alice", request(conversation, &format!("a{later}"), "more")).await;
    }

    let repeat = call(&send, "alice", request(conversation, "a1", "one"))
        .await
        .unwrap()
        .response;

    assert!(repeat.deduplicated);
    assert_eq!(repeat.message.unwrap(), first);
    assert_eq!(timeline(&fixture, conversation).await.last(), Some(&(10, None)));
}

#[tokio::test]
async fn the_same_id_with_other_content_is_refused_and_leaves_no_hole() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let first = sent(&send, "alice", request(conversation, "a1", "one")).await;
    sent(&send, "alice", request(conversation, "a2", "two")).await;

    for reused in [
        request(conversation, "a2", "other"),
        request(conversation, "a1", "other"),
    ] {
        let failure = call(&send, "alice", reused).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::AlreadyExists, "CLIENT_MESSAGE_ID_REUSED")
        );
    }
    let other_target = SendMessageRequest {
        reply_to_message_id: first.message_id,
        ..request(conversation, "a2", "two")
    };
    let failure = call(&send, "alice", other_target).await.unwrap_err();
    assert_eq!(failure.reason(), "CLIENT_MESSAGE_ID_REUSED");

    let timeline = timeline(&fixture, conversation).await;
    let revisions: Vec<i64> = timeline.iter().map(|(revision, _)| *revision).collect();
    assert_eq!(revisions, (1..).take(revisions.len()).collect::<Vec<_>>(), "no hole");
    assert_eq!(timeline.iter().filter(|(_, message)| message.is_some()).count(), 2);
}

#[tokio::test]
async fn two_senders_may_choose_the_same_id() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    assert_eq!(
        sent(&send, "alice", request(conversation, "1", "from alice")).await.seq,
        1
    );
    assert_eq!(sent(&send, "bob", request(conversation, "1", "from bob")).await.seq, 2);
}

#[tokio::test]
async fn a_reply_names_its_target_and_quotes_what_that_says_now() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let first = sent(&send, "alice", request(conversation, "a1", &"x\n".repeat(200))).await;
    let reply = SendMessageRequest {
        reply_to_message_id: first.message_id.clone(),
        ..request(conversation, "b1", "yes")
    };

    let answer = call(&send, "bob", reply.clone()).await.unwrap();
    let named = answer.response.message.unwrap().reply_to.unwrap();
    assert_eq!(
        (named.message_id, named.seq, named.unavailable),
        (first.message_id.clone(), 1, false)
    );
    let quote = named.quote.unwrap();
    assert_eq!((quote.sender_id.as_str(), quote.excerpt), ("alice", "x ".repeat(70)));
    let Some(live_event::Event::MessageSent(pushed)) = &answer.notices[0].event.event else {
        panic!("a message is pushed, not {:?}", answer.notices)
    };
    assert_eq!(
        pushed.reply_to.as_ref().unwrap().quote,
        None,
        "readers quote for themselves"
    );

    change_text(&fixture, &first, "changed").await;
    for retry in [false, true] {
        let repeat = SendMessageRequest { retry, ..reply.clone() };
        let quote = sent(&send, "bob", repeat).await.reply_to.unwrap().quote.unwrap();
        assert_eq!((quote.excerpt.as_str(), quote.state_revision), ("changed", 1_000));
    }
}

#[tokio::test]
async fn a_reply_to_a_message_of_another_conversation_is_refused_and_nothing_is_sent() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let elsewhere = fixture.open_direct("alice", "carol").await;
    let send: SendMessage = fixture.operation();
    let foreign = sent(&send, "alice", request(elsewhere, "a1", "elsewhere")).await;

    for target in [foreign.message_id, MessageId::generate().to_string()] {
        let reply = SendMessageRequest {
            reply_to_message_id: target,
            ..request(conversation, "b1", "?")
        };
        let failure = call(&send, "bob", reply).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::NotFound, "REPLY_TARGET_NOT_FOUND")
        );
    }
    assert_eq!(timeline(&fixture, conversation).await, []);
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let target = sent(&send, "alice", request(conversation, "a1", "secret"))
        .await
        .message_id;

    let mut refusals = BTreeSet::new();
    for conversation in [conversation, ConversationId::generate()] {
        for reply_to_message_id in [String::new(), target.clone(), MessageId::generate().to_string()] {
            let attempt = SendMessageRequest {
                reply_to_message_id,
                ..request(conversation, "m1", "hi")
            };
            let failure = call(&send, "mallory", attempt).await.unwrap_err();
            refusals.insert(format!("{failure:?}"));
        }
    }
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals.first().unwrap().contains("CONVERSATION_NOT_FOUND"));
    assert_eq!(timeline(&fixture, conversation).await.len(), 1);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let send: SendMessage = fixture.operation();
    let failure = call_without_token(&send, request(ConversationId::generate(), "a1", "hi"))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let send: SendMessage = fixture.operation();
    let bad = SendMessageRequest {
        conversation_id: "1".to_owned(),
        client_message_id: "a b".to_owned(),
        text: "\u{0}".to_owned(),
        reply_to_message_id: "x".to_owned(),
        read_seq: -1,
        ..SendMessageRequest::default()
    };
    let failure = call(&send, "alice", bad).await.unwrap_err();
    assert_eq!(failure.code(), Code::InvalidArgument);
    let fields: Vec<&str> = failure
        .violations()
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "conversation_id",
            "client_message_id",
            "text",
            "reply_to_message_id",
            "read_seq"
        ]
    );

    for (text, fine) in [
        ("", false),
        (" \n", false),
        (&*"x".repeat(4_000), true),
        (&*"x".repeat(4_001), false),
    ] {
        let conversation = fixture.open_direct("alice", "bob").await;
        assert_eq!(
            call(&send, "alice", request(conversation, "a1", text)).await.is_ok(),
            fine,
            "{}",
            text.len()
        );
    }
}

#[tokio::test]
async fn former_friends_cannot_send_but_a_repeat_still_gets_its_answer() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let first = sent(&send, "alice", request(conversation, "a1", "one")).await;
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
        .unwrap()
        .unwrap();

    for sender in ["alice", "bob"] {
        let failure = call(&send, sender, request(conversation, "new", "two"))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::FailedPrecondition, "CANNOT_SEND")
        );
    }
    for retry in [false, true] {
        let repeat = again(request(conversation, "a1", "one"), retry);
        let repeat = call(&send, "alice", repeat).await.unwrap();
        // Nobody is kept awake by who was sent away.
        assert_eq!(repeat.notices[0].recipients.users(), [user("alice")]);
        let repeat = repeat.response;
        assert_eq!((repeat.deduplicated, repeat.message.as_ref()), (true, Some(&first)));
    }
    assert_eq!(timeline(&fixture, conversation).await.len(), 1);
}

#[tokio::test]
async fn former_friends_get_the_answers_of_all_that_they_had_sent() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let mut firsts = Vec::new();
    for op in 0..10 {
        firsts.push(sent(&send, "alice", request(conversation, &format!("{op}"), "x")).await);
    }
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
        .unwrap()
        .unwrap();

    for (op, first) in firsts.into_iter().enumerate() {
        let repeat = call(&send, "alice", request(conversation, &format!("{op}"), "x"))
            .await
            .unwrap()
            .response;
        assert_eq!((repeat.deduplicated, repeat.message.unwrap()), (true, first));
        let other = call(&send, "alice", request(conversation, &format!("{op}"), "other"))
            .await
            .unwrap_err();
        assert_eq!(other.reason(), "CLIENT_MESSAGE_ID_REUSED");
    }
    assert_eq!(timeline(&fixture, conversation).await.len(), 10);
}

#[tokio::test]
async fn a_place_taken_as_friends_is_of_no_use_afterwards() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let victim: SendMessage = proxies.operation();
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let killed = tokio::spawn(async move { call(&victim, "alice", request(conversation, "a1", "first")).await });
    held.caught().await;
    killed.abort();
    held.drop_connection();
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
        .unwrap()
        .unwrap();

    let send: SendMessage = fixture.operation();
    for text in ["first", "something else"] {
        let failure = call(&send, "alice", request(conversation, "a1", text))
            .await
            .unwrap_err();
        assert_eq!(failure.reason(), "CANNOT_SEND");
    }
    assert_eq!(
        timeline(&fixture, conversation).await,
        [(1, None)],
        "who holds a place closes it"
    );
}

#[tokio::test]
async fn sixty_four_senders_at_once_get_places_without_gaps_or_twins() {
    let fixture = Arc::new(Fixture::new().await);
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut senders = JoinSet::new();
    for sender in 0..64 {
        let fixture = Arc::clone(&fixture);
        senders.spawn(async move {
            let send: SendMessage = fixture.operation();
            let who = if sender % 2 == 0 { "alice" } else { "bob" };
            sent(
                &send,
                who,
                request(conversation, &format!("op-{sender}"), &format!("{sender}")),
            )
            .await
        });
    }
    let sent = senders.join_all().await;

    let places: BTreeSet<(i64, i64)> = sent.iter().map(|message| (message.revision, message.seq)).collect();
    assert_eq!(places, (1..=64).map(|place| (place, place)).collect());
    let timeline = timeline(&fixture, conversation).await;
    assert_eq!(timeline.len(), 64);
    for message in sent {
        let kept = &timeline[usize::try_from(message.revision - 1).unwrap()];
        assert_eq!(kept, &(message.revision, Some((message.seq, message.text))));
    }
}

#[tokio::test]
async fn times_never_decrease_along_the_seqs() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let senders: Vec<SendMessage> = (0..8).map(|_| fixture.operation()).collect();
    let sends = senders.iter().enumerate().map(|(sender, send)| async move {
        let mut said = Vec::new();
        for round in 0..4 {
            let op = format!("{sender}-{round}");
            said.push(sent(send, "alice", request(conversation, &op, "x")).await);
        }
        said
    });
    let mut sent: Vec<_> = join_all(sends).await.into_iter().flatten().collect();
    sent.sort_by_key(|message| message.seq);
    let times = sent
        .iter()
        .map(|message| message.sent_at.map(|at| (at.seconds, at.nanos)));
    assert!(times.is_sorted());
}

#[tokio::test]
async fn one_id_sent_eight_times_at_once_is_one_message() {
    let fixture = Arc::new(Fixture::new().await);
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut senders = JoinSet::new();
    for _ in 0..8 {
        let fixture = Arc::clone(&fixture);
        senders.spawn(async move {
            let send: SendMessage = fixture.operation();
            call(&send, "alice", request(conversation, "same", "once"))
                .await
                .unwrap()
                .response
        });
    }
    let answers = senders.join_all().await;

    let ids: BTreeSet<String> = answers
        .iter()
        .map(|answer| answer.message.clone().unwrap().message_id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.deduplicated).count(), 1);
    let messages = timeline(&fixture, conversation)
        .await
        .into_iter()
        .filter(|(_, message)| message.is_some());
    assert_eq!(messages.count(), 1);
}

#[tokio::test]
async fn a_writer_that_wakes_after_its_place_was_closed_takes_a_new_one() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let sleeper: SendMessage = proxies.operation();

    let held = proxies.mongo.hold(Filter::operation("insert"));
    let send = tokio::spawn(async move { sent(&sleeper, "alice", request(conversation, "a1", "late")).await });
    held.caught().await;
    Timeline::from_settings(fixture.settings())
        .unwrap()
        .close(&[(conversation, 1)])
        .await
        .unwrap();
    let meanwhile: SendMessage = fixture.operation();
    sent(&meanwhile, "bob", request(conversation, "b1", "meanwhile")).await;
    held.release();

    let late = send.await.unwrap();
    assert_eq!((late.revision, late.seq), (3, 3));
    let expected = [
        (1, None),
        (2, Some((2, "meanwhile".to_owned()))),
        (3, Some((3, "late".to_owned()))),
    ];
    assert_eq!(timeline(&fixture, conversation).await, expected);
}

#[tokio::test]
async fn a_sender_killed_before_its_insert_is_repeated_in_the_same_place() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let victim: SendMessage = proxies.operation();

    let held = proxies.mongo.hold(Filter::operation("insert"));
    let send = tokio::spawn(async move { call(&victim, "alice", request(conversation, "a1", "again")).await });
    held.caught().await;
    send.abort();
    assert!(send.await.unwrap_err().is_cancelled());
    held.drop_connection();

    let repeat: SendMessage = fixture.operation();
    let repeated = call(&repeat, "alice", request(conversation, "a1", "again"))
        .await
        .unwrap()
        .response;
    assert!(!repeated.deduplicated);
    assert_eq!(repeated.message.unwrap().revision, 1);
    assert_eq!(
        timeline(&fixture, conversation).await,
        [(1, Some((1, "again".to_owned())))]
    );
}

#[tokio::test]
async fn a_postgres_connection_cut_before_the_answer_is_replaced_and_the_place_is_kept() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    sent(&send, "alice", request(conversation, "a1", "warm")).await;

    let cut = proxies.postgres.cut_before_answer(Filter::operation("take_place("));
    let second = sent(&send, "alice", request(conversation, "a2", "cut")).await;
    cut.happened().await;

    assert_eq!((second.revision, second.seq), (2, 2));
    let expected = [(1, Some((1, "warm".to_owned()))), (2, Some((2, "cut".to_owned())))];
    assert_eq!(timeline(&fixture, conversation).await, expected);
}

#[tokio::test]
async fn a_mongo_connection_cut_before_the_answer_loses_and_doubles_nothing() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    sent(&send, "alice", request(conversation, "a1", "warm")).await;

    let cut = proxies.mongo.cut_before_answer(Filter::operation("insert"));
    let second = call(&send, "alice", request(conversation, "a2", "cut")).await;
    cut.happened().await;
    // The driver may have repeated the write by itself; if not, the client does.
    let second = match second {
        Ok(answer) => answer.response,
        Err(failure) => {
            assert_eq!(failure.code(), Code::Unavailable);
            call(&send, "alice", request(conversation, "a2", "cut"))
                .await
                .unwrap()
                .response
        }
    };

    assert_eq!(second.message.unwrap().revision, 2);
    let expected = [(1, Some((1, "warm".to_owned()))), (2, Some((2, "cut".to_owned())))];
    assert_eq!(timeline(&fixture, conversation).await, expected);
}

#[tokio::test]
async fn once_a_removal_has_answered_no_new_send_gets_a_place() {
    let fixture = Arc::new(Fixture::new().await);
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let fixture = Arc::clone(&fixture);
        senders.spawn(async move {
            let send: SendMessage = fixture.operation();
            let mut places = Vec::new();
            for round in 0.. {
                match call(&send, "alice", request(conversation, &format!("{sender}-{round}"), "x")).await {
                    Ok(answer) => places.push(answer.response.message.unwrap().revision),
                    Err(failure) => {
                        assert_eq!(failure.reason(), "CANNOT_SEND");
                        break;
                    }
                }
            }
            places
        });
    }
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
        .unwrap()
        .unwrap();
    let head = fixture
        .postgres()
        .lookup_membership(conversation, &user("bob"))
        .await
        .unwrap()
        .unwrap()
        .revision;
    let sent: BTreeSet<i64> = senders.join_all().await.into_iter().flatten().collect();

    assert_eq!(
        sent,
        (1..=head).collect(),
        "what was placed before the removal is sent, and nothing after it"
    );
}

#[tokio::test]
async fn a_send_that_waited_for_the_removal_is_refused() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    sent(&send, "alice", request(conversation, "a1", "before")).await;
    let mut session = fixture.connect_postgres().await;
    let mut removing = session.begin().await.unwrap();
    sqlx::query("SELECT FROM remove_friend('bob', 'alice', 1, 1000000)")
        .execute(&mut *removing)
        .await
        .unwrap();
    let sending = tokio::spawn(async move { call(&send, "alice", request(conversation, "a2", "during")).await });
    fixture.until_one_waits().await;
    removing.commit().await.unwrap();
    let failure = sending.await.unwrap().unwrap_err();
    assert_eq!(failure.reason(), "CANNOT_SEND");
    assert_eq!(timeline(&fixture, conversation).await.len(), 1);
}

#[tokio::test]
async fn a_sequencer_that_went_back_is_lifted_above_the_timeline() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let timeline_store = Timeline::from_settings(fixture.settings()).unwrap();
    // The timeline holds places that this Postgres has never handed out, as after a restore.
    for place in 1..=3 {
        let entry = MessageEntry {
            message: MessageId::at(conversation, place, chrono::DateTime::UNIX_EPOCH),
            conversation,
            revision: place,
            seq: place,
            sender: user("bob"),
            op: format!("lost-{place}").parse().unwrap(),
            op_hash: [0; 32],
            text: format!("kept {place}"),
            reply_to: None,
            allocated_at: chrono::DateTime::UNIX_EPOCH,
            state_revision: place,
        };
        assert_eq!(timeline_store.add(&entry).await.unwrap(), Inserted::Written);
    }
    let send: SendMessage = fixture.operation();
    let lifted = sent(&send, "alice", request(conversation, "a1", "after the restore")).await;

    assert_eq!((lifted.revision, lifted.seq), (4, 4));
    let texts: Vec<String> = timeline(&fixture, conversation)
        .await
        .into_iter()
        .filter_map(|(_, message)| Some(message?.1))
        .collect();
    assert_eq!(texts, ["kept 1", "kept 2", "kept 3", "after the restore"]);
}

#[tokio::test]
async fn a_dead_database_is_unavailable_and_says_to_repeat() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    sent(&send, "alice", request(conversation, "a1", "warm")).await;
    proxies.postgres.refuse();
    proxies.postgres.cut_all();

    let failure = call(&send, "alice", request(conversation, "a2", "x"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::Unavailable, "STORE_UNAVAILABLE")
    );

    proxies.postgres.accept();
    assert_eq!(sent(&send, "alice", request(conversation, "a2", "x")).await.revision, 2);
}

#[tokio::test]
async fn a_send_costs_one_postgres_and_one_mongo_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    sent(&send, "alice", request(conversation, "a1", "warm")).await;
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();

    sent(&send, "alice", request(conversation, "a2", "counted")).await;

    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_send_to_a_group_of_any_size_costs_the_same_names_nobody_and_tells_nobody_what_is_read() {
    let fixture = Fixture::new().await;
    let group = ConversationId::generate();
    sqlx::query(
        "WITH made AS (
             INSERT INTO conversations (conversation_id, kind, member_count, revision, created_at, allocated_at, last_activity_at,
                 member_may, admin_may)
             VALUES ($1, 'group', 10000, 1, now(), now(), now(), 1, 1)
         )
         INSERT INTO members (conversation_id, user_id, role, joined_revision, visible_from_seq, feed_revision)
         SELECT $1, m, 'member', 1, 0, 1
         FROM (SELECT 'alice' UNION ALL SELECT 'm' || n FROM generate_series(1, 9999) n) m (m)",
    )
    .bind(group.uuid())
    .execute(&mut fixture.connect_postgres().await)
    .await
    .unwrap();
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    sent(&send, "alice", request(group, "a1", "warm")).await;
    sent(&send, "m7", request(group, "m1", "warm as well")).await;
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();

    let counted = SendMessageRequest {
        read_seq: 2,
        ..request(group, "a2", "counted")
    };
    let answer = call(&send, "alice", counted).await.unwrap();

    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (1, 1)
    );
    let recipients: Vec<_> = answer.notices.iter().map(|notice| notice.recipients.clone()).collect();
    assert_eq!(recipients, [Audience::Members, vec![user("alice")].into()]);
}

/// Nine messages of alice, so that the sequencer remembers the first no more.
async fn nine(send: &SendMessage, conversation: ConversationId) {
    for op in 0..9 {
        sent(
            send,
            "alice",
            request(conversation, &format!("k{op}"), &format!("text {op}")),
        )
        .await;
    }
}

fn again(request: SendMessageRequest, retry: bool) -> SendMessageRequest {
    SendMessageRequest { retry, ..request }
}

fn reading(request: SendMessageRequest, read_seq: i64) -> SendMessageRequest {
    SendMessageRequest { read_seq, ..request }
}

#[tokio::test]
async fn a_refused_repeat_lasts_in_nothing_that_anyone_sees() {
    for retry in [false, true] {
        let fixture = Fixture::new().await;
        let conversation = fixture.open_direct("alice", "bob").await;
        let send: SendMessage = fixture.operation();
        nine(&send, conversation).await;
        let before = (
            seen(&fixture, conversation, "bob").await,
            seen(&fixture, conversation, "alice").await,
        );
        assert_eq!((before.0.unread, before.1.unread), (9, 0));

        // k0 is forgotten, k8 is not.
        for op in ["k0", "k8", "k0", "k4"] {
            let other = again(request(conversation, op, "something else"), retry);
            let failure = call(&send, "alice", other).await.unwrap_err();
            assert_eq!(
                (failure.code(), failure.reason()),
                (Code::AlreadyExists, "CLIENT_MESSAGE_ID_REUSED")
            );
            let after = (
                seen(&fixture, conversation, "bob").await,
                seen(&fixture, conversation, "alice").await,
            );
            assert_eq!(after, before, "{op}, {retry}");
        }
        if retry {
            assert_eq!(head(&fixture, conversation).await, 9, "no place is taken");
        }
    }
}

#[tokio::test]
async fn a_refused_repeat_does_not_spoil_the_honest_one() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    nine(&send, conversation).await;
    call(&send, "alice", request(conversation, "k0", "something else"))
        .await
        .unwrap_err();

    for retry in [false, true] {
        let honest = again(request(conversation, "k0", "text 0"), retry);
        let repeat = call(&send, "alice", honest).await.unwrap();
        assert!(repeat.response.deduplicated);
        assert_eq!(repeat.response.message.unwrap().seq, 1);
        assert_eq!(repeat.notices[0].recipients.users(), [user("alice"), user("bob")]);
    }
    assert_eq!(seen(&fixture, conversation, "bob").await.unread, 9);
}

#[tokio::test]
async fn a_repeated_outbox_changes_nothing_that_anyone_sees() {
    for retry in [false, true] {
        let fixture = Fixture::new().await;
        let conversation = fixture.open_direct("alice", "bob").await;
        let send: SendMessage = fixture.operation();
        let outbox = async |retry| {
            for op in 0..30 {
                let request = again(request(conversation, &format!("{op}"), &format!("text {op}")), retry);
                assert_eq!(sent(&send, "alice", request).await.seq, op + 1);
            }
        };
        outbox(false).await;
        let before = seen(&fixture, conversation, "bob").await;
        assert_eq!((before.unread, before.last_message.as_ref().unwrap().seq), (30, 30));

        outbox(retry).await;

        assert_eq!(seen(&fixture, conversation, "bob").await, before);
        assert_eq!(seen(&fixture, conversation, "alice").await.unread, 0);
        let places = head(&fixture, conversation).await;
        assert_eq!(retry, places == 30, "{places}");
        // Every place is closed, and every seq of a closed one counts nowhere.
        let (_, _, uncounted) = sealed(&fixture, conversation).await;
        assert_eq!(uncounted, (31..=places).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn of_two_devices_with_one_id_and_two_texts_one_is_stored_and_shown() {
    const ROUNDS: i64 = 12;
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let (one, other): (SendMessage, SendMessage) = (fixture.operation(), fixture.operation());
    for round in 1..=ROUNDS {
        let op = format!("{round}");
        let (first, second) = tokio::join!(
            call(&one, "alice", request(conversation, &op, "one")),
            call(&other, "alice", again(request(conversation, &op, "two"), true)),
        );
        let (stored, refused) = match (first, second) {
            (Ok(stored), Err(refused)) | (Err(refused), Ok(stored)) => (stored.response.message.unwrap(), refused),
            both => panic!("one is stored and one refused, not {both:?}"),
        };
        assert_eq!(refused.reason(), "CLIENT_MESSAGE_ID_REUSED");
        let seen = seen(&fixture, conversation, "bob").await;
        assert_eq!(seen.unread, round);
        let shown = seen.last_message.unwrap();
        assert_eq!((shown.message_id, shown.excerpt), (stored.message_id, stored.text));
    }
    let messages = timeline(&fixture, conversation)
        .await
        .into_iter()
        .filter(|(_, message)| message.is_some());
    assert_eq!(i64::try_from(messages.count()).unwrap(), ROUNDS);
}

#[tokio::test]
async fn a_retry_that_finds_its_message_costs_one_postgres_beside_one_mongo_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    sent(&send, "alice", request(conversation, "a1", "one")).await;
    let retry = again(request(conversation, "a1", "one"), true);
    sent(&send, "alice", retry.clone()).await;
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();

    let asked_postgres = proxies.postgres.hold(Filter::any());
    let asked_mongo = proxies.mongo.hold(Filter::operation("find"));
    let sending = tokio::spawn(async move { call(&send, "alice", retry).await });
    // Neither has answered yet.
    tokio::join!(asked_postgres.caught(), asked_mongo.caught());
    asked_postgres.release();
    asked_mongo.release();
    let found = sending.await.unwrap().unwrap();

    assert!(found.response.deduplicated);
    assert_eq!(
        found.notices[0].recipients.users(),
        [user("alice"), user("bob")],
        "it is delivered again"
    );
    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (1, 1)
    );

    // A position of the reader's costs one more of Postgres.
    let send: SendMessage = proxies.operation();
    sent(&send, "bob", request(conversation, "b1", "two")).await;
    sent(&send, "alice", request(conversation, "a2", "three")).await;
    for read_seq in [1, 2] {
        // The first time, statements are prepared.
        proxies.postgres.reset_counts();
        proxies.mongo.reset_counts();
        let retry = reading(again(request(conversation, "a2", "three"), true), read_seq);
        sent(&send, "alice", retry).await;
    }
    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (2, 1)
    );
}

#[tokio::test]
async fn a_retry_that_finds_nothing_sends() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let answer = call(&send, "alice", again(request(conversation, "a1", "one"), true))
        .await
        .unwrap();
    assert!(!answer.response.deduplicated);
    assert_eq!(answer.response.message.unwrap().revision, 1);
}

#[tokio::test]
async fn a_retry_of_a_stranger_learns_nothing() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    sent(&send, "alice", request(conversation, "a1", "secret")).await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        let retry = reading(again(request(conversation, "a1", "secret"), true), 1);
        failures.extend(call(&send, "mallory", retry).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(&failures);
}

#[tokio::test]
async fn own_messages_hide_nobody_elses() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    for op in ["b1", "b2", "b3"] {
        sent(&send, "bob", request(conversation, op, "x")).await;
    }
    sent(&send, "alice", request(conversation, "a1", "y")).await;
    assert_eq!(seen(&fixture, conversation, "alice").await.unread, 3);
    assert_eq!(seen(&fixture, conversation, "bob").await.unread, 1);
    sent(&send, "bob", request(conversation, "b4", "z")).await;
    sent(&send, "alice", request(conversation, "a2", "y")).await;
    assert_eq!(seen(&fixture, conversation, "alice").await.unread, 4);
    assert_eq!(seen(&fixture, conversation, "bob").await.unread, 2);
}

#[tokio::test]
async fn a_send_moves_its_senders_read_position_below_itself_and_tells_so() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    for op in ["b1", "b2", "b3"] {
        sent(&send, "bob", request(conversation, op, "x")).await;
    }
    let told = |read_seq, unread| {
        vec![
            (vec!["alice".to_owned()], read_seq, Some(unread)),
            (vec!["bob".to_owned()], read_seq, None),
        ]
    };

    // The same call again, also as a retry, is told again; how far was read is no part of what was said.
    for (read_seq, retry, expected) in [
        (2, false, told(2, 1)),
        (2, false, told(2, 1)),
        (2, true, told(2, 1)),
        (1, false, vec![]),
        (1, true, vec![]),
        (3, true, told(3, 0)),
        (99, false, told(3, 0)),
        (99, true, told(3, 0)),
    ] {
        let request = reading(again(request(conversation, "a1", "y"), retry), read_seq);
        let answer = call(&send, "alice", request).await.unwrap();
        assert_eq!(read_positions(&answer.notices), expected, "{read_seq}, {retry}");
        assert_eq!(answer.response.message.unwrap().seq, 4);
        assert_eq!(answer.notices.len(), 1 + expected.len(), "and of the message");
    }
    assert_eq!(head(&fixture, conversation).await, 4);

    let answer = call(&send, "alice", request(conversation, "a2", "y")).await.unwrap();
    assert_eq!(read_positions(&answer.notices), [], "who says nothing has read nothing");
}

#[tokio::test]
async fn the_first_message_of_all_marks_nothing_as_read_however_it_is_repeated() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    for retry in [false, false, true] {
        let request = reading(again(request(conversation, "a1", "x"), retry), 7);
        let answer = call(&send, "alice", request).await.unwrap();
        let told = read_positions(&answer.notices);
        assert!(told.iter().all(|(_, read_seq, _)| *read_seq == 0), "{told:?}");
    }
    let row = fixture
        .postgres()
        .lookup_conversation(conversation, &user("alice"))
        .await;
    let read: Vec<i64> = row
        .unwrap()
        .unwrap()
        .conversation
        .members
        .iter()
        .map(|member| member.read_seq)
        .collect();
    assert_eq!(read, [0, 0]);
}

#[tokio::test]
async fn a_refused_send_has_read_what_it_says() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    for op in ["b1", "b2", "b3"] {
        sent(&send, "bob", request(conversation, op, "x")).await;
    }
    sent(&send, "alice", request(conversation, "a1", "y")).await;
    let refused = call(&send, "alice", reading(request(conversation, "a1", "z"), 1))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "CLIENT_MESSAGE_ID_REUSED");
    assert_eq!(
        read_positions(refused.notices()),
        [
            (vec!["alice".to_owned()], 1, Some(2)),
            (vec!["bob".to_owned()], 1, None)
        ]
    );
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
        .unwrap()
        .unwrap();

    for _ in 0..2 {
        let refused = call(&send, "alice", reading(request(conversation, "a2", "z"), 2))
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), "CANNOT_SEND");
        // Who is no longer a friend is told nothing.
        assert_eq!(
            read_positions(refused.notices()),
            [(vec!["alice".to_owned()], 2, Some(1))]
        );
    }
    assert_eq!(seen(&fixture, conversation, "alice").await.unread, 1);
}

#[tokio::test]
async fn postgres_holds_nothing_that_was_said() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let text = "Unmistakable";
    let first = sent(&send, "alice", request(conversation, "a1", text)).await;
    let reply = SendMessageRequest {
        reply_to_message_id: first.message_id,
        ..request(conversation, "b1", &format!("{text} too"))
    };
    sent(&send, "bob", reply).await;
    call(&send, "alice", request(conversation, "a1", &format!("{text}?")))
        .await
        .unwrap_err();
    nine(&send, conversation).await;
    call(&send, "alice", request(conversation, "a1", &format!("{text}!")))
        .await
        .unwrap_err();

    let hex = text
        .bytes()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mut session = fixture.connect_postgres().await;
    let tables: Vec<String> = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        .fetch_all(&mut session)
        .await
        .unwrap();
    let (mut rows, mut holding) = (0, Vec::new());
    for table in tables {
        // Rows as text: whatever their columns are, bytes as hexadecimal digits.
        let statement = sqlx::AssertSqlSafe(format!("SELECT r::text FROM {table} r"));
        let found: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut session).await.unwrap();
        rows += found.len();
        holding.extend(found.into_iter().filter(|row| row.contains(text) || row.contains(&hex)));
    }
    assert!(rows > 4, "{rows}");
    assert_eq!(holding, Vec::<String>::new());
}

#[tokio::test]
async fn who_writes_too_often_is_told_how_long_to_wait_and_takes_no_place() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send = SendMessage::from_settings(&fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001")).unwrap();
    let mut allowed = 0;
    let failure = loop {
        match call(
            &send,
            "alice",
            reading(request(conversation, &format!("{allowed}"), "x"), 1),
        )
        .await
        {
            Ok(_) => allowed += 1,
            Err(failure) => break failure,
        }
    };
    // Two at once, less what opening the conversation cost.
    assert!((1..=2).contains(&allowed), "{allowed}");
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    let wait = failure.retry_after().unwrap().as_millis();
    assert!((1..=10_100).contains(&wait), "{wait}");
    assert_eq!(failure.notices(), []);
    assert_eq!(head(&fixture, conversation).await, allowed);

    // What is found again is delivered again, so it costs as much.
    let (mut found, retry) = (0, again(request(conversation, "b", "x"), true));
    let failure = loop {
        match call(&send, "bob", retry.clone()).await {
            Ok(_) => found += 1,
            Err(failure) => break failure,
        }
    };
    assert!((1..=3).contains(&found), "{found}");
    assert_eq!((failure.reason(), failure.notices().len()), ("RATE_LIMITED", 0));

    // A stranger is a stranger, however often they call.
    let mut failures = Vec::new();
    for op in 0..4 {
        failures.extend(
            call(&send, "mallory", request(conversation, &format!("{op}"), "x"))
                .await
                .err(),
        );
    }
    assert_eq!(failures.len(), 4);
    assert_not_found(&failures);
}

#[tokio::test]
async fn the_sender_of_every_128th_place_seals_what_was_closed_and_abandoned() {
    let mut places = vec!['m'; 126];
    (places[49], places[59]) = ('h', 'v');
    let scene = Scene::new(&places.iter().collect::<String>()).await;
    let send: SendMessage = scene.fixture.operation();
    assert_eq!(scene.unread("bob").await, 126);

    let early = call(&send, "alice", request(scene.conversation, "127", "x"))
        .await
        .unwrap();
    assert_eq!(early.seal, []);
    let due = call(&send, "alice", request(scene.conversation, "128", "x"))
        .await
        .unwrap();
    assert_eq!(
        (due.response.message.unwrap().revision, &*due.seal),
        (128, &[scene.conversation][..])
    );
    let repeat = call(&send, "alice", request(scene.conversation, "128", "x"))
        .await
        .unwrap();
    assert_eq!(repeat.seal, [], "only who took the place");
    assert_eq!(scene.sealed().await, (0, 0, vec![]));

    for _ in 0..2 {
        send.seal(due.seal.clone()).await;
        assert_eq!(scene.sealed().await, (128, 128, vec![50, 60]));
        assert_eq!(scene.slot(50).await, Slot::Void);
        assert_eq!(scene.unread("bob").await, 126);
    }
}

#[tokio::test]
async fn sealing_ends_below_a_place_that_is_being_written() {
    let mut places = vec!['m'; 127];
    (places[49], places[99], places[109]) = ('v', 'h', 'v');
    let scene = Scene::young(&places.iter().collect::<String>()).await;
    let send: SendMessage = scene.fixture.operation();
    let due = call(&send, "alice", request(scene.conversation, "128", "x"))
        .await
        .unwrap();

    send.seal(due.seal.clone()).await;
    assert_eq!(scene.sealed().await, (99, 99, vec![50]));
    assert_eq!(scene.slot(100).await, Slot::Free);

    scene.write(100).await;
    send.seal(due.seal).await;
    assert_eq!(scene.sealed().await, (128, 128, vec![50, 110]));
}

#[tokio::test]
async fn a_place_that_was_never_filled_moves_no_conversation_up_once_it_is_sealed() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let opened = seen(&fixture, conversation, "bob").await;
    for said in [0, 1] {
        if said > 0 {
            sent(&send, "alice", request(conversation, "a1", "said")).await;
        }
        let before = seen(&fixture, conversation, "bob").await;
        assert_eq!(
            (before.unread, before.last_activity_at > opened.last_activity_at),
            (said, said > 0)
        );
        die_with_a_place(&fixture, conversation, "alice", &format!("dead-{said}")).await;
        // Long ago, as the database's clock has it.
        sqlx::query("UPDATE conversations SET allocated_at = allocated_at - interval '10 s'")
            .execute(&mut fixture.connect_postgres().await)
            .await
            .unwrap();
        send.seal(vec![conversation]).await;
        assert_eq!(seen(&fixture, conversation, "bob").await, before);
    }
}

#[tokio::test]
async fn a_reply_costs_one_postgres_beside_one_mongo_round_trip_more() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    let first = sent(&send, "alice", request(conversation, "a1", "first")).await;
    let reply = |op: &str| SendMessageRequest {
        reply_to_message_id: first.message_id.clone(),
        ..request(conversation, op, "reply")
    };
    sent(&send, "alice", reply("a2")).await;
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();

    let asked_postgres = proxies.postgres.hold(Filter::any());
    let asked_mongo = proxies.mongo.hold(Filter::operation("find"));
    let reply = reply("a3");
    let sending = tokio::spawn(async move { sent(&send, "alice", reply).await });
    tokio::join!(asked_postgres.caught(), asked_mongo.caught());
    asked_postgres.release();
    asked_mongo.release();
    assert_eq!(sending.await.unwrap().revision, 3);
    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (2, 2)
    );
}
