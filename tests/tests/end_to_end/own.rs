//! What a conversation is to its user alone, as followers on two devices see it, and the other user's.

use chat_client::contract::Timestamp;
use chat_client::contract::v1::{ConversationSettings, SendMessageRequest};
use chat_client::timeline::Timeline;
use chat_client::{Code, FollowOptions, Follower, History};

use crate::harness::{PATIENCE, Stack};

fn follow(stack: &Stack, user: &str) -> Follower {
    let options = FollowOptions {
        history: History::Newest,
        ..FollowOptions::default()
    };
    Follower::start(stack.client(user), options)
}

async fn until(follower: &Follower, id: &str, condition: impl Fn(&Timeline) -> bool) {
    let is_so = |state: &chat_client::State| state.conversation(id).is_some_and(|it| it.is_whole() && condition(it));
    follower.wait_until(PATIENCE, is_so).await.unwrap();
}

async fn say(stack: &Stack, id: &str, sender: &str, text: &str) {
    let request = SendMessageRequest {
        conversation_id: id.to_owned(),
        client_message_id: text.to_owned(),
        text: text.to_owned(),
        ..SendMessageRequest::default()
    };
    stack.client(sender).call(request).await.unwrap();
}

#[tokio::test]
async fn all_devices_of_a_user_agree_on_what_is_theirs_alone() {
    let stack = Stack::start().await;
    let id = stack.fixture.open_direct("alice", "bob").await.to_string();
    let [one, other, bob] = ["alice", "alice", "bob"].map(|user| follow(&stack, user));
    for follower in [&one, &other, &bob] {
        until(follower, &id, |_| true).await;
    }
    let pinned = ConversationSettings {
        pinned: true,
        muted_until: Some(Timestamp {
            seconds: 4_000_000_000,
            nanos: 0,
        }),
        ..ConversationSettings::default()
    };
    one.update_settings(&id, pinned, &["pinned", "muted_until"])
        .await
        .unwrap();
    let is_pinned = |it: &Timeline| it.settings().pinned && it.settings().muted_until.is_some();
    until(&one, &id, is_pinned).await;
    until(&other, &id, is_pinned).await;
    assert!(!bob.state().conversation(&id).unwrap().settings().pinned);

    say(&stack, &id, "bob", "before").await;
    for follower in [&one, &other] {
        until(follower, &id, |it| it.messages().count() == 1).await;
    }
    bob.mark_read(&id, 1);
    one.mark_delivered(&id, 1).await.unwrap();
    other.mark_unread(&id).await.unwrap();
    until(&one, &id, Timeline::is_marked_unread).await;
    one.mark_read(&id, 1);
    until(&other, &id, |it| !it.is_marked_unread() && it.unread_count() == 0).await;
    // Again, before the moment is over in which one mark follows another.
    other.mark_unread(&id).await.unwrap();
    until(&one, &id, Timeline::is_marked_unread).await;
    one.mark_read(&id, 1);
    until(&other, &id, |it| !it.is_marked_unread()).await;

    one.clear_history(&id, 1).await.unwrap();
    for follower in [&one, &other] {
        until(follower, &id, |it| it.is_loaded() && it.messages().count() == 0).await;
    }
    assert_eq!(bob.state().conversation(&id).unwrap().messages().count(), 1);
    // Nothing is left that could be named as the newest.
    one.hide(&id).await.unwrap();
    for follower in [&one, &other] {
        until(follower, &id, Timeline::is_hidden).await;
    }
    say(&stack, &id, "bob", "after").await;
    for follower in [&one, &other] {
        until(follower, &id, |it| !it.is_hidden() && it.messages().count() == 1).await;
    }
}

#[tokio::test]
async fn a_device_that_has_not_heard_of_a_change_does_not_overrule_it() {
    let stack = Stack::start().await;
    let id = stack.fixture.open_direct("alice", "bob").await.to_string();
    let follower = follow(&stack, "alice");
    until(&follower, &id, |_| true).await;
    let archived = ConversationSettings {
        archived: true,
        ..ConversationSettings::default()
    };
    // Its owner says twice, as of the same revision, what is to be: the second time of what has changed since.
    follower.update_settings(&id, archived, &["archived"]).await.unwrap();
    let stale = chat_client::contract::v1::UpdateConversationSettingsRequest {
        conversation_id: id.clone(),
        settings: Some(ConversationSettings::default()),
        update_mask: Some(chat_client::contract::FieldMask {
            paths: vec!["archived".to_owned()],
        }),
        settings_revision: 0,
    };
    let refused = stack.client("alice").call(stale).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::Aborted, Some("SETTINGS_CHANGED"))
    );
    until(&follower, &id, |it| it.settings().archived).await;
}
