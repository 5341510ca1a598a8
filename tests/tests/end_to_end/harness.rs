//! A gateway with all functions on databases of its own, clients of it, and what can go wrong in between.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chat_client::contract::Rpc;
use chat_client::contract::v1::{CreateLiveTicketRequest, CreateLiveTicketResponse, LiveEvent, live_event};
use chat_client::{ChatClient, Code, LiveConnection, LiveOptions, TokenSource};
use chat_live::CreateLiveTicket;
use chat_local::gateway::{self, Gateway, GatewayConfig, Issuer, Limits};
use chat_operation::{Answer, CallContext, Failure, FromSettings, Operation};
use chat_operation::{Settings, SettingsError};
use chat_runtime::Function;
use chat_stores::dynamo::{Connection, RegistryReader};
use chat_testing::{FaultProxy, Fixture, Protocol, Proxies, user};
use chrono::Utc;
use futures::future::join_all;
use tokio::time::timeout;

/// Longer than anything here takes, so that a broken test ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Proxies in front of the sockets, so that one of them can be cut without all others.
const SOCKET_PROXIES: usize = 4;
/// The setting that names them, divided by spaces.
const SOCKET_URLS: &str = "SOCKET_URLS";

/// Everything that is deployed, on this machine. The databases are dropped with it, after the gateway.
pub(crate) struct Stack {
    pub(crate) gateway: Gateway,
    /// A client of nobody, from which those of users are made.
    pub(crate) nobody: ChatClient,
    pub(crate) fixture: Fixture,
}

/// What is between the parts of a stack.
pub(crate) struct Faults {
    /// Between the functions and their databases.
    pub(crate) databases: Proxies,
    /// Between the clients and the gateway: calls.
    pub(crate) api: FaultProxy,
    /// Between the clients and the gateway: sockets, spread over these.
    pub(crate) sockets: Vec<FaultProxy>,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let fixture = Fixture::new().await;
        fixture.make_queue().await;
        let gateway = serve(chat_local::functions(), fixture.settings(), Limits::default()).await;
        let nobody = client_at(gateway.address());
        Self {
            gateway,
            nobody,
            fixture,
        }
    }

    /// A stack in which everything passes proxies.
    pub(crate) async fn with_faults() -> (Self, Faults) {
        Self::with_faults_within(Limits::default()).await
    }

    /// A stack in which everything passes proxies, with limits of its own.
    pub(crate) async fn with_faults_within(limits: Limits) -> (Self, Faults) {
        let fixture = Fixture::new().await;
        fixture.make_queue().await;
        let databases = fixture.with_proxies().await;
        // Where they lead to is known once the gateway stands.
        let proxy = || async { FaultProxy::start(Protocol::Opaque, "127.0.0.1:9").await.unwrap() };
        let sockets = join_all((0..SOCKET_PROXIES).map(|_| proxy())).await;
        let api = proxy().await;
        let urls: Vec<_> = sockets
            .iter()
            .map(|proxy| format!("ws://{}/live", proxy.address()))
            .collect();

        let mut functions = chat_local::functions();
        functions.retain(|function| function.name() != "create-live-ticket");
        functions.push(Function::operation::<TicketsForProxies>());
        let settings = databases.settings().clone().with(SOCKET_URLS, urls.join(" "));
        let gateway = serve(functions, &settings, limits).await;
        for proxy in sockets.iter().chain([&api]) {
            proxy.lead_to(gateway.address().to_string());
        }
        let nobody = client_at(api.address());
        let stack = Self {
            gateway,
            nobody,
            fixture,
        };
        let faults = Faults {
            databases,
            api,
            sockets,
        };
        (stack, faults)
    }

    /// A client of a user.
    pub(crate) fn client(&self, user: &str) -> ChatClient {
        client_of(&self.nobody, user)
    }

    /// A live connection of a user.
    pub(crate) async fn device(&self, user: &str) -> Device {
        Device::open(&self.client(user)).await
    }

    /// The connections of a user that pushes go to.
    pub(crate) async fn connections_of(&self, name: &str) -> Vec<Connection> {
        let reader = RegistryReader::from_settings(self.fixture.settings()).unwrap();
        reader
            .connections_of(&BTreeSet::from([user(name)]), Utc::now())
            .await
            .unwrap()
    }
}

/// Hands out tickets for sockets that lead through proxies, to each in turn.
struct TicketsForProxies {
    behind: Vec<CreateLiveTicket>,
    next: AtomicUsize,
}

impl FromSettings for TicketsForProxies {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let urls = settings.require(SOCKET_URLS, "the URLs of the proxies")?.split(' ');
        let behind = urls.map(|url| CreateLiveTicket::from_settings(&settings.clone().with("LIVE_URL", url)));
        Ok(Self {
            behind: behind.collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
        })
    }
}

impl Operation for TicketsForProxies {
    type Request = CreateLiveTicketRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: CreateLiveTicketRequest,
    ) -> Result<Answer<CreateLiveTicketResponse>, Failure> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.behind.len();
        self.behind[turn].call(context, request).await
    }
}

/// Starts a gateway on a port of its own.
async fn serve(functions: Vec<Function>, settings: &Settings, limits: Limits) -> Gateway {
    let config = GatewayConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        functions,
        settings: settings.clone(),
        issuer: issuer(),
        limits,
        site: None,
    };
    gateway::serve(config).await.unwrap()
}

/// One key for all tests, since making one takes a while.
fn issuer() -> Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    let issuer = ISSUER.get_or_init(|| Issuer::generate("http://issuer.test", "chat").unwrap());
    issuer.clone()
}

/// A token of a user.
pub(crate) fn token(user: &str) -> String {
    issuer().token(user, Duration::from_hours(1)).unwrap()
}

fn client_at(address: std::net::SocketAddr) -> ChatClient {
    ChatClient::new(format!("http://{address}")).unwrap()
}

/// The same client for a user.
pub(crate) fn client_of(client: &ChatClient, user: &str) -> ChatClient {
    client.with_token_source(TokenSource::fixed(token(user)))
}

/// How a call was refused.
pub(crate) async fn refusal<R: Rpc>(client: &ChatClient, request: R) -> (Code, String) {
    let error = client.call(request).await.map(drop).unwrap_err();
    (error.code(), error.reason().unwrap_or_default().to_owned())
}

/// Looks again and again, as nobody tells, until something is as it should be.
pub(crate) async fn eventually<T: Debug>(look: impl AsyncFn() -> T, is_good: impl Fn(&T) -> bool) -> T {
    let mut last = None;
    let looking = async {
        loop {
            let seen = last.insert(look().await);
            if is_good(seen) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let in_time = timeout(PATIENCE, looking).await;
    assert!(in_time.is_ok(), "it stays as {last:?}");
    last.unwrap()
}

/// A live connection that a test reads event by event.
pub(crate) struct Device(LiveConnection);

impl Device {
    pub(crate) async fn open(client: &ChatClient) -> Self {
        Self(LiveConnection::open(client, LiveOptions::default()).await.unwrap())
    }

    pub(crate) fn connection(&self) -> &LiveConnection {
        &self.0
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> LiveEvent {
        let event = timeout(PATIENCE, self.0.next()).await;
        event.expect("an event comes in time").expect("the connection lives on")
    }

    /// What the next event says.
    pub(crate) async fn event(&mut self) -> live_event::Event {
        self.next().await.event.unwrap()
    }

    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}
