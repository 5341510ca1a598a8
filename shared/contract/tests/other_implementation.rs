//! JSON is read as another implementation reads it: `protobuf` of `PyPI`, which pip fetches into the target folder.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that unwraps fails where it should"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chat_contract::json::{Field, Kind, Schema, decode};
use chat_contract::v1;
use protox::prost::Message as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const CASES: usize = 6_000;
const PACKAGE: &str = "protobuf==6.33.6";

/// A message: its name and fields, what becomes of a text that is read as one, and of its bytes as the other one writes them.
struct Subject {
    name: &'static str,
    fields: &'static [Field],
    read: fn(&str) -> String,
    rewrite: fn(&str) -> String,
}

fn subject<M: Schema>(name: &'static str) -> Subject {
    Subject {
        name,
        fields: M::FIELDS,
        read: |text| match decode::<M>(text.as_bytes()) {
            Ok(message) => hex(&message.encode_to_vec()),
            Err(_) => "-".to_owned(),
        },
        // In our order: a field of a oneof may come where its first one would, or by its own number.
        rewrite: |told| match told {
            "-" => told.to_owned(),
            told => {
                let bytes = (0..told.len()).step_by(2);
                let bytes: Vec<u8> = bytes
                    .map(|at| u8::from_str_radix(&told[at..at + 2], 16).unwrap())
                    .collect();
                hex(&M::decode(bytes.as_slice()).unwrap().encode_to_vec())
            }
        },
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes all");
        hex
    })
}

/// JSON for a value of this kind: usually right, sometimes not.
fn value(random: &mut StdRng, kind: Kind, depth: usize) -> String {
    let odd = ["null", "true", "1", "1.5", "\"a\"", "\"\"", "[]", "{}", "[null]", "-1"];
    if random.random_bool(0.06) {
        // Where the other one is lax: an empty list or text is an object without fields to it, and all that Python makes an
        // integer of is the number of an enum.
        let lax: &[&str] = match kind {
            Kind::Message(_) => &["\"\"", "\"a\"", "[]", "[null]"],
            Kind::Enum(_) => &["true", "1.5", "\"\"", "\"a\""],
            _ => &[],
        };
        let odd: Vec<_> = odd.into_iter().filter(|odd| !lax.contains(odd)).collect();
        return (*odd.choose(random).unwrap()).to_owned();
    }
    let of = |random: &mut StdRng, forms: &[&str]| (*forms.choose(random).unwrap()).to_owned();
    match kind {
        Kind::Bool => of(random, &["true", "false"]),
        Kind::String => of(random, &[r#""""#, r#""bob""#, r#""\u00e9\n\ud83e\udd80""#, r#""null""#]),
        // Strings with a sign, a leading zero or an exponent are left to the tests of the mapping: the other one reads them
        // as Python does.
        Kind::Int32 | Kind::Int64 => of(
            random,
            &[
                "0",
                "-0",
                "7",
                "\"7\"",
                "-7",
                "\"-7\"",
                "3.0",
                "4e2",
                "1e-1",
                "2.5",
                "\"x\"",
                "\" 7\"",
                "2147483647",
                "2147483648",
                "-2147483648",
                "9223372036854775807",
                "\"9223372036854775807\"",
                "\"-9223372036854775808\"",
                "9223372036854775808",
                "1e19",
            ],
        ),
        // The other one passes unknown names over, as it does unknown fields.
        Kind::Enum(number_of) => {
            let names = [
                "FRIEND_STATE_ACCEPTED",
                "FRIEND_REQUEST_ANSWER_ACCEPT",
                "MEMBERSHIP_STATE_ACTIVE",
            ];
            match names.iter().find(|name| number_of(name).is_some()) {
                Some(name) if random.random_bool(0.3) => format!("\"{name}\""),
                _ => of(random, &["0", "1", "2", "77", "-1", "2.0"]),
            }
        }
        Kind::Timestamp => of(
            random,
            &[
                "\"2026-01-31T12:00:00Z\"",
                "\"2026-01-31T12:00:00.123Z\"",
                "\"2026-01-31T12:00:00.123456789Z\"",
                "\"2026-01-31T12:00:00+02:00\"",
                "\"1969-12-31T23:59:59.5Z\"",
                "\"0001-01-01T00:00:00Z\"",
                "\"2026-01-31\"",
                "\"2026-02-30T12:00:00Z\"",
                "\"\"",
            ],
        ),
        Kind::Duration => of(
            random,
            &["\"1s\"", "\"1.5s\"", "\"-1.000000001s\"", "\"0s\"", "\"1\"", "\"s\""],
        ),
        Kind::FieldMask => of(
            random,
            &["\"\"", "\"displayName\"", "\"displayName,avatarUrl\"", "\"a.bC\""],
        ),
        Kind::Message(fields) => object(random, fields(), depth + 1),
    }
}

fn object(random: &mut StdRng, fields: &[Field], depth: usize) -> String {
    let mut members = Vec::new();
    for field in fields {
        if depth > 3 || random.random_bool(0.5) {
            continue;
        }
        let name = if random.random_bool(0.8) {
            field.json_name
        } else {
            field.name
        };
        let json = if random.random_bool(0.05) {
            "null".to_owned()
        } else if field.is_list && random.random_bool(0.95) {
            let items = (0..random.random_range(0..3)).map(|_| value(random, field.kind, depth));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        } else {
            value(random, field.kind, depth)
        };
        members.push(format!("\"{name}\": {json}"));
    }
    if random.random_bool(0.03)
        && let Some(member) = members.first()
    {
        members.push(member.clone());
    }
    if random.random_bool(0.1) {
        members.push(r#""later": {"a": [null, 1]}"#.to_owned());
    }
    format!("{{{}}}", members.join(", "))
}

/// Runs a command to its end; what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The other implementation, of its version a folder.
fn package(folder: &Path) -> PathBuf {
    let target = folder.join(PACKAGE);
    if !target.join("google").exists() {
        let unfinished = folder.join(format!("{PACKAGE}-{}", std::process::id()));
        run(Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--target",
            ])
            .arg(&unfinished)
            .arg(PACKAGE));
        // Whoever came first is as good.
        let _ = fs::rename(&unfinished, &target);
    }
    target
}

#[test]
fn json_means_what_it_means_to_another_implementation() {
    let subjects = [
        subject::<v1::SendMessageRequest>("chat.v1.SendMessageRequest"),
        subject::<v1::ListMessagesRequest>("chat.v1.ListMessagesRequest"),
        subject::<v1::SyncConversationsRequest>("chat.v1.SyncConversationsRequest"),
        subject::<v1::UpsertProfileRequest>("chat.v1.UpsertProfileRequest"),
        subject::<v1::RespondToFriendRequestRequest>("chat.v1.RespondToFriendRequestRequest"),
        subject::<v1::LiveRequest>("chat.v1.LiveRequest"),
        subject::<v1::LiveEvent>("chat.v1.LiveEvent"),
        subject::<v1::ListMessagesResponse>("chat.v1.ListMessagesResponse"),
        subject::<v1::SyncConversationsResponse>("chat.v1.SyncConversationsResponse"),
        subject::<v1::CreateGroupRequest>("chat.v1.CreateGroupRequest"),
        subject::<v1::UpdateGroupRequest>("chat.v1.UpdateGroupRequest"),
    ];
    let mut random = StdRng::seed_from_u64(7);
    let cases: Vec<(&Subject, String)> = (0..CASES)
        .map(|_| {
            let subject = subjects.choose(&mut random).unwrap();
            (subject, object(&mut random, subject.fields, 0))
        })
        .collect();

    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("json");
    fs::create_dir_all(&folder).unwrap();
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = ["user", "friend", "conversation", "group_service", "message", "live"]
        .map(|name| proto.join(format!("chat/v1/{name}.proto")));
    let descriptors = protox::compile(files, [&proto]).unwrap();
    fs::write(folder.join("descriptors"), descriptors.encode_to_vec()).unwrap();
    let lines = cases
        .iter()
        .map(|(subject, text)| serde_json::json!([subject.name, text]).to_string());
    fs::write(folder.join("cases"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    let told = run(Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/json_format.py"))
        .arg(folder.join("descriptors"))
        .arg(folder.join("cases"))
        .env("PYTHONPATH", package(&folder)));

    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told.len(), cases.len());
    let read = told.iter().filter(|told| **told != "-").count();
    assert!((CASES / 4..CASES).contains(&read), "{read} of {CASES} are right");
    for ((subject, text), told) in cases.iter().zip(told) {
        assert_eq!(
            (subject.read)(text),
            (subject.rewrite)(told),
            "{}: {text}",
            subject.name
        );
    }
}
