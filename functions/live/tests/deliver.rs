//! What is for more members than a call names, from the queue to the calls that it leads to, on real stores.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that unwraps or indexes fails where it should, also in its helpers"
)]
#![expect(clippy::disallowed_methods, reason = "pushes have an age, which starts now")]

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_contract::v1::{LiveEvent, MembershipEnded, Message, live_event};
use chat_delivery::Deliverer;
use chat_domain::{Audience, ConversationId, MEMBERS_PER_DELIVERY};
use chat_operation::{FromSettings, Notice, Settings};
use chat_runtime::Environment;
use chat_stores::sqs::LocalQueue;
use chat_testing::Fixture;
use chrono::Utc;
use prost::Message as _;
use serde_json::{Value, json};

struct Scene {
    fixture: Fixture,
    queue: LocalQueue,
    group: ConversationId,
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Calls the function with these messages: which failed.
async fn deliver(settings: &Settings, bodies: &[&str]) -> Vec<String> {
    let functions = chat_live::FUNCTIONS.iter();
    let function = functions.clone().find(|function| function.name() == "deliver").unwrap();
    let mut environment: Environment = function.environment(settings).unwrap();
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| json!({ "messageId": number.to_string(), "eventSource": "aws:sqs", "body": body }))
        .collect();
    let event = serde_json::to_vec(&json!({ "Records": records })).unwrap();
    let invocation = environment.invoke(&event, deadline()).await.unwrap();
    let answer: Value = serde_json::from_slice(&invocation.response).unwrap();
    let failed = answer["batchItemFailures"].as_array().unwrap().iter();
    failed
        .map(|item| item["itemIdentifier"].as_str().unwrap().to_owned())
        .collect()
}

impl Scene {
    /// A group of so many members, past the operations.
    async fn new(members: i64) -> Self {
        let fixture = Fixture::new().await;
        fixture.make_queue().await;
        let group = ConversationId::generate();
        let mut connection = fixture.connect_postgres().await;
        sqlx::query(
            "WITH made AS (
                 INSERT INTO conversations (conversation_id, kind, member_count, revision, created_at, allocated_at, last_activity_at)
                 VALUES ($1, 'group', $2, 2, now(), now(), now())
             ), feeding AS (
                 INSERT INTO feeds (user_id, revision, conversation_count)
                 SELECT 'm' || lpad(n::text, 5, '0'), 1, 1 FROM generate_series(1, $2) n
             )
             INSERT INTO members (conversation_id, user_id, role, joined_revision, visible_from_seq, feed_revision)
             SELECT $1, 'm' || lpad(n::text, 5, '0'), 'member', 1, 0, 1 FROM generate_series(1, $2) n",
        )
        .bind(group.uuid())
        .bind(members)
        .execute(&mut connection)
        .await
        .unwrap();
        Self {
            queue: LocalQueue::new(fixture.settings()).unwrap(),
            fixture,
            group,
        }
    }

    /// What a call leaves on the queue when it has this to tell.
    async fn leave(&self, event: live_event::Event, revision: i64) {
        self.leave_to(Audience::Members, event, revision).await;
    }

    async fn leave_to(&self, recipients: Audience, event: live_event::Event, revision: i64) {
        let notice = Notice {
            recipients,
            event: LiveEvent {
                conversation_id: self.group.to_string(),
                revision,
                event: Some(event),
                ..LiveEvent::default()
            },
            occurred_at: Utc::now(),
        };
        let deliverer = Deliverer::from_settings(self.fixture.settings()).unwrap();
        deliverer.deliver(vec![notice], deadline()).await;
    }

    /// Takes all that is on the queue.
    async fn take(&self) -> Vec<String> {
        let mut taken = Vec::new();
        loop {
            let messages = self.queue.receive(Duration::ZERO).await.unwrap();
            if messages.is_empty() {
                return taken;
            }
            for message in messages {
                self.queue.remove(&message).await.unwrap();
                taken.push(message.body);
            }
        }
    }

    async fn left(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM members WHERE conversation_id = $1 AND ended_at IS NULL")
            .bind(self.group.uuid())
            .fetch_one(&mut self.fixture.connect_postgres().await)
            .await
            .unwrap()
    }
}

fn said() -> live_event::Event {
    let message = Message {
        text: "hello".to_owned(),
        ..Message::default()
    };
    live_event::Event::MessageSent(message)
}

fn bounds(body: &str) -> (Value, Value) {
    let body: Value = serde_json::from_str(body).unwrap();
    (body["after"].clone(), body["through"].clone())
}

#[tokio::test]
async fn a_large_group_is_divided_into_ranges_that_cover_it() {
    let scene = Scene::new(2_500).await;
    scene.leave(said(), 2).await;
    assert_eq!(MEMBERS_PER_DELIVERY, 1_000);
    let whole = scene.take().await;
    let [whole] = whole.as_slice() else { panic!("{whole:?}") };
    assert_eq!(bounds(whole), (Value::Null, Value::Null));
    assert_eq!(deliver(scene.fixture.settings(), &[whole]).await, [""; 0]);
    let mut ranges: Vec<_> = scene.take().await.iter().map(|body| bounds(body)).collect();
    ranges.sort_by_key(|(after, _)| after.to_string());
    // The first thousand have been told.
    assert_eq!(
        ranges,
        [(json!("m01000"), json!("m02000")), (json!("m02000"), Value::Null)]
    );
}

#[tokio::test]
async fn what_is_of_another_life_of_the_databases_is_told_to_nobody() {
    let scene = Scene::new(2_500).await;
    scene.leave(said(), 3).await;
    let whole = scene.take().await.remove(0);
    assert_eq!(deliver(scene.fixture.settings(), &[&whole]).await, [""; 0]);
    assert_eq!(scene.take().await, [""; 0]);
}

#[tokio::test]
async fn a_range_is_not_divided_again() {
    let scene = Scene::new(150).await;
    scene.leave(said(), 2).await;
    let whole = scene.take().await.remove(0);
    assert_eq!(deliver(scene.fixture.settings(), &[&whole, &whole]).await, [""; 0]);
    assert_eq!(scene.take().await, [""; 0]);
}

#[tokio::test]
async fn what_is_no_fan_out_fails_alone() {
    let scene = Scene::new(101).await;
    scene.leave(said(), 2).await;
    let good = scene.take().await.remove(0);
    let mut nowhere: Value = serde_json::from_str(&good).unwrap();
    nowhere["event"] = json!(STANDARD.encode(LiveEvent::default().encode_to_vec()));
    let mut broken: Value = serde_json::from_str(&good).unwrap();
    broken["event"] = json!("////");
    let bodies = [
        String::new(),
        "{}".to_owned(),
        good.clone(),
        nowhere.to_string(),
        broken.to_string(),
        "\u{0}".repeat(10_000),
    ];
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    assert_eq!(
        deliver(scene.fixture.settings(), &bodies).await,
        ["0", "1", "3", "4", "5"]
    );
}

#[tokio::test]
async fn a_message_comes_again_when_postgres_is_away() {
    let scene = Scene::new(101).await;
    scene.leave(said(), 2).await;
    let body = scene.take().await.remove(0);
    let nowhere = scene.fixture.settings().clone().with(
        "FUNCTIONS_DATABASE_URL",
        "postgres://chat@127.0.0.1:9/chat?sslmode=disable",
    );
    assert_eq!(deliver(&nowhere, &[&body]).await, ["0"]);
}

#[tokio::test]
async fn memberships_of_a_deleted_group_end_by_one_message_and_of_no_other_group() {
    let scene = Scene::new(250).await;
    let ended = live_event::Event::MembershipEnded(MembershipEnded::default());
    scene.leave_to(Audience::Remaining, ended, 0).await;
    let body = scene.take().await.remove(0);
    // A message about a group that is not deleted ends nothing.
    assert_eq!(deliver(scene.fixture.settings(), &[&body]).await, [""; 0]);
    assert_eq!((scene.left().await, scene.take().await.len()), (250, 0));
    sqlx::query("UPDATE conversations SET deleted_at = now() WHERE conversation_id = $1")
        .bind(scene.group.uuid())
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(deliver(scene.fixture.settings(), &[&body, &body]).await, [""; 0]);
    assert_eq!((scene.left().await, scene.take().await.len()), (0, 0));
}

#[tokio::test]
async fn an_event_that_is_too_large_for_a_frame_waits_as_a_poke() {
    let scene = Scene::new(101).await;
    let message = Message {
        text: "x".repeat(40_000),
        ..Message::default()
    };
    scene.leave(live_event::Event::MessageSent(message), 2).await;
    let body = scene.take().await.remove(0);
    assert!(body.len() < 1_000, "{body}");
}
