//! Postgres: people, conversations, members, and the sequencer that gives every change its place.
//!
//! Each call is one round trip on one held connection: a statement, or a function where a lock must come first. All of
//! them may be repeated, so a connection that turns out to be dead is replaced once, silently.

mod budgets;
mod conversations;
mod feed;
mod people;
mod sealing;

use std::error::Error;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::QueryAs;
use sqlx::{ConnectOptions, Connection as _, FromRow, PgConnection};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::{Settings, SettingsError, StoreError, StoreErrorKind};

use self::budgets::Budgets;

pub use budgets::OutOfBudget;
pub use conversations::{
    APPEND, Append, Appended, ConversationRow, ConversationsPage, LIST_CONVERSATIONS, LOOKUP_MEMBERSHIP, ListedRow, MemberRow,
    Membership, Missing, Opened, OpenedDirect, Outcome, Place, ReadPosition,
};
pub use feed::{FeedChange, FeedHead, FeedRow, SYNC, SyncRow, SyncState};
pub use people::{
    Friend, FriendAnswered, FriendRequested, Friendship, FriendshipState, ProfileRow, ProfileUpdate,
};
pub use sealing::{LastSaid, SealState, Sealed};

/// A connection that was not used for this long may be dead without anyone having said so: what is between us and the
/// server forgets quiet connections, and a frozen function does not notice.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// How long the first call on a quiet connection may take before another connection gets the call.
const QUIET_CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection may take to be made. A thawed function has to fit it into an answer that is still of use.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const STORE: &str = "Postgres";

/// The setting that names the database.
const DATABASE_URL: &str = "DATABASE_URL";
const DATABASE_URL_FORM: &str = "a Postgres URL such as postgres://user:password@host:5432/chat";

/// A handle to Postgres with at most one connection, made at first use.
#[derive(Debug)]
pub struct Postgres {
    options: PgConnectOptions,
    budgets: Budgets,
    // Taken out while in use: a call that is dropped half-way drops the connection with it, whose state nobody knows.
    connection: Mutex<Option<Held>>,
}

/// A connection that is kept for the next call.
#[derive(Debug)]
struct Held {
    connection: PgConnection,
    used_at: Instant,
}

impl Postgres {
    /// A handle to the database that `DATABASE_URL` names. Does no IO.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            options: connect_options(settings)?,
            budgets: Budgets::new(settings)?,
            connection: Mutex::new(None),
        })
    }

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
        let mut slot = self.connection.lock().await;
        let mut repeated = false;
        loop {
            let held = slot.take();
            let was_held = held.is_some();
            let is_quiet = held.as_ref().is_some_and(|held| held.used_at.elapsed() > QUIET_MAX);
            let mut connection = match held {
                Some(held) => held.connection,
                None => connect(&self.options).await?,
            };
            let answer = if is_quiet {
                let answer = timeout(QUIET_CALL_TIMEOUT, query().fetch_all(&mut connection)).await;
                answer.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(std::io::Error::other(elapsed))))
            } else {
                query().fetch_all(&mut connection).await
            };
            match answer {
                Ok(rows) => {
                    *slot = Some(Held {
                        connection,
                        used_at: Instant::now(),
                    });
                    return Ok(rows);
                }
                Err(error) => {
                    let verdict = Verdict::of(&error);
                    if !verdict.connection_lost {
                        *slot = Some(Held {
                            connection,
                            used_at: Instant::now(),
                        });
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
    }
}

/// Applies all migrations to the database that `DATABASE_URL` names, and bounds how long its users' statements and locks
/// may take. Repeating it changes nothing.
pub async fn migrate(settings: &Settings) -> Result<(), MigrateError> {
    let failed =
        |action, error: Box<dyn Error + Send + Sync>| StoreError::new(StoreErrorKind::Corrupt, STORE, action, error);
    // The one place for a pool: the migrator wants one, and round trips do not matter here.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        // The bounds below are for functions. Building an index, or waiting for another migration, takes what it takes.
        .after_connect(|connection, _| {
            Box::pin(async {
                sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0")
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .connect_with(connect_options(settings)?)
        .await
        .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, STORE, "accept a connection", error))?;
    sqlx::migrate!("./migrations")
        .run(&pool)
        .await
        .map_err(|error| failed("migrate", error.into()))?;
    sqlx::raw_sql(BOUNDS)
        .execute(&pool)
        .await
        .map_err(|error| failed("bound its statements and locks", error.into()))?;
    pool.close().await;
    Ok(())
}

/// Bounds how long statements and locks take. On the role, not per session: a SET would cost a round trip and pin the
/// connection in RDS Proxy.
const BOUNDS: &str = "DO $$
    DECLARE
        bound text;
    BEGIN
        FOREACH bound IN ARRAY ARRAY[
            'statement_timeout = 10000', 'lock_timeout = 5000', 'idle_in_transaction_session_timeout = 15000',
            'synchronous_commit = on'
        ] LOOP
            EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %s', current_database(), bound);
        END LOOP;
    END $$";

/// Why the database could not be brought to the schema of this version.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The settings do not say which database.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn connect_options(settings: &Settings) -> Result<PgConnectOptions, SettingsError> {
    let invalid = |problem: String| SettingsError::Invalid {
        name: DATABASE_URL,
        expected: DATABASE_URL_FORM,
        problem,
    };
    let url = settings.require(DATABASE_URL, DATABASE_URL_FORM)?;
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

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    match timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(StoreError::new(
            StoreErrorKind::Unavailable,
            STORE,
            "accept a connection",
            error,
        )),
        Err(elapsed) => Err(StoreError::new(
            StoreErrorKind::Unavailable,
            STORE,
            "accept a connection in time",
            elapsed,
        )),
    }
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
            // Statement or lock timeout.
            "57014" | "55P03" => Self {
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
    use chat_testing::{FaultProxy, Filter, Protocol};
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

    #[tokio::test]
    async fn a_quiet_connection_that_died_in_silence_is_replaced_within_seconds() {
        let (proxy, postgres) = proxied().await;
        postgres.ping().await.unwrap();
        let long_ago = Instant::now().checked_sub(QUIET_MAX * 2).unwrap();
        postgres.connection.lock().await.as_mut().unwrap().used_at = long_ago;
        // The request is swallowed; nobody says so.
        let held = proxy.hold(Filter::operation("SELECT 1"));

        postgres.ping().await.unwrap();

        held.caught().await;
        assert_eq!(proxy.counts().connections_opened, 2);
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
