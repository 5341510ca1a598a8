//! Postgres: people, conversations, members, and the sequencer that gives every change its place.
//!
//! Each call is one round trip on one held connection: a statement, or a function where a lock must come first. All of
//! them may be repeated, so a connection that turns out to be dead is replaced once, silently. A server that lives answers
//! within the bounds of its role (see `roles.rs`); who does not answer within ours is given up.

mod budgets;
mod conversations;
mod feed;
mod groups;
mod invites;
mod people;
mod roles;
mod sealing;

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::QueryAs;
use sqlx::{ConnectOptions, Connection as _, FromRow, PgConnection};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::{StoreError, StoreErrorKind};
use chat_domain::{PageSize, UsersToken};
use chat_operation::{FromSettings, Settings, SettingsError};

pub use budgets::OutOfBudget;
pub use conversations::{
    APPEND, Append, Appended, ConversationRow, ConversationsFilter, ConversationsPage, Delivered, GroupRow,
    LIST_CONVERSATIONS, LOOKUP_MEMBERSHIP, ListedRow, MemberRow, Membership, Missing, Opened, OpenedDirect, Outcome,
    OwnChanged, OwnRow, OwnUpdate, OwnUpdated, Place, ReadPosition, Refusal, UnreadTotals, Withdrawn,
};
pub use feed::{FeedChange, FeedHead, FeedRow, SYNC, SyncRow, SyncState};
pub use groups::{
    EndedMemberships, FeedPlace, GroupAudience, GroupCall, GroupChanged, GroupDone, GroupUpdate, MembersPage, NewGroup,
};
pub use invites::{InvitePreview, InviteRow, JoinRequestRow, JoinRequestsPage, Joined, Managed, NewInvite};
pub use people::{Friend, FriendAnswered, FriendRequested, Friendship, FriendshipState, ProfileRow, ProfileUpdate};
pub use roles::role_url;
pub use sealing::{LastSaid, SealState, Sealed};

use budgets::Budgets;
use roles::Roles;

/// How long an attempt may take: longer than the role lets a statement and its wait for a lock take, so that only a dead
/// connection meets it. Given up earlier, a statement would stay in the queue for its lock while its repeat joins it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a call may take in all, with its wait for another call of this environment and with what is tried again.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// The same for the owner, whom nobody waits for who could come back.
const OWNER_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

const STORE: &str = "Postgres";

/// The settings that name the database, each with another user: its owner, the functions and the health check.
const DATABASE_URL: &str = "DATABASE_URL";
const FUNCTIONS_DATABASE_URL: &str = "FUNCTIONS_DATABASE_URL";
const HEALTH_DATABASE_URL: &str = "HEALTH_DATABASE_URL";
const DATABASE_URL_FORM: &str = "a Postgres URL such as postgres://user:password@host:5432/chat";

/// A handle to Postgres with at most one connection, made at first use.
pub struct Postgres {
    options: PgConnectOptions,
    budgets: Budgets,
    // Taken out while in use: a call that is dropped half-way drops the connection with it, whose state nobody knows.
    connection: Mutex<Option<PgConnection>>,
}

/// Never shows how to log in.
impl std::fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Postgres").finish_non_exhaustive()
    }
}

/// With the functions' user, whom `FUNCTIONS_DATABASE_URL` names.
impl FromSettings for Postgres {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            budgets: Budgets::new(settings)?,
            options: connect_options(settings, FUNCTIONS_DATABASE_URL)?,
            connection: Mutex::new(None),
        })
    }
}

/// Asks whether Postgres answers, as the user that sees no data.
#[derive(Debug)]
pub struct Probe(Postgres);

/// With the health check's user, whom `HEALTH_DATABASE_URL` names.
impl FromSettings for Probe {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self(Postgres {
            budgets: Budgets::default(),
            options: connect_options(settings, HEALTH_DATABASE_URL)?,
            connection: Mutex::new(None),
        }))
    }
}

impl Probe {
    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}

impl Postgres {
    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.fetch_optional::<(i32,)>("answer a ping", || sqlx::query_as("SELECT 1"))
            .await
            .map(drop)
    }

    /// Runs a statement that answers at most one row.
    async fn fetch_optional<'q, R>(
        &self,
        action: &'static str,
        query: impl Fn() -> QueryAs<'q, sqlx::Postgres, R, PgArguments>,
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(self.fetch_all(action, query).await?.pop())
    }

    /// Runs a statement that always answers one row.
    async fn fetch_one<'q, R>(
        &self,
        action: &'static str,
        query: impl Fn() -> QueryAs<'q, sqlx::Postgres, R, PgArguments>,
    ) -> Result<R, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let row = self.fetch_optional(action, query).await?;
        row.ok_or_else(|| StoreError::new(StoreErrorKind::Corrupt, STORE, action, "it answered no row"))
    }

    /// Runs a statement. Bounding the rows is the statement's business.
    async fn fetch_all<'q, R>(
        &self,
        action: &'static str,
        query: impl Fn() -> QueryAs<'q, sqlx::Postgres, R, PgArguments>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let out_of_time = |elapsed| StoreError::new(StoreErrorKind::Unavailable, STORE, "answer in time", elapsed);
        let mut slot = timeout_at(deadline, self.connection.lock())
            .await
            .map_err(out_of_time)?;
        let mut repeated = false;
        loop {
            let held = slot.take();
            let was_held = held.is_some();
            let mut connection = match held {
                Some(connection) => connection,
                None => connect(&self.options, deadline.min(Instant::now() + CONNECT_TIMEOUT)).await?,
            };
            let until = deadline.min(Instant::now() + ATTEMPT_TIMEOUT);
            let answer = timeout_at(until, query().fetch_all(&mut connection)).await;
            let error = match answer {
                Ok(Ok(rows)) => {
                    *slot = Some(connection);
                    return Ok(rows);
                }
                Ok(Err(error)) => error,
                Err(elapsed) => sqlx::Error::Io(std::io::Error::other(elapsed)),
            };
            let verdict = Verdict::of(&error);
            if !verdict.connection_lost {
                *slot = Some(connection);
            }
            // A held connection may have died while the function was frozen; that says nothing about the server.
            if !repeated && (verdict.repeat || (verdict.connection_lost && was_held)) {
                repeated = true;
                continue;
            }
            return Err(StoreError::new(verdict.kind, STORE, action, error));
        }
    }
}

/// Brings the database that `DATABASE_URL` names to the schema of this version, makes the users that
/// `FUNCTIONS_DATABASE_URL` and `HEALTH_DATABASE_URL` name, and gives them their rights.
pub struct Migration {
    owner: PgConnectOptions,
    roles: Roles,
}

/// Never shows how to log in.
impl std::fmt::Debug for Migration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Migration")
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl FromSettings for Migration {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            owner: connect_options(settings, DATABASE_URL)?,
            roles: Roles::new(settings)?,
        })
    }
}

impl Migration {
    /// Does all of it. Repeating it changes nothing. Answers what whoever deploys should know, a line each.
    pub async fn run(&self) -> Result<Vec<String>, MigrateError> {
        let mut connection = self.connect().await?;
        let notes = self.roles.make(&mut connection).await?;
        apply(&mut connection).await?;
        self.roles.grant(&mut connection).await?;
        // The answer does not depend on a polite goodbye.
        let _ = connection.close().await;
        Ok(notes)
    }

    /// The part of it that belongs to the cluster: makes the users.
    pub async fn make_roles(&self) -> Result<(), MigrateError> {
        let mut connection = self.connect().await?;
        self.roles.make(&mut connection).await?;
        let _ = connection.close().await;
        Ok(())
    }

    /// The part of it that belongs to a database: its schema, and the rights of users that are there.
    pub async fn migrate_database(&self) -> Result<(), MigrateError> {
        let mut connection = self.connect().await?;
        apply(&mut connection).await?;
        self.roles.grant(&mut connection).await?;
        let _ = connection.close().await;
        Ok(())
    }

    async fn connect(&self) -> Result<PgConnection, MigrateError> {
        let mut connection = connect(&self.owner, Instant::now() + OWNER_CONNECT_TIMEOUT).await?;
        // The bounds of a role are for functions. Building an index, or waiting for another migration, takes what it takes.
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0")
            .execute(&mut connection)
            .await
            .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, STORE, "take settings", error))?;
        Ok(connection)
    }
}

async fn apply(connection: &mut PgConnection) -> Result<(), StoreError> {
    // `run` takes anything that can give a connection, which makes a future that is not `Send`; this is its inside.
    sqlx::migrate!("./migrations")
        .run_direct(None, connection, false)
        .await
        .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, STORE, "migrate", error))
}

/// Why the database could not be brought to the schema of this version.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A setting names a role that cannot be what it is to be.
    #[error("{variable} names a role that cannot be used: {problem}")]
    Role {
        /// The setting.
        variable: &'static str,
        /// What is wrong with the role.
        problem: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn connect_options(settings: &Settings, variable: &'static str) -> Result<PgConnectOptions, SettingsError> {
    let invalid = |problem: String| SettingsError::Invalid {
        name: variable,
        expected: DATABASE_URL_FORM,
        problem,
    };
    let url = settings.require(variable, DATABASE_URL_FORM)?;
    // sqlx takes any scheme, and would call a foreign server's answers a broken protocol.
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(invalid(
            "it starts with neither postgres:// nor postgresql://".to_owned(),
        ));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| invalid(error.to_string()))?;
    // Statements carry what people wrote; they never go to a log.
    Ok(options.application_name("chat").disable_statement_logging())
}

async fn connect(options: &PgConnectOptions, until: Instant) -> Result<PgConnection, StoreError> {
    let failed = |action, error: Box<dyn std::error::Error + Send + Sync>| {
        StoreError::new(StoreErrorKind::Unavailable, STORE, action, error)
    };
    match timeout_at(until, PgConnection::connect_with(options)).await {
        Ok(connected) => connected.map_err(|error| failed("accept a connection", error.into())),
        Err(elapsed) => Err(failed("accept a connection in time", elapsed.into())),
    }
}

/// Cuts rows, of which one more than the page has was read, to the page; and says after which user the next one begins, if
/// there is one.
fn users_page<T>(mut rows: Vec<T>, page_size: PageSize, user_of: impl Fn(&T) -> &str) -> (Vec<T>, Option<UsersToken>) {
    let has_more = rows.len() > page_size.get();
    rows.truncate(page_size.get());
    let last = rows.last().filter(|_| has_more);
    let next = last.and_then(|last| user_of(last).parse().ok());
    (rows, next.map(|user| UsersToken { user }))
}

/// A function of the schema answered what this version does not know.
fn unknown_outcome(action: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, STORE, action, "it answered an unknown outcome")
}

/// What an error means for the connection and for the caller.
struct Verdict {
    kind: StoreErrorKind,
    /// Whether the connection is of no further use.
    connection_lost: bool,
    /// Whether doing the same again is likely to work, whatever connection it was.
    repeat: bool,
}

impl Verdict {
    fn of(error: &sqlx::Error) -> Self {
        let lost = Self {
            kind: StoreErrorKind::Unavailable,
            connection_lost: true,
            repeat: false,
        };
        let sqlx::Error::Database(database) = error else {
            return match error {
                // The answer arrived whole, but not in the shape that this version expects.
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => Self {
                    kind: StoreErrorKind::Corrupt,
                    connection_lost: false,
                    repeat: false,
                },
                _ => lost,
            };
        };
        let code = database.code().unwrap_or_default();
        match &*code {
            // Deadlock and serialisation failure: the server rolled back, and the twin has gone on.
            "40P01" | "40001" => Self {
                kind: StoreErrorKind::Unavailable,
                connection_lost: false,
                repeat: true,
            },
            // Somebody else held a lock for too long. Trying again at once would only join the queue again.
            "55P03" => Self {
                kind: StoreErrorKind::Busy,
                connection_lost: false,
                repeat: false,
            },
            // Statement timeout.
            "57014" => Self {
                kind: StoreErrorKind::Timeout,
                connection_lost: false,
                repeat: false,
            },
            // The schema changed under a prepared statement: forget it together with its connection.
            "0A000" | "26000" => Self { repeat: true, ..lost },
            // Connection trouble, shutdown, a standby, too many connections, out of resources.
            code if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") || code == "25006" => {
                lost
            }
            _ => Self {
                kind: StoreErrorKind::Corrupt,
                connection_lost: false,
                repeat: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_testing::{Direction, FaultProxy, Filter, Protocol};
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    /// A handle whose connections go through a proxy.
    async fn proxied() -> (FaultProxy, Postgres) {
        #[expect(
            clippy::disallowed_methods,
            reason = "this crate's own Settings are not those of the test fixtures"
        )]
        let url = std::env::var("DATABASE_URL").expect("run `cargo chat test`, which sets DATABASE_URL");
        let options: PgConnectOptions = url.parse().unwrap();
        let upstream = format!("{}:{}", options.get_host(), options.get_port());
        let proxy = FaultProxy::start(Protocol::Postgres, upstream).await.unwrap();
        let options = options
            .host(&proxy.address().ip().to_string())
            .port(proxy.address().port());
        (
            proxy,
            Postgres {
                options,
                budgets: Budgets::default(),
                connection: Mutex::new(None),
            },
        )
    }

    /// Runs what has to be done within `bound`, and no sooner than `least`.
    async fn timed<T>(least: Duration, bound: Duration, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = work.await;
        let took = started.elapsed();
        // Timers of a busy machine are late.
        let slack = Duration::from_millis(700);
        assert!(
            took >= least && took <= bound + slack,
            "took {took:?}, not {least:?} to {bound:?}"
        );
        done
    }

    #[tokio::test]
    async fn a_connection_that_dies_while_it_is_busy_is_given_up_and_replaced_once() {
        let (proxy, postgres) = proxied().await;
        postgres.ping().await.unwrap();
        // The request is swallowed; nobody says so.
        let held = proxy.hold(Filter::operation("SELECT 1"));

        timed(ATTEMPT_TIMEOUT, ATTEMPT_TIMEOUT + CONNECT_TIMEOUT, postgres.ping())
            .await
            .unwrap();

        held.caught().await;
        assert_eq!(proxy.counts().connections_opened, 2);
    }

    #[tokio::test]
    async fn a_frozen_server_is_given_up_in_time_and_works_again_afterwards() {
        let (proxy, postgres) = proxied().await;
        postgres.ping().await.unwrap();
        proxy.freeze(Direction::ToClient);

        let failed = timed(ATTEMPT_TIMEOUT, CALL_TIMEOUT, postgres.ping()).await.unwrap_err();
        assert_eq!(failed.kind(), StoreErrorKind::Unavailable);
        // Now there is no connection to lose.
        let failed = timed(CONNECT_TIMEOUT, CONNECT_TIMEOUT, postgres.ping())
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), StoreErrorKind::Unavailable);

        proxy.thaw(Direction::ToClient);
        postgres.ping().await.unwrap();
    }

    #[tokio::test]
    async fn the_second_connection_dies_as_well_and_the_call_ends_in_time() {
        let (proxy, postgres) = proxied().await;
        postgres.ping().await.unwrap();
        let first = proxy.hold(Filter::operation("SELECT 1"));
        let second = async {
            first.caught().await;
            proxy.hold(Filter::operation("SELECT 1"))
        };
        let (failed, second) = tokio::join!(timed(ATTEMPT_TIMEOUT, CALL_TIMEOUT, postgres.ping()), second);
        assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
        second.caught().await;
        assert_eq!(proxy.counts().connections_opened, 2);
    }

    #[tokio::test]
    async fn a_call_that_waits_for_another_one_ends_in_time_as_well() {
        let (_proxy, postgres) = proxied().await;
        let busy = postgres.connection.lock().await;
        let failed = timed(CALL_TIMEOUT, CALL_TIMEOUT, postgres.ping()).await.unwrap_err();
        assert_eq!(failed.kind(), StoreErrorKind::Unavailable);
        drop(busy);
    }

    #[tokio::test]
    async fn a_lock_that_somebody_else_keeps_is_told_as_busy_and_waited_for_once() {
        let (proxy, postgres) = proxied().await;
        let key = i64::from(std::process::id());
        let ask = || {
            postgres.fetch_optional::<(Option<bool>,)>("take a lock", move || {
                // The role's bound, which the owner, whose connection this is, has not. The lock is asked for after it.
                sqlx::query_as(
                    "SELECT pg_advisory_xact_lock($1) IS NULL FROM set_config('lock_timeout', '500ms', true)",
                )
                .bind(key)
            })
        };
        ask().await.unwrap();
        let mut other = PgConnection::connect_with(&postgres.options).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(key)
            .execute(&mut other)
            .await
            .unwrap();
        let opened = proxy.counts().connections_opened;
        proxy.reset_counts();

        assert_eq!(ask().await.unwrap_err().kind(), StoreErrorKind::Busy);

        other.close().await.unwrap();
        ask().await.unwrap();
        let asked: u64 = proxy.counts().operations.values().sum();
        assert_eq!(asked, 2, "it is not repeated: {:?}", proxy.counts());
        assert_eq!(
            (opened, proxy.counts().connections_opened),
            (2, 0),
            "the connection is kept"
        );
    }

    #[tokio::test]
    async fn a_connection_in_use_is_kept() {
        let (proxy, postgres) = proxied().await;
        for _ in 0..3 {
            postgres.ping().await.unwrap();
        }
        assert_eq!(proxy.counts().connections_opened, 1);
    }
}
