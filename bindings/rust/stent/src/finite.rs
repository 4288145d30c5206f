//! Numbers that JSON has no form for are refused where they are written: `serde_json` would make null of them.

use std::fmt::Display;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// A value, all of whose numbers are finite; or it is not written.
pub(crate) struct Finite<'value, T: ?Sized>(pub &'value T);

impl<T: Serialize + ?Sized> Serialize for Finite<'_, T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Through(out))
    }
}

/// Hands everything on, and looks at the numbers.
struct Through<S>(S);

fn refused<E: Error>(number: f64) -> E {
    E::custom(format!("JSON has no {number}; send null (an Option) or a text instead"))
}

macro_rules! handed_on {
    ($($method:ident($($name:ident: $kind:ty),*) -> $result:ident;)*) => {
        $(fn $method(self, $($name: $kind),*) -> Result<S::$result, S::Error> {
            self.0.$method($($name),*)
        })*
    };
}

macro_rules! opened {
    ($($method:ident($($name:ident: $kind:ty),*) -> $result:ident;)*) => {
        $(fn $method(self, $($name: $kind),*) -> Result<Self::$result, S::Error> {
            self.0.$method($($name),*).map(Through)
        })*
    };
}

impl<S: Serializer> Serializer for Through<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Through<S::SerializeSeq>;
    type SerializeTuple = Through<S::SerializeTuple>;
    type SerializeTupleStruct = Through<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Through<S::SerializeTupleVariant>;
    type SerializeMap = Through<S::SerializeMap>;
    type SerializeStruct = Through<S::SerializeStruct>;
    type SerializeStructVariant = Through<S::SerializeStructVariant>;

    fn serialize_f32(self, number: f32) -> Result<S::Ok, S::Error> {
        if number.is_finite() { self.0.serialize_f32(number) } else { Err(refused(number.into())) }
    }

    fn serialize_f64(self, number: f64) -> Result<S::Ok, S::Error> {
        if number.is_finite() { self.0.serialize_f64(number) } else { Err(refused(number)) }
    }

    handed_on! {
        serialize_bool(value: bool) -> Ok;
        serialize_i8(value: i8) -> Ok;
        serialize_i16(value: i16) -> Ok;
        serialize_i32(value: i32) -> Ok;
        serialize_i64(value: i64) -> Ok;
        serialize_i128(value: i128) -> Ok;
        serialize_u8(value: u8) -> Ok;
        serialize_u16(value: u16) -> Ok;
        serialize_u32(value: u32) -> Ok;
        serialize_u64(value: u64) -> Ok;
        serialize_u128(value: u128) -> Ok;
        serialize_char(value: char) -> Ok;
        serialize_str(value: &str) -> Ok;
        serialize_bytes(value: &[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit() -> Ok;
        serialize_unit_struct(name: &'static str) -> Ok;
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> Ok;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Finite(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Finite(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Finite(value))
    }

    opened! {
        serialize_seq(length: Option<usize>) -> SerializeSeq;
        serialize_tuple(length: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeStructVariant;
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! compound {
    ($($kind:ident: $($method:ident($($name:ident: $type:ty)?)),*;)*) => {
        $(impl<S: $kind> $kind for Through<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($name: $type,)? value: &T) -> Result<(), S::Error> {
                self.0.$method($($name,)? &Finite(value))
            })*

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

compound! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStruct: serialize_field(key: &'static str);
    SerializeStructVariant: serialize_field(key: &'static str);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;
    use serde_json::{json, to_string};

    use super::*;

    #[derive(serde::Serialize)]
    struct Unit;

    #[derive(serde::Serialize)]
    struct New(f32);

    #[derive(serde::Serialize)]
    enum Each {
        Unit,
        New(Option<f64>),
        Tuple(i128, char),
        Struct { raw: Box<RawValue>, unit: Unit },
    }

    fn same(value: impl Serialize) {
        assert_eq!(to_string(&Finite(&value)).unwrap(), to_string(&value).unwrap());
    }

    #[test]
    fn all_else_goes_through_as_it_is() {
        let raw = RawValue::from_string("1.0000000000000000001".to_owned()).unwrap();
        same([
            Each::Unit,
            Each::New(Some(1.5)),
            Each::New(None),
            Each::Tuple(-1, 'x'),
            Each::Struct { raw, unit: Unit },
        ]);
        same((New(0.1), -0.0, u64::MAX, u128::MAX, [1i8, -1], "text", (), true));
        same(BTreeMap::from([(1, json!({"a": [null, 1e300]}))]));
        same(std::path::Path::new("/here"));
        same(std::net::Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn no_number_is_hidden_so_deep_that_it_is_not_seen() {
        let nan = f64::NAN;
        let refused =
            |said: Result<String, serde_json::Error>| assert!(said.unwrap_err().to_string().contains("JSON has no"));
        refused(to_string(&Finite(&New(f32::INFINITY))));
        refused(to_string(&Finite(&[Each::New(Some(nan))])));
        refused(to_string(&Finite(&(1, Some(vec![BTreeMap::from([("a", nan)])])))));
    }
}
