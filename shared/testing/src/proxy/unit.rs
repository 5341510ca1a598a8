//! What goes to a server in one piece, and how it is told where it ends.

use std::io;

use bytes::{Bytes, BytesMut};

use super::rules::Request;

/// The longest message that either database sends here; MongoDB's own limit is 48,000,000 bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What goes to the server in one piece: a whole request, or bytes that are none.
pub(super) struct Unit {
    pub(super) bytes: Bytes,
    pub(super) request: Option<Request>,
}

/// Takes a whole message off the buffer, once it is all there. Its length stands after `offset` bytes and does not count
/// `uncounted` of them.
pub(super) fn take_length_prefixed(
    buffer: &mut BytesMut,
    offset: usize,
    read: fn([u8; 4]) -> i32,
    uncounted: usize,
) -> io::Result<Option<Bytes>> {
    let Some(length) = buffer
        .get(offset..offset + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(read)
    else {
        return Ok(None);
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| (4..=MESSAGE_BYTES_MAX).contains(length));
    let length = length.ok_or_else(|| invalid("the length of a message"))? + uncounted;
    Ok((buffer.len() >= length).then(|| buffer.split_to(length).freeze()))
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} has a form that the proxy does not know"),
    )
}
