use chat_contract::v1::{Change, Void};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::*;
use crate::model::{ALICE, BOB, Place, Service, members, message};

/// Alice's view of a conversation that a sync has given a cursor, before its newest page.
fn started(head: i64, cursor: i64) -> Timeline {
    let conversation = Conversation {
        revision: head,
        members: members(0, 0),
        ..Conversation::default()
    };
    let mut timeline = Timeline::new(ALICE, &conversation);
    timeline.open();
    let sync = ConversationSync {
        cursor: Some(ConversationCursor {
            revision: cursor,
            ..ConversationCursor::default()
        }),
        reset: true,
        revision: head,
        members: members(0, 0),
        ..ConversationSync::default()
    };
    timeline.take_sync(&timeline.cursor(), &sync);
    timeline
}

/// Alice's view of a conversation without history.
fn empty() -> Timeline {
    let mut timeline = started(0, 0);
    timeline.take_page(ListMessagesResponse::default());
    timeline
}

/// Alice's view of a conversation, started now with a page of this size.
fn following(service: &Service, size: usize) -> Timeline {
    let mut timeline = Timeline::new(ALICE, &service.conversation("c"));
    timeline.open();
    while timeline.phase() == Phase::Starting {
        let asked = timeline.cursor();
        timeline.take_sync(&asked, &service.sync(&asked, 7));
    }
    timeline.take_page(service.page(i64::MAX, size));
    timeline
}

fn shown(timeline: &Timeline) -> Vec<i64> {
    timeline.messages().map(|message| message.seq).collect()
}

fn push(timeline: &mut Timeline, revision: i64) -> Step {
    timeline.take_pushed_message(message(revision, revision, BOB), revision, revision - 1)
}

#[test]
fn a_contiguous_push_is_shown_at_once() {
    let mut timeline = empty();
    assert_eq!(
        (push(&mut timeline, 1), push(&mut timeline, 2)),
        (Step::Whole, Step::Whole)
    );
    assert_eq!(
        (shown(&timeline), timeline.cursor().revision, timeline.is_whole()),
        (vec![1, 2], 2, true)
    );
}

#[test]
fn a_push_above_a_gap_is_shown_and_only_the_cursor_waits() {
    let mut timeline = empty();
    assert_eq!((push(&mut timeline, 3), push(&mut timeline, 2)), (Step::Gap, Step::Gap));
    assert_eq!((shown(&timeline), timeline.is_whole()), (vec![2, 3], false));
    assert_eq!(
        (timeline.cursor().revision, timeline.messages_through_cursor().count()),
        (0, 0)
    );
    assert_eq!(push(&mut timeline, 1), Step::Whole);
    assert_eq!((shown(&timeline), timeline.is_whole()), (vec![1, 2, 3], true));
    assert_eq!(timeline.messages_through_cursor().count(), 3);
}

#[test]
fn a_repeated_push_changes_nothing() {
    let mut timeline = empty();
    push(&mut timeline, 1);
    let before = timeline.clone();
    push(&mut timeline, 1);
    assert_eq!(timeline, before);
}

#[test]
fn a_push_that_does_not_say_what_is_before_it_moves_nothing() {
    let mut timeline = empty();
    assert_eq!(timeline.take_pushed_message(message(9, 9, BOB), 9, 0), Step::Gap);
    assert_eq!(
        (shown(&timeline), timeline.head(), timeline.cursor().revision),
        (vec![9], 9, 0)
    );
}

#[test]
fn a_push_of_several_changes_leads_over_all_of_them() {
    let mut timeline = empty();
    push(&mut timeline, 4);
    assert_eq!(timeline.take_pushed_message(message(5, 5, BOB), 5, 0), Step::Gap);
    push(&mut timeline, 1);
    assert_eq!(timeline.take_pushed_message(message(6, 6, BOB), 6, 1), Step::Whole);
    assert_eq!(timeline.cursor().revision, 6);
}

#[test]
fn a_poke_is_a_gap_until_a_sync_closes_it() {
    let mut timeline = empty();
    assert_eq!(timeline.take_poke(1), Step::Gap);
    let sync = ConversationSync {
        cursor: Some(ConversationCursor {
            revision: 1,
            ..timeline.cursor()
        }),
        changes: vec![Change {
            revision: 1,
            kind: Some(change::Kind::Void(Void {})),
        }],
        revision: 1,
        members: members(0, 0),
        ..ConversationSync::default()
    };
    let asked = timeline.cursor();
    assert_eq!(timeline.take_sync(&asked, &sync), Step::Whole);
    assert_eq!(
        (timeline.voids().collect::<Vec<_>>(), timeline.cursor().revision),
        (vec![1], 1)
    );
    assert_eq!(timeline.take_poke(1), Step::Whole);
}

#[test]
fn the_newer_state_of_a_message_wins_in_either_order() {
    let (older, newer) = (
        message(1, 1, BOB),
        Message {
            state_revision: 2,
            text: "edited".into(),
            ..message(1, 1, BOB)
        },
    );
    for (first, second) in [(&older, &newer), (&newer, &older)] {
        let mut timeline = empty();
        timeline.take_pushed_message(first.clone(), first.state_revision, first.state_revision - 1);
        timeline.take_pushed_message(second.clone(), second.state_revision, second.state_revision - 1);
        assert_eq!(timeline.messages().collect::<Vec<_>>(), [&newer]);
    }
}

#[test]
fn two_messages_with_one_seq_are_both_seen() {
    let mut timeline = empty();
    push(&mut timeline, 1);
    timeline.take_pushed_message(
        Message {
            message_id: "other".into(),
            ..message(2, 1, BOB)
        },
        2,
        1,
    );
    assert_eq!(shown(&timeline), [1, 1]);
}

#[test]
fn a_page_above_the_cursor_is_shown_and_the_gap_is_known() {
    let mut timeline = started(5, 3);
    assert!(!timeline.is_loaded());
    timeline.take_page(ListMessagesResponse {
        messages: [2, 3, 5].map(|at| message(at, at, BOB)).into(),
        has_more_before: true,
        ..ListMessagesResponse::default()
    });
    assert_eq!(
        (shown(&timeline), timeline.has_older(), timeline.is_whole()),
        (vec![2, 3, 5], true, false)
    );
    push(&mut timeline, 4);
    assert_eq!(shown(&timeline), [2, 3, 4, 5]);
    assert_eq!(push(&mut timeline, 5), Step::Whole);
    timeline.take_page(ListMessagesResponse {
        messages: vec![message(1, 1, BOB)],
        ..ListMessagesResponse::default()
    });
    assert_eq!((shown(&timeline), timeline.has_older()), (vec![1, 2, 3, 4, 5], false));
}

#[test]
fn a_change_below_what_was_loaded_waits_for_its_page() {
    let page = |seqs: [i64; 2], has_more_before| ListMessagesResponse {
        messages: seqs.map(|seq| message(seq, seq, BOB)).into(),
        has_more_before,
        ..ListMessagesResponse::default()
    };
    let edit = |seq, revision| Message {
        state_revision: revision,
        ..message(seq, seq, BOB)
    };
    let mut timeline = started(4, 4);
    timeline.take_pushed_message(edit(1, 5), 5, 4);
    timeline.take_page(page([3, 4], true));
    timeline.take_pushed_message(edit(2, 6), 6, 5);
    assert_eq!(
        (shown(&timeline), timeline.oldest_seq(), timeline.is_whole()),
        (vec![3, 4], Some(3), true)
    );
    timeline.take_page(page([1, 2], false));
    assert_eq!(shown(&timeline), [1, 2, 3, 4]);
}

#[test]
fn a_reset_shows_nothing_until_history_is_loaded_again() {
    let mut timeline = empty();
    push(&mut timeline, 1);
    let asked = timeline.cursor();
    let cursor = ConversationCursor {
        joined_revision: 7,
        revision: 8,
        epoch: 2,
        ..asked.clone()
    };
    let sync = ConversationSync {
        cursor: Some(cursor.clone()),
        reset: true,
        revision: 9,
        members: members(0, 0),
        counted_seq: 9,
        unread_count: 4,
        ..ConversationSync::default()
    };
    assert_eq!(timeline.take_sync(&asked, &sync), Step::Gap);
    assert_eq!(
        (shown(&timeline), timeline.phase(), timeline.cursor()),
        (vec![], Phase::Paging, cursor)
    );
    assert_eq!(timeline.unread_count(), 4);
    // A late answer about the membership before says nothing about this one.
    timeline.take_sync(
        &asked,
        &ConversationSync {
            cursor: Some(ConversationCursor {
                revision: 99,
                ..asked.clone()
            }),
            ..sync
        },
    );
    assert_eq!(timeline.cursor().revision, 8);
}

#[test]
fn a_start_that_is_incomplete_goes_on_with_the_cursor_that_it_gave() {
    let mut timeline = Timeline::new(ALICE, &Conversation::default());
    timeline.open();
    let given = |revision| ConversationCursor {
        joined_revision: 3,
        epoch: 5,
        revision,
        ..ConversationCursor::default()
    };
    let sync = |revision| ConversationSync {
        cursor: Some(given(revision)),
        reset: true,
        incomplete: true,
        revision: 9,
        ..ConversationSync::default()
    };
    timeline.take_sync(&timeline.cursor(), &sync(0));
    assert_eq!((timeline.phase(), timeline.cursor()), (Phase::Starting, given(0)));
    timeline.take_sync(&timeline.cursor(), &sync(8));
    assert_eq!((timeline.phase(), timeline.cursor()), (Phase::Paging, given(8)));
}

#[test]
fn an_empty_conversation_that_is_told_to_start_again_knows_all_that_there_is() {
    let mut timeline = empty();
    let asked = timeline.cursor();
    let start = ConversationSync {
        cursor: Some(asked.clone()),
        reset: true,
        ..ConversationSync::default()
    };
    assert_eq!(timeline.take_sync(&asked, &start), Step::Whole);
    assert!(timeline.is_whole());
    // Neither does a late answer undo what came since.
    push(&mut timeline, 1);
    timeline.take_sync(&asked, &start);
    assert_eq!((shown(&timeline), timeline.is_whole()), (vec![1], true));
    // One that knows more than came does.
    let further = ConversationSync {
        cursor: Some(ConversationCursor {
            revision: 2,
            ..asked.clone()
        }),
        revision: 2,
        ..start
    };
    timeline.take_sync(&asked, &further);
    assert_eq!((timeline.phase(), timeline.cursor().revision), (Phase::Paging, 2));
}

#[test]
fn a_closed_conversation_is_a_line_of_a_list() {
    let mut service = Service::default();
    for _ in 0..3 {
        service.send(BOB);
    }
    let mut timeline = Timeline::new(ALICE, &service.conversation("c"));
    assert_eq!((timeline.phase(), timeline.unread_count()), (Phase::Closed, 3));
    let pushed = Message {
        text: format!("two\n  lines {}", "x".repeat(200)),
        ..service.send(BOB)
    };
    for _ in 0..2 {
        timeline.take_pushed_message(pushed.clone(), 4, 3);
    }
    service.send(ALICE);
    timeline.take_pushed_message(service.state(5, 5), 5, 4);
    assert_eq!(
        (shown(&timeline), timeline.head(), timeline.unread_count()),
        (vec![], 5, 4)
    );
    assert_eq!(timeline.last_message().unwrap().seq, 5);
    timeline.take_pushed_message(Message { seq: 6, ..pushed }, 6, 5);
    let excerpt = &timeline.last_message().unwrap().excerpt;
    assert_eq!(
        (excerpt.chars().count(), excerpt.starts_with("two   lines xxx")),
        (140, true)
    );
    // Nothing was shown but the last message; still, that much can be marked as read.
    assert_eq!((timeline.mark_read(i64::MAX), timeline.unread_count()), (Some(6), 0));
}

#[test]
fn an_excerpt_is_cut_as_the_service_cuts_it() {
    let pieces = [
        "a",
        " ",
        "\n",
        "\r\n",
        "e\u{301}",
        "\u{1f468}\u{200d}\u{1f469}",
        "\u{1f1e9}\u{1f1ea}",
        "\u{ac00}\u{11a8}",
        "\u{301}",
    ];
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..500 {
        let length = random.random_range(0..200);
        let text: String = (0..length).map(|_| *pieces.choose(&mut random).unwrap()).collect();
        assert_eq!(excerpt(&text), chat_domain::excerpt(&text), "{text:?}");
    }
}

#[test]
fn own_messages_hide_no_unread_ones() {
    let mut timeline = empty();
    for revision in 1..=3 {
        push(&mut timeline, revision);
    }
    timeline.take_pushed_message(message(4, 4, ALICE), 4, 3);
    assert_eq!(timeline.unread_count(), 3);
    push(&mut timeline, 5);
    assert_eq!(timeline.unread_count(), 4);
}

/// The first members of a group of 5,000 and alice, as of a state.
fn first_members(users: &[&str], state_revision: i64) -> (Vec<Member>, Option<Group>) {
    let users = users.iter().chain([&ALICE]);
    let members = users.map(|user| Member {
        user_id: (*user).to_owned(),
        role: GroupRole::Member.into(),
        ..Member::default()
    });
    let group = Group {
        member_count: 5_000,
        state_revision,
        ..Group::default()
    };
    (members.collect(), Some(group))
}

/// What a sync tells that went on to this revision, with a change.
fn synced(users: &[&str], change: GroupChange) -> ConversationSync {
    let (members, group) = first_members(users, change.revision);
    ConversationSync {
        cursor: Some(ConversationCursor {
            revision: change.revision,
            ..ConversationCursor::default()
        }),
        revision: change.revision,
        members,
        group,
        changes: vec![Change {
            revision: change.revision,
            kind: Some(change::Kind::GroupChanged(change)),
        }],
        ..ConversationSync::default()
    }
}

/// Alice's view of a large group without history.
fn large() -> Timeline {
    let (members, group) = first_members(&[], 0);
    let conversation = Conversation {
        members,
        group,
        ..Conversation::default()
    };
    let mut timeline = Timeline::new(ALICE, &conversation);
    timeline.open();
    let sync = ConversationSync {
        cursor: Some(ConversationCursor::default()),
        reset: true,
        ..ConversationSync::default()
    };
    timeline.take_sync(&timeline.cursor(), &sync);
    timeline.take_page(ListMessagesResponse::default());
    timeline
}

fn roles(timeline: &Timeline) -> Vec<(&str, GroupRole)> {
    timeline.roles().filter(|(user, _)| *user != ALICE).collect()
}

fn group_change(revision: i64, action: GroupAction, users: &[&str], role: GroupRole) -> GroupChange {
    GroupChange {
        revision,
        action: action.into(),
        actor_id: "zoe".to_owned(),
        user_ids: users.iter().map(|&user| user.to_owned()).collect(),
        role: role.into(),
        ..GroupChange::default()
    }
}

#[test]
fn changes_that_a_sync_tells_hold_for_those_whom_no_list_of_a_large_group_names() {
    let mut timeline = large();
    let none = GroupRole::Unspecified;
    let first = ["b1", "b2"];
    let steps = [
        (
            GroupAction::MembersAdded,
            none,
            vec![
                ("b1", GroupRole::Member),
                ("b2", GroupRole::Member),
                ("yan", GroupRole::Member),
            ],
        ),
        (
            GroupAction::RoleChanged,
            GroupRole::Admin,
            vec![
                ("b1", GroupRole::Member),
                ("b2", GroupRole::Member),
                ("yan", GroupRole::Admin),
            ],
        ),
        (
            GroupAction::OwnershipTransferred,
            GroupRole::Owner,
            vec![
                ("b1", GroupRole::Member),
                ("b2", GroupRole::Member),
                ("yan", GroupRole::Owner),
                ("zoe", GroupRole::Admin),
            ],
        ),
        (
            GroupAction::MemberRemoved,
            none,
            vec![
                ("b1", GroupRole::Member),
                ("b2", GroupRole::Member),
                ("zoe", GroupRole::Admin),
            ],
        ),
        (
            GroupAction::MemberLeft,
            none,
            vec![("b1", GroupRole::Member), ("b2", GroupRole::Member)],
        ),
    ];
    for (revision, (action, role, expected)) in (1..).zip(steps) {
        let change = group_change(revision, action, &["yan"], role);
        timeline.take_sync(&timeline.cursor(), &synced(&first, change));
        assert_eq!(roles(&timeline), expected, "{action:?}");
    }
}

#[test]
fn who_starts_over_in_a_large_group_knows_those_who_are_named_and_what_is_newer() {
    let mut timeline = large();
    let joined = group_change(
        1,
        GroupAction::MembersAdded,
        &["b1", "b2", "yan"],
        GroupRole::Unspecified,
    );
    timeline.take_sync(&timeline.cursor(), &synced(&[], joined));
    let added = GroupChanged {
        change: Some(group_change(
            9,
            GroupAction::MembersAdded,
            &["xia"],
            GroupRole::Unspecified,
        )),
        group: first_members(&[], 9).1,
        members: first_members(&["xia"], 9).0,
    };
    timeline.take_pushed_change(added, 8);
    let (members, group) = first_members(&["b2"], 7);
    let reset = ConversationSync {
        cursor: Some(ConversationCursor {
            revision: 7,
            ..ConversationCursor::default()
        }),
        reset: true,
        revision: 9,
        members,
        group,
        ..ConversationSync::default()
    };
    timeline.take_sync(&timeline.cursor(), &reset);
    let known: Vec<_> = roles(&timeline).into_iter().map(|(user, _)| user).collect();
    assert_eq!(known, ["b2", "xia"]);
}

#[test]
fn who_would_stand_in_a_list_of_the_first_members_and_does_not_is_none() {
    let mut timeline = large();
    let list = |timeline: &mut Timeline, users: &[&str], state_revision| {
        let (members, group) = first_members(users, state_revision);
        timeline.take_members(&members, group.as_ref());
        let known: Vec<_> = roles(timeline).into_iter().map(|(user, _)| user.to_owned()).collect();
        known
    };
    assert_eq!(list(&mut timeline, &["b1", "b2", "b3"], 5), ["b1", "b2", "b3"]);
    assert_eq!(list(&mut timeline, &["b1", "b3"], 6), ["b1", "b3"]);
    // A shorter list says nothing of those after it, and an older one nothing that is known to be otherwise.
    assert_eq!(list(&mut timeline, &["b1"], 7), ["b1", "b3"]);
    assert_eq!(list(&mut timeline, &["b1", "b2", "b3"], 4), ["b1", "b3"]);
}

fn moved(user: &str, read_seq: i64, counts: Option<(i64, i64)>) -> ReadPositionMoved {
    ReadPositionMoved {
        user_id: user.into(),
        read_seq,
        unread_count: counts.map(|(unread, _)| unread),
        counted_seq: counts.map_or(0, |(_, counted)| counted),
    }
}

#[test]
fn marks_from_other_devices_bring_their_counts() {
    let mut timeline = empty();
    for revision in 1..=5 {
        push(&mut timeline, revision);
    }
    timeline.take_read_position(&moved(BOB, 3, None));
    // Of what was counted up to 4, one has become void; what came above is added.
    timeline.take_read_position(&moved(ALICE, 2, Some((1, 4))));
    assert_eq!(timeline.unread_count(), 2);
    // Older news, whenever they come, change nothing.
    timeline.take_read_position(&moved(ALICE, 1, Some((4, 5))));
    timeline.take_read_position(&moved(ALICE, 2, Some((2, 4))));
    assert_eq!(timeline.unread_count(), 2);
    assert_eq!(timeline.read_positions().collect::<Vec<_>>(), [(ALICE, 2), (BOB, 3)]);
    assert_eq!((timeline.read_position("carol"), timeline.read_seq()), (None, 2));
}

#[test]
fn a_mark_counts_at_once_and_never_passes_what_was_shown() {
    let mut timeline = empty();
    for revision in 1..=4 {
        push(&mut timeline, revision);
    }
    timeline.take_counts(0, 4, 4);
    assert_eq!(
        (timeline.mark_read(3), timeline.unread_count(), timeline.unsent_mark()),
        (Some(3), 1, Some(3))
    );
    assert_eq!(timeline.mark_read(2), None);
    // The service counts to 9: what is on its way there was not shown.
    timeline.take_counts(0, 9, 9);
    assert_eq!((timeline.unread_count(), timeline.mark_read(i64::MAX)), (6, Some(4)));
    timeline.take_counts(4, 5, 9);
    assert_eq!((timeline.unread_count(), timeline.unsent_mark()), (5, None));
}

#[test]
fn counts_of_a_thousand_mean_that_many_or_more() {
    let mut timeline = empty();
    timeline.take_counts(0, UNREAD_MAX, 5_000);
    push(&mut timeline, 1);
    timeline.take_pushed_message(message(2, 5_001, BOB), 2, 1);
    assert_eq!((timeline.mark_read(1), timeline.unread_count()), (Some(1), UNREAD_MAX));
    assert_eq!((timeline.mark_read(5_001), timeline.unread_count()), (Some(5_001), 0));
}

#[test]
fn a_message_of_ones_own_is_shown_from_its_answer_but_is_no_news() {
    let mut timeline = empty();
    timeline.take_sent_message(message(2, 2, ALICE));
    assert_eq!(
        (shown(&timeline), timeline.head(), timeline.is_whole()),
        (vec![2], 0, true)
    );
    push(&mut timeline, 1);
    assert_eq!(timeline.take_pushed_message(message(2, 2, ALICE), 2, 1), Step::Whole);
    assert_eq!((shown(&timeline), timeline.cursor().revision), (vec![1, 2], 2));
}

#[test]
fn a_copy_shares_what_did_not_change() {
    let mut timeline = empty();
    for revision in 1..=1_000 {
        push(&mut timeline, revision);
    }
    let copy = timeline.clone();
    push(&mut timeline, 1_001);
    let shared = timeline
        .messages()
        .zip(copy.messages())
        .all(|(one, other)| std::ptr::eq(one, other));
    assert_eq!(
        (shared, timeline.messages().count(), copy.messages().count()),
        (true, 1_001, 1_000)
    );
}

#[test]
fn hints_above_a_gap_are_bounded() {
    let mut timeline = empty();
    for revision in (2..3 + 2 * i64::try_from(HINTS_MAX).unwrap()).rev() {
        push(&mut timeline, revision);
    }
    assert_eq!(timeline.hints.len(), HINTS_MAX);
    assert_eq!(push(&mut timeline, 1), Step::Gap);
    assert_eq!(timeline.cursor().revision, i64::try_from(HINTS_MAX).unwrap() + 1);
}

/// Something happens. Answers what is pushed about it, if anything.
fn happen(service: &mut Service, random: &mut StdRng) -> Option<Hint> {
    let sent: Vec<i64> = (1..=service.head())
        .filter(|revision| !service.unwritten.contains(revision))
        .filter_map(|revision| match service.place(revision) {
            Place::Sent { seq, .. } => Some(*seq),
            _ => None,
        })
        .collect();
    let sender = *[ALICE, BOB].choose(random).unwrap();
    match random.random_range(0..12) {
        0 => {
            service.die(sender);
            None
        }
        1 | 2 if !sent.is_empty() => {
            let seq = *sent.choose(random).unwrap();
            let revision = service.take(Place::Changed { seq });
            Some(Hint::Message(Box::new(service.state(seq, revision)), revision))
        }
        3 => {
            let seq = random.random_range(0..=service.message_count);
            Some(Hint::Read(service.read(random.random_range(0..2), seq)))
        }
        // A writer takes its time, and may die meanwhile.
        4 | 5 => {
            let seq = service.message_count + 1;
            let place = match random.random_range(0..3) {
                0 => Place::Void { seq, sender },
                _ => Place::Sent { seq, sender },
            };
            let revision = service.take(place);
            service.unwritten.insert(revision);
            None
        }
        6 | 7 => {
            let revision = service
                .unwritten
                .iter()
                .copied()
                .collect::<Vec<_>>()
                .choose(random)
                .copied()?;
            service.unwritten.remove(&revision);
            match *service.place(revision) {
                Place::Sent { seq, .. } => Some(Hint::Message(Box::new(service.state(seq, revision)), revision)),
                _ => None,
            }
        }
        _ => {
            let message = service.send(sender);
            let revision = message.revision;
            Some(Hint::Message(Box::new(message), revision))
        }
    }
}

#[derive(Clone)]
enum Hint {
    Message(Box<Message>, i64),
    Read(ReadPositionMoved),
}

fn give(timeline: &mut Timeline, hint: Hint, random: &mut StdRng) {
    match hint {
        Hint::Read(moved) => timeline.take_read_position(&moved),
        Hint::Message(_, revision) if random.random_bool(0.1) => {
            timeline.take_poke(revision);
        }
        Hint::Message(message, revision) => {
            timeline.take_pushed_message(*message, revision, revision - 1);
        }
    }
}

/// The messages up to the cursor are exactly those that are there, and once they are, they stay.
fn assert_is_a_prefix(timeline: &Timeline, service: &Service, from: i64, seen: &mut Vec<i64>, context: &str) {
    let cursor = timeline.cursor().revision;
    assert!(cursor <= service.contiguous(), "{context}");
    let expected: Vec<i64> = (1..=cursor)
        .filter_map(|revision| match service.place(revision) {
            Place::Sent { seq, .. } if *seq >= from => Some(*seq),
            _ => None,
        })
        .collect();
    let through: Vec<i64> = timeline.messages_through_cursor().map(|message| message.seq).collect();
    assert_eq!(through, expected, "{context}");
    assert!(through.starts_with(seen), "{context}");
    assert!(shown(timeline).is_sorted(), "{context}");
    for message in timeline.messages() {
        let state = service.state(message.seq, message.state_revision);
        assert_eq!(*message, state, "{context}");
    }
    *seen = through;
}

/// Syncs until nothing more is to be had.
fn catch_up(timeline: &mut Timeline, service: &Service) {
    loop {
        let asked = timeline.cursor();
        let sync = service.sync(&asked, 7);
        timeline.take_sync(&asked, &sync);
        if timeline.phase() == Phase::Paging {
            timeline.take_page(service.page(i64::MAX, 50));
        }
        if !sync.incomplete && !sync.reset {
            return;
        }
    }
}

#[test]
fn pages_syncs_and_hints_in_any_order_end_with_the_same_history_and_counts() {
    for seed in 0..400 {
        let context = format!("seed {seed}");
        let random = &mut StdRng::seed_from_u64(seed);
        let mut service = Service::default();
        service.send(BOB);
        for _ in 0..random.random_range(0..20) {
            happen(&mut service, random);
        }
        if service.contiguous() == 0 {
            service.unwritten.clear();
        }
        let mut timeline = following(&service, 5);
        let mut from_syncs_alone = timeline.clone();
        let mut from_pages_alone: Vec<Message> = service.page_after(0, 3).messages;
        let from = timeline.oldest_seq().unwrap_or(i64::MAX).min(service.message_count + 1);
        let mut seen = Vec::new();
        let mut on_their_way: Vec<Hint> = Vec::new();
        let mut answer: Option<(ConversationCursor, ConversationSync)> = None;
        for _ in 0..random.random_range(1..120) {
            match random.random_range(0..9) {
                0..=3 => {
                    let hint = happen(&mut service, random);
                    // Lost, once, or more often.
                    for _ in 0..[0, 1, 1, 1, 2].choose(random).copied().unwrap() {
                        on_their_way.extend(hint.clone());
                    }
                }
                4 | 5 => {
                    on_their_way.shuffle(random);
                    let arriving = random.random_range(0..=on_their_way.len());
                    for hint in on_their_way.split_off(on_their_way.len() - arriving) {
                        give(&mut timeline, hint, random);
                        assert_is_a_prefix(&timeline, &service, from, &mut seen, &context);
                    }
                }
                // A sync is asked for, and answered some time later.
                6 => {
                    let asked = timeline.cursor();
                    answer = Some((asked.clone(), service.sync(&asked, random.random_range(1..20))));
                }
                7 => {
                    let last = from_pages_alone.last().map_or(0, |message| message.seq);
                    from_pages_alone.extend(service.page_after(last, random.random_range(1..4)).messages);
                }
                _ => {
                    if let Some((asked, sync)) = answer.take() {
                        timeline.take_sync(&asked, &sync);
                        assert_is_a_prefix(&timeline, &service, from, &mut seen, &context);
                    }
                }
            }
        }
        service.unwritten.clear();
        catch_up(&mut timeline, &service);
        catch_up(&mut from_syncs_alone, &service);
        // What is still on its way is all known by now.
        for hint in on_their_way {
            give(&mut timeline, hint, random);
        }
        assert_is_a_prefix(&timeline, &service, from, &mut seen, &context);
        assert_eq!(timeline, from_syncs_alone, "{context}");
        assert_eq!(timeline.unread_count(), service.unread(), "{context}");
        assert!(timeline.is_whole(), "{context}");
        // Who follows by pages goes on after the last message that they were shown.
        loop {
            let last = from_pages_alone.last().map_or(0, |message| message.seq);
            let page = service.page_after(last, 3);
            from_pages_alone.extend(page.messages);
            if !page.has_more_after {
                break;
            }
        }
        let paged: Vec<i64> = from_pages_alone.iter().map(|message| message.seq).collect();
        let (older, same): (Vec<i64>, Vec<i64>) = paged.iter().partition(|seq| **seq < from);
        assert_eq!(
            (same, older.is_empty()),
            (shown(&timeline), !timeline.has_older()),
            "{context}"
        );
        let others = from_pages_alone
            .iter()
            .filter(|it| it.sender_id == BOB && it.seq > service.read[0]);
        assert_eq!(i64::try_from(others.count()), Ok(timeline.unread_count()), "{context}");
    }
}
