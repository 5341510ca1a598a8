//! Whatever is sent, an answer comes back, and it never blames the service.

use chat_operation::Code;
use chat_rpc::Endpoint;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tower::ServiceExt;

use crate::operation::{Echo, request};
use crate::wire::{Answered, base64, frame, post};

const ROUNDS: usize = 3_000;

/// A body that is random, or a good one with a few things changed.
fn garbage(random: &mut StdRng, good: &[u8]) -> Vec<u8> {
    if random.random_ratio(1, 4) {
        let length = random.random_range(0..64);
        return (0..length).map(|_| random.random()).collect();
    }
    let mut body = good.to_vec();
    for _ in 0..random.random_range(1..4) {
        let place = random.random_range(0..=body.len());
        match random.random_range(0..4) {
            0 => body.truncate(place),
            1 => body.insert(place, random.random()),
            2 if place < body.len() => body[place] = random.random(),
            _ if place < body.len() => body[place] ^= 1 << random.random_range(0..8),
            _ => body.push(random.random()),
        }
    }
    body
}

#[tokio::test]
async fn garbage_in_frames_is_refused() {
    let mut random = StdRng::seed_from_u64(1);
    let endpoint = Endpoint::new(Echo);
    let good = frame(&request("a text"));
    let text = base64(&good).into_bytes();
    for round in 0..ROUNDS {
        let (content_type, body) = match round % 3 {
            0 => ("application/grpc-web+proto", garbage(&mut random, &good)),
            1 => ("application/grpc-web-text", garbage(&mut random, &text)),
            _ => (
                "application/grpc-web-text",
                base64(&garbage(&mut random, &good)).into_bytes(),
            ),
        };
        let answer = endpoint
            .clone()
            .oneshot(post(content_type, body.clone()))
            .await
            .unwrap();
        let code = Answered::of(&answer).code();
        assert!(
            matches!(code, Code::Ok | Code::InvalidArgument | Code::Unimplemented),
            "{code:?}: {body:?}"
        );
    }
}

#[tokio::test]
async fn garbage_without_frames_is_refused() {
    let mut random = StdRng::seed_from_u64(2);
    let endpoint = Endpoint::new(Echo);
    let json = br#"{"conversationId":"c","text":"a text","replyToMessageId":null}"#;
    for round in 0..ROUNDS {
        let (content_type, body) = match round % 2 {
            0 => ("application/json", garbage(&mut random, json)),
            _ => (
                "application/proto",
                garbage(&mut random, &frame(&request("a text"))[5..]),
            ),
        };
        let answer = endpoint
            .clone()
            .oneshot(post(content_type, body.clone()))
            .await
            .unwrap();
        assert!(
            matches!(answer.status().as_u16(), 200 | 400),
            "{}: {body:?}",
            answer.status()
        );
    }
}

#[tokio::test]
async fn garbage_in_headers_is_refused() {
    let mut random = StdRng::seed_from_u64(3);
    let endpoint = Endpoint::new(Echo);
    for _ in 0..ROUNDS {
        let mut ask = post("application/grpc-web+proto", frame(&request("a text")));
        for name in [
            "content-type",
            "accept",
            "grpc-timeout",
            "grpc-encoding",
            "grpc-accept-encoding",
            "te",
            "x",
        ] {
            if random.random_ratio(1, 3) {
                let good = ask
                    .headers()
                    .get(name)
                    .map_or(b"gzip".to_vec(), |value| value.as_bytes().to_vec());
                let value = garbage(&mut random, &good);
                if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                    ask.headers_mut().insert(name, value);
                }
            }
        }
        let answer = endpoint.clone().oneshot(ask).await.unwrap();
        if answer.status() == 200 {
            let code = Answered::of(&answer).code();
            assert!(
                matches!(code, Code::Ok | Code::InvalidArgument | Code::Unimplemented),
                "{code:?}"
            );
        } else {
            assert!(matches!(answer.status().as_u16(), 400 | 415), "{}", answer.status());
        }
    }
}
