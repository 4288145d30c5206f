//! Reads JSON strictly into records. serde_json's own reader would accept arrays for objects, and its errors don't say
//! where in the text a value is, nor list the known keys in a form that programs can use; this one does.
//!
//! Each value is a slice of the caller's text, and is scanned again when it is read. Records are flat, so each field is
//! scanned twice, and payloads are never parsed.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;

use super::fault::{Fault, not_json};
use crate::model::Result;

type Read<T> = std::result::Result<T, Fault>;

/// One JSON value, as text without white space around it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de>(&'de str);

impl<'de> Reader<'de> {
    /// `text` must be one JSON value; `what` is it, for messages.
    pub(super) fn new(what: &str, text: &'de str) -> Result<Self> {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => Ok(Self(raw.get())),
            Err(why) => Err(not_json(what, text, &why)),
        }
    }

    /// As [`Reader::new`]; no text is an empty object, and what is no object is an error.
    pub(super) fn object(what: &str, text: Option<&'de str>) -> Result<Self> {
        let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("{}");
        let reader = Self::new(what, text)?;
        match reader.first() {
            b'{' => Ok(reader),
            _ => Err(Fault::wrong(reader.unexpected(), "an object").near(reader.0).into_error(what, text)),
        }
    }

    pub(super) const fn text(self) -> &'de str {
        self.0
    }

    pub(super) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(super) fn read<T: Deserialize<'de>>(self) -> Read<T> {
        T::deserialize(self)
    }

    /// The first byte tells the type of any JSON value.
    fn first(self) -> u8 {
        self.0.as_bytes().first().copied().unwrap_or(b'n')
    }

    fn kind(self) -> Kind {
        match self.first() {
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Bool,
            b'"' => Kind::String,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            _ => Kind::Number,
        }
    }

    fn string(self) -> Read<Cow<'de, str>> {
        let inner = self.0.get(1..self.0.len() - 1).unwrap_or_default();
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        // The text is JSON already; what can still be wrong is half of a surrogate pair.
        serde_json::from_str::<String>(self.0)
            .map(Cow::Owned)
            .map_err(|_| Fault::wrong(Unexpected::Other("a string with half of a surrogate pair"), "Unicode"))
    }

    /// What stands here, in serde's words.
    pub(super) fn unexpected(self) -> Unexpected<'de> {
        match self.kind() {
            Kind::Null => Unexpected::Unit,
            Kind::Bool => Unexpected::Bool(self.first() == b't'),
            Kind::String => Unexpected::Str(self.0.get(1..self.0.len() - 1).unwrap_or_default()),
            Kind::Array => Unexpected::Seq,
            Kind::Object => Unexpected::Map,
            Kind::Number => match self.number() {
                Some(Number::Natural(number)) => Unexpected::Unsigned(number),
                Some(Number::Integer(number)) => Unexpected::Signed(number),
                Some(Number::Real(number)) => Unexpected::Float(number),
                None => Unexpected::Other(self.0),
            },
        }
    }

    fn wrong<T>(self, expected: &str) -> Read<T> {
        Err(Fault::wrong(self.unexpected(), expected))
    }

    /// The members of an object in their order, duplicates included.
    pub(super) fn members(self) -> Read<Vec<Member<'de>>> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        if self.first() != b'{' {
            return self.wrong("an object");
        }
        let raw = serde_json::Deserializer::from_str(self.0).deserialize_map(Pairs).map_err(de::Error::custom)?;
        raw.into_iter()
            .map(|(key, value)| {
                let key_text = Self(key.get());
                let key = key_text.string().map_err(|fault| fault.near(key_text.0))?;
                Ok(Member { key, key_text: key_text.0, value: Self(value.get()) })
            })
            .collect()
    }

    /// The member of an object that has one: its key says what the value is.
    fn one_member(self) -> Read<Member<'de>> {
        let mut members = self.members()?;
        match members.len() {
            1 => Ok(members.remove(0)),
            _ => self.wrong("an object with one member"),
        }
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> Read<Vec<Self>> {
        if self.first() != b'[' {
            return self.wrong("an array");
        }
        let raw: Vec<&RawValue> = serde_json::from_str(self.0).map_err(de::Error::custom)?;
        Ok(raw.into_iter().map(|value| Self(value.get())).collect())
    }

    /// What stands here is not what `visitor` takes.
    #[cold]
    fn mismatch<T>(self, expected: &dyn de::Expected) -> Read<T> {
        Err(<Fault as de::Error>::invalid_type(self.unexpected(), expected).near(self.0))
    }

    fn number(self) -> Option<Number> {
        if let Ok(number) = self.0.parse() {
            return Some(Number::Natural(number));
        }
        if let Ok(number) = self.0.parse() {
            return Some(Number::Integer(number));
        }
        self.0.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Real)
    }

    fn visit_number<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.number() {
            Some(Number::Natural(number)) => visitor.visit_u64(number),
            Some(Number::Integer(number)) => visitor.visit_i64(number),
            Some(Number::Real(number)) => visitor.visit_f64(number),
            None => self.wrong("a number of 64 bits"),
        }
    }

    fn visit_bool<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_bool(self.first() == b't')
    }

    fn visit_string<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn visit_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_seq(Elements { rest: self.elements()?.into_iter(), next: 0 })
    }

    fn visit_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_map(Members { rest: self.members()?.into_iter(), value: None })
    }

    fn visit<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool => self.visit_bool(visitor),
            Kind::Number => self.visit_number(visitor),
            Kind::String => self.visit_string(visitor),
            Kind::Array => self.visit_seq(visitor),
            Kind::Object => self.visit_map(visitor),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

enum Number {
    Natural(u64),
    Integer(i64),
    Real(f64),
}

/// A key and its value.
pub(super) struct Member<'de> {
    pub(super) key: Cow<'de, str>,
    /// The key as it is written, for its place.
    pub(super) key_text: &'de str,
    pub(super) value: Reader<'de>,
}

/// Readers that are asked for one kind: a record has many, and each would carry the code for all kinds.
macro_rules! read_of_one_kind {
    ($($kind:ident $visit:ident: $($name:ident)+;)+) => {$($(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            if self.kind() == Kind::$kind {
                self.$visit(visitor).map_err(|fault| fault.near(self.0))
            } else {
                self.mismatch(&visitor)
            }
        }
    )+)+};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.visit(visitor).map_err(|fault| fault.near(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// The only newtype among the records is serde_json's own raw value, which only serde_json can make.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Read<V::Value> {
        serde_json::Deserializer::from_str(self.0)
            .deserialize_newtype_struct(name, visitor)
            .map_err(|why| <Fault as de::Error>::custom(why).near(self.0))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        // A derived reader would take an array too, by position.
        let read = if self.kind() == Kind::Object { self.visit_map(visitor) } else { self.wrong("an object") };
        read.map_err(|fault| fault.near(self.0))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        let read = match self.first() {
            b'"' => self.string().and_then(|word| visitor.visit_enum(StrDeserializer::new(&word))),
            b'{' => self.one_member().and_then(|member| {
                let named = Named { name: &member.key, body: member.value };
                visitor.visit_enum(named).map_err(|fault| fault.in_key(&member.key))
            }),
            _ => self.wrong("a string"),
        };
        read.map_err(|fault| fault.near(self.0))
    }

    read_of_one_kind! {
        Bool visit_bool: deserialize_bool;
        Number visit_number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
            deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64;
        String visit_string: deserialize_str deserialize_string deserialize_identifier;
        Array visit_seq: deserialize_seq;
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

struct Elements<'de> {
    rest: std::vec::IntoIter<Reader<'de>>,
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        let Some(element) = self.rest.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(element).map(Some).map_err(|fault| fault.in_element(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Members<'de> {
    rest: std::vec::IntoIter<Member<'de>>,
    value: Option<(Cow<'de, str>, Reader<'de>)>,
}

impl<'de> de::MapAccess<'de> for Members<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        let Some(member) = self.rest.next() else { return Ok(None) };
        let key =
            seed.deserialize(StrDeserializer::<Fault>::new(&member.key)).map_err(|fault| fault.near(member.key_text));
        self.value = Some((member.key, member.value));
        key.map(Some)
    }

    // A call: else each field of each record has the code of its type once more.
    #[inline(never)]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<T::Value> {
        let (key, value) =
            self.value.take().ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(value).map_err(|fault| fault.in_key(&key))
    }
}

/// An object whose shape is chosen by a name from outside: an operation and its request.
pub(super) struct Named<'n, 'de> {
    pub(super) name: &'n str,
    pub(super) body: Reader<'de>,
}

impl<'de> Deserializer<'de> for Named<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> de::EnumAccess<'de> for Named<'_, 'de> {
    type Error = Fault;
    type Variant = Reader<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Reader<'de>)> {
        let name = StrDeserializer::<Fault>::new(self.name);
        Ok((seed.deserialize(name)?, self.body))
    }
}

impl<'de> de::VariantAccess<'de> for Reader<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Read<()> {
        if self.is_null() { Ok(()) } else { self.wrong("null: the word alone says it") }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Read<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Read<V::Value> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Read<V::Value> {
        self.deserialize_struct("", fields, visitor)
    }
}
