//! The service's side: the functions behind the gateway, called over HTTP by the client.

use std::time::{Duration, Instant};

use chat_client::{ChatClient, Retries, TokenSource};
use chat_contract::v1::list_messages_request::Position;
use chat_contract::v1::{
    ConversationCursor, FeedCursor, ListConversationsRequest, ListMessagesRequest, SendMessageRequest,
    SendMessageResponse, SyncConversationsRequest,
};
use chat_domain::{ConversationId, UserId};
use chat_message::SendMessage;
use chat_operation::{Answer, CallContext, Failure, FromSettings, Operation};
use chat_operation::{Settings, SettingsError};
use chat_runtime::Function;
use chat_stores::postgres::Postgres;

use super::bare::{PAGE, before, demand};
use super::function::FunctionCaller;
use super::measure::Caller;
use super::scene::{LISTED, LISTED_OF_MANY, MANY, Part, TEXT};
use super::{BenchError, CommandError, Subject};
use crate::commands::service::{self, AUDIENCE};
use crate::commands::settings::settings;
use crate::gateway::{Gateway, GatewayConfig, Issuer, Limits, TOKEN_TTL_DEFAULT, serve};
use crate::stack::{Progress, Stack};

/// Whose tokens count. Nobody resolves it.
const ISSUER: &str = "http://issuer.localhost";
/// What the budgets of users are multiplied by, so that they end nothing here. Keeping them costs the same.
const USER_BUDGET_FACTOR: &str = "1000";

/// The service, twice: as it is, and with sends that are not delivered.
pub(super) struct Service {
    gateway: Gateway,
    undelivered: Gateway,
    issuer: Issuer,
    settings: Settings,
    client: ChatClient,
    undelivered_client: ChatClient,
}

impl Service {
    pub(super) async fn start(stack: &Stack, progress: &Progress) -> Result<Self, CommandError> {
        let step = progress.step("Service");
        step.say("starting");
        let functions = crate::functions();
        let settings = settings(stack.folder(), stack.endpoints())?.with("USER_BUDGET_FACTOR", USER_BUDGET_FACTOR);
        service::prepare(&functions, &settings).await.inspect_err(|_| {
            progress.line(format_args!(
                "If {} is of an earlier version, delete it: it holds nothing but data to measure with.",
                stack.folder().display()
            ));
        })?;
        let issuer = Issuer::load_or_create(&stack.folder().join("issuer.pem"), ISSUER, AUDIENCE)?;
        let start = |functions| {
            serve(GatewayConfig {
                address: service::address(0),
                functions,
                settings: settings.clone(),
                issuer: issuer.clone(),
                limits: Limits::default(),
                site: None,
            })
        };
        let gateway = start(functions).await?;
        let undelivered = start(vec![Function::operation::<SendUndelivered>()]).await?;
        let client = |gateway: &Gateway| {
            let url = format!("http://{}", gateway.address());
            // A call that has to be made again is a failure here.
            ChatClient::builder(url)
                .retries(Retries::NONE)
                .build()
                .map_err(BenchError::Client)
        };
        step.done("serving");
        Ok(Self {
            client: client(&gateway)?,
            undelivered_client: client(&undelivered)?,
            gateway,
            undelivered,
            issuer,
            settings,
        })
    }

    /// What the functions are told.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A caller with a token of its own. Those who call over HTTP share the connections of one client.
    pub(super) fn caller(&self, subject: Subject, part: Part) -> Result<Caller, CommandError> {
        let token = self.issuer.token(&part.user, TOKEN_TTL_DEFAULT)?;
        let client = match subject {
            Subject::SendFunction | Subject::ListConversationsFunction => {
                let live_endpoint = format!("http://{}/live", self.gateway.address());
                let settings = self.settings.clone().with("LIVE_ENDPOINT", live_endpoint);
                let caller = FunctionCaller::new(subject, part, &settings, &token)?;
                return Ok(Caller::Function(Box::new(caller)));
            }
            Subject::SendUndelivered => &self.undelivered_client,
            _ => &self.client,
        };
        let store = match subject {
            Subject::Heads13 | Subject::Heads200 => Some(self.store(&part.user)?),
            _ => None,
        };
        Ok(Caller::Service(Box::new(ServiceCaller {
            subject,
            part,
            client: client.with_token_source(TokenSource::fixed(token)),
            store,
        })))
    }

    /// A client of one user.
    pub(super) fn client(&self, user: &str) -> Result<ChatClient, CommandError> {
        let token = self.issuer.token(user, TOKEN_TTL_DEFAULT)?;
        Ok(self.client.with_token_source(TokenSource::fixed(token)))
    }

    /// The store of the service as it is, without the service.
    fn store(&self, user: &str) -> Result<Store, CommandError> {
        let fault = |source| CommandError::Settings {
            function: "the store",
            source,
        };
        Ok(Store {
            postgres: Postgres::from_settings(&self.settings).map_err(fault)?,
            user: user.parse().map_err(BenchError::User)?,
        })
    }

    pub(super) async fn stop(self) {
        self.gateway.stop().await;
        self.undelivered.stop().await;
    }
}

/// Makes one call after the other.
pub(super) struct ServiceCaller {
    subject: Subject,
    part: Part,
    client: ChatClient,
    store: Option<Store>,
}

struct Store {
    postgres: Postgres,
    user: UserId,
}

impl ServiceCaller {
    /// Makes one call and tells how long its answer took.
    pub(super) async fn call(&mut self) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let conversation_id = self.part.conversation.to_string();
        match self.subject {
            Subject::SendMessage | Subject::SendUndelivered => {
                self.client.send_text(&conversation_id, TEXT).await?;
            }
            Subject::ListMessages10k | Subject::ListMessages200k => {
                let request = ListMessagesRequest {
                    conversation_id,
                    page_size: i32::try_from(PAGE).unwrap_or_default(),
                    position: Some(Position::BeforeSeq(before(&self.part))),
                    restart_revision: 0,
                };
                let page = self.client.call(request).await?;
                demand(usize::try_from(PAGE).unwrap_or_default(), page.messages.len())?;
            }
            Subject::ListConversations => self.list_conversations(LISTED).await?,
            Subject::ListConversations5k => self.list_conversations(LISTED_OF_MANY).await?,
            Subject::Heartbeat13 | Subject::Heartbeat200 => {
                let answer = self.client.call(heartbeat(&self.part)).await?;
                let unchanged = answer
                    .conversations
                    .iter()
                    .filter(|sync| !sync.incomplete && !sync.reset);
                demand(self.part.named.len(), unchanged.count())?;
            }
            Subject::Heads13 | Subject::Heads200 => {
                let named: Vec<ConversationId> = self.part.named.iter().map(|id| ConversationId::from(*id)).collect();
                if let Some(Store { postgres, user }) = &self.store {
                    let state = postgres.list_for_sync(user, &named).await.map_err(BenchError::Store)?;
                    demand(named.len(), state.rows.len())?;
                }
            }
            // These are not called over HTTP, or not measured side by side.
            Subject::SendFunction
            | Subject::ListConversationsFunction
            | Subject::NewDevice
            | Subject::NewDeviceUnsealed
            | Subject::NewDeviceFeed
            | Subject::LargeGroup => {}
        }
        Ok(start.elapsed())
    }

    async fn list_conversations(&self, page: usize) -> Result<(), BenchError> {
        let request = ListConversationsRequest {
            page_size: i32::try_from(page).unwrap_or_default(),
            ..ListConversationsRequest::default()
        };
        let answer = self.client.call(request).await?;
        let shown = answer
            .conversations
            .iter()
            .filter(|listed| listed.last_message.is_some());
        demand(page, shown.count())
    }
}

/// What a client asks that knows all there is.
fn heartbeat(part: &Part) -> SyncConversationsRequest {
    let cursors = part.named.iter().map(|id| ConversationCursor {
        conversation_id: id.to_string(),
        joined_revision: 0,
        revision: part.messages,
        epoch: part.epoch,
    });
    SyncConversationsRequest {
        cursors: cursors.collect(),
        feed: Some(FeedCursor {
            epoch: part.epoch,
            revision: MANY,
            listing_through: 0,
        }),
    }
}

/// `SendMessage` that tells nobody.
#[derive(Debug)]
struct SendUndelivered(SendMessage);

impl FromSettings for SendUndelivered {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        SendMessage::from_settings(settings).map(Self)
    }
}

impl Operation for SendUndelivered {
    type Request = SendMessageRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        let answer = self.0.call(context, request).await?;
        Ok(Answer::new(answer.response))
    }
}
