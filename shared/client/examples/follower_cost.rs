//! What an event and a look at the state cost a follower with 10 conversations and with 10,000: the ratio should stay
//! below two. That a reader keeps a state after each event is the worst case: then what changes has to be copied, from memory
//! that no cache holds, since the conversations take turns. Run it with
//! `cargo run --release -p chat-client --example follower_cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use chat_client::History;
use chat_client::book::Book;
use chat_client::contract::v1::{
    Conversation, ConversationCursor, ConversationSync, FeedChange, FeedCursor, FeedSync, ListMessagesResponse,
    LiveEvent, Member, Membership, MembershipState, Message, SyncConversationsResponse, feed_change, live_event::Event,
};

const FEW: usize = 10;
const MANY: usize = 10_000;
/// Events of one row and size.
const EVENTS: usize = 20_000;
/// Events of one measurement: so short that most are not interrupted. Their median counts.
const MEASURED: usize = 20;

fn main() {
    println!("{:<44}{:>12}{:>12}{:>8}", "", "10", "10,000", "ratio");
    for (name, holds_state, opens) in [
        ("an event, opened conversations", false, true),
        ("an event and a state kept, opened", true, true),
        ("an event and a state kept, closed", true, false),
    ] {
        let [few, many] = [FEW, MANY].map(|conversations| events(conversations, holds_state, opens));
        line(name, few, many);
    }
    let [few, many] = [FEW, MANY].map(looks);
    line("a look at the state", few, many);
}

fn line(name: &str, few: Duration, many: Duration) {
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    println!(
        "{name:<44}{:>9} ns{:>9} ns{ratio:>8.2}",
        few.as_nanos(),
        many.as_nanos()
    );
}

/// The median time of one step, of times that so many took.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    median / u32::try_from(MEASURED).unwrap_or(u32::MAX)
}

/// The time of one event: a message in any of the conversations. A follower publishes a state after each. Histories have
/// the same length however many conversations there are: of few, several books are filled.
fn events(conversations: usize, keeps_state: bool, opens: bool) -> Duration {
    let of_a_book = 2 * conversations;
    let mut times = Vec::new();
    for _ in 0..EVENTS / of_a_book {
        let mut book = book(conversations, opens);
        let mut published = book.state();
        let mut kept = None;
        let mut events = (0..of_a_book).map(|number| event(number, conversations));
        for _ in 0..of_a_book / MEASURED {
            let events: Vec<_> = events.by_ref().take(MEASURED).collect();
            let began = Instant::now();
            for event in events {
                // As a follower does it: what nobody else holds is not copied.
                drop(std::mem::take(&mut published));
                black_box(book.take_event(event));
                published = book.state();
                if keeps_state {
                    kept = Some(published.clone());
                }
            }
            times.push(began.elapsed());
        }
        black_box((published, kept));
    }
    median(times)
}

fn looks(conversations: usize) -> Duration {
    let book = book(conversations, true);
    let mut times = Vec::new();
    for _ in 0..EVENTS / MEASURED {
        let began = Instant::now();
        for _ in 0..MEASURED {
            let state = book.state();
            black_box((state.is_whole(), state.conversation(&id(7)).is_some()));
        }
        times.push(began.elapsed());
    }
    median(times)
}

/// As a service makes them: all alike at the front.
fn id(number: usize) -> String {
    format!("01890a5d-ac96-774b-bcce-{number:012}")
}

/// The `number`-th message, in conversations that take turns in an order that no cache knows.
fn event(number: usize, conversations: usize) -> LiveEvent {
    // 7,919 is a prime, so that all conversations have their turn.
    let (conversation, round) = (number * 7_919 % conversations, number / conversations);
    let revision = i64::try_from(round + 2).unwrap_or(i64::MAX);
    LiveEvent {
        conversation_id: id(conversation),
        revision,
        previous_revision: revision - 1,
        event: Some(Event::MessageSent(Message {
            conversation_id: id(conversation),
            message_id: format!("{number}"),
            seq: revision,
            revision,
            state_revision: revision,
            sender_id: "bob".into(),
            client_message_id: format!("{number}"),
            text: "See you at the station at half past seven, and bring the tickets.".into(),
            ..Message::default()
        })),
        ..LiveEvent::default()
    }
}

/// A follower's book with so many conversations, each with a message.
fn book(conversations: usize, opens: bool) -> Book {
    let history = if opens { History::Newest } else { History::OnDemand };
    let mut book = Book::new(history);
    book.take_user_id("alice");
    while !book.state().is_whole() {
        book.begin_sync();
        while let Some(asked) = book.next_call(tokio::time::Instant::now()) {
            let cursors = asked.request.cursors.iter();
            let answer = SyncConversationsResponse {
                conversations: cursors.map(started).collect(),
                feed: Some(feed(conversations)),
                lost_conversation_ids: Vec::new(),
            };
            book.take_answer(&asked, &answer, tokio::time::Instant::now());
        }
        while let Some(load) = book.next_load() {
            let page = ListMessagesResponse::default();
            book.take_history(&load, Some(vec![page]));
        }
    }
    book
}

fn started(cursor: &ConversationCursor) -> ConversationSync {
    ConversationSync {
        cursor: Some(ConversationCursor {
            revision: 1,
            ..cursor.clone()
        }),
        reset: cursor.revision == 0,
        revision: 1,
        ..ConversationSync::default()
    }
}

fn feed(conversations: usize) -> FeedSync {
    let change = |number: usize| {
        let member = |user: &str| Member {
            user_id: user.into(),
            ..Member::default()
        };
        let conversation = Conversation {
            conversation_id: id(number),
            revision: 1,
            members: vec![member("alice"), member("bob")],
            ..Conversation::default()
        };
        FeedChange {
            revision: i64::try_from(number + 1).unwrap_or(i64::MAX),
            change: Some(feed_change::Change::Membership(Membership {
                state: MembershipState::Active.into(),
                conversation: Some(conversation),
            })),
        }
    };
    let revision = i64::try_from(conversations).unwrap_or(i64::MAX);
    FeedSync {
        cursor: Some(FeedCursor {
            revision,
            ..FeedCursor::default()
        }),
        changes: (0..conversations).map(change).collect(),
        revision,
        ..FeedSync::default()
    }
}
