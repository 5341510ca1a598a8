//! A gateway with all functions on databases of its own, and clients of it.

use std::sync::OnceLock;
use std::time::Duration;

use chat_client::contract::Rpc;
use chat_client::contract::v1::{LiveEvent, Message, live_event};
use chat_client::{CallError, ChatClient, Code, LiveConnection, LiveOptions, TokenSource};
use chat_local::gateway::{self, Gateway, GatewayConfig, Issuer, Limits};
use chat_runtime::{Function, Settings};
use chat_testing::Fixture;
use tokio::time::timeout;

/// Longer than anything here takes, so that a broken test ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that is deployed, on this machine. The databases are dropped with it, after the gateway.
pub(crate) struct Stack {
    pub(crate) gateway: Gateway,
    pub(crate) fixture: Fixture,
    /// A client of nobody, from which those of users are made.
    pub(crate) nobody: ChatClient,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let fixture = Fixture::new().await;
        let gateway = serve(functions(), fixture.settings(), Limits::default()).await;
        let nobody = ChatClient::new(format!("http://{}", gateway.address())).unwrap();
        Self {
            gateway,
            fixture,
            nobody,
        }
    }

    /// A client of a user.
    pub(crate) fn client(&self, user: &str) -> ChatClient {
        client_of(&self.nobody, user)
    }

    /// A live connection of a user.
    pub(crate) async fn device(&self, user: &str) -> Device {
        Device::open(&self.client(user)).await
    }
}

/// Starts a gateway on a port of its own.
pub(crate) async fn serve(functions: Vec<Function>, settings: &Settings, limits: Limits) -> Gateway {
    let config = GatewayConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        functions,
        settings: settings.clone(),
        issuer: issuer(),
        limits,
    };
    gateway::serve(config).await.unwrap()
}

/// The functions of all services.
pub(crate) fn functions() -> Vec<Function> {
    [
        chat_conversation::FUNCTIONS,
        chat_friend::FUNCTIONS,
        chat_health::FUNCTIONS,
        chat_live::FUNCTIONS,
        chat_message::FUNCTIONS,
        chat_user::FUNCTIONS,
    ]
    .concat()
}

/// One key for all tests, since making one takes a while.
pub(crate) fn issuer() -> Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    let issuer = ISSUER.get_or_init(|| Issuer::generate("http://issuer.test", "chat").unwrap());
    issuer.clone()
}

/// A token of a user.
pub(crate) fn token(user: &str) -> String {
    issuer().token(user, Duration::from_hours(1)).unwrap()
}

/// The same client for a user.
pub(crate) fn client_of(client: &ChatClient, user: &str) -> ChatClient {
    client.with_token_source(TokenSource::fixed(token(user)))
}

/// A live connection that a test reads event by event.
pub(crate) struct Device(LiveConnection);

impl Device {
    pub(crate) async fn open(client: &ChatClient) -> Self {
        Self(LiveConnection::open(client, LiveOptions::default()).await.unwrap())
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> LiveEvent {
        let event = timeout(PATIENCE, self.0.next()).await;
        event.expect("an event comes in time").expect("the connection lives on")
    }

    /// The next event, which is the only thing that it says.
    pub(crate) async fn event(&mut self) -> live_event::Event {
        self.next().await.event.unwrap()
    }

    /// The next event, which is a message.
    pub(crate) async fn message(&mut self) -> Message {
        match self.event().await {
            live_event::Event::MessageSent(message) => message,
            other => panic!("a message was expected, not {other:?}"),
        }
    }
}

/// How a call was refused.
pub(crate) async fn refusal<R: Rpc>(client: &ChatClient, request: R) -> (Code, String) {
    let error: CallError = client.call(request).await.map(drop).unwrap_err();
    (error.code(), error.reason().unwrap_or_default().to_owned())
}
