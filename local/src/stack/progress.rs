//! What the person sees while something long happens: spinners on a terminal, plain lines elsewhere.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// All the steps that are shown together. Everything goes to standard error, which leaves standard output to results.
#[derive(Clone)]
pub struct Progress {
    spinners: Option<MultiProgress>,
}

impl Progress {
    /// Spinners when standard error is a terminal, plain lines when it is not.
    pub fn new() -> Self {
        Self {
            spinners: std::io::stderr().is_terminal().then(MultiProgress::new),
        }
    }

    /// Starts showing a step; `name` stays in front of everything that is said about it.
    pub fn step(&self, name: &'static str) -> Step {
        let spinner = self.spinners.as_ref().map(|spinners| {
            let style = ProgressStyle::with_template("{spinner} {prefix}: {msg} {elapsed:.dim}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let spinner = spinners.add(ProgressBar::new_spinner().with_style(style).with_prefix(name));
            spinner.enable_steady_tick(TICK);
            spinner
        });
        Step {
            name,
            spinner,
            started: Instant::now(),
        }
    }

    /// Prints a line above the spinners.
    pub fn line(&self, text: impl Display) {
        match &self.spinners {
            Some(spinners) => spinners.suspend(|| write_line(&text)),
            None => write_line(&text),
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// One step: a server that starts, a build. It ends with `done`, or silently when dropped.
pub struct Step {
    name: &'static str,
    spinner: Option<ProgressBar>,
    started: Instant,
}

impl Step {
    /// Says what is being done now.
    pub fn say(&self, message: impl Display) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(message.to_string()),
            None => write_line(&format_args!("{}: {message}", self.name)),
        }
    }

    /// Says how it ended, with the seconds that it took.
    pub fn done(self, message: impl Display) {
        let line = format!(
            "{}: {message} ({:.1} s)",
            self.name,
            self.started.elapsed().as_secs_f64()
        );
        match &self.spinner {
            Some(spinner) => {
                spinner.finish_and_clear();
                spinner.suspend(|| write_line(&line));
            }
            None => write_line(&line),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// Progress that nobody can read any more (a closed pipe) is no reason to stop.
fn write_line(text: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
