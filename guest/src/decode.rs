//! From a name and payload bytes to a variant of the author's enum, and from what went wrong
//! to a field and a sentence. Knows nothing of domains; `payload.rs` looks into the object.

use serde::{
    Deserializer,
    de::{self, DeserializeOwned, value::StrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::error::Category;

use crate::{
    locate,
    payload::{Payload, SaidType},
};

/// Longest message and field path, in bytes: both may quote the payload, which is larger than
/// any answer should be.
const TEXT_BYTES_MAX: usize = 512;

/// What is wrong with a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The path of the field at fault, empty for the whole.
    pub(crate) field: String,
    /// What is wrong, one line.
    pub(crate) message: String,
}

/// Decodes a command. A `type` in the payload must be that of the command.
pub(crate) fn command<T: DeserializeOwned>(name: &str, payload: &[u8]) -> Result<T, Fault> {
    decode(name, payload, &SaidType::of(payload))
}

/// Decodes an event. What `type` says is not looked at: the log is not argued with.
pub(crate) fn event<T: DeserializeOwned>(name: &str, payload: &[u8]) -> Result<T, Fault> {
    decode(name, payload, &SaidType::nothing())
}

fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8], said: &SaidType) -> Result<T, Fault> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let payload = Payload { json: &mut json, name, said };
    T::deserialize(Variant { payload })
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| explain(bytes, said, &error))
}

/// Which field the error is about, and why.
#[cold]
fn explain(bytes: &[u8], said: &SaidType, error: &serde_json::Error) -> Fault {
    let message = sentence(error);
    if said.disagrees.get() {
        return Fault { field: "type".to_owned(), message };
    }
    let read = bytes_read(bytes, error);
    if error.classify() != Category::Data {
        if serde_json::from_slice::<serde_json::Value>(bytes).is_err() {
            return Fault { field: String::new(), message: format!("not valid JSON: {message}") };
        }
        // Where an enum is wanted, serde_json calls a number a mistake in the syntax, and its
        // position is that of the byte it looked at, not of the last it took.
        let field = one_line(locate::path_at(bytes, read.saturating_sub(1)));
        return Fault { field, message: "has a type that does not fit".to_owned() };
    }
    let mut field = locate::path_at(bytes, read);
    // serde reports what a struct lacks or has twice at the struct, not at the field.
    for lead in ["missing field `", "duplicate field `", "unknown field `"] {
        if let Some((name, _)) = message.strip_prefix(lead).and_then(|m| m.split_once('`')) {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(name);
        }
    }
    Fault { field: one_line(field), message }
}

/// The error's position, from lines and columns counted from 1 and 0; 0 where it has none.
fn bytes_read(bytes: &[u8], error: &serde_json::Error) -> usize {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    before + error.column()
}

/// The error's text without the position, which means nothing to who sent one line of JSON.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    one_line(match text.strip_suffix(&position) {
        Some(short) => short.to_owned(),
        None => text,
    })
}

fn one_line(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    text
}

/// An externally tagged enum whose tag and content arrive apart.
struct Variant<'a, 'de> {
    payload: Payload<'a, 'de>,
}

impl<'de> Deserializer<'de> for Variant<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum
        identifier ignored_any
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = serde_json::Error;
    type Variant = Self;

    fn variant_seed<S: de::DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Self::Error> {
        let variant = seed.deserialize(StrDeserializer::<Self::Error>::new(self.payload.name))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = serde_json::Error;

    fn unit_variant(self) -> Result<(), Self::Error> {
        // An object whose content does not matter, but for `type`.
        self.payload.deserialize_map(de::IgnoredAny).map(|_| ())
    }

    fn newtype_variant_seed<S: de::DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Self::Error> {
        seed.deserialize(self.payload)
    }

    fn tuple_variant<V: de::Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("a tuple variant has no field names, make it a struct variant"))
    }

    fn struct_variant<V: de::Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        // An empty name: the variant is written inline, there is no struct that has one.
        self.payload.deserialize_struct("", fields, visitor)
    }
}
