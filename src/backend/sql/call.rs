//! A statement with what it is given: rows of a batch, then single parameters. It knows no database: each dialect turns
//! the values into parameters of its own.

use std::borrow::Cow;

use super::statement::{Kind, Statement};
use crate::model::{Id, Payload, Timestamp};

/// One value on its way to a database. Null goes for every kind.
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
    values: Vec<Value<'a>>,
}

impl Statement {
    /// To be given its values.
    pub fn call<'a>(&'static self) -> Call<'a> {
        Call { statement: self, rows: 0, values: Vec::new() }
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

    /// A batch of one column of ids, each once and in order: whoever locks by it locks in the one order that all keep to.
    pub fn ids(mut self, ids: impl IntoIterator<Item = Id>) -> Self {
        let mut ids: Vec<Id> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            self.row().id(id);
        }
        self
    }

    /// Puts the rows in the order of their first column, an id. Before the parameters are given.
    pub fn by_id(mut self) -> Self {
        let width = self.width();
        debug_assert_eq!(self.values.len(), self.rows * width, "{}: rows first", self.statement.name);
        let id = |row: &[Value<'_>]| match row.first() {
            Some(Value::Id(id)) => Some(*id),
            _ => None,
        };
        if self.values.chunks(width).map(id).is_sorted() {
            return self;
        }
        let mut rows: Vec<Vec<Value<'a>>> = Vec::with_capacity(self.rows);
        let mut values = std::mem::take(&mut self.values).into_iter();
        for _ in 0..self.rows {
            rows.push(values.by_ref().take(width).collect());
        }
        rows.sort_by_key(|row| id(row));
        self.values = rows.into_iter().flatten().collect();
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

    /// A text that was made for this call.
    pub fn made(&mut self, value: impl Into<Option<String>>) -> &mut Self {
        self.push_some(value.into(), |text| Value::Text(Cow::Owned(text)))
    }

    pub fn bytes<'b: 'a>(&mut self, value: impl Into<Option<&'b [u8]>>) -> &mut Self {
        self.push_some(value.into(), |bytes| Value::Bytes(Cow::Borrowed(bytes)))
    }

    /// Bytes that were made for this call.
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

    /// What comes after the batch.
    pub fn parameters(&self) -> &[Value<'a>] {
        let given = &self.values[self.rows * self.width()..];
        debug_assert_eq!(given.len(), self.statement.parameters.len(), "{}: its parameters", self.statement.name);
        given
    }
}
