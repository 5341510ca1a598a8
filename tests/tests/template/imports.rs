//! Keeps the layout's rules, from what the manifests declare and what `Cargo.lock` holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use crate::{root, workspace_packages};

/// Does input or output, or knows a wire: not for pure rules.
const OUTSIDE_WORLD: &[&str] = &[
    "aws-sdk-apigatewaymanagement",
    "aws-sdk-dynamodb",
    "aws_lambda_events",
    "axum",
    "http",
    "hyper",
    "lambda_http",
    "lambda_runtime",
    "mongodb",
    "prost",
    "reqwest",
    "sqlx",
    "tokio",
    "tonic",
    "tower",
];

/// Second TLS libraries, and what drags them in. `deny.toml` bans the same and says why.
const BANNED: &[&str] = &[
    "aws-config",
    "aws-lc-fips-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
];

struct Package {
    folder: String,
    /// What it links, tests and build scripts apart.
    imports: BTreeSet<String>,
}

impl Package {
    fn imports_any(&self, names: &[&str]) -> Vec<String> {
        self.imports
            .iter()
            .filter(|import| names.contains(&import.as_str()))
            .cloned()
            .collect()
    }

    fn ours(&self) -> Vec<&str> {
        self.imports
            .iter()
            .map(String::as_str)
            .filter(|import| import.starts_with("chat-"))
            .collect()
    }
}

fn packages() -> BTreeMap<String, Package> {
    let root = root();
    workspace_packages()
        .iter()
        .map(|package| {
            let manifest = std::path::Path::new(package["manifest_path"].as_str().unwrap());
            let folder = manifest
                .strip_prefix(&root)
                .unwrap()
                .parent()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let imports = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            (
                package["name"].as_str().unwrap().to_owned(),
                Package { folder, imports },
            )
        })
        .collect()
}

#[test]
fn the_domain_is_pure_rules() {
    let domain = &packages()["chat-domain"];
    assert_eq!(
        domain.ours(),
        <[&str; 0]>::default(),
        "chat-domain imports none of our crates"
    );
    assert_eq!(
        domain.imports_any(OUTSIDE_WORLD),
        <[&str; 0]>::default(),
        "chat-domain does no input or output"
    );
}

#[test]
fn the_contract_imports_none_of_our_crates() {
    assert_eq!(packages()["chat-contract"].ours(), <[&str; 0]>::default());
}

#[test]
fn the_client_stands_on_the_contract_alone() {
    assert_eq!(packages()["chat-client"].ours(), ["chat-contract"]);
}

#[test]
fn stores_never_see_the_contract() {
    let imports = packages()["chat-stores"].imports_any(&["chat-contract", "chat-rpc", "prost", "tonic"]);
    assert_eq!(
        imports,
        <[&str; 0]>::default(),
        "what the stores hold does not change with the wire"
    );
}

#[test]
fn neither_the_wire_nor_what_an_operation_is_knows_a_store() {
    for name in ["chat-rpc", "chat-operation", "chat-runtime"] {
        let imports = packages()[name].imports_any(&["chat-stores", "chat-view", "sqlx", "mongodb"]);
        assert_eq!(
            imports,
            <[&str; 0]>::default(),
            "{name}: an edit of a store would rebuild it"
        );
    }
    let imports = packages()["chat-operation"].imports_any(&["chat-rpc", "chat-delivery", "tower", "http"]);
    assert_eq!(imports, <[&str; 0]>::default(), "who implements an RPC needs no wire");
    for (name, package) in packages() {
        if package.folder.starts_with("functions/") {
            assert_eq!(
                package.imports_any(&["chat-rpc"]),
                <[&str; 0]>::default(),
                "{name}: chat-runtime serves it"
            );
        }
    }
}

#[test]
fn only_the_runtime_knows_the_lambda_runtime() {
    for (name, package) in packages() {
        if name != "chat-runtime" {
            let imports = package.imports_any(&["lambda_http", "lambda_runtime", "lambda_runtime_api_client"]);
            assert_eq!(imports, <[&str; 0]>::default(), "{name}: leave it to chat-runtime");
        }
    }
}

#[test]
fn shared_crates_never_import_functions_and_functions_never_import_each_other() {
    let packages = packages();
    for (name, package) in &packages {
        if package.folder == "local" || package.folder == "tests" {
            continue;
        }
        for import in package.ours() {
            let folder = &packages[import].folder;
            assert!(
                folder.starts_with("shared/"),
                "{name} imports {import} of {folder}; share it in shared/ instead"
            );
        }
    }
}

/// Or a function could call what no role of it allows.
#[test]
fn functions_call_databases_and_aws_by_the_shared_clients_only() {
    for (name, package) in packages() {
        if package.folder.starts_with("functions/") {
            let clients = [
                "aws-sdk-dynamodb",
                "aws-sdk-apigatewaymanagement",
                "sqlx",
                "mongodb",
                "hyper",
                "reqwest",
            ];
            assert_eq!(package.imports_any(&clients), <[&str; 0]>::default(), "{name}");
        }
    }
}

#[test]
fn functions_never_import_what_is_for_tests_and_clients() {
    for (name, package) in packages() {
        if package.folder.starts_with("functions/") {
            let imports = package.imports_any(&["chat-client", "chat-testing"]);
            assert_eq!(imports, <[&str; 0]>::default(), "{name} would ship it");
        }
    }
}

#[test]
fn ring_is_the_only_tls_provider() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let locked: BTreeSet<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    assert!(locked.contains("ring"), "Cargo.lock was not understood");
    for banned in BANNED {
        assert!(
            !locked.contains(banned),
            "{banned} is in Cargo.lock: `cargo tree -i {banned}` says through what"
        );
    }
}

/// What is built in vain costs a link for each operation; what is not built is never run.
#[test]
fn what_has_tests_is_tested_and_nothing_else() {
    let mut wrong = Vec::new();
    for package in workspace_packages() {
        for target in package["targets"].as_array().unwrap() {
            let is_library = target["kind"] == json!(["lib"]) || target["kind"] == json!(["proc-macro"]);
            if !is_library && target["kind"] != json!(["bin"]) {
                continue;
            }
            let source = Path::new(target["src_path"].as_str().unwrap());
            let mut text = String::new();
            if is_library {
                sources(source.parent().unwrap(), &mut text);
            } else {
                text = std::fs::read_to_string(source).unwrap();
            }
            let has_tests = text.contains("#[test]") || text.contains("#[tokio::test");
            let has_examples = is_library && text.lines().any(is_example);
            for (what, is_said, is_there) in [
                ("test", &target["test"], has_tests),
                ("doctest", &target["doctest"], has_examples),
            ] {
                if *is_said != is_there {
                    wrong.push(format!(
                        "{what} = {is_there} for {} of {}",
                        target["name"], package["name"]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "say in the manifests: {wrong:#?}");
}

/// The opening of an example that documentation shows and that is run.
fn is_example(line: &str) -> bool {
    let line = line.trim_start();
    let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"));
    text.is_some_and(|text| text.trim_start().starts_with("```"))
}

/// What a library is made of: all files below a folder, but for those of binaries.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("bin") {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("main.rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
