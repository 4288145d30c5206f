//! A row of an answer, read by the names of the statement's declaration.

use super::statement::{Kind, Statement};
use crate::codec;
use crate::model::{Error, Failure, Id, Payload, Result, Timestamp};

/// A row as a database gave it. Each value is read when it is asked for, where it lies; null is `None`. A value of
/// another type than the column's is an error: the table is damaged, or somebody else's.
pub(in crate::backend) trait Cells: Send + Sync {
    fn id(&self, place: usize) -> Result<Option<Id>>;
    fn int(&self, place: usize) -> Result<Option<i64>>;
    fn real(&self, place: usize) -> Result<Option<f64>>;
    fn flag(&self, place: usize) -> Result<Option<bool>>;
    fn time(&self, place: usize) -> Result<Option<Timestamp>>;
    fn text(&self, place: usize) -> Result<Option<&str>>;
    fn bytes(&self, place: usize) -> Result<Option<&[u8]>>;
}

/// What a statement answered, in the columns that it declares.
pub(in crate::backend) struct Row {
    statement: &'static Statement,
    cells: Box<dyn Cells>,
}

/// Makes a reader of one kind, and one where it may be null.
macro_rules! readers {
    ($($kind:ident $(| $like:ident)*: $get:ident, $optional:ident -> $type:ty;)*) => {
        $(
            pub fn $get(&self, name: &'static str) -> Result<$type> {
                self.$optional(name)?.ok_or_else(|| is_null(name))
            }

            pub fn $optional(&self, name: &'static str) -> Result<Option<$type>> {
                let place = self.place(name, |kind| matches!(kind, Kind::$kind $(| Kind::$like)*))?;
                self.cells.$get(place).map_err(|why| why.doing(self.statement.doing))
            }
        )*
    };
}

fn is_null(name: &str) -> Error {
    Error::backend(format!("the stored column {name} is null"))
}

impl Row {
    pub fn new(statement: &'static Statement, cells: impl Cells + 'static) -> Self {
        Self { statement, cells: Box::new(cells) }
    }

    /// Where the column stands.
    fn place(&self, name: &'static str, is_of_kind: impl Fn(Kind) -> bool) -> Result<usize> {
        let columns = self.statement.columns;
        let place = columns
            .iter()
            .position(|column| column.name == name)
            .ok_or_else(|| Error::backend(format!("the column {name} is not in the statement's declaration")))?;
        let kind = columns[place].kind;
        if !is_of_kind(kind) {
            return Err(Error::backend(format!("the column {name} was asked for as another kind than {kind:?}")));
        }
        Ok(place)
    }

    readers! {
        Id: id, optional_id -> Id;
        Int: int, optional_int -> i64;
        Real: real, optional_real -> f64;
        Flag: flag, optional_flag -> bool;
        Time | Lease | Clock: time, optional_time -> Timestamp;
        Text: text, optional_text -> &str;
        Bytes: bytes, optional_bytes -> &[u8];
    }

    pub fn string(&self, name: &'static str) -> Result<String> {
        self.text(name).map(str::to_owned)
    }

    pub fn optional_string(&self, name: &'static str) -> Result<Option<String>> {
        Ok(self.optional_text(name)?.map(str::to_owned))
    }

    pub fn word<T: std::str::FromStr<Err = Error>>(&self, name: &'static str) -> Result<T> {
        self.text(name)?.parse()
    }

    pub fn payload(&self, name: &'static str) -> Result<Option<Payload>> {
        Ok(self.optional_bytes(name)?.map(|bytes| Payload::from(bytes.to_vec())))
    }

    pub fn failure(&self, name: &'static str) -> Result<Option<Failure>> {
        self.optional_bytes(name)?.map(codec::failure_from_column).transpose()
    }

    pub fn tags(&self, name: &'static str) -> Result<Vec<String>> {
        codec::tags_from_column(self.optional_text(name)?)
    }

    pub fn count<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T> {
        self.optional_count(name)?.ok_or_else(|| is_null(name))
    }

    pub fn optional_count<T: TryFrom<i64>>(&self, name: &'static str) -> Result<Option<T>> {
        let stored = self.optional_int(name)?;
        let read = |stored| {
            T::try_from(stored)
                .map_err(|_| Error::backend(format!("the stored column {name} is out of range: {stored}")))
        };
        stored.map(read).transpose()
    }
}
