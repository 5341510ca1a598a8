//! Groups of different sizes: how long a send takes, and when and how often members hear of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use chat_client::{ChatClient, LiveConnection, LiveOptions};
use chat_contract::v1::{CreateGroupRequest, live_event};
use futures::future::join_all;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::scene::TEXT;
use super::service::Service;
use super::{BenchError, CommandError};
use crate::stack::{Endpoints, Step};

/// Members of the groups.
const SIZES: [i32; 4] = [2, 100, 1_000, 10_000];
/// Messages that are sent to each group in turn.
const ROUNDS: usize = 40;
/// Members of a group, spread over it, who listen; all of a smaller one.
const LISTENERS: i32 = 50;
/// A member who hears of nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// After the last message, what comes within this time counts as well.
const AFTERWARDS: Duration = Duration::from_secs(2);

const OWNER: &str = "bench-owner";

struct Group {
    size: i32,
    conversation: Uuid,
    listeners: Vec<Listener>,
    /// How long each answer took, and after how long the last listener had heard.
    sends: Vec<Duration>,
    told: Vec<Duration>,
}

struct Listener {
    connection: LiveConnection,
    /// How often each message was heard of, by seq.
    heard: BTreeMap<i64, usize>,
}

/// Sends to groups of all sizes in turn, each when all who listen have heard of the one before, and tells it.
pub(super) async fn measure(service: &Service, endpoints: &Endpoints, step: &Step) -> Result<String, CommandError> {
    let mut postgres = PgConnection::connect(&endpoints.database_url)
        .await
        .map_err(BenchError::FillPostgres)?;
    let owner = service.client(OWNER)?;
    let mut groups = Vec::new();
    for size in SIZES {
        step.say(format_args!("a group of {size}"));
        groups.push(Group::make(service, &owner, &mut postgres, size).await?);
    }
    for round in 0..=ROUNDS {
        step.say(format_args!("sending to groups, {round} of {ROUNDS}"));
        for group in &mut groups {
            // The first one makes connections and fills caches.
            group.send(&owner, round > 0).await?;
        }
    }
    let mut text = String::new();
    let mut first = None;
    for mut group in groups {
        let median = percentile(&mut group.sends, 50);
        let base = *first.get_or_insert(median);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "group of {:>6}: SendMessage {median:.2} ms ({:.2} times that of two), p90 {:.2} ms; the last of {} listeners heard after \
             {:.0} ms",
            group.size,
            median / base,
            percentile(&mut group.sends, 90),
            group.listeners.len(),
            percentile(&mut group.told, 50),
        );
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let id = group.conversation.to_string();
        join_all(group.listeners.iter_mut().map(|listener| listener.drain(&id))).await;
        for listener in &group.listeners {
            for count in listener.heard.values() {
                *counts.entry(*count).or_default() += 1;
            }
        }
        let _ = writeln!(text, "  pushes of one message to one listener: {}", times(&counts));
    }
    Ok(text)
}

impl Group {
    async fn make(
        service: &Service,
        owner: &ChatClient,
        postgres: &mut PgConnection,
        size: i32,
    ) -> Result<Self, CommandError> {
        let request = CreateGroupRequest {
            request_id: Uuid::now_v7().to_string(),
            name: format!("{size} members"),
            ..CreateGroupRequest::default()
        };
        let created = owner.call(request).await.map_err(BenchError::Service)?;
        let id = created.conversation.unwrap_or_default().conversation_id;
        let conversation = Uuid::parse_str(&id).unwrap_or_default();
        // Past the operations, which add a hundred at a time. They join before the revision that comes next.
        sqlx::query(
            "SELECT begin_memberships($1, ARRAY(
                 SELECT 'bench-member-' || lpad(n::text, 5, '0') FROM generate_series(1, $2) n), 1000000)",
        )
        .bind(conversation)
        .bind(size - 1)
        .execute(&mut *postgres)
        .await
        .map_err(BenchError::FillPostgres)?;
        sqlx::query("UPDATE members SET joined_revision = 0 WHERE conversation_id = $1")
            .bind(conversation)
            .execute(&mut *postgres)
            .await
            .map_err(BenchError::FillPostgres)?;
        let listening = LISTENERS.min(size - 1);
        let mut listeners = Vec::new();
        for number in 1..=listening {
            let member = number * (size - 1) / listening;
            let client = service.client(&format!("bench-member-{member:05}"))?;
            let connection = LiveConnection::open(&client, LiveOptions::default()).await;
            listeners.push(Listener {
                connection: connection.map_err(BenchError::Live)?,
                heard: BTreeMap::new(),
            });
        }
        Ok(Self {
            size,
            conversation,
            listeners,
            sends: Vec::new(),
            told: Vec::new(),
        })
    }

    async fn send(&mut self, owner: &ChatClient, counts: bool) -> Result<(), BenchError> {
        let began = Instant::now();
        let sent = owner.send_text(&self.conversation.to_string(), TEXT).await?;
        let answered = began.elapsed();
        let seq = sent.message.unwrap_or_default().seq;
        let id = self.conversation.to_string();
        for listener in &mut self.listeners {
            listener.hear(&id, seq).await?;
        }
        if counts {
            self.sends.push(answered);
            self.told.push(began.elapsed());
        }
        Ok(())
    }
}

impl Listener {
    /// Waits until it has heard of a message.
    async fn hear(&mut self, conversation: &str, seq: i64) -> Result<(), BenchError> {
        while !self.heard.contains_key(&seq) {
            let event = timeout(PATIENCE, self.connection.next()).await;
            match event.ok().flatten() {
                Some(event) => self.count(conversation, event.event),
                None => return Err(BenchError::Unheard { seq }),
            }
        }
        Ok(())
    }

    fn count(&mut self, conversation: &str, event: Option<live_event::Event>) {
        if let Some(live_event::Event::MessageSent(message)) = event
            && message.conversation_id == conversation
        {
            *self.heard.entry(message.seq).or_default() += 1;
        }
    }

    /// Counts what comes late.
    async fn drain(&mut self, conversation: &str) {
        while let Ok(Some(event)) = timeout(AFTERWARDS, self.connection.next()).await {
            self.count(conversation, event.event);
        }
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

fn times(counts: &BTreeMap<usize, usize>) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(count, messages)| format!("{messages} came {count} time{}", if *count == 1 { "" } else { "s" }))
        .collect();
    counts.join(", ")
}
