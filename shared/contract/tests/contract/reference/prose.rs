//! Comments of proto files as GitHub's Markdown.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter;

/// Codes of gRPC that have no underscore by which to know them.
const CODES: &[&str] = &["ABORTED", "INTERNAL", "UNAUTHENTICATED", "UNAVAILABLE", "UNIMPLEMENTED"];

/// The names that prose may mention and that have a heading of their own.
pub(super) type Names = BTreeSet<String>;

/// GitHub's anchor of a heading.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char.to_ascii_lowercase() })
        .collect()
}

pub(super) fn link(heading: &str) -> String {
    format!("[{heading}](#{})", anchor(heading))
}

/// A comment as paragraphs, and lists of what begins with a dash or is a failure.
pub(super) fn blocks(comment: &str, names: &Names) -> String {
    let mut out = String::new();
    let mut follows_item = false;
    for Part { text, is_item } in parts(comment) {
        if !out.is_empty() {
            out.push_str(if is_item && follows_item { "\n" } else { "\n\n" });
        }
        if is_item {
            out.push_str("- ");
        }
        out.push_str(&inline(&text, names));
        follows_item = is_item;
    }
    out
}

/// A comment as the cell of a table, which is one line.
pub(super) fn cell(comment: &str, names: &Names) -> String {
    let parts = parts(comment).into_iter().map(|Part { text, is_item }| {
        let mark = if is_item { "• " } else { "" };
        format!("{mark}{}", inline(&text, names))
    });
    // A table knows this escape even within code.
    parts.collect::<Vec<_>>().join("<br>").replace('|', "\\|")
}

/// The first sentence of a comment.
pub(super) fn summary(comment: &str, names: &Names) -> String {
    let first = parts(comment).into_iter().next();
    let text = first.map_or_else(String::new, |part| part.text);
    let sentence = text.split_inclusive(". ").next().unwrap_or_default();
    inline(sentence.trim_end(), names)
}

/// A paragraph, or an item of a list.
struct Part {
    text: String,
    is_item: bool,
}

fn parts(comment: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut goes_on = false;
    for line in comment.lines().map(str::trim) {
        let item = line.strip_prefix("- ").or_else(|| is_failure(line).then_some(line));
        match parts.last_mut() {
            _ if line.is_empty() => {}
            Some(part) if goes_on && item.is_none() => {
                part.text.push(' ');
                part.text.push_str(line);
            }
            _ => parts.push(Part {
                text: item.unwrap_or(line).to_owned(),
                is_item: item.is_some(),
            }),
        }
        goes_on = !line.is_empty();
    }
    parts
}

/// Whether the line begins as in `NOT_FOUND (MESSAGE_NOT_FOUND): …`.
fn is_failure(line: &str) -> bool {
    let is_constant =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let Some((head, _)) = line.split_once(": ") else {
        return false;
    };
    match head.split_once(" (") {
        Some((code, reason)) => is_constant(code) && reason.strip_suffix(')').is_some_and(is_constant),
        None => is_constant(head),
    }
}

/// Text within a line: names are code or links, and nothing else is markup but the code that the comment has.
fn inline(text: &str, names: &Names) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&code(part));
        } else {
            out.extend(tokens(part).map(|token| markup(token, names)));
        }
    }
    out
}

fn markup<'a>(token: &'a str, names: &Names) -> Cow<'a, str> {
    match token {
        "<" => "&lt;".into(),
        "&" => "&amp;".into(),
        "*" | "[" | "]" | "\\" | "~" => format!("\\{token}").into(),
        _ if token.contains('_') || CODES.contains(&token) => code(token).into(),
        // With one capital it may be any word that begins a sentence.
        _ if names.contains(token) && token.bytes().filter(u8::is_ascii_uppercase).count() > 1 => link(token).into(),
        _ => token.into(),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Words, and the characters between them.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let is_of_word = |char: char| char.is_alphanumeric() || char == '_';
    let mut rest = text;
    iter::from_fn(move || {
        let first = rest.chars().next()?;
        let word = rest.find(|char| !is_of_word(char)).unwrap_or(rest.len());
        let (token, after) = rest.split_at(word.max(first.len_utf8()));
        rest = after;
        Some(token)
    })
}

#[test]
fn failures_and_dashes_are_items() {
    let comment =
        " Says something.\n It lasts.\n\n NOT_FOUND (NO_SUCH): there\n is none.\n INTERNAL: no.\n - a\n\n Then this.";
    let (first, last) = ("Says something. It lasts.", "Then this.");
    let (none, defect, dash) = ("`NOT_FOUND` (`NO_SUCH`): there is none.", "`INTERNAL`: no.", "a");
    assert_eq!(
        blocks(comment, &Names::new()),
        format!("{first}\n\n- {none}\n- {defect}\n- {dash}\n\n{last}")
    );
    assert_eq!(
        cell(comment, &Names::new()),
        format!("{first}<br>• {none}<br>• {defect}<br>• {dash}<br>{last}")
    );
    assert_eq!(summary(comment, &Names::new()), "Says something.");
}

#[test]
fn only_names_and_code_are_markup() {
    let names = Names::from(["Message", "SendMessage"].map(str::to_owned));
    let inline = |text: &str| inline(text, &names);
    assert_eq!(inline("as SendMessage does"), "as [SendMessage](#sendmessage) does");
    assert_eq!(
        inline("A Message of some_id, `a*<b>`"),
        "A Message of `some_id`, `a*<b>`"
    );
    assert_eq!(inline("ticket.<ticket> & 2 * 3"), "ticket.&lt;ticket> &amp; 2 \\* 3");
    assert_eq!(cell("a | b", &names), "a \\| b");
}
