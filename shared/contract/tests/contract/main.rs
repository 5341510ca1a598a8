//! Keeps true to `proto/` what is made from it.

mod reference;
mod rest;
mod rust;

use std::fs;
use std::path::{Path, PathBuf};

use protox::Compiler;
use protox::prost_reflect::{DescriptorPool, MethodDescriptor};

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

/// All of `proto/`, with comments and options.
fn compile() -> Compiler {
    let proto = root().join("proto");
    let mut files = Vec::new();
    proto_files(&proto, &mut files);
    let mut compiler = Compiler::new([&proto]).expect("proto/ is a folder");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files).expect("proto/ compiles");
    compiler
}

/// Every RPC of ours: `grpc.health` has the form that its clients expect.
fn rpcs(pool: &DescriptorPool) -> impl Iterator<Item = MethodDescriptor> {
    let ours = pool
        .services()
        .filter(|service| service.package_name().starts_with("chat."));
    ours.flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// Writes the file anew if it does not have this text. Returns whether it did not.
fn renew(path: &Path, text: &str) -> bool {
    let is_stale = fs::read_to_string(path).ok().as_deref() != Some(text);
    if is_stale {
        fs::write(path, text).expect("the file is writable");
    }
    is_stale
}

#[test]
fn the_generated_code_is_what_proto_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let mut files = rust::generate(&compile().file_descriptor_set());
    files.retain(|name, text| renew(&folder.join(name), text));
    let stale: Vec<_> = files.into_keys().collect();
    assert!(
        stale.is_empty(),
        "{stale:?} did not match proto/ and have been written anew: look at them and commit them"
    );
}

#[test]
fn the_reference_is_what_proto_says() {
    let page = reference::markdown(&compile().descriptor_pool());
    let was_stale = renew(&root().join("docs/contract.md"), &page);
    assert!(
        !was_stale,
        "docs/contract.md did not match proto/ and has been written anew: look at it and commit it"
    );
}

#[test]
fn every_rpc_has_a_sound_form_in_rest() {
    let pool = compile().descriptor_pool();
    assert!(rpcs(&pool).count() > 0, "proto/ names no RPC");
    let faults = rest::faults(rpcs(&pool));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
