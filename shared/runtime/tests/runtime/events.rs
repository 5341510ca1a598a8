//! Events in the shapes that API Gateway sends.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_contract::Rpc;
use chat_contract::v1::SendMessageRequest;
use chat_testing::http_event;
use prost::Message;
use serde_json::{Value, json};

/// The event of an HTTP API (payload format 2.0) for a call by alice.
pub(crate) fn http(content_type: &str, body: &str, is_base64_encoded: bool) -> Value {
    http_event(SendMessageRequest::PATH, "alice", content_type, body, is_base64_encoded)
}

/// The event of a gRPC-web call.
pub(crate) fn grpc_web(text: &str) -> Value {
    http("application/grpc-web+proto", &STANDARD.encode(frame(text)), true)
}

/// A gRPC-web frame with a request.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let message = SendMessageRequest {
        text: text.to_owned(),
        ..SendMessageRequest::default()
    }
    .encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

/// The event of a WebSocket API's route.
pub(crate) fn socket(route: &str) -> Value {
    json!({
        "requestContext": {
            "routeKey": route,
            "eventType": "MESSAGE",
            "extendedRequestId": "JKJbZmPLFiAFrTg=",
            "requestTime": "10/Mar/2020:05:16:23 +0000",
            "messageDirection": "IN",
            "stage": "live",
            "connectedAt": 1_583_817_383_220_i64,
            "requestTimeEpoch": 1_583_817_383_320_i64,
            "identity": { "sourceIp": "203.0.113.7" },
            "requestId": "JKJbZmPLFiAFrTg=",
            "domainName": "fghij67890.execute-api.eu-central-1.amazonaws.com",
            "connectionId": "JKJaXcPLvHcCJaQ=",
            "messageId": "JKJbZcPLFiACJaQ=",
            "authorizer": { "principalId": "alice", "user": "alice" },
            "apiId": "fghij67890"
        },
        "body": "{\"ping\":{}}",
        "isBase64Encoded": false
    })
}
