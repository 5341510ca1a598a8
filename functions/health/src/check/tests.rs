//! When the service says that it serves, with real databases behind proxies that fail.

use std::time::Instant;

use chat_operation::Code;
use chat_testing::{Called, Direction, Fixture, call, call_without_token};

use super::*;

use ServingStatus::{NotServing, Serving};

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

fn status(called: Called<Check>) -> ServingStatus {
    let answer = called.expect("health is told");
    assert_eq!(answer.notices, []);
    answer.response.status()
}

#[tokio::test]
async fn every_service_serves_while_the_databases_answer_and_needs_no_token() {
    let fixture = Fixture::new().await;
    let check: Check = fixture.operation();
    for service in [
        "",
        "grpc.health.v1.Health",
        "chat.v1.UserService",
        "chat.v1.FriendService",
        "chat.v1.ConversationService",
        "chat.v1.MessageService",
        "chat.v1.LiveService",
    ] {
        assert_eq!(status(call_without_token(&check, request(service)).await), Serving);
    }
    assert_eq!(status(call(&check, "alice", request("")).await), Serving);
}

#[tokio::test]
async fn an_unknown_service_is_not_found_without_asking_a_database() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let check: Check = proxies.operation();
    for unknown in ["chat.v1.Nothing", "chat.v1", " ", "chat.v1.MessageService/SendMessage"] {
        let failure = call_without_token(&check, request(unknown)).await.unwrap_err();
        assert_eq!((failure.code(), failure.reason()), (Code::NotFound, "SERVICE_UNKNOWN"));
    }
    assert_eq!(proxies.postgres.counts().connections_opened, 0);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}

#[tokio::test]
async fn it_does_not_serve_while_a_database_refuses_and_serves_again_afterwards() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let check: Check = proxies.operation();
    assert_eq!(status(call_without_token(&check, request("")).await), Serving);
    for database in [&proxies.postgres, &proxies.mongo] {
        database.refuse();
        database.cut_all();
        assert_eq!(status(call_without_token(&check, request("")).await), NotServing);
        database.accept();
        assert_eq!(status(call_without_token(&check, request("")).await), Serving);
    }
}

#[tokio::test]
async fn a_database_that_was_never_reached_does_not_serve() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    proxies.postgres.refuse();
    let check: Check = proxies.operation();
    assert_eq!(status(call_without_token(&check, request("")).await), NotServing);
}

#[tokio::test]
async fn a_database_that_does_not_answer_in_time_does_not_serve() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let check: Check = proxies.operation();
    assert_eq!(status(call_without_token(&check, request("")).await), Serving);
    for database in [&proxies.postgres, &proxies.mongo] {
        database.freeze(Direction::ToClient);
        assert_eq!(status(call_without_token(&check, request("")).await), NotServing);
        database.thaw(Direction::ToClient);
        assert_eq!(status(call_without_token(&check, request("")).await), Serving);
    }
}

#[tokio::test]
async fn both_databases_are_asked_at_the_same_time() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let check: Check = proxies.operation();
    assert_eq!(status(call_without_token(&check, request("")).await), Serving);
    for database in [&proxies.postgres, &proxies.mongo] {
        database.freeze(Direction::ToClient);
    }
    let asked_at = Instant::now();
    assert_eq!(status(call_without_token(&check, request("")).await), NotServing);
    assert!(
        asked_at.elapsed() < 2 * PING_TIMEOUT,
        "one wait, not one after the other"
    );
}
