//! A server for this crate's tests: reads real HTTP requests off a real socket and answers the bytes that a test says.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What the server does with a request.
pub(crate) enum Reaction {
    /// Writes these bytes, then closes the connection.
    Bytes(Vec<u8>),
    /// Closes the connection at once.
    Cut,
    /// Never answers.
    Silence,
}

pub(crate) struct Scripted {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _serving: JoinSet<()>,
}

impl Scripted {
    /// Reacts to each request by its number, from 0.
    pub(crate) async fn start(script: impl Fn(usize, &Seen) -> Reaction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let mut serving = JoinSet::new();
        let log = seen.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (log, script) = (log.clone(), script.clone());
                connections.spawn(async move {
                    let Some(request) = read_request(&mut stream).await else {
                        return;
                    };
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len() - 1
                    };
                    match script(number, &request) {
                        Reaction::Bytes(bytes) => {
                            stream.write_all(&bytes).await.unwrap();
                            stream.shutdown().await.unwrap();
                        }
                        Reaction::Cut => {}
                        Reaction::Silence => std::future::pending().await,
                    }
                });
            }
        });
        Self {
            url,
            seen,
            _serving: serving,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(name.parse::<http::HeaderName>().unwrap(), value.trim().parse().unwrap());
    }
    let length: usize = headers
        .get("content-length")
        .map_or(0, |value| value.to_str().unwrap().parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0);
    }
    Some(Seen { path, headers, body })
}

/// An HTTP answer, byte for byte.
pub(crate) fn http_answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reaction {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    )
    .into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    Reaction::Bytes(bytes)
}

/// One gRPC-web frame.
pub(crate) fn frame(flag: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame
}

/// An OK answer over gRPC-web.
pub(crate) fn ok(message: &impl prost::Message) -> Reaction {
    grpc_web(&[frame(0, &message.encode_to_vec()), frame(0x80, b"grpc-status:0\r\n")].concat())
}

/// A gRPC-web answer with this body.
pub(crate) fn grpc_web(body: &[u8]) -> Reaction {
    http_answer("200 OK", &[("content-type", "application/grpc-web+proto")], body)
}
