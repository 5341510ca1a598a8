//! Groups from outside: what random calls of several users are answered and lead to, compared with a small model of the rules;
//! and that who listened all the time shows the same as who comes at the end.

use std::collections::{BTreeMap, BTreeSet};

use chat_client::contract::FieldMask;
use chat_client::contract::v1::list_messages_request::Position;
use chat_client::contract::v1::{
    AddGroupMembersRequest, AnswerJoinRequestRequest, ConversationCursor, CreateGroupInviteRequest, CreateGroupRequest,
    DeleteGroupRequest, GetConversationRequest, GroupPermission, GroupRole, GroupSettings, JoinGroupRequest,
    LeaveGroupRequest, ListGroupMembersRequest, ListMessagesRequest, ListMessagesResponse, RemoveGroupMemberRequest,
    SendMessageRequest, SetGroupMemberRoleRequest, SyncConversationsRequest, TransferGroupOwnershipRequest,
    UpdateGroupRequest,
};
use chat_client::timeline::Timeline;
use chat_client::{CallError, ChatClient, Code, FollowOptions, Follower, History, State};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::harness::{PATIENCE, Stack};

/// Names the seed of a run that is to be repeated.
const SEED: &str = "CHAT_TEST_SEED";
/// The last of them is nobody's friend.
const USERS: [&str; 6] = ["ada", "ben", "cleo", "dan", "eve", "sam"];
const STRANGER: &str = "sam";
const GROUPS: usize = 4;
const STEPS: usize = 400;

/// What the rules say of a group.
#[derive(Clone, Debug, Default)]
struct Model {
    id: String,
    is_deleted: bool,
    name: String,
    shows_history: bool,
    members_may: BTreeSet<GroupPermission>,
    admins_may: BTreeSet<GroupPermission>,
    members: BTreeMap<&'static str, Member>,
    /// Who asks to join.
    asking: BTreeSet<&'static str>,
    /// Who was ever a member.
    met: BTreeSet<&'static str>,
    /// Whom somebody else took out, or would have, and nobody has let in since.
    removed: BTreeSet<&'static str>,
    /// The tokens of the links by which one joins, and by which one asks to.
    links: [String; 2],
    /// Who said each message, by seq.
    said: Vec<&'static str>,
    revision: i64,
    /// The revisions at which it changed.
    changes: Vec<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    role: GroupRole,
    sees_above_seq: usize,
    sees_above_revision: i64,
}

/// Something that a user does to a group.
#[derive(Clone, Debug)]
enum Step {
    Add(&'static str),
    Remove(&'static str),
    Leave,
    SetRole(&'static str, GroupRole),
    Transfer(&'static str),
    Rename(String),
    Configure(Vec<GroupPermission>, Vec<GroupPermission>, bool),
    /// By the link by which one joins, or by the one by which one asks to.
    Join {
        asks: bool,
    },
    Answer(&'static str, bool),
    Say,
    Delete,
}

/// Calls of a member that the service remembers.
const REMEMBERED: usize = 16;
const NO_INVITE: (Code, &str) = (Code::NotFound, "INVITE_NOT_FOUND");
const NO_REQUEST: (Code, &str) = (Code::NotFound, "JOIN_REQUEST_NOT_FOUND");
const NOT_FOUND: (Code, &str) = (Code::NotFound, "CONVERSATION_NOT_FOUND");
const NOT_PERMITTED: (Code, &str) = (Code::FailedPrecondition, "NOT_PERMITTED");
const NO_MEMBER: (Code, &str) = (Code::NotFound, "MEMBER_NOT_FOUND");

impl Model {
    fn may(&self, role: GroupRole, permission: GroupPermission) -> bool {
        match role {
            GroupRole::Owner => true,
            GroupRole::Admin => self.admins_may.contains(&permission) || self.members_may.contains(&permission),
            _ => self.members_may.contains(&permission),
        }
    }

    fn comes(&mut self, user: &'static str) {
        let (seq, revision) = if self.shows_history {
            (0, 0)
        } else {
            (self.said.len(), self.revision)
        };
        let member = Member {
            role: GroupRole::Member,
            sees_above_seq: seq,
            sees_above_revision: revision,
        };
        self.members.insert(user, member);
        self.met.insert(user);
        self.removed.remove(user);
        self.asking.remove(user);
        self.changed();
    }

    /// What a user is answered who has a link.
    fn join(&mut self, actor: &'static str, asks: bool) -> Result<(), (Code, &'static str)> {
        if self.is_deleted {
            return Err(NO_INVITE);
        }
        if self.members.contains_key(actor) {
            return Ok(());
        }
        if asks || self.removed.contains(actor) {
            self.asking.insert(actor);
        } else {
            self.comes(actor);
        }
        Ok(())
    }

    fn configure(
        &mut self,
        own: GroupRole,
        members: &[GroupPermission],
        admins: &[GroupPermission],
        shows_history: bool,
    ) -> Result<(), (Code, &'static str)> {
        let members: BTreeSet<_> = members.iter().copied().collect();
        let admins: BTreeSet<_> = admins.iter().copied().chain([GroupPermission::SendMessages]).collect();
        // Nobody grants what they may not do.
        let granted = members.difference(&self.members_may);
        let mut needed = granted.chain(admins.difference(&self.admins_may));
        let may_grant = needed.all(|permission| self.may(own, *permission));
        if !may_grant || !self.may(own, GroupPermission::ChangeSettings) {
            return Err(NOT_PERMITTED);
        }
        if (&members, &admins, shows_history) != (&self.members_may, &self.admins_may, self.shows_history) {
            (self.members_may, self.admins_may, self.shows_history) = (members, admins, shows_history);
            self.changed();
        }
        Ok(())
    }

    fn changed(&mut self) {
        self.revision += 1;
        self.changes.push(self.revision);
    }

    /// What a step of a user is answered, and what it leads to.
    fn take(&mut self, actor: &'static str, step: &Step) -> Result<(), (Code, &'static str)> {
        if let Step::Join { asks } = step {
            return self.join(actor, *asks);
        }
        let own = self
            .members
            .get(actor)
            .filter(|_| !self.is_deleted)
            .ok_or(NOT_FOUND)?
            .role;
        let needs = |permission| {
            if self.may(own, permission) {
                Ok(())
            } else {
                Err(NOT_PERMITTED)
            }
        };
        let below_own = |user| match self.members.get(user) {
            None => Err(NO_MEMBER),
            Some(member) if member.role >= own => Err(NOT_PERMITTED),
            Some(member) => Ok(member.role),
        };
        match step {
            Step::Add(user) => {
                needs(GroupPermission::AddMembers)?;
                if !self.members.contains_key(user) && ![actor, *user].contains(&STRANGER) {
                    self.comes(user);
                }
            }
            Step::Remove(user) => {
                needs(GroupPermission::RemoveMembers)?;
                if !self.members.contains_key(user) && self.met.contains(user) {
                    // They left before, and ask to come back all the same.
                    self.removed.insert(user);
                    return Err(NO_MEMBER);
                }
                below_own(user)?;
                self.members.remove(user);
                self.removed.insert(user);
                self.changed();
            }
            Step::Leave => {
                if own == GroupRole::Owner {
                    return Err((Code::FailedPrecondition, "OWNER_CANNOT_LEAVE"));
                }
                self.members.remove(actor);
                self.changed();
            }
            Step::SetRole(user, role) => {
                needs(GroupPermission::ManageRoles)?;
                if below_own(user)? != *role {
                    self.members.entry(user).and_modify(|member| member.role = *role);
                    self.changed();
                }
            }
            Step::Transfer(user) => {
                if own != GroupRole::Owner {
                    return Err(NOT_PERMITTED);
                }
                below_own(user)?;
                self.members
                    .entry(user)
                    .and_modify(|member| member.role = GroupRole::Owner);
                self.members
                    .entry(actor)
                    .and_modify(|member| member.role = GroupRole::Admin);
                self.changed();
            }
            Step::Rename(name) => {
                needs(GroupPermission::EditInfo)?;
                if self.name != *name {
                    self.name.clone_from(name);
                    self.changed();
                }
            }
            Step::Configure(members, admins, shows_history) => {
                self.configure(own, members, admins, *shows_history)?;
            }
            Step::Join { .. } => {}
            Step::Answer(user, lets_in) => {
                needs(GroupPermission::ManageInvites)?;
                if !self.asking.remove(user) {
                    return Err(NO_REQUEST);
                }
                if *lets_in && !self.members.contains_key(user) {
                    self.comes(user);
                }
            }
            Step::Say => {
                needs(GroupPermission::SendMessages)?;
                self.said.push(actor);
                self.revision += 1;
            }
            Step::Delete => {
                if own != GroupRole::Owner {
                    return Err(NOT_PERMITTED);
                }
                self.is_deleted = true;
                self.members.clear();
            }
        }
        Ok(())
    }
}

fn draw(random: &mut StdRng) -> Step {
    let user = *USERS.choose(random).unwrap();
    let mut some = |of: &[GroupPermission]| {
        of.iter()
            .copied()
            .filter(|_| random.random_ratio(1, 2))
            .collect::<Vec<_>>()
    };
    let members = some(&[
        GroupPermission::SendMessages,
        GroupPermission::AddMembers,
        GroupPermission::EditInfo,
    ]);
    let admins = some(&[
        GroupPermission::AddMembers,
        GroupPermission::RemoveMembers,
        GroupPermission::ManageRoles,
        GroupPermission::ChangeSettings,
        GroupPermission::ManageInvites,
    ]);
    match random.random_range(0..100) {
        0..=24 => Step::Add(user),
        25..=32 => Step::Remove(user),
        33..=37 => Step::Leave,
        38..=49 => {
            let role = [GroupRole::Admin, GroupRole::Admin, GroupRole::Member];
            Step::SetRole(user, *role.choose(random).unwrap())
        }
        50..=54 => Step::Transfer(user),
        55..=61 => Step::Rename(format!("name {}", random.random_range(0..4))),
        62..=67 => Step::Configure(members, admins, random.random_ratio(1, 2)),
        68..=73 => Step::Join {
            asks: random.random_ratio(1, 2),
        },
        74..=79 => Step::Answer(user, random.random_ratio(2, 3)),
        80..=98 => Step::Say,
        _ => Step::Delete,
    }
}

/// An update that sets one field.
fn update(field: &str, conversation_id: String, request_id: String) -> UpdateGroupRequest {
    UpdateGroupRequest {
        conversation_id,
        request_id,
        update_mask: Some(FieldMask {
            paths: vec![field.to_owned()],
        }),
        ..UpdateGroupRequest::default()
    }
}

/// Makes a step's call.
async fn make(stack: &Stack, actor: &str, model: &Model, step: &Step, request_id: &str) -> Result<(), CallError> {
    let client = stack.client(actor);
    let (conversation_id, request_id) = (model.id.clone(), request_id.to_owned());
    match step.clone() {
        Step::Add(user) => {
            let user_ids = vec![user.to_owned()];
            // The caller's own id is refused as a field.
            let request = AddGroupMembersRequest {
                conversation_id,
                request_id,
                user_ids,
            };
            client.call(request).await.map(drop)
        }
        Step::Remove(user) => {
            let user_id = user.to_owned();
            let request = RemoveGroupMemberRequest {
                conversation_id,
                user_id,
                request_id,
            };
            client.call(request).await.map(drop)
        }
        Step::Leave => client
            .call(LeaveGroupRequest {
                conversation_id,
                request_id,
            })
            .await
            .map(drop),
        Step::SetRole(user, role) => {
            let (user_id, role) = (user.to_owned(), role.into());
            let request = SetGroupMemberRoleRequest {
                conversation_id,
                user_id,
                request_id,
                role,
            };
            client.call(request).await.map(drop)
        }
        Step::Transfer(user) => {
            let user_id = user.to_owned();
            let request = TransferGroupOwnershipRequest {
                conversation_id,
                user_id,
                request_id,
            };
            client.call(request).await.map(drop)
        }
        Step::Rename(name) => {
            let request = UpdateGroupRequest {
                name,
                ..update("name", conversation_id, request_id)
            };
            client.call(request).await.map(drop)
        }
        Step::Configure(members, admins, shows_history) => {
            let numbers = |permissions: Vec<GroupPermission>| permissions.into_iter().map(Into::into).collect();
            let request = UpdateGroupRequest {
                settings: Some(GroupSettings {
                    member_permissions: numbers(members),
                    admin_permissions: numbers(admins),
                    shows_history,
                }),
                ..update("settings", conversation_id, request_id)
            };
            client.call(request).await.map(drop)
        }
        Step::Join { asks } => {
            let token = model.links[usize::from(asks)].clone();
            client.call(JoinGroupRequest { token, request_id }).await.map(drop)
        }
        Step::Answer(user, approve) => {
            let request = AnswerJoinRequestRequest {
                conversation_id,
                user_id: user.to_owned(),
                request_id,
                approve,
            };
            client.call(request).await.map(drop)
        }
        Step::Say => {
            let request = SendMessageRequest {
                conversation_id,
                client_message_id: request_id,
                text: format!("said by {actor}"),
                ..SendMessageRequest::default()
            };
            client.call(request).await.map(drop)
        }
        Step::Delete => client
            .call(DeleteGroupRequest {
                conversation_id,
                request_id,
            })
            .await
            .map(drop),
    }
}

/// Whether a step names its own actor, which is a bad field wherever it stands.
fn names_oneself(actor: &str, step: &Step) -> bool {
    match step {
        Step::Add(user)
        | Step::Remove(user)
        | Step::SetRole(user, _)
        | Step::Transfer(user)
        | Step::Answer(user, _) => *user == actor,
        _ => false,
    }
}

/// All of a group's history that a user sees, page by page from the end.
async fn history(client: &ChatClient, conversation_id: &str) -> Result<ListMessagesResponse, CallError> {
    let mut whole = ListMessagesResponse::default();
    let mut position = None;
    loop {
        let request = ListMessagesRequest {
            conversation_id: conversation_id.to_owned(),
            page_size: 30,
            position,
            ..ListMessagesRequest::default()
        };
        let mut page = client.call(request).await?;
        let first = page.messages.first().map(|first| first.seq);
        page.messages.append(&mut whole.messages);
        page.group_changes.append(&mut whole.group_changes);
        whole = page;
        match first.filter(|_| whole.has_more_before) {
            Some(first) => position = Some(Position::BeforeSeq(first)),
            None => return Ok(whole),
        }
    }
}

/// Compares all that a user can read of a group with what the model says.
async fn compare(stack: &Stack, model: &Model, user: &'static str) {
    let client = stack.client(user);
    let conversation_id = model.id.clone();
    let about = client
        .call(GetConversationRequest {
            conversation_id: conversation_id.clone(),
        })
        .await;
    let listed = ListGroupMembersRequest {
        conversation_id: conversation_id.clone(),
        ..ListGroupMembersRequest::default()
    };
    let listed = client.call(listed).await;
    let page = history(&client, &conversation_id).await;
    let Some(own) = model.members.get(user) else {
        for refused in [about.map(drop), listed.map(drop), page.map(drop)] {
            let error = refused.unwrap_err();
            assert_eq!((error.code(), error.reason().unwrap_or_default()), NOT_FOUND);
        }
        return;
    };
    let roles: Vec<_> = model
        .members
        .iter()
        .map(|(user, member)| ((*user).to_owned(), member.role))
        .collect();
    let about = about.unwrap().conversation.unwrap();
    let group = about.group.clone().unwrap();
    let seen: Vec<_> = about
        .members
        .iter()
        .map(|member| (member.user_id.clone(), member.role()))
        .collect();
    assert_eq!(
        (seen, group.role(), group.name),
        (roles.clone(), own.role, model.name.clone()),
        "{user}"
    );
    assert_eq!(usize::try_from(group.member_count).unwrap(), model.members.len());
    assert_eq!(about.revision, model.revision);
    let listed: Vec<_> = listed
        .unwrap()
        .members
        .into_iter()
        .map(|it| (it.user_id.clone(), it.role()))
        .collect();
    assert_eq!(listed, roles);
    let page = page.unwrap();
    let said: Vec<_> = page
        .messages
        .iter()
        .map(|message| (message.seq, message.sender_id.clone()))
        .collect();
    let expected = (1_i64..).zip(&model.said).skip(own.sees_above_seq);
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(seq, sender)| (seq, (*sender).to_owned()))
        .collect();
    assert_eq!(said, expected, "{user} sees from {own:?} on");
    let changes: Vec<_> = page.group_changes.iter().map(|change| change.revision).collect();
    let expected = model
        .changes
        .iter()
        .copied()
        .filter(|revision| *revision > own.sees_above_revision);
    assert_eq!(changes, expected.collect::<Vec<_>>(), "{user}");
}

/// What a follower shows of a group, for comparison.
fn shown(state: &State, group: &str) -> Option<String> {
    let timeline = state.conversation(group)?;
    let about = timeline.group()?;
    let roles: Vec<_> = timeline.roles().collect();
    let messages: Vec<_> = timeline
        .messages()
        .map(|message| (message.seq, message.text.clone()))
        .collect();
    let changes: Vec<_> = timeline
        .group_changes()
        .map(|change| (change.revision, change.action()))
        .collect();
    Some(format!(
        "{} {about:?} {roles:?} {messages:?} {changes:?} unread {}",
        timeline.cursor_revision(),
        timeline.unread_count()
    ))
}

fn follow(stack: &Stack, user: &str) -> Follower {
    let options = FollowOptions {
        history: History::All,
        ..FollowOptions::default()
    };
    Follower::start(stack.client(user), options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_calls_are_answered_and_lead_to_what_the_rules_say() {
    let seed = std::env::var(SEED)
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(rand::random::<u64>);
    println!("{SEED}={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let stack = Stack::start().await;
    for (at, one) in USERS.iter().enumerate() {
        for other in USERS.iter().skip(at + 1).filter(|_| *one != STRANGER) {
            if *other != STRANGER {
                stack.fixture.befriend(one, other).await;
            }
        }
    }
    let listeners: Vec<Follower> = USERS.iter().map(|user| follow(&stack, user)).collect();
    join_all(listeners.iter().map(|it| it.wait_until(PATIENCE, State::is_live))).await;

    let mut made = 0;
    for number in 0..GROUPS {
        let mut model = create(&stack, number).await;
        let mut past: Vec<(&str, Step, String)> = Vec::new();
        for step_number in 0..STEPS {
            // Mostly somebody who is in it: what strangers are answered is always the same.
            let members: Vec<&'static str> = model.members.keys().copied().collect();
            let member = members.choose(&mut random).filter(|_| random.random_ratio(5, 6));
            let anybody = *USERS.choose(&mut random).unwrap();
            let step = draw(&mut random);
            let actor = match step {
                Step::Join { .. } => anybody,
                _ => *member.unwrap_or(&anybody),
            };
            if matches!(step, Step::Delete) && step_number < STEPS / 2 || names_oneself(actor, &step) {
                continue;
            }
            let request_id = format!("{number}-{step_number}");
            let before = model.clone();
            let expected = model.take(actor, &step);
            let answered = make(&stack, actor, &model, &step, &request_id).await;
            let answered = answered.map_err(|error| (error.code(), error.reason().unwrap_or_default().to_owned()));
            let expected_text = expected.map_err(|(code, reason)| (code, reason.to_owned()));
            assert_eq!(
                answered, expected_text,
                "step {step_number}: {actor} {step:?} of {before:#?}"
            );
            made += usize::from(expected.is_ok());
            // Who only asks to join has no membership that could remember it.
            let is_remembered = match step {
                Step::Say => false,
                Step::Join { .. } => model.members.contains_key(actor),
                _ => true,
            };
            if expected.is_ok() && is_remembered {
                past.push((actor, step, request_id));
            }
            // A repeat changes nothing, however late, and whatever has become of its maker or anything else.
            if random.random_ratio(1, 6) {
                let own: Vec<_> = past
                    .iter()
                    .rev()
                    .filter(|(maker, ..)| *maker == actor)
                    .take(REMEMBERED)
                    .collect();
                if let Some((_, step, request_id)) = own.choose(&mut random) {
                    let repeated = make(&stack, actor, &model, step, request_id).await;
                    let is_there = model.members.contains_key(actor) || matches!(step, Step::Leave | Step::Delete);
                    assert_eq!(
                        repeated.is_ok(),
                        is_there,
                        "step {step_number}, again {step:?} of {actor}: {repeated:?}"
                    );
                }
            }
            if step_number % 50 == 49 {
                for user in USERS {
                    compare(&stack, &model, user).await;
                }
            }
        }
        for user in USERS {
            compare(&stack, &model, user).await;
        }
        agree(&stack, &model, &listeners).await;
    }
    assert!(made > GROUPS * STEPS / 4, "only {made} steps did something");
    join_all(listeners.into_iter().map(Follower::stop)).await;
}

async fn create(stack: &Stack, number: usize) -> Model {
    let request = CreateGroupRequest {
        request_id: format!("group-{number}"),
        name: "name 0".to_owned(),
        user_ids: ["ben", "cleo", STRANGER].map(str::to_owned).into(),
        ..CreateGroupRequest::default()
    };
    let created = stack.client("ada").call(request).await.unwrap();
    assert_eq!(created.not_added_user_ids, [STRANGER]);
    let id = created.conversation.unwrap().conversation_id;
    let mut links = [String::new(), String::new()];
    for (link, asks) in links.iter_mut().zip([false, true]) {
        let request = CreateGroupInviteRequest {
            conversation_id: id.clone(),
            request_id: format!("asks-{asks}"),
            needs_approval: asks,
            ..CreateGroupInviteRequest::default()
        };
        *link = stack.client("ada").call(request).await.unwrap().invite.unwrap().token;
    }
    let role = |role| Member {
        role,
        sees_above_seq: 0,
        sees_above_revision: 0,
    };
    Model {
        id,
        links,
        name: "name 0".to_owned(),
        members_may: BTreeSet::from([GroupPermission::SendMessages, GroupPermission::AddMembers]),
        admins_may: BTreeSet::from([
            GroupPermission::SendMessages,
            GroupPermission::AddMembers,
            GroupPermission::EditInfo,
            GroupPermission::RemoveMembers,
            GroupPermission::ManageInvites,
        ]),
        members: BTreeMap::from([
            ("ada", role(GroupRole::Owner)),
            ("ben", role(GroupRole::Member)),
            ("cleo", role(GroupRole::Member)),
        ]),
        met: BTreeSet::from(["ada", "ben", "cleo"]),
        revision: 1,
        changes: vec![1],
        ..Model::default()
    }
}

/// Waits until those who listened all the time know of the end, and compares them with others who come now.
async fn agree(stack: &Stack, model: &Model, listeners: &[Follower]) {
    for (user, listener) in USERS.iter().zip(listeners) {
        let is_member = model.members.contains_key(user);
        let is_there = |state: &State| match state.conversation(&model.id) {
            Some(timeline) => is_member && timeline.is_whole() && timeline.cursor_revision() >= model.revision,
            None => !is_member,
        };
        let heard = listener.wait_until(PATIENCE, is_there).await;
        let heard = heard.unwrap_or_else(|late| panic!("{user} is not told of {}: {late}", model.id));
        let newcomer = follow(stack, user);
        let synced = newcomer
            .wait_until(PATIENCE, |state| state.is_whole() && is_there(state))
            .await
            .unwrap();
        assert_eq!(shown(&heard, &model.id), shown(&synced, &model.id), "{user}");
        newcomer.stop().await;
    }
}

#[tokio::test]
async fn a_removed_member_is_told_and_reads_nothing_and_comes_back_to_what_is_new() {
    let stack = Stack::start().await;
    for friend in ["ben", "cleo"] {
        stack.fixture.befriend("ada", friend).await;
    }
    let model = create(&stack, 0).await;
    let group = model.id.as_str();
    let ben = follow(&stack, "ben");
    ben.wait_until(PATIENCE, |state| {
        state.conversation(group).is_some_and(Timeline::is_whole)
    })
    .await
    .unwrap();
    make(&stack, "ada", &model, &Step::Say, "1").await.unwrap();
    ben.wait_until(PATIENCE, |state| {
        state.conversation(group).is_some_and(|it| it.messages().count() == 1)
    })
    .await
    .unwrap();

    make(&stack, "ada", &model, &Step::Remove("ben"), "2").await.unwrap();
    ben.wait_until(PATIENCE, |state| state.conversation(group).is_none())
        .await
        .unwrap();
    make(&stack, "ada", &model, &Step::Say, "3").await.unwrap();
    let refused = make(&stack, "ben", &model, &Step::Say, "4").await.unwrap_err();
    assert_eq!((refused.code(), refused.reason().unwrap_or_default()), NOT_FOUND);

    make(&stack, "ada", &model, &Step::Add("ben"), "5").await.unwrap();
    make(&stack, "cleo", &model, &Step::Say, "6").await.unwrap();
    let is_back = |state: &State| {
        let texts = |it: &Timeline| it.messages().map(|message| message.text.clone()).collect::<Vec<_>>();
        state
            .conversation(group)
            .is_some_and(|it| it.is_whole() && texts(it) == ["said by cleo"])
    };
    let state = ben.wait_until(PATIENCE, is_back).await.unwrap();
    let timeline = state.conversation(group).unwrap();
    assert_eq!(
        timeline.unread_count(),
        1,
        "what was said meanwhile is not unread to them"
    );
    let changes: Vec<_> = timeline.group_changes().map(|change| change.revision).collect();
    assert_eq!(changes, [5], "they see how they came");
    // A cursor from before they came back, made up, leads nowhere: no more than their window is told.
    let cursor = timeline.cursor();
    for revision in 0..cursor.revision {
        let cursors = vec![ConversationCursor {
            revision,
            ..cursor.clone()
        }];
        let request = SyncConversationsRequest { cursors, feed: None };
        let answer = stack.client("ben").call(request).await.unwrap();
        let told: Vec<_> = answer.conversations[0]
            .changes
            .iter()
            .map(|change| change.revision)
            .collect();
        assert!(told.iter().all(|told| *told >= 5), "from {revision}: {told:?}");
        assert_eq!(answer.conversations[0].reset, revision < 4, "from {revision}");
    }
    ben.stop().await;
}

#[tokio::test]
async fn a_change_after_the_last_message_of_a_page_is_on_the_page_that_goes_on_from_there() {
    let stack = Stack::start().await;
    for friend in ["ben", "cleo"] {
        stack.fixture.befriend("ada", friend).await;
    }
    let model = create(&stack, 0).await;
    let group = model.id.as_str();
    let client = stack.client("ben");
    let above = async |seq| {
        let request = ListMessagesRequest {
            conversation_id: group.to_owned(),
            position: Some(Position::AfterSeq(seq)),
            ..ListMessagesRequest::default()
        };
        let page = client.call(request).await.unwrap();
        let seqs: Vec<_> = page.messages.iter().map(|message| message.seq).collect();
        let changes: Vec<_> = page.group_changes.iter().map(|change| change.revision).collect();
        (seqs, changes)
    };
    make(&stack, "ada", &model, &Step::Say, "1").await.unwrap();
    assert_eq!(above(0).await, (vec![1], vec![1]));
    make(&stack, "ada", &model, &Step::Remove("cleo"), "2").await.unwrap();
    assert_eq!(above(1).await, (vec![], vec![3]));
    make(&stack, "ada", &model, &Step::Say, "3").await.unwrap();
    assert_eq!(above(1).await, (vec![2], vec![3]));
    assert_eq!(above(2).await, (vec![], vec![]));
}
