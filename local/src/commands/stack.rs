//! `cargo chat stack`: databases for tests, for as long as one likes.

use std::io::Write;
use std::process::ExitCode;

use super::environment::Environment;
use super::error::CommandError;
use super::signals::stop_token;
use super::testbed::Testbed;
use crate::stack::Progress;

pub(super) async fn run(environment: &Environment) -> Result<ExitCode, CommandError> {
    let stop = stop_token()?;
    let progress = Progress::new();
    let mut testbed = Testbed::open(environment, &progress, &stop).await?;
    let mut exports = String::new();
    for (name, value) in testbed.endpoints().variables() {
        exports.extend(["export ", name, "=", &quote(&value), "\n"]);
    }
    // Whoever reads them may have gone after the last one; the databases stay all the same.
    let _ = std::io::stdout().write_all(exports.as_bytes());
    progress.line("The databases run until Ctrl-C.");
    let result = tokio::select! {
        () = stop.cancelled() => Ok(ExitCode::SUCCESS),
        error = testbed.keep(&progress) => Err(error.into()),
    };
    stop.cancel();
    testbed.close(&progress, &stop).await;
    result
}

/// A value as one word of a shell.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_value_stays_inside_the_word() {
        assert_eq!(quote("postgres://a:b'c@h/d"), r"'postgres://a:b'\''c@h/d'");
    }
}
