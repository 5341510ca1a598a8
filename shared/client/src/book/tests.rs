use chat_contract::v1::{
    ConversationOpened, ConversationSettingsChanged, FeedChange, FeedCursor, FeedSync, Group, Poke, Pong,
};

use super::*;
use crate::model::{ALICE, BOB, members, message};

fn id(number: usize) -> String {
    format!("c{number:05}")
}

fn conversation(number: usize, revision: i64) -> Conversation {
    Conversation {
        conversation_id: id(number),
        revision,
        members: members(0, 0),
        ..Conversation::default()
    }
}

fn opened(number: usize, feed_revision: i64) -> LiveEvent {
    LiveEvent {
        conversation_id: id(number),
        feed_revision,
        event: Some(Event::ConversationOpened(ConversationOpened {
            conversation: Some(conversation(number, 1)),
        })),
        ..LiveEvent::default()
    }
}

fn pushed(number: usize, revision: i64) -> LiveEvent {
    LiveEvent {
        conversation_id: id(number),
        revision,
        previous_revision: revision - 1,
        event: Some(Event::MessageSent(message(revision, revision, BOB))),
        ..LiveEvent::default()
    }
}

fn poke(number: usize, revision: i64) -> LiveEvent {
    LiveEvent {
        event: Some(Event::Poke(Poke {})),
        ..pushed(number, revision)
    }
}

/// Answers a call as a service where every conversation is at `head`, after so many conversations in the feed.
fn answer(asked: &Asked, memberships: usize, head: impl Fn(&str) -> i64) -> SyncConversationsResponse {
    let conversations = asked.request.cursors.iter().map(|cursor| {
        let revision = head(&cursor.conversation_id);
        ConversationSync {
            cursor: Some(ConversationCursor {
                revision,
                epoch: 1,
                ..cursor.clone()
            }),
            reset: cursor.revision == 0,
            revision,
            members: members(0, 0),
            ..ConversationSync::default()
        }
    });
    let from = usize::try_from(asked.request.feed.as_ref().unwrap().revision).unwrap();
    let to = memberships.min(from + CURSORS_MAX);
    let changes = (from..to).map(|number| FeedChange {
        revision: i64::try_from(number + 1).unwrap(),
        change: Some(feed_change::Change::Membership(Membership {
            state: MembershipState::Active.into(),
            conversation: Some(conversation(number, 1)),
        })),
    });
    SyncConversationsResponse {
        conversations: conversations.collect(),
        feed: Some(FeedSync {
            cursor: Some(FeedCursor {
                revision: i64::try_from(to).unwrap(),
                ..FeedCursor::default()
            }),
            changes: changes.collect(),
            incomplete: to < memberships,
            revision: i64::try_from(memberships).unwrap(),
            ..FeedSync::default()
        }),
        lost_conversation_ids: Vec::new(),
    }
}

/// A whole sync. Answers which conversations each call named.
fn sync(book: &mut Book, memberships: usize, head: impl Fn(&str) -> i64) -> Vec<Vec<String>> {
    sync_at(book, Instant::now(), memberships, head)
}

fn sync_at(book: &mut Book, now: Instant, memberships: usize, head: impl Fn(&str) -> i64) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    book.begin_sync();
    while let Some(asked) = book.next_call(now) {
        let cursors = asked.request.cursors.iter();
        calls.push(cursors.map(|cursor| cursor.conversation_id.clone()).collect());
        let is_complete = book.take_answer(&asked, &answer(&asked, memberships, &head), now);
        assert_eq!(is_complete, !book.has_calls(now));
    }
    calls
}

fn load_all(book: &mut Book) {
    while let Some(load) = book.next_load() {
        book.take_history(&load, Some(vec![ListMessagesResponse::default()]));
    }
}

/// A book with so many conversations, all of them opened and whole.
fn whole(conversations: usize) -> Book {
    let mut book = Book::new(History::Newest);
    book.take_user_id(ALICE);
    while !book.state().is_whole() {
        sync(&mut book, conversations, |_| 1);
        load_all(&mut book);
    }
    assert_eq!(book.state().conversations().len(), conversations);
    book
}

#[test]
fn a_heartbeat_costs_one_call_however_many_conversations_there_are_and_goes_round_them() {
    let mut book = whole(450);
    let mut named = HashSet::new();
    let mut heartbeats = 0;
    while named.len() < 450 {
        assert_eq!(
            book.take_event(LiveEvent {
                event: Some(Event::Pong(Pong {})),
                ..LiveEvent::default()
            }),
            Wants::Sync
        );
        let calls = sync(&mut book, 450, |_| 1);
        assert_eq!(calls.len(), 1);
        named.extend(calls.concat());
        heartbeats += 1;
    }
    assert_eq!(heartbeats, 3);
}

#[test]
fn what_moved_is_named_first_and_costs_a_call_per_two_hundred() {
    let mut book = whole(1_000);
    for number in 300..550 {
        book.take_event(poke(number, 2));
    }
    assert!(book.has_gap() && !book.state().is_whole());
    let calls = sync(&mut book, 1_000, |_| 2);
    assert_eq!(calls.len(), 2);
    let moved: HashSet<String> = (300..550).map(id).collect();
    let named: HashSet<String> = calls.concat().into_iter().collect();
    assert!(calls[0].iter().all(|id| moved.contains(id)));
    assert_eq!(
        (calls.concat().len(), named.len(), moved.is_subset(&named)),
        (400, 400, true)
    );
    assert!(!book.has_gap() && book.state().is_whole());
}

#[test]
fn a_conversation_that_is_answered_and_still_behind_waits_for_the_next_sync() {
    let mut book = whole(3);
    book.take_event(poke(1, 9));
    let calls = sync(&mut book, 3, |_| 1);
    assert_eq!((calls.len(), book.has_gap(), book.state().is_whole()), (1, true, false));
    assert_eq!(sync(&mut book, 3, |_| 9).len(), 1);
    assert!(book.state().is_whole());
}

#[test]
fn what_is_still_being_written_is_not_asked_for_before_its_time() {
    let mut book = whole(2);
    book.take_event(poke(1, 3));
    let now = Instant::now();
    book.begin_sync();
    let asked = book.next_call(now).unwrap();
    let mut open = answer(&asked, 2, |_| 1);
    for sync in open
        .conversations
        .iter_mut()
        .filter(|it| it.cursor.as_ref().unwrap().conversation_id == id(1))
    {
        (sync.incomplete, sync.revision) = (true, 3);
        sync.retry_after = Some(Duration::from_secs(1).into());
    }
    assert!(book.take_answer(&asked, &open, now));
    assert_eq!(
        (book.has_gap(), book.wait_ends()),
        (false, Some(now + Duration::from_secs(1)))
    );
    // News of it, or a heartbeat, do not bring the time forward.
    book.take_event(poke(1, 4));
    let calls = sync_at(&mut book, now, 2, |_| 4);
    assert_eq!(calls, [[id(0)]]);
    let calls = sync_at(&mut book, now + Duration::from_secs(1), 2, |_| 4);
    assert_eq!(
        (calls[0][0].clone(), book.state().is_whole(), book.wait_ends()),
        (id(1), true, None)
    );
}

#[test]
fn only_opened_conversations_are_named() {
    let mut book = Book::new(History::OnDemand);
    let calls = sync(&mut book, 450, |_| 1);
    assert_eq!((calls.len(), calls.concat().len()), (3, 0));
    assert!(book.state().is_whole());
    assert_eq!(book.take_event(pushed(7, 5)), Wants::Nothing);
    assert_eq!(book.state().conversation(&id(7)).unwrap().unread_count(), 1);
    assert!(book.open(&id(7)) && !book.open(&id(7)));
    assert_eq!(sync(&mut book, 450, |_| 5), [[id(7)]]);
    let load = book.next_load().unwrap();
    assert_eq!(
        (&*load.conversation_id, load.cursor.revision, load.cursor.epoch),
        (id(7).as_str(), 5, 1)
    );
    assert!(book.next_load().is_none());
    // Closed and opened again meanwhile: what was loaded belongs to a cursor that is gone.
    book.close(&id(7));
    assert!(book.open(&id(7)));
    sync(&mut book, 450, |_| 6);
    book.take_history(&load, Some(vec![ListMessagesResponse::default()]));
    assert!(!book.state().conversation(&id(7)).unwrap().is_loaded());
    assert_eq!(book.next_load().unwrap().cursor.revision, 6);
}

#[test]
fn an_older_page_that_does_not_lie_below_what_is_loaded_by_now_is_passed_over() {
    let page = |seqs: std::ops::RangeInclusive<i64>| ListMessagesResponse {
        has_more_before: *seqs.start() > 1,
        messages: seqs.map(|seq| message(seq, seq, BOB)).collect(),
        ..ListMessagesResponse::default()
    };
    let mut book = Book::new(History::OnDemand);
    sync(&mut book, 1, |_| 9);
    let load_newest = |book: &mut Book| {
        assert!(book.open(&id(0)));
        sync(book, 1, |_| 9);
        let load = book.next_load().unwrap();
        book.take_history(&load, Some(vec![page(7..=9)]));
    };
    let shown = |book: &Book| {
        let state = book.state();
        let timeline = state.conversation(&id(0)).unwrap();
        (timeline.messages().count(), timeline.oldest_seq(), timeline.has_older())
    };
    load_newest(&mut book);
    book.take_older_page(&id(0), Some(7), page(4..=6));
    assert_eq!(shown(&book), (6, Some(4), true));
    // What lies below 4 is on its way while the conversation is closed and opened again.
    book.close(&id(0));
    load_newest(&mut book);
    book.take_older_page(&id(0), Some(4), page(1..=3));
    assert_eq!(shown(&book), (3, Some(7), true), "4 to 6 would be missing for good");
    book.take_older_page(&id(0), Some(7), page(4..=6));
    assert_eq!(shown(&book), (6, Some(4), true));
}

#[test]
fn a_conversation_is_opened_as_soon_as_it_is_known() {
    let mut book = Book::new(History::OnDemand);
    sync(&mut book, 0, |_| 1);
    assert!(book.open(&id(0)));
    assert!(book.state().is_whole());
    // Nothing else would make it ask before the next heartbeat.
    assert_eq!(book.take_event(opened(0, 1)), Wants::Sync);
    assert!(book.has_gap());
}

#[test]
fn what_is_lost_leaves_nothing_behind() {
    let mut book = whole(3);
    for number in 0..3 {
        book.take_event(poke(number, 2));
    }
    book.begin_sync();
    let asked = book.next_call(Instant::now()).unwrap();
    let lost = SyncConversationsResponse {
        conversations: Vec::new(),
        lost_conversation_ids: (0..3).map(id).collect(),
        ..answer(&asked, 3, |_| 2)
    };
    assert!(book.take_answer(&asked, &lost, Instant::now()));
    let Plan {
        due,
        waiting,
        to_load,
        loading,
        fresh,
        turns,
        turn_of,
        ..
    } = &book.plan;
    assert!(due.is_empty() && waiting.is_empty() && to_load.is_empty() && loading.is_empty());
    assert!(fresh.is_empty() && turns.is_empty() && turn_of.is_empty());
    assert_eq!((book.state().conversations().len(), book.state().is_whole()), (0, true));
}

#[test]
fn who_follows_may_be_known_late() {
    let mut book = Book::new(History::Newest);
    sync(&mut book, 1, |_| 1);
    load_all(&mut book);
    sync(&mut book, 1, |_| 1);
    let mut own = pushed(0, 2);
    if let Some(Event::MessageSent(message)) = &mut own.event {
        message.sender_id = ALICE.into();
    }
    book.take_event(own);
    book.take_user_id(ALICE);
    assert_eq!(book.state().conversation(&id(0)).unwrap().unread_count(), 0);
}

/// What was not touched is not copied: an event and a look cost what they are about, however many conversations there are.
#[test]
fn an_event_copies_the_one_conversation_that_it_is_about() {
    let mut book = whole(2_000);
    let before = book.state();
    assert_eq!(book.take_event(pushed(1_234, 2)), Wants::Nothing);
    let after = book.state();
    for (id, timeline) in &after.conversations {
        let is_same = Arc::ptr_eq(timeline, before.conversations.get(id).unwrap());
        assert_eq!(is_same, **id != *super::tests::id(1_234), "{id}");
    }
    assert_eq!(before.conversation(&id(1_234)).unwrap().messages().count(), 0);
    assert_eq!(after.conversation(&id(1_234)).unwrap().messages().count(), 1);
    // A look is a look at the same thing.
    assert!(after.conversations.ptr_eq(&book.state().conversations) && after.friends.ptr_eq(&before.friends));
}

#[test]
fn what_nobody_holds_is_not_copied_at_all() {
    let mut book = whole(2_000);
    let place = |book: &Book| Arc::as_ptr(book.state.conversations.get(&*id(7)).unwrap());
    let before = place(&book);
    book.take_event(pushed(7, 2));
    assert_eq!(place(&book), before);
    let held = book.state();
    book.take_event(pushed(7, 3));
    assert_ne!(place(&book), before);
    assert_eq!(held.conversation(&id(7)).unwrap().cursor_revision(), 2);
}

#[test]
fn a_load_that_finds_nothing_removes_no_membership_that_came_after_it_was_asked_for() {
    let mut book = Book::new(History::OnDemand);
    sync(&mut book, 1, |_| 1);
    book.open(&id(0));
    sync(&mut book, 1, |_| 1);
    let load = book.next_load().unwrap();
    // Gone when the load came to the service, and back by now, of which the client heard the latter alone.
    book.take_event(opened(0, 3));
    book.take_history(&load, None);
    assert!(book.state().conversation(&id(0)).is_some());
    let again = book.next_load().expect("it is loaded once more");
    book.take_history(&again, None);
    assert!(
        book.state().conversation(&id(0)).is_none(),
        "it is not there, as far as anybody knows"
    );
}

#[test]
fn what_a_closed_group_was_in_a_former_life_of_the_databases_is_forgotten() {
    let group = |name: &str, state_revision: i64| Conversation {
        group: Some(Group {
            name: name.to_owned(),
            state_revision,
            member_count: 2,
            ..Group::default()
        }),
        ..conversation(0, state_revision)
    };
    let listing = |epoch: i64, conversation: Conversation| SyncConversationsResponse {
        feed: Some(FeedSync {
            cursor: Some(FeedCursor {
                revision: 1,
                epoch,
                ..FeedCursor::default()
            }),
            changes: vec![FeedChange {
                revision: 1,
                change: Some(feed_change::Change::Membership(Membership {
                    state: MembershipState::Active.into(),
                    conversation: Some(conversation),
                })),
            }],
            reset: true,
            revision: 1,
            ..FeedSync::default()
        }),
        ..SyncConversationsResponse::default()
    };
    let mut book = Book::new(History::OnDemand);
    let name = |book: &Book| book.state().conversation(&id(0)).unwrap().group().unwrap().name;
    for (epoch, said, state_revision, shown) in [
        (1, "Boats", 9, "Boats"),
        (1, "stale", 8, "Boats"),
        (2, "Trains", 3, "Trains"),
    ] {
        book.begin_sync();
        let now = Instant::now();
        let asked = book.next_call(now).unwrap();
        book.take_answer(&asked, &listing(epoch, group(said, state_revision)), now);
        assert_eq!(name(&book), shown);
    }
}

fn settings_changed(number: usize, feed_revision: i64, pinned: bool) -> LiveEvent {
    LiveEvent {
        conversation_id: id(number),
        feed_revision,
        event: Some(Event::ConversationSettingsChanged(ConversationSettingsChanged {
            settings: Some(ConversationSettings {
                pinned,
                revision: feed_revision,
                ..ConversationSettings::default()
            }),
            marked_unread: !pinned,
        })),
        ..LiveEvent::default()
    }
}

/// What a conversation is to the user: pinned, flagged, as of.
fn own(book: &Book, number: usize) -> (bool, bool, i64) {
    let state = book.state();
    let timeline = state.conversation(&id(number)).unwrap();
    let settings = timeline.settings();
    (settings.pinned, timeline.is_marked_unread(), settings.revision)
}

#[test]
fn what_a_conversation_is_to_the_user_is_one_more_state_of_the_feed() {
    let mut book = Book::new(History::OnDemand);
    sync(&mut book, 1, |_| 1);

    assert_eq!(book.take_event(settings_changed(0, 2, true)), Wants::Nothing);
    assert_eq!(own(&book, 0), (true, false, 2));
    // One that was lost is found by the gap that it leaves; a repeat and a late one are no news.
    assert_eq!(book.take_event(settings_changed(0, 4, false)), Wants::GapSync);
    assert_eq!(own(&book, 0), (false, true, 4));
    assert_eq!(book.take_event(settings_changed(0, 2, true)), Wants::GapSync);
    assert_eq!(book.take_event(settings_changed(0, 3, true)), Wants::Nothing);
    assert_eq!(own(&book, 0), (false, true, 4));
    // What comes without settings says nothing of them.
    assert_eq!(book.take_event(opened(0, 5)), Wants::Nothing);
    assert_eq!(own(&book, 0), (false, true, 4));
    assert!(!book.has_gap());
}

#[test]
fn of_a_conversation_that_was_not_heard_of_a_sync_tells() {
    let mut book = Book::new(History::OnDemand);
    sync(&mut book, 1, |_| 1);
    assert_eq!(book.take_event(settings_changed(7, 2, true)), Wants::Sync);
    assert!(book.has_gap() && book.state().conversation(&id(7)).is_none());
    sync(&mut book, 2, |_| 1);
    assert!(!book.has_gap());
}

#[test]
fn a_poke_says_that_something_is_there_and_not_what() {
    let mut book = Book::new(History::OnDemand);
    sync(&mut book, 1, |_| 1);
    let poke = |feed_revision| LiveEvent {
        feed_revision,
        event: Some(Event::Poke(Poke {})),
        ..LiveEvent::default()
    };
    assert_eq!(book.take_event(poke(1)), Wants::Nothing);
    // Just above the cursor, what it is about is missing all the same.
    assert_eq!(book.take_event(poke(2)), Wants::Sync);
    assert!(book.has_gap());
    assert_eq!(book.take_event(opened(1, 2)), Wants::Nothing);
    assert!(!book.has_gap());
}
