//! What a send does, alone and in races, on real databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use chat_rpc::Code;
use chat_stores::mongo::{EntryKind, RevisionRange};
use chat_testing::{Called, Filter, Fixture, call, call_without_token, user};
use futures::future::join_all;
use tokio::task::JoinSet;

use super::*;

fn request(conversation: ConversationId, op: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest {
        conversation_id: conversation.to_string(),
        client_message_id: op.to_owned(),
        text: text.to_owned(),
        reply_to_message_id: String::new(),
    }
}

fn message(called: Called<SendMessage>) -> chat_contract::v1::Message {
    called
        .expect("the send succeeds")
        .response
        .message
        .expect("an answer has a message")
}

/// Everything in the timeline up to the sequencer's head, closed or not: (revision, seq, text) or None for a void.
async fn timeline(fixture: &Fixture, conversation: ConversationId) -> Vec<(i64, Option<(i64, String)>)> {
    let timeline = Timeline::new(fixture.settings()).unwrap();
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
        EntryKind::Void | EntryKind::Unknown => None,
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
    assert_eq!(notice.recipients, [user("alice"), user("bob")]);
    assert_eq!((notice.event.revision, notice.event.previous_revision), (1, 0));
    assert_eq!(notice.event.event, Some(live_event::Event::MessageSent(message)));
}

#[tokio::test]
async fn a_repeat_answers_the_first_message_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();

    let first = message(call(&send, "alice", request(conversation, "a1", "one")).await);
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
    let first = message(call(&send, "alice", request(conversation, "a1", "one")).await);
    message(call(&send, "alice", request(conversation, "a2", "two")).await);

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
    let seen = fixture
        .postgres()
        .lookup_conversation(conversation, &user("bob"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (seen.unread_count, seen.last_message.unwrap().excerpt.as_str()),
        (2, "two")
    );
}

#[tokio::test]
async fn a_repeat_that_the_sequencer_has_forgotten_answers_the_first_one_and_closes_the_place_it_was_given() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let first = message(call(&send, "alice", request(conversation, "a1", "one")).await);
    for later in 2..=9 {
        message(call(&send, "alice", request(conversation, &format!("a{later}"), "more")).await);
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
    let first = message(call(&send, "alice", request(conversation, "a1", "one")).await);
    message(call(&send, "alice", request(conversation, "a2", "two")).await);

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
        message(call(&send, "alice", request(conversation, "1", "from alice")).await).seq,
        1
    );
    assert_eq!(
        message(call(&send, "bob", request(conversation, "1", "from bob")).await).seq,
        2
    );
}

#[tokio::test]
async fn a_reply_carries_a_snapshot_of_what_it_replies_to() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let first = message(call(&send, "alice", request(conversation, "a1", &"x\n".repeat(200))).await);

    let reply = SendMessageRequest {
        reply_to_message_id: first.message_id.clone(),
        ..request(conversation, "b1", "yes")
    };
    let snapshot = message(call(&send, "bob", reply).await).reply_to.unwrap();

    assert_eq!(
        (snapshot.message_id, snapshot.seq, snapshot.sender_id),
        (first.message_id, 1, "alice".to_owned())
    );
    assert_eq!(snapshot.excerpt, "x ".repeat(70));
}

#[tokio::test]
async fn a_reply_to_a_message_of_another_conversation_is_refused_and_nothing_is_sent() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let elsewhere = fixture.open_direct("alice", "carol").await;
    let send: SendMessage = fixture.operation();
    let foreign = message(call(&send, "alice", request(elsewhere, "a1", "elsewhere")).await);

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
    let target = message(call(&send, "alice", request(conversation, "a1", "secret")).await).message_id;

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
        ["conversation_id", "client_message_id", "text", "reply_to_message_id"]
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
    let first = message(call(&send, "alice", request(conversation, "a1", "one")).await);
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
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
    let repeat = call(&send, "alice", request(conversation, "a1", "one"))
        .await
        .unwrap()
        .response;
    assert_eq!((repeat.deduplicated, repeat.message.unwrap()), (true, first));
    assert_eq!(timeline(&fixture, conversation).await.len(), 1);
}

#[tokio::test]
async fn former_friends_get_the_answers_of_all_that_they_had_sent() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let send: SendMessage = fixture.operation();
    let mut firsts = Vec::new();
    for op in 0..10 {
        firsts.push(message(
            call(&send, "alice", request(conversation, &format!("{op}"), "x")).await,
        ));
    }
    fixture
        .postgres()
        .remove_friend(&user("bob"), &user("alice"))
        .await
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
            message(
                call(
                    &send,
                    who,
                    request(conversation, &format!("op-{sender}"), &format!("{sender}")),
                )
                .await,
            )
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
        let mut sent = Vec::new();
        for round in 0..4 {
            let op = format!("{sender}-{round}");
            sent.push(message(call(send, "alice", request(conversation, &op, "x")).await));
        }
        sent
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
    let send = tokio::spawn(async move { message(call(&sleeper, "alice", request(conversation, "a1", "late")).await) });
    held.caught().await;
    Timeline::new(fixture.settings())
        .unwrap()
        .close(&[(conversation, 1)])
        .await
        .unwrap();
    let meanwhile: SendMessage = fixture.operation();
    message(call(&meanwhile, "bob", request(conversation, "b1", "meanwhile")).await);
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
    message(call(&send, "alice", request(conversation, "a1", "warm")).await);

    let cut = proxies.postgres.cut_before_answer(Filter::operation("append("));
    let second = message(call(&send, "alice", request(conversation, "a2", "cut")).await);
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
    message(call(&send, "alice", request(conversation, "a1", "warm")).await);

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
    message(call(&send, "alice", request(conversation, "a1", "before")).await);
    // The removal and the send meet at the conversation's lock, whoever comes first.
    let postgres = fixture.postgres();
    let (alice, bob) = (user("alice"), user("bob"));
    let (removed, answered) = tokio::join!(
        postgres.remove_friend(&bob, &alice),
        call(&send, "alice", request(conversation, "a2", "during")),
    );
    assert!(removed.unwrap().is_some());
    let head = postgres
        .lookup_membership(conversation, &alice)
        .await
        .unwrap()
        .unwrap()
        .revision;
    assert_eq!(head, if answered.is_ok() { 2 } else { 1 });
    assert!(
        call(&send, "alice", request(conversation, "a3", "after"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_sequencer_that_went_back_is_lifted_above_the_timeline() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let timeline_store = Timeline::new(fixture.settings()).unwrap();
    // The timeline holds places that this Postgres has never handed out, as after a restore.
    for place in 1..=3 {
        let entry = MessageEntry {
            message: MessageId::generate(),
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
    let lifted = message(call(&send, "alice", request(conversation, "a1", "after the restore")).await);

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
    message(call(&send, "alice", request(conversation, "a1", "warm")).await);
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
    assert_eq!(
        message(call(&send, "alice", request(conversation, "a2", "x")).await).revision,
        2
    );
}

#[tokio::test]
async fn a_send_costs_one_postgres_and_one_mongo_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let send: SendMessage = proxies.operation();
    message(call(&send, "alice", request(conversation, "a1", "warm")).await);
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();

    message(call(&send, "alice", request(conversation, "a2", "counted")).await);

    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (1, 1)
    );
}
