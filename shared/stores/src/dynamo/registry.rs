//! What can be asked of the registry of connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use chat_domain::{
    CONNECTION_LIFETIME, CONNECTIONS_PER_USER_MAX, FRAME_INTERVAL, FRAMES_AT_ONCE_MAX, TICKET_INTERVAL,
    TICKET_LIFETIME, TICKETS_AT_ONCE_MAX, UserId,
};
use chrono::{DateTime, Utc};

use super::item::{CLOSED, ID, Item, Map, OPEN, QUIET, TICKETS, TTL, USER_ID, integer, number, seconds};
use super::rate::Rate;
use super::table::{BatchReads, STORE, Writes};
use super::{Connection, ConnectionId, TicketId};
use crate::aws::store_error;
use crate::{StoreError, StoreErrorKind};
use chat_operation::FromSettings;

/// What looking up connections is called in errors.
const LOOK_UP: &str = "read the connections of users";

/// The longest that a look-up of connections takes, all of its reads and waits together. It happens after an answer, and the
/// environment is busy until it ends; clients recover by syncing.
const LOOK_UP_DURATION_MAX: Duration = Duration::from_millis(1_500);

/// How long after its end a ticket may still come here: it was checked when the client knocked, and what lies between takes
/// its time.
const PRESENTATION_MARGIN: Duration = Duration::from_secs(30);
/// How long the mark of a used ticket outlives the ticket: the margin above, and what the clocks of two functions may
/// differ by.
const MARK_MARGIN: Duration = Duration::from_mins(1);
/// How long an item outlives its latest possible lease.
const TTL_MARGIN: Duration = Duration::from_mins(10);
/// The rate at which a user gets tickets.
const TICKET_RATE: Rate = Rate::new(TICKETS_AT_ONCE_MAX, TICKET_INTERVAL);
/// The rate at which a connection may send frames.
const FRAME_RATE: Rate = Rate::new(FRAMES_AT_ONCE_MAX, FRAME_INTERVAL);

/// Writes that one registration may take. Each further one means that another connection of the same user, or its end,
/// came between, and of those there are about as many at once as tickets.
const REGISTER_ROUNDS_MAX: usize = 2 * TICKETS_AT_ONCE_MAX as usize;
/// A registration that finds this many marks of used tickets clears away those that have faded, as many at a time.
const MARKS_SWEPT_FROM: usize = 64;
/// Marks that can be fresh at once: no more than there are tickets in the life of one.
const MARKS_FRESH_MAX: u64 = TICKETS_AT_ONCE_MAX as u64
    + (TICKET_LIFETIME.as_secs() + MARK_MARGIN.as_secs()).div_ceil(TICKET_INTERVAL.as_secs());
const _: () = assert!(
    MARKS_FRESH_MAX < MARKS_SWEPT_FROM as u64,
    "who is swept must have something to sweep, or each of their registrations takes a write more"
);

/// Keys in one batch read: DynamoDB's limit.
const BATCH_KEYS_MAX: usize = 100;
/// How often a batch read goes on with the keys that were left unread.
const BATCH_ROUNDS_MAX: u32 = 5;
/// The wait before it first does; it doubles each time.
const BATCH_WAIT: Duration = Duration::from_millis(25);

/// How a registration went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Registration {
    /// The ticket is used up and the connection is registered.
    Registered,
    /// Likewise, in the place of these connections: the user had as many as are allowed, and these had been quiet for
    /// longest. Nothing is pushed to them any more; whoever registered closes them.
    Replaced(Vec<Connection>),
    /// The ticket was used before, or so long ago that nobody remembers whether it was.
    TicketUsed,
}

/// Whether something may happen now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowance {
    /// It may, and is counted.
    Allowed,
    /// Too much has happened: it may after this time.
    RetryAfter(Duration),
}

/// What is known of a connection that sent a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hearing {
    /// It is registered, and now known to be alive.
    Heard,
    /// It is registered, and sends more frames than are allowed.
    Flooding,
    /// It is not registered, so nothing is pushed to it: another one replaced it, or the registry lost it.
    Unknown,
}

/// What a registration clears away.
#[derive(Default)]
struct Clearing {
    /// Connections whose leases have ended.
    expired: Vec<TicketId>,
    /// Connections that give way.
    replaced: Vec<Connection>,
    /// Marks that nobody needs any more.
    faded: Vec<TicketId>,
}

impl Clearing {
    /// What has to go from an item so that one more connection fits in.
    fn of(item: Item, now: DateTime<Utc>) -> Self {
        let (expired, mut leased): (Vec<_>, Vec<_>) =
            item.open.into_iter().partition(|entry| entry.connection.until <= now);
        // The quietest first. Ids of tickets rise, so of two that are equally quiet the older goes.
        leased.sort_by_key(|entry| (entry.quiet_ms, entry.connection.ticket));
        leased.truncate((leased.len() + 1).saturating_sub(CONNECTIONS_PER_USER_MAX));
        let faded = item.closed.into_iter().filter(|(_, until)| *until <= now);
        Self {
            expired: expired.into_iter().map(|entry| entry.connection.ticket).collect(),
            replaced: leased.into_iter().map(|entry| entry.connection).collect(),
            faded: faded.map(|(ticket, _)| ticket).take(MARKS_SWEPT_FROM).collect(),
        }
    }
}

/// Who is connected, in DynamoDB, for those who write it.
#[derive(Debug, FromSettings)]
pub struct Registry {
    table: Writes,
}

/// Who is connected, in DynamoDB, for those who ask for many at once.
#[derive(Debug, FromSettings)]
pub struct RegistryReader {
    table: BatchReads,
}

impl Registry {
    /// Counts a ticket that is about to be made for a user, or says when the next one may be. One write for who had none in
    /// the last [`TICKET_INTERVAL`], else two. The write also makes the user's item, so that the connection that follows
    /// finds it.
    pub async fn count_ticket(&self, user: &UserId, now: DateTime<Utc>) -> Result<Allowance, StoreError> {
        const ACTION: &str = "count a ticket";
        let rested = self
            .update(user)
            .update_expression(
                "SET #tickets = :value, #ttl = :ttl, \
                 #open = if_not_exists(#open, :no_open), #closed = if_not_exists(#closed, :no_closed)",
            )
            .condition_expression("attribute_not_exists(#tickets) OR #tickets <= :now OR #tickets > :absurd")
            .expression_attribute_names("#tickets", TICKETS)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#open", OPEN)
            .expression_attribute_names("#closed", CLOSED)
            .expression_attribute_values(":value", number(TICKET_RATE.first(now)))
            .expression_attribute_values(":ttl", ttl(now))
            // Two values, since ministack makes one map of what is set to one value.
            .expression_attribute_values(":no_open", AttributeValue::M(Map::new()))
            .expression_attribute_values(":no_closed", AttributeValue::M(Map::new()))
            .expression_attribute_values(":now", number(now.timestamp_millis()))
            .expression_attribute_values(":absurd", number(TICKET_RATE.absurd(now)));
        let wait = |item: &Map| TICKET_RATE.wait(item.get(TICKETS).and_then(integer)?, now);
        let item = match rested.send().await {
            Ok(_) => return Ok(Allowance::Allowed),
            Err(error) => present_item(ACTION, error)?,
        };
        if let Some(wait) = wait(&item) {
            return Ok(Allowance::RetryAfter(wait));
        }
        let in_a_row = self
            .update(user)
            .update_expression("SET #tickets = #tickets + :interval, #ttl = :ttl")
            .condition_expression("#tickets <= :limit")
            .expression_attribute_names("#tickets", TICKETS)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":interval", number(TICKET_RATE.interval_ms()))
            .expression_attribute_values(":ttl", ttl(now))
            .expression_attribute_values(":limit", number(TICKET_RATE.limit(now)));
        match in_a_row.send().await {
            Ok(_) => Ok(Allowance::Allowed),
            Err(error) => wait(&present_item(ACTION, error)?)
                .map(Allowance::RetryAfter)
                .ok_or_else(|| {
                    let problem = "the user's item went away meanwhile";
                    StoreError::new(StoreErrorKind::Unavailable, STORE, ACTION, problem)
                }),
        }
    }

    /// Uses the connection's ticket up and registers the connection, both or neither, in one write where nothing has to
    /// be cleared away first. A user who has as many connections as are allowed loses the one that has been quiet for
    /// longest, in the same write, and its ticket stays used. A repeat for the same connection is no replay. `now` is
    /// what leases are compared with.
    pub async fn register(&self, connection: &Connection, now: DateTime<Utc>) -> Result<Registration, StoreError> {
        const ACTION: &str = "register a connection";
        if now >= connection.ticket_until + PRESENTATION_MARGIN {
            // It may have been used: its mark is about to fade.
            return Ok(Registration::TicketUsed);
        }
        let mut replaced = Vec::new();
        let mut write = self.add(connection, now, None);
        for _ in 0..REGISTER_ROUNDS_MAX {
            let item = match write.send().await {
                Ok(_) if replaced.is_empty() => return Ok(Registration::Registered),
                Ok(_) => return Ok(Registration::Replaced(replaced)),
                Err(error) => Item::read(&connection.user, &present_item(ACTION, error)?),
            };
            let Some(item) = item else {
                replaced.clear();
                write = self.add_first(connection, now);
                continue;
            };
            // The SDK repeats a write whose answer was lost; the repeat meets its own entry.
            if item.entry(connection.ticket, &connection.id).is_some() {
                return Ok(Registration::Registered);
            }
            let mut used = item.open.iter().map(|entry| entry.connection.ticket);
            let mut marked = item.closed.iter().map(|(ticket, _)| *ticket);
            if used.any(|ticket| ticket == connection.ticket) || marked.any(|ticket| ticket == connection.ticket) {
                return Ok(Registration::TicketUsed);
            }
            let clearing = Clearing::of(item, now);
            write = self.add(connection, now, Some(&clearing));
            replaced = clearing.replaced;
        }
        Err(StoreError::new(
            StoreErrorKind::Unavailable,
            STORE,
            ACTION,
            format!("the user's item changed {REGISTER_ROUNDS_MAX} times meanwhile"),
        ))
    }

    /// Adds a connection to those that its user has, and clears these away. Refused by DynamoDB when the ticket was used,
    /// when there would be too many, and when the user has no item yet; where nothing was found to clear away yet, also
    /// when the marks ought to be looked through.
    fn add(&self, connection: &Connection, now: DateTime<Utc>, clearing: Option<&Clearing>) -> UpdateItemFluentBuilder {
        let mut conditions = vec![
            "size(#open) < :open_end AND attribute_not_exists(#open.#ticket)".to_owned(),
            "attribute_not_exists(#closed.#ticket)".to_owned(),
        ];
        let mut sets = vec!["#open.#ticket = :connection".to_owned(), "#ttl = :ttl".to_owned()];
        let mut removals = Vec::new();
        let mut write = self.update(&connection.user);
        if clearing.is_none() {
            conditions.push("size(#closed) < :marks_end".to_owned());
            write = write.expression_attribute_values(":marks_end", count(MARKS_SWEPT_FROM));
        }
        let nothing = Clearing::default();
        let clearing = clearing.unwrap_or(&nothing);
        let leaving = clearing.expired.iter().map(|ticket| (*ticket, None));
        let leaving = leaving.chain(
            clearing
                .replaced
                .iter()
                .map(|one| (one.ticket, mark_until(one.ticket_until, now))),
        );
        for (number, (ticket, mark_until)) in leaving.enumerate() {
            // What someone else has cleared away makes no room here.
            conditions.push(format!("attribute_exists(#open.#out{number})"));
            removals.push(format!("#open.#out{number}"));
            write = write.expression_attribute_names(format!("#out{number}"), ticket.to_string());
            if let Some(mark_until) = mark_until {
                sets.push(format!("#closed.#out{number} = :mark{number}"));
                write = write.expression_attribute_values(format!(":mark{number}"), seconds(mark_until));
            }
        }
        let open_end = CONNECTIONS_PER_USER_MAX + removals.len();
        for (number, ticket) in clearing.faded.iter().enumerate() {
            removals.push(format!("#closed.#faded{number}"));
            write = write.expression_attribute_names(format!("#faded{number}"), ticket.to_string());
        }
        let mut update = format!("SET {}", sets.join(", "));
        if !removals.is_empty() {
            update = format!("{update} REMOVE {}", removals.join(", "));
        }
        write
            .update_expression(update)
            .condition_expression(conditions.join(" AND "))
            .expression_attribute_names("#open", OPEN)
            .expression_attribute_names("#closed", CLOSED)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#ticket", connection.ticket.to_string())
            .expression_attribute_values(":connection", connection.to_value())
            .expression_attribute_values(":ttl", ttl(now))
            .expression_attribute_values(":open_end", count(open_end))
    }

    /// Makes the user's item with this connection. Refused by DynamoDB when there is one.
    fn add_first(&self, connection: &Connection, now: DateTime<Utc>) -> UpdateItemFluentBuilder {
        let open = Map::from([(connection.ticket.to_string(), connection.to_value())]);
        self.update(&connection.user)
            .update_expression("SET #open = :open, #closed = :closed, #ttl = :ttl")
            .condition_expression("attribute_not_exists(#open)")
            .expression_attribute_names("#open", OPEN)
            .expression_attribute_names("#closed", CLOSED)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":open", AttributeValue::M(open))
            .expression_attribute_values(":closed", AttributeValue::M(Map::new()))
            .expression_attribute_values(":ttl", ttl(now))
    }

    /// Removes one connection, if it is still there, and no other. A ticket that could still be presented stays marked
    /// as used. Answers whether there was anything to remove.
    pub async fn unregister(
        &self,
        user: &UserId,
        ticket: TicketId,
        id: &ConnectionId,
        ticket_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        // Without its condition, REMOVE makes an item for a user who has none.
        let mut write = self
            .update(user)
            .condition_expression("#open.#ticket.#id = :id")
            .expression_attribute_names("#open", OPEN)
            .expression_attribute_names("#ticket", ticket.to_string())
            .expression_attribute_names("#id", ID)
            .expression_attribute_values(":id", AttributeValue::S(id.to_string()));
        write = if let Some(mark_until) = mark_until(ticket_until, now) {
            write
                .update_expression("SET #closed.#ticket = :mark_until REMOVE #open.#ticket")
                .expression_attribute_names("#closed", CLOSED)
                .expression_attribute_values(":mark_until", seconds(mark_until))
        } else {
            write.update_expression("REMOVE #open.#ticket")
        };
        match write.send().await {
            Ok(_) => Ok(true),
            Err(error) => present_item("remove a connection", error).map(|_| false),
        }
    }

    /// Counts a frame that a connection sent, and so knows that it is alive. One write for a connection that was quiet for
    /// [`FRAME_INTERVAL`], else two; a flood takes one, which is refused. Writes nothing for a connection that is not
    /// registered.
    pub async fn hear(
        &self,
        user: &UserId,
        ticket: TicketId,
        id: &ConnectionId,
        now: DateTime<Utc>,
    ) -> Result<Hearing, StoreError> {
        const ACTION: &str = "count a frame";
        let write = || {
            self.update(user)
                .expression_attribute_names("#open", OPEN)
                .expression_attribute_names("#ticket", ticket.to_string())
                .expression_attribute_names("#id", ID)
                .expression_attribute_names("#quiet", QUIET)
                .expression_attribute_values(":id", AttributeValue::S(id.to_string()))
        };
        // Whether the connection that made a write's condition fail may send another frame; none if it is not there.
        let may_send = |item: &Map| {
            let item = Item::read(user, item)?;
            let entry = item.entry(ticket, id)?;
            Some(FRAME_RATE.wait(entry.quiet_ms, now).is_none())
        };
        let rested = write()
            .update_expression("SET #open.#ticket.#quiet = :value")
            .condition_expression(
                "#open.#ticket.#id = :id AND \
                 (attribute_not_exists(#open.#ticket.#quiet) OR #open.#ticket.#quiet <= :now)",
            )
            .expression_attribute_values(":value", number(FRAME_RATE.first(now)))
            .expression_attribute_values(":now", number(now.timestamp_millis()));
        match rested.send().await {
            Ok(_) => return Ok(Hearing::Heard),
            Err(error) => match may_send(&present_item(ACTION, error)?) {
                Some(true) => {}
                Some(false) => return Ok(Hearing::Flooding),
                None => return Ok(Hearing::Unknown),
            },
        }
        let in_a_row = write()
            .update_expression("SET #open.#ticket.#quiet = #open.#ticket.#quiet + :interval")
            .condition_expression("#open.#ticket.#id = :id AND #open.#ticket.#quiet <= :limit")
            .expression_attribute_values(":interval", number(FRAME_RATE.interval_ms()))
            .expression_attribute_values(":limit", number(FRAME_RATE.limit(now)));
        match in_a_row.send().await {
            Ok(_) => Ok(Hearing::Heard),
            Err(error) => Ok(match may_send(&present_item(ACTION, error)?) {
                Some(_) => Hearing::Flooding,
                None => Hearing::Unknown,
            }),
        }
    }

    /// A write to a user's item that hands out the item when its condition does not hold.
    fn update(&self, user: &UserId) -> UpdateItemFluentBuilder {
        self.table
            .update_item()
            .set_key(Some(key(user.as_str())))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

impl RegistryReader {
    /// The connections of these users whose leases have not ended, in no order. A connection that was registered before
    /// this call is among them. Gives up after 1.5 seconds, since it happens after an answer.
    pub async fn connections_of(
        &self,
        users: &BTreeSet<UserId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Connection>, StoreError> {
        let in_time = tokio::time::timeout(LOOK_UP_DURATION_MAX, self.look_up(users, now)).await;
        in_time.unwrap_or_else(|elapsed| Err(StoreError::new(StoreErrorKind::Timeout, STORE, LOOK_UP, elapsed)))
    }

    async fn look_up(&self, users: &BTreeSet<UserId>, now: DateTime<Utc>) -> Result<Vec<Connection>, StoreError> {
        let users: BTreeMap<&str, &UserId> = users.iter().map(|user| (user.as_str(), user)).collect();
        let mut keys = users.keys().map(|user| key(user));
        let mut connections = Vec::new();
        loop {
            let mut chunk: Vec<Map> = keys.by_ref().take(BATCH_KEYS_MAX).collect();
            if chunk.is_empty() {
                return Ok(connections);
            }
            let mut rounds = 0;
            while !chunk.is_empty() {
                if rounds == BATCH_ROUNDS_MAX {
                    let left = format!("{} keys were still unread after {rounds} reads", chunk.len());
                    return Err(StoreError::new(StoreErrorKind::Unavailable, STORE, LOOK_UP, left));
                }
                if rounds > 0 {
                    tokio::time::sleep(BATCH_WAIT * 2_u32.pow(rounds - 1)).await;
                }
                rounds += 1;
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(chunk))
                    .consistent_read(true)
                    .projection_expression("#user_id, #open")
                    .expression_attribute_names("#user_id", USER_ID)
                    .expression_attribute_names("#open", OPEN)
                    .build()
                    .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, STORE, LOOK_UP, error))?;
                let read = self.table.batch_get_item(request).await;
                let (items, left) = read.map_err(|error| store_error(STORE, LOOK_UP, error))?;
                for attributes in items {
                    let user = attributes
                        .get(USER_ID)
                        .and_then(|user| users.get(user.as_s().ok()?.as_str()));
                    if let Some(item) = user.and_then(|user| Item::read(user, &attributes)) {
                        let open = item.open.into_iter().map(|entry| entry.connection);
                        connections.extend(open.filter(|connection| now < connection.until));
                    }
                }
                chunk = left.map(|left| left.keys).unwrap_or_default();
            }
        }
    }
}

fn key(user: &str) -> Map {
    Map::from([(USER_ID.to_owned(), AttributeValue::S(user.to_owned()))])
}

fn count(number: usize) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Until when the ticket of a connection that ends now has to be remembered as used; `None` if it can no longer be presented.
fn mark_until(ticket_until: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mark_until = ticket_until + MARK_MARGIN;
    (now < mark_until).then_some(mark_until)
}

/// When an item may go that was written now. No lease outlives a connection's lifetime, so this is after all of them,
/// whichever of them ends last.
fn ttl(now: DateTime<Utc>) -> AttributeValue {
    seconds(now + CONNECTION_LIFETIME + TTL_MARGIN)
}

/// The item that made a write's condition fail, empty if there is none; any other failure as an error.
fn present_item(action: &'static str, error: SdkError<UpdateItemError, HttpResponse>) -> Result<Map, StoreError> {
    match error {
        SdkError::ServiceError(refusal) if refusal.err().is_conditional_check_failed_exception() => {
            match refusal.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failure) => Ok(failure.item.unwrap_or_default()),
                _ => Ok(Map::new()),
            }
        }
        error => Err(store_error(STORE, action, error)),
    }
}
