//! Every operation has the tests that each must have, and says what it costs.

use std::collections::BTreeSet;
use std::path::Path;

use chat_local::contract::Rpc;
use chat_local::names::words;
use chat_local::obligations::Obligation;

use crate::deployment::OPEN_RPC;
use crate::{root, rpcs};

/// The sources of an operation's tests: those of its file, and those beside it.
fn tests_of(rpc: &Rpc) -> String {
    let source = root().join("functions").join(&rpc.folder).join("src");
    let name = words(&rpc.name, '_');
    let mut text = std::fs::read_to_string(source.join(format!("{name}.rs"))).unwrap();
    read_all(&source.join(name), &mut text);
    text
}

fn read_all(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, text);
        } else {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Whether the name of a test that is run says this.
fn has_test(tests: &str, word: &str) -> bool {
    let lines: Vec<&str> = tests.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| {
        let [attribute, function] = pair else { return false };
        let name = function
            .trim_start_matches("async ")
            .strip_prefix("fn ")
            .unwrap_or_default();
        (*attribute == "#[test]" || attribute.starts_with("#[tokio::test")) && name.contains(word)
    })
}

#[test]
fn every_operation_has_the_tests_that_each_must_have() {
    let mut missing = Vec::new();
    for rpc in rpcs().iter().filter(|rpc| rpc.path != OPEN_RPC) {
        let tests = tests_of(rpc);
        // What calls of the registry cost is counted with the registry's own tests.
        let calls_databases = tests.contains("Postgres") || tests.contains("Timeline");
        for due in Obligation::of(rpc) {
            if !has_test(&tests, due.word()) && (due != Obligation::Costs || calls_databases) {
                missing.push(format!("{} has no test that says `{}`: {due:?}", rpc.name, due.word()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_operation_says_what_it_costs() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, costs) = text.split_once("\n## Round trips\n").unwrap();
    let costs = costs.split("\n## ").next().unwrap_or_default();
    let named: BTreeSet<&str> = costs
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .flat_map(|operations| operations.split(|letter: char| !letter.is_ascii_alphanumeric()))
        .collect();
    let missing: Vec<String> = rpcs()
        .into_iter()
        .filter(|rpc| rpc.path != OPEN_RPC && !named.contains(rpc.name.as_str()))
        .map(|rpc| rpc.name)
        .collect();
    assert!(
        missing.is_empty(),
        "\"Round trips\" of ARCHITECTURE.md lacks {missing:?}"
    );
}
