//! Postgres's protocol 3.0, as far as the proxy needs it.

use std::collections::HashMap;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rules::{Operation, Request};
use super::unit::{Unit, invalid, take_length_prefixed};

const SSL_REQUEST: i32 = 80_877_103;
const GSS_ENCRYPTION_REQUEST: i32 = 80_877_104;
const STARTUP_BYTES_MAX: usize = 10_000;
/// A message's type comes before its length.
const TYPE_BYTES: usize = 1;
/// Characters of a statement that counts show.
const OPERATION_CHARS_MAX: usize = 120;

/// Passes the untyped first message on. Requests for encryption are declined, as the proxy could not read on.
pub(super) async fn start(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    loop {
        let length = client.read_i32().await?;
        let code = client.read_i32().await?;
        let rest = usize::try_from(length).ok().and_then(|length| length.checked_sub(8));
        let rest = rest
            .filter(|rest| *rest <= STARTUP_BYTES_MAX)
            .ok_or_else(|| invalid("a startup message"))?;
        if matches!(code, SSL_REQUEST | GSS_ENCRYPTION_REQUEST) {
            client.write_all(b"N").await?;
            continue;
        }
        let mut message = BytesMut::with_capacity(rest + 8);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&code.to_be_bytes());
        message.resize(rest + 8, 0);
        if let Some(unread) = message.get_mut(8..) {
            client.read_exact(unread).await?;
        }
        return server.write_all(&message).await;
    }
}

/// Gathers a client's messages to requests: what ends with a Sync or is a Query.
#[derive(Default)]
pub(super) struct Frontend {
    /// Messages of the request so far.
    gathered: BytesMut,
    statements: HashMap<String, String>,
    portals: HashMap<String, String>,
    executed: Vec<String>,
    prepared: Vec<String>,
}

impl Frontend {
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Unit>> {
        while let Some(message) = take_length_prefixed(buffer, TYPE_BYTES, i32::from_be_bytes, TYPE_BYTES)? {
            let (kind, body) = open(&message)?;
            self.gathered.extend_from_slice(&message);
            let mut fields = body
                .split(|byte| *byte == 0)
                .map(|field| String::from_utf8_lossy(field).into_owned());
            let mut field = || fields.next().unwrap_or_default();
            match kind {
                b'P' => {
                    let (name, text) = (field(), field());
                    self.prepared.push(text.clone());
                    self.statements.insert(name, text);
                }
                b'B' => {
                    let (portal, statement) = (field(), field());
                    self.portals
                        .insert(portal, self.statements.get(&statement).cloned().unwrap_or_default());
                }
                b'E' => self
                    .executed
                    .push(self.portals.get(&field()).cloned().unwrap_or_default()),
                b'C' if body.first() == Some(&b'S') => {
                    self.statements.remove(field().strip_prefix('S').unwrap_or_default());
                }
                b'D' | b'C' => {}
                b'Q' => {
                    self.executed.push(field());
                    return Ok(Some(self.finish()));
                }
                b'S' | b'F' => return Ok(Some(self.finish())),
                // Authentication, Flush, COPY data, Terminate: passed on as they come.
                _ => {
                    return Ok(Some(Unit {
                        bytes: self.gathered.split().freeze(),
                        request: None,
                    }));
                }
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> Unit {
        let bytes = self.gathered.split().freeze();
        let (executed, prepared) = (std::mem::take(&mut self.executed), std::mem::take(&mut self.prepared));
        let operation = if executed.is_empty() {
            Operation::Preparation(prepared.join("; "))
        } else {
            Operation::Statement(executed.join("; "))
        };
        Unit {
            request: Some(Request {
                id: 0,
                operation,
                bytes: bytes.clone(),
            }),
            bytes,
        }
    }
}

/// One of the server's messages, and whether it ends the answer to a request.
pub(super) fn next_answer(buffer: &mut BytesMut) -> io::Result<Option<(Bytes, bool)>> {
    let Some(message) = take_length_prefixed(buffer, TYPE_BYTES, i32::from_be_bytes, TYPE_BYTES)? else {
        return Ok(None);
    };
    let ready = open(&message)?.0 == b'Z';
    Ok(Some((message, ready)))
}

/// Whether one of the server's messages says that a request failed. More of the answer follows, unless the connection ends.
pub(super) fn is_error(message: &[u8]) -> bool {
    message.first() == Some(&b'E')
}

/// A statement in one short line.
pub(super) fn summary(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(OPERATION_CHARS_MAX)
        .collect()
}

fn open(message: &[u8]) -> io::Result<(u8, &[u8])> {
    match message {
        [kind, _, _, _, _, body @ ..] => Ok((*kind, body)),
        _ => Err(invalid("a Postgres message")),
    }
}
