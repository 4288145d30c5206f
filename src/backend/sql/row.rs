//! A row of an answer, whose columns are read by their declared names.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use super::statement::{Column, Kind, Statement};
use crate::codec;
use crate::model::{Error, Failure, Id, Payload, Result, Timestamp};

/// A row as the database returned it. Values are read in place when they are asked for; null is `None`. A value of
/// another type than declared is an error: the table is damaged, or not ours.
pub(in crate::backend) trait Cells: Send + Sync {
    fn id(&self, place: usize) -> Result<Option<Id>>;
    fn int(&self, place: usize) -> Result<Option<i64>>;
    fn real(&self, place: usize) -> Result<Option<f64>>;
    fn flag(&self, place: usize) -> Result<Option<bool>>;
    fn time(&self, place: usize) -> Result<Option<Timestamp>>;
    /// The end of a duration, or a date, as wall time.
    fn due(&self, place: usize) -> Result<Option<Timestamp>>;
    fn text(&self, place: usize) -> Result<Option<&str>>;
    fn bytes(&self, place: usize) -> Result<Option<&[u8]>>;
}

/// A row of a statement's answer.
pub(in crate::backend) struct Row {
    statement: &'static Statement,
    cells: Box<dyn Cells>,
    /// The column after the one that was read last: most are read in their order.
    next: AtomicUsize,
}

/// Defines the readers of one kind: for a value that must be there, and for one that may be null.
macro_rules! readers {
    ($($kind:ident: $get:ident, $optional:ident -> $type:ty;)*) => {
        $(
            pub fn $get(&self, name: &'static str) -> Result<$type> {
                self.$optional(name)?.ok_or_else(|| is_null(name))
            }

            pub fn $optional(&self, name: &'static str) -> Result<Option<$type>> {
                let (place, _) = self.place(name, |kind| matches!(kind, Kind::$kind))?;
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
        Self { statement, cells: Box::new(cells), next: AtomicUsize::new(0) }
    }

    /// The index of a column, and its kind.
    fn place(&self, name: &'static str, is_of_kind: impl Fn(Kind) -> bool) -> Result<(usize, Kind)> {
        let columns = self.statement.columns;
        let is_it = |column: &Column| column.name == name;
        let next = self.next.load(Relaxed);
        let place = match columns.get(next) {
            Some(column) if is_it(column) => next,
            _ => columns
                .iter()
                .position(is_it)
                .ok_or_else(|| Error::backend(format!("the column {name} is not in the statement's declaration")))?,
        };
        self.next.store(place + 1, Relaxed);
        let kind = columns[place].kind;
        if !is_of_kind(kind) {
            return Err(Error::backend(format!("the column {name} was asked for as another kind than {kind:?}")));
        }
        Ok((place, kind))
    }

    readers! {
        Id: id, optional_id -> Id;
        Int: int, optional_int -> i64;
        Real: real, optional_real -> f64;
        Flag: flag, optional_flag -> bool;
        Text: text, optional_text -> &str;
        Bytes: bytes, optional_bytes -> &[u8];
    }

    pub fn time(&self, name: &'static str) -> Result<Timestamp> {
        self.optional_time(name)?.ok_or_else(|| is_null(name))
    }

    pub fn optional_time(&self, name: &'static str) -> Result<Option<Timestamp>> {
        let (place, kind) =
            self.place(name, |kind| matches!(kind, Kind::Time | Kind::Due | Kind::Lease | Kind::Clock))?;
        let time = if kind == Kind::Due { self.cells.due(place) } else { self.cells.time(place) };
        time.map_err(|why| why.doing(self.statement.doing))
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
