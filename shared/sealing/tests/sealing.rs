//! What sealing closes, keeps and reports, on real databases.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that unwraps or indexes fails where it should, also in its helpers"
)]

use std::collections::BTreeSet;

use chat_domain::{ConversationId, HOLE_AGE_MAX, MessageId, SEAL_PLACES_MAX, VOIDS_MAX};
use chat_operation::FromSettings;
use chat_sealing::{Closed, RestartBudget, Sealer, is_due};
use chat_stores::mongo::{EntryKind, Inserted, MessageEntry, RevisionRange, Timeline};
use chat_stores::postgres::{Append, Outcome, Place, Postgres, SealState};
use chat_testing::{Filter, Fixture, user};
use futures::future::join_all;
use sqlx::Connection;

/// A conversation of alice and bob, with the stores under it.
struct Scene {
    fixture: Fixture,
    postgres: Postgres,
    timeline: Timeline,
    conversation: ConversationId,
}

impl Scene {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        Self {
            postgres: fixture.postgres(),
            timeline: Timeline::from_settings(fixture.settings()).unwrap(),
            conversation: fixture.open_direct("alice", "bob").await,
            fixture,
        }
    }

    /// A history of one place per letter, an hour old: `m` holds a message of bob, `v` was closed, and `h` is a hole.
    async fn with(places: &str) -> Self {
        let scene = Self::new().await;
        scene.extend(0, places).await;
        scene
    }

    /// Puts such a history above `after` places, which becomes all that there is.
    async fn extend(&self, after: i64, places: &str) {
        let head = after + i64::try_from(places.len()).unwrap();
        self.execute(&format!(
            "UPDATE conversations SET revision = {head}, message_count = {head},
                 allocated_at = date_trunc('milliseconds', now() - interval '1 h'),
                 last_activity_at = date_trunc('milliseconds', now() - interval '1 h')"
        ))
        .await;
        let at = self.state().await.allocated_at;
        let of_kind = |wanted: char| {
            let places = (after + 1..).zip(places.chars());
            places
                .filter(move |(_, kind)| *kind == wanted)
                .map(|(place, _)| place)
                .collect::<Vec<_>>()
        };
        for some in of_kind('m').chunks(20) {
            let writes = some.iter().map(|place| {
                let place = Place {
                    revision: *place,
                    messages_after: *place,
                    allocated_at: at,
                    members: Vec::new().into(),
                };
                async move { self.write("bob", &format!("filled-{}", place.revision), &place).await }
            });
            assert!(
                join_all(writes)
                    .await
                    .iter()
                    .all(|written| *written == Inserted::Written)
            );
        }
        let voids: Vec<_> = of_kind('v')
            .into_iter()
            .map(|place| (self.conversation, place))
            .collect();
        self.timeline.close(&voids).await.unwrap();
    }

    async fn execute(&self, statement: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut self.fixture.connect_postgres().await)
            .await
            .unwrap();
    }

    /// Lets what follows be an hour ahead, so that it stays young for as long as any test takes.
    async fn stay_young(&self) {
        self.execute("UPDATE conversations SET allocated_at = date_trunc('milliseconds', now() + interval '1 h')")
            .await;
    }

    async fn place(&self, op: u8) -> Place {
        self.place_above(op, 0, 0).await
    }

    /// Takes a place of bob; the timeline was found to hold these.
    async fn place_above(&self, op: u8, floor_revision: i64, floor_seq: i64) -> Place {
        let append = Append {
            conversation: self.conversation,
            actor: &user("bob"),
            op_id_hash: &[op; 32],
            content_hash: &[0; 32],
            is_message: true,
            after: 0,
            floor_revision,
            floor_seq,
            read_seq: 0,
        };
        match self.postgres.append(&append).await.unwrap().outcome {
            Outcome::Placed(place) => place,
            refused => panic!("{refused:?}"),
        }
    }

    async fn write(&self, sender: &str, op: &str, place: &Place) -> Inserted {
        let entry = MessageEntry {
            message: MessageId::at(self.conversation, place.messages_after, place.allocated_at),
            conversation: self.conversation,
            revision: place.revision,
            seq: place.messages_after,
            sender: user(sender),
            op: op.parse().unwrap(),
            op_hash: [0; 32],
            text: "x".to_owned(),
            reply_to: None,
            allocated_at: place.allocated_at,
            state_revision: place.revision,
        };
        self.timeline.add(&entry).await.unwrap()
    }

    fn sealer(&self) -> Sealer<'_> {
        Sealer::new(&self.postgres, &self.timeline)
    }

    async fn seal(&self) {
        self.sealer().seal(self.conversation).await.unwrap();
    }

    async fn state(&self) -> SealState {
        self.postgres.lookup_seal(self.conversation).await.unwrap().unwrap()
    }

    /// How far it is sealed, by revision and by seq.
    async fn sealed(&self) -> (i64, i64) {
        let state = self.state().await;
        (state.closed_revision, state.closed_seq)
    }

    async fn uncounted(&self) -> Vec<i64> {
        sqlx::query_scalar("SELECT uncounted_above($1, 0)")
            .bind(self.conversation.uuid())
            .fetch_one(&mut self.fixture.connect_postgres().await)
            .await
            .unwrap()
    }

    /// What the timeline has, by letter.
    async fn history(&self) -> String {
        let all = RevisionRange {
            conversation: self.conversation,
            after: 0,
            through: i64::MAX,
        };
        let entries = self
            .timeline
            .list_revisions(&[all])
            .await
            .unwrap()
            .remove(&self.conversation);
        let (mut history, mut next) = (String::new(), 1);
        for entry in entries.unwrap_or_default() {
            history.extend((next..entry.revision).map(|_| 'h'));
            next = entry.revision + 1;
            history.push(if entry.kind == EntryKind::Void { 'v' } else { 'm' });
        }
        history
    }

    /// How many messages alice has not read, as Postgres knows it.
    async fn unread(&self) -> i64 {
        let row = self
            .postgres
            .lookup_conversation(self.conversation, &user("alice"))
            .await;
        row.unwrap().unwrap().conversation.unread_count
    }

    async fn restart(&self, counted: i64, read: i64) -> Closed {
        let starts = vec![(self.conversation, self.state().await)];
        let closed = self
            .sealer()
            .restart(
                starts,
                RestartBudget {
                    counted,
                    read,
                    ..RestartBudget::default()
                },
            )
            .await
            .unwrap();
        closed[&self.conversation]
    }
}

#[tokio::test]
async fn old_holes_are_closed_wherever_they_are_and_their_seqs_count_nowhere() {
    let scene = Scene::with("mhmvmhh").await;
    scene.seal().await;
    assert_eq!(scene.history().await, "mvmvmvv");
    assert_eq!(
        (scene.sealed().await, scene.uncounted().await),
        ((7, 7), vec![2, 4, 6, 7])
    );
    // Again: nothing changes, and nothing is written.
    let before: (String,) = conversation_row(&scene).await;
    scene.seal().await;
    assert_eq!(conversation_row(&scene).await, before);
}

/// The row and which write made it.
async fn conversation_row(scene: &Scene) -> (String,) {
    sqlx::query_as("SELECT concat(c.xmin, ' ', c::text) FROM conversations c")
        .fetch_one(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_young_hole_stays_open_and_what_is_below_it_is_kept() {
    let scene = Scene::with("mhm").await;
    scene.stay_young().await;
    let slow = scene.place(1).await;
    let next = scene.place(2).await;
    scene.write("bob", "2", &next).await;
    scene.seal().await;
    assert_eq!(scene.history().await, "mvmhm");
    assert_eq!((scene.sealed().await, scene.uncounted().await), ((3, 3), vec![2]));
    assert_eq!(scene.unread().await, 4, "one is on its way");

    assert_eq!(scene.write("bob", "1", &slow).await, Inserted::Written);
    scene.seal().await;
    assert_eq!((scene.sealed().await, scene.uncounted().await), ((5, 5), vec![2]));
    assert_eq!(scene.unread().await, 4);
}

#[tokio::test]
async fn a_void_at_the_end_of_what_is_whole_is_settled_by_the_next_seal() {
    let scene = Scene::with("mmv").await;
    scene.stay_young().await;
    let slow = scene.place(1).await;
    scene.seal().await;
    // Above the newest message nothing tells yet which seqs the voids had.
    assert_eq!((scene.sealed().await, scene.uncounted().await), ((3, 2), vec![]));
    scene.write("bob", "1", &slow).await;
    scene.seal().await;
    assert_eq!((scene.sealed().await, scene.uncounted().await), ((4, 4), vec![3]));
}

#[tokio::test]
async fn a_late_writer_finds_its_place_closed_and_one_in_time_is_counted() {
    let scene = Scene::new().await;
    scene.stay_young().await;
    let (late, in_time) = (scene.place(1).await, scene.place(2).await);
    scene
        .execute("UPDATE conversations SET allocated_at = allocated_at - interval '1 h'")
        .await;
    assert_eq!(scene.write("bob", "2", &in_time).await, Inserted::Written);
    assert_eq!(scene.unread().await, 2);
    // The message above is young, and so is the hole below it.
    scene.seal().await;
    assert_eq!((scene.history().await.as_str(), scene.unread().await), ("hm", 2));
    scene
        .timeline
        .close(&[(scene.conversation, late.revision)])
        .await
        .unwrap();
    assert_eq!(scene.write("bob", "1", &late).await, Inserted::Taken);
    scene.seal().await;
    assert_eq!((scene.history().await.as_str(), scene.unread().await), ("vm", 1));
}

#[tokio::test]
async fn a_writer_that_is_faster_than_the_sealer_keeps_its_place_and_is_counted() {
    let scene = Scene::with("mh").await;
    let proxies = scene.fixture.with_proxies().await;
    let (postgres, timeline) = (
        Postgres::from_settings(proxies.settings()).unwrap(),
        Timeline::from_settings(proxies.settings()).unwrap(),
    );
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let conversation = scene.conversation;
    let sealing = tokio::spawn(async move {
        let sealer = Sealer::new(&postgres, &timeline);
        sealer.seal(conversation).await.unwrap();
    });
    held.caught().await;
    let place = Place {
        revision: 2,
        messages_after: 2,
        allocated_at: scene.state().await.allocated_at,
        members: Vec::new().into(),
    };
    assert_eq!(scene.write("bob", "late", &place).await, Inserted::Written);
    held.release();
    sealing.await.unwrap();
    assert_eq!(
        (scene.history().await.as_str(), scene.uncounted().await),
        ("mm", vec![])
    );
    assert_eq!(scene.sealed().await, (2, 2));
}

#[tokio::test]
async fn who_is_closed_out_while_a_sealer_looks_is_not_counted_twice() {
    // Racing sealers over one history end as one does.
    let scene = Scene::with(&"mhvhm".repeat(12)).await;
    let sealers = (0..6).map(|_| async {
        let (postgres, timeline) = (
            scene.fixture.postgres(),
            Timeline::from_settings(scene.fixture.settings()).unwrap(),
        );
        let sealer = Sealer::new(&postgres, &timeline);
        sealer.seal(scene.conversation).await.unwrap();
    });
    let late = (1..=60).filter(|place| place % 5 == 2).map(|revision| {
        let scene = &scene;
        async move {
            let place = Place {
                revision,
                messages_after: revision,
                allocated_at: scene.state().await.allocated_at,
                members: Vec::new().into(),
            };
            (revision, scene.write("bob", &format!("late-{revision}"), &place).await)
        }
    });
    let (_, late) = tokio::join!(join_all(sealers), join_all(late));
    scene.seal().await;
    let written: BTreeSet<i64> = late
        .into_iter()
        .filter(|(_, written)| *written == Inserted::Written)
        .map(|(place, _)| place)
        .collect();
    let is_message = |place: i64| matches!(place % 5, 0 | 1) || written.contains(&place);
    let expected: Vec<i64> = (1..=60).filter(|place| !is_message(*place)).collect();
    assert_eq!(scene.uncounted().await, expected, "{} were in time", written.len());
    assert_eq!(scene.sealed().await, (60, 60));
    assert!(!scene.history().await.contains('h'));
}

#[tokio::test]
async fn more_than_one_sealing_may_look_at_is_kept_and_gone_on_with() {
    let places = usize::try_from(SEAL_PLACES_MAX).unwrap();
    let scene = Scene::with(&"v".repeat(places + 10)).await;
    scene.extend(SEAL_PLACES_MAX + 10, "m").await;
    scene.seal().await;
    assert_eq!(scene.sealed().await, (SEAL_PLACES_MAX, 0));
    scene.seal().await;
    assert_eq!(scene.sealed().await, (SEAL_PLACES_MAX + 11, SEAL_PLACES_MAX + 11));
    assert_eq!(scene.unread().await, 1);
    assert!(is_due(128) && !is_due(129));
}

#[tokio::test]
async fn more_holes_than_one_call_closes_are_closed_by_the_next() {
    let scene = Scene::with(&"h".repeat(VOIDS_MAX + 3)).await;
    scene.seal().await;
    assert_eq!(scene.sealed().await, (64, 0));
    scene.seal().await;
    assert_eq!(scene.sealed().await, (67, 67));
    assert_eq!(scene.uncounted().await, (1..=67).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_sealing_waits_for_who_writes() {
    let scene = Scene::with("mhm").await;
    let mut writer = scene.fixture.connect_postgres().await;
    let mut held = writer.begin().await.unwrap();
    sqlx::query("SELECT FROM conversations FOR NO KEY UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let (postgres, timeline) = (
        scene.fixture.postgres(),
        Timeline::from_settings(scene.fixture.settings()).unwrap(),
    );
    let conversation = scene.conversation;
    let sealing = tokio::spawn(async move {
        let sealer = Sealer::new(&postgres, &timeline);
        sealer.seal(conversation).await
    });
    scene.fixture.until_one_waits().await;
    // Who writes hands out another place meanwhile.
    sqlx::query("UPDATE conversations SET revision = 4, message_count = 4")
        .execute(&mut *held)
        .await
        .unwrap();
    held.commit().await.unwrap();
    sealing.await.unwrap().unwrap();
    assert_eq!((scene.sealed().await, scene.uncounted().await), ((3, 3), vec![2]));
}

#[tokio::test]
async fn when_something_was_last_said_goes_back_unless_something_newer_was_said() {
    let scene = Scene::with("m").await;
    let said = scene.state().await.last_activity_at;
    let lost = scene.place(1).await;
    assert_eq!(scene.state().await.last_activity_at, lost.allocated_at);
    scene
        .timeline
        .close(&[(scene.conversation, lost.revision)])
        .await
        .unwrap();
    scene
        .sealer()
        .uncount(scene.conversation, lost.messages_after)
        .await
        .unwrap();
    assert_eq!(
        (scene.state().await.last_activity_at, scene.uncounted().await),
        (said, vec![2])
    );

    // Something newer is on its way while a sealing is done.
    let lost = scene.place(2).await;
    scene
        .timeline
        .close(&[(scene.conversation, lost.revision)])
        .await
        .unwrap();
    let proxies = scene.fixture.with_proxies().await;
    let (postgres, timeline) = (
        Postgres::from_settings(proxies.settings()).unwrap(),
        Timeline::from_settings(proxies.settings()).unwrap(),
    );
    let held = proxies.postgres.hold(Filter::operation("seal_with_outbox("));
    let conversation = scene.conversation;
    let sealing = tokio::spawn(async move {
        let sealer = Sealer::new(&postgres, &timeline);
        sealer.seal(conversation).await.unwrap();
    });
    held.caught().await;
    let newer = scene.place(3).await;
    held.release();
    sealing.await.unwrap();
    let state = scene.state().await;
    assert_eq!((state.last_activity_at, state.closed_revision), (newer.allocated_at, 3));
}

#[tokio::test]
async fn a_sequencer_that_was_lifted_leaves_nothing_unread_of_what_was_never_handed_out() {
    let scene = Scene::with("mm").await;
    // The timeline is ahead: of what the sequencer has forgotten, places 3 and 5 are there.
    let ahead = [3, 5].map(|revision| Place {
        revision,
        messages_after: revision + 100,
        allocated_at: chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        members: Vec::new().into(),
    });
    for (op, place) in ["x", "y"].into_iter().zip(&ahead) {
        assert_eq!(scene.write("bob", op, place).await, Inserted::Written);
    }
    let place = scene.place_above(1, 5, 3_000).await;
    assert_eq!((place.revision, place.messages_after), (6, 3_001));
    assert_eq!(scene.write("bob", "1", &place).await, Inserted::Written);
    scene.seal().await;
    assert_eq!(
        (scene.history().await.as_str(), scene.sealed().await),
        ("mmmvmm", (6, 3_001))
    );
    assert_eq!(scene.unread().await, 5, "all that is stored");
}

#[tokio::test]
async fn a_restart_with_more_to_count_than_it_may_keeps_how_far_it_came() {
    let scene = Scene::with(&"m".repeat(1_200)).await;
    for through in [500, 1_000] {
        let closed = scene.restart(500, 100).await;
        let expected = Closed {
            through,
            is_done: false,
            had_gaps: false,
        };
        assert_eq!((closed, scene.sealed().await), (expected, (through, through)));
    }
    let closed = scene.restart(500, 100).await;
    assert!(closed.is_done && closed.through == 1_200);
    // Too little to be worth a write.
    assert_eq!(scene.sealed().await, (1_000, 1_000));
}

#[tokio::test]
async fn a_restart_reads_only_where_something_is_missing_and_goes_on_from_there() {
    let places: Vec<&str> = (1..=900)
        .map(|place| if place % 250 == 0 { "h" } else { "m" })
        .collect();
    let scene = Scene::with(&places.concat()).await;
    let mut calls = 0;
    let (mut before, mut closed) = (0, scene.restart(400, 200).await);
    while !closed.is_done {
        calls += 1;
        assert!(closed.through > before && calls < 20, "{closed:?}");
        before = closed.through;
        closed = scene.restart(400, 200).await;
    }
    assert_eq!((closed.through, scene.uncounted().await), (900, vec![250, 500, 750]));
    assert!(!scene.history().await.contains('h'));
}

#[tokio::test]
async fn an_old_hole_at_the_end_of_what_a_restart_reads_is_not_taken_for_a_young_one() {
    // Someone writes all the time: the newest place is young, and nothing above tells how old the hole is.
    let scene = Scene::with("mmmmmmmmmhmmmmm").await;
    scene.stay_young().await;
    let place = scene.place(1).await;
    scene.write("bob", "1", &place).await;
    let closed = scene.restart(100, 10).await;
    assert_eq!((closed.through, closed.is_done), (9, false));
    let closed = scene.restart(100, 10).await;
    assert_eq!((closed.through, closed.is_done), (16, true));
    assert_eq!(scene.uncounted().await, [10]);
}

#[tokio::test]
async fn a_restart_without_a_budget_is_done_where_nothing_is_open() {
    let scene = Scene::with(&"m".repeat(50)).await;
    let other = scene.fixture.open_direct("alice", "carol").await;
    let none = scene.fixture.open_direct("alice", "dave").await;
    let mut starts = Vec::new();
    for conversation in [scene.conversation, other, none] {
        starts.push((
            conversation,
            scene.postgres.lookup_seal(conversation).await.unwrap().unwrap(),
        ));
    }
    let budget = RestartBudget {
        counted: 0,
        read: 0,
        ..RestartBudget::default()
    };
    let closed = scene.sealer().restart(starts.clone(), budget).await.unwrap();
    assert_eq!(
        starts.iter().map(|(id, _)| closed[id].is_done).collect::<Vec<_>>(),
        [false, true, true]
    );
    let closed = scene
        .sealer()
        .restart(starts.clone(), RestartBudget::default())
        .await
        .unwrap();
    assert!(starts.iter().all(|(id, _)| closed[id].is_done));
    assert!(HOLE_AGE_MAX.as_secs() < 3_600, "the histories here are old");
}

#[tokio::test]
async fn what_fails_does_not_keep_other_conversations_from_being_sealed() {
    let scene = Scene::with("mhm").await;
    let busy = scene.fixture.open_direct("alice", "carol").await;
    let mut writer = scene.fixture.connect_postgres().await;
    sqlx::query(
        "UPDATE conversations SET revision = 1, message_count = 1, allocated_at = now() - interval '1 h'
         WHERE conversation_id = $1",
    )
    .bind(busy.uuid())
    .execute(&mut writer)
    .await
    .unwrap();
    // Held for longer than anybody waits.
    let mut held = writer.begin().await.unwrap();
    sqlx::query("SELECT FROM conversations WHERE conversation_id = $1 FOR NO KEY UPDATE")
        .bind(busy.uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    scene.sealer().seal_all(&[busy, scene.conversation]).await;
    assert_eq!((scene.sealed().await, scene.uncounted().await), ((3, 3), vec![2]));
    let kept = scene.postgres.lookup_seal(busy).await.unwrap().unwrap();
    assert_eq!(kept.closed_revision, 0);
}

#[tokio::test]
async fn a_count_that_fails_half_way_is_kept_as_far_as_it_came() {
    let scene = Scene::with(&"m".repeat(10)).await;
    let budget = RestartBudget {
        counted_at_once: 4,
        ..RestartBudget::default()
    };
    let proxies = scene.fixture.with_proxies().await;
    let (postgres, timeline) = (
        scene.fixture.postgres(),
        Timeline::from_settings(proxies.settings()).unwrap(),
    );
    let start = (
        scene.conversation,
        scene.postgres.lookup_seal(scene.conversation).await.unwrap().unwrap(),
    );
    let second = proxies.mongo.hold(Filter::operation("aggregate").skip(1));
    let restarting = tokio::spawn(async move {
        let sealer = Sealer::new(&postgres, &timeline);
        sealer.restart(vec![start], budget).await
    });
    second.caught().await;
    proxies.mongo.refuse();
    second.drop_connection();
    proxies.mongo.cut_all();
    let closed = restarting.await.unwrap().unwrap()[&scene.conversation];
    assert_eq!((closed.through, closed.is_done), (4, false));
    assert_eq!(scene.sealed().await, (4, 4));

    // The next one goes on from there.
    let state = scene.postgres.lookup_seal(scene.conversation).await.unwrap().unwrap();
    let closed = scene
        .sealer()
        .restart(vec![(scene.conversation, state)], budget)
        .await
        .unwrap()[&scene.conversation];
    assert_eq!((closed.through, closed.is_done, closed.had_gaps), (10, true, false));
}

#[tokio::test]
async fn what_was_counted_and_could_not_be_kept_is_counted_all_the_same() {
    let scene = Scene::with(&"m".repeat(10)).await;
    let state = scene.postgres.lookup_seal(scene.conversation).await.unwrap().unwrap();
    let budget = RestartBudget {
        counted: 4,
        ..RestartBudget::default()
    };
    // Held for longer than anybody waits.
    let mut writer = scene.fixture.connect_postgres().await;
    let mut held = writer.begin().await.unwrap();
    sqlx::query("SELECT FROM conversations FOR NO KEY UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let start = || vec![(scene.conversation, state)];
    let closed = scene.sealer().restart(start(), budget).await.unwrap()[&scene.conversation];
    assert_eq!((closed.through, closed.is_done), (4, false));
    assert_eq!(scene.sealed().await, (0, 0));
    held.rollback().await.unwrap();
    scene.sealer().restart(start(), budget).await.unwrap();
    assert_eq!(scene.sealed().await, (4, 4));
}
