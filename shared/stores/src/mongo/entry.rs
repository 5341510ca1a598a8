//! What a place of the timeline holds.

use std::str::FromStr;

use bson::raw::{RawBinaryRef, RawBsonRef};
use bson::spec::BinarySubtype;
use bson::{DateTime as BsonDateTime, RawDocument, Uuid as BsonUuid};
use chat_domain::{ClientMessageId, ConversationId, MessageId, Role, UserId, excerpt};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{GroupAction, GroupEntry};

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
    /// A change of a group.
    Group(Box<GroupEntry>),
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

/// The message replied to: where it is, and nothing of what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplyEntry {
    /// The message.
    pub message: MessageId,
    /// Its seq.
    pub seq: i64,
}

/// The beginning of a message in its present state, for lists and quotes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PreviewEntry {
    /// Its conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// Its seq.
    pub seq: i64,
    /// Who sent it.
    pub sender: String,
    /// Its first characters, on one line.
    pub excerpt: String,
    /// When it got its place.
    pub allocated_at: DateTime<Utc>,
    /// The revision of its newest change.
    pub state_revision: i64,
}

/// What a place of the timeline is, without what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlaceEntry {
    /// The place.
    pub revision: i64,
    /// The seq of the message in it, and when it got its place; none when there is no message in it.
    pub message: Option<(i64, DateTime<Utc>)>,
}

const KIND_MESSAGE: &str = "message";
const KIND_GROUP: &str = "group";
const KIND_VOID: &str = "void";

/// An entry as MongoDB keeps it, to be written. What only messages have is absent in voids, so that the partial indexes pass
/// those over.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    #[serde(rename = "_id")]
    id: BsonUuid,
    conversation_id: BsonUuid,
    revision: i64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op_hash: Option<RawBinaryRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<ReplyFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated_at: Option<BsonDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_revision: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupFields<'a>>,
}

/// What was done to a group, by whom and to whom.
#[derive(Debug, Serialize)]
struct GroupFields<'a> {
    after_seq: i64,
    actor: &'a str,
    action: &'static str,
    users: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    updated: &'a [String],
}

#[derive(Debug, Serialize)]
struct ReplyFields {
    message_id: BsonUuid,
    seq: i64,
}

/// A stored entry that no version of this service can have written.
#[derive(Debug, thiserror::Error)]
#[error("the entry at revision {revision} has no {field} of the right form")]
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

impl<'a> From<&'a MessageEntry> for Document<'a> {
    fn from(entry: &'a MessageEntry) -> Self {
        Self {
            id: to_bson_uuid(entry.message.uuid()),
            conversation_id: to_bson_uuid(entry.conversation.uuid()),
            revision: entry.revision,
            kind: KIND_MESSAGE,
            seq: Some(entry.seq),
            sender: Some(entry.sender.as_str()),
            op: Some(entry.op.as_str()),
            op_hash: Some(RawBinaryRef {
                subtype: BinarySubtype::Generic,
                bytes: &entry.op_hash,
            }),
            text: Some(&entry.text),
            reply_to: entry.reply_to.as_ref().map(|reply| ReplyFields {
                message_id: to_bson_uuid(reply.message.uuid()),
                seq: reply.seq,
            }),
            allocated_at: Some(BsonDateTime::from_millis(entry.allocated_at.timestamp_millis())),
            state_revision: Some(entry.state_revision),
            group: None,
        }
    }
}

impl<'a> From<&'a GroupEntry> for Document<'a> {
    fn from(entry: &'a GroupEntry) -> Self {
        Self {
            allocated_at: Some(BsonDateTime::from_millis(entry.allocated_at.timestamp_millis())),
            group: Some(GroupFields {
                after_seq: entry.after_seq,
                actor: &entry.actor,
                action: entry.action.as_str(),
                users: &entry.users,
                name: &entry.name,
                role: entry.role.map(Role::as_str),
                updated: &entry.updated,
            }),
            ..Self::bare(entry.conversation, entry.revision, KIND_GROUP)
        }
    }
}

impl Document<'_> {
    /// A void at a place.
    pub(super) fn void(conversation: ConversationId, revision: i64) -> Self {
        Self::bare(conversation, revision, KIND_VOID)
    }

    fn bare(conversation: ConversationId, revision: i64, kind: &'static str) -> Self {
        Self {
            id: to_bson_uuid(MessageId::generate().uuid()),
            conversation_id: to_bson_uuid(conversation.uuid()),
            revision,
            kind,
            seq: None,
            sender: None,
            op: None,
            op_hash: None,
            text: None,
            reply_to: None,
            allocated_at: None,
            state_revision: None,
            group: None,
        }
    }
}

/// What was found of an entry as it is stored. Fields of another type count as missing, others are passed over.
///
/// Read by hand: history comes by the page, and on the way through serde BSON's own types cost more than all the rest of
/// reading it.
#[derive(Default)]
struct Found<'a> {
    id: Option<uuid::Uuid>,
    conversation: Option<uuid::Uuid>,
    revision: Option<i64>,
    kind: Option<&'a str>,
    seq: Option<i64>,
    sender: Option<&'a str>,
    op: Option<&'a str>,
    op_hash: Option<[u8; 32]>,
    text: Option<&'a str>,
    reply_to: Option<&'a RawDocument>,
    allocated_at: Option<DateTime<Utc>>,
    state_revision: Option<i64>,
    group: Option<&'a RawDocument>,
}

impl<'a> Found<'a> {
    fn read(document: &'a RawDocument) -> Result<Self, BadEntry> {
        let mut found = Self::default();
        for element in document {
            let (name, value) = element.map_err(|_| found.bad("BSON"))?;
            match name.as_str() {
                "_id" => found.id = uuid(value),
                "conversation_id" => found.conversation = uuid(value),
                "revision" => found.revision = integer(value),
                "kind" => found.kind = value.as_str(),
                "seq" => found.seq = integer(value),
                "sender" => found.sender = value.as_str(),
                "op" => found.op = value.as_str(),
                "op_hash" => found.op_hash = value.as_binary().and_then(|hash| hash.bytes.try_into().ok()),
                "text" => found.text = value.as_str(),
                "reply_to" => found.reply_to = value.as_document(),
                "allocated_at" => {
                    let millis = value.as_datetime().map(BsonDateTime::timestamp_millis);
                    found.allocated_at = millis.and_then(DateTime::from_timestamp_millis);
                }
                "state_revision" => found.state_revision = integer(value),
                "group" => found.group = value.as_document(),
                _ => {}
            }
        }
        Ok(found)
    }

    fn message(&self, conversation: ConversationId, revision: i64) -> Result<MessageEntry, BadEntry> {
        Ok(MessageEntry {
            message: self.id.ok_or_else(|| self.bad("_id"))?.into(),
            conversation,
            revision,
            seq: self.seq.ok_or_else(|| self.bad("seq"))?,
            sender: parse(self.sender).ok_or_else(|| self.bad("sender"))?,
            op: parse(self.op).ok_or_else(|| self.bad("op"))?,
            op_hash: self.op_hash.ok_or_else(|| self.bad("op_hash"))?,
            text: self.text.ok_or_else(|| self.bad("text"))?.to_owned(),
            reply_to: match self.reply_to {
                Some(reply) => Some(read_reply(reply).ok_or_else(|| self.bad("reply_to"))?),
                None => None,
            },
            allocated_at: self.allocated_at.ok_or_else(|| self.bad("allocated_at"))?,
            state_revision: self.state_revision.ok_or_else(|| self.bad("state_revision"))?,
        })
    }

    /// A change of a group; one that a later version of this service made is unknown.
    fn group(&self, conversation: ConversationId, revision: i64) -> Result<EntryKind, BadEntry> {
        let group = self.group.ok_or_else(|| self.bad("group"))?;
        let value = |name| group.get(name).ok().flatten();
        let text = |name| value(name).and_then(RawBsonRef::as_str);
        let action = text("action").ok_or_else(|| self.bad("group.action"))?;
        let Some(action) = GroupAction::of(action) else {
            return Ok(EntryKind::Unknown);
        };
        let texts = |name| {
            let array = value(name).and_then(RawBsonRef::as_array)?;
            let texts = array.into_iter().map(|text| Some(text.ok()?.as_str()?.to_owned()));
            texts.collect::<Option<Vec<String>>>()
        };
        Ok(EntryKind::Group(Box::new(GroupEntry {
            conversation,
            revision,
            after_seq: value("after_seq")
                .and_then(integer)
                .ok_or_else(|| self.bad("group.after_seq"))?,
            actor: text("actor").ok_or_else(|| self.bad("group.actor"))?.to_owned(),
            action,
            users: texts("users").ok_or_else(|| self.bad("group.users"))?,
            name: text("name").unwrap_or_default().to_owned(),
            role: text("role").and_then(Role::of),
            updated: texts("updated").unwrap_or_default(),
            allocated_at: self.allocated_at.ok_or_else(|| self.bad("allocated_at"))?,
        })))
    }

    fn bad(&self, field: &'static str) -> BadEntry {
        BadEntry {
            revision: self.revision.unwrap_or_default(),
            field,
        }
    }
}

impl Entry {
    /// Reads a stored entry.
    pub(super) fn read(document: &RawDocument) -> Result<Self, BadEntry> {
        let found = Found::read(document)?;
        let revision = found.revision.ok_or_else(|| found.bad("revision"))?;
        let conversation = found.conversation.ok_or_else(|| found.bad("conversation_id"))?.into();
        Ok(Self {
            conversation,
            revision,
            kind: match found.kind.ok_or_else(|| found.bad("kind"))? {
                KIND_MESSAGE => EntryKind::Message(Box::new(found.message(conversation, revision)?)),
                KIND_GROUP => found.group(conversation, revision)?,
                KIND_VOID => EntryKind::Void,
                _ => EntryKind::Unknown,
            },
        })
    }
}

impl PreviewEntry {
    /// Reads the beginning of a stored message; None for what is no message.
    pub(super) fn read(document: &RawDocument) -> Result<Option<Self>, BadEntry> {
        let found = Found::read(document)?;
        if found.kind != Some(KIND_MESSAGE) {
            return Ok(None);
        }
        Ok(Some(Self {
            conversation: found.conversation.ok_or_else(|| found.bad("conversation_id"))?.into(),
            message: found.id.ok_or_else(|| found.bad("_id"))?.into(),
            seq: found.seq.ok_or_else(|| found.bad("seq"))?,
            sender: found.sender.ok_or_else(|| found.bad("sender"))?.to_owned(),
            excerpt: excerpt(found.text.ok_or_else(|| found.bad("text"))?),
            allocated_at: found.allocated_at.ok_or_else(|| found.bad("allocated_at"))?,
            state_revision: found.state_revision.ok_or_else(|| found.bad("state_revision"))?,
        }))
    }
}

impl PlaceEntry {
    /// Reads what a stored entry is.
    pub(super) fn read(document: &RawDocument) -> Result<Self, BadEntry> {
        let found = Found::read(document)?;
        Ok(Self {
            revision: found.revision.ok_or_else(|| found.bad("revision"))?,
            message: found.seq.zip(found.allocated_at),
        })
    }
}

/// Reads whose message a stored entry is, and its seq.
pub(super) fn read_seq(document: &RawDocument) -> Result<(ConversationId, i64), BadEntry> {
    let found = Found::read(document)?;
    let conversation = found.conversation.ok_or_else(|| found.bad("conversation_id"))?;
    Ok((conversation.into(), found.seq.ok_or_else(|| found.bad("seq"))?))
}

fn read_reply(reply: &RawDocument) -> Option<ReplyEntry> {
    let value = |name| reply.get(name).ok().flatten();
    Some(ReplyEntry {
        message: uuid(value("message_id")?)?.into(),
        seq: integer(value("seq")?)?,
    })
}

fn uuid(value: RawBsonRef<'_>) -> Option<uuid::Uuid> {
    let binary = value
        .as_binary()
        .filter(|binary| binary.subtype == BinarySubtype::Uuid)?;
    uuid::Uuid::from_slice(binary.bytes).ok()
}

/// A whole number, in whichever width it was written.
fn integer(value: RawBsonRef<'_>) -> Option<i64> {
    value.as_i64().or_else(|| value.as_i32().map(i64::from))
}

fn parse<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bson::{Bson, RawDocumentBuf, doc};

    use super::*;

    fn message() -> MessageEntry {
        MessageEntry {
            message: MessageId::generate(),
            conversation: ConversationId::generate(),
            revision: 7,
            seq: 6,
            sender: "alice".parse().unwrap(),
            op: "op-1".parse().unwrap(),
            op_hash: [9; 32],
            text: "hello".to_owned(),
            reply_to: Some(ReplyEntry {
                message: MessageId::generate(),
                seq: 5,
            }),
            allocated_at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
            state_revision: 8,
        }
    }

    /// As it is stored, with other fields.
    fn stored(document: &Document<'_>, fields: bson::Document) -> RawDocumentBuf {
        let mut stored = bson::serialize_to_document(document).unwrap();
        for (name, value) in fields {
            match value {
                Bson::Null => drop(stored.remove(name)),
                value => drop(stored.insert(name, value)),
            }
        }
        RawDocumentBuf::try_from(&stored).unwrap()
    }

    #[test]
    fn a_message_comes_back_as_it_was_written() {
        let mut message = message();
        for _ in 0..2 {
            let entry = Entry::read(&stored(&Document::from(&message), doc! {})).unwrap();
            assert_eq!((entry.conversation, entry.revision), (message.conversation, 7));
            assert_eq!(entry.kind, EntryKind::Message(Box::new(message.clone())));
            message.reply_to = None;
        }
    }

    fn change() -> GroupEntry {
        GroupEntry {
            conversation: ConversationId::generate(),
            revision: 4,
            after_seq: 3,
            actor: "alice".to_owned(),
            action: GroupAction::RoleChanged,
            users: vec!["bob".to_owned()],
            name: String::new(),
            role: Some(Role::Admin),
            updated: Vec::new(),
            allocated_at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
        }
    }

    #[test]
    fn a_change_of_a_group_comes_back_as_it_was_written() {
        let mut change = change();
        for _ in 0..2 {
            let entry = Entry::read(&stored(&Document::from(&change), doc! {})).unwrap();
            assert_eq!((entry.conversation, entry.revision), (change.conversation, 4));
            assert_eq!(entry.kind, EntryKind::Group(Box::new(change.clone())));
            change = GroupEntry {
                action: GroupAction::Renamed,
                users: Vec::new(),
                name: "Trains".to_owned(),
                updated: vec!["name".to_owned(), "settings.shows_history".to_owned()],
                role: None,
                ..change
            };
        }
    }

    #[test]
    fn a_change_of_a_group_of_a_later_version_is_passed_over_and_a_broken_one_named() {
        let change = change();
        let document = Document::from(&change);
        let later = stored(&document, doc! { "group": { "action": "merged" } });
        assert_eq!(Entry::read(&later).unwrap().kind, EntryKind::Unknown);
        for (fields, field) in [
            (doc! { "group": Bson::Null }, "group"),
            (doc! { "group": { "action": 1 } }, "group.action"),
            (
                doc! { "group": { "action": "renamed", "users": [1], "after_seq": 1_i64, "actor": "a" } },
                "group.users",
            ),
            (
                doc! { "group": { "action": "renamed", "users": [], "actor": "a" } },
                "group.after_seq",
            ),
            (
                doc! { "group": { "action": "renamed", "users": [], "after_seq": 1_i64 } },
                "group.actor",
            ),
        ] {
            assert_eq!(Entry::read(&stored(&document, fields)).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_void_is_a_place_and_nothing_else() {
        let conversation = ConversationId::generate();
        let stored = stored(&Document::void(conversation, 3), doc! {});
        assert_eq!(stored.iter().count(), 4);
        let void = Entry {
            conversation,
            revision: 3,
            kind: EntryKind::Void,
        };
        assert_eq!(Entry::read(&stored).unwrap(), void);
    }

    #[test]
    fn what_a_later_version_wrote_is_passed_over() {
        let message = message();
        let document = Document::from(&message);
        let changed = stored(&document, doc! { "kind": "reaction", "text": Bson::Null });
        assert_eq!(Entry::read(&changed).unwrap().kind, EntryKind::Unknown);
        let more = stored(&document, doc! { "edited": true, "seq": 6_i32 });
        assert_eq!(Entry::read(&more).unwrap().kind, EntryKind::Message(Box::new(message)));
    }

    #[test]
    fn a_missing_or_odd_field_is_named() {
        let message = message();
        let document = Document::from(&message);
        for (fields, field) in [
            (doc! { "text": Bson::Null }, "text"),
            (doc! { "text": 1 }, "text"),
            (doc! { "sender": "no one" }, "sender"),
            (doc! { "op_hash": "x" }, "op_hash"),
            (doc! { "reply_to": { "seq": 1_i64 } }, "reply_to"),
            (doc! { "conversation_id": "x" }, "conversation_id"),
        ] {
            let error = Entry::read(&stored(&document, fields)).unwrap_err();
            assert_eq!((error.revision, error.field), (7, field));
        }
    }
}
