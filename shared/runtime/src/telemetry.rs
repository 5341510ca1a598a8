//! Log lines on Lambda: JSON on stdout, one object each.

use std::panic::PanicHookInfo;

use chat_stores::{Settings, SettingsError};
use tracing_subscriber::EnvFilter;

const DIRECTIVES: &str = "log directives such as info or chat_rpc=debug,warn";

/// Sets the process's logging up, by `RUST_LOG`; `info` when it is not set.
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
        .init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Says where a panic happened, and not what it says: that may hold data of users.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(location, "panicked");
}
