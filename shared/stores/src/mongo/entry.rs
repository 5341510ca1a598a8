//! What a place of the timeline holds.

use bson::spec::BinarySubtype;
use bson::{Binary, DateTime as BsonDateTime, Uuid as BsonUuid};
use chat_domain::{ClientMessageId, ConversationId, MessageId, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One place of the timeline, as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Whose timeline.
    pub conversation: ConversationId,
    /// The place.
    pub revision: i64,
    /// What it holds.
    pub kind: EntryKind,
}

/// What a place holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A message.
    Message(Box<MessageEntry>),
    /// Nothing: its writer died, and someone closed it.
    Void,
    /// A change that a later version of this service wrote.
    Unknown,
}

/// A message. It is its own entry: its present state stands where it was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageEntry {
    /// The message.
    pub message: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its place.
    pub revision: i64,
    /// Its place among the messages, which is also the conversation's message count after it.
    pub seq: i64,
    /// Who sent it.
    pub sender: UserId,
    /// The id that the sender chose.
    pub op: ClientMessageId,
    /// A hash of its content as first sent, by which a repeat is told from another use of the id.
    pub op_hash: [u8; 32],
    /// What was said.
    pub text: String,
    /// What it replies to.
    pub reply_to: Option<ReplyEntry>,
    /// When it got its place. Whole milliseconds.
    pub allocated_at: DateTime<Utc>,
    /// The revision of its newest change.
    pub state_revision: i64,
}

/// The message replied to, as it was then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplyEntry {
    /// The message.
    pub message: MessageId,
    /// Its seq.
    pub seq: i64,
    /// Who sent it.
    pub sender: UserId,
    /// Its first characters.
    pub excerpt: String,
}

pub(super) const KIND_MESSAGE: &str = "message";
pub(super) const KIND_VOID: &str = "void";

/// An entry as MongoDB keeps it. What only messages have is absent in voids, so that the partial indexes pass those over.
///
/// One flat struct of options, since serde buffers what it flattens and history is read by the page.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Document {
    #[serde(rename = "_id")]
    pub(super) id: BsonUuid,
    pub(super) conversation_id: BsonUuid,
    pub(super) revision: i64,
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op_hash: Option<Binary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<ReplyFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated_at: Option<BsonDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_revision: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
struct ReplyFields {
    message_id: BsonUuid,
    seq: i64,
    sender: String,
    excerpt: String,
}

/// A stored entry that no version of this service can have written.
#[derive(Debug, thiserror::Error)]
#[error("the entry at revision {revision} has a field of the wrong form: {field}")]
pub(super) struct BadEntry {
    revision: i64,
    field: &'static str,
}

pub(super) fn to_bson_uuid(uuid: uuid::Uuid) -> BsonUuid {
    BsonUuid::from_bytes(uuid.into_bytes())
}

pub(super) fn from_bson_uuid(uuid: BsonUuid) -> uuid::Uuid {
    uuid::Uuid::from_bytes(uuid.bytes())
}

impl From<&MessageEntry> for Document {
    fn from(entry: &MessageEntry) -> Self {
        Self {
            id: to_bson_uuid(entry.message.uuid()),
            conversation_id: to_bson_uuid(entry.conversation.uuid()),
            revision: entry.revision,
            kind: KIND_MESSAGE.to_owned(),
            seq: Some(entry.seq),
            sender: Some(entry.sender.to_string()),
            op: Some(entry.op.to_string()),
            op_hash: Some(Binary {
                subtype: BinarySubtype::Generic,
                bytes: entry.op_hash.to_vec(),
            }),
            text: Some(entry.text.clone()),
            reply_to: entry.reply_to.as_ref().map(|reply| ReplyFields {
                message_id: to_bson_uuid(reply.message.uuid()),
                seq: reply.seq,
                sender: reply.sender.to_string(),
                excerpt: reply.excerpt.clone(),
            }),
            allocated_at: Some(BsonDateTime::from_millis(entry.allocated_at.timestamp_millis())),
            state_revision: Some(entry.state_revision),
        }
    }
}

impl Document {
    /// A void at a place.
    pub(super) fn void(conversation: ConversationId, revision: i64) -> Self {
        Self {
            id: to_bson_uuid(MessageId::generate().uuid()),
            conversation_id: to_bson_uuid(conversation.uuid()),
            revision,
            kind: KIND_VOID.to_owned(),
            ..Self::default()
        }
    }

    fn into_message(self) -> Result<MessageEntry, BadEntry> {
        let revision = self.revision;
        let bad = |field| BadEntry { revision, field };
        let reply_to = match self.reply_to {
            Some(reply) => Some(ReplyEntry {
                message: from_bson_uuid(reply.message_id).into(),
                seq: reply.seq,
                sender: reply.sender.parse().map_err(|_| bad("reply_to"))?,
                excerpt: reply.excerpt,
            }),
            None => None,
        };
        Ok(MessageEntry {
            message: from_bson_uuid(self.id).into(),
            conversation: from_bson_uuid(self.conversation_id).into(),
            revision,
            seq: self.seq.ok_or_else(|| bad("seq"))?,
            sender: self
                .sender
                .and_then(|sender| sender.parse().ok())
                .ok_or_else(|| bad("sender"))?,
            op: self.op.and_then(|op| op.parse().ok()).ok_or_else(|| bad("op"))?,
            op_hash: self
                .op_hash
                .and_then(|hash| hash.bytes.try_into().ok())
                .ok_or_else(|| bad("op_hash"))?,
            text: self.text.ok_or_else(|| bad("text"))?,
            reply_to,
            allocated_at: self
                .allocated_at
                .and_then(|time| DateTime::<Utc>::from_timestamp_millis(time.timestamp_millis()))
                .ok_or_else(|| bad("allocated_at"))?,
            state_revision: self.state_revision.ok_or_else(|| bad("state_revision"))?,
        })
    }
}

impl TryFrom<Document> for Entry {
    type Error = BadEntry;

    fn try_from(document: Document) -> Result<Self, BadEntry> {
        Ok(Self {
            conversation: from_bson_uuid(document.conversation_id).into(),
            revision: document.revision,
            kind: match document.kind.as_str() {
                KIND_MESSAGE => EntryKind::Message(Box::new(document.into_message()?)),
                KIND_VOID => EntryKind::Void,
                _ => EntryKind::Unknown,
            },
        })
    }
}
