//! Reads protobuf's JSON mapping, for every door that takes JSON.
//!
//! What the mapping allows is taken: names in camel case or as in the contract, `null` for what is not set, integers as
//! numbers or strings and with an exponent, enums by name or number. What it does not allow is refused with the path of the
//! field. Fields that the contract does not know are passed over, as they are in the binary form; names of enums are not,
//! since who mistypes one should hear of it.
//!
//! JSON is turned into the message's binary form by the tables of [`Schema`], which are generated, and that is decoded: so
//! both forms mean the same.
//!
//! Source: <https://protobuf.dev/programming-guides/json/>.

use std::borrow::Cow;
use std::fmt;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{FieldMask, Timestamp};

/// A message of the contract, as the JSON mapping sees it.
pub trait Schema: Message + Default {
    /// Its fields.
    const FIELDS: &'static [Field];
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub tag: u32,
    /// Its name in the contract.
    pub name: &'static str,
    /// Its name in JSON.
    pub json_name: &'static str,
    /// Whether it is repeated.
    pub is_list: bool,
    /// The oneof that it is of.
    pub oneof: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// Text.
    String,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// An enum, with the number of each of its names.
    Enum(fn(&str) -> Option<i32>),
    /// A message, with its fields.
    Message(fn() -> &'static [Field]),
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Duration`.
    Duration,
    /// `google.protobuf.FieldMask`.
    FieldMask,
}

/// Why a text is not the JSON of a message.
pub type DecodeError = serde_json::Error;

/// Reads a message from JSON.
pub fn decode<M: Schema>(json: &[u8]) -> Result<M, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let object = Object {
        fields: M::FIELDS,
        path: Path::Root,
    };
    let bytes = object.deserialize(&mut deserializer)?;
    deserializer.end()?;
    M::decode(bytes.as_slice()).map_err(DecodeError::custom)
}

/// Where in a message something stands.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => formatter.write_str("the message"),
            Path::Field(Path::Root, name) => formatter.write_str(name),
            Path::Field(parent, name) => write!(formatter, "{parent}.{name}"),
            Path::Item(parent, position) => write!(formatter, "{parent}[{position}]"),
        }
    }
}

/// Reads an object into the binary form of a message.
#[derive(Clone, Copy)]
struct Object<'a> {
    fields: &'static [Field],
    path: Path<'a>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object for {}", self.path)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        // The numbers of the fields that were named, and the oneofs of which a field was set.
        let (mut named, mut set): (Vec<u32>, Vec<(&str, &str)>) = (Vec::new(), Vec::new());
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let is_named = |field: &&Field| field.json_name == key || field.name == key;
            let Some(field) = self.fields.iter().find(is_named) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let path = Path::Field(&self.path, field.name);
            if named.contains(&field.tag) {
                return Err(A::Error::custom(format_args!("{path} stands there twice")));
            }
            named.push(field.tag);
            let value = Value {
                field,
                path,
                is_single: !field.is_list,
                bytes: &mut bytes,
            };
            let is_set = map.next_value_seed(value)?;
            if let (true, Some(oneof)) = (is_set, field.oneof) {
                if let Some((_, other)) = set.iter().find(|(taken, _)| *taken == oneof) {
                    return Err(A::Error::custom(format_args!("{path} cannot be set beside {other}")));
                }
                set.push((oneof, field.name));
            }
        }
        Ok(bytes)
    }
}

/// Reads a field's value and appends it in its binary form. Answers whether the field was set: `null` leaves it as it is.
struct Value<'a> {
    field: &'static Field,
    path: Path<'a>,
    /// Whether it is one value: of a field that is not repeated, or one in the list of one that is.
    is_single: bool,
    bytes: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Value<'_> {
    fn wrong<E: Error>(&self, value: impl fmt::Display) -> E {
        E::custom(format_args!("{} is {value}; it must be {self}", self.path))
    }

    fn put_varint(self, value: u64) -> bool {
        encode_key(self.field.tag, WireType::Varint, self.bytes);
        encode_varint(value, self.bytes);
        true
    }

    fn put_bytes(self, value: &[u8]) -> bool {
        encode_key(self.field.tag, WireType::LengthDelimited, self.bytes);
        encode_varint(value.len() as u64, self.bytes);
        self.bytes.extend_from_slice(value);
        true
    }

    fn put_integer<E: Error>(self, value: i128) -> Result<bool, E> {
        let in_range = match self.field.kind {
            Kind::Int32 | Kind::Enum(_) if self.is_single => i32::try_from(value).ok().map(i64::from),
            Kind::Int64 if self.is_single => i64::try_from(value).ok(),
            _ => None,
        };
        // Negative numbers of both sizes are sent as 64 bits.
        match in_range {
            Some(value) => Ok(self.put_varint(value.cast_unsigned())),
            None => Err(self.wrong(value)),
        }
    }
}

/// What it must be.
impl fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_single {
            return formatter.write_str("a list");
        }
        formatter.write_str(match self.field.kind {
            Kind::Bool => "true or false",
            Kind::String => "a string",
            Kind::Int32 => "an integer of 32 bits",
            Kind::Int64 => "an integer of 64 bits",
            Kind::Enum(_) => "the name or number of an enum's value",
            Kind::Message(_) => "an object",
            Kind::Timestamp => "a time such as \"2026-01-31T12:00:00Z\"",
            Kind::Duration => "a duration such as \"1.5s\"",
            Kind::FieldMask => "the names of fields, such as \"displayName,avatarUrl\"",
        })
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self} for {}", self.path)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        if self.field.is_list && self.is_single {
            return Err(self.wrong("null"));
        }
        Ok(false)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        match self.field.kind {
            Kind::Bool if self.is_single => Ok(self.put_varint(value.into())),
            _ => Err(self.wrong(value)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.put_integer(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.put_integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        match whole(value) {
            Some(integer) => self.put_integer(integer),
            None => Err(self.wrong(value)),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        let wrong = |this: Self| Err(this.wrong(format_args!("{:?}", shortened(value))));
        if !self.is_single {
            return wrong(self);
        }
        match self.field.kind {
            Kind::String => Ok(self.put_bytes(value.as_bytes())),
            Kind::Int32 | Kind::Int64 => match integer(value) {
                Some(integer) => self.put_integer(integer),
                None => wrong(self),
            },
            Kind::Enum(number_of) => match number_of(value) {
                Some(number) => self.put_integer(number.into()),
                None => wrong(self),
            },
            Kind::Timestamp => match Timestamp::from_json(value) {
                Some(time) => Ok(self.put_bytes(&time.encode_to_vec())),
                None => wrong(self),
            },
            Kind::Duration => match duration(value) {
                Some(duration) => Ok(self.put_bytes(&duration.encode_to_vec())),
                None => wrong(self),
            },
            Kind::FieldMask => match FieldMask::from_json(value) {
                Some(mask) => Ok(self.put_bytes(&mask.encode_to_vec())),
                None => wrong(self),
            },
            Kind::Bool | Kind::Message(_) => wrong(self),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        if self.is_single {
            return Err(self.wrong("a list"));
        }
        for position in 0.. {
            let item = Value {
                field: self.field,
                path: Path::Item(&self.path, position),
                is_single: true,
                bytes: &mut *self.bytes,
            };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<bool, A::Error> {
        match self.field.kind {
            Kind::Message(fields) if self.is_single => {
                let object = Object {
                    fields: fields(),
                    path: self.path,
                };
                let bytes = object.visit_map(map)?;
                Ok(self.put_bytes(&bytes))
            }
            _ => Err(self.wrong("an object")),
        }
    }
}

/// The beginning of a text, for errors.
fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(32)).unwrap_or_default()
}

/// A number without a fraction, as far as integers go.
fn whole(number: f64) -> Option<i128> {
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is in range")]
    (number.fract() == 0.0 && number.abs() <= LIMIT).then_some(number as i128)
}

/// An integer in a string: what JSON takes for a number, as long as nothing is left of a fraction.
fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain && (digits == "0" || !digits.starts_with('0')) {
        return text.parse().ok();
    }
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    // White space is no part of a number, though it may stand around one in JSON.
    (text.trim_ascii().len() == text.len())
        .then(|| number.as_f64().and_then(whole))
        .flatten()
}

fn duration(text: &str) -> Option<pbjson_types::Duration> {
    let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    serde::Deserialize::deserialize(text).ok()
}
