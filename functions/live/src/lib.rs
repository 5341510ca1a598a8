//! The `LiveService` and the functions of the WebSocket API: how a client gets its live socket.
//!
//! A client asks for a ticket ([`CreateLiveTicket`]) and offers it when it connects. The authorizer ([`AuthorizeSocket`])
//! checks the ticket without any call and puts what it says into the context that every later event of the connection
//! carries. [`Connect`] uses the ticket up and registers the connection, [`Disconnect`] removes it, and [`DefaultRoute`]
//! answers the few frames that a client sends. What is pushed to a connection is delivery's work; [`Deliver`] has it done for
//! those who are too many for the call that has something to tell.

mod authorize_socket;
mod clock;
mod connect;
mod create_live_ticket;
mod default;
mod deliver;
mod disconnect;
mod socket;
mod ticket;

use chat_runtime::{Function, Trigger};

pub use authorize_socket::{Authorization, AuthorizeSocket, AuthorizerEvent};
pub use connect::Connect;
pub use create_live_ticket::CreateLiveTicket;
pub use default::DefaultRoute;
pub use deliver::{Deliver, QueueAnswer, QueueEvent};
pub use disconnect::Disconnect;
pub use socket::{SocketAnswer, SocketEvent};

/// The Lambda functions of this service and of the WebSocket API.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<CreateLiveTicket>(),
    Function::event::<AuthorizeSocket>("authorize-socket", Trigger::SocketAuthorizer),
    Function::event::<Connect>("connect", Trigger::SocketRoute("$connect")),
    Function::event::<Disconnect>("disconnect", Trigger::SocketRoute("$disconnect")),
    Function::event::<DefaultRoute>("default", Trigger::SocketRoute("$default")),
    Function::event::<Deliver>("deliver", Trigger::DeliveryQueue),
];
