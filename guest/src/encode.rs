//! From a variant of the author's event enum to a name and payload bytes, in one pass.

use serde::{
    Serialize, Serializer,
    ser::{self, Error as _, Impossible},
};
use serde_json::Error;

use crate::payload::TYPE_FIELD;

/// Takes an externally tagged enum apart. The payload of a variant that holds a struct begins
/// with the struct's name as `type`.
///
/// # Errors
/// What is no enum variant with an object as its content, and what has no JSON form, such as
/// a map with keys that are no strings.
pub(crate) fn event<T: Serialize>(event: &T) -> Result<(&'static str, Vec<u8>), Error> {
    let mut json = Json::new(Vec::with_capacity(JSON_BYTES_USUAL));
    let name = event.serialize(TakeApart { json: &mut json, variant: None })?;
    Ok((name, json.into_inner()))
}

/// Any value as JSON. Everything in a plugin is written by this one kind of serialiser: another,
/// such as the one behind `serde_json::to_vec` or `Display` of a `Value`, would double the code of
/// every type in the component.
///
/// # Errors
/// What has no JSON form.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut json = Json::new(Vec::with_capacity(JSON_BYTES_USUAL));
    value.serialize(&mut json)?;
    Ok(json.into_inner())
}

type Json = serde_json::Serializer<Vec<u8>>;

/// A usual event or answer fits, a larger one grows twice.
const JSON_BYTES_USUAL: usize = 256;

/// Writes a variant's content as JSON and returns the variant's name.
struct TakeApart<'a> {
    json: &'a mut Json,
    /// The variant whose content comes next; none before the enum itself was met.
    variant: Option<&'static str>,
}

impl<'a> TakeApart<'a> {
    fn content(self) -> Result<(&'a mut Json, &'static str), Error> {
        let variant = self.variant.ok_or_else(|| Error::custom(NO_ENUM))?;
        Ok((self.json, variant))
    }
}

const NO_ENUM: &str = "an event must be an enum variant that holds an object or nothing";

macro_rules! refuse {
    ($($method:ident($($of:ty),*);)*) => {
        $(fn $method(self, $(_: $of),*) -> Result<&'static str, Error> {
            Err(Error::custom(NO_ENUM))
        })*
    };
}

impl<'a> Serializer for TakeApart<'a> {
    type Ok = &'static str;
    type Error = Error;
    type SerializeSeq = Impossible<&'static str, Error>;
    type SerializeTuple = Impossible<&'static str, Error>;
    type SerializeTupleStruct = Impossible<&'static str, Error>;
    type SerializeTupleVariant = Impossible<&'static str, Error>;
    type SerializeMap = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<&'static str, Error> {
        ser::SerializeMap::end(self.json.serialize_map(Some(0))?)?;
        Ok(variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        content: &T,
    ) -> Result<&'static str, Error> {
        if self.variant.is_some() {
            return Err(Error::custom(NO_ENUM));
        }
        content.serialize(TakeApart { json: self.json, variant: Some(variant) })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'a>, Error> {
        Ok(Fields { fields: self.json.serialize_struct(variant, len)?, variant, typed: false })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<&'static str, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<&'static str, Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Err(Error::custom(NO_ENUM))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(Error::custom(NO_ENUM))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(Error::custom(NO_ENUM))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(Error::custom(NO_ENUM))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Fields<'a>, Error> {
        let (json, variant) = self.content()?;
        Ok(Fields { fields: json.serialize_map(len)?, variant, typed: false })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'a>, Error> {
        let (json, variant) = self.content()?;
        let mut fields = json.serialize_struct(name, len + 1)?;
        ser::SerializeStruct::serialize_field(&mut fields, TYPE_FIELD, name)?;
        Ok(Fields { fields, variant, typed: true })
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<&'static str, Error> {
        ser::SerializeStruct::end(self.serialize_struct(name, 0)?)
    }
}

/// The fields of an event, written as an object of their own.
struct Fields<'a> {
    fields: <&'a mut Json as Serializer>::SerializeStruct,
    variant: &'static str,
    /// `type` is written.
    typed: bool,
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = &'static str;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        if self.typed && key == TYPE_FIELD {
            return Err(Error::custom("an event's struct cannot have a field `type`, that is its name"));
        }
        ser::SerializeStruct::serialize_field(&mut self.fields, key, value)
    }

    fn end(self) -> Result<&'static str, Error> {
        ser::SerializeStruct::end(self.fields)?;
        Ok(self.variant)
    }
}

impl ser::SerializeStructVariant for Fields<'_> {
    type Ok = &'static str;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        ser::SerializeStruct::serialize_field(self, key, value)
    }

    fn end(self) -> Result<&'static str, Error> {
        ser::SerializeStruct::end(self)
    }
}

impl ser::SerializeMap for Fields<'_> {
    type Ok = &'static str;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        ser::SerializeMap::serialize_key(&mut self.fields, key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        ser::SerializeMap::serialize_value(&mut self.fields, value)
    }

    fn end(self) -> Result<&'static str, Error> {
        ser::SerializeMap::end(self.fields)?;
        Ok(self.variant)
    }
}
