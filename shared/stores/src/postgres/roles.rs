//! The users of the database, so that what answers the internet holds as few rights as it can.
//!
//! - The *owner* (`DATABASE_URL`) makes and owns everything. Only `migrate` has its password.
//! - *functions* (`FUNCTIONS_DATABASE_URL`) may connect, read the schema's tables, and execute its functions. Those that
//!   change something run with the owner's rights and a fixed search path; those that only read, with the caller's.
//! - *health* (`HEALTH_DATABASE_URL`) may connect.
//!
//! Roles belong to a cluster, rights to a database: a role is made once, and every database grants for itself. What is
//! there already is left alone, so that repeating all of it changes nothing. None of it needs a superuser.
//!
//! A password never reaches the server: what is sent, and what a server that logs statements keeps, is its verifier.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, FromRow};
use url::Url;

use super::{
    DATABASE_URL, DATABASE_URL_FORM, FUNCTIONS_DATABASE_URL, HEALTH_DATABASE_URL, MigrateError, STORE, connect_options,
};
use crate::{StoreError, StoreErrorKind};
use chat_operation::{Settings, SettingsError};

/// Bytes of a role's name, which Postgres would cut without a word.
const NAME_BYTES_MAX: usize = 63;

/// Makes one `migrate` wait for another. It counts within one database; those of other databases are met by repeating.
const LOCK: i64 = 0x6368_6174_726f_6c65;

/// How often the roles are looked at again when somebody else is changing them.
const ATTEMPTS_MAX: usize = 5;

/// Rounds of the hash that turns a password into its verifier: what Postgres itself takes.
const SCRAM_ROUNDS: u32 = 4096;

/// How long the functions' statements and locks may take, and that a commit is durable. On the role, not per session: a SET
/// would cost a round trip and pin the connection in RDS Proxy. Whoever waits for an answer gives up after
/// [`super::ATTEMPT_TIMEOUT`], which is longer, so that only a dead server is given up.
const FUNCTIONS_BOUNDS: &[(&str, &str)] = &[
    ("lock_timeout", "2s"),
    ("statement_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "15s"),
    // A statement of a client that is gone ends, instead of waiting in the queue for a lock.
    (CONNECTION_CHECK, "1s"),
    ("synchronous_commit", "on"),
];

/// The same for health, which waits for nothing.
const HEALTH_BOUNDS: &[(&str, &str)] = &[
    ("lock_timeout", "1s"),
    ("statement_timeout", "1s"),
    ("idle_in_transaction_session_timeout", "5s"),
    (CONNECTION_CHECK, "1s"),
];

/// Not every operating system lets a server notice that a client is gone; then it refuses the setting.
const CONNECTION_CHECK: &str = "client_connection_check_interval";

/// What versions without roles put on the owner. It belongs to the functions.
const FORMER_BOUNDS: &[(&str, &str)] = &[
    ("lock_timeout", "5000"),
    ("statement_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "15000"),
];

/// The roles that the settings name besides the owner.
#[derive(Debug)]
pub(super) struct Roles {
    /// None when the functions use the owner's.
    functions: Option<Role>,
    /// None when health uses one of the others.
    health: Option<Role>,
    /// What whoever deploys should know of the settings.
    notes: Vec<String>,
}

/// A role that is to be there.
struct Role {
    variable: &'static str,
    name: String,
    /// None when its URL has no password.
    verifier: Option<String>,
    bounds: &'static [(&'static str, &'static str)],
}

impl std::fmt::Debug for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Role")
            .field("variable", &self.variable)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What the server knows about a role.
#[derive(FromRow)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are columns of one row, each asked for by itself"
)]
struct Known {
    exists: bool,
    logs_in: bool,
    /// Why it cannot be used: it could do more than it should.
    powers: Option<String>,
    may_make: bool,
    may_alter: bool,
    bounds: Vec<String>,
}

impl Roles {
    /// The roles that the settings name.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let owner = connect_options(settings, DATABASE_URL)?;
        let functions = Role::new(settings, FUNCTIONS_DATABASE_URL, &owner, FUNCTIONS_BOUNDS)?;
        let health = Role::new(settings, HEALTH_DATABASE_URL, &owner, HEALTH_BOUNDS)?;
        let mut notes = Vec::new();
        let mut is_same = |role: &Role, other: &str, variable| {
            let is_same = role.name == other;
            if is_same {
                notes.push(format!(
                    "{} names the user of {variable}, and has all of its rights; give it a user of its own",
                    role.variable
                ));
            }
            is_same
        };
        let functions = Some(functions).filter(|role| !is_same(role, owner.get_username(), DATABASE_URL));
        let health = Some(health).filter(|role| {
            let functions = functions.as_ref().map_or("", |functions| &functions.name);
            !is_same(role, owner.get_username(), DATABASE_URL) && !is_same(role, functions, FUNCTIONS_DATABASE_URL)
        });
        Ok(Self {
            functions,
            health,
            notes,
        })
    }

    /// Makes the roles of the cluster, or brings them to what the settings say. Answers what whoever deploys should know.
    pub(super) async fn make(&self, connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
        let mut notes = self.notes.clone();
        lock(connection)
            .await
            .map_err(|error| failed("lock its roles", error))?;
        for role in [&self.functions, &self.health].into_iter().flatten() {
            let mut attempts = 1..ATTEMPTS_MAX;
            let note = loop {
                match role.make(connection).await {
                    Err(MakeError::Store(error)) if is_race(&error) && attempts.next().is_some() => {}
                    Err(MakeError::Store(error)) => {
                        return Err(failed("make the roles that the settings name", error).into());
                    }
                    Err(MakeError::Role(problem)) => {
                        return Err(MigrateError::Role {
                            variable: role.variable,
                            problem,
                        });
                    }
                    Ok(note) => break note,
                }
            };
            notes.extend(note);
        }
        Ok(notes)
    }

    /// Gives the roles their rights in this database, and takes all others, PUBLIC's included.
    pub(super) async fn grant(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let granted = async {
            lock(connection).await?;
            let mut statements = self.owner_bounds(connection).await?;
            statements.extend(self.missing(connection).await?);
            run(connection, &statements.join(";\n")).await
        };
        granted
            .await
            .map_err(|error| failed("grant its roles what they may do", error))
    }

    /// The statements that give and take what differs from what is wanted.
    async fn missing(&self, connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
        let name = |role: &Option<Role>| role.as_ref().map(|role| role.name.clone());
        sqlx::query_scalar(MISSING)
            .bind(name(&self.functions))
            .bind(name(&self.health))
            // Run a few times in the life of a deployment: nothing to keep a plan for.
            .persistent(false)
            .fetch_all(connection)
            .await
    }

    /// The statements that bound the owner where it works for the functions, and end that where it does not.
    async fn owner_bounds(&self, connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
        let bounds: Vec<String> = sqlx::query_scalar(
            "SELECT unnest(s.setconfig) FROM pg_db_role_setting s
             WHERE s.setrole = current_user::regrole
               AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .persistent(false)
        .fetch_all(&mut *connection)
        .await?;
        let database: String = sqlx::query_scalar("SELECT current_database()::text")
            .persistent(false)
            .fetch_one(connection)
            .await?;
        let role = format!("ALTER ROLE CURRENT_USER IN DATABASE {}", quoted(&database));
        let is_set = |name: &str, value: &str| bounds.contains(&format!("{name}={value}"));
        // Of what not every system knows, the owner goes without.
        let wanted = FUNCTIONS_BOUNDS.iter().filter(|(name, _)| *name != CONNECTION_CHECK);
        Ok(if self.functions.is_none() {
            wanted
                .filter(|(name, value)| !is_set(name, value))
                .map(|(name, value)| format!("{role} SET {name} = '{value}'"))
                .collect()
        } else {
            wanted
                .chain(FORMER_BOUNDS)
                .filter(|(name, value)| is_set(name, value))
                .map(|(name, _)| format!("{role} RESET {name}"))
                .collect()
        })
    }
}

/// Why a role could not be made.
enum MakeError {
    Role(String),
    Store(sqlx::Error),
}

impl From<sqlx::Error> for MakeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

impl Role {
    /// The role that a URL of the owner's database names.
    fn new(
        settings: &Settings,
        variable: &'static str,
        owner: &PgConnectOptions,
        bounds: &'static [(&'static str, &'static str)],
    ) -> Result<Self, SettingsError> {
        let invalid = |problem: &str| SettingsError::Invalid {
            name: variable,
            expected: DATABASE_URL_FORM,
            problem: problem.to_owned(),
        };
        let options = connect_options(settings, variable)?;
        if options.get_database() != owner.get_database() {
            return Err(invalid("it names another database than DATABASE_URL"));
        }
        let name = options.get_username().to_owned();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(invalid("its user is no name of a role, which has 1 to 63 bytes"));
        }
        let password = password(settings.require(variable, DATABASE_URL_FORM)?);
        // Others would have to be normalised as Unicode says first, and each side does that a little differently.
        if let Some(password) = &password
            && !password.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        {
            return Err(invalid("its password holds more than printable ASCII"));
        }
        let salt = Sha256::digest(format!("chat {}:{} {name}", options.get_host(), options.get_port()));
        Ok(Self {
            variable,
            verifier: password.map(|password| verifier(&password, salt.first_chunk::<16>().unwrap_or(&[0; 16]))),
            name,
            bounds,
        })
    }

    /// Makes the role, or changes what differs. Answers what whoever deploys should know.
    async fn make(&self, connection: &mut PgConnection) -> Result<Option<String>, MakeError> {
        let known: Known = sqlx::query_as(KNOWN)
            .bind(&self.name)
            .persistent(false)
            .fetch_one(&mut *connection)
            .await?;
        if let Some(powers) = known.powers {
            return Err(MakeError::Role(format!(
                "it {powers}; name one that is for this purpose alone"
            )));
        }
        if !known.exists && !known.may_make {
            return Err(MakeError::Role(
                "it is not there, and the user of DATABASE_URL may not make it; give that user CREATEROLE, or make the role"
                    .to_owned(),
            ));
        }
        if known.exists && !known.may_alter {
            return Ok(Some(format!(
                "the user of {} was made by somebody else, who sets its password and how long it may take",
                self.variable
            )));
        }
        let role = quoted(&self.name);
        let mut statement = String::new();
        if !known.exists {
            statement = format!("CREATE ROLE {role} LOGIN");
        } else if !known.logs_in || self.verifier.is_some() {
            statement = format!("ALTER ROLE {role} LOGIN");
        }
        if let Some(verifier) = &self.verifier {
            // It consists of letters, digits and a few signs, none of them a quote.
            statement.extend([" PASSWORD '", verifier, "'"]);
        }
        run(connection, &statement).await?;
        for (name, value) in self.bounds {
            if known.bounds.contains(&format!("{name}={value}")) {
                continue;
            }
            match run(connection, &format!("ALTER ROLE {role} SET {name} = '{value}'")).await {
                Err(error) if *name == CONNECTION_CHECK && has_code(&error, &["22023"]) => {}
                result => result?,
            }
        }
        Ok(None)
    }
}

/// What the server knows about the role `$1`. An owner that may make roles may change those that it made.
const KNOWN: &str = "
    SELECT r.oid IS NOT NULL AS exists,
           coalesce(r.rolcanlogin, false) AS logs_in,
           CASE
               WHEN r.rolsuper THEN 'is a superuser'
               WHEN r.rolcreaterole OR r.rolcreatedb THEN 'may create roles or databases'
               WHEN r.rolreplication OR r.rolbypassrls THEN 'may replicate or pass row security'
               -- What lets somebody log in with a token of AWS gives no rights to data.
               WHEN EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                            WHERE m.member = r.oid AND g.rolname <> 'rds_iam') THEN 'is a member of another role'
           END AS powers,
           me.rolsuper OR me.rolcreaterole AS may_make,
           coalesce(me.rolsuper OR (me.rolcreaterole AND (
               current_setting('server_version_num')::int < 160000
               OR pg_has_role(me.oid, r.oid, 'MEMBER WITH ADMIN OPTION'))), false) AS may_alter,
           coalesce(r.rolconfig, '{}') AS bounds
    FROM pg_roles me LEFT JOIN pg_roles r ON r.rolname = $1
    WHERE me.rolname = current_user";

/// The statements that are missing for the roles functions (`$1`) and health (`$2`), either of which may be null, to have
/// exactly the rights that they are to have on what the owner owns in this schema, and for PUBLIC to have none.
///
/// A function that changes something for others runs with the owner's rights (SECURITY DEFINER) on a fixed search path; what it
/// is made of is called by nobody else. Functions that only read (STABLE, IMMUTABLE) run with their caller's rights, which
/// are enough for that, so that Postgres may inline them. What an extension brought is the extension's business.
const MISSING: &str = "
    WITH place AS (
        SELECT n.oid AS schema_oid, n.nspname AS schema, n.nspacl, n.nspowner, d.datname, d.datacl, d.datdba,
               (SELECT oid FROM pg_roles WHERE rolname = current_user) AS owner,
               (SELECT oid FROM pg_roles WHERE rolname = $1) AS functions,
               (SELECT oid FROM pg_roles WHERE rolname = $2) AS health
        FROM pg_namespace n, pg_database d
        WHERE n.nspname = current_schema() AND d.datname = current_database()
    ),
    routines AS (
        SELECT p.oid::regprocedure::text AS name, p.prokind, p.prosecdef, p.proconfig, p.proacl, p.proowner, p.provolatile
        FROM place, pg_proc p
        WHERE p.pronamespace = schema_oid AND pg_has_role(p.proowner, 'USAGE')
          AND NOT EXISTS (
              SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    ),
    objects AS (
        SELECT 'DATABASE' AS kind, quote_ident(datname) AS name, coalesce(datacl, acldefault('d', datdba)) AS acl,
               true AS is_for_others
        FROM place
        UNION ALL
        SELECT 'SCHEMA', quote_ident(schema), coalesce(nspacl, acldefault('n', nspowner)), true FROM place
        UNION ALL
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text,
               coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", c.relowner)), true
        FROM place, pg_class c
        WHERE c.relnamespace = schema_oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND pg_has_role(c.relowner, 'USAGE')
          AND NOT EXISTS (
              SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
        UNION ALL
        SELECT 'ROUTINE', name, coalesce(proacl, acldefault('f', proowner)), prosecdef OR provolatile <> 'v' FROM routines
    ),
    held AS (
        SELECT kind, name, a.grantee, a.privilege_type AS privilege
        FROM place, objects, aclexplode(acl) a
        WHERE a.grantee = 0 OR a.grantee = functions OR a.grantee = health
    ),
    wanted AS (
        SELECT o.kind, o.name, w.grantee, w.privilege
        FROM place, objects o, LATERAL (VALUES
            ('DATABASE', functions, 'CONNECT'), ('DATABASE', health, 'CONNECT'), ('SCHEMA', functions, 'USAGE'),
            ('TABLE', functions, 'SELECT'), ('ROUTINE', functions, 'EXECUTE')) w (kind, grantee, privilege)
        WHERE w.kind = o.kind AND w.grantee IS NOT NULL AND o.is_for_others
    ),
    defaults AS (
        SELECT d.defaclnamespace AS schema_oid, d.defaclobjtype AS kind, a.grantee
        FROM place, pg_default_acl d, aclexplode(d.defaclacl) a
        WHERE d.defaclrole = owner
    )
    SELECT statement FROM (
        SELECT 1 AS step, format('REVOKE %s ON %s %s FROM %s', privilege, kind, name,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) AS statement
        FROM (SELECT * FROM held EXCEPT SELECT * FROM wanted) taken
        UNION ALL
        SELECT 2, format('ALTER ROUTINE %s SET search_path = %I, pg_temp', name, schema)
        FROM place, routines
        WHERE prokind IN ('f', 'p') AND prosecdef AND NOT EXISTS (
            SELECT FROM unnest(proconfig) c WHERE c LIKE 'search\\_path=%, pg\\_temp')
        UNION ALL
        SELECT 3, format('GRANT %s ON %s %s TO %I', privilege, kind, name, pg_get_userbyid(grantee))
        FROM (SELECT * FROM wanted EXCEPT SELECT * FROM held) given
        UNION ALL
        -- What a later migration makes is readable from its first moment, and called by nobody before it was looked at here.
        SELECT 4, 'ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC'
        WHERE NOT EXISTS (SELECT FROM defaults d WHERE d.schema_oid = 0 AND d.kind = 'f')
           OR EXISTS (SELECT FROM defaults d WHERE d.schema_oid = 0 AND d.kind = 'f' AND d.grantee = 0)
        UNION ALL
        SELECT 5, format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT %s TO %I', schema, w.rights, $1)
        FROM place, (VALUES ('r', 'SELECT ON TABLES')) w (kind, rights)
        WHERE functions IS NOT NULL AND NOT EXISTS (
            SELECT FROM defaults d
            WHERE d.schema_oid = place.schema_oid AND d.kind::text = w.kind AND d.grantee = functions)
    ) missing
    ORDER BY step, statement";

/// The URL with which another role reaches the owner's database: a stack that nobody gave more than the owner's URL makes
/// its roles by it. The password follows from the owner's, and is none where the owner needs none.
pub fn role_url(owner_url: &str, role: &str) -> Result<String, SettingsError> {
    let invalid = |problem: String| SettingsError::Invalid {
        name: DATABASE_URL,
        expected: DATABASE_URL_FORM,
        problem,
    };
    let mut url = Url::parse(owner_url).map_err(|error| invalid(error.to_string()))?;
    let password = password(owner_url).map(|owner| {
        let password = hmac(owner.as_bytes(), &[b"chat role ", role.as_bytes()]);
        URL_SAFE_NO_PAD.encode(password)
    });
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "user" && name != "password")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    url.set_username(role)
        .and_then(|()| url.set_password(password.as_deref()))
        .map_err(|()| invalid("it names no host".to_owned()))?;
    Ok(url.into())
}

/// The password of a URL, as sqlx reads it.
fn password(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let asked = url.query_pairs().filter(|(name, _)| name == "password").last();
    asked
        .map(|(_, password)| password.into_owned())
        .or_else(|| Some(percent_decode_str(url.password()?).decode_utf8_lossy().into_owned()))
        .filter(|password| !password.is_empty())
}

/// What a server keeps instead of a password (RFC 5803). The salt follows from whose password it is, so that the same
/// password gives the same verifier, and repeating changes nothing.
fn verifier(password: &str, salt: &[u8; 16]) -> String {
    let mut last = hmac(password.as_bytes(), &[salt, &1_u32.to_be_bytes()]);
    let mut salted = last;
    for _ in 1..SCRAM_ROUNDS {
        last = hmac(password.as_bytes(), &[&last]);
        for (byte, more) in salted.iter_mut().zip(last) {
            *byte ^= more;
        }
    }
    let stored_key = Sha256::digest(hmac(&salted, &[b"Client Key"]));
    let server_key = hmac(&salted, &[b"Server Key"]);
    format!(
        "SCRAM-SHA-256${SCRAM_ROUNDS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    )
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("a key of an HMAC has any length");
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

/// A name as an identifier of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Runs statements in one transaction; none at all is fine.
async fn run(connection: &mut PgConnection, statements: &str) -> Result<(), sqlx::Error> {
    if statements.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(connection)
        .await
        .map(drop)
}

/// Makes others wait until this connection is closed.
async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .persistent(false)
        .execute(connection)
        .await
        .map(drop)
}

fn failed(action: &'static str, error: sqlx::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, STORE, action, error)
}

/// Whether somebody else changed the same role at this moment, as the `migrate` of another database may.
fn is_race(error: &sqlx::Error) -> bool {
    // Made twice, as seen before and after the other's commit, or "tuple concurrently updated".
    has_code(error, &["42710", "23505", "XX000"])
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| codes.contains(&&*code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_what_postgres_makes_of_a_password() {
        // The password and salt of RFC 7677, section 3.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            verifier("pencil", salt.first_chunk().unwrap()),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=\
             :wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn another_roles_url_has_its_name_and_a_password_of_its_own() {
        let url = |owner| role_url(owner, "chat_functions").unwrap();
        assert_eq!(
            url("postgres://chat@127.0.0.1:5432/chat?sslmode=disable"),
            "postgres://chat_functions@127.0.0.1:5432/chat?sslmode=disable"
        );
        let with_password = url("postgres://chat:secret@db/chat");
        let password = password(&with_password).unwrap();
        assert_eq!(with_password, format!("postgres://chat_functions:{password}@db/chat"));
        assert!(password.len() >= 40 && !password.contains("secret"), "{password}");
        assert_eq!(
            url("postgres://db/chat?user=chat&password=secret"),
            with_password,
            "wherever a URL has them"
        );
        assert_ne!(
            role_url("postgres://chat:other@db/chat", "chat_functions").unwrap(),
            with_password
        );
        assert_ne!(
            role_url("postgres://chat:secret@db/chat", "chat_health").unwrap(),
            with_password
        );
    }

    #[test]
    fn roles_that_cannot_be_are_refused_without_showing_a_password() {
        let settings = |functions: &str| {
            Settings::default()
                .with(DATABASE_URL, "postgres://owner:secret@db/chat")
                .with(FUNCTIONS_DATABASE_URL, functions)
                .with(HEALTH_DATABASE_URL, "postgres://health:secret@db/chat")
        };
        let long = format!("postgres://{}:secret@db/chat", "f".repeat(64));
        for (functions, problem) in [
            ("", "FUNCTIONS_DATABASE_URL is not set"),
            ("mysql://f:secret@db/chat", "it starts with neither postgres:// nor"),
            (
                "postgres://f:secret@db/other",
                "it names another database than DATABASE_URL",
            ),
            (
                "postgres://f:secr%C3%A9t@db/chat",
                "its password holds more than printable ASCII",
            ),
            (&long, "its user is no name of a role"),
        ] {
            let error = Roles::new(&settings(functions)).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            assert!(!error.contains("secr"), "{error}");
        }
        let roles = Roles::new(&settings("postgres://f:secret@db/chat")).unwrap();
        assert!(!format!("{roles:?}").contains("SCRAM"), "{roles:?}");
    }

    #[test]
    fn one_user_for_several_is_said() {
        let roles = |functions: &str, health: &str| {
            let url = |user: &str| format!("postgres://{user}:secret@db/chat");
            let settings = Settings::default()
                .with(DATABASE_URL, url("owner"))
                .with(FUNCTIONS_DATABASE_URL, url(functions))
                .with(HEALTH_DATABASE_URL, url(health));
            let roles = Roles::new(&settings).unwrap();
            (roles.functions.is_some(), roles.health.is_some(), roles.notes.len())
        };
        assert_eq!(roles("functions", "health"), (true, true, 0));
        assert_eq!(roles("owner", "health"), (false, true, 1));
        assert_eq!(roles("owner", "owner"), (false, false, 2));
        assert_eq!(roles("functions", "owner"), (true, false, 1));
        assert_eq!(roles("functions", "functions"), (true, false, 1));
    }
}
