//! MongoDB's wire protocol, as far as the proxy needs it.

use std::io;

use bytes::{Bytes, BytesMut};

use super::rules::{Operation, Request};
use super::unit::{Unit, invalid, take_length_prefixed};

const HEADER_BYTES: usize = 16;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;
/// The sender wants no answer.
const MORE_TO_COME: i32 = 1 << 1;
const BSON_STRING: u8 = 0x02;

/// What drivers do for themselves: monitoring, handshakes, authentication, and the end of their sessions.
const HOUSEKEEPING: [&str; 9] = [
    "hello",
    "isMaster",
    "ismaster",
    "ping",
    "buildInfo",
    "saslStart",
    "saslContinue",
    "authenticate",
    "endSessions",
];

/// One of the client's messages.
pub(super) fn next(buffer: &mut BytesMut) -> io::Result<Option<Unit>> {
    let Some(bytes) = take_length_prefixed(buffer, 0, i32::from_le_bytes, 0)? else {
        return Ok(None);
    };
    let header = header(&bytes)?;
    let command = match header.kind {
        OP_MSG => read_msg(&bytes),
        OP_QUERY => read_query(&bytes),
        _ => None,
    };
    let request = command
        .filter(|(name, _)| !HOUSEKEEPING.contains(&name.as_str()))
        .map(|(name, collection)| Request {
            id: header.id,
            operation: Operation::Command { name, collection },
            bytes: bytes.clone(),
        });
    Ok(Some(Unit { bytes, request }))
}

/// One of the server's messages, and the id of the request that it answers.
pub(super) fn next_answer(buffer: &mut BytesMut) -> io::Result<Option<(Bytes, i32)>> {
    let Some(bytes) = take_length_prefixed(buffer, 0, i32::from_le_bytes, 0)? else {
        return Ok(None);
    };
    let answers = header(&bytes)?.answers;
    Ok(Some((bytes, answers)))
}

struct Header {
    id: i32,
    answers: i32,
    kind: i32,
}

fn header(message: &[u8]) -> io::Result<Header> {
    let read = |at| int(message, at).ok_or_else(|| invalid("a MongoDB message"));
    Ok(Header {
        id: read(4)?,
        answers: read(8)?,
        kind: read(12)?,
    })
}

/// The command in an `OP_MSG` that wants an answer.
fn read_msg(message: &[u8]) -> Option<(String, String)> {
    if int(message, HEADER_BYTES)? & MORE_TO_COME != 0 {
        return None;
    }
    let mut sections = message.get(HEADER_BYTES + 4..)?;
    loop {
        match sections {
            [0, document @ ..] => return first_element(document),
            // A sequence of documents; its length counts itself.
            [1, sequence @ ..] => sections = sequence.get(usize::try_from(int(sequence, 0)?).ok()?..)?,
            _ => return None,
        }
    }
}

/// The command in an `OP_QUERY`: drivers shake hands with it before they know what the server speaks.
fn read_query(message: &[u8]) -> Option<(String, String)> {
    let collection = message.get(HEADER_BYTES + 4..)?;
    let end = collection.iter().position(|byte| *byte == 0)?;
    first_element(collection.get(end + 1 + 8..)?)
}

/// The name of a document's first element and, when that is a string, its value: a command and its collection.
fn first_element(document: &[u8]) -> Option<(String, String)> {
    let (kind, element) = document.get(4..)?.split_first()?;
    let end = element.iter().position(|byte| *byte == 0)?;
    let (name, value) = element.split_at(end);
    let collection = (*kind == BSON_STRING)
        .then(|| value.get(5..)?.split(|byte| *byte == 0).next())
        .flatten()
        .unwrap_or_default();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some((text(name), text(collection)))
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
