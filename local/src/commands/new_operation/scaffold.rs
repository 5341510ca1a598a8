//! What `cargo chat new-operation` writes of an RPC: an operation that compiles, the tests that are due, and the lines that
//! make it known.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto};
use protox::prost_reflect::prost_types;

use crate::contract::Rpc;
use crate::names::words;
use crate::obligations::Obligation;

/// An RPC, and its name in its forms.
pub(super) struct Scaffold {
    rpc: Rpc,
    /// `pin_message`.
    snake: String,
    /// `pin-message`.
    kebab: String,
}

/// A field of the request, as Rust writes it.
struct Field {
    name: String,
    /// A literal of its least value.
    least: &'static str,
    /// A literal that no rule admits, if its type has one.
    bad: Option<&'static str>,
}

impl Scaffold {
    pub(super) fn new(rpc: Rpc) -> Self {
        Self {
            snake: words(&rpc.name, '_'),
            kebab: words(&rpc.name, '-'),
            rpc,
        }
    }

    /// The crate's folder below `functions/`.
    pub(super) fn service(&self) -> &str {
        &self.rpc.folder
    }

    pub(super) fn snake(&self) -> &str {
        &self.snake
    }

    pub(super) fn kebab(&self) -> &str {
        &self.kebab
    }

    pub(super) fn operation(&self) -> String {
        let rpc = &self.rpc.name;
        let does = if self.rpc.only_reads { "reads" } else { "does" };
        format!(
            r#"//! One line that says what it {does}.

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

    async fn call(&self, context: &CallContext, request: {rpc}Request) -> Result<Answer<{rpc}Response>, Failure> {{
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

    /// Whether its tests begin with a conversation of alice and bob.
    fn is_of_a_conversation(&self) -> bool {
        self.rpc.has_field("conversation_id")
    }

    pub(super) fn tests(&self) -> String {
        let due = Obligation::of(&self.rpc);
        let mut tests = vec![test("it_answers", &self.answers())];
        tests.extend(due.iter().map(|obligation| match obligation {
            Obligation::Repeat => test("a_repeat_changes_nothing", &self.repeat()),
            Obligation::Foreign => test(
                "a_foreign_conversation_and_a_missing_one_are_refused_alike",
                &self.foreign(),
            ),
            Obligation::BadFields => test("every_bad_field_is_named", &self.bad_fields()),
            Obligation::Token => test("a_call_without_a_token_is_refused", &self.token()),
            Obligation::Costs => test("it_costs_one_round_trip", &self.costs()),
        }));
        let ids = if due.contains(&Obligation::Foreign) {
            "use chat_domain::ConversationId;\n"
        } else {
            ""
        };
        format!(
            "//! `{}`, on real databases.

{ids}use chat_operation::Code;
use chat_testing::{{Fixture, call, call_without_token}};

use super::*;

/// A request that is answered.
{}
{}",
            self.rpc.name,
            self.request(),
            tests.join("\n")
        )
    }

    /// The function that makes a request of what tests have.
    fn request(&self) -> String {
        let rpc = &self.rpc.name;
        let parameter = if self.is_of_a_conversation() {
            "conversation: &(impl ToString + ?Sized)"
        } else {
            ""
        };
        let literal = literal(rpc, &fields(&self.rpc.request), |field| {
            if field.name == "conversation_id" {
                "conversation.to_string()"
            } else {
                field.least
            }
        });
        format!("fn request({parameter}) -> {rpc}Request {{\n    {literal}\n}}\n")
    }

    /// How tests ask for a request of what they have.
    fn asked(&self) -> &'static str {
        if self.is_of_a_conversation() {
            "request(&conversation)"
        } else {
            "request()"
        }
    }

    /// What tests begin with.
    fn begin(&self) -> String {
        let rpc = &self.rpc.name;
        let operation = format!("    let operation: {rpc} = fixture.operation();\n");
        if self.is_of_a_conversation() {
            operation + CONVERSATION
        } else {
            operation
        }
    }

    fn answers(&self) -> String {
        let (begin, rpc, request) = (self.begin(), &self.rpc.name, self.asked());
        format!(
            "{begin}    let answer = call(&operation, \"alice\", {request}).await.unwrap();
    assert_eq!(answer.response, {rpc}Response::default());
    assert_eq!(answer.notices, []);
"
        )
    }

    fn repeat(&self) -> String {
        let (begin, request) = (self.begin(), self.asked());
        format!(
            "{begin}    let first = call(&operation, \"alice\", {request}).await.unwrap();
    // Others act before it comes again, and what they did stays.
    call(&operation, \"bob\", {request}).await.unwrap();
    let again = call(&operation, \"alice\", {request}).await.unwrap();
    assert_eq!(again.response, first.response);
"
        )
    }

    fn foreign(&self) -> String {
        let begin = self.begin();
        format!(
            "{begin}    let foreign = call(&operation, \"mallory\", request(&conversation)).await.unwrap_err();
    let missing = request(&ConversationId::generate());
    let missing = call(&operation, \"alice\", missing).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!(format!(\"{{foreign:?}}\"), format!(\"{{missing:?}}\"));
"
        )
    }

    fn bad_fields(&self) -> String {
        let rpc = &self.rpc.name;
        let fields = fields(&self.rpc.request);
        let bad = literal(rpc, &fields, |field| field.bad.unwrap_or(field.least));
        let names: Vec<String> = fields
            .iter()
            .filter(|field| field.bad.is_some())
            .map(|field| format!("\"{}\"", field.name))
            .collect();
        format!(
            "    let operation: {rpc} = fixture.operation();
    let bad = {bad};
    let failure = call(&operation, \"alice\", bad).await.unwrap_err();
    let fields: Vec<&str> = failure.violations().iter().map(|violation| &*violation.field).collect();
    assert_eq!(fields, [{}]);
",
            names.join(", ")
        )
    }

    fn token(&self) -> String {
        let (begin, request) = (self.begin(), self.asked());
        format!(
            "{begin}    let failure = call_without_token(&operation, {request}).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
"
        )
    }

    fn costs(&self) -> String {
        let (rpc, request) = (&self.rpc.name, self.asked());
        let conversation = if self.is_of_a_conversation() { CONVERSATION } else { "" };
        format!(
            "{conversation}    let proxies = fixture.with_proxies().await;
    let operation: {rpc} = proxies.operation();
    // The first call also connects.
    call(&operation, \"alice\", {request}).await.unwrap();
    proxies.postgres.reset_counts();
    call(&operation, \"alice\", {request}).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
"
        )
    }

    pub(super) fn binary(&self) -> String {
        let (rpc, service) = (&self.rpc.name, self.service());
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
    pub(super) fn registered(&self, lib: &str) -> Option<String> {
        let (pascal, snake) = (&self.rpc.name, &self.snake);
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
    pub(super) fn with_binary(&self, manifest: &str) -> String {
        const BEGIN: &str = "[[bin]]\nname = \"";
        let binary = format!("{BEGIN}{}\"\ntest = false\n\n", self.kebab);
        let behind = manifest
            .match_indices(BEGIN)
            .map(|(place, _)| place)
            .find(|place| manifest.get(*place..).is_some_and(|rest| rest > binary.as_str()));
        let place = behind.or_else(|| manifest.find("[lints]")).unwrap_or(manifest.len());
        let (before, after) = manifest.split_at(place);
        format!("{before}{binary}{after}")
    }
}

const CONVERSATION: &str = "    let conversation = fixture.open_direct(\"alice\", \"bob\").await;\n";

/// A test, which has a fixture.
fn test(name: &str, body: &str) -> String {
    format!("#[tokio::test]\nasync fn {name}() {{\n    let fixture = Fixture::new().await;\n{body}}}\n")
}

/// A request with these values.
fn literal(rpc: &str, fields: &[Field], value: impl Fn(&Field) -> &str) -> String {
    if fields.is_empty() {
        return format!("{rpc}Request {{}}");
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|field| format!("        {}: {},\n", field.name, value(field)))
        .collect();
    format!("{rpc}Request {{\n{}    }}", fields.concat())
}

/// The fields of its Rust type; those of a `oneof` are one.
fn fields(request: &DescriptorProto) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for field in &request.field {
        let choice = field.oneof_index.filter(|_| !field.proto3_optional());
        let choice = choice.and_then(|index| request.oneof_decl.get(usize::try_from(index).ok()?));
        let (name, (least, bad)) = match choice {
            Some(choice) => (choice.name(), ("None", None)),
            None => (field.name(), values(field)),
        };
        if fields.last().is_none_or(|last| last.name != name) {
            fields.push(Field {
                name: name.to_owned(),
                least,
                bad,
            });
        }
    }
    fields
}

/// A literal of a field's least value, and one that no rule admits.
fn values(field: &FieldDescriptorProto) -> (&'static str, Option<&'static str>) {
    match (field.label(), field.r#type()) {
        (Label::Repeated, _) => ("Vec::new()", None),
        _ if field.proto3_optional() => ("None", None),
        (_, Type::Message | Type::Group) => ("None", None),
        (_, Type::String) => ("String::new()", Some(r#""\0".to_owned()"#)),
        (_, Type::Bytes) => ("Vec::new()", None),
        (_, Type::Bool) => ("false", None),
        (_, Type::Double | Type::Float) => ("0.0", None),
        (_, Type::Int32 | Type::Int64 | Type::Sint32 | Type::Sint64 | Type::Sfixed32 | Type::Sfixed64) => {
            ("0", Some("-1"))
        }
        (_, Type::Enum | Type::Uint32 | Type::Uint64 | Type::Fixed32 | Type::Fixed64) => ("0", None),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::SERVICES;
    use crate::contract::rpcs;

    fn scaffold(rpc: &str) -> Scaffold {
        Scaffold::new(Rpc {
            name: rpc.to_owned(),
            path: String::new(),
            folder: "message".to_owned(),
            request: DescriptorProto::default(),
            only_reads: false,
        })
    }

    /// That of an RPC which the contract has.
    fn of_the_contract(name: &str) -> Scaffold {
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
        let mut rpcs = rpcs(&proto).unwrap().into_iter();
        Scaffold::new(rpcs.find(|rpc| rpc.name == name).unwrap())
    }

    #[test]
    fn its_tests_are_those_that_are_due() {
        let named = |scaffold: &Scaffold| {
            let text = scaffold.tests();
            let functions = text.lines().filter_map(|line| line.strip_prefix("async fn "));
            functions.map(|name| name.replace("() {", "")).collect::<Vec<_>>()
        };
        let of_a_read = [
            "it_answers",
            "a_foreign_conversation_and_a_missing_one_are_refused_alike",
            "every_bad_field_is_named",
            "a_call_without_a_token_is_refused",
            "it_costs_one_round_trip",
        ];
        assert_eq!(named(&of_the_contract("GetMessage")), of_a_read);
        assert!(named(&of_the_contract("SendMessage")).contains(&"a_repeat_changes_nothing".to_owned()));
        let without_fields = [
            "it_answers",
            "a_call_without_a_token_is_refused",
            "it_costs_one_round_trip",
        ];
        assert_eq!(named(&of_the_contract("CreateLiveTicket")), without_fields);
    }

    #[test]
    fn its_requests_have_the_fields_of_the_contract() {
        let text = of_the_contract("SendMessage").tests();
        let answered = "SendMessageRequest {
        conversation_id: conversation.to_string(),
        client_message_id: String::new(),
        text: String::new(),
        reply_to_message_id: String::new(),
        retry: false,
        read_seq: 0,
    }";
        assert!(text.contains(answered), "{text}");
        let bad = r#"["conversation_id", "client_message_id", "text", "reply_to_message_id", "read_seq"]"#;
        assert!(text.contains(bad), "{text}");
    }

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
        let name = scaffold("PinMessage");
        let expected = LIB
            .replace("mod send", "mod pin_message;\nmod send")
            .replace("pub use send", "pub use pin_message::PinMessage;\npub use send")
            .replace(
                "    Function::operation::<Send",
                "    Function::operation::<PinMessage>(),\n    Function::operation::<Send",
            );
        assert_eq!(name.registered(LIB).unwrap(), expected);
        let name = scaffold("UnpinMessage");
        let last = name.registered(LIB).unwrap();
        assert!(last.contains("mod send_message;\nmod unpin_message;\n\n"), "{last}");
        assert!(
            last.ends_with("<SendMessage>(),\n    Function::operation::<UnpinMessage>(),\n];\n"),
            "{last}"
        );
    }

    #[test]
    fn what_is_for_tests_only_stays_so() {
        let lib = LIB.replace("mod send", "#[cfg(test)]\nmod scene;\nmod send");
        let registered = scaffold("PinMessage").registered(&lib).unwrap();
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
                let registered = scaffold(rpc).registered(&lib).unwrap();
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
    fn its_binary_stands_in_the_manifest_and_has_no_tests() {
        let binary = |name: &str| format!("[[bin]]\nname = \"{name}\"\ntest = false\n\n");
        let manifest = |names: &[&str]| {
            let binaries: Vec<String> = names.iter().map(|name| binary(name)).collect();
            format!("[package]\n\n{}[lints]\nworkspace = true\n", binaries.concat())
        };
        let there = manifest(&["get-message", "send-message"]);
        let name = scaffold("PinMessage");
        assert_eq!(
            name.with_binary(&there),
            manifest(&["get-message", "pin-message", "send-message"])
        );
        let name = scaffold("UnpinMessage");
        assert_eq!(
            name.with_binary(&there),
            manifest(&["get-message", "send-message", "unpin-message"])
        );
        assert_eq!(name.with_binary(&manifest(&[])), manifest(&["unpin-message"]));
    }
}
