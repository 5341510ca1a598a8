//! Nothing but health answers a call that the gateway's authorizer did not let through.

use std::time::{Duration, Instant};

use chat_runtime::{Function, Trigger};
use chat_testing::Fixture;
use serde_json::{Value, json};

use crate::deployment::OPEN_RPC;

/// The event of a call to `path` on a route without an authorizer, as after a mistake in the template.
fn event(path: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("POST {path}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "authorization": "Bearer e30.eyJzdWIiOiJhbGljZSJ9.e30",
            "content-type": "application/json",
            "host": "example.execute-api.eu-west-1.amazonaws.com"
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "example",
            "domainName": "example.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "example",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "test"
            },
            "requestId": "example",
            "routeKey": format!("POST {path}"),
            "stage": "$default",
            "time": "22/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1_795_348_800_000_i64
        },
        "body": "{}",
        "isBase64Encoded": false
    })
}

/// What a function answers to a call without verified claims: (HTTP status, body).
async fn answer(function: &Function, fixture: &Fixture, path: &str) -> (u64, Value) {
    let mut environment = function.environment(fixture.settings()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(29);
    let event = serde_json::to_vec(&event(path)).unwrap();
    let invocation = environment.invoke(&event, deadline).await.unwrap();
    let response: Value = serde_json::from_slice(&invocation.response).unwrap();
    invocation.after_answer.await;
    let body = response["body"].as_str().unwrap();
    (
        response["statusCode"].as_u64().unwrap(),
        serde_json::from_str(body).unwrap(),
    )
}

#[tokio::test]
async fn every_rpc_but_health_refuses_a_call_without_a_verified_token() {
    let fixture = Fixture::new().await;
    let mut refused = 0;
    for function in &chat_local::functions() {
        let Trigger::Rpc { path, public } = function.trigger() else {
            continue;
        };
        assert_eq!(public, path == OPEN_RPC, "{path}");
        let (status, body) = answer(function, &fixture, path).await;
        if public {
            assert_eq!((status, &body["status"]), (200, &json!("SERVING")), "{path}");
        } else {
            assert_eq!((status, &body["code"]), (401, &json!("unauthenticated")), "{path}");
            refused += 1;
        }
    }
    assert!(refused > 0);
}
