//! What the tests of all operations on groups need: a group with members in roles, and what of it others are told.

use std::collections::BTreeMap;

use chat_contract::v1::{
    AddGroupMembersRequest, AnswerJoinRequestRequest, Conversation, CreateGroupInviteRequest, CreateGroupRequest,
    DeleteGroupRequest, GetGroupInviteRequest, GroupAction, GroupInvite, GroupPermission, GroupRole, GroupSettings,
    JoinGroupRequest, LeaveGroupRequest, ListJoinRequestsRequest, MembershipEndReason, RemoveGroupMemberRequest,
    RevokeGroupInviteRequest, SetGroupMemberRoleRequest, TransferGroupOwnershipRequest, live_event,
};
use chat_domain::ConversationId;
use chat_operation::{Code, Failure, FromSettings, Notice, Settings};
use chat_sealing::Sealer;
use chat_stores::GroupEntry;
use chat_stores::mongo::{EntryKind, RevisionRange, Timeline};
use chat_stores::postgres::Postgres;
use chat_testing::{Called, Fixture, call};

use crate::{
    AddGroupMembers, AnswerJoinRequest, CreateGroup, CreateGroupInvite, DeleteGroup, GetGroupInvite, JoinGroup,
    LeaveGroup, ListJoinRequests, RemoveGroupMember, RevokeGroupInvite, SetGroupMemberRole, TransferGroupOwnership,
};

/// A group of the owner `olga`, the admin `adam`, and the members `mia` and `max`. All of them, and `nina`, who is not in it, are
/// friends of `olga` and `adam`; `sam` is a stranger.
pub(crate) struct Scene {
    pub(crate) fixture: Fixture,
    pub(crate) group: ConversationId,
}

pub(crate) fn create(request_id: &str, users: &[&str]) -> CreateGroupRequest {
    CreateGroupRequest {
        request_id: request_id.to_owned(),
        name: "Trains".to_owned(),
        user_ids: users.iter().map(|&user| user.to_owned()).collect(),
        ..CreateGroupRequest::default()
    }
}

/// The group's id in an answer.
pub(crate) fn id_of(conversation: &Conversation) -> ConversationId {
    conversation.conversation_id.parse().unwrap()
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let fixture = Fixture::new().await;
        for friend in ["adam", "mia", "max", "nina"] {
            fixture.befriend("olga", friend).await;
        }
        for friend in ["mia", "max", "nina"] {
            fixture.befriend("adam", friend).await;
        }
        let operation: CreateGroup = fixture.operation();
        let created = call(&operation, "olga", create("scene", &["adam", "mia", "max"]))
            .await
            .unwrap();
        let scene = Self {
            group: id_of(&created.response.conversation.unwrap()),
            fixture,
        };
        scene.set_role("olga", "adam", GroupRole::Admin, "scene").await.unwrap();
        scene
    }

    pub(crate) async fn add(&self, caller: &str, users: &[&str], request_id: &str) -> Called<AddGroupMembers> {
        let request = AddGroupMembersRequest {
            conversation_id: self.group.to_string(),
            request_id: request_id.to_owned(),
            user_ids: users.iter().map(|&user| user.to_owned()).collect(),
        };
        call(&self.fixture.operation::<AddGroupMembers>(), caller, request).await
    }

    pub(crate) async fn remove(&self, caller: &str, user: &str, request_id: &str) -> Called<RemoveGroupMember> {
        let request = RemoveGroupMemberRequest {
            conversation_id: self.group.to_string(),
            user_id: user.to_owned(),
            request_id: request_id.to_owned(),
        };
        call(&self.fixture.operation::<RemoveGroupMember>(), caller, request).await
    }

    pub(crate) async fn set_role(
        &self,
        caller: &str,
        user: &str,
        role: GroupRole,
        request_id: &str,
    ) -> Called<SetGroupMemberRole> {
        let request = SetGroupMemberRoleRequest {
            conversation_id: self.group.to_string(),
            user_id: user.to_owned(),
            request_id: request_id.to_owned(),
            role: role.into(),
        };
        call(&self.fixture.operation::<SetGroupMemberRole>(), caller, request).await
    }

    pub(crate) async fn transfer(&self, caller: &str, user: &str, request_id: &str) -> Called<TransferGroupOwnership> {
        let request = TransferGroupOwnershipRequest {
            conversation_id: self.group.to_string(),
            user_id: user.to_owned(),
            request_id: request_id.to_owned(),
        };
        call(&self.fixture.operation::<TransferGroupOwnership>(), caller, request).await
    }

    pub(crate) async fn leave(&self, caller: &str, request_id: &str) -> Called<LeaveGroup> {
        let request = LeaveGroupRequest {
            conversation_id: self.group.to_string(),
            request_id: request_id.to_owned(),
        };
        call(&self.fixture.operation::<LeaveGroup>(), caller, request).await
    }

    pub(crate) async fn delete(&self, caller: &str, request_id: &str) -> Called<DeleteGroup> {
        let request = DeleteGroupRequest {
            conversation_id: self.group.to_string(),
            request_id: request_id.to_owned(),
        };
        call(&self.fixture.operation::<DeleteGroup>(), caller, request).await
    }

    pub(crate) async fn invite_as(&self, caller: &str, request: CreateGroupInviteRequest) -> Called<CreateGroupInvite> {
        call(&self.fixture.operation::<CreateGroupInvite>(), caller, request).await
    }

    /// An invite of the owner, that is like this request but for what names it.
    pub(crate) async fn invite(&self, request_id: &str, request: CreateGroupInviteRequest) -> GroupInvite {
        let request = CreateGroupInviteRequest {
            conversation_id: self.group.to_string(),
            request_id: request_id.to_owned(),
            ..request
        };
        self.invite_as("olga", request).await.unwrap().response.invite.unwrap()
    }

    pub(crate) async fn revoke(&self, caller: &str, invite: &GroupInvite) -> Called<RevokeGroupInvite> {
        let request = RevokeGroupInviteRequest {
            conversation_id: self.group.to_string(),
            invite_id: invite.invite_id.clone(),
        };
        call(&self.fixture.operation::<RevokeGroupInvite>(), caller, request).await
    }

    pub(crate) async fn join(&self, caller: &str, invite: &GroupInvite, request_id: &str) -> Called<JoinGroup> {
        let request = JoinGroupRequest {
            token: invite.token.clone(),
            request_id: request_id.to_owned(),
        };
        call(&self.fixture.operation::<JoinGroup>(), caller, request).await
    }

    pub(crate) async fn preview(&self, caller: &str, invite: &GroupInvite) -> Called<GetGroupInvite> {
        let request = GetGroupInviteRequest {
            token: invite.token.clone(),
        };
        call(&self.fixture.operation::<GetGroupInvite>(), caller, request).await
    }

    pub(crate) async fn answer(
        &self,
        caller: &str,
        user: &str,
        approve: bool,
        request_id: &str,
    ) -> Called<AnswerJoinRequest> {
        let request = AnswerJoinRequestRequest {
            conversation_id: self.group.to_string(),
            user_id: user.to_owned(),
            request_id: request_id.to_owned(),
            approve,
        };
        call(&self.fixture.operation::<AnswerJoinRequest>(), caller, request).await
    }

    /// Who asks to join, as the owner sees it.
    pub(crate) async fn asking(&self) -> Vec<String> {
        let request = ListJoinRequestsRequest {
            conversation_id: self.group.to_string(),
            ..ListJoinRequestsRequest::default()
        };
        let listed = call(&self.fixture.operation::<ListJoinRequests>(), "olga", request).await;
        let requests = listed.unwrap().response.join_requests.into_iter();
        requests.map(|asking| asking.user_id).collect()
    }

    /// Has a user be in as many conversations as one may be in, past the operations.
    pub(crate) async fn fill_conversations_of(&self, user: &str) {
        sqlx::query(
            "INSERT INTO feeds (user_id, conversation_count) VALUES ($1, $2)
                     ON CONFLICT (user_id) DO UPDATE SET conversation_count = EXCLUDED.conversation_count",
        )
        .bind(user)
        .bind(chat_domain::CONVERSATIONS_MAX)
        .execute(&mut self.fixture.connect_postgres().await)
        .await
        .unwrap();
    }

    /// Has the group count as having so many members, past the operations.
    pub(crate) async fn count_members_as(&self, members: i32) {
        sqlx::query("UPDATE conversations SET member_count = $2 WHERE conversation_id = $1")
            .bind(self.group.uuid())
            .bind(members)
            .execute(&mut self.fixture.connect_postgres().await)
            .await
            .unwrap();
    }

    /// The group as a member sees it; None when it is not there for them.
    pub(crate) async fn seen_by(&self, user: &str) -> Option<Conversation> {
        let row = self
            .postgres()
            .lookup_conversation(self.group, &chat_testing::user(user))
            .await
            .unwrap();
        row.map(|row| chat_view::conversation(row.conversation))
    }

    /// (member, role), by user id, as the owner or whoever is given sees it.
    pub(crate) async fn roles(&self, seen_by: &str) -> Vec<(String, GroupRole)> {
        roles(&self.seen_by(seen_by).await.expect("they are a member"))
    }

    /// What the timeline holds, by revision: the changes of the group, and None for anything else.
    pub(crate) async fn timeline(&self) -> BTreeMap<i64, Option<GroupEntry>> {
        let range = RevisionRange {
            conversation: self.group,
            after: 0,
            through: 1_000,
        };
        let entries = self.mongo().list_revisions(&[range]).await.unwrap().remove(&self.group);
        let entries = entries.unwrap_or_default().into_iter().map(|entry| {
            let change = match entry.kind {
                EntryKind::Group(change) => Some(*change),
                EntryKind::Message(_) | EntryKind::Void | EntryKind::Unknown => None,
            };
            (entry.revision, change)
        });
        entries.collect()
    }

    /// How many entries wait in the outbox.
    pub(crate) async fn pending(&self) -> usize {
        self.postgres()
            .list_pending(self.group, i64::MAX, 100)
            .await
            .unwrap()
            .len()
    }

    /// Seals the group, as an operation does after its answer.
    pub(crate) async fn seal(&self) {
        let (postgres, timeline) = (self.postgres(), self.mongo());
        Sealer::new(&postgres, &timeline).seal(self.group).await.unwrap();
    }

    pub(crate) fn postgres(&self) -> Postgres {
        postgres(self.fixture.settings())
    }

    pub(crate) fn mongo(&self) -> Timeline {
        Timeline::from_settings(self.fixture.settings()).unwrap()
    }
}

pub(crate) fn postgres(settings: &Settings) -> Postgres {
    Postgres::from_settings(settings).unwrap()
}

pub(crate) fn roles(conversation: &Conversation) -> Vec<(String, GroupRole)> {
    let members = conversation.members.iter();
    members.map(|member| (member.user_id.clone(), member.role())).collect()
}

/// Settings of these permissions.
pub(crate) fn settings(members: &[GroupPermission], admins: &[GroupPermission], shows_history: bool) -> GroupSettings {
    let numbers = |permissions: &[GroupPermission]| permissions.iter().map(|it| i32::from(*it)).collect();
    GroupSettings {
        member_permissions: numbers(members),
        admin_permissions: numbers(admins),
        shows_history,
    }
}

/// What somebody is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// The group changed, at a revision.
    Changed(GroupAction, i64),
    /// They are a member now, in this role.
    Opened(GroupRole),
    /// They are no member any more, and why.
    Ended(MembershipEndReason),
    /// To look, up to a revision.
    Poked(i64),
    /// This user asks to join.
    Asked(String),
}

/// What these users are told by each notice, by the first of them.
pub(crate) fn told(notices: &[Notice]) -> Vec<(Vec<String>, Told)> {
    let mut told: Vec<_> = notices
        .iter()
        .map(|notice| (recipients(notice), happening(notice)))
        .collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    told
}

fn recipients(notice: &Notice) -> Vec<String> {
    notice.recipients.users().iter().map(ToString::to_string).collect()
}

fn happening(notice: &Notice) -> Told {
    let event = &notice.event;
    match event.event.as_ref().expect("a notice says something") {
        live_event::Event::GroupChanged(changed) => {
            let change = changed.change.as_ref().unwrap();
            assert_eq!(
                (event.revision, event.previous_revision),
                (change.revision, change.revision - 1)
            );
            assert_eq!(
                changed.group.as_ref().unwrap().role(),
                GroupRole::Unspecified,
                "it is for many"
            );
            Told::Changed(change.action(), change.revision)
        }
        live_event::Event::ConversationOpened(opened) => {
            assert!(event.feed_revision > 0);
            Told::Opened(opened.conversation.as_ref().unwrap().group.as_ref().unwrap().role())
        }
        live_event::Event::MembershipEnded(ended) => {
            assert!(event.feed_revision > 0);
            Told::Ended(ended.reason())
        }
        live_event::Event::Poke(_) => Told::Poked(event.revision),
        live_event::Event::JoinRequested(asked) => Told::Asked(asked.user_id.clone()),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn to(users: &[&str], what: Told) -> (Vec<String>, Told) {
    (users.iter().map(|&user| user.to_owned()).collect(), what)
}

/// Checks how a call was refused.
pub(crate) fn assert_refused<T: std::fmt::Debug>(refused: Result<T, Failure>, code: Code, reason: &str) {
    let failure = refused.expect_err("it is refused");
    assert_eq!((failure.code(), failure.reason()), (code, reason), "{failure}");
}

/// The fields for which a call was refused.
pub(crate) fn bad_fields<T: std::fmt::Debug>(refused: Result<T, Failure>) -> Vec<String> {
    let failure = refused.expect_err("it is refused");
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::InvalidArgument, "INVALID_FIELDS")
    );
    failure
        .violations()
        .iter()
        .map(|violation| violation.field.clone())
        .collect()
}

/// How a group that is not there for its caller is refused, to the byte, whatever the reason.
pub(crate) fn assert_not_found<T: std::fmt::Debug>(refused: impl IntoIterator<Item = Result<T, Failure>>) {
    let expected = format!("{:?}", Failure::conversation_not_found());
    for refused in refused {
        assert_eq!(format!("{:?}", refused.expect_err("it is refused")), expected);
    }
}
