//! What the C API takes and returns, as tables. Options are read by these tables and described by them, so that the two
//! can't differ.

pub(super) mod engine;
pub(super) mod engine_records;
pub(super) mod library;
pub(super) mod objects;
pub(super) mod operations;
pub(super) mod records;
pub(super) mod submissions;
pub(super) mod urls;

use serde::Serialize;
use serde_json::value::RawValue;

/// What may stand in a field. The words are explained in [`library::TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Duration,
    Id,
    Time,
    /// Any JSON value.
    Any,
    Array,
    Object,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An object or record that is described by its name.
    Named(&'static str),
    ListOf(&'static Kind),
    /// Names to values.
    MapOf(&'static Kind),
}

impl Kind {
    pub(crate) fn name(self) -> String {
        match self {
            Self::String | Self::Word(_) => "string".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Id => "uuid".to_owned(),
            Self::Time => "time".to_owned(),
            Self::Any => "any".to_owned(),
            Self::Array => "array".to_owned(),
            Self::Object => "object".to_owned(),
            Self::Named(name) => name.to_owned(),
            Self::ListOf(of) => format!("{}[]", of.name()),
            Self::MapOf(of) => format!("map<{}>", of.name()),
        }
    }
}

/// A key of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    /// As JSON; `None`: it must be given.
    pub default: Option<&'static str>,
    pub doc: &'static str,
}

/// A field that must be given.
pub(crate) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, default: None, doc }
}

/// A field that may be left out: it is then as if `default` had been given.
pub(crate) const fn optional(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Field {
    Field { name, kind, default: Some(default), doc }
}

/// An object of options, or a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    pub name: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
    /// The names of the fields, for errors.
    pub keys: &'static [&'static str],
}

/// The names of these fields.
pub(crate) const fn keys<const N: usize>(fields: &[Field]) -> [&'static str; N] {
    let mut keys = [""; N];
    let mut at = 0;
    while at < N {
        keys[at] = fields[at].name;
        at += 1;
    }
    keys
}

impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            name: &'a str,
            #[serde(rename = "type")]
            kind: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            values: Option<&'static [&'static str]>,
            required: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            default: Option<&'a RawValue>,
            doc: &'a str,
        }
        let default = self.default.map(serde_json::from_str).transpose().map_err(serde::ser::Error::custom)?;
        let values = match self.kind {
            Kind::Word(words) => Some(words),
            _ => None,
        };
        View {
            name: self.name,
            kind: self.kind.name(),
            values,
            required: self.default.is_none(),
            default,
            doc: self.doc,
        }
        .serialize(serializer)
    }
}
