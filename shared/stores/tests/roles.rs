//! What the users of Postgres may do, how long it may take, and how `migrate` makes them, on a real server.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that unwraps fails where it should, also in its helpers; names of its own keep it from others"
)]

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use chat_operation::Settings;
use chat_operation::{Code, Failure, FromSettings};
use chat_stores::StoreErrorKind;
use chat_stores::postgres::{FriendRequested, MigrateError, Migration, Postgres};
use chat_testing::{Fixture, user};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use url::Url;

const OWNER: &str = "DATABASE_URL";
const FUNCTIONS: &str = "FUNCTIONS_DATABASE_URL";
const HEALTH: &str = "HEALTH_DATABASE_URL";

async fn migrate(settings: &Settings) -> Result<Vec<String>, MigrateError> {
    Migration::from_settings(settings).unwrap().run().await
}

async fn make_roles(settings: &Settings) -> Result<(), MigrateError> {
    Migration::from_settings(settings).unwrap().make_roles().await
}

async fn migrate_database(settings: &Settings) -> Result<(), MigrateError> {
    Migration::from_settings(settings).unwrap().migrate_database().await
}

/// SQLSTATE of what one may not do.
const FORBIDDEN: &str = "42501";

async fn connect(settings: &Settings, variable: &'static str) -> PgConnection {
    PgConnection::connect(settings.get(variable).unwrap()).await.unwrap()
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .map(drop)
}

/// The SQLSTATE of a statement that fails, or nothing.
async fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    let error = execute(connection, statement).await.err();
    error
        .map(|error| error.as_database_error().unwrap().code().unwrap().into_owned())
        .unwrap_or_default()
}

async fn texts(connection: &mut PgConnection, query: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap()
}

async fn tables(owner: &mut PgConnection) -> Vec<String> {
    let tables = texts(
        owner,
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
    )
    .await;
    assert!(tables.len() >= 4, "{tables:?}");
    tables
}

/// A user's name that no other test has.
fn fresh(role: &str) -> String {
    format!("chat_test_{role}_{:016x}", rand::random::<u64>())
}

fn with_user(url: &str, name: &str, password: Option<&str>) -> String {
    let mut url = Url::parse(url).unwrap();
    url.set_username(name).unwrap();
    url.set_password(password).unwrap();
    url.into()
}

/// A stack with users of its own on the server of all tests.
struct Stack {
    fixture: Fixture,
    settings: Settings,
    functions: String,
    health: String,
}

impl Stack {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let (functions, health) = (fresh("f"), fresh("h"));
        let owner = fixture.settings().get(OWNER).unwrap().to_owned();
        let settings = fixture
            .settings()
            .clone()
            .with(FUNCTIONS, with_user(&owner, &functions, Some("first")))
            .with(HEALTH, with_user(&owner, &health, Some("first")));
        Self {
            fixture,
            settings,
            functions,
            health,
        }
    }

    /// Everything that the catalogs say about the database and its users, with the transactions that wrote it.
    async fn state(&self) -> Vec<String> {
        let mut owner = self.fixture.connect_postgres().await;
        let mut state = Vec::new();
        for catalog in ["pg_class", "pg_proc", "pg_namespace", "pg_default_acl"] {
            let rows = format!("SELECT '{catalog} ' || c.xmin || ' ' || c.oid FROM {catalog} c ORDER BY c.oid");
            state.extend(texts(&mut owner, &rows).await);
        }
        let here = "(SELECT oid FROM pg_database WHERE datname = current_database())";
        state.extend(
            texts(
                &mut owner,
                &format!("SELECT datacl::text FROM pg_database WHERE oid = {here}"),
            )
            .await,
        );
        let set = "SELECT concat_ws(' ', setdatabase, setrole, setconfig, xmin) FROM pg_db_role_setting";
        state.extend(
            texts(
                &mut owner,
                &format!(
                    "{set} WHERE setrole IN ('{}'::regrole, '{}'::regrole) OR setdatabase = {here} ORDER BY 1",
                    self.functions, self.health
                ),
            )
            .await,
        );
        state.extend(self.passwords().await.into_values());
        state
    }

    /// What the server keeps instead of the users' passwords.
    async fn passwords(&self) -> BTreeMap<String, String> {
        let rows: Vec<(String, Option<String>)> =
            sqlx::query_as("SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = ANY($1)")
                .bind(vec![self.functions.clone(), self.health.clone()])
                .fetch_all(&mut self.fixture.connect_postgres().await)
                .await
                .unwrap();
        rows.into_iter()
            .map(|(name, password)| (name, password.unwrap_or_default()))
            .collect()
    }

    /// Drops the database and its users.
    async fn end(self) {
        let Self {
            fixture,
            functions,
            health,
            ..
        } = self;
        drop(fixture);
        let mut server = server().await;
        for role in [functions, health] {
            execute(&mut server, &format!("DROP ROLE IF EXISTS {role}"))
                .await
                .unwrap();
        }
    }
}

/// A connection to the database that belongs to no test.
async fn server() -> PgConnection {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the environment names is no function's setting here"
    )]
    let url = std::env::var(OWNER).expect("run `cargo chat test`, which sets DATABASE_URL");
    let options = PgConnectOptions::from_str(&url).unwrap();
    options.disable_statement_logging().connect().await.unwrap()
}

#[tokio::test]
async fn the_functions_read_tables_and_change_nothing_but_by_functions() {
    let fixture = Fixture::new().await;
    let mut owner = fixture.connect_postgres().await;
    let mut functions = connect(fixture.settings(), FUNCTIONS).await;
    for table in tables(&mut owner).await {
        assert_eq!(
            refusal(&mut functions, &format!("SELECT * FROM {table} LIMIT 1")).await,
            ""
        );
        let column = "SELECT quote_ident(attname) FROM pg_attribute WHERE attnum = 1 AND attrelid =";
        let column = texts(&mut owner, &format!("{column} '{table}'::regclass"))
            .await
            .remove(0);
        for statement in [
            format!("INSERT INTO {table} DEFAULT VALUES"),
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table} CASCADE"),
            format!("SELECT * FROM {table} FOR UPDATE"),
            format!("SELECT * FROM {table} FOR KEY SHARE"),
            format!("DO $$ BEGIN LOCK TABLE {table} IN ROW EXCLUSIVE MODE; END $$"),
            format!("ALTER TABLE {table} ADD COLUMN more int"),
            format!("CREATE INDEX ON {table} ({column})"),
            format!("CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING"),
            format!("DROP TABLE {table} CASCADE"),
            format!("COPY {table} FROM STDIN"),
        ] {
            assert_eq!(refusal(&mut functions, &statement).await, FORBIDDEN, "{statement}");
        }
    }
    let routine = "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace LIMIT 1";
    let routine = texts(&mut owner, routine).await.remove(0);
    let owners_name = texts(&mut owner, "SELECT quote_ident(current_user)").await.remove(0);
    let database = fixture.name();
    for statement in [
        "CREATE TABLE mine (id int)".to_owned(),
        "CREATE TABLE mine AS SELECT 1".to_owned(),
        "CREATE TEMP TABLE mine (id int)".to_owned(),
        "CREATE TEMP VIEW mine AS SELECT 1".to_owned(),
        "CREATE SCHEMA mine".to_owned(),
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'".to_owned(),
        format!("ALTER FUNCTION {routine} SECURITY INVOKER"),
        format!("DROP FUNCTION {routine}"),
        format!("SET ROLE {owners_name}"),
        format!("SET SESSION AUTHORIZATION {owners_name}"),
        format!("ALTER ROLE {owners_name} PASSWORD 'mine'"),
        "CREATE ROLE mine".to_owned(),
        "CREATE DATABASE mine".to_owned(),
        format!("ALTER DATABASE {database} SET lock_timeout = 0"),
        "ALTER SYSTEM SET lock_timeout = 0".to_owned(),
        "SELECT rolpassword FROM pg_authid".to_owned(),
        "SELECT passwd FROM pg_shadow".to_owned(),
        "SELECT pg_read_file('postgresql.conf')".to_owned(),
        "SELECT pg_ls_dir('.')".to_owned(),
        "COPY (SELECT 1) TO PROGRAM 'true'".to_owned(),
        "COPY (SELECT 1) TO '/tmp/mine'".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        assert_eq!(refusal(&mut functions, &statement).await, FORBIDDEN, "{statement}");
    }
}

#[tokio::test]
async fn health_is_up_or_not_and_sees_nothing() {
    let fixture = Fixture::new().await;
    let mut owner = fixture.connect_postgres().await;
    let mut health = connect(fixture.settings(), HEALTH).await;
    assert_eq!(refusal(&mut health, "SELECT 1").await, "");
    for table in tables(&mut owner).await {
        for statement in [
            format!("SELECT * FROM public.{table}"),
            format!("SELECT count(*) FROM public.{table}"),
        ] {
            assert_eq!(refusal(&mut health, &statement).await, FORBIDDEN, "{statement}");
        }
    }
    let executable = "SELECT count(*)::text FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(oid, 'EXECUTE')";
    assert_eq!(texts(&mut health, executable).await, ["0"]);
    for statement in [
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "SELECT * FROM pg_authid",
    ] {
        assert_eq!(refusal(&mut health, statement).await, FORBIDDEN, "{statement}");
    }
}

/// The functions of the schema that are not as they must be: what changes something for others runs as the owner on a fixed
/// search path; what only reads runs as its caller; what neither does is called by nobody but the owner.
const UNSAFE: &str = "SELECT oid::regprocedure::text FROM pg_proc p
    WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
      AND ((prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c = 'search_path=public, pg_temp'))
           OR has_function_privilege('chat_test_functions', oid, 'EXECUTE') <> (prosecdef OR provolatile <> 'v')
           OR EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0))
    ORDER BY 1";

#[tokio::test]
async fn what_changes_something_runs_as_the_owner_on_a_fixed_search_path_or_is_called_by_nobody_else() {
    let fixture = Fixture::new().await;
    let mut owner = fixture.connect_postgres().await;
    for kind in [
        "prosecdef",
        "NOT prosecdef AND provolatile <> 'v'",
        "NOT prosecdef AND provolatile = 'v'",
    ] {
        let all = format!("SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND {kind}");
        assert!(texts(&mut owner, &all).await.len() >= 2, "{kind}");
    }
    assert_eq!(texts(&mut owner, UNSAFE).await, <[String; 0]>::default());

    let mut functions = connect(fixture.settings(), FUNCTIONS).await;
    for (statement, expected) in [
        ("SELECT charge('alice', 'read', 1, 1)", ""),
        ("SELECT budget_wait('alice', 'read', 1)", ""),
        ("SELECT * FROM friendship_of('alice', 'bob', 'ok')", ""),
        ("SELECT use_budget('alice', 'read', 1)", FORBIDDEN),
        ("SELECT lock_feeds(ARRAY['alice'])", FORBIDDEN),
        ("SELECT set_friend_side('alice', 'bob', 'accepted', now())", FORBIDDEN),
        (
            "SELECT * FROM set_friendship('alice', 'bob', 'accepted', 'accepted')",
            FORBIDDEN,
        ),
    ] {
        assert_eq!(refusal(&mut functions, statement).await, expected, "{statement}");
    }
}

#[tokio::test]
async fn what_an_author_forgot_is_made_up_for() {
    let fixture = Fixture::new().await;
    let mut owner = fixture.connect_postgres().await;
    for statement in [
        "CREATE FUNCTION helps(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION shared() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "GRANT EXECUTE ON FUNCTION shared TO PUBLIC, chat_test_functions, chat_test_health",
        "CREATE FUNCTION looks() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM users'",
        "CREATE FUNCTION counts(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1'",
        "CREATE FUNCTION acts() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text'",
        "CREATE FUNCTION elsewhere() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'SELECT 1'",
        "CREATE PROCEDURE \"Quoted name\"() LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "CREATE PROCEDURE \"Quoted helper\"() LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE \"Quoted table\" (id int GENERATED ALWAYS AS IDENTITY)",
        "GRANT ALL ON \"Quoted table\" TO PUBLIC, chat_test_functions",
        "GRANT CREATE ON SCHEMA public TO chat_test_functions, chat_test_health",
    ] {
        execute(&mut owner, statement).await.unwrap();
    }
    // Before it was looked at: nobody calls what is new unless somebody says so.
    let mut functions = connect(fixture.settings(), FUNCTIONS).await;
    for new in ["helps(1)", "looks()", "counts(1)", "acts()", "elsewhere()"] {
        assert_eq!(
            refusal(&mut functions, &format!("SELECT {new}")).await,
            FORBIDDEN,
            "{new}"
        );
    }
    assert_eq!(refusal(&mut functions, "SELECT shared()").await, "");
    assert_eq!(
        texts(&mut owner, UNSAFE).await,
        [
            "\"Quoted name\"()",
            "acts()",
            "counts(integer)",
            "elsewhere()",
            "looks()",
            "shared()"
        ]
    );

    migrate_database(fixture.settings()).await.unwrap();

    assert_eq!(texts(&mut owner, UNSAFE).await, <[String; 0]>::default());
    let called = "SELECT looks(), counts(1), acts(), elsewhere() FROM \"Quoted table\"; CALL \"Quoted name\"()";
    assert_eq!(refusal(&mut functions, called).await, "");
    for helper in ["SELECT helps(1)", "SELECT shared()", "CALL \"Quoted helper\"()"] {
        assert_eq!(refusal(&mut functions, helper).await, FORBIDDEN, "{helper}");
    }
    let owners_name = texts(&mut owner, "SELECT current_user::text").await;
    assert_eq!(texts(&mut functions, "SELECT acts()").await, owners_name);
    let path =
        "SELECT array_to_string(proconfig, ' ') FROM pg_proc WHERE proname IN ('acts', 'elsewhere', 'Quoted name')";
    assert_eq!(texts(&mut owner, path).await, ["search_path=public, pg_temp"; 3]);
    let mut health = connect(fixture.settings(), HEALTH).await;
    for new in ["looks()", "counts(1)", "acts()", "shared()"] {
        assert_eq!(
            refusal(&mut health, &format!("SELECT public.{new}")).await,
            FORBIDDEN,
            "{new}"
        );
    }
    assert_eq!(
        refusal(&mut functions, "INSERT INTO \"Quoted table\" DEFAULT VALUES").await,
        FORBIDDEN
    );
    assert_eq!(
        refusal(&mut functions, "SELECT nextval('\"Quoted table_id_seq\"')").await,
        FORBIDDEN
    );
    assert_eq!(refusal(&mut functions, "CREATE TABLE mine ()").await, FORBIDDEN);
}

#[tokio::test]
async fn statements_and_locks_are_bounded_by_the_user() {
    let fixture = Fixture::new().await;
    for (variable, expected) in [
        (FUNCTIONS, ["2s", "3s", "15s", "1s", "on"]),
        (HEALTH, ["1s", "1s", "5s", "1s", "on"]),
    ] {
        let mut connection = connect(fixture.settings(), variable).await;
        let mut shown = Vec::new();
        for name in [
            "lock_timeout",
            "statement_timeout",
            "idle_in_transaction_session_timeout",
            "client_connection_check_interval",
            "synchronous_commit",
        ] {
            shown.extend(texts(&mut connection, &format!("SELECT current_setting('{name}')")).await);
        }
        assert_eq!(shown, expected, "{variable}");
    }
}

#[tokio::test]
async fn repeating_changes_nothing() {
    let stack = Stack::new().await;
    assert_eq!(migrate(&stack.settings).await.unwrap(), <[String; 0]>::default());
    let state = stack.state().await;
    assert_eq!(migrate(&stack.settings).await.unwrap(), <[String; 0]>::default());
    assert_eq!(stack.state().await, state);
    stack.end().await;
}

#[tokio::test]
async fn many_at_once_do_not_meet() {
    let (one, other) = tokio::join!(Stack::new(), Stack::new());
    // The same stack three times, and another one with the same users on another database.
    let url = |settings: &Settings, user: &str| with_user(settings.get(OWNER).unwrap(), user, Some("first"));
    let shared = (other.settings.clone())
        .with(FUNCTIONS, url(&other.settings, &one.functions))
        .with(HEALTH, url(&other.settings, &one.health));
    let done = tokio::join!(
        migrate(&one.settings),
        migrate(&one.settings),
        migrate(&one.settings),
        migrate(&shared),
        make_roles(&shared)
    );
    done.0.unwrap();
    done.1.unwrap();
    done.2.unwrap();
    done.3.unwrap();
    done.4.unwrap();
    other.end().await;
    one.end().await;
}

#[tokio::test]
async fn two_stacks_on_one_server_do_not_meet() {
    let (one, other) = tokio::join!(Stack::new(), Stack::new());
    migrate(&one.settings).await.unwrap();
    let state = one.state().await;
    migrate(&other.settings).await.unwrap();
    assert_eq!(one.state().await, state);
    for role in [&other.functions, &other.health] {
        let url = with_user(one.settings.get(OWNER).unwrap(), role, Some("first"));
        let refused = PgConnection::connect(&url).await.unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().code().unwrap(),
            FORBIDDEN,
            "{role}"
        );
    }
    one.end().await;
    other.end().await;
}

#[tokio::test]
async fn a_password_is_what_the_url_says_and_is_never_sent() {
    let stack = Stack::new().await;
    migrate(&stack.settings).await.unwrap();
    let first = stack.passwords().await;
    assert!(
        first.values().all(|kept| kept.starts_with("SCRAM-SHA-256$4096:")),
        "{first:?}"
    );
    assert_ne!(
        first[&stack.functions], first[&stack.health],
        "the same password looks different"
    );

    let url = with_user(
        stack.settings.get(OWNER).unwrap(),
        &stack.functions,
        Some("it's \"second\"%20"),
    );
    migrate(&stack.settings.clone().with(FUNCTIONS, url)).await.unwrap();

    let second = stack.passwords().await;
    assert_ne!(second[&stack.functions], first[&stack.functions]);
    assert_eq!(second[&stack.health], first[&stack.health]);
    migrate(&stack.settings).await.unwrap();
    assert_eq!(stack.passwords().await, first);
    stack.end().await;
}

#[tokio::test]
async fn a_name_is_a_name_whatever_is_in_it() {
    let stack = Stack::new().await;
    let name = format!("x\"; DROP TABLE users; -- ' {}", fresh("q"));
    let name = name.as_str();
    let url = with_user(stack.settings.get(OWNER).unwrap(), name, Some("first"));
    let settings = stack.settings.clone().with(FUNCTIONS, url);
    migrate(&settings).await.unwrap();
    let mut functions = connect(&settings, FUNCTIONS).await;
    assert_eq!(texts(&mut functions, "SELECT current_user::text").await, [name]);
    assert_eq!(refusal(&mut functions, "SELECT * FROM users").await, "");
    stack.end().await;
    let dropped = format!("DROP ROLE \"{}\"", name.replace('"', "\"\""));
    execute(&mut server().await, &dropped).await.unwrap();
}

#[tokio::test]
async fn a_role_with_powers_is_refused() {
    let stack = Stack::new().await;
    let mut server = server().await;
    for (power, told) in [
        ("SUPERUSER", "is a superuser"),
        ("NOSUPERUSER CREATEDB", "may create roles or databases"),
        ("NOCREATEDB CREATEROLE", "may create roles or databases"),
        ("NOCREATEROLE BYPASSRLS", "may replicate or pass row security"),
    ] {
        let _ = execute(&mut server, &format!("CREATE ROLE {} LOGIN", stack.health)).await;
        execute(&mut server, &format!("ALTER ROLE {} {power}", stack.health))
            .await
            .unwrap();
        let error = migrate(&stack.settings).await.unwrap_err();
        assert!(
            matches!(&error, MigrateError::Role { variable: HEALTH, problem } if problem.contains(told)),
            "{error}"
        );
        assert!(!error.to_string().contains("first"), "{error}");
    }
    execute(&mut server, &format!("ALTER ROLE {} NOBYPASSRLS", stack.health))
        .await
        .unwrap();
    execute(&mut server, &format!("GRANT pg_write_all_data TO {}", stack.health))
        .await
        .unwrap();
    let error = migrate(&stack.settings).await.unwrap_err().to_string();
    assert!(error.contains("is a member of another role"), "{error}");
    stack.end().await;
}

#[tokio::test]
async fn an_owner_need_not_be_a_superuser() {
    let stack = Stack::new().await;
    let (owner, database) = (fresh("o"), fresh("d"));
    let mut server = server().await;
    for statement in [
        format!("CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD 'first'"),
        format!("CREATE DATABASE {database} OWNER {owner}"),
    ] {
        execute(&mut server, &statement).await.unwrap();
    }
    let url = |user: &str| {
        let mut url = Url::parse(stack.settings.get(OWNER).unwrap()).unwrap();
        url.set_path(&database);
        with_user(url.as_str(), user, Some("first"))
    };
    let settings = Settings::default()
        .with(OWNER, url(&owner))
        .with(FUNCTIONS, url(&stack.functions))
        .with(HEALTH, url(&stack.health));
    for _ in 0..2 {
        assert_eq!(migrate(&settings).await.unwrap(), <[String; 0]>::default());
    }
    let mut functions = connect(&settings, FUNCTIONS).await;
    assert_eq!(refusal(&mut functions, "SELECT * FROM users").await, "");
    assert_eq!(
        refusal(&mut functions, "INSERT INTO users DEFAULT VALUES").await,
        FORBIDDEN
    );
    assert_eq!(refusal(&mut functions, "CREATE TABLE mine ()").await, FORBIDDEN);
    assert_eq!(refusal(&mut functions, &format!("SET ROLE {owner}")).await, FORBIDDEN);
    functions.close().await.unwrap();

    // Roles that somebody else made are used, and it is said that their passwords are not ours to set.
    execute(&mut server, &format!("ALTER ROLE {owner} NOCREATEROLE"))
        .await
        .unwrap();
    let notes = migrate(&settings).await.unwrap();
    assert!(
        notes.len() == 2 && notes.iter().all(|note| note.contains("made by somebody else")),
        "{notes:?}"
    );
    let missing = fresh("m");
    let error = migrate(&settings.clone().with(FUNCTIONS, url(&missing)))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is not there, and the user of DATABASE_URL may not make it"),
        "{error}"
    );

    execute(&mut server, &format!("DROP DATABASE {database} WITH (FORCE)"))
        .await
        .unwrap();
    stack.end().await;
    execute(&mut server, &format!("DROP ROLE {owner}")).await.unwrap();
}

#[tokio::test]
async fn an_owner_who_worked_for_the_functions_is_bounded_until_they_have_a_user_of_their_own() {
    let stack = Stack::new().await;
    let bounds = async || {
        texts(
            &mut stack.fixture.connect_postgres().await,
            "SELECT concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'))",
        )
        .await
        .remove(0)
    };
    assert_eq!(bounds().await, "0 0");
    let owner = stack.settings.get(OWNER).unwrap().to_owned();
    migrate(&stack.settings.clone().with(FUNCTIONS, owner)).await.unwrap();
    assert_eq!(bounds().await, "2s 3s");
    migrate(&stack.settings).await.unwrap();
    assert_eq!(bounds().await, "0 0");
    // As versions without roles left it.
    let former = format!(
        "ALTER ROLE CURRENT_USER IN DATABASE {} SET statement_timeout = 10000",
        stack.fixture.name()
    );
    execute(&mut stack.fixture.connect_postgres().await, &former)
        .await
        .unwrap();
    migrate(&stack.settings).await.unwrap();
    assert_eq!(bounds().await, "0 0");
    stack.end().await;
}

#[tokio::test]
async fn a_lock_that_somebody_else_keeps_is_answered_with_when_to_come_back_and_not_waited_for_again() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let postgres = Postgres::from_settings(proxies.settings()).unwrap();
    let (alice, bob) = (user("alice"), user("bob"));
    let asked = postgres.request_friend(&alice, &bob).await.unwrap().unwrap();
    assert!(matches!(asked, FriendRequested::Done(_)), "{asked:?}");
    let mut other = fixture.connect_postgres().await;
    let tables = tables(&mut other).await.join(", ");
    execute(
        &mut other,
        &format!("BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"),
    )
    .await
    .unwrap();
    proxies.postgres.reset_counts();

    let asked_at = Instant::now();
    let error = postgres.request_friend(&bob, &alice).await.unwrap_err();

    let waited = asked_at.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(4),
        "{waited:?}"
    );
    assert_eq!(error.kind(), StoreErrorKind::Busy);
    let counts = proxies.postgres.counts();
    assert_eq!(
        (counts.requests, counts.connections_opened),
        (1, 0),
        "it is not repeated"
    );
    let failure = Failure::from(error);
    assert_eq!((failure.code(), failure.reason()), (Code::Unavailable, "STORE_BUSY"));
    assert_eq!(failure.retry_after(), Some(Duration::from_secs(1)));

    execute(&mut other, "ROLLBACK").await.unwrap();
    let met = postgres.request_friend(&bob, &alice).await.unwrap().unwrap();
    assert!(matches!(met, FriendRequested::Done(_)), "{met:?}");
}
