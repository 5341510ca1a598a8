//! What lists count and show, against naive models of what is stored, on real databases.

use std::collections::BTreeSet;

use chat_contract::v1::GetConversationRequest;
use chat_domain::UNREAD_COUNT_MAX;
use chat_operation::Operation;
use chat_stores::mongo::{EntryKind, Inserted};
use chat_stores::postgres::{Outcome, Place};
use chat_testing::{Fixture, call, user};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::PgConnection;

use super::*;
use crate::scene::{Scene, Stores, age, ago, list, set_head};
use crate::{GetConversation, ListConversations};

/// A conversation to which everything happens, and what its members did.
struct Model {
    stores: Stores,
    list: ListConversations,
    get: GetConversation,
    conversation: ConversationId,
    members: [String; 2],
    read: [i64; 2],
    /// Places whose writers died, or are slow: the sender, the operation and the place.
    open: Vec<(usize, String, Place)>,
    /// The operations of all messages that were stored.
    sent: Vec<(usize, String)>,
    count: i64,
}

impl Model {
    async fn new(fixture: &Fixture, seed: u64) -> Self {
        let members = [format!("alice-{seed}"), format!("bob-{seed}")];
        Self {
            stores: Stores::new(fixture.settings()),
            list: fixture.operation(),
            get: fixture.operation(),
            conversation: fixture.open_direct(&members[0], &members[1]).await,
            members,
            read: [0; 2],
            open: Vec::new(),
            sent: Vec::new(),
            count: 0,
        }
    }

    async fn append(&mut self, who: usize, op: &str, read_seq: i64) -> Place {
        let appended = self
            .stores
            .append(self.conversation, &self.members[who], op, read_seq)
            .await;
        let Outcome::Placed(place) = appended.outcome else {
            panic!("{appended:?}")
        };
        if let Some(read) = appended.read {
            self.read[who] = self.read[who].max(read_seq.min(place.messages_after - 1));
            assert_eq!(read.read_seq, self.read[who]);
        }
        self.count = self.count.max(place.messages_after);
        place
    }

    async fn write(&mut self, who: usize, op: String, place: &Place) -> Inserted {
        let (stores, sender) = (&self.stores, &self.members[who]);
        let written = stores
            .write(self.conversation, sender, &op, &format!("text {op}"), place)
            .await;
        if written == Inserted::Written {
            self.sent.push((who, op));
        }
        written
    }

    async fn step(&mut self, fixture: &Fixture, random: &mut StdRng, step: usize) {
        let (who, op) = (random.random_range(0..2), format!("op-{step}"));
        match random.random_range(0..20) {
            0..6 => {
                let place = self.append(who, &op, 0).await;
                assert_eq!(self.write(who, op, &place).await, Inserted::Written);
            }
            6..8 => {
                let read_seq = random.random_range(0..=self.count + 1);
                let place = self.append(who, &op, read_seq).await;
                assert_eq!(self.write(who, op, &place).await, Inserted::Written);
            }
            // A writer that dies, or is slow.
            8..11 => {
                let place = self.append(who, &op, 0).await;
                self.open.push((who, op, place));
            }
            // Of those, one that goes on after all; it may come too late.
            11 if !self.open.is_empty() => {
                let late = random.random_range(0..self.open.len());
                let (who, op, place) = self.open.swap_remove(late);
                self.write(who, op, &place).await;
            }
            // One whose place is closed by who met it, and may die before that is reported.
            12..14 if !self.open.is_empty() => {
                let closed = random.random_range(0..self.open.len());
                let place = self.open[closed].2.clone();
                let places = [(self.conversation, place.revision)];
                self.stores.timeline.close(&places).await.unwrap();
                if random.random_bool(0.5) && self.write_is_void(&place).await {
                    self.uncount(&place).await;
                }
            }
            // A repeat of something old: the sequencer may have forgotten it, and its second place is closed.
            14 if !self.sent.is_empty() => {
                let old = random.random_range(0..self.sent.len());
                let (who, op) = self.sent[old].clone();
                let place = self.append(who, &op, 0).await;
                if self
                    .stores
                    .write(self.conversation, &self.members[who], &op, "again", &place)
                    .await
                    == Inserted::Taken
                    && !self
                        .stores
                        .history(self.conversation)
                        .await
                        .iter()
                        .any(|entry| entry.revision == place.revision)
                {
                    let places = [(self.conversation, place.revision)];
                    self.stores.timeline.close(&places).await.unwrap();
                    self.uncount(&place).await;
                }
            }
            15..17 if self.count > 0 => {
                let read_seq = random.random_range(1..=self.count + 1);
                let reader = user(&self.members[who]);
                let marked = self
                    .stores
                    .postgres
                    .mark_conversation_read(self.conversation, &reader, read_seq);
                let marked = marked.await.unwrap().unwrap().unwrap();
                self.read[who] = self.read[who].max(read_seq.min(self.count));
                assert_eq!((marked.read_seq, marked.counted_seq), (self.read[who], self.count));
            }
            17 => {
                age(fixture, self.conversation, 4).await;
                self.stores.sealer().seal(self.conversation).await.unwrap();
            }
            _ => self.stores.sealer().seal(self.conversation).await.unwrap(),
        }
    }

    async fn uncount(&self, place: &Place) {
        let sealer = self.stores.sealer();
        sealer.uncount(self.conversation, place.messages_after).await.unwrap();
    }

    async fn write_is_void(&self, place: &Place) -> bool {
        let history = self.stores.history(self.conversation).await;
        history
            .iter()
            .any(|entry| entry.revision == place.revision && entry.kind == EntryKind::Void)
    }

    /// Compares what each member is shown with what is stored.
    async fn check(&self, random: &mut StdRng, step: usize) {
        let history = self.stores.history(self.conversation).await;
        let stored = history.into_iter().filter_map(|entry| match entry.kind {
            EntryKind::Message(message) => Some(*message),
            EntryKind::Group(_) | EntryKind::Void | EntryKind::Unknown => None,
        });
        let stored: Vec<_> = stored.collect();
        for (who, member) in self.members.iter().enumerate() {
            let is_unread = |seq: i64, sender: &str| sender != member && seq > self.read[who];
            let unread = stored
                .iter()
                .filter(|message| is_unread(message.seq, message.sender.as_str()));
            let unread = i64::try_from(unread.count()).unwrap();
            let newest = stored.last().map(|message| (message.seq, message.text.as_str()));

            let (mut listed, seal) = list(&self.list, member).await;
            let listed = listed.pop().unwrap();
            let preview = listed
                .last_message
                .as_ref()
                .map(|last| (last.seq, last.excerpt.as_str()));
            assert_eq!(
                (listed.unread_count, preview),
                (unread, newest),
                "{member} at step {step}"
            );
            // Above the newest message nothing needs to be counted yet, and nothing below it is left out.
            let newest_seq = newest.map_or(0, |(seq, _)| seq);
            assert!((newest_seq..=self.count).contains(&listed.counted_seq), "{listed:?}");
            let request = GetConversationRequest {
                conversation_id: self.conversation.to_string(),
            };
            let alone = call(&self.get, member, request).await.unwrap().response.conversation;
            assert_eq!(alone.as_ref(), Some(&listed), "{member} at step {step}");
            if random.random_bool(0.2) {
                self.list.seal(seal).await;
            }
        }
    }
}

#[tokio::test]
async fn whatever_happens_lists_count_and_show_what_is_stored() {
    const STEPS: usize = 120;
    let fixture = Fixture::new().await;
    let fixture = &fixture;
    let runs = (1..=3).map(|seed| async move {
        let mut random = StdRng::seed_from_u64(seed);
        let mut model = Model::new(fixture, seed).await;
        for step in 0..STEPS {
            model.step(fixture, &mut random, step).await;
            model.check(&mut random, step).await;
        }
        // In the end everything is settled, and Postgres alone knows the same.
        let messages = model.sent.len();
        let head = model.append(0, "last", 0).await.revision;
        let places: Vec<_> = (1..=head).map(|place| (model.conversation, place)).collect();
        model.stores.timeline.close(&places).await.unwrap();
        model.stores.sealer().seal(model.conversation).await.unwrap();
        let state = model.stores.seal_state(model.conversation).await;
        assert_eq!(
            (state.closed_seq, state.closed_revision),
            (state.message_count, state.revision)
        );
        model.check(&mut random, STEPS).await;
        assert!(messages > 30, "{messages}");
    });
    futures::future::join_all(runs).await;
}

/// What `count_unread` counts, asked as the owner.
async fn count(
    session: &mut PgConnection,
    conversation: ConversationId,
    (base, through): (i64, i64),
    also: &[i64],
) -> i64 {
    sqlx::query_scalar("SELECT count_unread($1, 'alice', $2, $3, $4)")
        .bind(conversation.uuid())
        .bind(base)
        .bind(through)
        .bind(also)
        .fetch_one(session)
        .await
        .unwrap()
}

/// Sends by the sequencer alone, `jump` seqs above the newest one. Answers the seq.
async fn sequence(
    session: &mut PgConnection,
    conversation: ConversationId,
    (sender, op): (&str, i64),
    floor: i64,
    read_seq: i64,
) -> i64 {
    sqlx::query_scalar("SELECT messages_after FROM append($1, $2, int8send($3), '\\x0000000000000000', true, 0, 0, $4, $5, 1, 1000000000)")
        .bind(conversation.uuid())
        .bind(sender)
        .bind(op)
        .bind(floor)
        .bind(read_seq)
        .fetch_one(session)
        .await
        .unwrap()
}

/// Seqs that are own and uncounted, over many chunks, as sets.
#[tokio::test]
async fn what_is_unread_is_the_set_of_seqs_less_own_and_uncounted_ones_over_any_stretch() {
    for seed in 0..2 {
        let fixture = Fixture::new().await;
        let conversation = fixture.open_direct("alice", "bob").await;
        let mut session = fixture.connect_postgres().await;
        let mut random = StdRng::seed_from_u64(seed);
        let (mut own, mut uncounted, mut read, mut newest) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
        let mut chunks_seen = 0;
        for step in 0..1_500 {
            match random.random_range(0..10) {
                0..6 => {
                    let is_own = random.random_bool(0.5);
                    // Sometimes over a stretch that was never handed out here, such as after a restore.
                    let floor = if random.random_bool(0.05) {
                        newest + random.random_range(1..900)
                    } else {
                        0
                    };
                    let read_seq = if is_own && random.random_bool(0.005) {
                        random.random_range(0..=newest)
                    } else {
                        0
                    };
                    let sender = if is_own { "alice" } else { "bob" };
                    newest = sequence(&mut session, conversation, (sender, step), floor, read_seq).await;
                    if is_own {
                        own.insert(newest);
                        read = read.max(read_seq);
                    }
                }
                6 if newest > 0 => {
                    // Uneven on purpose: usually the newest, rarely far below.
                    let seqs: Vec<i64> = (0..random.random_range(1..20))
                        .map(|_| (newest - random.random_range(0i64..3_000)).max(1))
                        .collect();
                    uncounted.extend(seqs.iter().copied());
                    sqlx::query("SELECT seal($1, 0, 0, $2, NULL, NULL)")
                        .bind(conversation.uuid())
                        .bind(&seqs)
                        .execute(&mut session)
                        .await
                        .unwrap();
                }
                7 if random.random_bool(0.03) && newest > read => {
                    read = random.random_range(read..=newest).max(1);
                    let left: (i64, i64) = sqlx::query_as(
                        "SELECT unread_count, counted_seq FROM mark_conversation_read($1, 'alice', $2, 1, 1000000000)",
                    )
                    .bind(conversation.uuid())
                    .bind(read)
                    .fetch_one(&mut session)
                    .await
                    .unwrap();
                    let expected = (read + 1..=newest).filter(|seq| !own.contains(seq) && !uncounted.contains(seq));
                    assert_eq!(
                        left,
                        (i64::try_from(expected.count()).unwrap(), newest),
                        "{seed} {step}"
                    );
                }
                _ => {
                    let base = random.random_range(read..=newest);
                    let through = random.random_range(base..=newest);
                    let also: Vec<i64> = (0..random.random_range(0..5))
                        .map(|_| random.random_range(0..=newest + 10))
                        .collect();
                    let is_unread = |seq: &i64| !own.contains(seq) && !uncounted.contains(seq) && !also.contains(seq);
                    let expected = (base + 1..=through).filter(is_unread).count();
                    let counted = count(&mut session, conversation, (base, through), &also).await;
                    // Own seqs of a time with nothing to read are not kept; then nothing below them is unread either.
                    let caught_up: i64 =
                        sqlx::query_scalar("SELECT caught_up_seq FROM members WHERE user_id = 'alice'")
                            .fetch_one(&mut session)
                            .await
                            .unwrap();
                    if base >= caught_up {
                        assert_eq!(
                            counted,
                            i64::try_from(expected).unwrap(),
                            "{seed} {step} {base} {through}"
                        );
                    }
                    chunks_seen = chunks_seen.max((through / 1024) - (base / 1024));
                }
            }
        }
        assert!(chunks_seen >= 3 && own.len() > 300, "{chunks_seen} {}", own.len());
    }
}

#[tokio::test]
async fn own_messages_among_thousands_of_others_are_told_apart_and_more_than_999_are_called_1000() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut session = fixture.connect_postgres().await;
    let stores = Stores::new(fixture.settings());
    // Every third is alice's own, with an unread one of bob first.
    sqlx::query(
        "SELECT count(*) FROM generate_series(1::bigint, 3000) n, LATERAL append(
             $1, CASE WHEN n % 3 = 0 THEN 'alice' ELSE 'bob' END, int8send(n), '\\x0000000000000000', true, 0, 0, 0, 0, 1,
             1000000000)",
    )
    .bind(conversation.uuid())
    .execute(&mut session)
    .await
    .unwrap();
    // Sealed, so that nobody looks at the timeline, which has none of this.
    sqlx::query("SELECT seal($1, 3000, 3000, '{}', NULL, NULL)")
        .bind(conversation.uuid())
        .execute(&mut session)
        .await
        .unwrap();
    let get: GetConversation = fixture.operation();
    for (read_seq, of_bob) in [
        (1, 1_999),
        (1_023, 1_318),
        (1_024, 1_317),
        (1_501, 999),
        (1_502, 998),
        (2_047, 635),
        (2_048, 634),
        (2_999, 0),
    ] {
        let of_bob_model = (read_seq + 1..=3_000).filter(|seq| seq % 3 != 0).count();
        assert_eq!(i64::try_from(of_bob_model).unwrap(), of_bob, "{read_seq}");
        let marked = stores
            .postgres
            .mark_conversation_read(conversation, &user("alice"), read_seq)
            .await;
        let marked = marked.unwrap().unwrap().unwrap();
        assert_eq!(marked.unread_count, of_bob.min(UNREAD_COUNT_MAX), "{read_seq}");
        let request = GetConversationRequest {
            conversation_id: conversation.to_string(),
        };
        let seen = call(&get, "alice", request)
            .await
            .unwrap()
            .response
            .conversation
            .unwrap();
        assert_eq!(seen.unread_count, of_bob.min(UNREAD_COUNT_MAX), "{read_seq}");
    }
    // What was read need not be told apart any more.
    let chunks: i64 = sqlx::query_scalar("SELECT count(*) FROM own_seqs WHERE user_id = 'alice'")
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(chunks, 1);
}

#[tokio::test]
async fn what_is_handed_out_while_a_count_is_on_its_way_is_not_taken_off_it() {
    let scene = Scene::new().await;
    for op in ["1", "2", "3"] {
        scene.say("bob", op, "x").await;
    }
    // Alice sends between the list's statement and the count that follows it.
    let counted = async |through| {
        let missing = Missing {
            conversation: scene.conversation,
            through,
            seqs: vec![3],
        };
        let counted = scene.stores.postgres.count_unread(&user("alice"), &[missing]).await;
        counted.unwrap()[0].1
    };
    assert_eq!(counted(3).await, 2);
    for own in ["4", "5"] {
        scene.say("alice", own, "x").await;
    }
    scene
        .stores
        .postgres
        .seal(
            scene.conversation,
            &chat_stores::postgres::Sealed {
                uncounted: vec![5],
                ..Default::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(counted(3).await, 2);
    assert_eq!(counted(2).await, 2);
}

#[tokio::test]
async fn a_member_who_sends_needs_at_most_400_bytes_for_their_membership() {
    let fixture = Fixture::new().await;
    let long = "0191f7a4-5f0e-7c3b-9a55-0123456789ab";
    let conversation = fixture.open_direct(long, "bob").await;
    let stores = Stores::new(fixture.settings());
    for op in 0..40 {
        stores.place(conversation, "bob", &format!("b{op}")).await;
        stores.place(conversation, long, &format!("a{op}")).await;
    }
    let size: i32 = sqlx::query_scalar("SELECT pg_column_size(m.*) FROM members m WHERE user_id = $1")
        .bind(long)
        .fetch_one(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    assert!((300..=400).contains(&size), "{size}");
}

#[tokio::test]
async fn a_conversation_of_200_unsealed_places_with_gaps_counts_exactly() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let stores = Stores::new(fixture.settings());
    let places: Vec<i64> = (1..=200).filter(|place| place % 7 != 0).collect();
    stores.write_at(conversation, &places, ago(1)).await;
    set_head(&fixture, conversation, 200, 1).await;
    let list_operation: ListConversations = fixture.operation();
    let (listed, seal) = list(&list_operation, "bob").await;
    assert_eq!(listed[0].unread_count, i64::try_from(places.len()).unwrap());
    assert_eq!(listed[0].last_message.as_ref().unwrap().seq, 200);
    assert_eq!(seal, [conversation]);
}

#[tokio::test]
async fn a_group_whose_newest_message_is_hidden_is_as_it_should_be() {
    let fixture = Fixture::new().await;
    let stores = Stores::new(fixture.settings());
    for friend in ["alice", "nina"] {
        fixture.befriend("olga", friend).await;
    }
    let group = stores.make_group("olga", &["alice"], false).await;
    stores.say(group, "olga", "hidden", "hidden").await;
    stores.add_to_group(group, "olga", "nina").await;
    stores.sealer().seal(group).await.unwrap();
    let operation: ListConversations = fixture.operation();
    for reader in ["alice", "nina"] {
        let (listed, seal) = list(&operation, reader).await;
        assert_eq!(seal, [], "nothing is to be sealed for {reader}");
        assert_eq!(listed[0].last_message.is_some(), reader == "alice");
    }
}
