//! Asks a command enum which struct a variant holds, without any payload: deserialising says
//! the struct's serde name before it reads the first byte.

use serde::{
    Deserializer,
    de::{self, DeserializeOwned, Error as _, value::Error, value::StrDeserializer},
    forward_to_deserialize_any,
};

/// The serde name of the struct that variant `verb` of `T` holds; none for an inline variant.
pub(crate) fn struct_name<T: DeserializeOwned>(verb: &str) -> Option<&'static str> {
    let mut found = None;
    // Always an error: the probe has nothing to give.
    let _ = T::deserialize(Probe { verb, found: &mut found });
    found
}

struct Probe<'a> {
    verb: &'a str,
    found: &'a mut Option<&'static str>,
}

impl Probe<'_> {
    fn nothing<T>() -> Result<T, Error> {
        Err(Error::custom("a probe has no content"))
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Self::nothing()
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.found = Some(name);
        Self::nothing()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> de::EnumAccess<'de> for Probe<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: de::DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.verb))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Probe<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Self::nothing()
    }

    fn newtype_variant_seed<S: de::DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: de::Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Self::nothing()
    }

    fn struct_variant<V: de::Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Self::nothing()
    }
}
