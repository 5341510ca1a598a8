//! Keeps the generated Rust true to `proto/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use prost_build::{Service, ServiceGenerator};
use protox::prost::Message as _;

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
            .expect("a String takes all that is written");
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn proto_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("proto/ is readable") {
        let path = entry.expect("proto/ is readable").path();
        if path.is_dir() {
            proto_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    found.sort();
}

fn generate() -> BTreeMap<String, String> {
    let proto = root().join("proto");
    let mut files = Vec::new();
    proto_files(&proto, &mut files);
    let descriptors = protox::compile(&files, [&proto]).expect("proto/ compiles");

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

    fs::read_dir(&out)
        .expect("the target folder is readable")
        .map(|entry| entry.expect("the target folder is readable").path())
        .map(|path| {
            let name = path
                .file_name()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned();
            let text = fs::read_to_string(&path).expect("generated text is UTF-8");
            (
                name,
                format!("// @generated from proto/ by `cargo test --package chat-contract`.\n{text}"),
            )
        })
        .filter(|(name, _)| name.starts_with("chat.") || name.starts_with("grpc."))
        .collect()
}

#[test]
fn the_generated_code_is_what_proto_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let mut stale = Vec::new();
    for (name, text) in generate() {
        let path = folder.join(&name);
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            fs::write(&path, text).expect("src/generated is writable");
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} did not match proto/ and have been written anew: look at them and commit them"
    );
}
