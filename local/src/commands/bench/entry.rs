//! Messages of the timeline as both the bare loop and the scene keep them.

use std::time::Duration;

use chat_domain::MessageId;
use chrono::{DateTime, Utc};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime as BsonDateTime, Uuid as BsonUuid};
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::CONCURRENCY_MAX;

/// How long any database may take for one call.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A message of the timeline, as it is stored.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    #[serde(rename = "_id")]
    id: BsonUuid,
    conversation_id: BsonUuid,
    revision: i64,
    kind: String,
    seq: i64,
    sender: String,
    op: String,
    op_hash: Binary,
    text: String,
    allocated_at: BsonDateTime,
    state_revision: i64,
}

impl Entry {
    pub(super) fn message(
        conversation: Uuid,
        revision: i64,
        seq: i64,
        sender: String,
        op: String,
        text: String,
        allocated_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: message_id(conversation, seq, allocated_at),
            conversation_id: BsonUuid::from_bytes(conversation.into_bytes()),
            revision,
            kind: "message".to_owned(),
            seq,
            sender,
            op,
            op_hash: Binary {
                subtype: BinarySubtype::Generic,
                bytes: vec![0; 32],
            },
            text,
            allocated_at: BsonDateTime::from_millis(allocated_at.timestamp_millis()),
            state_revision: revision,
        }
    }
}

pub(super) fn message_id(conversation: Uuid, seq: i64, allocated_at: DateTime<Utc>) -> BsonUuid {
    let id = MessageId::at(conversation.into(), seq, allocated_at);
    BsonUuid::from_bytes(id.uuid().into_bytes())
}

/// The timeline, with the guarantees that the service asks for.
pub(super) async fn timeline(uri: &str) -> mongodb::error::Result<Collection<Entry>> {
    let mut options = ClientOptions::parse(uri).await?;
    options.max_pool_size = u32::try_from(CONCURRENCY_MAX).ok();
    let write_concern = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(CALL_TIMEOUT)
        .build();
    let collection = CollectionOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(write_concern)
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build();
    Ok(Client::with_options(options)?
        .database("chat")
        .collection_with_options("timeline", collection))
}
