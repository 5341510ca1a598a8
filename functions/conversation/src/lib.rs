//! The `ConversationService`: the caller's conversations, their read positions, and the one call that brings a client up
//! to date.

mod clear_conversation_history;
mod feed;
mod get_conversation;
mod get_unread_totals;
mod hide_conversation;
mod list_conversations;
mod list_read_positions;
mod listed;
mod mark_conversation_delivered;
mod mark_conversation_read;
mod mark_conversation_unread;
mod open_direct_conversation;
mod own;
mod plan;
#[cfg(test)]
mod scene;
mod sync_conversations;
mod update_conversation_settings;

use chat_runtime::Function;

pub use clear_conversation_history::ClearConversationHistory;
pub use get_conversation::GetConversation;
pub use get_unread_totals::GetUnreadTotals;
pub use hide_conversation::HideConversation;
pub use list_conversations::ListConversations;
pub use list_read_positions::ListReadPositions;
pub use mark_conversation_delivered::MarkConversationDelivered;
pub use mark_conversation_read::MarkConversationRead;
pub use mark_conversation_unread::MarkConversationUnread;
pub use open_direct_conversation::OpenDirectConversation;
pub use sync_conversations::SyncConversations;
pub use update_conversation_settings::UpdateConversationSettings;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<ClearConversationHistory>(),
    Function::operation::<GetConversation>(),
    Function::operation::<GetUnreadTotals>(),
    Function::operation::<HideConversation>(),
    Function::operation::<ListConversations>(),
    Function::operation::<ListReadPositions>(),
    Function::operation::<MarkConversationDelivered>(),
    Function::operation::<MarkConversationRead>(),
    Function::operation::<MarkConversationUnread>(),
    Function::operation::<OpenDirectConversation>(),
    Function::operation::<SyncConversations>(),
    Function::operation::<UpdateConversationSettings>(),
];
