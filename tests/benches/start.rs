//! What a deployed function takes: instructions from its start through its first answer and for each one after, as valgrind
//! counts them, and the size of what is uploaded. `cargo chat test --bench start`.
//!
//! The programs are built with the profile `deploy`, for this machine. Needs valgrind and zip.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot measure has nothing else to say"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chat_client::contract::Rpc;
use chat_client::contract::v1::{CreateLiveTicketRequest, GetProfilesRequest, ListConversationsRequest};
use chat_testing::{Fixture, FunctionProcess, Seen, http_event};

/// What is started: a function, its path, what it calls before it answers, and what it is asked.
const STARTED: [(&str, &str, &str, &str); 3] = [
    (
        "get-profiles",
        GetProfilesRequest::PATH,
        "Postgres",
        r#"{"userIds":["alice"]}"#,
    ),
    (
        "list-conversations",
        ListConversationsRequest::PATH,
        "Postgres and MongoDB",
        "{}",
    ),
    ("create-live-ticket", CreateLiveTicketRequest::PATH, "DynamoDB", "{}"),
];
/// What is weighed besides.
const WEIGHED: [&str; 1] = ["send-message"];

/// How many more answers are measured.
const WARM: u64 = 20;
/// How much slower a program is under valgrind does not matter to its invocation.
const INVOCATION: Duration = Duration::from_mins(5);

#[tokio::main]
async fn main() {
    let names: Vec<&str> = STARTED.iter().map(|(name, ..)| *name).chain(WEIGHED).collect();
    let folder = build(&names);
    let fixture = Fixture::new().await;
    let scratch = std::env::temp_dir().join(fixture.name());
    std::fs::create_dir(&scratch).expect("a folder for what valgrind says");
    for (name, path, calls, body) in STARTED {
        let wrapper = under_valgrind(&folder.join(name), &scratch);
        let mut counts = Vec::new();
        for invocations in [1, 1 + WARM] {
            let mut process = FunctionProcess::start(&wrapper, fixture.settings()).await;
            for _ in 0..invocations {
                process.invoke(http_event(path, "alice", "application/json", body, false), INVOCATION);
                while !matches!(process.seen().await.1, Seen::Response(..)) {}
            }
            process.terminate().await;
            let said = std::fs::read_to_string(scratch.join("valgrind")).expect("what valgrind says");
            counts.push(instructions(&said));
        }
        let [start, more] = counts.as_slice() else {
            unreachable!("two counts were made")
        };
        println!(
            "{name}, which calls {calls}: {} thousand instructions from its start through its first answer, {} thousand \
             for each one after",
            start / 1_000,
            (more - start) / WARM / 1_000
        );
    }
    for name in names {
        let program = folder.join(name);
        println!(
            "{name}: {} kB, zipped {} kB",
            bytes(&program) / 1_000,
            zipped(&program, &scratch) / 1_000
        );
    }
    std::fs::remove_dir_all(&scratch).expect("a folder that can be removed");
}

/// Builds functions as they are deployed; the folder of their programs.
fn build(names: &[&str]) -> PathBuf {
    let begun = Instant::now();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--profile", "deploy", "--workspace"]);
    for name in names {
        cargo.args(["--bin", name]);
    }
    // What cargo said of this benchmark's own package would have what reads it built once more.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name.to_string_lossy().starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    assert!(
        cargo.status().expect("cargo").success(),
        "the functions cannot be built"
    );
    println!("built in {} s", begun.elapsed().as_secs());
    // This program is in target/<profile>/deps.
    let this = std::env::current_exe().expect("the path of this program");
    let target = this.ancestors().nth(3).expect("a target folder");
    target.join("deploy")
}

/// A script that runs a program under valgrind, which writes what it counts to a file beside it.
fn under_valgrind(program: &Path, scratch: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let script = scratch.join("start");
    let log = scratch.join("valgrind");
    let text = format!(
        "#!/bin/sh\nexec /usr/bin/env PATH=/usr/bin:/bin valgrind --tool=cachegrind --cache-sim=no \
         --cachegrind-out-file=/dev/null --log-file={} {}\n",
        log.display(),
        program.display()
    );
    std::fs::write(&script, text).expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("a script that can be run");
    script
}

/// `==7== I   refs:   1,234`, of valgrind's last words.
fn instructions(said: &str) -> u64 {
    let count = said.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "I");
        (words.next().is_some() && words.next() == Some("refs:")).then(|| words.next())?
    });
    let digits: String = count.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a count of instructions in what valgrind says")
}

fn bytes(file: &Path) -> u64 {
    file.metadata().expect("a program").len()
}

/// Bytes of the archive that `sam deploy` would upload.
fn zipped(program: &Path, scratch: &Path) -> u64 {
    let archive = scratch.join("bootstrap.zip");
    let zip = Command::new("zip")
        .args(["-q", "-j"])
        .arg(&archive)
        .arg(program)
        .status();
    assert!(zip.expect("zip, which is to be installed").success());
    let bytes = bytes(&archive);
    std::fs::remove_file(&archive).expect("an archive that can be removed");
    bytes
}
