//! The Rust of the contract.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use prost_build::{Service, ServiceGenerator};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, OneofDescriptorProto};
use protox::prost::Message as _;

pub(crate) const TAKES_ALL: &str = "a String takes all that is written";

/// Generates, for every RPC, the link from its request type to its response and path.
struct RpcGenerator;

impl ServiceGenerator for RpcGenerator {
    fn generate(&mut self, service: Service, out: &mut String) {
        let service_name = format!("{}.{}", service.package, service.proto_name);
        for method in service.methods {
            writeln!(
                out,
                "impl crate::Rpc for {request} {{\n    type Response = {response};\n    const SERVICE: &'static str = \"{service_name}\";\n    \
                 const NAME: &'static str = \"{name}\";\n    const PATH: &'static str = \"/{service_name}/{name}\";\n}}",
                request = method.input_type,
                response = method.output_type,
                name = method.proto_name,
            )
            .expect(TAKES_ALL);
        }
    }
}

/// The tables by which JSON is read.
fn json_tables(file: &FileDescriptorProto) -> String {
    let mut out = String::new();
    for message in &file.message_type {
        assert!(
            message.nested_type.is_empty(),
            "{}: nested messages have no tables",
            message.name()
        );
        writeln!(out, "impl crate::json::Schema for {} {{", message.name()).expect(TAKES_ALL);
        writeln!(out, "    const FIELDS: &'static [crate::json::Field] = &[").expect(TAKES_ALL);
        for field in &message.field {
            let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
            let oneof = oneof.and_then(|index| message.oneof_decl.get(usize::try_from(index).expect("an index")));
            writeln!(
                out,
                "        crate::json::Field {{ tag: {tag}, name: \"{name}\", json_name: \"{json_name}\", is_list: {is_list}, \
                 oneof: {oneof:?}, kind: crate::json::Kind::{kind} }},",
                tag = field.number(),
                name = field.name(),
                json_name = field.json_name(),
                is_list = field.label() == Label::Repeated,
                oneof = oneof.map(OneofDescriptorProto::name),
                kind = kind(field),
            )
            .expect(TAKES_ALL);
        }
        writeln!(out, "    ];\n}}").expect(TAKES_ALL);
    }
    out
}

fn kind(field: &FieldDescriptorProto) -> String {
    let name = || {
        // The package is that of the file; an enum may be of a message.
        let path = field.type_name().rsplit_once(".v1.").map_or("", |(_, path)| path);
        match path.split_once('.') {
            Some((message, name)) => format!("{}::{name}", snake_case(message)),
            None => path.to_owned(),
        }
    };
    match (field.r#type(), field.type_name()) {
        (_, ".google.protobuf.Timestamp") => "Timestamp".to_owned(),
        (_, ".google.protobuf.Duration") => "Duration".to_owned(),
        (_, ".google.protobuf.FieldMask") => "FieldMask".to_owned(),
        (Type::Bool, _) => "Bool".to_owned(),
        (Type::String, _) => "String".to_owned(),
        (Type::Int32, _) => "Int32".to_owned(),
        (Type::Int64, _) => "Int64".to_owned(),
        (Type::Enum, _) => format!("Enum(|name| {}::from_str_name(name).map(i32::from))", name()),
        (Type::Message, _) => format!("Message(|| <{} as crate::json::Schema>::FIELDS)", name()),
        (other, _) => panic!("{}: src/json.rs does not read {other:?}", field.name()),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for char in name.chars() {
        if char.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

/// What is generated for reading JSON is left out: `src/json.rs` reads it.
fn without_reading(text: &str) -> String {
    let mut kept = String::new();
    let mut is_read = false;
    for line in text.lines() {
        is_read |= line.starts_with("impl<'de> serde::Deserialize<'de>");
        if !is_read {
            kept.push_str(line);
            kept.push('\n');
        }
        is_read &= line != "}";
    }
    kept
}

/// The files of `src/generated`, by name.
pub(crate) fn generate(descriptors: &FileDescriptorSet) -> BTreeMap<String, String> {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("contract");
    fs::create_dir_all(&out).expect("the target folder is writable");
    prost_build::Config::new()
        .out_dir(&out)
        .extern_path(".google.protobuf", "::pbjson_types")
        .extern_path(".google.protobuf.Timestamp", "crate::Timestamp")
        .extern_path(".google.protobuf.FieldMask", "crate::FieldMask")
        .compile_well_known_types()
        .service_generator(Box::new(RpcGenerator))
        .compile_fds(descriptors.clone())
        .expect("the descriptors generate");
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors.encode_to_vec())
        .expect("the descriptors are valid")
        .extern_path(".google.protobuf", "::pbjson_types")
        .extern_path(".google.protobuf.Timestamp", "crate::Timestamp")
        .extern_path(".google.protobuf.FieldMask", "crate::FieldMask")
        .ignore_unknown_fields()
        .out_dir(&out)
        .build(&[".chat", ".grpc"])
        .expect("the JSON mapping generates");

    let mut tables: BTreeMap<&str, String> = BTreeMap::new();
    for file in &descriptors.file {
        if file.package().starts_with("google.") {
            continue;
        }
        tables.entry(file.package()).or_default().push_str(&json_tables(file));
    }
    for (package, tables) in tables {
        fs::write(out.join(format!("{package}.json.rs")), tables).expect("the target folder is writable");
    }

    fs::read_dir(&out)
        .expect("the target folder is readable")
        .map(|entry| entry.expect("the target folder is readable").path())
        .map(|path| {
            let name = path
                .file_name()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned();
            let mut text = fs::read_to_string(&path).expect("generated text is UTF-8");
            if name.ends_with(".serde.rs") {
                text = without_reading(&text);
            }
            (
                name,
                format!("// @generated from proto/ by `cargo test --workspace --test contract`.\n{text}"),
            )
        })
        // Well-known types are of other crates, and google.api is read by tools alone.
        .filter(|(name, _)| name.starts_with("chat.") || name.starts_with("grpc."))
        .collect()
}
