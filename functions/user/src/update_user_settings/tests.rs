//! Users decide about themselves, on real databases.

use chat_contract::FieldMask;
use chat_contract::v1::{GetUserSettingsRequest, UserSettings};
use chat_operation::Code;
use chat_testing::{Fixture, call, call_without_token};

use super::*;
use crate::GetUserSettings;

fn request(adders: v1::GroupAdders) -> UpdateUserSettingsRequest {
    UpdateUserSettingsRequest {
        settings: Some(UserSettings {
            group_adders: adders.into(),
        }),
        update_mask: Some(FieldMask {
            paths: vec!["group_adders".to_owned()],
        }),
    }
}

async fn read(fixture: &Fixture, user: &str) -> v1::GroupAdders {
    let operation: GetUserSettings = fixture.operation();
    let answer = call(&operation, user, GetUserSettingsRequest {}).await.unwrap();
    answer.response.settings.unwrap().group_adders()
}

#[tokio::test]
async fn it_is_set_for_the_caller_alone() {
    let fixture = Fixture::new().await;
    let operation: UpdateUserSettings = fixture.operation();
    for adders in [
        v1::GroupAdders::Nobody,
        v1::GroupAdders::Anyone,
        v1::GroupAdders::Friends,
    ] {
        let answer = call(&operation, "alice", request(adders)).await.unwrap();
        assert_eq!(answer.response.settings.unwrap().group_adders(), adders);
        assert_eq!(read(&fixture, "alice").await, adders);
        assert_eq!(read(&fixture, "bob").await, v1::GroupAdders::Friends);
    }
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    let fixture = Fixture::new().await;
    let operation: UpdateUserSettings = fixture.operation();
    let first = call(&operation, "alice", request(v1::GroupAdders::Nobody))
        .await
        .unwrap();
    let again = call(&operation, "alice", request(v1::GroupAdders::Nobody))
        .await
        .unwrap();
    assert_eq!(again.response, first.response);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let operation: UpdateUserSettings = fixture.operation();
    for (value, path) in [(0, ""), (99, "group_adders,more"), (-1, "more")] {
        let bad = UpdateUserSettingsRequest {
            settings: Some(UserSettings { group_adders: value }),
            update_mask: Some(FieldMask {
                paths: path
                    .split(',')
                    .filter(|path| !path.is_empty())
                    .map(str::to_owned)
                    .collect(),
            }),
        };
        let failure = call(&operation, "alice", bad).await.unwrap_err();
        let fields: Vec<&str> = failure.violations().iter().map(|violation| &*violation.field).collect();
        assert_eq!(fields, ["update_mask", "settings.group_adders"]);
    }
    assert_eq!(read(&fixture, "alice").await, v1::GroupAdders::Friends);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let operation: UpdateUserSettings = fixture.operation();
    let failure = call_without_token(&operation, request(v1::GroupAdders::Nobody)).await;
    assert_eq!(failure.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let operation: UpdateUserSettings = proxies.operation();
    call(&operation, "alice", request(v1::GroupAdders::Nobody))
        .await
        .unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "alice", request(v1::GroupAdders::Anyone))
        .await
        .unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
