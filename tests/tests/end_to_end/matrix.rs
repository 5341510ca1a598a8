//! Who may call what: every RPC of the contract, by everybody who may be anything to a group, and what each is answered.
//!
//! A new RPC without its row fails. What is refused as not there is refused alike, to the byte, whoever asks and whether it is
//! there for others or for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use chat_local::contract::{Rpc, rpcs};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::harness::{Stack, token};

/// A conversation that is not there.
const MISSING: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// Those who call, and whom the columns of the table are about: without a token; who has nothing to do with the group; who left;
/// who was removed; who was removed and added again; a member; an admin; the owner.
const CALLERS: [&str; 8] = ["", "sam", "lea", "rex", "ron", "mia", "adam", "olga"];

const NO: &str = "unauthenticated";
const NF: &str = "not_found";
const FP: &str = "failed_precondition";
const OK: &str = "ok";

const ROWS: &[(&str, [&str; 8])] = &[
    ("Check", [OK; 8]),
    ("UpsertProfile", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("GetProfiles", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("GetUserSettings", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("UpdateUserSettings", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("RequestFriend", [NO, OK, OK, OK, OK, OK, OK, OK]),
    // Nobody was asked.
    ("RespondToFriendRequest", [NO, NF, NF, NF, NF, NF, NF, NF]),
    ("RemoveFriend", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("ListFriends", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("CreateLiveTicket", [NO, OK, OK, OK, OK, OK, OK, OK]),
    // With a friend of the owner's.
    ("OpenDirectConversation", [NO, FP, FP, FP, FP, FP, FP, OK]),
    ("ListConversations", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("SyncConversations", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("GetConversation", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("MarkConversationRead", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("UpdateConversationSettings", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("MarkConversationUnread", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("ClearConversationHistory", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("HideConversation", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("GetUnreadTotals", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("ListReadPositions", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("MarkConversationDelivered", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("SendMessage", [NO, NF, NF, NF, OK, OK, OK, OK]),
    // What was said before one came back is not there.
    ("GetMessage", [NO, NF, NF, NF, NF, OK, OK, OK]),
    ("ListMessages", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("CreateGroup", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("UpdateGroup", [NO, NF, NF, NF, FP, FP, OK, OK]),
    ("DeleteGroup", [NO, NF, NF, NF, FP, FP, FP, OK]),
    ("AddGroupMembers", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("RemoveGroupMember", [NO, NF, NF, NF, FP, FP, OK, OK]),
    ("ListGroupMembers", [NO, NF, NF, NF, OK, OK, OK, OK]),
    ("SetGroupMemberRole", [NO, NF, NF, NF, FP, FP, FP, OK]),
    ("TransferGroupOwnership", [NO, NF, NF, NF, FP, FP, FP, OK]),
    ("LeaveGroup", [NO, NF, NF, NF, OK, OK, OK, FP]),
    ("CreateGroupInvite", [NO, NF, NF, NF, FP, FP, OK, OK]),
    ("RevokeGroupInvite", [NO, NF, NF, NF, FP, FP, OK, OK]),
    ("ListGroupInvites", [NO, NF, NF, NF, FP, FP, OK, OK]),
    // By whoever has the link; who was removed asks to join.
    ("GetGroupInvite", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("JoinGroup", [NO, OK, OK, OK, OK, OK, OK, OK]),
    ("ListJoinRequests", [NO, NF, NF, NF, FP, FP, OK, OK]),
    ("AnswerJoinRequest", [NO, NF, NF, NF, FP, FP, OK, OK]),
];

/// A group with everybody in it, or no longer.
#[derive(Clone, Debug)]
struct Scene {
    group: String,
    message: String,
    /// A link into the group.
    token: String,
    /// What names the link.
    invite: String,
}

struct Matrix {
    stack: Stack,
    client: Client<HttpConnector, Full<Bytes>>,
    paths: BTreeMap<String, String>,
    /// Counts requests, each of which has an id of its own.
    made: u64,
}

impl Matrix {
    async fn start(rpcs: &[Rpc]) -> Self {
        let stack = Stack::start().await;
        for friend in ["adam", "mia", "lea", "rex", "ron", "max", "nina"] {
            stack.fixture.befriend("olga", friend).await;
        }
        Self {
            stack,
            client: Client::builder(TokioExecutor::new()).build_http(),
            paths: rpcs.iter().map(|rpc| (rpc.name.clone(), rpc.path.clone())).collect(),
            made: 0,
        }
    }

    /// Calls an RPC as somebody: what it is answered, and the whole body.
    async fn call(&mut self, caller: &str, rpc: &str, mut request: Value) -> (String, Value) {
        self.made += 1;
        for field in ["requestId", "clientMessageId"] {
            if let Some(id) = request.get_mut(field) {
                *id = format!("request-{}", self.made).into();
            }
        }
        let url = format!("http://{}{}", self.stack.gateway.address(), self.paths[rpc]);
        let mut builder = Request::post(url).header("content-type", "application/json");
        if !caller.is_empty() {
            builder = builder.header("authorization", format!("Bearer {}", token(caller)));
        }
        let response = self
            .client
            .request(builder.body(Full::new(request.to_string().into())).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let answered = match status {
            StatusCode::OK => OK.to_owned(),
            StatusCode::UNAUTHORIZED => NO.to_owned(),
            _ => body["code"].as_str().unwrap_or_default().to_owned(),
        };
        (answered, body)
    }

    async fn done(&mut self, caller: &str, rpc: &str, request: Value) -> Value {
        let (answered, body) = self.call(caller, rpc, request).await;
        assert_eq!(answered, OK, "{rpc} by {caller}: {body}");
        body
    }

    async fn scene(&mut self) -> Scene {
        let created =
            json!({"requestId": "", "name": "Trains", "userIds": ["adam", "mia", "lea", "rex", "ron", "max"]});
        let created = self.done("olga", "CreateGroup", created).await;
        let group = created["conversation"]["conversationId"].as_str().unwrap().to_owned();
        let of = |more: Value| {
            let mut request = json!({"conversationId": group, "requestId": ""});
            request
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            request
        };
        self.done(
            "olga",
            "SetGroupMemberRole",
            of(json!({"userId": "adam", "role": "GROUP_ROLE_ADMIN"})),
        )
        .await;
        let said = json!({"conversationId": group, "clientMessageId": "", "text": "Hello"});
        let said = self.done("olga", "SendMessage", said).await;
        self.done("lea", "LeaveGroup", of(json!({}))).await;
        for gone in ["rex", "ron"] {
            self.done("olga", "RemoveGroupMember", of(json!({"userId": gone})))
                .await;
        }
        self.done("olga", "AddGroupMembers", of(json!({"userIds": ["ron"]})))
            .await;
        let invite = self.done("olga", "CreateGroupInvite", of(json!({}))).await;
        let asks = self
            .done("olga", "CreateGroupInvite", of(json!({"needsApproval": true})))
            .await;
        let asks = json!({"requestId": "", "token": asks["invite"]["token"]});
        self.done("ivan", "JoinGroup", asks).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Scene {
            group,
            message: text(&said["message"]["messageId"]),
            token: text(&invite["invite"]["token"]),
            invite: text(&invite["invite"]["inviteId"]),
        }
    }
}

/// A request that is sound, about a group.
fn request(rpc: &str, scene: &Scene) -> Value {
    let Scene {
        group,
        message,
        token,
        invite,
    } = scene;
    match rpc {
        "UpsertProfile" => json!({"displayName": "Somebody"}),
        "GetProfiles" => json!({"userIds": ["olga"]}),
        "UpdateUserSettings" => {
            json!({"settings": {"groupAdders": "GROUP_ADDERS_FRIENDS"}, "updateMask": "groupAdders"})
        }
        "RequestFriend" | "RemoveFriend" => json!({"userId": "zoe"}),
        "RespondToFriendRequest" => json!({"userId": "zed", "answer": "FRIEND_REQUEST_ANSWER_ACCEPT"}),
        "OpenDirectConversation" => json!({"userId": "nina"}),
        "SyncConversations" => json!({"cursors": [{"conversationId": group}], "feed": {}}),
        "GetConversation" | "ListMessages" | "ListGroupMembers" | "ListGroupInvites" | "ListJoinRequests"
        | "ListReadPositions" => {
            json!({"conversationId": group})
        }
        "RevokeGroupInvite" => json!({"conversationId": group, "inviteId": invite}),
        "GetGroupInvite" => json!({"token": token}),
        "JoinGroup" => json!({"token": token, "requestId": ""}),
        "AnswerJoinRequest" => json!({"conversationId": group, "requestId": "", "userId": "ivan", "approve": true}),
        "MarkConversationRead" => json!({"conversationId": group, "readSeq": "1"}),
        "UpdateConversationSettings" => {
            json!({"conversationId": group, "settings": {"pinned": true}, "updateMask": "pinned"})
        }
        "MarkConversationDelivered" => json!({"conversationId": group, "deliveredSeq": "1"}),
        "MarkConversationUnread" => json!({"conversationId": group}),
        "ClearConversationHistory" | "HideConversation" => json!({"conversationId": group, "throughSeq": "1"}),
        "SendMessage" => json!({"conversationId": group, "clientMessageId": "", "text": "Hello"}),
        "GetMessage" => json!({"conversationId": group, "messageId": message}),
        "CreateGroup" => json!({"requestId": "", "name": "Another"}),
        "UpdateGroup" => json!({"conversationId": group, "requestId": "", "name": "Boats", "updateMask": "name"}),
        "DeleteGroup" | "LeaveGroup" | "CreateGroupInvite" => json!({"conversationId": group, "requestId": ""}),
        "AddGroupMembers" => json!({"conversationId": group, "requestId": "", "userIds": ["nina"]}),
        "RemoveGroupMember" | "TransferGroupOwnership" => {
            json!({"conversationId": group, "requestId": "", "userId": "max"})
        }
        "SetGroupMemberRole" => {
            json!({"conversationId": group, "requestId": "", "userId": "max", "role": "GROUP_ROLE_ADMIN"})
        }
        _ => json!({}),
    }
}

#[tokio::test]
async fn everybody_is_answered_what_the_table_says() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let rpcs = rpcs(&proto).unwrap();
    let names: BTreeSet<&str> = rpcs.iter().map(|rpc| rpc.name.as_str()).collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|(rpc, _)| *rpc).collect();
    assert_eq!(names, rows, "every RPC has its row");

    let mut matrix = Matrix::start(&rpcs).await;
    let shared = matrix.scene().await;
    // Of others, whose owner is somebody in their own group.
    matrix.stack.fixture.befriend("otto", "ida").await;
    matrix
        .done(
            "otto",
            "CreateGroup",
            json!({"requestId": "", "name": "Planes", "userIds": ["ida"]}),
        )
        .await;
    for (rpc, expected) in ROWS {
        let changes = rpcs.iter().any(|it| it.name == *rpc && !it.only_reads);
        for (caller, expected) in CALLERS.iter().zip(expected) {
            // What a call does must not show in the next one.
            let scene = if changes && *expected == OK {
                matrix.scene().await
            } else {
                shared.clone()
            };
            let (answered, body) = matrix.call(caller, rpc, request(rpc, &scene)).await;
            assert_eq!(answered, *expected, "{rpc} by {caller:?}: {body}");
        }
        let is_about_a_group = rpcs.iter().any(|it| it.name == *rpc && it.has_field("conversation_id"));
        if is_about_a_group {
            let missing = request(
                rpc,
                &Scene {
                    group: MISSING.to_owned(),
                    ..shared.clone()
                },
            );
            let (_, expected) = matrix.call("olga", rpc, missing).await;
            for caller in ["sam", "lea", "rex", "otto"] {
                let (answered, body) = matrix.call(caller, rpc, request(rpc, &shared)).await;
                assert_eq!((answered.as_str(), &body), (NF, &expected), "{rpc} by {caller}");
            }
        }
    }
}

#[tokio::test]
async fn ids_of_one_group_are_of_no_use_in_another() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut matrix = Matrix::start(&rpcs(&proto).unwrap()).await;
    let (one, other) = (matrix.scene().await, matrix.scene().await);
    let (answered, _) = matrix
        .call(
            "olga",
            "GetMessage",
            request(
                "GetMessage",
                &Scene {
                    message: other.message.clone(),
                    ..one.clone()
                },
            ),
        )
        .await;
    assert_eq!(answered, NF);
    let reply =
        json!({"conversationId": one.group, "clientMessageId": "", "text": "x", "replyToMessageId": other.message});
    let (answered, _) = matrix.call("olga", "SendMessage", reply).await;
    assert_eq!(answered, NF);
    // An invite of the other one is not ended from here, nor is who asks there let in here.
    let revoke = json!({"conversationId": one.group, "inviteId": other.invite});
    matrix.done("olga", "RevokeGroupInvite", revoke).await;
    let asks = json!({"requestId": "", "token": other.token});
    matrix.done("sam", "JoinGroup", asks).await;
    let asked = json!({"conversationId": one.group, "requestId": "", "userId": "sam", "approve": true});
    let (answered, _) = matrix.call("olga", "AnswerJoinRequest", asked).await;
    assert_eq!(answered, NF);
    // Whoever is a member of the other one alone can be nothing here.
    let add = json!({"conversationId": other.group, "requestId": "", "userIds": ["nina"]});
    matrix.done("olga", "AddGroupMembers", add).await;
    for (rpc, more) in [
        ("RemoveGroupMember", json!({})),
        ("TransferGroupOwnership", json!({})),
        ("SetGroupMemberRole", json!({"role": "GROUP_ROLE_ADMIN"})),
    ] {
        let mut request = json!({"conversationId": one.group, "requestId": "", "userId": "nina"});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (answered, body) = matrix.call("olga", rpc, request).await;
        assert_eq!(answered, NF, "{rpc}: {body}");
    }
}
