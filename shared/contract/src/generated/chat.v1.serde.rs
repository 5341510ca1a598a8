// @generated from proto/ by `cargo test --workspace --test contract`.
impl serde::Serialize for AddGroupMembersRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        if !self.user_ids.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.AddGroupMembersRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        if !self.user_ids.is_empty() {
            struct_ser.serialize_field("userIds", &self.user_ids)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for AddGroupMembersResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        if !self.not_added_user_ids.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.AddGroupMembersResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        if !self.not_added_user_ids.is_empty() {
            struct_ser.serialize_field("notAddedUserIds", &self.not_added_user_ids)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for AnswerJoinRequestRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.user_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        if self.approve {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.AnswerJoinRequestRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        if self.approve {
            struct_ser.serialize_field("approve", &self.approve)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for AnswerJoinRequestResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.AnswerJoinRequestResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ArchivedFilter {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "ARCHIVED_FILTER_UNSPECIFIED",
            Self::Only => "ARCHIVED_FILTER_ONLY",
            Self::Included => "ARCHIVED_FILTER_INCLUDED",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for Change {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.revision != 0 {
            len += 1;
        }
        if self.kind.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Change", len)?;
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if let Some(v) = self.kind.as_ref() {
            match v {
                change::Kind::MessageSent(v) => {
                    struct_ser.serialize_field("messageSent", v)?;
                }
                change::Kind::Void(v) => {
                    struct_ser.serialize_field("void", v)?;
                }
                change::Kind::GroupChanged(v) => {
                    struct_ser.serialize_field("groupChanged", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ClearConversationHistoryRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.through_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ClearConversationHistoryRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.through_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("throughSeq", ToString::to_string(&self.through_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ClearConversationHistoryResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        if self.unread_count != 0 {
            len += 1;
        }
        if self.counted_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ClearConversationHistoryResponse", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if self.unread_count != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("unreadCount", ToString::to_string(&self.unread_count).as_str())?;
        }
        if self.counted_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("countedSeq", ToString::to_string(&self.counted_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Conversation {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.kind != 0 {
            len += 1;
        }
        if !self.members.is_empty() {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if self.counted_seq != 0 {
            len += 1;
        }
        if self.unread_count != 0 {
            len += 1;
        }
        if self.last_message.is_some() {
            len += 1;
        }
        if self.created_at.is_some() {
            len += 1;
        }
        if self.last_activity_at.is_some() {
            len += 1;
        }
        if self.group.is_some() {
            len += 1;
        }
        if self.settings.is_some() {
            len += 1;
        }
        if self.marked_unread {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Conversation", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.kind != 0 {
            let v = ConversationKind::try_from(self.kind)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.kind)))?;
            struct_ser.serialize_field("kind", &v)?;
        }
        if !self.members.is_empty() {
            struct_ser.serialize_field("members", &self.members)?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if self.counted_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("countedSeq", ToString::to_string(&self.counted_seq).as_str())?;
        }
        if self.unread_count != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("unreadCount", ToString::to_string(&self.unread_count).as_str())?;
        }
        if let Some(v) = self.last_message.as_ref() {
            struct_ser.serialize_field("lastMessage", v)?;
        }
        if let Some(v) = self.created_at.as_ref() {
            struct_ser.serialize_field("createdAt", v)?;
        }
        if let Some(v) = self.last_activity_at.as_ref() {
            struct_ser.serialize_field("lastActivityAt", v)?;
        }
        if let Some(v) = self.group.as_ref() {
            struct_ser.serialize_field("group", v)?;
        }
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if self.marked_unread {
            struct_ser.serialize_field("markedUnread", &self.marked_unread)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ConversationCursor {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.joined_revision != 0 {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if self.epoch != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ConversationCursor", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.joined_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("joinedRevision", ToString::to_string(&self.joined_revision).as_str())?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if self.epoch != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("epoch", ToString::to_string(&self.epoch).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ConversationKind {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "CONVERSATION_KIND_UNSPECIFIED",
            Self::Direct => "CONVERSATION_KIND_DIRECT",
            Self::Group => "CONVERSATION_KIND_GROUP",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for ConversationOpened {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ConversationOpened", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ConversationSettings {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.muted_until.is_some() {
            len += 1;
        }
        if self.archived {
            len += 1;
        }
        if self.pinned {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if self.visible_from_seq != 0 {
            len += 1;
        }
        if self.hidden_through_seq.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ConversationSettings", len)?;
        if let Some(v) = self.muted_until.as_ref() {
            struct_ser.serialize_field("mutedUntil", v)?;
        }
        if self.archived {
            struct_ser.serialize_field("archived", &self.archived)?;
        }
        if self.pinned {
            struct_ser.serialize_field("pinned", &self.pinned)?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if self.visible_from_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("visibleFromSeq", ToString::to_string(&self.visible_from_seq).as_str())?;
        }
        if let Some(v) = self.hidden_through_seq.as_ref() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("hiddenThroughSeq", ToString::to_string(&v).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ConversationSettingsChanged {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        if self.marked_unread {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ConversationSettingsChanged", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if self.marked_unread {
            struct_ser.serialize_field("markedUnread", &self.marked_unread)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ConversationSync {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.cursor.is_some() {
            len += 1;
        }
        if self.reset {
            len += 1;
        }
        if !self.changes.is_empty() {
            len += 1;
        }
        if self.incomplete {
            len += 1;
        }
        if self.retry_after.is_some() {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if self.cursor_seq != 0 {
            len += 1;
        }
        if self.counted_seq != 0 {
            len += 1;
        }
        if self.unread_count != 0 {
            len += 1;
        }
        if !self.members.is_empty() {
            len += 1;
        }
        if self.group.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ConversationSync", len)?;
        if let Some(v) = self.cursor.as_ref() {
            struct_ser.serialize_field("cursor", v)?;
        }
        if self.reset {
            struct_ser.serialize_field("reset", &self.reset)?;
        }
        if !self.changes.is_empty() {
            struct_ser.serialize_field("changes", &self.changes)?;
        }
        if self.incomplete {
            struct_ser.serialize_field("incomplete", &self.incomplete)?;
        }
        if let Some(v) = self.retry_after.as_ref() {
            struct_ser.serialize_field("retryAfter", v)?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if self.cursor_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("cursorSeq", ToString::to_string(&self.cursor_seq).as_str())?;
        }
        if self.counted_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("countedSeq", ToString::to_string(&self.counted_seq).as_str())?;
        }
        if self.unread_count != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("unreadCount", ToString::to_string(&self.unread_count).as_str())?;
        }
        if !self.members.is_empty() {
            struct_ser.serialize_field("members", &self.members)?;
        }
        if let Some(v) = self.group.as_ref() {
            struct_ser.serialize_field("group", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for CreateGroupInviteRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        if self.valid_for.is_some() {
            len += 1;
        }
        if self.max_uses != 0 {
            len += 1;
        }
        if self.needs_approval {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.CreateGroupInviteRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        if let Some(v) = self.valid_for.as_ref() {
            struct_ser.serialize_field("validFor", v)?;
        }
        if self.max_uses != 0 {
            struct_ser.serialize_field("maxUses", &self.max_uses)?;
        }
        if self.needs_approval {
            struct_ser.serialize_field("needsApproval", &self.needs_approval)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for CreateGroupInviteResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.invite.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.CreateGroupInviteResponse", len)?;
        if let Some(v) = self.invite.as_ref() {
            struct_ser.serialize_field("invite", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for CreateGroupRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.request_id.is_empty() {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.description.is_empty() {
            len += 1;
        }
        if !self.avatar_url.is_empty() {
            len += 1;
        }
        if !self.user_ids.is_empty() {
            len += 1;
        }
        if self.settings.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.CreateGroupRequest", len)?;
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.description.is_empty() {
            struct_ser.serialize_field("description", &self.description)?;
        }
        if !self.avatar_url.is_empty() {
            struct_ser.serialize_field("avatarUrl", &self.avatar_url)?;
        }
        if !self.user_ids.is_empty() {
            struct_ser.serialize_field("userIds", &self.user_ids)?;
        }
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for CreateGroupResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        if !self.not_added_user_ids.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.CreateGroupResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        if !self.not_added_user_ids.is_empty() {
            struct_ser.serialize_field("notAddedUserIds", &self.not_added_user_ids)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for CreateLiveTicketRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.CreateLiveTicketRequest", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for CreateLiveTicketResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.ticket.is_empty() {
            len += 1;
        }
        if self.expires_at.is_some() {
            len += 1;
        }
        if !self.url.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.CreateLiveTicketResponse", len)?;
        if !self.ticket.is_empty() {
            struct_ser.serialize_field("ticket", &self.ticket)?;
        }
        if let Some(v) = self.expires_at.as_ref() {
            struct_ser.serialize_field("expiresAt", v)?;
        }
        if !self.url.is_empty() {
            struct_ser.serialize_field("url", &self.url)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for DeleteGroupRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.DeleteGroupRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for DeleteGroupResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.DeleteGroupResponse", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for DeliveredPositionMoved {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.delivered_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.DeliveredPositionMoved", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if self.delivered_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("deliveredSeq", ToString::to_string(&self.delivered_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for FeedChange {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.revision != 0 {
            len += 1;
        }
        if self.change.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.FeedChange", len)?;
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if let Some(v) = self.change.as_ref() {
            match v {
                feed_change::Change::Friend(v) => {
                    struct_ser.serialize_field("friend", v)?;
                }
                feed_change::Change::Membership(v) => {
                    struct_ser.serialize_field("membership", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl serde::Serialize for FeedCursor {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.epoch != 0 {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if self.listing_through != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.FeedCursor", len)?;
        if self.epoch != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("epoch", ToString::to_string(&self.epoch).as_str())?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if self.listing_through != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("listingThrough", ToString::to_string(&self.listing_through).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for FeedSync {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.cursor.is_some() {
            len += 1;
        }
        if self.reset {
            len += 1;
        }
        if !self.changes.is_empty() {
            len += 1;
        }
        if self.incomplete {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.FeedSync", len)?;
        if let Some(v) = self.cursor.as_ref() {
            struct_ser.serialize_field("cursor", v)?;
        }
        if self.reset {
            struct_ser.serialize_field("reset", &self.reset)?;
        }
        if !self.changes.is_empty() {
            struct_ser.serialize_field("changes", &self.changes)?;
        }
        if self.incomplete {
            struct_ser.serialize_field("incomplete", &self.incomplete)?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Friend {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.state != 0 {
            len += 1;
        }
        if self.updated_at.is_some() {
            len += 1;
        }
        if self.profile.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Friend", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if self.state != 0 {
            let v = FriendState::try_from(self.state)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.state)))?;
            struct_ser.serialize_field("state", &v)?;
        }
        if let Some(v) = self.updated_at.as_ref() {
            struct_ser.serialize_field("updatedAt", v)?;
        }
        if let Some(v) = self.profile.as_ref() {
            struct_ser.serialize_field("profile", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for FriendChanged {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.friend.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.FriendChanged", len)?;
        if let Some(v) = self.friend.as_ref() {
            struct_ser.serialize_field("friend", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for FriendRequestAnswer {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "FRIEND_REQUEST_ANSWER_UNSPECIFIED",
            Self::Accept => "FRIEND_REQUEST_ANSWER_ACCEPT",
            Self::Decline => "FRIEND_REQUEST_ANSWER_DECLINE",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for FriendState {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "FRIEND_STATE_UNSPECIFIED",
            Self::RequestSent => "FRIEND_STATE_REQUEST_SENT",
            Self::RequestReceived => "FRIEND_STATE_REQUEST_RECEIVED",
            Self::Accepted => "FRIEND_STATE_ACCEPTED",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for GetConversationRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetConversationRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetConversationResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetConversationResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetGroupInviteRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetGroupInviteRequest", len)?;
        if !self.token.is_empty() {
            struct_ser.serialize_field("token", &self.token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetGroupInviteResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.description.is_empty() {
            len += 1;
        }
        if !self.avatar_url.is_empty() {
            len += 1;
        }
        if self.member_count != 0 {
            len += 1;
        }
        if self.needs_approval {
            len += 1;
        }
        if self.has_asked {
            len += 1;
        }
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetGroupInviteResponse", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.description.is_empty() {
            struct_ser.serialize_field("description", &self.description)?;
        }
        if !self.avatar_url.is_empty() {
            struct_ser.serialize_field("avatarUrl", &self.avatar_url)?;
        }
        if self.member_count != 0 {
            struct_ser.serialize_field("memberCount", &self.member_count)?;
        }
        if self.needs_approval {
            struct_ser.serialize_field("needsApproval", &self.needs_approval)?;
        }
        if self.has_asked {
            struct_ser.serialize_field("hasAsked", &self.has_asked)?;
        }
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetMessageRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.message_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetMessageRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.message_id.is_empty() {
            struct_ser.serialize_field("messageId", &self.message_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetMessageResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.message.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetMessageResponse", len)?;
        if let Some(v) = self.message.as_ref() {
            struct_ser.serialize_field("message", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetProfilesRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_ids.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetProfilesRequest", len)?;
        if !self.user_ids.is_empty() {
            struct_ser.serialize_field("userIds", &self.user_ids)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetProfilesResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.profiles.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetProfilesResponse", len)?;
        if !self.profiles.is_empty() {
            struct_ser.serialize_field("profiles", &self.profiles)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetUnreadTotalsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.GetUnreadTotalsRequest", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for GetUnreadTotalsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversations != 0 {
            len += 1;
        }
        if self.messages != 0 {
            len += 1;
        }
        if self.muted_conversations != 0 {
            len += 1;
        }
        if self.muted_messages != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetUnreadTotalsResponse", len)?;
        if self.conversations != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("conversations", ToString::to_string(&self.conversations).as_str())?;
        }
        if self.messages != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("messages", ToString::to_string(&self.messages).as_str())?;
        }
        if self.muted_conversations != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("mutedConversations", ToString::to_string(&self.muted_conversations).as_str())?;
        }
        if self.muted_messages != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("mutedMessages", ToString::to_string(&self.muted_messages).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GetUserSettingsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.GetUserSettingsRequest", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for GetUserSettingsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GetUserSettingsResponse", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Group {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.description.is_empty() {
            len += 1;
        }
        if !self.avatar_url.is_empty() {
            len += 1;
        }
        if self.settings.is_some() {
            len += 1;
        }
        if self.member_count != 0 {
            len += 1;
        }
        if self.role != 0 {
            len += 1;
        }
        if self.state_revision != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Group", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.description.is_empty() {
            struct_ser.serialize_field("description", &self.description)?;
        }
        if !self.avatar_url.is_empty() {
            struct_ser.serialize_field("avatarUrl", &self.avatar_url)?;
        }
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if self.member_count != 0 {
            struct_ser.serialize_field("memberCount", &self.member_count)?;
        }
        if self.role != 0 {
            let v = GroupRole::try_from(self.role)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.role)))?;
            struct_ser.serialize_field("role", &v)?;
        }
        if self.state_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("stateRevision", ToString::to_string(&self.state_revision).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GroupAction {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "GROUP_ACTION_UNSPECIFIED",
            Self::Created => "GROUP_ACTION_CREATED",
            Self::Renamed => "GROUP_ACTION_RENAMED",
            Self::Updated => "GROUP_ACTION_UPDATED",
            Self::MembersAdded => "GROUP_ACTION_MEMBERS_ADDED",
            Self::MemberRemoved => "GROUP_ACTION_MEMBER_REMOVED",
            Self::MemberLeft => "GROUP_ACTION_MEMBER_LEFT",
            Self::RoleChanged => "GROUP_ACTION_ROLE_CHANGED",
            Self::OwnershipTransferred => "GROUP_ACTION_OWNERSHIP_TRANSFERRED",
            Self::MemberJoined => "GROUP_ACTION_MEMBER_JOINED",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for GroupAdders {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "GROUP_ADDERS_UNSPECIFIED",
            Self::Friends => "GROUP_ADDERS_FRIENDS",
            Self::Anyone => "GROUP_ADDERS_ANYONE",
            Self::Nobody => "GROUP_ADDERS_NOBODY",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for GroupChange {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.revision != 0 {
            len += 1;
        }
        if self.after_seq != 0 {
            len += 1;
        }
        if !self.actor_id.is_empty() {
            len += 1;
        }
        if self.action != 0 {
            len += 1;
        }
        if !self.user_ids.is_empty() {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        if self.role != 0 {
            len += 1;
        }
        if self.changed_at.is_some() {
            len += 1;
        }
        if self.updated.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GroupChange", len)?;
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if self.after_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("afterSeq", ToString::to_string(&self.after_seq).as_str())?;
        }
        if !self.actor_id.is_empty() {
            struct_ser.serialize_field("actorId", &self.actor_id)?;
        }
        if self.action != 0 {
            let v = GroupAction::try_from(self.action)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.action)))?;
            struct_ser.serialize_field("action", &v)?;
        }
        if !self.user_ids.is_empty() {
            struct_ser.serialize_field("userIds", &self.user_ids)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if self.role != 0 {
            let v = GroupRole::try_from(self.role)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.role)))?;
            struct_ser.serialize_field("role", &v)?;
        }
        if let Some(v) = self.changed_at.as_ref() {
            struct_ser.serialize_field("changedAt", v)?;
        }
        if let Some(v) = self.updated.as_ref() {
            struct_ser.serialize_field("updated", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GroupChanged {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.change.is_some() {
            len += 1;
        }
        if self.group.is_some() {
            len += 1;
        }
        if !self.members.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GroupChanged", len)?;
        if let Some(v) = self.change.as_ref() {
            struct_ser.serialize_field("change", v)?;
        }
        if let Some(v) = self.group.as_ref() {
            struct_ser.serialize_field("group", v)?;
        }
        if !self.members.is_empty() {
            struct_ser.serialize_field("members", &self.members)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GroupInvite {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.invite_id.is_empty() {
            len += 1;
        }
        if !self.token.is_empty() {
            len += 1;
        }
        if !self.creator_id.is_empty() {
            len += 1;
        }
        if self.created_at.is_some() {
            len += 1;
        }
        if self.expires_at.is_some() {
            len += 1;
        }
        if self.max_uses != 0 {
            len += 1;
        }
        if self.uses != 0 {
            len += 1;
        }
        if self.needs_approval {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GroupInvite", len)?;
        if !self.invite_id.is_empty() {
            struct_ser.serialize_field("inviteId", &self.invite_id)?;
        }
        if !self.token.is_empty() {
            struct_ser.serialize_field("token", &self.token)?;
        }
        if !self.creator_id.is_empty() {
            struct_ser.serialize_field("creatorId", &self.creator_id)?;
        }
        if let Some(v) = self.created_at.as_ref() {
            struct_ser.serialize_field("createdAt", v)?;
        }
        if let Some(v) = self.expires_at.as_ref() {
            struct_ser.serialize_field("expiresAt", v)?;
        }
        if self.max_uses != 0 {
            struct_ser.serialize_field("maxUses", &self.max_uses)?;
        }
        if self.uses != 0 {
            struct_ser.serialize_field("uses", &self.uses)?;
        }
        if self.needs_approval {
            struct_ser.serialize_field("needsApproval", &self.needs_approval)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for GroupPermission {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "GROUP_PERMISSION_UNSPECIFIED",
            Self::SendMessages => "GROUP_PERMISSION_SEND_MESSAGES",
            Self::AddMembers => "GROUP_PERMISSION_ADD_MEMBERS",
            Self::EditInfo => "GROUP_PERMISSION_EDIT_INFO",
            Self::RemoveMembers => "GROUP_PERMISSION_REMOVE_MEMBERS",
            Self::ManageRoles => "GROUP_PERMISSION_MANAGE_ROLES",
            Self::ChangeSettings => "GROUP_PERMISSION_CHANGE_SETTINGS",
            Self::ManageInvites => "GROUP_PERMISSION_MANAGE_INVITES",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for GroupRole {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "GROUP_ROLE_UNSPECIFIED",
            Self::Member => "GROUP_ROLE_MEMBER",
            Self::Admin => "GROUP_ROLE_ADMIN",
            Self::Owner => "GROUP_ROLE_OWNER",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for GroupSettings {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.member_permissions.is_empty() {
            len += 1;
        }
        if !self.admin_permissions.is_empty() {
            len += 1;
        }
        if self.shows_history {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.GroupSettings", len)?;
        if !self.member_permissions.is_empty() {
            let v = self.member_permissions.iter().cloned().map(|v| {
                GroupPermission::try_from(v)
                    .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", v)))
                }).collect::<std::result::Result<Vec<_>, _>>()?;
            struct_ser.serialize_field("memberPermissions", &v)?;
        }
        if !self.admin_permissions.is_empty() {
            let v = self.admin_permissions.iter().cloned().map(|v| {
                GroupPermission::try_from(v)
                    .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", v)))
                }).collect::<std::result::Result<Vec<_>, _>>()?;
            struct_ser.serialize_field("adminPermissions", &v)?;
        }
        if self.shows_history {
            struct_ser.serialize_field("showsHistory", &self.shows_history)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Hello {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.Hello", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for HideConversationRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.through_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.HideConversationRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.through_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("throughSeq", ToString::to_string(&self.through_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for HideConversationResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.HideConversationResponse", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for JoinGroupRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.token.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.JoinGroupRequest", len)?;
        if !self.token.is_empty() {
            struct_ser.serialize_field("token", &self.token)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for JoinGroupResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.JoinGroupResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for JoinRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.requested_at.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.JoinRequest", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if let Some(v) = self.requested_at.as_ref() {
            struct_ser.serialize_field("requestedAt", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for JoinRequested {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.JoinRequested", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for LastMessage {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.seq != 0 {
            len += 1;
        }
        if !self.sender_id.is_empty() {
            len += 1;
        }
        if !self.excerpt.is_empty() {
            len += 1;
        }
        if self.sent_at.is_some() {
            len += 1;
        }
        if !self.message_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.LastMessage", len)?;
        if self.seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("seq", ToString::to_string(&self.seq).as_str())?;
        }
        if !self.sender_id.is_empty() {
            struct_ser.serialize_field("senderId", &self.sender_id)?;
        }
        if !self.excerpt.is_empty() {
            struct_ser.serialize_field("excerpt", &self.excerpt)?;
        }
        if let Some(v) = self.sent_at.as_ref() {
            struct_ser.serialize_field("sentAt", v)?;
        }
        if !self.message_id.is_empty() {
            struct_ser.serialize_field("messageId", &self.message_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for LeaveGroupRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.LeaveGroupRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for LeaveGroupResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.LeaveGroupResponse", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for ListConversationsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.page_size != 0 {
            len += 1;
        }
        if !self.page_token.is_empty() {
            len += 1;
        }
        if self.only_unread {
            len += 1;
        }
        if self.archived != 0 {
            len += 1;
        }
        if self.kind != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListConversationsRequest", len)?;
        if self.page_size != 0 {
            struct_ser.serialize_field("pageSize", &self.page_size)?;
        }
        if !self.page_token.is_empty() {
            struct_ser.serialize_field("pageToken", &self.page_token)?;
        }
        if self.only_unread {
            struct_ser.serialize_field("onlyUnread", &self.only_unread)?;
        }
        if self.archived != 0 {
            let v = ArchivedFilter::try_from(self.archived)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.archived)))?;
            struct_ser.serialize_field("archived", &v)?;
        }
        if self.kind != 0 {
            let v = ConversationKind::try_from(self.kind)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.kind)))?;
            struct_ser.serialize_field("kind", &v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListConversationsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversations.is_empty() {
            len += 1;
        }
        if !self.next_page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListConversationsResponse", len)?;
        if !self.conversations.is_empty() {
            struct_ser.serialize_field("conversations", &self.conversations)?;
        }
        if !self.next_page_token.is_empty() {
            struct_ser.serialize_field("nextPageToken", &self.next_page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListFriendsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.state != 0 {
            len += 1;
        }
        if self.page_size != 0 {
            len += 1;
        }
        if !self.page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListFriendsRequest", len)?;
        if self.state != 0 {
            let v = FriendState::try_from(self.state)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.state)))?;
            struct_ser.serialize_field("state", &v)?;
        }
        if self.page_size != 0 {
            struct_ser.serialize_field("pageSize", &self.page_size)?;
        }
        if !self.page_token.is_empty() {
            struct_ser.serialize_field("pageToken", &self.page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListFriendsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.friends.is_empty() {
            len += 1;
        }
        if !self.next_page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListFriendsResponse", len)?;
        if !self.friends.is_empty() {
            struct_ser.serialize_field("friends", &self.friends)?;
        }
        if !self.next_page_token.is_empty() {
            struct_ser.serialize_field("nextPageToken", &self.next_page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListGroupInvitesRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListGroupInvitesRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListGroupInvitesResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.invites.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListGroupInvitesResponse", len)?;
        if !self.invites.is_empty() {
            struct_ser.serialize_field("invites", &self.invites)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListGroupMembersRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.page_size != 0 {
            len += 1;
        }
        if !self.page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListGroupMembersRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.page_size != 0 {
            struct_ser.serialize_field("pageSize", &self.page_size)?;
        }
        if !self.page_token.is_empty() {
            struct_ser.serialize_field("pageToken", &self.page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListGroupMembersResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.members.is_empty() {
            len += 1;
        }
        if !self.next_page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListGroupMembersResponse", len)?;
        if !self.members.is_empty() {
            struct_ser.serialize_field("members", &self.members)?;
        }
        if !self.next_page_token.is_empty() {
            struct_ser.serialize_field("nextPageToken", &self.next_page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListJoinRequestsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.page_size != 0 {
            len += 1;
        }
        if !self.page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListJoinRequestsRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.page_size != 0 {
            struct_ser.serialize_field("pageSize", &self.page_size)?;
        }
        if !self.page_token.is_empty() {
            struct_ser.serialize_field("pageToken", &self.page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListJoinRequestsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.join_requests.is_empty() {
            len += 1;
        }
        if !self.next_page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListJoinRequestsResponse", len)?;
        if !self.join_requests.is_empty() {
            struct_ser.serialize_field("joinRequests", &self.join_requests)?;
        }
        if !self.next_page_token.is_empty() {
            struct_ser.serialize_field("nextPageToken", &self.next_page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListMessagesRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.page_size != 0 {
            len += 1;
        }
        if self.restart_revision != 0 {
            len += 1;
        }
        if self.position.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListMessagesRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.page_size != 0 {
            struct_ser.serialize_field("pageSize", &self.page_size)?;
        }
        if self.restart_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("restartRevision", ToString::to_string(&self.restart_revision).as_str())?;
        }
        if let Some(v) = self.position.as_ref() {
            match v {
                list_messages_request::Position::BeforeSeq(v) => {
                    #[allow(clippy::needless_borrow)]
                    #[allow(clippy::needless_borrows_for_generic_args)]
                    struct_ser.serialize_field("beforeSeq", ToString::to_string(&v).as_str())?;
                }
                list_messages_request::Position::AfterSeq(v) => {
                    #[allow(clippy::needless_borrow)]
                    #[allow(clippy::needless_borrows_for_generic_args)]
                    struct_ser.serialize_field("afterSeq", ToString::to_string(&v).as_str())?;
                }
                list_messages_request::Position::AroundSeq(v) => {
                    #[allow(clippy::needless_borrow)]
                    #[allow(clippy::needless_borrows_for_generic_args)]
                    struct_ser.serialize_field("aroundSeq", ToString::to_string(&v).as_str())?;
                }
            }
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListMessagesResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.messages.is_empty() {
            len += 1;
        }
        if self.has_more_before {
            len += 1;
        }
        if self.has_more_after {
            len += 1;
        }
        if !self.group_changes.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListMessagesResponse", len)?;
        if !self.messages.is_empty() {
            struct_ser.serialize_field("messages", &self.messages)?;
        }
        if self.has_more_before {
            struct_ser.serialize_field("hasMoreBefore", &self.has_more_before)?;
        }
        if self.has_more_after {
            struct_ser.serialize_field("hasMoreAfter", &self.has_more_after)?;
        }
        if !self.group_changes.is_empty() {
            struct_ser.serialize_field("groupChanges", &self.group_changes)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListReadPositionsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.page_size != 0 {
            len += 1;
        }
        if !self.page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListReadPositionsRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.page_size != 0 {
            struct_ser.serialize_field("pageSize", &self.page_size)?;
        }
        if !self.page_token.is_empty() {
            struct_ser.serialize_field("pageToken", &self.page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ListReadPositionsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.positions.is_empty() {
            len += 1;
        }
        if !self.next_page_token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ListReadPositionsResponse", len)?;
        if !self.positions.is_empty() {
            struct_ser.serialize_field("positions", &self.positions)?;
        }
        if !self.next_page_token.is_empty() {
            struct_ser.serialize_field("nextPageToken", &self.next_page_token)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for LiveError {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.reason.is_empty() {
            len += 1;
        }
        if !self.message.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.LiveError", len)?;
        if !self.reason.is_empty() {
            struct_ser.serialize_field("reason", &self.reason)?;
        }
        if !self.message.is_empty() {
            struct_ser.serialize_field("message", &self.message)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for LiveEvent {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if self.previous_revision != 0 {
            len += 1;
        }
        if self.feed_revision != 0 {
            len += 1;
        }
        if self.event.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.LiveEvent", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if self.previous_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("previousRevision", ToString::to_string(&self.previous_revision).as_str())?;
        }
        if self.feed_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("feedRevision", ToString::to_string(&self.feed_revision).as_str())?;
        }
        if let Some(v) = self.event.as_ref() {
            match v {
                live_event::Event::Welcome(v) => {
                    struct_ser.serialize_field("welcome", v)?;
                }
                live_event::Event::Pong(v) => {
                    struct_ser.serialize_field("pong", v)?;
                }
                live_event::Event::MessageSent(v) => {
                    struct_ser.serialize_field("messageSent", v)?;
                }
                live_event::Event::ReadPositionMoved(v) => {
                    struct_ser.serialize_field("readPositionMoved", v)?;
                }
                live_event::Event::ConversationOpened(v) => {
                    struct_ser.serialize_field("conversationOpened", v)?;
                }
                live_event::Event::FriendChanged(v) => {
                    struct_ser.serialize_field("friendChanged", v)?;
                }
                live_event::Event::Poke(v) => {
                    struct_ser.serialize_field("poke", v)?;
                }
                live_event::Event::Error(v) => {
                    struct_ser.serialize_field("error", v)?;
                }
                live_event::Event::MembershipEnded(v) => {
                    struct_ser.serialize_field("membershipEnded", v)?;
                }
                live_event::Event::GroupChanged(v) => {
                    struct_ser.serialize_field("groupChanged", v)?;
                }
                live_event::Event::JoinRequested(v) => {
                    struct_ser.serialize_field("joinRequested", v)?;
                }
                live_event::Event::ConversationSettingsChanged(v) => {
                    struct_ser.serialize_field("conversationSettingsChanged", v)?;
                }
                live_event::Event::DeliveredPositionMoved(v) => {
                    struct_ser.serialize_field("deliveredPositionMoved", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl serde::Serialize for LiveRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.request.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.LiveRequest", len)?;
        if let Some(v) = self.request.as_ref() {
            match v {
                live_request::Request::Hello(v) => {
                    struct_ser.serialize_field("hello", v)?;
                }
                live_request::Request::Ping(v) => {
                    struct_ser.serialize_field("ping", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MarkConversationDeliveredRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.delivered_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.MarkConversationDeliveredRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.delivered_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("deliveredSeq", ToString::to_string(&self.delivered_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MarkConversationDeliveredResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.delivered_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.MarkConversationDeliveredResponse", len)?;
        if self.delivered_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("deliveredSeq", ToString::to_string(&self.delivered_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MarkConversationReadRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.read_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.MarkConversationReadRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.read_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("readSeq", ToString::to_string(&self.read_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MarkConversationReadResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.read_seq != 0 {
            len += 1;
        }
        if self.unread_count != 0 {
            len += 1;
        }
        if self.counted_seq != 0 {
            len += 1;
        }
        if self.settings.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.MarkConversationReadResponse", len)?;
        if self.read_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("readSeq", ToString::to_string(&self.read_seq).as_str())?;
        }
        if self.unread_count != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("unreadCount", ToString::to_string(&self.unread_count).as_str())?;
        }
        if self.counted_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("countedSeq", ToString::to_string(&self.counted_seq).as_str())?;
        }
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MarkConversationUnreadRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.settings_revision != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.MarkConversationUnreadRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if self.settings_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("settingsRevision", ToString::to_string(&self.settings_revision).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MarkConversationUnreadResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        if self.marked_unread {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.MarkConversationUnreadResponse", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if self.marked_unread {
            struct_ser.serialize_field("markedUnread", &self.marked_unread)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Member {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.read_seq != 0 {
            len += 1;
        }
        if self.joined_revision != 0 {
            len += 1;
        }
        if self.role != 0 {
            len += 1;
        }
        if self.delivered_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Member", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if self.read_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("readSeq", ToString::to_string(&self.read_seq).as_str())?;
        }
        if self.joined_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("joinedRevision", ToString::to_string(&self.joined_revision).as_str())?;
        }
        if self.role != 0 {
            let v = GroupRole::try_from(self.role)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.role)))?;
            struct_ser.serialize_field("role", &v)?;
        }
        if self.delivered_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("deliveredSeq", ToString::to_string(&self.delivered_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Membership {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.state != 0 {
            len += 1;
        }
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Membership", len)?;
        if self.state != 0 {
            let v = MembershipState::try_from(self.state)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.state)))?;
            struct_ser.serialize_field("state", &v)?;
        }
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MembershipEndReason {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "MEMBERSHIP_END_REASON_UNSPECIFIED",
            Self::Left => "MEMBERSHIP_END_REASON_LEFT",
            Self::Removed => "MEMBERSHIP_END_REASON_REMOVED",
            Self::GroupDeleted => "MEMBERSHIP_END_REASON_GROUP_DELETED",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for MembershipEnded {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.reason != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.MembershipEnded", len)?;
        if self.reason != 0 {
            let v = MembershipEndReason::try_from(self.reason)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.reason)))?;
            struct_ser.serialize_field("reason", &v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for MembershipState {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "MEMBERSHIP_STATE_UNSPECIFIED",
            Self::Active => "MEMBERSHIP_STATE_ACTIVE",
            Self::Ended => "MEMBERSHIP_STATE_ENDED",
        };
        serializer.serialize_str(variant)
    }
}
impl serde::Serialize for Message {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.message_id.is_empty() {
            len += 1;
        }
        if self.seq != 0 {
            len += 1;
        }
        if self.revision != 0 {
            len += 1;
        }
        if !self.sender_id.is_empty() {
            len += 1;
        }
        if !self.client_message_id.is_empty() {
            len += 1;
        }
        if !self.text.is_empty() {
            len += 1;
        }
        if self.reply_to.is_some() {
            len += 1;
        }
        if self.sent_at.is_some() {
            len += 1;
        }
        if self.state_revision != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Message", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.message_id.is_empty() {
            struct_ser.serialize_field("messageId", &self.message_id)?;
        }
        if self.seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("seq", ToString::to_string(&self.seq).as_str())?;
        }
        if self.revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("revision", ToString::to_string(&self.revision).as_str())?;
        }
        if !self.sender_id.is_empty() {
            struct_ser.serialize_field("senderId", &self.sender_id)?;
        }
        if !self.client_message_id.is_empty() {
            struct_ser.serialize_field("clientMessageId", &self.client_message_id)?;
        }
        if !self.text.is_empty() {
            struct_ser.serialize_field("text", &self.text)?;
        }
        if let Some(v) = self.reply_to.as_ref() {
            struct_ser.serialize_field("replyTo", v)?;
        }
        if let Some(v) = self.sent_at.as_ref() {
            struct_ser.serialize_field("sentAt", v)?;
        }
        if self.state_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("stateRevision", ToString::to_string(&self.state_revision).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for OpenDirectConversationRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.OpenDirectConversationRequest", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for OpenDirectConversationResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        if self.created {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.OpenDirectConversationResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        if self.created {
            struct_ser.serialize_field("created", &self.created)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Ping {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.Ping", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for Poke {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.Poke", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for Pong {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.Pong", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for Profile {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if !self.display_name.is_empty() {
            len += 1;
        }
        if !self.avatar_url.is_empty() {
            len += 1;
        }
        if self.updated_at.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Profile", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if !self.display_name.is_empty() {
            struct_ser.serialize_field("displayName", &self.display_name)?;
        }
        if !self.avatar_url.is_empty() {
            struct_ser.serialize_field("avatarUrl", &self.avatar_url)?;
        }
        if let Some(v) = self.updated_at.as_ref() {
            struct_ser.serialize_field("updatedAt", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Quote {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.sender_id.is_empty() {
            len += 1;
        }
        if !self.excerpt.is_empty() {
            len += 1;
        }
        if self.state_revision != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Quote", len)?;
        if !self.sender_id.is_empty() {
            struct_ser.serialize_field("senderId", &self.sender_id)?;
        }
        if !self.excerpt.is_empty() {
            struct_ser.serialize_field("excerpt", &self.excerpt)?;
        }
        if self.state_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("stateRevision", ToString::to_string(&self.state_revision).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ReadPosition {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.read_seq != 0 {
            len += 1;
        }
        if self.delivered_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ReadPosition", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if self.read_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("readSeq", ToString::to_string(&self.read_seq).as_str())?;
        }
        if self.delivered_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("deliveredSeq", ToString::to_string(&self.delivered_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for ReadPositionMoved {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.read_seq != 0 {
            len += 1;
        }
        if self.unread_count.is_some() {
            len += 1;
        }
        if self.counted_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.ReadPositionMoved", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if self.read_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("readSeq", ToString::to_string(&self.read_seq).as_str())?;
        }
        if let Some(v) = self.unread_count.as_ref() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("unreadCount", ToString::to_string(&v).as_str())?;
        }
        if self.counted_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("countedSeq", ToString::to_string(&self.counted_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RemoveFriendRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RemoveFriendRequest", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RemoveFriendResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.RemoveFriendResponse", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for RemoveGroupMemberRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.user_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RemoveGroupMemberRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RemoveGroupMemberResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RemoveGroupMemberResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Reply {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.message_id.is_empty() {
            len += 1;
        }
        if self.seq != 0 {
            len += 1;
        }
        if self.quote.is_some() {
            len += 1;
        }
        if self.unavailable {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Reply", len)?;
        if !self.message_id.is_empty() {
            struct_ser.serialize_field("messageId", &self.message_id)?;
        }
        if self.seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("seq", ToString::to_string(&self.seq).as_str())?;
        }
        if let Some(v) = self.quote.as_ref() {
            struct_ser.serialize_field("quote", v)?;
        }
        if self.unavailable {
            struct_ser.serialize_field("unavailable", &self.unavailable)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RequestFriendRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RequestFriendRequest", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RequestFriendResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.friend.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RequestFriendResponse", len)?;
        if let Some(v) = self.friend.as_ref() {
            struct_ser.serialize_field("friend", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RespondToFriendRequestRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.answer != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RespondToFriendRequestRequest", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if self.answer != 0 {
            let v = FriendRequestAnswer::try_from(self.answer)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.answer)))?;
            struct_ser.serialize_field("answer", &v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RespondToFriendRequestResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.friend.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RespondToFriendRequestResponse", len)?;
        if let Some(v) = self.friend.as_ref() {
            struct_ser.serialize_field("friend", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RevokeGroupInviteRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.invite_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.RevokeGroupInviteRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.invite_id.is_empty() {
            struct_ser.serialize_field("inviteId", &self.invite_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for RevokeGroupInviteResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.RevokeGroupInviteResponse", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for SendMessageRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.client_message_id.is_empty() {
            len += 1;
        }
        if !self.text.is_empty() {
            len += 1;
        }
        if !self.reply_to_message_id.is_empty() {
            len += 1;
        }
        if self.retry {
            len += 1;
        }
        if self.read_seq != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.SendMessageRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.client_message_id.is_empty() {
            struct_ser.serialize_field("clientMessageId", &self.client_message_id)?;
        }
        if !self.text.is_empty() {
            struct_ser.serialize_field("text", &self.text)?;
        }
        if !self.reply_to_message_id.is_empty() {
            struct_ser.serialize_field("replyToMessageId", &self.reply_to_message_id)?;
        }
        if self.retry {
            struct_ser.serialize_field("retry", &self.retry)?;
        }
        if self.read_seq != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("readSeq", ToString::to_string(&self.read_seq).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for SendMessageResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.message.is_some() {
            len += 1;
        }
        if self.deduplicated {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.SendMessageResponse", len)?;
        if let Some(v) = self.message.as_ref() {
            struct_ser.serialize_field("message", v)?;
        }
        if self.deduplicated {
            struct_ser.serialize_field("deduplicated", &self.deduplicated)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for SetGroupMemberRoleRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.user_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        if self.role != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.SetGroupMemberRoleRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        if self.role != 0 {
            let v = GroupRole::try_from(self.role)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.role)))?;
            struct_ser.serialize_field("role", &v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for SetGroupMemberRoleResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.SetGroupMemberRoleResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for SyncConversationsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.cursors.is_empty() {
            len += 1;
        }
        if self.feed.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.SyncConversationsRequest", len)?;
        if !self.cursors.is_empty() {
            struct_ser.serialize_field("cursors", &self.cursors)?;
        }
        if let Some(v) = self.feed.as_ref() {
            struct_ser.serialize_field("feed", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for SyncConversationsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversations.is_empty() {
            len += 1;
        }
        if self.feed.is_some() {
            len += 1;
        }
        if !self.lost_conversation_ids.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.SyncConversationsResponse", len)?;
        if !self.conversations.is_empty() {
            struct_ser.serialize_field("conversations", &self.conversations)?;
        }
        if let Some(v) = self.feed.as_ref() {
            struct_ser.serialize_field("feed", v)?;
        }
        if !self.lost_conversation_ids.is_empty() {
            struct_ser.serialize_field("lostConversationIds", &self.lost_conversation_ids)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for TransferGroupOwnershipRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.user_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.TransferGroupOwnershipRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for TransferGroupOwnershipResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.TransferGroupOwnershipResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpdateConversationSettingsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if self.settings.is_some() {
            len += 1;
        }
        if self.update_mask.is_some() {
            len += 1;
        }
        if self.settings_revision != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpdateConversationSettingsRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if let Some(v) = self.update_mask.as_ref() {
            struct_ser.serialize_field("updateMask", v)?;
        }
        if self.settings_revision != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("settingsRevision", ToString::to_string(&self.settings_revision).as_str())?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpdateConversationSettingsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        if self.marked_unread {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpdateConversationSettingsResponse", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if self.marked_unread {
            struct_ser.serialize_field("markedUnread", &self.marked_unread)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpdateGroupRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.conversation_id.is_empty() {
            len += 1;
        }
        if !self.request_id.is_empty() {
            len += 1;
        }
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.description.is_empty() {
            len += 1;
        }
        if !self.avatar_url.is_empty() {
            len += 1;
        }
        if self.settings.is_some() {
            len += 1;
        }
        if self.update_mask.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpdateGroupRequest", len)?;
        if !self.conversation_id.is_empty() {
            struct_ser.serialize_field("conversationId", &self.conversation_id)?;
        }
        if !self.request_id.is_empty() {
            struct_ser.serialize_field("requestId", &self.request_id)?;
        }
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.description.is_empty() {
            struct_ser.serialize_field("description", &self.description)?;
        }
        if !self.avatar_url.is_empty() {
            struct_ser.serialize_field("avatarUrl", &self.avatar_url)?;
        }
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if let Some(v) = self.update_mask.as_ref() {
            struct_ser.serialize_field("updateMask", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpdateGroupResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.conversation.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpdateGroupResponse", len)?;
        if let Some(v) = self.conversation.as_ref() {
            struct_ser.serialize_field("conversation", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpdateUserSettingsRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        if self.update_mask.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpdateUserSettingsRequest", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        if let Some(v) = self.update_mask.as_ref() {
            struct_ser.serialize_field("updateMask", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpdateUserSettingsResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.settings.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpdateUserSettingsResponse", len)?;
        if let Some(v) = self.settings.as_ref() {
            struct_ser.serialize_field("settings", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpsertProfileRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.display_name.is_empty() {
            len += 1;
        }
        if !self.avatar_url.is_empty() {
            len += 1;
        }
        if self.update_mask.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpsertProfileRequest", len)?;
        if !self.display_name.is_empty() {
            struct_ser.serialize_field("displayName", &self.display_name)?;
        }
        if !self.avatar_url.is_empty() {
            struct_ser.serialize_field("avatarUrl", &self.avatar_url)?;
        }
        if let Some(v) = self.update_mask.as_ref() {
            struct_ser.serialize_field("updateMask", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UpsertProfileResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.profile.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UpsertProfileResponse", len)?;
        if let Some(v) = self.profile.as_ref() {
            struct_ser.serialize_field("profile", v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for UserSettings {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.group_adders != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.UserSettings", len)?;
        if self.group_adders != 0 {
            let v = GroupAdders::try_from(self.group_adders)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.group_adders)))?;
            struct_ser.serialize_field("groupAdders", &v)?;
        }
        struct_ser.end()
    }
}
impl serde::Serialize for Void {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let len = 0;
        let struct_ser = serializer.serialize_struct("chat.v1.Void", len)?;
        struct_ser.end()
    }
}
impl serde::Serialize for Welcome {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user_id.is_empty() {
            len += 1;
        }
        if self.expires_at.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("chat.v1.Welcome", len)?;
        if !self.user_id.is_empty() {
            struct_ser.serialize_field("userId", &self.user_id)?;
        }
        if let Some(v) = self.expires_at.as_ref() {
            struct_ser.serialize_field("expiresAt", v)?;
        }
        struct_ser.end()
    }
}
