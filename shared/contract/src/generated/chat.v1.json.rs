// @generated from proto/ by `cargo test --workspace --test contract`.
impl crate::json::Schema for Profile {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "display_name", json_name: "displayName", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "avatar_url", json_name: "avatarUrl", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "updated_at", json_name: "updatedAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
    ];
}
impl crate::json::Schema for UpsertProfileRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "display_name", json_name: "displayName", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "avatar_url", json_name: "avatarUrl", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "update_mask", json_name: "updateMask", is_list: false, oneof: None, kind: crate::json::Kind::FieldMask },
    ];
}
impl crate::json::Schema for UpsertProfileResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "profile", json_name: "profile", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Profile as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for GetProfilesRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_ids", json_name: "userIds", is_list: true, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for GetProfilesResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "profiles", json_name: "profiles", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Profile as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for UserSettings {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "group_adders", json_name: "groupAdders", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| GroupAdders::from_str_name(name).map(i32::from)) },
    ];
}
impl crate::json::Schema for GetUserSettingsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for GetUserSettingsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <UserSettings as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for UpdateUserSettingsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <UserSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "update_mask", json_name: "updateMask", is_list: false, oneof: None, kind: crate::json::Kind::FieldMask },
    ];
}
impl crate::json::Schema for UpdateUserSettingsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <UserSettings as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for Friend {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "state", json_name: "state", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| FriendState::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 3, name: "updated_at", json_name: "updatedAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 4, name: "profile", json_name: "profile", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Profile as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for RequestFriendRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for RequestFriendResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "friend", json_name: "friend", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Friend as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for RespondToFriendRequestRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "answer", json_name: "answer", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| FriendRequestAnswer::from_str_name(name).map(i32::from)) },
    ];
}
impl crate::json::Schema for RespondToFriendRequestResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "friend", json_name: "friend", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Friend as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for RemoveFriendRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for RemoveFriendResponse {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for ListFriendsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "state", json_name: "state", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| FriendState::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 2, name: "page_size", json_name: "pageSize", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 3, name: "page_token", json_name: "pageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for ListFriendsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "friends", json_name: "friends", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Friend as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "next_page_token", json_name: "nextPageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for GroupSettings {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "member_permissions", json_name: "memberPermissions", is_list: true, oneof: None, kind: crate::json::Kind::Enum(|name| GroupPermission::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 2, name: "admin_permissions", json_name: "adminPermissions", is_list: true, oneof: None, kind: crate::json::Kind::Enum(|name| GroupPermission::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 3, name: "shows_history", json_name: "showsHistory", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for Group {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "name", json_name: "name", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "description", json_name: "description", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "avatar_url", json_name: "avatarUrl", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <GroupSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 5, name: "member_count", json_name: "memberCount", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 6, name: "role", json_name: "role", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| GroupRole::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 7, name: "state_revision", json_name: "stateRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for GroupChange {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 2, name: "after_seq", json_name: "afterSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "actor_id", json_name: "actorId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "action", json_name: "action", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| GroupAction::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 5, name: "user_ids", json_name: "userIds", is_list: true, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 6, name: "name", json_name: "name", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 7, name: "role", json_name: "role", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| GroupRole::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 8, name: "changed_at", json_name: "changedAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 9, name: "updated", json_name: "updated", is_list: false, oneof: None, kind: crate::json::Kind::FieldMask },
    ];
}
impl crate::json::Schema for GroupInvite {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "invite_id", json_name: "inviteId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "token", json_name: "token", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "creator_id", json_name: "creatorId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "created_at", json_name: "createdAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 5, name: "expires_at", json_name: "expiresAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 6, name: "max_uses", json_name: "maxUses", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 7, name: "uses", json_name: "uses", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 8, name: "needs_approval", json_name: "needsApproval", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for JoinRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "requested_at", json_name: "requestedAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
    ];
}
impl crate::json::Schema for Message {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "message_id", json_name: "messageId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "seq", json_name: "seq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 5, name: "sender_id", json_name: "senderId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 6, name: "client_message_id", json_name: "clientMessageId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 7, name: "text", json_name: "text", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 8, name: "reply_to", json_name: "replyTo", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Reply as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 9, name: "sent_at", json_name: "sentAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 10, name: "state_revision", json_name: "stateRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for Reply {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "message_id", json_name: "messageId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "seq", json_name: "seq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "quote", json_name: "quote", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Quote as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 4, name: "unavailable", json_name: "unavailable", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for Quote {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "sender_id", json_name: "senderId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "excerpt", json_name: "excerpt", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "state_revision", json_name: "stateRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for SendMessageRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "client_message_id", json_name: "clientMessageId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "text", json_name: "text", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "reply_to_message_id", json_name: "replyToMessageId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 5, name: "retry", json_name: "retry", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 6, name: "read_seq", json_name: "readSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for SendMessageResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "message", json_name: "message", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Message as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "deduplicated", json_name: "deduplicated", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for GetMessageRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "message_id", json_name: "messageId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for GetMessageResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "message", json_name: "message", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Message as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for ListMessagesRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "before_seq", json_name: "beforeSeq", is_list: false, oneof: Some("position"), kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "after_seq", json_name: "afterSeq", is_list: false, oneof: Some("position"), kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "around_seq", json_name: "aroundSeq", is_list: false, oneof: Some("position"), kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 5, name: "page_size", json_name: "pageSize", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 6, name: "restart_revision", json_name: "restartRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for ListMessagesResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "messages", json_name: "messages", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Message as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "has_more_before", json_name: "hasMoreBefore", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 3, name: "has_more_after", json_name: "hasMoreAfter", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 4, name: "group_changes", json_name: "groupChanges", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <GroupChange as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for Conversation {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "kind", json_name: "kind", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| ConversationKind::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 3, name: "members", json_name: "members", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Member as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 4, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 5, name: "counted_seq", json_name: "countedSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 6, name: "unread_count", json_name: "unreadCount", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 7, name: "last_message", json_name: "lastMessage", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <LastMessage as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 8, name: "created_at", json_name: "createdAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 9, name: "last_activity_at", json_name: "lastActivityAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 10, name: "group", json_name: "group", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Group as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 11, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 12, name: "marked_unread", json_name: "markedUnread", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for ConversationSettings {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "muted_until", json_name: "mutedUntil", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 2, name: "archived", json_name: "archived", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 3, name: "pinned", json_name: "pinned", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 4, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 5, name: "visible_from_seq", json_name: "visibleFromSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 6, name: "hidden_through_seq", json_name: "hiddenThroughSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for Member {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "read_seq", json_name: "readSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "joined_revision", json_name: "joinedRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "role", json_name: "role", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| GroupRole::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 5, name: "delivered_seq", json_name: "deliveredSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for LastMessage {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "seq", json_name: "seq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 2, name: "sender_id", json_name: "senderId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "excerpt", json_name: "excerpt", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "sent_at", json_name: "sentAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 5, name: "message_id", json_name: "messageId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for OpenDirectConversationRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for OpenDirectConversationResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "created", json_name: "created", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for GetConversationRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for GetConversationResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for ListConversationsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "page_size", json_name: "pageSize", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 2, name: "page_token", json_name: "pageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "only_unread", json_name: "onlyUnread", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 4, name: "archived", json_name: "archived", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| ArchivedFilter::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 5, name: "kind", json_name: "kind", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| ConversationKind::from_str_name(name).map(i32::from)) },
    ];
}
impl crate::json::Schema for ListConversationsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversations", json_name: "conversations", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "next_page_token", json_name: "nextPageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for MarkConversationReadRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "read_seq", json_name: "readSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for MarkConversationReadResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "read_seq", json_name: "readSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 2, name: "unread_count", json_name: "unreadCount", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "counted_seq", json_name: "countedSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for UpdateConversationSettingsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 3, name: "update_mask", json_name: "updateMask", is_list: false, oneof: None, kind: crate::json::Kind::FieldMask },
        crate::json::Field { tag: 4, name: "settings_revision", json_name: "settingsRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for UpdateConversationSettingsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "marked_unread", json_name: "markedUnread", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for MarkConversationUnreadRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "settings_revision", json_name: "settingsRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for MarkConversationUnreadResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "marked_unread", json_name: "markedUnread", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for ClearConversationHistoryRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "through_seq", json_name: "throughSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for ClearConversationHistoryResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "unread_count", json_name: "unreadCount", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "counted_seq", json_name: "countedSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for HideConversationRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "through_seq", json_name: "throughSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for HideConversationResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for GetUnreadTotalsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for GetUnreadTotalsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversations", json_name: "conversations", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 2, name: "messages", json_name: "messages", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "muted_conversations", json_name: "mutedConversations", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "muted_messages", json_name: "mutedMessages", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for ListReadPositionsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "page_size", json_name: "pageSize", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 3, name: "page_token", json_name: "pageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for ListReadPositionsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "positions", json_name: "positions", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <ReadPosition as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "next_page_token", json_name: "nextPageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for ReadPosition {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "read_seq", json_name: "readSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "delivered_seq", json_name: "deliveredSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for MarkConversationDeliveredRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "delivered_seq", json_name: "deliveredSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for MarkConversationDeliveredResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "delivered_seq", json_name: "deliveredSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for ConversationCursor {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "joined_revision", json_name: "joinedRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "epoch", json_name: "epoch", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for FeedCursor {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "epoch", json_name: "epoch", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 2, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "listing_through", json_name: "listingThrough", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for SyncConversationsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "cursors", json_name: "cursors", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <ConversationCursor as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "feed", json_name: "feed", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <FeedCursor as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for SyncConversationsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversations", json_name: "conversations", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSync as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "feed", json_name: "feed", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <FeedSync as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 3, name: "lost_conversation_ids", json_name: "lostConversationIds", is_list: true, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for FeedSync {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "cursor", json_name: "cursor", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <FeedCursor as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "reset", json_name: "reset", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 3, name: "changes", json_name: "changes", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <FeedChange as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 4, name: "incomplete", json_name: "incomplete", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 5, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for FeedChange {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 2, name: "friend", json_name: "friend", is_list: false, oneof: Some("change"), kind: crate::json::Kind::Message(|| <Friend as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 3, name: "membership", json_name: "membership", is_list: false, oneof: Some("change"), kind: crate::json::Kind::Message(|| <Membership as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for Membership {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "state", json_name: "state", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| MembershipState::from_str_name(name).map(i32::from)) },
        crate::json::Field { tag: 2, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for ConversationSync {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "cursor", json_name: "cursor", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationCursor as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "reset", json_name: "reset", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 3, name: "changes", json_name: "changes", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Change as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 4, name: "incomplete", json_name: "incomplete", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 5, name: "retry_after", json_name: "retryAfter", is_list: false, oneof: None, kind: crate::json::Kind::Duration },
        crate::json::Field { tag: 6, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 7, name: "cursor_seq", json_name: "cursorSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 8, name: "counted_seq", json_name: "countedSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 9, name: "unread_count", json_name: "unreadCount", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 10, name: "members", json_name: "members", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Member as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 11, name: "group", json_name: "group", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Group as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for Change {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 2, name: "message_sent", json_name: "messageSent", is_list: false, oneof: Some("kind"), kind: crate::json::Kind::Message(|| <Message as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 3, name: "void", json_name: "void", is_list: false, oneof: Some("kind"), kind: crate::json::Kind::Message(|| <Void as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 4, name: "group_changed", json_name: "groupChanged", is_list: false, oneof: Some("kind"), kind: crate::json::Kind::Message(|| <GroupChange as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for Void {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for CreateGroupRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "name", json_name: "name", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "description", json_name: "description", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "avatar_url", json_name: "avatarUrl", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 5, name: "user_ids", json_name: "userIds", is_list: true, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 6, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <GroupSettings as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for CreateGroupResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "not_added_user_ids", json_name: "notAddedUserIds", is_list: true, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for UpdateGroupRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "name", json_name: "name", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "description", json_name: "description", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 5, name: "avatar_url", json_name: "avatarUrl", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 6, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <GroupSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 7, name: "update_mask", json_name: "updateMask", is_list: false, oneof: None, kind: crate::json::Kind::FieldMask },
    ];
}
impl crate::json::Schema for UpdateGroupResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for DeleteGroupRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for DeleteGroupResponse {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for AddGroupMembersRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "user_ids", json_name: "userIds", is_list: true, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for AddGroupMembersResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "not_added_user_ids", json_name: "notAddedUserIds", is_list: true, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for RemoveGroupMemberRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for RemoveGroupMemberResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for ListGroupMembersRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "page_size", json_name: "pageSize", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 3, name: "page_token", json_name: "pageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for ListGroupMembersResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "members", json_name: "members", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Member as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "next_page_token", json_name: "nextPageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for SetGroupMemberRoleRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "role", json_name: "role", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| GroupRole::from_str_name(name).map(i32::from)) },
    ];
}
impl crate::json::Schema for SetGroupMemberRoleResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for TransferGroupOwnershipRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for TransferGroupOwnershipResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for LeaveGroupRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for LeaveGroupResponse {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for CreateGroupInviteRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "valid_for", json_name: "validFor", is_list: false, oneof: None, kind: crate::json::Kind::Duration },
        crate::json::Field { tag: 4, name: "max_uses", json_name: "maxUses", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 5, name: "needs_approval", json_name: "needsApproval", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for CreateGroupInviteResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "invite", json_name: "invite", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <GroupInvite as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for RevokeGroupInviteRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "invite_id", json_name: "inviteId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for RevokeGroupInviteResponse {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for ListGroupInvitesRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for ListGroupInvitesResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "invites", json_name: "invites", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <GroupInvite as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for GetGroupInviteRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "token", json_name: "token", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for GetGroupInviteResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "name", json_name: "name", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "description", json_name: "description", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "avatar_url", json_name: "avatarUrl", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "member_count", json_name: "memberCount", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 5, name: "needs_approval", json_name: "needsApproval", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 6, name: "has_asked", json_name: "hasAsked", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
        crate::json::Field { tag: 7, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for JoinGroupRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "token", json_name: "token", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for JoinGroupResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for ListJoinRequestsRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "page_size", json_name: "pageSize", is_list: false, oneof: None, kind: crate::json::Kind::Int32 },
        crate::json::Field { tag: 3, name: "page_token", json_name: "pageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for ListJoinRequestsResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "join_requests", json_name: "joinRequests", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <JoinRequest as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "next_page_token", json_name: "nextPageToken", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for AnswerJoinRequestRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 3, name: "request_id", json_name: "requestId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 4, name: "approve", json_name: "approve", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for AnswerJoinRequestResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for CreateLiveTicketRequest {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for CreateLiveTicketResponse {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "ticket", json_name: "ticket", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "expires_at", json_name: "expiresAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
        crate::json::Field { tag: 3, name: "url", json_name: "url", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for LiveRequest {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "hello", json_name: "hello", is_list: false, oneof: Some("request"), kind: crate::json::Kind::Message(|| <Hello as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "ping", json_name: "ping", is_list: false, oneof: Some("request"), kind: crate::json::Kind::Message(|| <Ping as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for Hello {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for Ping {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for LiveEvent {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation_id", json_name: "conversationId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "revision", json_name: "revision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "previous_revision", json_name: "previousRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "welcome", json_name: "welcome", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <Welcome as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 5, name: "pong", json_name: "pong", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <Pong as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 6, name: "message_sent", json_name: "messageSent", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <Message as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 7, name: "read_position_moved", json_name: "readPositionMoved", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <ReadPositionMoved as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 8, name: "conversation_opened", json_name: "conversationOpened", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <ConversationOpened as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 9, name: "friend_changed", json_name: "friendChanged", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <FriendChanged as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 10, name: "poke", json_name: "poke", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <Poke as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 11, name: "error", json_name: "error", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <LiveError as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 13, name: "membership_ended", json_name: "membershipEnded", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <MembershipEnded as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 14, name: "group_changed", json_name: "groupChanged", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <GroupChanged as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 15, name: "join_requested", json_name: "joinRequested", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <JoinRequested as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 16, name: "conversation_settings_changed", json_name: "conversationSettingsChanged", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <ConversationSettingsChanged as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 17, name: "delivered_position_moved", json_name: "deliveredPositionMoved", is_list: false, oneof: Some("event"), kind: crate::json::Kind::Message(|| <DeliveredPositionMoved as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 12, name: "feed_revision", json_name: "feedRevision", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for Welcome {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "expires_at", json_name: "expiresAt", is_list: false, oneof: None, kind: crate::json::Kind::Timestamp },
    ];
}
impl crate::json::Schema for Pong {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for ReadPositionMoved {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "read_seq", json_name: "readSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 3, name: "unread_count", json_name: "unreadCount", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
        crate::json::Field { tag: 4, name: "counted_seq", json_name: "countedSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for ConversationOpened {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "conversation", json_name: "conversation", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Conversation as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for FriendChanged {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "friend", json_name: "friend", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Friend as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for MembershipEnded {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "reason", json_name: "reason", is_list: false, oneof: None, kind: crate::json::Kind::Enum(|name| MembershipEndReason::from_str_name(name).map(i32::from)) },
    ];
}
impl crate::json::Schema for JoinRequested {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
impl crate::json::Schema for GroupChanged {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "change", json_name: "change", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <GroupChange as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "group", json_name: "group", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <Group as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 3, name: "members", json_name: "members", is_list: true, oneof: None, kind: crate::json::Kind::Message(|| <Member as crate::json::Schema>::FIELDS) },
    ];
}
impl crate::json::Schema for ConversationSettingsChanged {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "settings", json_name: "settings", is_list: false, oneof: None, kind: crate::json::Kind::Message(|| <ConversationSettings as crate::json::Schema>::FIELDS) },
        crate::json::Field { tag: 2, name: "marked_unread", json_name: "markedUnread", is_list: false, oneof: None, kind: crate::json::Kind::Bool },
    ];
}
impl crate::json::Schema for DeliveredPositionMoved {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "user_id", json_name: "userId", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "delivered_seq", json_name: "deliveredSeq", is_list: false, oneof: None, kind: crate::json::Kind::Int64 },
    ];
}
impl crate::json::Schema for Poke {
    const FIELDS: &'static [crate::json::Field] = &[
    ];
}
impl crate::json::Schema for LiveError {
    const FIELDS: &'static [crate::json::Field] = &[
        crate::json::Field { tag: 1, name: "reason", json_name: "reason", is_list: false, oneof: None, kind: crate::json::Kind::String },
        crate::json::Field { tag: 2, name: "message", json_name: "message", is_list: false, oneof: None, kind: crate::json::Kind::String },
    ];
}
