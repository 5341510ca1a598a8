use super::*;

/// A message of Alice's; the first argument is its seq, its revision and its number.
fn shown(number: i64) -> Shown {
    Shown {
        message_id: format!("m{number}"),
        seq: number,
        revision: number,
        state_revision: number,
        sender_id: "alice".into(),
        client_message_id: format!("op{number}"),
        text: format!("text {number}"),
    }
}

/// What a client shows that knows all of a conversation without voids.
fn all(messages: Vec<Shown>) -> Observation {
    let cursor = messages.last().map_or(0, |shown| shown.revision);
    Observation {
        messages,
        has_older: false,
        known_from: 0,
        cursor,
        voids: Vec::new(),
    }
}

fn acknowledge(checker: &HistoryChecker, shown: &Shown) {
    let attempt = checker.begin(&shown.sender_id, &shown.client_message_id, &shown.text);
    checker.end(attempt, Told::Acknowledged(shown.clone()));
}

fn say(checker: &HistoryChecker, shown: &Shown, told: Told) {
    let attempt = checker.begin(&shown.sender_id, &shown.client_message_id, &shown.text);
    checker.end(attempt, told);
}

/// Three messages, acknowledged one after the other, which two clients watched and show in the end.
fn good() -> HistoryChecker {
    let checker = HistoryChecker::new();
    for number in 1..=3 {
        acknowledge(&checker, &shown(number));
        checker.observed("alice", all((1..=number).map(shown).collect()));
    }
    checker.observed("bob", all((1..=3).map(shown).collect()));
    checker
}

/// Asserts that exactly this rule is broken.
fn assert_breaks(checker: &HistoryChecker, rule: &str, detail: &str) {
    let violation = checker.check().unwrap_err();
    assert_eq!((violation.rule, violation.detail.as_str()), (rule, detail));
}

#[test]
fn a_good_history_passes_and_is_summed_up() {
    let expected = Summary {
        messages: 3,
        acknowledged: 3,
        clients: 2,
        observations: 4,
        ..Summary::default()
    };
    assert_eq!(good().check(), Ok(expected));
}

#[test]
fn nothing_recorded_breaks_no_rule_and_shows_in_the_summary() {
    assert_eq!(HistoryChecker::new().check(), Ok(Summary::default()));
}

#[test]
fn a_seq_that_is_used_twice_is_found() {
    let checker = HistoryChecker::new();
    checker.observed("bob", all(vec![shown(1), Shown { seq: 1, ..shown(2) }]));
    assert_breaks(
        &checker,
        "messages are ordered by seq, and each seq is used once",
        "bob showed alice's op1 \"text 1\" (seq 1, revision 1) before alice's op2 \"text 2\" (seq 1, revision 2)",
    );
}

#[test]
fn a_seq_below_one_is_found() {
    let checker = HistoryChecker::new();
    checker.observed("bob", all(vec![Shown { seq: 0, ..shown(1) }]));
    assert_breaks(
        &checker,
        "messages are ordered by seq, and each seq is used once",
        "bob showed alice's op1 \"text 1\" (seq 0, revision 1); places start at 1",
    );
}

#[test]
fn a_revision_that_goes_back_is_found() {
    let checker = HistoryChecker::new();
    let swapped = vec![
        Shown {
            revision: 2,
            ..shown(1)
        },
        Shown {
            revision: 1,
            ..shown(2)
        },
    ];
    checker.observed(
        "bob",
        Observation {
            cursor: 2,
            ..all(swapped)
        },
    );
    assert_breaks(
        &checker,
        "messages are ordered by revision, and each revision is used once",
        "bob showed alice's op1 \"text 1\" (seq 1, revision 2) before alice's op2 \"text 2\" (seq 2, revision 1)",
    );
}

#[test]
fn a_message_that_is_there_twice_is_found() {
    for doubled in [
        Shown {
            message_id: "m1".into(),
            ..shown(2)
        },
        Shown {
            client_message_id: "op1".into(),
            text: "text 1".into(),
            ..shown(2)
        },
    ] {
        let checker = HistoryChecker::new();
        let detail = format!("bob showed {} and {doubled}", shown(1));
        checker.observed("bob", all(vec![shown(1), doubled]));
        assert_breaks(&checker, "no message is doubled", &detail);
    }
}

#[test]
fn a_missing_revision_is_found() {
    let checker = HistoryChecker::new();
    checker.observed("bob", all(vec![shown(1), shown(3)]));
    assert_breaks(
        &checker,
        "no revision is missing",
        "bob was at revision 3 and had nothing at revision 2",
    );
}

#[test]
fn a_void_closes_a_revision() {
    let checker = good();
    let four = Shown {
        revision: 5,
        seq: 5,
        ..shown(4)
    };
    acknowledge(&checker, &four);
    for client in ["alice", "bob"] {
        let messages = vec![shown(1), shown(2), shown(3), four.clone()];
        checker.observed(
            client,
            Observation {
                voids: vec![4],
                ..all(messages)
            },
        );
    }
    assert_eq!(checker.check().map(|summary| summary.voids), Ok(1));
}

#[test]
fn a_void_where_a_message_is_shown_is_found() {
    let checker = HistoryChecker::new();
    checker.observed(
        "bob",
        Observation {
            voids: vec![1],
            ..all(vec![shown(1)])
        },
    );
    assert_breaks(
        &checker,
        "no revision is missing",
        "bob had alice's op1 \"text 1\" (seq 1, revision 1) where it had also seen that there is nothing",
    );
}

#[test]
fn a_message_above_the_cursor_in_the_end_is_found() {
    let checker = HistoryChecker::new();
    checker.observed(
        "bob",
        Observation {
            cursor: 1,
            ..all(vec![shown(1), shown(2)])
        },
    );
    assert_breaks(
        &checker,
        "no revision is missing",
        "bob was at revision 1 and showed alice's op2 \"text 2\" (seq 2, revision 2)",
    );
}

#[test]
fn revisions_from_before_a_client_came_are_not_missed() {
    let checker = good();
    checker.observed(
        "carol",
        Observation {
            has_older: true,
            known_from: 2,
            ..all(vec![shown(3)])
        },
    );
    checker.check().unwrap();
}

/// Shows first one thing and then the other.
fn shows_then(earlier: Observation, later: Observation) -> HistoryChecker {
    let checker = HistoryChecker::new();
    checker.observed("bob", earlier);
    checker.observed("bob", later);
    checker
}

const STAYS: &str = "what was shown never changes its place";

#[test]
fn a_shown_message_that_vanishes_is_found() {
    let later = Observation {
        voids: vec![2],
        ..all(vec![shown(1), shown(3)])
    };
    let checker = shows_then(all(vec![shown(1), shown(2)]), later);
    assert_breaks(
        &checker,
        STAYS,
        "bob showed alice's op2 \"text 2\" (seq 2, revision 2), and later no more",
    );
}

#[test]
fn a_shown_message_that_is_replaced_is_found() {
    let other = Shown {
        message_id: "x".into(),
        ..shown(1)
    };
    let checker = shows_then(all(vec![shown(1)]), all(vec![other.clone()]));
    assert_breaks(
        &checker,
        STAYS,
        &format!("bob showed {}, and later {other} in its place", shown(1)),
    );
}

#[test]
fn a_message_that_changes_without_a_revision_is_found() {
    let other = Shown {
        text: "other".into(),
        ..shown(1)
    };
    let checker = shows_then(all(vec![shown(1)]), all(vec![other.clone()]));
    assert_breaks(
        &checker,
        STAYS,
        &format!("bob showed {}, and later {other} in its place", shown(1)),
    );
}

#[test]
fn a_message_that_appears_before_what_was_shown_is_found() {
    let earlier = Observation {
        known_from: 2,
        ..all(vec![shown(2)])
    };
    let checker = shows_then(
        earlier,
        Observation {
            known_from: 2,
            ..all(vec![shown(1), shown(2)])
        },
    );
    assert_breaks(
        &checker,
        STAYS,
        "bob showed alice's op2 \"text 2\" (seq 2, revision 2), and later alice's op1 \"text 1\" (seq 1, revision 1) in its place",
    );
}

#[test]
fn a_message_that_appears_late_below_the_cursor_is_found() {
    let earlier = Observation {
        known_from: 2,
        cursor: 2,
        ..all(vec![shown(1)])
    };
    let checker = shows_then(
        earlier,
        Observation {
            known_from: 2,
            ..all(vec![shown(1), shown(2)])
        },
    );
    assert_breaks(
        &checker,
        STAYS,
        "bob showed alice's op2 \"text 2\" (seq 2, revision 2) only after it had passed revision 2",
    );
}

#[test]
fn a_state_that_goes_back_is_found() {
    let edited = Shown {
        state_revision: 2,
        text: "edited".into(),
        ..shown(1)
    };
    let after = |message: Shown| Observation {
        cursor: 2,
        voids: vec![2],
        ..all(vec![message])
    };
    let checker = shows_then(after(edited), after(shown(1)));
    let detail = format!("bob showed {} as of revision 1 after having shown it as of 2", shown(1));
    assert_breaks(&checker, STAYS, &detail);
}

#[test]
fn a_cursor_that_goes_back_is_found() {
    let checker = shows_then(all(vec![shown(1), shown(2)]), all(vec![shown(1)]));
    assert_breaks(&checker, STAYS, "bob went back from revision 2 to 1");
}

#[test]
fn history_may_be_loaded_further_back_or_from_a_later_start() {
    let checker = HistoryChecker::new();
    let newest = |from: i64, to: i64| Observation {
        has_older: from > 1,
        known_from: 2,
        ..all((from..=to).map(shown).collect())
    };
    for number in 1..=4 {
        say(&checker, &shown(number), Told::Unknown);
    }
    for observation in [newest(2, 3), newest(1, 3), newest(3, 4), newest(2, 4)] {
        checker.observed("bob", observation);
    }
    checker.check().unwrap();
}

const SAME: &str = "all clients show the same";

#[test]
fn a_client_that_does_not_show_a_message_is_found() {
    let checker = HistoryChecker::new();
    checker.observed("alice", all((1..=3).map(shown).collect()));
    checker.observed(
        "bob",
        Observation {
            cursor: 3,
            voids: vec![3],
            ..all(vec![shown(1), shown(2)])
        },
    );
    assert_breaks(&checker, SAME, &format!("bob does not show {}, alice does", shown(3)));
}

#[test]
fn a_client_that_shows_another_text_is_found() {
    let checker = HistoryChecker::new();
    let other = Shown {
        text: "other".into(),
        ..shown(1)
    };
    checker.observed("alice", all(vec![other.clone()]));
    checker.observed("bob", all(vec![shown(1)]));
    assert_breaks(
        &checker,
        SAME,
        &format!("alice shows {other} where bob shows {}", shown(1)),
    );
}

#[test]
fn a_client_that_ends_behind_is_found() {
    let checker = good();
    acknowledge(&checker, &shown(4));
    checker.observed("alice", all((1..=4).map(shown).collect()));
    assert_breaks(&checker, SAME, "bob ended at revision 3, alice at 4");
}

#[test]
fn a_client_that_saw_other_voids_is_found() {
    let checker = HistoryChecker::new();
    checker.observed(
        "alice",
        Observation {
            cursor: 2,
            voids: vec![2],
            ..all(vec![shown(1)])
        },
    );
    checker.observed(
        "bob",
        Observation {
            cursor: 2,
            voids: vec![1, 2],
            ..all(vec![])
        },
    );
    assert_eq!(checker.check().unwrap_err().rule, SAME);
}

#[test]
fn a_client_that_claims_all_of_history_must_show_it() {
    let checker = good();
    let newest = Observation {
        known_from: 3,
        has_older: true,
        ..all(vec![shown(3)])
    };
    checker.observed("carol", newest.clone());
    checker.check().unwrap();
    checker.observed(
        "dave",
        Observation {
            has_older: false,
            ..newest
        },
    );
    assert_eq!(checker.check().unwrap_err().rule, SAME);
}

const REPEATS: &str = "a repeated send is answered as the first one";

#[test]
fn a_repeat_with_the_same_answer_is_one_message() {
    let checker = good();
    acknowledge(&checker, &shown(1));
    say(&checker, &shown(1), Told::Unknown);
    say(&checker, &shown(2), Told::Refused);
    assert_eq!(checker.check().map(|summary| summary.acknowledged), Ok(3));
}

#[test]
fn a_repeat_with_another_answer_is_found() {
    let checker = good();
    let other = Shown {
        revision: 9,
        ..shown(1)
    };
    acknowledge(&checker, &other);
    assert_breaks(
        &checker,
        REPEATS,
        &format!("alice was told of {}, and for the same message of {other}", shown(1)),
    );
}

#[test]
fn an_answer_about_another_message_is_found() {
    let checker = good();
    say(&checker, &shown(4), Told::Acknowledged(shown(3)));
    assert_breaks(
        &checker,
        REPEATS,
        &format!("alice sent op4 \"text 4\" and was told of {}", shown(3)),
    );
}

#[test]
fn a_place_that_is_acknowledged_twice_is_found() {
    for other in [
        Shown { seq: 1, ..shown(4) },
        Shown {
            revision: 1,
            ..shown(4)
        },
        Shown {
            message_id: "m1".into(),
            ..shown(4)
        },
    ] {
        let checker = HistoryChecker::new();
        acknowledge(&checker, &shown(1));
        acknowledge(&checker, &other);
        assert_breaks(
            &checker,
            "a place is given once",
            &format!("both {} and {other} were acknowledged", shown(1)),
        );
    }
}

const LOST: &str = "nothing acknowledged is lost";

#[test]
fn an_acknowledged_message_that_is_not_shown_is_found() {
    let checker = good();
    acknowledge(&checker, &shown(4));
    let detail = format!("{} was acknowledged, but alice does not show it", shown(4));
    assert_breaks(&checker, LOST, &detail);
}

#[test]
fn an_acknowledged_message_that_is_shown_elsewhere_is_found() {
    let checker = HistoryChecker::new();
    let told = Shown { seq: 7, ..shown(1) };
    acknowledge(&checker, &told);
    checker.observed("bob", all(vec![shown(1)]));
    assert_breaks(
        &checker,
        LOST,
        &format!("{told} was acknowledged, but bob shows {}", shown(1)),
    );
}

#[test]
fn a_refused_message_that_is_shown_is_found() {
    let checker = HistoryChecker::new();
    say(&checker, &shown(1), Told::Refused);
    checker.observed("bob", all(vec![shown(1)]));
    let detail = format!("bob showed {}, which was refused", shown(1));
    assert_breaks(&checker, "what was refused is not there", &detail);
}

#[test]
fn a_message_that_nobody_was_told_of_may_be_there_or_not() {
    let checker = good();
    checker.begin("alice", "op4", "text 4");
    say(&checker, &shown(5), Told::Unknown);
    checker.observed("alice", all((1..=4).map(shown).collect()));
    checker.observed("bob", all((1..=4).map(shown).collect()));
    assert_eq!(checker.check().map(|summary| summary.unknown), Ok(2));
}

const SENT: &str = "nothing is shown that nobody sent";

#[test]
fn a_message_that_nobody_sent_is_found() {
    let checker = HistoryChecker::new();
    checker.observed("bob", all(vec![shown(1)]));
    assert_breaks(&checker, SENT, &format!("bob showed {}", shown(1)));
}

#[test]
fn a_message_with_a_text_that_nobody_sent_is_found() {
    let checker = HistoryChecker::new();
    say(&checker, &shown(1), Told::Unknown);
    let other = Shown {
        text: "other".into(),
        ..shown(1)
    };
    checker.observed("bob", all(vec![other.clone()]));
    assert_breaks(
        &checker,
        SENT,
        &format!("bob showed {other}, which was sent as [\"text 1\"]"),
    );
}

#[test]
fn the_text_of_a_refused_reuse_is_not_the_message() {
    let checker = HistoryChecker::new();
    let reuse = Shown {
        text: "reuse".into(),
        ..shown(1)
    };
    say(&checker, &reuse, Told::Refused);
    say(&checker, &shown(1), Told::Unknown);
    checker.observed("bob", all(vec![reuse.clone()]));
    assert_breaks(
        &checker,
        SENT,
        &format!("bob showed {reuse}, which was sent as [\"text 1\"]"),
    );
}

const ORDER: &str = "what was acknowledged first comes first";

/// The second message is sent once the first was acknowledged, by someone else, and gets the place before it.
fn overtaken(told: impl FnOnce(Shown) -> Told) -> HistoryChecker {
    let checker = HistoryChecker::new();
    let second = Shown {
        sender_id: "bob".into(),
        ..shown(1)
    };
    acknowledge(&checker, &shown(2));
    say(&checker, &second, told(second.clone()));
    checker.observed("bob", all(vec![second, shown(2)]));
    checker
}

#[test]
fn a_message_that_overtakes_an_acknowledged_one_is_found() {
    for checker in [overtaken(Told::Acknowledged), overtaken(|_| Told::Unknown)] {
        assert_breaks(
            &checker,
            ORDER,
            "alice's op2 \"text 2\" (seq 2, revision 2) was acknowledged before bob's op1 \"text 1\" (seq 1, revision 1) was sent",
        );
    }
}

#[test]
fn messages_that_are_sent_at_once_may_come_in_any_order() {
    let checker = HistoryChecker::new();
    let (first, second) = (
        checker.begin("alice", "op2", "text 2"),
        checker.begin("alice", "op1", "text 1"),
    );
    checker.end(first, Told::Acknowledged(shown(2)));
    checker.end(second, Told::Acknowledged(shown(1)));
    checker.observed("bob", all(vec![shown(1), shown(2)]));
    checker.check().unwrap();
}

#[test]
fn a_repeat_that_is_answered_late_overtakes_nothing() {
    let checker = HistoryChecker::new();
    acknowledge(&checker, &shown(1));
    acknowledge(&checker, &shown(2));
    acknowledge(&checker, &shown(1));
    checker.observed("bob", all(vec![shown(1), shown(2)]));
    checker.check().unwrap();
}

#[test]
fn moments_at_which_nothing_changed_are_kept_once() {
    let checker = good();
    checker.observed("bob", all((1..=3).map(shown).collect()));
    assert_eq!(checker.check().map(|summary| summary.observations), Ok(4));
}

#[test]
fn what_a_timeline_shows_is_observed_once_it_is_loaded() {
    use chat_client::contract::v1::{Conversation, ConversationCursor, ConversationSync, ListMessagesResponse};
    let mut timeline = Timeline::new("bob", &Conversation::default());
    timeline.open();
    let start = ConversationSync {
        cursor: Some(ConversationCursor {
            revision: 1,
            ..ConversationCursor::default()
        }),
        reset: true,
        revision: 1,
        ..ConversationSync::default()
    };
    timeline.take_sync(&timeline.cursor(), &start);
    let checker = HistoryChecker::new();
    checker.observe("bob", &timeline);
    assert_eq!(checker.check(), Ok(Summary::default()));
    acknowledge(&checker, &shown(1));
    let message = Message {
        message_id: "m1".into(),
        seq: 1,
        revision: 1,
        state_revision: 1,
        sender_id: "alice".into(),
        client_message_id: "op1".into(),
        text: "text 1".into(),
        ..Message::default()
    };
    timeline.take_page(ListMessagesResponse {
        messages: vec![message],
        ..ListMessagesResponse::default()
    });
    checker.observe("bob", &timeline);
    let summary = checker.check().unwrap();
    assert_eq!(
        (summary.messages, summary.acknowledged, summary.observations),
        (1, 1, 1)
    );
}

/// Shows the messages with these numbers, knowing all up to a cursor.
fn ahead(cursor: i64, numbers: &[i64]) -> Observation {
    Observation {
        cursor,
        ..all(numbers.iter().copied().map(shown).collect())
    }
}

#[test]
fn what_is_missing_below_a_message_that_is_shown_above_a_gap_may_come_later() {
    let checker = HistoryChecker::new();
    for number in 1..=4 {
        say(&checker, &shown(number), Told::Unknown);
    }
    for observation in [ahead(1, &[1, 4]), ahead(1, &[1, 3, 4]), ahead(4, &[1, 2, 3, 4])] {
        checker.observed("bob", observation);
    }
    checker.check().unwrap();
}

#[test]
fn a_message_above_a_gap_that_vanishes_is_found() {
    let gone = format!("bob showed {}, and later no more", shown(3));
    let void = Observation {
        voids: vec![3],
        ..ahead(3, &[1, 2])
    };
    assert_breaks(&shows_then(ahead(1, &[1, 3]), void), STAYS, &gone);
    // While the gap is still there.
    let checker = shows_then(ahead(1, &[1, 3]), ahead(1, &[1]));
    assert_breaks(&checker, STAYS, &gone);
}

#[test]
fn a_message_above_a_gap_that_is_replaced_or_goes_back_is_found() {
    let other = Shown {
        message_id: "x".into(),
        ..shown(3)
    };
    let edited = Shown {
        state_revision: 5,
        text: "edited".into(),
        ..shown(3)
    };
    let with = |message: &Shown| Observation {
        cursor: 1,
        ..all(vec![shown(1), message.clone()])
    };
    let replaced = shows_then(with(&shown(3)), all(vec![shown(1), shown(2), other.clone()]));
    let detail = format!("bob showed {}, and later {other} in its place", shown(3));
    assert_breaks(&replaced, STAYS, &detail);
    let back = shows_then(with(&edited), all(vec![shown(1), shown(2), shown(3)]));
    let detail = format!("bob showed {} as of revision 3 after having shown it as of 5", shown(3));
    assert_breaks(&back, STAYS, &detail);
}

#[test]
fn messages_above_a_gap_are_ordered_and_sent_by_somebody_like_all_others() {
    let cases = [
        (
            vec![shown(1), shown(4), shown(3)],
            "messages are ordered by seq, and each seq is used once",
        ),
        (
            vec![shown(1), shown(4), Shown { seq: 5, ..shown(3) }],
            "messages are ordered by revision, and each revision is used once",
        ),
        (
            vec![
                shown(1),
                shown(3),
                Shown {
                    seq: 4,
                    revision: 4,
                    ..shown(3)
                },
            ],
            "no message is doubled",
        ),
        (vec![shown(1), shown(4)], SENT),
    ];
    for (messages, rule) in cases {
        let checker = HistoryChecker::new();
        for number in 1..=3 {
            say(&checker, &shown(number), Told::Unknown);
        }
        checker.observed(
            "bob",
            Observation {
                cursor: 1,
                ..all(messages)
            },
        );
        checker.observed("bob", ahead(4, &[1, 2, 3, 4]));
        assert_eq!(checker.check().unwrap_err().rule, rule);
    }
}
