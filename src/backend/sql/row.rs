//! A row of an answer, read by the names of the statement's declaration.

use super::statement::Column;
use crate::codec;
use crate::model::{Error, Failure, Id, Payload, Result, Timestamp};

/// A value as a database gave it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::backend) enum Cell {
    Null,
    Id(Id),
    Int(i64),
    Real(f64),
    Flag(bool),
    Time(Timestamp),
    Text(String),
    Bytes(Payload),
}

/// What a statement answered, in the columns that it declares.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Row {
    columns: &'static [Column],
    cells: Vec<Cell>,
}

/// Makes a reader of one kind, and one where it may be null.
macro_rules! readers {
    ($($cell:ident: $get:ident, $optional:ident -> $type:ty = $read:expr;)*) => {
        $(
            pub fn $get(&self, name: &'static str) -> Result<$type> {
                self.$optional(name)?.ok_or_else(|| Error::backend(format!("the stored column {name} is null")))
            }

            pub fn $optional(&self, name: &'static str) -> Result<Option<$type>> {
                match self.cell(name)? {
                    Cell::Null => Ok(None),
                    Cell::$cell(value) => {
                        let read: fn(&_) -> $type = $read;
                        Ok(Some(read(value)))
                    }
                    other => Err(Error::backend(format!("the column {name} was asked for as another kind than {other:?}"))),
                }
            }
        )*
    };
}

impl Row {
    pub fn new(columns: &'static [Column], cells: Vec<Cell>) -> Self {
        Self { columns, cells }
    }

    fn cell(&self, name: &'static str) -> Result<&Cell> {
        let place = self.columns.iter().position(|column| column.name == name);
        place
            .and_then(|place| self.cells.get(place))
            .ok_or_else(|| Error::backend(format!("the column {name} is not in the statement's declaration")))
    }

    readers! {
        Id: id, optional_id -> Id = |id| *id;
        Int: int, optional_int -> i64 = |int| *int;
        Real: real, optional_real -> f64 = |real| *real;
        Flag: flag, optional_flag -> bool = |flag| *flag;
        Time: time, optional_time -> Timestamp = |time| *time;
        Text: text, optional_text -> &str = |text: &String| text.as_str();
        Bytes: bytes, optional_bytes -> &[u8] = |bytes: &Payload| bytes.as_bytes();
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
        Ok(match self.cell(name)? {
            Cell::Bytes(payload) => Some(payload.clone()),
            _ => self.optional_bytes(name)?.map(|bytes| Payload::from(bytes.to_vec())),
        })
    }

    pub fn failure(&self, name: &'static str) -> Result<Option<Failure>> {
        self.optional_bytes(name)?.map(codec::failure_from_column).transpose()
    }

    pub fn tags(&self, name: &'static str) -> Result<Vec<String>> {
        codec::tags_from_column(self.optional_text(name)?)
    }

    pub fn count<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T> {
        self.optional_count(name)?.ok_or_else(|| Error::backend(format!("the stored column {name} is null")))
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
