//! The queue of deliveries (SQS): what is for more members than a call names waits there for the function that tells them.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use chat_operation::{FromSettings, Grant, Settings, SettingsError};

use crate::StoreError;
use crate::aws::{Aws, Patience, store_error};

/// The store's name in errors.
const STORE: &str = "the queue of deliveries (SQS)";

/// A message that is not taken is lost, and with it what nobody else would tell so many: so it is tried again.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(1),
    attempt: Duration::from_secs(2),
    operation: Duration::from_secs(5),
    attempts: 3,
};

/// Longer than a local API holds a call that waits for messages.
const LOCAL_PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(15),
    operation: Duration::from_secs(30),
    attempts: 2,
};

/// How long a call can wait for messages, in seconds.
const WAIT_S_MAX: i32 = 20;
/// Messages that one call takes: all that SQS gives.
const MESSAGES_MAX: i32 = 10;
/// How long a message that was taken is hidden from others, in seconds: as the template says.
const HIDDEN_S: i32 = 180;

/// The queue `DELIVERY_QUEUE_URL`, called with [`Aws::new`]'s settings, at `AWS_ENDPOINT_URL` if that is set.
#[derive(Debug)]
struct Queue {
    url: String,
    aws: Aws,
    endpoint: Option<String>,
    patience: Patience,
    client: OnceLock<Client>,
}

impl Queue {
    fn new(settings: &Settings, grants: &[Grant], patience: Patience) -> Result<Self, SettingsError> {
        const NAME: &str = "DELIVERY_QUEUE_URL";
        const EXPECTED: &str = "the URL of the SQS queue of deliveries";
        Ok(Self {
            url: settings.require_granted(NAME, EXPECTED, grants)?.to_owned(),
            aws: Aws::new(settings)?,
            endpoint: settings.get("AWS_ENDPOINT_URL").map(str::to_owned),
            patience,
            client: OnceLock::new(),
        })
    }

    fn client(&self) -> &Client {
        self.client
            .get_or_init(|| Client::new(&self.aws.sdk_config(self.endpoint.as_deref(), self.patience)))
    }
}

/// Sends to the queue.
#[derive(Debug)]
pub struct DeliveryQueue(Queue);

impl FromSettings for DeliveryQueue {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Queue::new(settings, &[Grant::of("sqs:SendMessage")], PATIENCE).map(Self)
    }
}

impl DeliveryQueue {
    /// Sends a message. It may arrive more than once, and not in order.
    pub async fn send(&self, body: String) -> Result<(), StoreError> {
        let Queue { url, .. } = &self.0;
        let sent = self.0.client().send_message().queue_url(url).message_body(body).send();
        sent.await
            .map(|_| ())
            .map_err(|error| store_error(STORE, "take a message", error))
    }
}

/// The queue for the local stack and for tests, which make it and call the function that it triggers. A deployment makes its own
/// by its template, and SQS calls the function.
#[derive(Debug)]
pub struct LocalQueue(Queue);

/// A message of the queue.
#[derive(Clone, Debug)]
pub struct QueuedMessage {
    /// Its id.
    pub id: String,
    /// By what it is removed.
    pub receipt: String,
    /// What was sent.
    pub body: String,
}

impl LocalQueue {
    /// The queue that the settings name.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Queue::new(settings, &[], LOCAL_PATIENCE).map(Self)
    }

    /// The URL of a queue of this name at a local API.
    pub fn url(endpoint: &str, name: &str) -> String {
        format!("{}/000000000000/{name}", endpoint.trim_end_matches('/'))
    }

    fn name(&self) -> &str {
        self.0.url.rsplit('/').next().unwrap_or_default()
    }

    /// Makes the queue, if it is not there.
    pub async fn create(&self) -> Result<(), StoreError> {
        let call = self.0.client().create_queue().queue_name(self.name());
        call.attributes(QueueAttributeName::VisibilityTimeout, HIDDEN_S.to_string())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| store_error(STORE, "create itself", error))
    }

    /// Removes the queue.
    pub async fn delete(&self) -> Result<(), StoreError> {
        let call = self.0.client().delete_queue().queue_url(&self.0.url).send();
        call.await
            .map(|_| ())
            .map_err(|error| store_error(STORE, "delete itself", error))
    }

    /// Takes messages; none after so many whole seconds without one. They come again unless they are removed.
    pub async fn receive(&self, wait: Duration) -> Result<Vec<QueuedMessage>, StoreError> {
        let call = self.0.client().receive_message().queue_url(&self.0.url);
        let answer = call
            .max_number_of_messages(MESSAGES_MAX)
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(WAIT_S_MAX))
            .send()
            .await
            .map_err(|error| store_error(STORE, "hand out messages", error))?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        let messages = messages.filter_map(|message| {
            Some(QueuedMessage {
                id: message.message_id?,
                receipt: message.receipt_handle?,
                body: message.body?,
            })
        });
        Ok(messages.collect())
    }

    /// Removes a message that was taken.
    pub async fn remove(&self, message: &QueuedMessage) -> Result<(), StoreError> {
        let call = self.0.client().delete_message().queue_url(&self.0.url);
        call.receipt_handle(&message.receipt)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| store_error(STORE, "remove a message", error))
    }
}
