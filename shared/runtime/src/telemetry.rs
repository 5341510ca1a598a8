//! Log lines on Lambda: JSON on stdout, one object each.

use std::panic::PanicHookInfo;

use chat_operation::{Settings, SettingsError};
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const DIRECTIVES: &str = "log directives such as info or chat_rpc=debug,warn";

/// What the names of our crates begin with.
const OUR_CRATES: &str = "chat_";

/// Sets the process's logging up, by `RUST_LOG`; `info` when it is not set. Of other crates than ours, nothing below
/// `info` is logged, whatever it says.
pub(crate) fn init(settings: &Settings) -> Result<(), SettingsError> {
    let filter =
        EnvFilter::try_new(settings.get("RUST_LOG").unwrap_or("info")).map_err(|error| SettingsError::Invalid {
            name: "RUST_LOG",
            expected: DIRECTIVES,
            problem: error.to_string(),
        })?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_env_filter(filter)
        .finish()
        .with(filter_fn(is_harmless))
        .init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Whether it is sure that a line holds neither texts nor tokens. Below `info`, clients and Lambda's runtime log whole
/// events, requests and answers; ours never do.
fn is_harmless(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || line.target().starts_with(OUR_CRATES)
}

/// Says where a panic happened, and not what it says: that may hold data of users.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(location, "panicked");
}
