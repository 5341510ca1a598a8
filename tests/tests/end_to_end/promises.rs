//! What the service that this one replaces promised of groups, each promise a fact, over HTTP and as its users would try it.

use chat_client::contract::FieldMask;
use chat_client::contract::v1::{
    AddGroupMembersRequest, CreateGroupRequest, DeleteGroupRequest, GetConversationRequest, GetMessageRequest,
    GroupRole, LeaveGroupRequest, ListConversationsRequest, ListGroupMembersRequest, ListMessagesRequest,
    RemoveGroupMemberRequest, SendMessageRequest, SetGroupMemberRoleRequest, TransferGroupOwnershipRequest,
    UpdateGroupRequest,
};
use chat_client::{CallError, ChatClient, Code};

use crate::harness::Stack;

/// A group of `ada`, who owns it, and her friends `ben` and `cleo`.
struct Scene {
    stack: Stack,
    ada: ChatClient,
    group: String,
}

impl Scene {
    async fn new() -> Self {
        let stack = Stack::start().await;
        for friend in ["ben", "cleo", "dan"] {
            stack.fixture.befriend("ada", friend).await;
        }
        let ada = stack.client("ada");
        let group = create(&ada, "group", &["ben", "cleo"]).await;
        Self { stack, ada, group }
    }

    async fn say(&self, sender: &str, text: &str) -> Result<String, CallError> {
        let request = SendMessageRequest {
            conversation_id: self.group.clone(),
            client_message_id: text.replace(' ', "-"),
            text: text.to_owned(),
            ..SendMessageRequest::default()
        };
        let sent = self.stack.client(sender).call(request).await?;
        Ok(sent.message.unwrap().message_id)
    }

    /// The participants, each with their role.
    async fn members(&self) -> Vec<(String, GroupRole)> {
        let request = ListGroupMembersRequest {
            conversation_id: self.group.clone(),
            ..ListGroupMembersRequest::default()
        };
        let listed = self.ada.call(request).await.unwrap().members.into_iter();
        listed.map(|member| (member.user_id.clone(), member.role())).collect()
    }

    async fn role(&self, caller: &ChatClient, user: &str, role: GroupRole) -> Result<(), CallError> {
        let request = SetGroupMemberRoleRequest {
            conversation_id: self.group.clone(),
            user_id: user.to_owned(),
            request_id: format!("{user} {role:?}").replace(' ', "-"),
            role: role.into(),
        };
        caller.call(request).await.map(drop)
    }

    async fn remove(&self, caller: &ChatClient, user: &str) -> Result<(), CallError> {
        let request = RemoveGroupMemberRequest {
            conversation_id: self.group.clone(),
            user_id: user.to_owned(),
            request_id: format!("remove-{user}"),
        };
        caller.call(request).await.map(drop)
    }
}

async fn create(client: &ChatClient, request_id: &str, users: &[&str]) -> String {
    let request = CreateGroupRequest {
        request_id: request_id.to_owned(),
        name: "Trains".to_owned(),
        user_ids: users.iter().map(|&user| user.to_owned()).collect(),
        ..CreateGroupRequest::default()
    };
    client
        .call(request)
        .await
        .unwrap()
        .conversation
        .unwrap()
        .conversation_id
}

fn named(users: &[(&str, GroupRole)]) -> Vec<(String, GroupRole)> {
    users.iter().map(|(user, role)| ((*user).to_owned(), *role)).collect()
}

#[tokio::test]
async fn groups_are_created_updated_and_listed_with_their_participants() {
    let scene = Scene::new().await;
    let roles = [
        ("ada", GroupRole::Owner),
        ("ben", GroupRole::Member),
        ("cleo", GroupRole::Member),
    ];
    assert_eq!(scene.members().await, named(&roles));
    let request = UpdateGroupRequest {
        conversation_id: scene.group.clone(),
        request_id: "rename".to_owned(),
        name: "Boats".to_owned(),
        update_mask: Some(FieldMask {
            paths: vec!["name".to_owned()],
        }),
        ..UpdateGroupRequest::default()
    };
    scene.ada.call(request).await.unwrap();
    for member in ["ada", "ben", "cleo"] {
        let listed = scene
            .stack
            .client(member)
            .call(ListConversationsRequest::default())
            .await
            .unwrap();
        let group = listed
            .conversations
            .into_iter()
            .find(|it| it.conversation_id == scene.group);
        assert_eq!(
            group.unwrap().group.unwrap().name,
            "Boats",
            "no list serves what was before"
        );
    }
}

#[tokio::test]
async fn members_are_added_and_removed_made_admins_and_none_and_owners_and_leave() {
    let scene = Scene::new().await;
    let add = AddGroupMembersRequest {
        conversation_id: scene.group.clone(),
        request_id: "add".to_owned(),
        user_ids: vec!["dan".to_owned()],
    };
    scene.ada.call(add).await.unwrap();
    scene.role(&scene.ada, "ben", GroupRole::Admin).await.unwrap();
    let ben = scene.stack.client("ben");
    scene.remove(&ben, "cleo").await.unwrap();
    let refused = scene.remove(&ben, "ada").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "not who is above them");
    scene.role(&scene.ada, "ben", GroupRole::Member).await.unwrap();
    assert_eq!(
        scene.remove(&ben, "dan").await.unwrap_err().code(),
        Code::FailedPrecondition,
        "an admin no longer"
    );
    let hand_over = TransferGroupOwnershipRequest {
        conversation_id: scene.group.clone(),
        user_id: "dan".to_owned(),
        request_id: "hand-over".to_owned(),
    };
    scene.ada.call(hand_over).await.unwrap();
    let roles = [
        ("ada", GroupRole::Admin),
        ("ben", GroupRole::Member),
        ("dan", GroupRole::Owner),
    ];
    assert_eq!(scene.members().await, named(&roles));
    let leave = LeaveGroupRequest {
        conversation_id: scene.group.clone(),
        request_id: "leave".to_owned(),
    };
    scene.ada.call(leave).await.unwrap();
    assert_eq!(
        scene.say("ada", "still here?").await.unwrap_err().code(),
        Code::NotFound
    );
    scene.say("ben", "she left").await.unwrap();
}

#[tokio::test]
async fn a_group_with_members_and_messages_is_deleted() {
    let scene = Scene::new().await;
    for number in 0..5 {
        scene.say("ben", &format!("message {number}")).await.unwrap();
    }
    let delete = DeleteGroupRequest {
        conversation_id: scene.group.clone(),
        request_id: "delete".to_owned(),
    };
    scene.ada.call(delete).await.unwrap();
    for member in ["ada", "ben", "cleo"] {
        let client = scene.stack.client(member);
        let read = ListMessagesRequest {
            conversation_id: scene.group.clone(),
            ..ListMessagesRequest::default()
        };
        assert_eq!(client.call(read).await.unwrap_err().code(), Code::NotFound);
        let listed = client.call(ListConversationsRequest::default()).await.unwrap();
        assert!(listed.conversations.iter().all(|it| it.conversation_id != scene.group));
    }
}

#[tokio::test]
async fn nothing_is_served_before_it_is_asked_who_may_see_it() {
    let scene = Scene::new().await;
    let message = scene.say("ben", "for members").await.unwrap();
    let read = || GetMessageRequest {
        conversation_id: scene.group.clone(),
        message_id: message.clone(),
    };
    // Read by one who may, so that whatever is kept is kept; then by those who may not, and by one who may no more.
    let cleo = scene.stack.client("cleo");
    assert_eq!(cleo.call(read()).await.unwrap().message.unwrap().text, "for members");
    scene.remove(&scene.ada, "cleo").await.unwrap();
    for other in [cleo, scene.stack.client("dan"), scene.stack.client("zoe")] {
        assert_eq!(other.call(read()).await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn ids_of_another_group_manipulate_nothing() {
    let scene = Scene::new().await;
    let dan = scene.stack.client("dan");
    let other = create(&dan, "other", &["ada"]).await;
    // Dan owns the other one, and is nothing here.
    assert_eq!(scene.remove(&dan, "ben").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(
        scene.role(&dan, "dan", GroupRole::Admin).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let message = scene.say("ben", "of this group").await.unwrap();
    let elsewhere = GetMessageRequest {
        conversation_id: other.clone(),
        message_id: message,
    };
    assert_eq!(dan.call(elsewhere).await.unwrap_err().code(), Code::NotFound);
    // Ben is a member here, so nobody to be removed there.
    let remove = RemoveGroupMemberRequest {
        conversation_id: other.clone(),
        user_id: "ben".to_owned(),
        request_id: "remove".to_owned(),
    };
    let refused = dan.call(remove).await.unwrap_err();
    assert_eq!(refused.reason(), Some("MEMBER_NOT_FOUND"));
    let seen = dan
        .call(GetConversationRequest { conversation_id: other })
        .await
        .unwrap();
    assert_eq!(seen.conversation.unwrap().members.len(), 2);
}
