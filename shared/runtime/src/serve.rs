//! The `main` of a function's binary.

use std::fmt::Display;
use std::process::ExitCode;

use chat_operation::{FromSettings, Operation, Settings, SettingsError};
use lambda_runtime::Runtime;

use crate::delivery::{Delivery, InvocationLayer};
use crate::event::{EventHandler, EventService};
use crate::function::operation_name;
use crate::http::{self, HttpService};
use crate::telemetry;

/// What Lambda sets for every function and its client library insists on.
const LAMBDA_SETTINGS: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// `main` of an operation's binary: reads the environment, sets up telemetry, and serves the Lambda Runtime API.
///
/// A bad setting is one line on stderr and exit code 1.
pub fn serve_operation<O: Operation + FromSettings>() -> ExitCode {
    let function = const { operation_name::<O>() };
    serve(function, |settings| {
        let service = HttpService::<O>::new(settings)?;
        let layer = InvocationLayer {
            function: function.into(),
            delivery: service.delivery(),
        };
        Ok(async move { Runtime::new(http::function(service)).layer(layer).run().await })
    })
}

/// `main` of an event handler's binary, as [`serve_operation`] is of an operation's.
pub fn serve_event<H: EventHandler>() -> ExitCode {
    let function = event_function_name();
    serve(&function, |settings| {
        let service = EventService::<H>::new(settings)?;
        let layer = InvocationLayer {
            function: function.as_str().into(),
            delivery: Delivery::default(),
        };
        Ok(async move { Runtime::new(service).layer(layer).run().await })
    })
}

/// The name of the program: its file's, unless that is the one that Lambda prescribes.
fn event_function_name() -> String {
    let program = std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    match program {
        Some(program) if program != "bootstrap" => program,
        _ => std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "function".to_owned()),
    }
}

fn serve<F>(function: &str, build: impl FnOnce(&Settings) -> Result<F, SettingsError>) -> ExitCode
where
    F: Future<Output = Result<(), lambda_runtime::Error>>,
{
    // Names and values that are not text are none of ours.
    let settings: Settings = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let prepared = build(&settings).and_then(|serving| {
        for name in LAMBDA_SETTINGS {
            settings.require(
                name,
                "what Lambda sets it to; this program is a function and runs on Lambda only",
            )?;
        }
        telemetry::init(&settings)?;
        Ok(serving)
    });
    let serving = match prepared {
        Ok(serving) => serving,
        Err(error) => return fail(function, &error),
    };
    // One invocation at a time needs no second thread, and an environment rarely has a second core.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(function, &format!("cannot start the async runtime: {error}")),
    };
    match runtime.block_on(serving) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(function, &format!("the Lambda Runtime API failed: {error}")),
    }
}

fn fail(function: &str, error: &dyn Display) -> ExitCode {
    eprintln!("{function}: {error}");
    ExitCode::FAILURE
}
