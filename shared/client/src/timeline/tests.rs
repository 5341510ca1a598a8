use chat_contract::v1::{Change, Conversation, Void};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::*;
use crate::model::{ALICE, BOB, Place, Service, members, message};

fn gained(revision: i64, cursor: i64) -> ConversationGained {
    ConversationGained {
        conversation: Some(Conversation {
            revision,
            members: members(0, 0),
            ..Conversation::default()
        }),
        cursor: Some(ConversationCursor {
            revision: cursor,
            ..ConversationCursor::default()
        }),
    }
}

/// Alice's view of a conversation without history.
fn empty() -> Timeline {
    let mut timeline = Timeline::gained(ALICE, &gained(0, 0)).unwrap();
    timeline.take_page(ListMessagesResponse::default());
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
fn a_push_above_a_gap_waits_until_the_gap_is_closed() {
    let mut timeline = empty();
    assert_eq!((push(&mut timeline, 3), push(&mut timeline, 2)), (Step::Gap, Step::Gap));
    assert_eq!((shown(&timeline), timeline.is_whole()), (vec![], false));
    assert_eq!(push(&mut timeline, 1), Step::Whole);
    assert_eq!(shown(&timeline), [1, 2, 3]);
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
    assert_eq!((shown(&timeline), timeline.head()), (vec![], 9));
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
fn nothing_of_a_page_above_the_cursor_is_shown() {
    let mut timeline = Timeline::gained(ALICE, &gained(5, 3)).unwrap();
    assert!(!timeline.is_loaded());
    timeline.take_page(ListMessagesResponse {
        messages: [2, 3, 5].map(|at| message(at, at, BOB)).into(),
        has_more_before: true,
        ..ListMessagesResponse::default()
    });
    assert_eq!(
        (shown(&timeline), timeline.has_older(), timeline.is_whole()),
        (vec![2, 3], true, false)
    );
    push(&mut timeline, 4);
    assert_eq!(shown(&timeline), [2, 3, 4]);
    assert_eq!(push(&mut timeline, 5), Step::Whole);
    timeline.take_page(ListMessagesResponse {
        messages: vec![message(1, 1, BOB)],
        ..ListMessagesResponse::default()
    });
    assert_eq!((shown(&timeline), timeline.has_older()), (vec![1, 2, 3, 4, 5], false));
}

#[test]
fn a_reset_shows_nothing_until_history_is_loaded_again() {
    let mut timeline = empty();
    push(&mut timeline, 1);
    let asked = timeline.cursor();
    let cursor = ConversationCursor {
        joined_revision: 7,
        revision: 8,
        ..asked.clone()
    };
    let sync = ConversationSync {
        cursor: Some(cursor.clone()),
        reset: true,
        revision: 9,
        members: members(0, 0),
        message_count: 9,
        unread_count: 4,
        ..ConversationSync::default()
    };
    assert_eq!(timeline.take_sync(&asked, &sync), Step::Gap);
    assert_eq!(
        (shown(&timeline), timeline.is_loaded(), timeline.cursor()),
        (vec![], false, cursor)
    );
    assert_eq!((timeline.message_count(), timeline.unread_count()), (9, 4));
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
fn unread_counts_follow_from_messages_and_read_positions() {
    let mut timeline = empty();
    for revision in 1..=3 {
        push(&mut timeline, revision);
    }
    assert_eq!(timeline.unread_count(), 3);
    let moved = |user: &str, read_seq| ReadPositionMoved {
        user_id: user.into(),
        read_seq,
        unread_count: None,
    };
    timeline.take_read_position(&moved(BOB, 3));
    timeline.take_read_position(&moved(ALICE, 2));
    timeline.take_read_position(&moved(ALICE, 1));
    assert_eq!(timeline.unread_count(), 1);
    assert_eq!(timeline.read_positions().collect::<Vec<_>>(), [(ALICE, 2), (BOB, 3)]);
    timeline.take_pushed_message(message(4, 4, ALICE), 4, 3);
    assert_eq!(timeline.unread_count(), 0);
    assert_eq!(timeline.read_position("carol"), None);
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
    let sent: Vec<i64> = service
        .places
        .iter()
        .filter_map(|place| {
            if let Place::Sent { seq, .. } = place {
                Some(*seq)
            } else {
                None
            }
        })
        .collect();
    let revision = service.head() + 1;
    match random.random_range(0..10) {
        0 => {
            // A writer died: its place and its seq are used up.
            service.message_count += 1;
            service.places.push(Place::Void);
            None
        }
        1 | 2 if !sent.is_empty() => {
            let seq = *sent.choose(random).unwrap();
            service.places.push(Place::Changed { seq });
            Some(Hint::Message(Box::new(service.state(seq, revision)), revision))
        }
        3 => {
            let reader = random.random_range(0..2);
            service.read[reader] = service.read[reader].max(random.random_range(0..=service.message_count));
            service.cleared = service.cleared.max(service.read[0]);
            let user_id = [ALICE, BOB][reader].to_owned();
            Some(Hint::Read(ReadPositionMoved {
                user_id,
                read_seq: service.read[reader],
                unread_count: None,
            }))
        }
        _ => {
            service.message_count += 1;
            let (seq, sender) = (service.message_count, *[ALICE, BOB].choose(random).unwrap());
            service.places.push(Place::Sent { seq, sender });
            if sender == ALICE {
                service.cleared = seq;
            }
            Some(Hint::Message(Box::new(service.state(seq, revision)), revision))
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

/// What is shown is exactly the messages up to the cursor, and once shown it stays.
fn assert_is_a_prefix(timeline: &Timeline, service: &Service, seen: &mut Vec<i64>, context: &str) {
    let cursor = timeline.cursor().revision;
    let expected: Vec<i64> = (1..=cursor)
        .filter_map(|revision| {
            if let Place::Sent { seq, .. } = service.place(revision) {
                Some(*seq)
            } else {
                None
            }
        })
        .collect();
    let shown = shown(timeline);
    assert_eq!(shown, expected, "{context}");
    assert!(shown.starts_with(seen), "{context}");
    for message in timeline.messages() {
        assert_eq!(
            *message,
            service.state(message.seq, message.state_revision),
            "{context}"
        );
    }
    *seen = shown;
}

#[test]
fn lost_repeated_and_reordered_hints_change_nothing_in_the_end() {
    for seed in 0..400 {
        let context = format!("seed {seed}");
        let random = &mut StdRng::seed_from_u64(seed);
        let (mut service, mut timeline, mut seen) = (Service::default(), empty(), Vec::new());
        let mut on_their_way: Vec<Hint> = Vec::new();
        let mut answer: Option<(ConversationCursor, ConversationSync)> = None;
        for _ in 0..random.random_range(1..120) {
            match random.random_range(0..8) {
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
                        assert_is_a_prefix(&timeline, &service, &mut seen, &context);
                    }
                }
                // A sync is asked for, and answered some time later.
                6 => {
                    let asked = timeline.cursor();
                    answer = Some((asked.clone(), service.sync(&asked, random.random_range(1..20))));
                }
                _ => {
                    if let Some((asked, sync)) = answer.take() {
                        timeline.take_sync(&asked, &sync);
                        assert_is_a_prefix(&timeline, &service, &mut seen, &context);
                    }
                }
            }
        }
        let mut from_syncs_alone = empty();
        for timeline in [&mut timeline, &mut from_syncs_alone] {
            while timeline.cursor().revision < service.head() || timeline.message_count() < service.message_count {
                let asked = timeline.cursor();
                timeline.take_sync(&asked, &service.sync(&asked, 7));
            }
            let asked = timeline.cursor();
            timeline.take_sync(&asked, &service.sync(&asked, 7));
        }
        // What is still on its way is all known by now.
        for hint in on_their_way {
            give(&mut timeline, hint, random);
        }
        assert_eq!(timeline, from_syncs_alone, "{context}");
        assert_eq!(
            timeline.unread_count(),
            service.message_count - service.cleared,
            "{context}"
        );
        assert!(timeline.is_whole(), "{context}");
    }
}
