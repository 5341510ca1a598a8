//! The `MessageService`: what was said.

mod content_key;
mod get_message;
mod list_messages;
#[cfg(test)]
mod scene;
mod send_message;

use chat_runtime::Function;

pub use get_message::GetMessage;
pub use list_messages::ListMessages;
pub use send_message::SendMessage;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<GetMessage>(),
    Function::operation::<ListMessages>(),
    Function::operation::<SendMessage>(),
];
