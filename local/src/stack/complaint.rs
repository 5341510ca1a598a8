//! Why a program failed, in one line out of all that it said.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// As much of a log's end as is read. A crash report of mongod is long, and its reason comes before it.
const LOG_TAIL_BYTES: usize = 1024 * 1024;
/// Characters of a complaint, at most.
const CHARS_MAX: usize = 400;
/// Words that mark a line of text as an error.
const ERRORS: [&str; 6] = ["FATAL", "PANIC", "ERROR", "error:", "Error:", "Error parsing"];
/// What Postgres puts before its advice about the error of the line above.
const ADVICE: &str = "HINT:";

/// What a log says about the end of its server.
pub(super) async fn last_complaint(log: &Path) -> String {
    let text = tokio::fs::read(log).await.unwrap_or_default();
    let tail = text
        .get(text.len().saturating_sub(LOG_TAIL_BYTES)..)
        .unwrap_or_default();
    complaint(&String::from_utf8_lossy(tail))
}

/// The most telling line of a program's output: what mongod says led to its end, else the last error with the advice
/// that goes with it, else the last line.
pub(super) fn complaint(output: &str) -> String {
    let said = mongod_reason(output)
        .or_else(|| last_error(output))
        .or_else(|| lines(output).next_back().map(str::to_owned))
        .unwrap_or_else(|| "it said nothing".to_owned());
    // In one line, as everything that is shown to the person at the terminal.
    let mut line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn lines(output: &str) -> impl DoubleEndedIterator<Item = &str> {
    output.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn last_error(output: &str) -> Option<String> {
    let mut advice = None;
    for line in lines(output).rev() {
        if let Some((_, text)) = line.split_once(ADVICE) {
            advice = Some(text.trim());
        } else if ERRORS.iter().any(|word| line.contains(word)) && !line.starts_with('{') {
            return Some(advice.map_or_else(|| line.to_owned(), |advice| format!("{line}: {advice}")));
        } else if !line.contains("DETAIL:") {
            advice = None;
        }
    }
    None
}

/// A line of mongod's log, which is JSON.
#[derive(Deserialize)]
struct Entry {
    /// How bad it is.
    #[serde(rename = "s")]
    severity: Severity,
    #[serde(rename = "msg")]
    message: String,
    #[serde(rename = "attr", default)]
    attributes: Value,
}

#[derive(Deserialize, Eq, PartialEq)]
enum Severity {
    #[serde(rename = "F")]
    Fatal,
    #[serde(rename = "E")]
    Error,
    #[serde(other)]
    Less,
}

impl Entry {
    /// What its attributes say about the cause, in one of the forms that they have.
    fn detail(&self) -> Option<&str> {
        let error = self.attributes.get("error");
        let message = self.attributes.get("message");
        error
            .and_then(Value::as_str)
            .or_else(|| error?.get("errmsg")?.as_str())
            .or_else(|| message?.get("msg")?.as_str())
    }

    fn text(&self) -> String {
        let message = self.message.trim();
        self.detail()
            .map_or_else(|| message.to_owned(), |detail| format!("{message}: {detail}"))
    }
}

/// What led to the end of a mongod: the first fatal entry with a cause, since those after it tell only that it aborts;
/// else the last error; else the first fatal entry.
fn mongod_reason(output: &str) -> Option<String> {
    let entries: Vec<Entry> = lines(output)
        .filter(|line| line.starts_with('{'))
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|entry: &Entry| entry.severity != Severity::Less)
        .collect();
    let is_fatal = |entry: &&Entry| entry.severity == Severity::Fatal;
    entries
        .iter()
        .find(|entry| is_fatal(entry) && entry.detail().is_some())
        .or_else(|| entries.iter().rfind(|entry| !is_fatal(entry)))
        .or_else(|| entries.first())
        .map(Entry::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_log_is_its_complaint() {
        assert_eq!(
            complaint("LOG:  starting\nFATAL:  could not create lock file\nLOG:  database system is shut down\n"),
            "FATAL: could not create lock file"
        );
        assert_eq!(complaint("one\n\ntwo\n\n"), "two");
        assert_eq!(complaint(""), "it said nothing");
        let usage = "Error parsing command line: unrecognised option '--nonsense'\ntry 'mongod --help'\n";
        assert_eq!(
            complaint(usage),
            "Error parsing command line: unrecognised option '--nonsense'"
        );
    }

    #[test]
    fn the_advice_of_postgres_goes_with_its_error() {
        let log = concat!(
            "2026-11-26 20:40:00 UTC [7] FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\n",
            "2026-11-26 20:40:00 UTC [7] HINT:  Terminate any old server processes associated with data directory \"d\".\n",
            "2026-11-26 20:40:00 UTC [7] LOG:  database system is shut down\n",
        );
        assert_eq!(
            complaint(log),
            concat!(
                "2026-11-26 20:40:00 UTC [7] FATAL: pre-existing shared memory block (key 1, ID 2) is still in use: ",
                "Terminate any old server processes associated with data directory \"d\"."
            )
        );
        assert_eq!(
            complaint("HINT:  of another line\nLOG:  x\nERROR:  y\nLOG:  z"),
            "ERROR: y"
        );
    }

    #[test]
    fn a_mongod_log_gives_its_message_and_cause() {
        let log = concat!(
            r#"{"s":"I","msg":"Starting"}"#,
            "\n",
            r#"{"s":"E","msg":"Error setting up listener","attr":{"error":"Address already in use"}}"#,
            "\n",
            r#"{"s":"I","msg":"Now exiting"}"#,
        );
        assert_eq!(complaint(log), "Error setting up listener: Address already in use");
    }

    /// As mongod 6.0 wrote them, without what is not looked at.
    #[test]
    fn an_aborting_mongod_is_told_by_its_reason_and_not_by_its_abort() {
        let unreadable = r#"{"s":"F","msg":"Unable to read the storage engine metadata file","attr":{"error":{"code":22,"codeName":"InvalidBSON","errmsg":"BSON data has to be at least 5 bytes"}}}"#;
        let assertion = r#"{"s":"F","msg":"Fatal assertion","attr":{"msgid":28661,"line":91}}"#;
        let abort = r#"{"s":"F","msg":"\n\n***aborting after fassert() failure\n\n"}"#;
        let signal = r#"{"s":"F","msg":"Writing fatal message","attr":{"message":"Got signal: 6 (Aborted).\n"}}"#;
        let engine = r#"{"s":"E","msg":"WiredTiger error message","attr":{"error":-31802,"message":{"msg":"WiredTiger.turtle: fatal turtle file read error"}}}"#;
        let told = |entries: &[&str]| complaint(&entries.join("\n"));
        assert_eq!(
            told(&[engine, unreadable, assertion, abort, signal]),
            "Unable to read the storage engine metadata file: BSON data has to be at least 5 bytes"
        );
        assert_eq!(
            told(&[engine, assertion, abort, signal]),
            "WiredTiger error message: WiredTiger.turtle: fatal turtle file read error"
        );
        assert_eq!(told(&[assertion, abort, signal]), "Fatal assertion");
    }

    #[test]
    fn a_complaint_is_one_bounded_line() {
        let line = complaint(&format!("ERROR: {}", "é ".repeat(1_000)));
        assert_eq!(line.chars().count(), CHARS_MAX + 1);
        assert!(line.ends_with('…'), "{line}");
    }
}
