//! A statement together with the values for it: the rows of its batch, then its parameters. Each database turns the
//! values into parameters of its own kind.

use std::borrow::Cow;

use super::statement::{Kind, Statement};
use crate::model::{Id, Payload, Timestamp};

/// A value for a statement. `Null` fits every kind.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::backend) enum Value<'a> {
    Null,
    Id(Id),
    Int(i64),
    Real(f64),
    Flag(bool),
    Time(Timestamp),
    Lease(Timestamp),
    Due(Timestamp),
    Date(Timestamp),
    Clock,
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

impl Value<'_> {
    fn is(&self, kind: Kind) -> bool {
        match self {
            Self::Null => true,
            Self::Id(_) => kind == Kind::Id,
            Self::Int(_) => kind == Kind::Int,
            Self::Real(_) => kind == Kind::Real,
            Self::Flag(_) => kind == Kind::Flag,
            Self::Time(_) => kind == Kind::Time,
            Self::Lease(_) => kind == Kind::Lease,
            Self::Due(_) | Self::Date(_) => kind == Kind::Due,
            Self::Clock => kind == Kind::Clock,
            Self::Text(_) => kind == Kind::Text,
            Self::Bytes(_) => kind == Kind::Bytes,
            Self::Ints(_) => kind == Kind::Ints,
            Self::Texts(_) => kind == Kind::Texts,
        }
    }
}

/// A statement and its values, in the order of its declaration: the columns of the first row, those of the next, and
/// then the parameters.
#[derive(Debug)]
pub(in crate::backend) struct Call<'a> {
    statement: &'static Statement,
    rows: usize,
    by_id: bool,
    values: Vec<Value<'a>>,
}

impl Statement {
    /// Begins a call, to which the values are added.
    pub fn call<'a>(&'static self) -> Call<'a> {
        Call { statement: self, rows: 0, by_id: false, values: Vec::new() }
    }
}

impl<'a> Call<'a> {
    pub fn statement(&self) -> &'static Statement {
        self.statement
    }

    /// How many rows the batch has.
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    fn width(&self) -> usize {
        self.statement.rows.len()
    }

    /// Begins a row of the batch; its columns follow, and after the last row the parameters.
    pub fn row(&mut self) -> &mut Self {
        debug_assert!(self.width() > 0, "{} takes no batch", self.statement.name);
        debug_assert_eq!(self.values.len(), self.rows * self.width(), "{}: rows are alike", self.statement.name);
        self.rows += 1;
        self
    }

    /// A batch of one column of ids, sorted and without duplicates: a statement that locks rows by it locks them in the
    /// same order as all others.
    pub fn ids(mut self, ids: impl IntoIterator<Item = Id>) -> Self {
        let mut ids: Vec<Id> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            self.row().id(id);
        }
        self
    }

    /// Other transactions may write the same rows. On a store with several writers the batch is then sorted by its
    /// first column, an id, so that all lock in the same order and don't deadlock.
    pub fn by_id(mut self) -> Self {
        self.by_id = true;
        self
    }

    fn push(&mut self, value: Value<'a>) -> &mut Self {
        debug_assert!(
            self.statement.kind_at(self.rows, self.values.len()).is_some_and(|kind| value.is(kind)),
            "{}: value {} of {} rows is {value:?}",
            self.statement.name,
            self.values.len(),
            self.rows
        );
        self.values.push(value);
        self
    }

    fn push_some<T>(&mut self, value: Option<T>, make: impl FnOnce(T) -> Value<'a>) -> &mut Self {
        self.push(value.map_or(Value::Null, make))
    }

    pub fn id(&mut self, value: impl Into<Option<Id>>) -> &mut Self {
        self.push_some(value.into(), Value::Id)
    }

    pub fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        self.push_some(value.into(), Value::Int)
    }

    pub fn real(&mut self, value: impl Into<Option<f64>>) -> &mut Self {
        self.push_some(value.into(), Value::Real)
    }

    pub fn flag(&mut self, value: impl Into<Option<bool>>) -> &mut Self {
        self.push_some(value.into(), Value::Flag)
    }

    pub fn time(&mut self, value: impl Into<Option<Timestamp>>) -> &mut Self {
        self.push_some(value.into(), Value::Time)
    }

    /// An instant by the clock that leases are judged by.
    pub fn lease(&mut self, value: impl Into<Option<Timestamp>>) -> &mut Self {
        self.push_some(value.into(), Value::Lease)
    }

    /// An instant that follows from now by a duration, which setting the clock does not move.
    pub fn due(&mut self, value: impl Into<Option<Timestamp>>) -> &mut Self {
        self.push_some(value.into(), Value::Due)
    }

    /// An instant that somebody has named: it is there when the wall clock says so.
    pub fn date(&mut self, value: impl Into<Option<Timestamp>>) -> &mut Self {
        self.push_some(value.into(), Value::Date)
    }

    /// The store's clock, when the statement runs.
    pub fn clock(&mut self) -> &mut Self {
        self.push(Value::Clock)
    }

    pub fn text<'b: 'a>(&mut self, value: impl Into<Option<&'b str>>) -> &mut Self {
        self.push_some(value.into(), |text| Value::Text(Cow::Borrowed(text)))
    }

    /// As [`Call::text`], for an owned text.
    pub fn made(&mut self, value: impl Into<Option<String>>) -> &mut Self {
        self.push_some(value.into(), |text| Value::Text(Cow::Owned(text)))
    }

    pub fn bytes<'b: 'a>(&mut self, value: impl Into<Option<&'b [u8]>>) -> &mut Self {
        self.push_some(value.into(), |bytes| Value::Bytes(Cow::Borrowed(bytes)))
    }

    /// As [`Call::bytes`], for owned bytes.
    pub fn made_bytes(&mut self, value: impl Into<Option<Vec<u8>>>) -> &mut Self {
        self.push_some(value.into(), |bytes| Value::Bytes(Cow::Owned(bytes)))
    }

    pub fn payload<'b: 'a>(&mut self, value: impl Into<Option<&'b Payload>>) -> &mut Self {
        self.bytes(value.into().map(Payload::as_bytes))
    }

    pub fn ints(&mut self, values: &[i64]) -> &mut Self {
        self.push(Value::Ints(values.to_vec()))
    }

    pub fn texts(&mut self, values: Vec<String>) -> &mut Self {
        self.push(Value::Texts(values))
    }

    /// The rows of the batch, each as long as the declaration says.
    pub fn batch(&self) -> impl Iterator<Item = &[Value<'a>]> {
        let width = self.width().max(1);
        self.values[..self.rows * self.width()].chunks(width)
    }

    /// The rows of the batch in the order in which they may be locked.
    pub fn in_lock_order(&self) -> Vec<&[Value<'a>]> {
        let mut rows: Vec<&[Value<'a>]> = self.batch().collect();
        if self.by_id {
            rows.sort_by_key(|row| match row.first() {
                Some(Value::Id(id)) => Some(*id),
                _ => None,
            });
        }
        rows
    }

    /// What comes after the batch.
    pub fn parameters(&self) -> &[Value<'a>] {
        let given = &self.values[self.rows * self.width()..];
        debug_assert_eq!(given.len(), self.statement.parameters.len(), "{}: its parameters", self.statement.name);
        given
    }
}
