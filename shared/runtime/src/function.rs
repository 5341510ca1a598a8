//! A function as the rest of the project sees it: a name, a trigger, and a way to make environments.

use std::marker::PhantomData;

use chat_contract::Rpc;
use chat_operation::{FromSettings, Needs, Operation, Settings, SettingsError};

use crate::environment::Environment;
use crate::event::{self, EventHandler};
use crate::http;

/// One deployed Lambda function: what triggers it and how to build an execution environment of it.
#[derive(Clone, Copy)]
pub struct Function {
    name: &'static str,
    trigger: Trigger,
    environment: fn(&Settings) -> Result<Environment, SettingsError>,
}

/// What calls a function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// `POST {path}` of the HTTP API. `public` ones need no token.
    Rpc {
        /// The path, such as `/chat.v1.MessageService/SendMessage`.
        path: &'static str,
        /// Whether it may be called without a token.
        public: bool,
    },
    /// The WebSocket API's Lambda authorizer (REQUEST type).
    SocketAuthorizer,
    /// A route of the WebSocket API: `$connect`, `$disconnect`, `$default`.
    SocketRoute(&'static str),
    /// The queue of what is for more members than a call names.
    DeliveryQueue,
    /// Run by a deployment, by hand, or at start of the local stack; the event is any JSON.
    Deployment,
}

impl Function {
    /// The function of an operation. Its name is the RPC's in kebab-case.
    pub const fn operation<O: Operation + FromSettings>() -> Self {
        Self {
            name: operation_name::<O>(),
            trigger: Trigger::Rpc {
                path: O::Request::PATH,
                public: O::PUBLIC,
            },
            environment: http::environment::<O>,
        }
    }

    /// The function of an event handler.
    pub const fn event<H: EventHandler>(name: &'static str, trigger: Trigger) -> Self {
        Self {
            name,
            trigger,
            environment: event::environment::<H>,
        }
    }

    /// Its name, and its binary's, such as `send-message`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What calls it.
    pub fn trigger(&self) -> Trigger {
        self.trigger
    }

    /// What it asks settings for, which must be enough for it.
    pub fn needs(&self, settings: &Settings) -> Result<Needs, SettingsError> {
        settings.needs_of(self.environment)
    }

    /// Builds an environment with clients of its own. No IO happens here; clients connect at first use.
    pub fn environment(&self, settings: &Settings) -> Result<Environment, SettingsError> {
        (self.environment)(settings)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Function")
            .field("name", &self.name)
            .field("trigger", &self.trigger)
            .finish_non_exhaustive()
    }
}

/// The name of an operation's function: `send-message` for `SendMessage`.
pub(crate) const fn operation_name<O: Operation>() -> &'static str {
    KebabCase::<O::Request>::NAME
}

/// Bytes of a function's name, at most: Lambda's limit.
const NAME_BYTES_MAX: usize = 64;

struct KebabCase<R>(PhantomData<R>);

impl<R: Rpc> KebabCase<R> {
    const BUFFER: ([u8; NAME_BYTES_MAX], usize) = kebab_case(R::NAME);
    const NAME: &'static str = {
        let (name, _unused) = Self::BUFFER.0.split_at(Self::BUFFER.1);
        match str::from_utf8(name) {
            Ok(name) => name,
            Err(_) => panic!("an RPC's name is not ASCII"),
        }
    };
}

#[expect(
    clippy::indexing_slicing,
    reason = "it runs in the compiler, where a wrong index is an error of compilation"
)]
const fn kebab_case(name: &str) -> ([u8; NAME_BYTES_MAX], usize) {
    let name = name.as_bytes();
    let mut kebab = [0; NAME_BYTES_MAX];
    let (mut from, mut to) = (0, 0);
    while from < name.len() {
        if name[from].is_ascii_uppercase() && from > 0 {
            kebab[to] = b'-';
            to += 1;
        }
        kebab[to] = name[from].to_ascii_lowercase();
        (from, to) = (from + 1, to + 1);
    }
    (kebab, to)
}
