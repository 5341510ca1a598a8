//! What can be asked of the registry of connections.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, KeysAndAttributes,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use chat_domain::{CONNECTION_LIFETIME, CONNECTIONS_PER_USER_MAX, UserId};
use chrono::{DateTime, Utc};

use super::item::{CLOSED, Item, Map, OPEN, TTL, USER_ID, seconds};
use super::{Aws, Connection, ConnectionId, Patience, TicketId};
use crate::{Settings, SettingsError, StoreError, StoreErrorKind};

/// The store's name in errors.
const STORE: &str = "the registry of connections (DynamoDB)";

/// A live event waits for one read of the registry, a connecting client for one write: both are worth a second try, and
/// nobody waits for longer than this.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(1),
    attempt: Duration::from_millis(1_500),
    operation: Duration::from_secs(4),
    attempts: 3,
};

/// Used tickets of closed connections that are remembered for a user, at most: who opens and closes connections faster
/// has to wait.
const CLOSED_MAX: usize = 64;
/// How long after its end a ticket may still come here: it was checked when the client knocked, and what lies between takes
/// its time.
const PRESENTATION_MARGIN: Duration = Duration::from_secs(30);
/// How long the mark of a used ticket outlives the ticket: the margin above, and what the clocks of two functions may
/// differ by.
const MARK_MARGIN: Duration = Duration::from_mins(1);
/// How long an item outlives its latest possible lease.
const TTL_MARGIN: Duration = Duration::from_mins(10);
/// Writes that one registration may take. Each further one means that another connection of the same user, or its end,
/// came between.
const REGISTER_ROUNDS_MAX: usize = 8;

/// Keys in one batch read: DynamoDB's limit.
const BATCH_KEYS_MAX: usize = 100;
/// How often a batch read goes on with the keys that were left unread.
const BATCH_ROUNDS_MAX: u32 = 5;
/// The wait before it first does; it doubles each time.
const BATCH_WAIT: Duration = Duration::from_millis(25);

/// How often, and how far apart, a new table is asked whether it can be used.
const TABLE_POLLS_MAX: usize = 300;
const TABLE_POLL_WAIT: Duration = Duration::from_millis(100);

/// How a registration went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Registration {
    /// The ticket is used up and the connection is registered.
    Registered,
    /// The ticket was used before, or so long ago that nobody remembers whether it was.
    TicketUsed,
    /// The user has as many connections as are allowed.
    TooManyConnections,
}

/// Who is connected, in DynamoDB.
#[derive(Debug)]
pub struct Registry {
    table: String,
    aws: Aws,
    endpoint: Option<String>,
    client: OnceLock<Client>,
}

impl Registry {
    /// The registry in the table `LIVE_TABLE`, called with [`Aws::new`]'s settings, at `AWS_ENDPOINT_URL` if that is set.
    /// No IO happens here; the client is built at first use.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            table: settings
                .require("LIVE_TABLE", "the name of the DynamoDB table of connections")?
                .to_owned(),
            aws: Aws::new(settings)?,
            endpoint: settings.get("AWS_ENDPOINT_URL").map(str::to_owned),
            client: OnceLock::new(),
        })
    }

    fn client(&self) -> &Client {
        self.client
            .get_or_init(|| Client::new(&self.aws.sdk_config(self.endpoint.as_deref(), PATIENCE)))
    }

    /// Uses the connection's ticket up and registers the connection, both or neither, in one write where nothing has to
    /// be cleared away first. A repeat for the same connection is no replay. `now` is what leases are compared with.
    pub async fn register(&self, connection: &Connection, now: DateTime<Utc>) -> Result<Registration, StoreError> {
        const ACTION: &str = "register a connection";
        if now >= connection.ticket_until + PRESENTATION_MARGIN {
            // It may have been used: its mark is about to fade.
            return Ok(Registration::TicketUsed);
        }
        let mut write = self.add(connection, now, &[], &[]);
        for _ in 0..REGISTER_ROUNDS_MAX {
            let item = match write.send().await {
                Ok(_) => return Ok(Registration::Registered),
                Err(error) => Item::read(&connection.user, &present_item(ACTION, error)?),
            };
            let Some(item) = item else {
                write = self.add_first(connection, now);
                continue;
            };
            if let Some(entry) = item.open.iter().find(|entry| entry.ticket == connection.ticket) {
                // The SDK repeats a write whose answer was lost; the repeat meets its own entry.
                let own = entry.id == connection.id;
                return Ok(if own {
                    Registration::Registered
                } else {
                    Registration::TicketUsed
                });
            }
            if item.closed.iter().any(|(ticket, _)| *ticket == connection.ticket) {
                return Ok(Registration::TicketUsed);
            }
            let (expired, leased): (Vec<_>, Vec<_>) = item.open.into_iter().partition(|entry| entry.until <= now);
            let (faded, marks): (Vec<_>, Vec<_>) = item.closed.into_iter().partition(|(_, until)| *until <= now);
            if leased.len() >= CONNECTIONS_PER_USER_MAX || marks.len() >= CLOSED_MAX {
                return Ok(Registration::TooManyConnections);
            }
            let expired: Vec<_> = expired.into_iter().map(|entry| entry.ticket).collect();
            let faded: Vec<_> = faded.into_iter().map(|(ticket, _)| ticket).collect();
            write = self.add(connection, now, &expired, &faded);
        }
        Err(StoreError::new(
            StoreErrorKind::Unavailable,
            STORE,
            ACTION,
            format!("the user's item changed {REGISTER_ROUNDS_MAX} times meanwhile"),
        ))
    }

    /// Adds a connection to those that its user has, and removes these expired connections and faded marks. Refused by
    /// DynamoDB when the ticket was used, when there would be too many, and when the user has no item yet.
    fn add(
        &self,
        connection: &Connection,
        now: DateTime<Utc>,
        expired: &[TicketId],
        faded: &[TicketId],
    ) -> UpdateItemFluentBuilder {
        let mut conditions = vec![
            "size(#open) < :open_end AND size(#closed) < :closed_end".to_owned(),
            "attribute_not_exists(#open.#ticket) AND attribute_not_exists(#closed.#ticket)".to_owned(),
        ];
        let mut removals = Vec::new();
        let mut write = self.update(&connection.user);
        let removed = expired
            .iter()
            .map(|ticket| ("#open", ticket))
            .chain(faded.iter().map(|ticket| ("#closed", ticket)));
        for (number, (map, ticket)) in removed.enumerate() {
            // What someone else has cleared away makes no room here.
            conditions.push(format!("attribute_exists({map}.#removed{number})"));
            removals.push(format!("{map}.#removed{number}"));
            write = write.expression_attribute_names(format!("#removed{number}"), ticket.to_string());
        }
        let mut update = "SET #open.#ticket = :connection, #ttl = :ttl".to_owned();
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
            .expression_attribute_values(":open_end", count(CONNECTIONS_PER_USER_MAX + expired.len()))
            .expression_attribute_values(":closed_end", count(CLOSED_MAX + faded.len()))
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
            .expression_attribute_names("#id", "id")
            .expression_attribute_values(":id", AttributeValue::S(id.to_string()));
        let mark_until = ticket_until + MARK_MARGIN;
        write = if now < mark_until {
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

    /// The connections of these users whose leases have not ended, in no order. A connection that was registered before
    /// this call is among them.
    pub async fn connections_of(
        &self,
        users: &BTreeSet<UserId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Connection>, StoreError> {
        const ACTION: &str = "read the connections of users";
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
                    return Err(StoreError::new(StoreErrorKind::Unavailable, STORE, ACTION, left));
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
                    .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, STORE, ACTION, error))?;
                let answer = self
                    .client()
                    .batch_get_item()
                    .request_items(&self.table, request)
                    .send()
                    .await
                    .map_err(|error| store_error(ACTION, error))?;
                let items = answer
                    .responses
                    .unwrap_or_default()
                    .remove(&self.table)
                    .unwrap_or_default();
                for attributes in items {
                    let user = attributes
                        .get(USER_ID)
                        .and_then(|user| users.get(user.as_s().ok()?.as_str()));
                    if let Some(item) = user.and_then(|user| Item::read(user, &attributes)) {
                        connections.extend(item.open.into_iter().filter(|connection| now < connection.until));
                    }
                }
                chunk = answer
                    .unprocessed_keys
                    .and_then(|mut tables| tables.remove(&self.table))
                    .map(|left| left.keys)
                    .unwrap_or_default();
            }
        }
    }

    /// Makes the table, if it is not there, and waits until it can be used. For the local stack and for tests; a
    /// deployment makes its own by its template, in the same shape.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        const ACTION: &str = "create its table";
        let corrupt = |error| StoreError::new(StoreErrorKind::Corrupt, STORE, ACTION, error);
        let attribute = AttributeDefinition::builder()
            .attribute_name(USER_ID)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .map_err(corrupt)?;
        let key = KeySchemaElement::builder()
            .attribute_name(USER_ID)
            .key_type(KeyType::Hash)
            .build()
            .map_err(corrupt)?;
        let created = self
            .client()
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute)
            .key_schema(key)
            .send()
            .await;
        if let Err(error) = created
            && !error
                .as_service_error()
                .is_some_and(CreateTableError::is_resource_in_use_exception)
        {
            return Err(store_error(ACTION, error));
        }
        self.wait_until_active(ACTION).await?;
        self.expire_items(ACTION).await
    }

    async fn wait_until_active(&self, action: &'static str) -> Result<(), StoreError> {
        for _ in 0..TABLE_POLLS_MAX {
            let answer = self.client().describe_table().table_name(&self.table).send().await;
            match answer {
                Ok(answer) => {
                    if answer.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                        return Ok(());
                    }
                }
                // Right after its creation, a table may not be found yet.
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(DescribeTableError::is_resource_not_found_exception) => {}
                Err(error) => return Err(store_error(action, error)),
            }
            tokio::time::sleep(TABLE_POLL_WAIT).await;
        }
        let problem = format!("table {} did not become active", self.table);
        Err(StoreError::new(StoreErrorKind::Timeout, STORE, action, problem))
    }

    async fn expire_items(&self, action: &'static str) -> Result<(), StoreError> {
        let present = self
            .client()
            .describe_time_to_live()
            .table_name(&self.table)
            .send()
            .await
            .map_err(|error| store_error(action, error))?;
        let status = present.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(TTL)
            .enabled(true)
            .build()
            .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, STORE, action, error))?;
        self.client()
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(specification)
            .send()
            .await
            .map_err(|error| store_error(action, error))?;
        Ok(())
    }

    /// A write to a user's item that hands out the item when its condition does not hold.
    fn update(&self, user: &UserId) -> UpdateItemFluentBuilder {
        self.client()
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(user.as_str())))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

fn key(user: &str) -> Map {
    Map::from([(USER_ID.to_owned(), AttributeValue::S(user.to_owned()))])
}

fn count(number: usize) -> AttributeValue {
    AttributeValue::N(number.to_string())
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
        error => Err(store_error(action, error)),
    }
}

/// DynamoDB's errors that a later try may not meet.
const PASSING_ERRORS: [&str; 5] = [
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
];

fn store_error<E>(action: &'static str, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = match &error {
        SdkError::TimeoutError(_) => StoreErrorKind::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => StoreErrorKind::Timeout,
        SdkError::ServiceError(refusal) => {
            let passes = refusal.err().code().is_some_and(|code| PASSING_ERRORS.contains(&code));
            if passes || refusal.raw().status().is_server_error() {
                StoreErrorKind::Unavailable
            } else {
                StoreErrorKind::Corrupt
            }
        }
        SdkError::ConstructionFailure(_) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, STORE, action, error)
}
