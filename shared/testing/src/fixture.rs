//! Databases of a test's own.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client as DynamoDb;
use chat_operation::{FromSettings, Settings};
use chat_stores::aws::{Aws, Patience};
use chat_stores::dynamo::RegistryTable;
use chat_stores::mongo::Timeline;
use chat_stores::postgres::{Migration, role_url};
use chat_stores::sqs::LocalQueue;
use mongodb::Client as Mongo;
use mongodb::options::{ClientOptions, ServerAddress};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::sync::OnceCell;
use url::Url;

use crate::{FaultProxy, Protocol};

/// What the names of all databases and tables made here start with.
const PREFIX: &str = "chat_test_";
/// The roles of all tests on a server, which are made once; a test's database only grants them their rights.
const FUNCTIONS_ROLE: &str = "chat_test_functions";
const HEALTH_ROLE: &str = "chat_test_health";
/// The settings that hold URLs of a fixture's Postgres database.
const DATABASE_URLS: [&str; 3] = ["DATABASE_URL", "FUNCTIONS_DATABASE_URL", "HEALTH_DATABASE_URL"];
/// What a killed test left behind is swept up once it is this old.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);
/// Leftovers swept up by one process, at most, per store.
const LEFTOVERS_MAX: usize = 1_000;
/// How long each step of making or dropping databases may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// An address at which nobody listens.
const NOWHERE: &str = "127.0.0.1:9";
/// 32 bytes that sign the tickets of tests, in base64.
const TICKET_KEY: &str = "dGlja2V0cyBvZiB0ZXN0cyBhcmUgc2lnbmVkIGJ5IHQ=";
/// 32 bytes under which tests hash what is said, in base64.
const CONTENT_KEY: &str = "Y29udGVudHMgb2YgdGVzdHMgYXJlIGhhc2hlZCBpdCE=";

/// Settings that name the servers; `cargo chat test` sets them.
const SERVERS: [&str; 6] = [
    "DATABASE_URL",
    "MONGODB_URI",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
];

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(10),
    operation: STEP_TIMEOUT,
    attempts: 3,
};

/// A Postgres database, a Mongo database and a DynamoDB table of a test's own, migrated, on the servers that the
/// environment names. All are dropped with the fixture, also when the test panics.
///
/// The settings are complete: every function can be built with them, and reaches Postgres with the rights that it is
/// deployed with. Live events are posted to where nobody listens,
/// unless a test sets `LIVE_ENDPOINT` and `LIVE_URL` itself.
pub struct Fixture {
    name: String,
    servers: Settings,
    settings: Settings,
    has_queue: AtomicBool,
}

/// Proxies in front of a fixture's Postgres and Mongo.
pub struct Proxies {
    /// In front of Postgres.
    pub postgres: FaultProxy,
    /// In front of Mongo.
    pub mongo: FaultProxy,
    settings: Settings,
}

impl Fixture {
    /// Makes fresh databases.
    ///
    /// # Panics
    /// When the environment names no servers, or one of them fails, with a line that says which.
    pub async fn new() -> Self {
        static PREPARED: OnceCell<()> = OnceCell::const_new();
        let servers = servers();
        PREPARED.get_or_init(|| prepare(&servers)).await;

        let name = format!("{PREFIX}{}_{:016x}", unix_seconds(), rand::random::<u64>());
        let settings = database_urls(&servers, &database_url(&servers, &name))
            .with("MONGODB_DATABASE", &name)
            .with("LIVE_TABLE", &name)
            .with(
                "DELIVERY_QUEUE_URL",
                LocalQueue::url(&setting(&servers, "AWS_ENDPOINT_URL"), &name),
            )
            .with("LIVE_ENDPOINT", format!("http://{NOWHERE}/live"))
            .with("LIVE_URL", format!("ws://{NOWHERE}/live"))
            .with("TICKET_KEY", TICKET_KEY)
            .with("CONTENT_KEY", CONTENT_KEY);
        // From here on the drop cleans up, whatever was made.
        let fixture = Self {
            name,
            servers,
            settings,
            has_queue: AtomicBool::new(false),
        };
        let making = async {
            tokio::join!(
                step("making a Postgres database", fixture.make_postgres()),
                step("making a Mongo database", async {
                    Timeline::from_settings(&fixture.settings)?
                        .create_indexes()
                        .await
                        .map_err(Failure::from)
                }),
                step("making a DynamoDB table", async {
                    RegistryTable::new(&fixture.settings)?
                        .create()
                        .await
                        .map_err(Failure::from)
                }),
            )
        };
        // Boxed, so that the futures of tests stay small.
        Box::pin(making).await;
        fixture
    }

    /// What functions need to know to use these databases.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name of the Postgres database, the Mongo database and the DynamoDB table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the queue of deliveries, which few tests need.
    ///
    /// # Panics
    /// When SQS fails.
    pub async fn make_queue(&self) {
        self.has_queue.store(true, Ordering::Relaxed);
        step("making a queue", async {
            LocalQueue::new(&self.settings)?.create().await.map_err(Failure::from)
        })
        .await;
    }

    /// A connection to the fixture's Postgres database as its owner, for what no operation does.
    ///
    /// # Panics
    /// When Postgres fails.
    pub async fn connect_postgres(&self) -> PgConnection {
        step("connecting to Postgres", connect(&self.settings)).await
    }

    /// Waits until a session of the Postgres database waits for another one's lock.
    ///
    /// # Panics
    /// When none does in time, or Postgres fails.
    pub async fn until_one_waits(&self) {
        let mut watch = self.connect_postgres().await;
        let waits = "SELECT EXISTS (
            SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
        let looking = async {
            // Each look is a round trip, so that others get their turn.
            while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut watch).await? {}
            Ok::<_, sqlx::Error>(())
        };
        step("waiting for a session that waits for a lock", looking).await;
    }

    /// Puts proxies in front of Postgres and Mongo. The fixture's own settings go on to lead past them.
    ///
    /// # Panics
    /// When a server's address cannot be understood.
    pub async fn with_proxies(&self) -> Proxies {
        let upstream = address_of(&setting(&self.settings, "DATABASE_URL"));
        let postgres = step("starting a proxy", FaultProxy::start(Protocol::Postgres, upstream)).await;
        let mongodb_uri = setting(&self.settings, "MONGODB_URI");
        let upstream = step("reading MONGODB_URI", first_host(&mongodb_uri)).await;
        let mongo = step("starting a proxy", FaultProxy::start(Protocol::Mongo, upstream)).await;
        let settings = DATABASE_URLS
            .iter()
            .fold(self.settings.clone(), |settings, name| {
                let url = through(&setting(&settings, name), &postgres);
                settings.with(name, url)
            })
            .with("MONGODB_URI", mongodb_uri_at(&mongodb_uri, mongo.address()));
        Proxies {
            postgres,
            mongo,
            settings,
        }
    }

    async fn make_postgres(&self) -> Result<(), Failure> {
        let mut connection = connect(&self.servers).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {}", self.name)))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Migration::from_settings(&self.settings)?.migrate_database().await?)
    }
}

impl Proxies {
    /// What a function needs to know to use the databases through the proxies.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Drop for Fixture {
    /// Waits for the databases to be dropped, on a thread of its own, since the test's runtime may be gone or unwinding.
    fn drop(&mut self) {
        let (servers, name) = (self.servers.clone(), self.name.clone());
        let queue = self.has_queue.load(Ordering::Relaxed).then(|| self.settings.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                if let Some(settings) = queue {
                    drop_queue(&settings).await;
                }
                let dropped = tokio::time::timeout(STEP_TIMEOUT, drop_databases(&servers, &name)).await;
                dropped.map_err(Failure::from)
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!(
                "the databases {} were not dropped in time; a later run sweeps them up",
                self.name
            );
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Drops what a fixture made; a store that fails does not keep the others.
async fn drop_databases(servers: &Settings, name: &str) {
    let dropped = tokio::join!(
        drop_postgres(servers, name),
        drop_mongo(servers, name),
        drop_dynamo(servers, name)
    );
    for failure in [dropped.0.err(), dropped.1.err(), dropped.2.err()]
        .into_iter()
        .flatten()
    {
        eprintln!("dropping {name}: {failure}; a later run sweeps it up");
    }
}

async fn drop_queue(settings: &Settings) {
    let dropping = async { LocalQueue::new(settings)?.delete().await.map_err(Failure::from) };
    if let Err(failure) = dropping.await {
        eprintln!("dropping a queue: {failure}; it goes with the server");
    }
}

async fn drop_postgres(servers: &Settings, name: &str) -> Result<(), Failure> {
    let mut connection = connect(servers).await?;
    // FORCE ends connections that the test left open.
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    Ok(())
}

async fn drop_mongo(servers: &Settings, name: &str) -> Result<(), Failure> {
    Ok(mongo(servers).await?.database(name).drop().await?)
}

async fn drop_dynamo(servers: &Settings, name: &str) -> Result<(), Failure> {
    dynamo(servers)?.delete_table().table_name(name).send().await?;
    Ok(())
}

/// What one process of tests does before its first test.
async fn prepare(servers: &Settings) {
    let url = setting(servers, "DATABASE_URL");
    let roles = database_urls(servers, &url);
    let making = async { Ok::<_, Failure>(Migration::from_settings(&roles)?.make_roles().await?) };
    step("making the roles of tests", making).await;
    sweep(servers).await;
}

/// Drops what tests of yesterday left behind because they were killed. What cannot be swept up now can be later.
async fn sweep(servers: &Settings) {
    let swept = async {
        let mut connection = connect(servers).await?;
        let pattern = format!("{PREFIX}%");
        let listed = sqlx::query_scalar::<_, String>("SELECT datname FROM pg_database WHERE datname LIKE $1 LIMIT $2");
        let limit = i64::try_from(LEFTOVERS_MAX)?;
        let mut names = listed.bind(pattern).bind(limit).fetch_all(&mut connection).await?;
        names.extend(mongo(servers).await?.list_database_names().await?);
        names.extend(
            dynamo(servers)?
                .list_tables()
                .send()
                .await?
                .table_names()
                .iter()
                .cloned(),
        );
        names.retain(|name| is_leftover(name, unix_seconds()));
        names.sort();
        names.dedup();
        names.truncate(LEFTOVERS_MAX);
        for name in names {
            // Most of these exist in some of the stores only.
            let _ = tokio::join!(
                drop_postgres(servers, &name),
                drop_mongo(servers, &name),
                drop_dynamo(servers, &name)
            );
        }
        Ok::<_, Failure>(())
    };
    if let Err(failure) = swept.await {
        eprintln!("leftovers of earlier tests stay: {failure}");
    }
}

/// Whether a name is one of ours, made long ago. Anything else is none of our business.
fn is_leftover(name: &str, now: u64) -> bool {
    let made = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'))
        .and_then(|(made, random)| {
            let is_ours = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
            made.parse::<u64>().ok().filter(|_| is_ours)
        });
    made.is_some_and(|made| made.saturating_add(LEFTOVER_AGE.as_secs()) < now)
}

fn servers() -> Settings {
    SERVERS
        .into_iter()
        .map(|name| match std::env::var(name) {
            Ok(value) if !value.is_empty() => (name.to_owned(), value),
            _ => panic!("{name} is not set; run `cargo chat test`"),
        })
        .collect()
}

/// Runs a step of setting a test up, which fails the test when it fails.
async fn step<T, E: Into<Failure>>(what: &str, work: impl Future<Output = Result<T, E>>) -> T {
    match tokio::time::timeout(STEP_TIMEOUT, work).await {
        Ok(Ok(made)) => made,
        Ok(Err(failure)) => panic!("{what}: {}", chain(failure.into().as_ref())),
        Err(elapsed) => panic!("{what}: {elapsed} after {} s", STEP_TIMEOUT.as_secs()),
    }
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn connect(servers: &Settings) -> Result<PgConnection, Failure> {
    let options = PgConnectOptions::from_str(&setting(servers, "DATABASE_URL"))?;
    Ok(PgConnection::connect_with(&options.disable_statement_logging()).await?)
}

async fn mongo(servers: &Settings) -> Result<Mongo, Failure> {
    Ok(Mongo::with_uri_str(setting(servers, "MONGODB_URI")).await?)
}

fn dynamo(servers: &Settings) -> Result<DynamoDb, Failure> {
    let config = Aws::new(servers)?.sdk_config(servers.get("AWS_ENDPOINT_URL"), PATIENCE);
    Ok(DynamoDb::new(&config))
}

fn setting(settings: &Settings, name: &'static str) -> String {
    settings.get(name).unwrap_or_default().to_owned()
}

fn parse_url(url: &str) -> Url {
    let parsed = Url::parse(url);
    parsed.unwrap_or_else(|problem| panic!("DATABASE_URL is not a URL ({problem}); run `cargo chat test`"))
}

fn database_url(servers: &Settings, name: &str) -> String {
    let mut url = parse_url(&setting(servers, "DATABASE_URL"));
    url.set_path(name);
    url.into()
}

/// The servers' settings with the URLs of a database for its owner and for the roles of tests.
fn database_urls(servers: &Settings, owner_url: &str) -> Settings {
    let url = |role| role_url(owner_url, role).unwrap_or_else(|error| panic!("{error}; run `cargo chat test`"));
    servers
        .clone()
        .with("DATABASE_URL", owner_url)
        .with("FUNCTIONS_DATABASE_URL", url(FUNCTIONS_ROLE))
        .with("HEALTH_DATABASE_URL", url(HEALTH_ROLE))
}

/// The `host:port` of a Postgres URL.
fn address_of(url: &str) -> String {
    let url = parse_url(url);
    format!(
        "{}:{}",
        url.host_str().unwrap_or("127.0.0.1"),
        url.port().unwrap_or(5432)
    )
}

/// A Postgres URL that leads through a proxy. The proxy does not speak TLS.
fn through(url: &str, proxy: &FaultProxy) -> String {
    let mut url = parse_url(url);
    let set = url
        .set_ip_host(proxy.address().ip())
        .and_then(|()| url.set_port(Some(proxy.address().port())));
    assert!(
        set.is_ok(),
        "DATABASE_URL has no host to replace; run `cargo chat test`"
    );
    let kept: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| name != "sslmode")
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .append_pair("sslmode", "disable");
    url.into()
}

async fn first_host(uri: &str) -> Result<String, Failure> {
    match ClientOptions::parse(uri).await?.hosts.first() {
        Some(ServerAddress::Tcp { host, port }) => Ok(format!("{host}:{}", port.unwrap_or(27017))),
        other => Err(format!("a proxy needs a host and a port, not {other:?}").into()),
    }
}

/// A Mongo URI that leads to one address only: behind a proxy, a driver must not look for the replica set's own ones.
fn mongodb_uri_at(uri: &str, address: impl Display) -> String {
    let (_, rest) = uri.split_once("://").unwrap_or(("mongodb", uri));
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = before.split_once('/').unwrap_or((before, ""));
    let user = authority
        .rsplit_once('@')
        .map(|(user, _)| format!("{user}@"))
        .unwrap_or_default();
    let kept = query.split('&').filter(|option| {
        let name = option.split('=').next().unwrap_or_default();
        !["", "directconnection", "replicaset"].contains(&name.to_ascii_lowercase().as_str())
    });
    let options = kept.chain(["directConnection=true"]).collect::<Vec<_>>().join("&");
    format!("mongodb://{user}{address}/{database}?{options}")
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn only_old_databases_of_ours_are_leftovers() {
        let now = 1_800_000_000;
        let named = |age: u64| format!("{PREFIX}{}_0123456789abcdef", now - age);
        assert!(is_leftover(&named(24 * 60 * 60 + 1), now));
        for kept in [
            &named(60),
            "chat",
            "chat_test_",
            "chat_test_1",
            "chat_test_1_x",
            "chat_test_x_0123456789abcdef",
        ] {
            assert!(!is_leftover(kept, now), "{kept}");
        }
    }

    #[test]
    fn a_mongo_uri_is_led_to_one_address() {
        for (uri, led) in [
            (
                "mongodb://a:1,b:2/?replicaSet=rs0",
                "mongodb://p:9/?directConnection=true",
            ),
            ("mongodb://u:p%40@a", "mongodb://u:p%40@p:9/?directConnection=true"),
            (
                "mongodb://a:1/db?directConnection=false&w=majority",
                "mongodb://p:9/db?w=majority&directConnection=true",
            ),
        ] {
            assert_eq!(mongodb_uri_at(uri, "p:9"), led);
        }
    }

    async fn databases(settings: &Settings) -> Vec<String> {
        let mut names: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database")
            .fetch_all(&mut connect(settings).await.unwrap())
            .await
            .unwrap();
        names.extend(mongo(settings).await.unwrap().list_database_names().await.unwrap());
        names.extend(
            dynamo(settings)
                .unwrap()
                .list_tables()
                .send()
                .await
                .unwrap()
                .table_names()
                .iter()
                .cloned(),
        );
        names
    }

    async fn times_present(settings: &Settings, name: &str) -> usize {
        databases(settings)
            .await
            .iter()
            .filter(|present| *present == name)
            .count()
    }

    #[tokio::test]
    async fn a_fixture_leaves_nothing_behind() {
        let fixture = Fixture::new().await;
        let (servers, name) = (fixture.servers.clone(), fixture.name().to_owned());
        assert_eq!(times_present(&servers, &name).await, 3);
        // A connection left open does not keep the database.
        let functions = setting(fixture.settings(), "FUNCTIONS_DATABASE_URL");
        let mut left_open = PgConnection::connect(&functions).await.unwrap();
        let mut left_open_by_owner = fixture.connect_postgres().await;
        drop(fixture);
        assert_eq!(times_present(&servers, &name).await, 0);
        assert!(left_open.ping().await.is_err());
        assert!(left_open_by_owner.ping().await.is_err());
    }

    #[tokio::test]
    async fn functions_and_health_have_their_own_users_also_behind_proxies() {
        let fixture = Fixture::new().await;
        let proxies = fixture.with_proxies().await;
        for (settings, name, expected) in [
            (fixture.settings(), "HEALTH_DATABASE_URL", HEALTH_ROLE),
            (fixture.settings(), "FUNCTIONS_DATABASE_URL", FUNCTIONS_ROLE),
            (proxies.settings(), "FUNCTIONS_DATABASE_URL", FUNCTIONS_ROLE),
            (proxies.settings(), "HEALTH_DATABASE_URL", HEALTH_ROLE),
        ] {
            let url = setting(settings, name);
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let (user, database): (String, String) =
                sqlx::query_as("SELECT current_user::text, current_database()::text")
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
            assert_eq!((user.as_str(), database.as_str()), (expected, fixture.name()), "{name}");
        }
        assert_eq!(proxies.postgres.counts().connections_opened, 2);
    }

    #[tokio::test]
    async fn a_test_that_panics_leaves_nothing_behind() {
        let panicking = std::panic::AssertUnwindSafe(async {
            let fixture = Fixture::new().await;
            std::panic::panic_any(fixture.name().to_owned());
        });
        let name = panicking
            .catch_unwind()
            .await
            .unwrap_err()
            .downcast::<String>()
            .unwrap();
        assert_eq!(times_present(&servers(), &name).await, 0);
    }

    #[tokio::test]
    async fn the_stores_work_through_the_proxies() {
        let fixture = Fixture::new().await;
        let proxies = fixture.with_proxies().await;
        chat_stores::postgres::Postgres::from_settings(proxies.settings())
            .unwrap()
            .ping()
            .await
            .unwrap();
        Timeline::from_settings(proxies.settings())
            .unwrap()
            .ping()
            .await
            .unwrap();
        assert_eq!(proxies.postgres.counts().connections_opened, 1);
        assert!(proxies.mongo.counts().connections_opened >= 1);
    }
}
