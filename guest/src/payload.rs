//! A payload on its way through serde: it must be an object, and what its `type` says must
//! agree with the command. Passes everything else on untouched and uncopied.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _},
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::encode;

/// The field that may repeat the command's name in the words of its type.
pub(crate) const TYPE_FIELD: &str = "type";

type Json<'de> = serde_json::Deserializer<serde_json::de::SliceRead<'de>>;

/// The object of one command or event.
pub(crate) struct Payload<'a, 'de> {
    pub(crate) json: &'a mut Json<'de>,
    /// The verb: what `type` must say where the payload is no named struct.
    pub(crate) name: &'a str,
    pub(crate) said: &'a SaidType,
}

impl Payload<'_, '_> {
    fn check_type(&self, expected: &str) -> Result<(), serde_json::Error> {
        match &self.said.said {
            Some(said) if said != expected => {
                self.said.disagrees.set(true);
                let said = encode::json(said)?;
                Err(serde_json::Error::custom(format_args!(
                    "{} does not agree with the command, leave it out or say `{expected}`",
                    String::from_utf8_lossy(&said)
                )))
            }
            _ => Ok(()),
        }
    }
}

impl<'de> Deserializer<'de> for Payload<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.check_type(self.name)?;
        self.json.deserialize_map(Object { visitor })
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        // A struct with a field of that name has its own use for it.
        if !fields.contains(&TYPE_FIELD) {
            self.check_type(if name.is_empty() { self.name } else { name })?;
        }
        self.json.deserialize_struct(name, fields, Object { visitor })
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_map(de::IgnoredAny)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: de::Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_struct(name, &[], de::IgnoredAny)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option seq tuple tuple_struct enum identifier ignored_any
    }
}

/// Lets nothing but an object reach the author's visitor.
struct Object<V> {
    visitor: V,
}

impl<'de, V: de::Visitor<'de>> de::Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(map)
    }
}

/// What the payload's `type` says.
pub(crate) struct SaidType {
    said: Option<Value>,
    /// Set where that turned out to be wrong.
    pub(crate) disagrees: Cell<bool>,
}

impl SaidType {
    /// For payloads whose `type` is nobody's business.
    pub(crate) fn nothing() -> Self {
        Self { said: None, disagrees: Cell::new(false) }
    }

    /// Looks for `type`, which most payloads do not have: the search is all they pay.
    pub(crate) fn of(payload: &[u8]) -> Self {
        const QUOTED: &[u8] = b"\"type\"";
        if !payload.windows(QUOTED.len()).any(|window| window == QUOTED) {
            return Self::nothing();
        }
        // What is wrong with the rest of the payload is said when the rest is read.
        let said = serde_json::from_slice(payload).map_or(None, |TypeOnly { said }| said);
        Self { said, disagrees: Cell::new(false) }
    }
}

#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    said: Option<Value>,
}
