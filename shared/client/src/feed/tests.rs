use std::collections::BTreeSet;

use chat_contract::v1::{FriendState, feed_change};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;
use crate::model::FeedModel;

/// A client of a feed of friends: what it shows, by the rules alone.
#[derive(Default)]
struct Client {
    feed: Feed,
    shown: BTreeSet<String>,
}

fn key(name: &str) -> Key {
    Key::Friend(name.into())
}

impl Client {
    fn hear(&mut self, (revision, name, is_there): &Announcement) -> Step {
        let (is_news, step) = self.feed.hears(key(name), *is_there, *revision);
        if is_news {
            self.show(name, *is_there);
        }
        step
    }

    fn show(&mut self, name: &str, is_there: bool) {
        if is_there {
            self.shown.insert(name.into());
        } else {
            self.shown.remove(name);
        }
    }

    fn take(&mut self, (since, asked): (Moment, FeedCursor), sync: &FeedSync) {
        self.feed.begins(since, &asked, sync);
        for change in &sync.changes {
            let Some(feed_change::Change::Friend(friend)) = &change.change else {
                panic!("the feed has friends only");
            };
            let is_there = friend.state() != FriendState::Unspecified;
            if self.feed.takes(key(&friend.user_id), is_there, change.revision) {
                self.show(&friend.user_id, is_there);
            }
        }
        for gone in self.feed.ends(sync) {
            let (Key::Friend(name) | Key::Membership(name)) = gone;
            self.shown.remove(&*name);
        }
    }

    fn ask(&self, model: &FeedModel, size: usize) -> ((Moment, FeedCursor), FeedSync) {
        let asked = self.feed.cursor();
        let sync = model.sync(&asked, size);
        ((self.feed.now(), asked), sync)
    }

    fn catch_up(&mut self, model: &FeedModel) {
        loop {
            let (asked, sync) = self.ask(model, 3);
            self.take(asked, &sync);
            if !sync.incomplete {
                return;
            }
        }
    }

    fn shown(&self) -> Vec<&str> {
        self.shown.iter().map(String::as_str).collect()
    }
}

/// Revision, name, and whether they are friends.
type Announcement = (i64, String, bool);

fn change(model: &mut FeedModel, name: &str, is_there: bool) -> Announcement {
    let state = if is_there {
        FriendState::Accepted
    } else {
        FriendState::Unspecified
    };
    (model.befriend(name, state).0, name.into(), is_there)
}

/// A model with these friends, and a client that knows them.
fn following(names: &[&str]) -> (FeedModel, Client) {
    let (mut model, mut client) = (FeedModel::default(), Client::default());
    for name in names {
        change(&mut model, name, true);
    }
    client.catch_up(&model);
    assert!(!client.feed.is_behind());
    (model, client)
}

#[test]
fn a_contiguous_announcement_moves_the_cursor() {
    let (mut model, mut client) = following(&["bob"]);
    let carol = change(&mut model, "carol", true);
    assert_eq!((client.hear(&carol), client.feed.cursor().revision), (Step::Whole, 2));
    assert_eq!(client.shown(), ["bob", "carol"]);
}

#[test]
fn an_announcement_above_a_gap_is_shown_and_the_cursor_waits() {
    let (mut model, mut client) = following(&[]);
    let [bob, carol] = ["bob", "carol"].map(|name| change(&mut model, name, true));
    assert_eq!((client.hear(&carol), client.feed.cursor().revision), (Step::Gap, 0));
    assert_eq!(client.shown(), ["carol"]);
    assert_eq!((client.hear(&bob), client.feed.cursor().revision), (Step::Whole, 2));
}

#[test]
fn an_older_announcement_overwrites_nothing_however_late_it_comes() {
    let (mut model, mut client) = following(&["bob"]);
    let old = (1, "bob".to_owned(), true);
    let removed = change(&mut model, "bob", false);
    client.hear(&removed);
    client.hear(&old);
    assert_eq!(client.shown(), [""; 0]);
    // Above a gap as well.
    change(&mut model, "dave", true);
    let [added, removed] = [true, false].map(|is_there| change(&mut model, "carol", is_there));
    client.hear(&removed);
    client.hear(&added);
    client.hear(&removed);
    assert_eq!(client.shown(), [""; 0]);
    client.catch_up(&model);
    client.hear(&added);
    assert_eq!(client.shown(), ["dave"]);
}

#[test]
fn a_repeated_announcement_changes_nothing() {
    let (mut model, mut client) = following(&[]);
    let bob = change(&mut model, "bob", true);
    for _ in 0..2 {
        assert_eq!(client.hear(&bob), Step::Whole);
    }
    assert_eq!((client.shown(), client.feed.cursor().revision), (vec!["bob"], 1));
}

#[test]
fn after_a_restore_what_is_not_listed_is_gone_and_shown_until_then() {
    let (_, mut client) = following(&["a", "b", "c", "d", "e", "f"]);
    let mut restored = FeedModel {
        epoch: 1,
        ..FeedModel::default()
    };
    for name in ["b", "c", "d", "x"] {
        change(&mut restored, name, true);
    }
    let (asked, sync) = client.ask(&restored, 3);
    assert!(sync.reset && sync.incomplete);
    client.take(asked, &sync);
    assert_eq!(client.shown().len(), 6);
    client.catch_up(&restored);
    assert_eq!(
        (client.shown(), client.feed.is_behind()),
        (vec!["b", "c", "d", "x"], false)
    );
}

#[test]
fn what_is_announced_while_a_reset_is_on_its_way_is_not_lost() {
    let (mut model, mut client) = following(&["bob"]);
    model.epoch = 1;
    let (asked, sync) = client.ask(&model, 9);
    let carol = change(&mut model, "carol", true);
    client.hear(&carol);
    client.take(asked, &sync);
    // The listing went back behind what was announced, and knows it.
    assert_eq!((client.shown(), client.feed.is_behind()), (vec!["bob", "carol"], true));
    client.catch_up(&model);
    assert_eq!((client.shown(), client.feed.is_behind()), (vec!["bob", "carol"], false));
}

#[test]
fn a_late_answer_brings_nothing_back_that_was_announced_as_gone() {
    let (mut model, mut client) = following(&["a", "b", "c"]);
    let announced: Vec<_> = [("d", true), ("e", true), ("f", true)]
        .map(|(name, is_there)| change(&mut model, name, is_there))
        .into();
    let (asked, sync) = client.ask(&model, 2);
    let gone = change(&mut model, "e", false);
    announced
        .iter()
        .chain([&gone])
        .for_each(|it| assert_eq!(client.hear(it), Step::Whole));
    client.take(asked, &sync);
    assert_eq!(
        (client.shown(), client.feed.is_behind()),
        (vec!["a", "b", "c", "d", "f"], false)
    );
}

#[test]
fn a_late_announcement_of_what_was_gone_before_a_listing_does_not_outlast_it() {
    let mut model = FeedModel::default();
    let added = change(&mut model, "bob", true);
    for name in ["c", "d", "e", "f"] {
        change(&mut model, name, true);
    }
    change(&mut model, "bob", false);
    let mut client = Client::default();
    client.hear(&added);
    assert_eq!(client.shown(), ["bob"]);
    client.catch_up(&model);
    assert_eq!(client.shown(), ["c", "d", "e", "f"]);
}

#[test]
fn who_listed_nothing_lists_again() {
    let (mut model, mut client) = following(&[]);
    let added = change(&mut model, "bob", true);
    change(&mut model, "carol", true);
    client.hear(&(2, "carol".to_owned(), true));
    for name in ["carol", "bob"] {
        change(&mut model, name, false);
    }
    client.catch_up(&model);
    client.hear(&added);
    assert_eq!(client.shown(), [""; 0]);
}

#[test]
fn a_membership_that_was_gained_again_meanwhile_is_not_lost() {
    let mut feed = Feed::default();
    let membership = Key::Membership("c".into());
    let since = feed.now();
    feed.hears(membership.clone(), true, 1);
    assert!(!feed.loses(since, &membership));
    assert!(feed.loses(feed.now(), &membership));
    assert!(!feed.hears(membership, true, 1).0);
}

#[test]
fn what_is_remembered_of_what_is_gone_is_bounded() {
    let (mut model, mut client) = following(&[]);
    for number in 0..100 {
        let name = number.to_string();
        for is_there in [true, false] {
            let announced = change(&mut model, &name, is_there);
            client.hear(&announced);
        }
    }
    assert_eq!((client.feed.known.len(), client.feed.gone.len()), (0, 0));
}

#[test]
fn announcements_in_any_order_resets_and_syncs_end_with_what_is_there() {
    for seed in 0..1_000 {
        let random = &mut StdRng::seed_from_u64(seed);
        let (mut model, mut client) = (FeedModel::default(), Client::default());
        let mut on_their_way: Vec<Announcement> = Vec::new();
        let mut answer: Option<((Moment, FeedCursor), FeedSync)> = None;
        for _ in 0..random.random_range(1..150) {
            match random.random_range(0..10) {
                0..=3 => {
                    let name = random.random_range(0..8).to_string();
                    let announced = change(&mut model, &name, random.random_bool(0.6));
                    for _ in 0..random.random_range(0..3) {
                        on_their_way.push(announced.clone());
                    }
                }
                4 | 5 => {
                    on_their_way.shuffle(random);
                    let arriving = random.random_range(0..=on_their_way.len());
                    for announced in on_their_way.split_off(on_their_way.len() - arriving) {
                        client.hear(&announced);
                    }
                }
                // The cursor cannot be continued: a tombstone is too old.
                6 if random.random_bool(0.2) => model.epoch += 1,
                6 | 7 => answer = answer.or_else(|| Some(client.ask(&model, 3))),
                _ => {
                    if let Some((asked, sync)) = answer.take() {
                        client.take(asked, &sync);
                    }
                }
            }
        }
        if let Some((asked, sync)) = answer.take() {
            client.take(asked, &sync);
        }
        client.catch_up(&model);
        assert_eq!(client.shown(), model.there(), "seed {seed}");
        for announced in &on_their_way {
            client.hear(announced);
        }
        assert_eq!(client.shown(), model.there(), "seed {seed}");
        assert!(!client.feed.is_behind(), "seed {seed}");
    }
}
