//! The functions that the code offers are those of `template.yaml`, and start with exactly what it tells them.

use std::collections::{BTreeMap, BTreeSet};

use chat_operation::Settings;
use chat_runtime::{Function, Trigger};
use serde_json::json;

use crate::deployment::{environment, function_names, reference, rpcs, words};
use crate::document::template;

/// What Lambda tells every function by itself.
const GIVEN_BY_LAMBDA: &[(&str, &str)] = &[
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "example"),
    ("AWS_SECRET_ACCESS_KEY", "example"),
    ("AWS_SESSION_TOKEN", "example"),
];

/// Have defaults, which are for the local stack.
const OPTIONAL: [&str; 2] = [MONGODB_DATABASE, "USER_BUDGET_FACTOR"];
const MONGODB_DATABASE: &str = "MONGODB_DATABASE";

/// Not read before they are used, as that happens once in the life of a migration, which then names what is missing.
const READ_LATER: [(&str, &str); 3] = [
    ("migrate", "DATABASE_URL"),
    ("migrate", "FUNCTIONS_DATABASE_URL"),
    ("migrate", "HEALTH_DATABASE_URL"),
];

pub(crate) fn functions() -> BTreeMap<&'static str, Function> {
    chat_local::functions()
        .into_iter()
        .map(|function| (function.name(), function))
        .collect()
}

/// A value of the right form for a variable of the template.
fn example(variable: &str) -> &'static str {
    match variable {
        "DATABASE_URL" | "FUNCTIONS_DATABASE_URL" | "HEALTH_DATABASE_URL" => {
            "postgres://chat:secret@127.0.0.1:9/chat?sslmode=verify-full"
        }
        "MONGODB_URI" => "mongodb://chat:secret@127.0.0.1:9/?tls=true",
        "MONGODB_DATABASE" => "chat",
        "USER_BUDGET_FACTOR" => "1",
        "LIVE_TABLE" => "chat-LiveTable",
        "LIVE_ENDPOINT" => "https://example.execute-api.eu-west-1.amazonaws.com/live",
        "LIVE_URL" => "wss://example.execute-api.eu-west-1.amazonaws.com/live",
        // As Secrets Manager makes it: 64 letters and digits.
        "TICKET_KEY" | "CONTENT_KEY" => "9mXk2vQb7RtZ4wLs1HyNc8GdJf5PoTa3UeKi6VrBqWxYzMnDhSgCjEpAlFuOIv0q",
        other => panic!("nothing is known about {other}"),
    }
}

fn settings<'a>(variables: impl IntoIterator<Item = &'a str>) -> Settings {
    let base = GIVEN_BY_LAMBDA
        .iter()
        .fold(Settings::default(), |settings, (name, value)| {
            settings.with(name, *value)
        });
    variables
        .into_iter()
        .fold(base, |settings, name| settings.with(name, example(name)))
}

/// The template's name of a function: `SendMessage` for `send-message`.
fn logical_name(function: &str) -> String {
    function_names()
        .into_iter()
        .find(|name| words(name, '-') == function)
        .unwrap_or_default()
}

#[test]
fn the_code_offers_every_function_of_the_template() {
    let offered: BTreeSet<String> = functions().into_keys().map(str::to_owned).collect();
    let expected: BTreeSet<String> = function_names().iter().map(|name| words(name, '-')).collect();
    assert_eq!(offered, expected);
}

#[test]
fn every_function_is_triggered_as_the_code_says() {
    let (template, _) = template();
    let resources = &template["Resources"];
    let paths: BTreeSet<String> = rpcs().into_iter().map(|rpc| rpc.path).collect();
    for (function, definition) in functions() {
        let name = logical_name(function);
        let route = &resources[format!("{name}Route")]["Properties"];
        match definition.trigger() {
            Trigger::Rpc { path, public } => {
                assert!(paths.contains(path), "{path} is no RPC of proto/");
                assert_eq!(route["RouteKey"], format!("POST {path}"));
                let authorization = if public { "NONE" } else { "JWT" };
                assert_eq!(route["AuthorizationType"], authorization, "{function}");
            }
            Trigger::SocketRoute(key) => {
                assert_eq!(route["RouteKey"], key);
                assert_eq!(route["ApiId"], reference("LiveApi"), "{function}");
            }
            Trigger::SocketAuthorizer | Trigger::Deployment => assert_eq!(*route, json!(null), "{function}"),
        }
    }
}

#[test]
fn every_function_starts_with_what_the_template_tells_it() {
    let (template, _) = template();
    for (function, definition) in functions() {
        let variables = environment(&template, &logical_name(function));
        let settings = settings(variables.keys().map(String::as_str));
        if let Err(error) = definition.environment(&settings) {
            panic!("{function} does not start: {error}");
        }
    }
}

#[test]
fn every_function_that_uses_mongodb_is_told_its_database() {
    let (template, _) = template();
    for function in functions().into_keys() {
        let variables = environment(&template, &logical_name(function));
        assert_eq!(
            variables.contains_key(MONGODB_DATABASE),
            variables.contains_key("MONGODB_URI"),
            "{function}"
        );
    }
}

#[test]
fn no_function_starts_without_what_the_template_tells_it() {
    let (template, _) = template();
    for (function, definition) in functions() {
        let variables = environment(&template, &logical_name(function));
        for left_out in variables.keys() {
            if OPTIONAL.contains(&left_out.as_str()) || READ_LATER.contains(&(function, left_out.as_str())) {
                continue;
            }
            let others = variables.keys().filter(|variable| *variable != left_out);
            let settings = settings(others.map(String::as_str));
            let error = definition.environment(&settings).err();
            let error = error
                .unwrap_or_else(|| panic!("{function} has no use for {left_out}: do not tell it"))
                .to_string();
            assert!(
                error.contains(left_out.as_str()),
                "{function} without {left_out}: {error}"
            );
        }
    }
}
