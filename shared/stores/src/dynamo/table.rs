//! The registry's table: how it is called, and how it is made where no template makes it.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, KeysAndAttributes, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use chat_operation::{FromSettings, Grant, Settings, SettingsError};

use super::item::{Map, TTL, USER_ID};
use crate::aws::{Aws, Patience, store_error};
use crate::{StoreError, StoreErrorKind};

/// The store's name in errors.
pub(super) const STORE: &str = "the registry of connections (DynamoDB)";

/// What waits for the registry are clients that connect and environments that have answered and deliver: neither is to
/// wait for long when it hangs, and each can do without it. One slow attempt is worth a second one.
const PATIENCE: Patience = Patience {
    connect: Duration::from_millis(800),
    attempt: Duration::from_secs(1),
    operation: Duration::from_millis(1_500),
    attempts: 3,
};

/// The table is made while the local stack starts, on a machine that may be busy with that.
const MAKING_PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(10),
    operation: Duration::from_secs(30),
    attempts: 3,
};

/// How often, and how far apart, a new table is asked whether it can be used.
const TABLE_POLLS_MAX: usize = 300;
const TABLE_POLL_WAIT: Duration = Duration::from_millis(100);

/// The table `LIVE_TABLE`, called with [`Aws::new`]'s settings, at `AWS_ENDPOINT_URL` if that is set. Only what is granted
/// is handed out of here: each kind of call is a type of its own.
#[derive(Debug)]
struct Table {
    name: String,
    aws: Aws,
    endpoint: Option<String>,
    client: OnceLock<Client>,
}

impl Table {
    fn new(settings: &Settings, grants: &[Grant]) -> Result<Self, SettingsError> {
        const NAME: &str = "LIVE_TABLE";
        const EXPECTED: &str = "the name of the DynamoDB table of connections";
        Ok(Self {
            name: settings.require_granted(NAME, EXPECTED, grants)?.to_owned(),
            aws: Aws::new(settings)?,
            endpoint: settings.get("AWS_ENDPOINT_URL").map(str::to_owned),
            client: OnceLock::new(),
        })
    }

    fn client(&self) -> &Client {
        self.client
            .get_or_init(|| Client::new(&self.aws.sdk_config(self.endpoint.as_deref(), PATIENCE)))
    }
}

/// Writes of one item.
#[derive(Debug)]
pub(super) struct Writes(Table);

impl FromSettings for Writes {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Table::new(settings, &[Grant::of("dynamodb:UpdateItem")]).map(Self)
    }
}

impl Writes {
    pub(super) fn update_item(&self) -> UpdateItemFluentBuilder {
        self.0.client().update_item().table_name(&self.0.name)
    }
}

/// Reads of many items at once.
#[derive(Debug)]
pub(super) struct BatchReads(Table);

impl FromSettings for BatchReads {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Table::new(settings, &[Grant::of("dynamodb:BatchGetItem")]).map(Self)
    }
}

impl BatchReads {
    /// The items that were read, and what was left for another read.
    pub(super) async fn batch_get_item(
        &self,
        request: KeysAndAttributes,
    ) -> Result<(Vec<Map>, Option<KeysAndAttributes>), SdkError<BatchGetItemError, HttpResponse>> {
        let Table { name, .. } = &self.0;
        let answer = self
            .0
            .client()
            .batch_get_item()
            .request_items(name, request)
            .send()
            .await?;
        let items = answer.responses.and_then(|mut tables| tables.remove(name));
        let left = answer.unprocessed_keys.and_then(|mut tables| tables.remove(name));
        Ok((items.unwrap_or_default(), left))
    }
}

/// The registry's table for the local stack and for tests, which make it. A deployment makes its own by its template, in
/// the same shape, and no function may: this is made of settings by hand, and of nothing that a function is made of.
#[derive(Debug)]
pub struct RegistryTable(Table);

impl RegistryTable {
    /// The table that the settings name.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Table::new(settings, &[]).map(Self)
    }

    /// A client for making the table, for which nobody waits who could come back.
    fn maker(&self) -> Client {
        Client::new(&self.0.aws.sdk_config(self.0.endpoint.as_deref(), MAKING_PATIENCE))
    }

    /// Makes the table, if it is not there, and waits until it can be used. For the local stack and for tests; a
    /// deployment makes its own by its template, in the same shape.
    pub async fn create(&self) -> Result<(), StoreError> {
        const ACTION: &str = "create its table";
        let corrupt = |error| StoreError::new(StoreErrorKind::Corrupt, STORE, ACTION, error);
        let attribute = AttributeDefinition::builder()
            .attribute_name(USER_ID)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .map_err(corrupt)?;
        let key = KeySchemaElement::builder()
            .attribute_name(USER_ID)
            .key_type(KeyType::Hash)
            .build()
            .map_err(corrupt)?;
        let client = self.maker();
        let created = client
            .create_table()
            .table_name(&self.0.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute)
            .key_schema(key)
            .send()
            .await;
        if let Err(error) = created
            && !error
                .as_service_error()
                .is_some_and(CreateTableError::is_resource_in_use_exception)
        {
            return Err(store_error(STORE, ACTION, error));
        }
        self.wait_until_active(&client, ACTION).await?;
        self.expire_items(&client, ACTION).await
    }

    async fn wait_until_active(&self, client: &Client, action: &'static str) -> Result<(), StoreError> {
        for _ in 0..TABLE_POLLS_MAX {
            let answer = client.describe_table().table_name(&self.0.name).send().await;
            match answer {
                Ok(answer) => {
                    if answer.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                        return Ok(());
                    }
                }
                // Right after its creation, a table may not be found yet.
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(DescribeTableError::is_resource_not_found_exception) => {}
                Err(error) => return Err(store_error(STORE, action, error)),
            }
            tokio::time::sleep(TABLE_POLL_WAIT).await;
        }
        let problem = format!("table {} did not become active", self.0.name);
        Err(StoreError::new(StoreErrorKind::Timeout, STORE, action, problem))
    }

    async fn expire_items(&self, client: &Client, action: &'static str) -> Result<(), StoreError> {
        let present = client
            .describe_time_to_live()
            .table_name(&self.0.name)
            .send()
            .await
            .map_err(|error| store_error(STORE, action, error))?;
        let status = present.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(TTL)
            .enabled(true)
            .build()
            .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, STORE, action, error))?;
        client
            .update_time_to_live()
            .table_name(&self.0.name)
            .time_to_live_specification(specification)
            .send()
            .await
            .map_err(|error| store_error(STORE, action, error))?;
        Ok(())
    }
}
