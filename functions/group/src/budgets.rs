//! What calls about groups cost their callers, on real databases.

use chat_contract::v1::RemoveGroupMemberRequest;
use chat_operation::{Code, FromSettings};
use chat_testing::call;

use crate::RemoveGroupMember;
use crate::scene::{Scene, assert_not_found, assert_refused};

fn request(scene: &Scene, user_id: &str, request_id: &str) -> RemoveGroupMemberRequest {
    RemoveGroupMemberRequest {
        conversation_id: scene.group.to_string(),
        user_id: user_id.to_owned(),
        request_id: request_id.to_owned(),
    }
}

/// An operation whose callers may make two calls.
fn of_two_calls(scene: &Scene) -> RemoveGroupMember {
    let settings = scene.fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    RemoveGroupMember::from_settings(&settings).unwrap()
}

#[tokio::test]
async fn what_is_refused_to_a_member_is_paid_for() {
    let scene = Scene::new().await;
    let operation = of_two_calls(&scene);
    for number in ["1", "2"] {
        let refused = call(&operation, "mia", request(&scene, "max", number)).await;
        assert_refused(refused, Code::FailedPrecondition, "NOT_PERMITTED");
    }
    let refused = call(&operation, "mia", request(&scene, "max", "3")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    assert!(refused.retry_after().is_some());
}

#[tokio::test]
async fn a_repeat_is_paid_for_as_well() {
    let scene = Scene::new().await;
    scene.remove("adam", "max", "1").await.unwrap();
    let operation = of_two_calls(&scene);
    let mut refusals = 0;
    for _ in 0..4 {
        let repeated = call(&operation, "adam", request(&scene, "max", "1")).await;
        refusals += usize::from(repeated.is_err_and(|failure| failure.reason() == "RATE_LIMITED"));
    }
    assert!(refusals > 0);
}

#[tokio::test]
async fn who_is_no_member_neither_pays_nor_waits_for_those_who_are() {
    let scene = Scene::new().await;
    scene.remove("olga", "max", "1").await.unwrap();
    let operation = of_two_calls(&scene);
    let mut session = scene.fixture.connect_postgres().await;
    // Somebody holds the group.
    sqlx::query("BEGIN").execute(&mut session).await.unwrap();
    sqlx::query("SELECT FROM conversations WHERE conversation_id = $1 FOR NO KEY UPDATE")
        .bind(scene.group.uuid())
        .execute(&mut session)
        .await
        .unwrap();
    for caller in ["max", "sam"] {
        for number in ["1", "2", "3", "4"] {
            assert_not_found([call(&operation, caller, request(&scene, "mia", number)).await]);
        }
    }
}

#[tokio::test]
async fn what_reaches_many_costs_as_often_as_there_are_hundreds_of_them() {
    let scene = Scene::new().await;
    scene.count_members_as(201).await;
    let operation = of_two_calls(&scene);
    // It is told to two hundred, and so are two calls; the next one has to wait.
    call(&operation, "adam", request(&scene, "mia", "1")).await.unwrap();
    let refused = call(&operation, "adam", request(&scene, "max", "2")).await.unwrap_err();
    assert_eq!(refused.reason(), "RATE_LIMITED");
}
