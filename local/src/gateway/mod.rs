//! A local API Gateway that is faithful to AWS: what works behind it works when deployed, and what AWS refuses, it refuses.
//!
//! It serves the HTTP API (one route per RPC, a JWT authorizer, payload format 2.0), the WebSocket API (its authorizer,
//! `$connect`, `$default`, `$disconnect`) and `@connections` on one port, hands the queue's messages to its function, and calls
//! the functions with the JSON that AWS
//! would send them, each in a pool of environments that serve one request at a time. It never looks into what the
//! functions say to their callers, and it never runs in a deployment.
//!
//! A function joins by its [`Trigger`]; there is nothing to add here for a new RPC.

mod authorizer;
mod client_timeout;
mod connections;
mod cors;
mod environments;
mod event;
mod grpc;
mod http_api;
mod issuer;
mod queue;
mod reply;
mod site;
mod socket;
mod socket_api;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_operation::{Settings, SettingsError};
use chat_runtime::{Function, Trigger};
use chat_stores::sqs::LocalQueue;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONNECTION, HeaderMap, HeaderValue, VARY};
use http::{Method, Request, StatusCode, Version, request};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::authorizer::JwtAuthorizer;
use self::connections::Connections;
use self::environments::Environments;
pub(crate) use self::event::{HttpRequest, Moment, generate_id};
use self::http_api::{HttpApi, Route};
pub use self::issuer::{Issuer, IssuerError, TOKEN_TTL_DEFAULT, TOKEN_TTL_MAX};
use self::reply::Answer;
use self::site::Site;
use self::socket_api::SocketApi;

/// Where the WebSocket API is: the path of its one stage.
const LIVE_PATH: &str = "/live";
/// The routes of the WebSocket API.
const SOCKET_ROUTES: [&str; 3] = ["$connect", "$default", "$disconnect"];
/// What hyper keeps of a request's head before it refuses by itself. Between AWS' limit and this the answer is AWS'.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers of a request, at most.
const HEADERS_MAX: usize = 200;
/// Requests under way on one HTTP/2 connection, at most.
const STREAMS_MAX: u32 = 250;
/// How often an HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long the listener rests when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are taken from the system's queue when the listener closes, at most; the queue is no longer.
const LATE_CONNECTIONS_MAX: usize = 4_096;
/// How long the last answers may take to be sent when what was under way had to be dropped.
const LAST_ANSWERS_TIME_MAX: Duration = Duration::from_secs(1);
/// Bytes of a form that the issuer reads.
const FORM_BYTES_MAX: usize = 16 * 1024;
/// How often idle environments are looked for, at most and at least.
const REAP_INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

/// What the gateway serves, and where.
pub struct GatewayConfig {
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// The functions. Those that only a deployment triggers are left out.
    pub functions: Vec<Function>,
    /// What the functions are told. The gateway adds `LIVE_ENDPOINT` and `LIVE_URL`, and expects calls to `@connections`
    /// to be signed with `AWS_ACCESS_KEY_ID`.
    pub settings: Settings,
    /// Whose tokens count.
    pub issuer: Issuer,
    /// AWS' quotas, unless a test lowers them.
    pub limits: Limits,
    /// The folder of the web app's files, if it is to be served as well.
    pub site: Option<PathBuf>,
}

/// The quotas. The defaults are those of AWS where AWS has them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Environments of one function that may be busy at once.
    pub environments_max: usize,
    /// How long an environment that nobody needs is kept.
    pub environment_idle: Duration,
    /// Environments of one function that are kept for so long.
    pub environments_kept: usize,
    /// How long one beyond these is kept. AWS has room for all that a burst of calls has left behind, a laptop's Postgres
    /// has not: each has connections of its own.
    pub environment_surplus_idle: Duration,
    /// Requests that may wait for an environment of one function.
    pub waiting_max: usize,
    /// How long a request may take, from its arrival to its answer and to the end of the work after it.
    pub invocation_timeout: Duration,
    /// Bytes in a request's body.
    pub body_bytes_max: usize,
    /// Bytes in a function's event and in its response.
    pub payload_bytes_max: usize,
    /// Bytes in a request's line and headers.
    pub header_bytes_max: usize,
    /// How long a client may take to send a request's head, which includes the pause since its last request.
    pub head_timeout: Duration,
    /// TCP connections that carry HTTP.
    pub http_connections_max: usize,
    /// Open sockets.
    pub sockets_max: usize,
    /// How long a socket lives when nothing is sent on it in either direction.
    pub socket_idle: Duration,
    /// How long a socket lives in any case.
    pub socket_life: Duration,
    /// How long a client may take to receive what is sent to it.
    pub socket_write_timeout: Duration,
    /// Bytes in a message on a socket.
    pub message_bytes_max: usize,
    /// Bytes in a frame that a client sends.
    pub frame_bytes_max: usize,
    /// Messages of one socket that are with their function at once. Until one is answered, no more is read.
    pub messages_in_flight_max: usize,
    /// Posted messages that wait for one socket's client.
    pub outgoing_max: usize,
    /// Bytes of these.
    pub outgoing_bytes_max: usize,
    /// How long [`Gateway::stop`] waits for what is under way.
    pub stop_grace: Duration,
    /// How long a connection of HTTP/1 on which nothing is under way is kept then, for the request that its client may
    /// just be sending.
    pub stop_linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            environments_max: 32,
            environment_idle: Duration::from_mins(5),
            environments_kept: 2,
            environment_surplus_idle: Duration::from_secs(10),
            waiting_max: 1_000,
            invocation_timeout: Duration::from_secs(30),
            body_bytes_max: 10 * 1024 * 1024,
            payload_bytes_max: 6 * 1024 * 1024,
            header_bytes_max: 10_240,
            head_timeout: Duration::from_mins(2),
            http_connections_max: 4_096,
            sockets_max: 10_000,
            socket_idle: Duration::from_mins(10),
            socket_life: Duration::from_hours(2),
            socket_write_timeout: Duration::from_secs(30),
            message_bytes_max: 128 * 1024,
            frame_bytes_max: 32 * 1024,
            messages_in_flight_max: 8,
            outgoing_max: 256,
            outgoing_bytes_max: 1024 * 1024,
            stop_grace: Duration::from_secs(10),
            stop_linger: Duration::from_millis(500),
        }
    }
}

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Somebody else listens there.
    #[error("port {} on {} is taken: stop what listens there, or set CHAT_PORT to another port", .0.port(), .0.ip())]
    Taken(SocketAddr),
    /// The system does not let it listen.
    #[error("cannot listen on port {} of {address}: set CHAT_PORT to another port", address.port(), address = address.ip())]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Two functions have one trigger.
    #[error("{0} and {1} have the same trigger")]
    Ambiguous(&'static str, &'static str),
    /// A function is called by the queue of deliveries, which the settings do not name.
    #[error("the queue of deliveries: {0}")]
    Queue(SettingsError),
    /// Functions of the WebSocket API are there, but not all.
    #[error("the WebSocket API has no function for {0}")]
    Incomplete(&'static str),
}

/// A gateway that serves. Dropping it ends it at once; [`Gateway::stop`] ends it in order.
pub struct Gateway {
    address: SocketAddr,
    api: Arc<Api>,
    stopping: CancellationToken,
    tasks: Tasks,
    stop_grace: Duration,
}

impl Gateway {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops every environment where it stands, busy ones in the middle of their work, as happens to Lambda's when their
    /// machine is lost. Whoever waits for one of them gets an error; sockets stay open.
    pub fn kill_environments(&self) {
        for environments in &self.api.environments {
            environments.kill();
        }
    }

    /// Closes every socket with 1001, so that its client connects again: for a registry that has forgotten them.
    pub fn close_sockets(&self) {
        if let Some(sockets) = &self.api.sockets {
            sockets.connections.close_all();
        }
    }

    /// Lets nobody new in, closes the sockets with 1001, and waits for the requests and the work after answers that are
    /// under way, at most `limits.stop_grace`. Whatever arrived is answered: with 503 where there is no other answer.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.tracker.close();
        if timeout(self.stop_grace, self.tasks.tracker.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.tracker.len(), "stopped before everything was done");
            self.tasks.killed.cancel();
            // Connections outlive what they waited for by as long as it takes to say so.
            if timeout(LAST_ANSWERS_TIME_MAX, self.tasks.tracker.wait()).await.is_err() {
                self.tasks.cut.cancel();
                self.tasks.tracker.wait().await;
            }
        }
        for environments in &self.api.environments {
            environments.clear();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.tasks.killed.cancel();
        self.tasks.cut.cancel();
    }
}

/// Everything that the gateway has under way.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    killed: CancellationToken,
    /// Ends the connections, which is later than the end of everything else.
    cut: CancellationToken,
}

impl Tasks {
    /// Spawns a task that [`Gateway::stop`] waits for, and that ends when the gateway is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.killed.clone(), task);
    }

    /// Spawns a task that serves a connection.
    fn spawn_connection(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.cut.clone(), task);
    }

    fn spawn_until(&self, end: CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(async move {
            end.run_until_cancelled(task).await;
        });
    }
}

/// Starts the gateway. It serves until it is stopped or dropped.
pub async fn serve(config: GatewayConfig) -> Result<Gateway, GatewayError> {
    let GatewayConfig {
        address,
        functions,
        settings,
        issuer,
        limits,
        site,
    } = config;
    let listener = TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => GatewayError::Taken(address),
        _ => GatewayError::Listen { address, source },
    })?;
    let address = listener
        .local_addr()
        .map_err(|source| GatewayError::Listen { address, source })?;
    let reachable = reachable(address);
    let settings = settings
        .with("LIVE_ENDPOINT", format!("http://{reachable}{LIVE_PATH}"))
        .with("LIVE_URL", format!("ws://{reachable}{LIVE_PATH}"));
    let stopping = CancellationToken::new();
    let tasks = Tasks::default();
    let mut api = Api::new(
        &functions,
        &settings,
        issuer,
        &limits,
        address.port(),
        &tasks,
        &stopping,
    )?;
    api.site = site.map(|folder| Site::new(&folder, reachable));
    let api = Arc::new(api);
    let soonest = limits.environment_idle.min(limits.environment_surplus_idle);
    tasks.spawn(reap(Arc::clone(&api), soonest, stopping.clone()));
    tasks.spawn(accept(
        listener,
        Arc::clone(&api),
        limits.clone(),
        tasks.clone(),
        stopping.clone(),
    ));
    Ok(Gateway {
        address,
        api,
        stopping,
        tasks,
        stop_grace: limits.stop_grace,
    })
}

/// Where a client on this machine finds what listens at this address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Drops environments that nobody needs any more, none of them sooner than after `soonest`.
async fn reap(api: Arc<Api>, soonest: Duration, stopping: CancellationToken) {
    let (shortest, longest) = REAP_INTERVALS;
    let mut turns = interval((soonest / 4).clamp(shortest, longest));
    while stopping.run_until_cancelled(turns.tick()).await.is_some() {
        for environments in &api.environments {
            environments.reap(Instant::now());
        }
    }
}

async fn accept(listener: TcpListener, api: Arc<Api>, limits: Limits, tasks: Tasks, stopping: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.http_connections_max));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    let builder = Arc::new(builder);
    let serve = |stream, peer, place| {
        let serving = serve_connection(
            Arc::clone(&builder),
            stream,
            peer,
            Arc::clone(&api),
            stopping.clone(),
            place,
        );
        tasks.spawn_connection(serving);
    };
    while let Some(Some((accepted, place))) = stopping
        .run_until_cancelled(async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        })
        .await
    {
        match accepted {
            Ok((stream, peer)) => serve(stream, peer, Some(place)),
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // For their clients, connections that the system has taken are open: closing the listener over them would drop
    // their requests without an answer.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..LATE_CONNECTIONS_MAX {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                    serve(stream, peer, None);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // The connection, not the listener, has failed.
            Err(_) => {}
        }
    }
}

async fn serve_connection(
    builder: Arc<auto::Builder<TokioExecutor>>,
    stream: TcpStream,
    peer: SocketAddr,
    api: Arc<Api>,
    stopping: CancellationToken,
    _place: Option<OwnedSemaphorePermit>,
) {
    // Without it answers wait for acknowledgements; where the system refuses, that is all that happens.
    let _ = stream.set_nodelay(true);
    let source_ip = peer.ip().to_canonical();
    let (head_timeout, linger) = (api.http.limits.head_timeout, api.http.limits.stop_linger);
    let spoken = AtomicBool::new(false);
    let speaks_http2 = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        spoken.store(true, Ordering::Relaxed);
        speaks_http2.store(request.version() == Version::HTTP_2, Ordering::Relaxed);
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(api.answer_in_any_case(request, source_ip).await) }
    });
    // hyper's own time limit starts once it knows the version of HTTP, which a silent client never tells.
    let silence = async {
        sleep(head_timeout).await;
        if spoken.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    };
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopping.cancelled() => {
            // HTTP/2 tells its client which requests it has taken. On HTTP/1 a request may be on its way, and whoever
            // closes now drops it; once one has come, its answer closes the connection.
            let lingered = if speaks_http2.load(Ordering::Relaxed) {
                None
            } else {
                timeout(linger, connection.as_mut()).await.ok()
            };
            if let Some(served) = lingered {
                served
            } else {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
        () = silence => Ok(()),
    };
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Everything behind the port.
struct Api {
    http: HttpApi,
    sockets: Option<Arc<SocketApi>>,
    issuer: Issuer,
    site: Option<Site>,
    /// All pools, for the reaper.
    environments: Vec<Arc<Environments>>,
    /// Set when the gateway stops.
    stopping: CancellationToken,
    /// Set when it stops waiting for what is under way.
    killed: CancellationToken,
}

impl Api {
    fn new(
        functions: &[Function],
        settings: &Settings,
        issuer: Issuer,
        limits: &Limits,
        port: u16,
        tasks: &Tasks,
        stopping: &CancellationToken,
    ) -> Result<Self, GatewayError> {
        let mut all = Vec::new();
        let mut names = HashMap::new();
        let mut routes = HashMap::new();
        let mut socket_functions = HashMap::new();
        for function in functions {
            let key = match function.trigger() {
                Trigger::Rpc { path, .. } => path,
                Trigger::SocketAuthorizer => "authorizer",
                Trigger::SocketRoute(route) => route,
                Trigger::DeliveryQueue => "queue",
                Trigger::Deployment => continue,
            };
            if let Some(other) = names.insert(key, function.name()) {
                return Err(GatewayError::Ambiguous(other, function.name()));
            }
            let environments = Environments::new(*function, settings.clone(), limits.clone(), tasks.clone());
            all.push(Arc::clone(&environments));
            match function.trigger() {
                Trigger::Rpc { path, public } => {
                    let route = Route {
                        key: format!("POST {path}"),
                        public,
                        environments,
                    };
                    routes.insert(path, route);
                }
                Trigger::DeliveryQueue => {
                    let queue = LocalQueue::new(settings).map_err(GatewayError::Queue)?;
                    let calls = queue::serve(
                        Arc::new(queue),
                        environments,
                        limits.clone(),
                        tasks.clone(),
                        stopping.clone(),
                    );
                    tasks.spawn(calls);
                }
                _ => {
                    socket_functions.insert(key, environments);
                }
            }
        }
        let sockets = if socket_functions.is_empty() {
            None
        } else {
            let mut take = |key| socket_functions.remove(key).ok_or(GatewayError::Incomplete(key));
            let [connect, default, disconnect] = SOCKET_ROUTES;
            Some(Arc::new(SocketApi {
                authorizer: take("authorizer")?,
                connect: take(connect)?,
                default: take(default)?,
                disconnect: take(disconnect)?,
                connections: Arc::new(Connections::new(settings.get("AWS_ACCESS_KEY_ID"), limits.clone())),
                limits: limits.clone(),
                places: Arc::new(Semaphore::new(limits.sockets_max)),
                tasks: tasks.clone(),
                stopping: stopping.clone(),
                port,
            }))
        };
        let authorizer = JwtAuthorizer::new(issuer.url(), issuer.audience(), issuer.jwks());
        let http = HttpApi {
            routes,
            authorizer,
            limits: limits.clone(),
            port,
        };
        Ok(Self {
            http,
            sockets,
            issuer,
            site: None,
            environments: all,
            stopping: stopping.clone(),
            killed: tasks.killed.clone(),
        })
    }

    /// Answers a request, also when the gateway stops before or meanwhile.
    async fn answer_in_any_case(&self, request: Request<Incoming>, source_ip: IpAddr) -> Answer {
        let is_http1 = request.version() < Version::HTTP_2;
        let cross_origin = cors::is_cross_origin(request.headers());
        let mut answer = if self.stopping.is_cancelled() && !may_come_late(&request) {
            let (parts, body) = request.into_parts();
            http_api::drain(&parts.headers, body).await;
            stopped(cross_origin)
        } else {
            tokio::select! {
                biased;
                () = self.killed.cancelled() => stopped(cross_origin),
                answer = self.answer(request, source_ip) => answer,
            }
        };
        if is_http1 && self.stopping.is_cancelled() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    async fn answer(&self, request: Request<Incoming>, source_ip: IpAddr) -> Answer {
        let (parts, body) = request.into_parts();
        if head_bytes(&parts) > self.http.limits.header_bytes_max {
            http_api::drain(&parts.headers, body).await;
            return reply::message(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "Request Header Fields Too Large",
            );
        }
        if Issuer::is_asked(&parts) {
            return self.issuer_answer(&parts, body).await;
        }
        let path = parts.uri.path();
        let live = self.sockets.as_ref().zip(path.strip_prefix(LIVE_PATH));
        match live {
            Some((sockets, "" | "/")) if parts.method != Method::OPTIONS => {
                let sockets = Arc::clone(sockets);
                sockets.answer(Request::from_parts(parts, body), source_ip).await
            }
            Some((sockets, rest)) if rest.starts_with(connections::PATH) => {
                let Some(id) = rest
                    .strip_prefix(connections::PATH)
                    .filter(|_| names_this_machine(&parts))
                else {
                    return foreign_host();
                };
                let id = id.to_owned();
                sockets.connections.answer(&id, Request::from_parts(parts, body)).await
            }
            _ => match &self.site {
                Some(site) if Site::is_asked(&parts) => {
                    let base = format!("http://{}", event::authority(&parts));
                    site.answer(&parts, self.issuer.url(), &base).await
                }
                _ => self.http.answer(Request::from_parts(parts, body), source_ip).await,
            },
        }
    }

    /// Answers for the token issuer.
    async fn issuer_answer(&self, parts: &request::Parts, body: Incoming) -> Answer {
        let query = parts.uri.query().unwrap_or_default();
        let is_post = parts.method == Method::POST;
        let mut answer = match parts.uri.path() {
            issuer::JWKS_PATH => self.issuer.answer_jwks(),
            issuer::CONFIGURATION_PATH => self
                .issuer
                .answer_configuration(&format!("http://{}", event::authority(parts))),
            _ if !names_this_machine(parts) => foreign_host(),
            path if is_post => match Limited::new(body, FORM_BYTES_MAX).collect().await {
                Ok(form) if path == issuer::TOKEN_PATH => self.issuer.answer_exchange(&form.to_bytes()),
                Ok(form) => self.issuer.answer_sign_in(query, &form.to_bytes()),
                Err(_) => reply::line(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long, or broke off"),
            },
            issuer::TOKEN_PATH => self.issuer.answer_token(query),
            _ => issuer::answer_sign_in_page(query),
        };
        let headers: &mut HeaderMap = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("origin"));
        // A page from elsewhere must not learn a token, which lets its bearer be anyone.
        if let Some(origin) = cors::local_origin(&parts.headers) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        answer
    }
}

/// Whether a request is answered as ever while the gateway stops: a function that still delivers learns which sockets are
/// gone, and a page gets to read the answer of the call that follows.
fn may_come_late(request: &Request<Incoming>) -> bool {
    let rest = request.uri().path().strip_prefix(LIVE_PATH).unwrap_or_default();
    *request.method() == Method::OPTIONS || rest.starts_with(connections::PATH)
}

fn stopped(cross_origin: bool) -> Answer {
    let mut answer = reply::message(
        StatusCode::SERVICE_UNAVAILABLE,
        "Service Unavailable: the local gateway is stopping",
    );
    if cross_origin {
        cors::expose(answer.headers_mut());
    }
    answer
}

/// Bytes in a request's line and headers, as AWS counts them.
fn head_bytes(parts: &request::Parts) -> usize {
    const LINE_OVERHEAD_BYTES: usize = 12;
    const HEADER_OVERHEAD_BYTES: usize = 4;
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = parts.method.as_str().len() + target + LINE_OVERHEAD_BYTES;
    parts.headers.iter().fold(line, |bytes, (name, value)| {
        bytes + name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES
    })
}

/// Whether a request was sent to this machine by an address or as `localhost`. A page can have its own name resolve to
/// a loopback address, but then the `host` header still holds that name.
fn names_this_machine(parts: &request::Parts) -> bool {
    let authority = event::authority(parts);
    is_local_host(authority) || host_of(authority).parse::<IpAddr>().is_ok()
}

/// Whether a host, with or without a port, is this machine's loopback.
pub(crate) fn is_local_host(authority: &str) -> bool {
    let host = host_of(authority);
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host without its port and brackets.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn foreign_host() -> Answer {
    reply::line(
        StatusCode::FORBIDDEN,
        "this is only for clients that call this machine by its address or as localhost",
    )
}
