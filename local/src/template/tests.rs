//! What cannot be deployed is said when the template is written.

use std::marker::PhantomData;
use std::time::Instant;

use chat_operation::{FromSettings, Grant, Settings, SettingsError};
use chat_runtime::{EventError, EventHandler, Function, Trigger};
use serde::de::IgnoredAny;

use super::*;

/// A function that is made of a `T`.
struct Made<T>(PhantomData<T>);

impl<T: FromSettings> FromSettings for Made<T> {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        T::from_settings(settings).map(|_| Self(PhantomData))
    }
}

impl<T: FromSettings + Send + Sync + 'static> EventHandler for Made<T> {
    type Event = IgnoredAny;
    type Answer = ();

    async fn call(&self, _: IgnoredAny, _: Instant) -> Result<(), EventError> {
        Ok(())
    }
}

struct Nothing;

impl FromSettings for Nothing {
    fn from_settings(_: &Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }
}

/// Asks for what nobody gives.
struct Pins;

impl FromSettings for Pins {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        settings.require("PINS_TABLE", "a table").map(|_| Self)
    }
}

/// Would do without what nobody gives.
struct PinsIfAny;

impl FromSettings for PinsIfAny {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        settings.get("PINS_TABLE");
        Ok(Self)
    }
}

/// Calls something that a setting does not lead to.
struct Caller;

impl FromSettings for Caller {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let read = [Grant::of("secretsmanager:GetSecretValue")];
        settings.require_granted("CONTENT_KEY", "a key", &read).map(|_| Self)
    }
}

/// Calls a part of the table and all of it.
struct Parts;

impl FromSettings for Parts {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let query = Grant {
            action: "dynamodb:Query",
            path: "index/by-day",
        };
        let calls = [Grant::of("dynamodb:PutItem"), query, Grant::of("dynamodb:GetItem")];
        settings.require_granted("LIVE_TABLE", "a table", &calls).map(|_| Self)
    }
}

const fn function<T: FromSettings + Send + Sync + 'static>() -> Function {
    Function::event::<Made<T>>("pin-message", Trigger::SocketRoute("$default"))
}

/// The stack of these functions.
fn written(functions: &'static [Function]) -> Result<String, TemplateError> {
    let service = Service { name: "pin", functions };
    let head = format!("Resources:\n{BEGIN}stale\n{END}Outputs:\n");
    let mut files = render(&head, &[service], Target::Aws)?;
    let head = files.pop().unwrap();
    assert_eq!(head.path, HEAD);
    assert!(
        head.text.contains("  PinStack:\n") && !head.text.contains("stale"),
        "{}",
        head.text
    );
    Ok(files.pop().unwrap().text)
}

fn error(functions: &'static [Function]) -> String {
    written(functions).unwrap_err().to_string()
}

#[test]
fn a_setting_that_nobody_gives_is_named_with_the_function_and_what_to_do() {
    let expected = "pin-message asks for PINS_TABLE; say in local/src/template/settings.rs where it comes from";
    assert_eq!(error(const { &[function::<Pins>()] }), expected);
    assert_eq!(error(const { &[function::<PinsIfAny>()] }), expected);
    let expected = "pin-message calls secretsmanager:GetSecretValue on what CONTENT_KEY leads to, which has no ARN in \
                    local/src/template/settings.rs";
    assert_eq!(error(const { &[function::<Caller>()] }), expected);
}

#[test]
fn a_function_is_given_what_it_asks_for_and_nothing_else() {
    let nothing = written(const { &[function::<Nothing>()] }).unwrap();
    let environment = "        Variables:\n          RUST_LOG: !Ref LogLevel\n\n";
    assert!(nothing.contains(environment), "{nothing}");
    assert!(
        !nothing.contains("VpcConfig") && !nothing.contains("dynamodb"),
        "{nothing}"
    );
    let parts = written(const { &[function::<Parts>()] }).unwrap();
    let whole = "Action: [dynamodb:GetItem, dynamodb:PutItem]
                Resource: !Sub arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${LiveTable}\n";
    let part = "Action: [dynamodb:Query]
                Resource: !Sub arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${LiveTable}/index/by-day\n";
    assert!(parts.contains(whole) && parts.contains(part), "{parts}");
}

/// Functions of these names.
fn functions(names: impl Iterator<Item = String>) -> &'static [Function] {
    names
        .map(|name| Function::event::<Made<Nothing>>(name.leak(), Trigger::SocketRoute("$default")))
        .collect::<Vec<_>>()
        .leak()
}

#[test]
fn more_functions_than_a_policy_takes_are_refused() {
    let problem = error(functions((0..60).map(|number| format!("pin-{number}"))));
    assert!(
        problem.starts_with("the policy of GatewayRole has about 12000 bytes"),
        "{problem}"
    );
}

#[test]
fn two_functions_of_one_name_are_refused() {
    let problem = error(functions(["pin", "unpin", "pin"].map(str::to_owned).into_iter()));
    assert_eq!(
        problem,
        "functions/pin and functions/pin both have pin, which is one program and one function of AWS: rename one"
    );
}

#[test]
fn a_head_without_its_marks_is_refused() {
    let problem = render("Resources:\n", &[], Target::Aws).unwrap_err().to_string();
    assert_eq!(
        problem,
        format!(
            "template.yaml lacks the line `{}`, which marks what is written",
            BEGIN.trim()
        )
    );
}

#[test]
fn resources_are_left_out_by_their_type_with_all_that_is_theirs() {
    let template = "Resources:
  # Of the first.
  First:
    Type: AWS::A
    Properties:
      X: 1

  Second:
    Type: AWS::B
    Properties:
      Y: 2
  # Of the third.
  Third:
    Type: AWS::A

Outputs:
  Second:
    Value: 1
";
    let expected = template.replace("  Second:\n    Type: AWS::B\n    Properties:\n      Y: 2\n", "");
    assert_eq!(without(template, &["AWS::B"]), expected);
}
