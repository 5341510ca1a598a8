//! `cargo chat new-operation`: the files of a new RPC, with the tests that every operation has.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::error::CommandError;
use super::files;
use crate::SERVICES;
use crate::names::words;

/// What `cargo chat new-operation` is told.
#[derive(Debug, Args)]
pub(super) struct NewOperationArguments {
    /// The crate's folder below functions/, such as message.
    service: String,
    /// The RPC's name in proto/, such as `PinMessage`.
    rpc: String,
}

/// Why the files cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewOperationError {
    /// The contract has no such RPC.
    #[error("{} has no `rpc {rpc}(`: write the contract first", .contract.display())]
    Rpc {
        /// Where it would stand.
        contract: PathBuf,
        /// The RPC.
        rpc: String,
    },
    /// The name is not of an RPC's form.
    #[error("`{0}` is not the name of an RPC, such as PinMessage")]
    Name(String),
    /// There is no such crate.
    #[error("functions/{0} is none of the services: see SERVICES of local/src/lib.rs")]
    Service(String),
    /// A line cannot be put where it belongs.
    #[error("{} has no operation to put another one beside, each on a line of its own", .0.display())]
    Lib(PathBuf),
    /// It was made before.
    #[error("{} is there already", .0.display())]
    Present(PathBuf),
}

/// An RPC's name in its forms.
struct Name<'a> {
    /// `PinMessage`.
    pascal: &'a str,
    /// `pin_message`.
    snake: String,
    /// `pin-message`.
    kebab: String,
}

/// Runs at the root of the checkout. Writes nothing when something is wrong beforehand.
pub(super) fn run(arguments: &NewOperationArguments) -> Result<ExitCode, CommandError> {
    let NewOperationArguments { service, rpc } = arguments;
    if !is_name(rpc) {
        return Err(NewOperationError::Name(rpc.clone()).into());
    }
    if !SERVICES.iter().any(|known| known.name == service) {
        return Err(NewOperationError::Service(service.clone()).into());
    }
    let name = Name::new(rpc);
    let contract = Path::new("proto/chat/v1").join(format!("{service}.proto"));
    if !files::read(&contract)?.contains(&format!(" rpc {rpc}(")) {
        let rpc = rpc.clone();
        return Err(NewOperationError::Rpc { contract, rpc }.into());
    }
    let folder = Path::new("functions").join(service);
    let source = folder.join("src");
    let (lib, manifest) = (source.join("lib.rs"), folder.join("Cargo.toml"));
    let mut files = vec![
        (source.join(format!("{}.rs", name.snake)), operation(&name)),
        (source.join(&name.snake).join("tests.rs"), tests(&name)),
        (
            source.join("bin").join(format!("{}.rs", name.kebab)),
            binary(&name, service),
        ),
    ];
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(NewOperationError::Present(path.clone()).into());
    }
    let registered = registered(&files::read(&lib)?, &name).ok_or_else(|| NewOperationError::Lib(lib.clone()))?;
    let with_binary = with_binary(&files::read(&manifest)?, &name);
    files.extend([(lib, registered), (manifest, with_binary)]);
    let mut out = std::io::stdout();
    for (path, text) in &files {
        files::write(path, text)?;
        let _ = writeln!(out, "wrote {}", path.display());
    }
    let _ = writeln!(
        out,
        "Write the operation and what its tests expect, then `cargo chat template` and `cargo chat test --lib {}`.",
        name.snake
    );
    Ok(ExitCode::SUCCESS)
}

fn is_name(rpc: &str) -> bool {
    rpc.starts_with(|letter: char| letter.is_ascii_uppercase())
        && rpc.chars().all(|letter| letter.is_ascii_alphanumeric())
}

impl<'a> Name<'a> {
    fn new(pascal: &'a str) -> Self {
        Self {
            pascal,
            snake: words(pascal, '_'),
            kebab: words(pascal, '-'),
        }
    }
}

fn operation(name: &Name<'_>) -> String {
    let rpc = name.pascal;
    format!(
        r#"//! {rpc}: one line that says what it does.

use chat_contract::v1::{{{rpc}Request, {rpc}Response}};
use chat_operation::{{Answer, CallContext, Failure, FromSettings, Operation}};
use chat_stores::postgres::Postgres;

/// The RPC `{rpc}`.
#[derive(Debug, FromSettings)]
pub struct {rpc} {{
    postgres: Postgres,
}}

impl Operation for {rpc} {{
    type Request = {rpc}Request;

    async fn call(
        &self,
        context: &CallContext,
        request: {rpc}Request,
    ) -> Result<Answer<{rpc}Response>, Failure> {{
        let caller = &context.caller()?.user;
        let _ = (caller, request, &self.postgres);
        Err(Failure::unimplemented("NOT_WRITTEN", "this operation is not written"))
    }}
}}

#[cfg(test)]
mod tests;
"#
    )
}

fn tests(name: &Name<'_>) -> String {
    let rpc = name.pascal;
    format!(
        r#"//! {rpc}, on real databases.

use chat_operation::Code;
use chat_testing::{{Fixture, call, call_without_token}};

use super::*;

/// A request that is answered.
fn request() -> {rpc}Request {{
    {rpc}Request::default()
}}

#[tokio::test]
async fn it_answers() {{
    let fixture = Fixture::new().await;
    let operation: {rpc} = fixture.operation();
    let answer = call(&operation, "alice", request()).await.unwrap();
    assert_eq!(answer.response, {rpc}Response::default());
    assert_eq!(answer.notices, []);
}}

#[tokio::test]
async fn a_repeat_changes_nothing() {{
    let fixture = Fixture::new().await;
    let operation: {rpc} = fixture.operation();
    let first = call(&operation, "alice", request()).await.unwrap();
    // Something newer comes in between, which must outlast the repeat.
    let again = call(&operation, "alice", request()).await.unwrap();
    assert_eq!(again.response, first.response);
}}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {{
    let fixture = Fixture::new().await;
    let operation: {rpc} = fixture.operation();
    let foreign = call(&operation, "mallory", request()).await.unwrap_err();
    let missing = call(&operation, "alice", request()).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!(format!("{{foreign:?}}"), format!("{{missing:?}}"));
}}

#[tokio::test]
async fn every_bad_field_is_named() {{
    let fixture = Fixture::new().await;
    let operation: {rpc} = fixture.operation();
    let failure = call(&operation, "alice", {rpc}Request::default()).await.unwrap_err();
    let fields: Vec<&str> = failure.violations().iter().map(|violation| &*violation.field).collect();
    assert_eq!(fields, ["every", "field"]);
}}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {{
    let fixture = Fixture::new().await;
    let operation: {rpc} = fixture.operation();
    let failure = call_without_token(&operation, request()).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}}

#[tokio::test]
async fn it_costs_one_round_trip() {{
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let operation: {rpc} = proxies.operation();
    // The first call also connects.
    call(&operation, "alice", request()).await.unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "alice", request()).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}}
"#
    )
}

fn binary(name: &Name<'_>, service: &str) -> String {
    let rpc = name.pascal;
    format!(
        "//! The Lambda function of `{rpc}`.

use std::process::ExitCode;

fn main() -> ExitCode {{
    chat_runtime::serve_operation::<chat_{service}::{rpc}>()
}}
"
    )
}

/// The crate's `lib.rs` with the operation in it, each line where the alphabet puts it; none where it has no line of a kind
/// to put it beside.
fn registered(lib: &str, name: &Name<'_>) -> Option<String> {
    let Name { pascal, snake, .. } = name;
    let mut lines: Vec<String> = lib.lines().map(str::to_owned).collect();
    for (prefix, line) in [
        ("mod ", format!("mod {snake};")),
        ("pub use ", format!("pub use {snake}::{pascal};")),
        (
            "    Function::operation::<",
            format!("    Function::operation::<{pascal}>(),"),
        ),
    ] {
        let of_its_kind = |there: &String| there.starts_with(prefix);
        let behind = lines.iter().position(|there| of_its_kind(there) && *there > line);
        // What is behind it may have attributes, which stay with it.
        let before_its_attributes = |mut place: usize| {
            while place > 0 && lines.get(place - 1).is_some_and(|above| above.starts_with("#[")) {
                place -= 1;
            }
            place
        };
        let place = behind
            .map(before_its_attributes)
            .or_else(|| lines.iter().rposition(of_its_kind).map(|last| last + 1))?;
        lines.insert(place, line);
    }
    lines.push(String::new());
    Some(lines.join("\n"))
}

/// The crate's manifest with the binary in it, which has no tests of its own, before the first one that the alphabet puts
/// behind it.
fn with_binary(manifest: &str, name: &Name<'_>) -> String {
    const BEGIN: &str = "[[bin]]\nname = \"";
    let binary = format!("{BEGIN}{}\"\ntest = false\n\n", name.kebab);
    let behind = manifest
        .match_indices(BEGIN)
        .map(|(place, _)| place)
        .find(|place| manifest.get(*place..).is_some_and(|rest| rest > binary.as_str()));
    let place = behind.or_else(|| manifest.find("[lints]")).unwrap_or(manifest.len());
    let (before, after) = manifest.split_at(place);
    format!("{before}{binary}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "//! Said.

mod get_message;
mod send_message;

use chat_runtime::Function;

pub use get_message::GetMessage;
pub use send_message::SendMessage;

/// The functions.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<GetMessage>(),
    Function::operation::<SendMessage>(),
];
";

    #[test]
    fn an_operation_is_registered_where_the_alphabet_puts_it() {
        let name = Name::new("PinMessage");
        let expected = LIB
            .replace("mod send", "mod pin_message;\nmod send")
            .replace("pub use send", "pub use pin_message::PinMessage;\npub use send")
            .replace(
                "    Function::operation::<Send",
                "    Function::operation::<PinMessage>(),\n    Function::operation::<Send",
            );
        assert_eq!(registered(LIB, &name).unwrap(), expected);
        let name = Name::new("UnpinMessage");
        let last = registered(LIB, &name).unwrap();
        assert!(last.contains("mod send_message;\nmod unpin_message;\n\n"), "{last}");
        assert!(
            last.ends_with("<SendMessage>(),\n    Function::operation::<UnpinMessage>(),\n];\n"),
            "{last}"
        );
    }

    #[test]
    fn what_is_for_tests_only_stays_so() {
        let lib = LIB.replace("mod send", "#[cfg(test)]\nmod scene;\nmod send");
        let registered = registered(&lib, &Name::new("PinMessage")).unwrap();
        assert!(
            registered.contains("mod pin_message;\n#[cfg(test)]\nmod scene;\n"),
            "{registered}"
        );
    }

    #[test]
    fn every_crate_of_operations_takes_one_more_wherever_it_stands() {
        let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
        for service in SERVICES
            .iter()
            .filter(|service| !["health", "migrate"].contains(&service.name))
        {
            let lib = std::fs::read_to_string(functions.join(service.name).join("src/lib.rs")).unwrap();
            for rpc in ["Aaa", "Mmm", "Pin", "Rrr", "Zzz"] {
                let registered = registered(&lib, &Name::new(rpc)).unwrap();
                let kept: Vec<&str> = registered
                    .lines()
                    .filter(|line| !line.contains(rpc) && !line.contains(&format!("mod {};", rpc.to_lowercase())))
                    .collect();
                assert_eq!(kept, lib.lines().collect::<Vec<_>>(), "{}", service.name);
                let line = registered
                    .lines()
                    .position(|line| line == format!("mod {};", rpc.to_lowercase()));
                let above = registered.lines().nth(line.unwrap().saturating_sub(1)).unwrap();
                assert!(!above.starts_with("#["), "{}: {above}", service.name);
            }
        }
    }

    #[test]
    fn names_are_those_of_rpcs() {
        assert!(is_name("ListMessages2"));
        for bad in [
            "",
            "pinMessage",
            "Pin-Message",
            "../Pin",
            "SendMessage(SendMessageRequest) returns ",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn its_binary_stands_in_the_manifest_and_has_no_tests() {
        let binary = |name: &str| format!("[[bin]]\nname = \"{name}\"\ntest = false\n\n");
        let manifest = |names: &[&str]| {
            let binaries: Vec<String> = names.iter().map(|name| binary(name)).collect();
            format!("[package]\n\n{}[lints]\nworkspace = true\n", binaries.concat())
        };
        let there = manifest(&["get-message", "send-message"]);
        let name = Name::new("PinMessage");
        assert_eq!(
            with_binary(&there, &name),
            manifest(&["get-message", "pin-message", "send-message"])
        );
        let name = Name::new("UnpinMessage");
        assert_eq!(
            with_binary(&there, &name),
            manifest(&["get-message", "send-message", "unpin-message"])
        );
        assert_eq!(with_binary(&manifest(&[]), &name), manifest(&["unpin-message"]));
    }
}
