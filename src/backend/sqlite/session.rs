//! Runs statements on a connection: how their values are passed to SQLite, and its answers read.
//!
//! A statement with a batch is run for each row, with the row's values before its parameters. One that looks at all rows
//! at once says so by its text, which reads `jsonb_each(?1)`: there the batch is two parameters, its rows as a JSON array
//! of integers, and one blob with all texts and payloads. Integers are `value ->> n`, blobs are `substr(?2, value ->> n,
//! value ->> n+1)`, by start and length. Whatever it is, it is done when `run` returns: nothing here ever waits for
//! another thread, so a transaction is run to its end by polling it once.

use std::fmt::Write as _;
use std::ops::DerefMut;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::clock::{self, Clock, Reading};
use super::conn::{Connection, Statement, Table};
use crate::backend::sql::call::{Call, Value};
use crate::backend::sql::lock::Lock;
use crate::backend::sql::row::{Cells, Row};
use crate::backend::sql::session::{Answer, Session};
use crate::backend::sql::statement::{Column, Kind, Text};
use crate::codec;
use crate::model::{Id, Result, Timestamp};

/// A connection that runs statements, and its clock.
pub(super) struct Statements<C> {
    pub conn: C,
    pub time: Time,
}

/// The clocks by which leases and durations are judged.
#[derive(Clone)]
pub(super) struct Time {
    pub clock: Clock,
    /// The number of this boot.
    pub boot: i64,
    /// The clocks at the beginning of the transaction. `None`: each statement reads them.
    pub reading: Option<Reading>,
}

impl Time {
    fn reading(&self) -> Reading {
        self.reading.unwrap_or_else(|| self.clock.read())
    }

    /// An instant as a lease is stored: wall time, number of the boot, and time since that boot.
    fn lease(&self, at: Timestamp) -> [i64; 3] {
        [at.micros(), self.boot, self.reading().until(at)]
    }

    fn now(&self) -> [i64; 3] {
        let Reading { wall, boottime } = self.reading();
        [wall.micros(), self.boot, boottime]
    }

    /// The wall time, and the end of a duration.
    fn due(&self, at: Timestamp) -> [i64; 2] {
        [at.micros(), self.reading().due(at)]
    }
}

impl<C: DerefMut<Target = Connection>> Statements<C> {
    fn answer(&mut self, call: &Call<'_>) -> Result<Answer> {
        let declared = call.statement();
        let Text::Sql(sql) = declared.sqlite else { return Ok(Answer::default()) };
        let mut table = (!declared.columns.is_empty()).then(Table::default);
        let changed = run(&mut self.conn, sql, call, &self.time, table.as_mut())?;
        let Some(table) = table else { return Ok(Answer { rows: Vec::new(), changed }) };
        let reading = self.time.reading();
        let (table, rows) = table.shared();
        let stored = |first| Stored { table: table.clone(), first, reading };
        let rows: Vec<Row> = rows.map(|first| Row::new(declared, stored(first))).collect();
        Ok(Answer { changed: rows.len() as u64, rows })
    }
}

impl<C> Session for Statements<C>
where
    C: DerefMut<Target = Connection> + Send,
{
    fn run<'s>(&'s mut self, call: &Call<'_>) -> BoxFuture<'s, Result<Answer>> {
        let answer = self.answer(call).map_err(|why| why.doing(call.statement().doing));
        Box::pin(std::future::ready(answer))
    }

    /// There is one writer, so nothing needs to be locked.
    fn lock<'s>(&'s mut self, _locks: &[Lock<'_>], _wait: bool) -> BoxFuture<'s, Result<bool>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn is_alone(&self) -> bool {
        true
    }
}

/// Returns how many rows it has changed.
fn run(
    conn: &mut Connection,
    sql: &'static str,
    call: &Call<'_>,
    time: &Time,
    mut table: Option<&mut Table>,
) -> Result<u64> {
    let mut batch = Batch::default();
    let mut statement = conn.statement(sql)?;
    let declared = call.statement();
    if declared.rows.is_empty() {
        bind(&mut statement, 1, call.parameters(), declared.parameters, time)?;
        return statement.run(table);
    }
    if statement.takes_sets() {
        call.batch().for_each(|row| batch.add(row, declared.rows, time));
        statement.made(1, &batch.rows())?;
        statement.bytes(2, &batch.arena)?;
        bind(&mut statement, 3, call.parameters(), declared.parameters, time)?;
        return statement.run(table);
    }
    let first = 1 + declared.rows.iter().map(|column| width(column.kind)).sum::<usize>();
    bind(&mut statement, first, call.parameters(), declared.parameters, time)?;
    let mut changed = 0;
    for row in call.batch() {
        bind(&mut statement, 1, row, declared.rows, time)?;
        changed += statement.run(table.as_deref_mut())?;
    }
    Ok(changed)
}

/// How many values SQLite is given for one.
pub(super) const fn width(kind: Kind) -> usize {
    match kind {
        Kind::Lease | Kind::Clock => 3,
        Kind::Due => 2,
        _ => 1,
    }
}

/// Gives a statement these values, from the place `first` on.
fn bind<'v>(
    statement: &mut Statement<'_, 'v>,
    first: usize,
    values: &'v [Value<'_>],
    columns: &[Column],
    time: &Time,
) -> Result<()> {
    let mut place = first;
    for (value, column) in values.iter().zip(columns) {
        match value {
            Value::Null => (0..width(column.kind)).try_for_each(|more| statement.null(place + more))?,
            Value::Id(id) => statement.bytes(place, id.as_bytes())?,
            Value::Int(int) => statement.int(place, *int)?,
            Value::Real(real) => statement.real(place, *real)?,
            Value::Flag(flag) => statement.int(place, i64::from(*flag))?,
            Value::Time(at) => statement.int(place, at.micros())?,
            Value::Lease(at) => ints(statement, place, &time.lease(*at))?,
            Value::Due(at) => ints(statement, place, &time.due(*at))?,
            Value::Date(at) => ints(statement, place, &[at.micros(), clock::date(*at)])?,
            Value::Clock => ints(statement, place, &time.now())?,
            Value::Text(text) => statement.text(place, text)?,
            Value::Bytes(bytes) => statement.bytes(place, bytes)?,
            Value::Ints(list) => statement.made(place, &numbers(list))?,
            Value::Texts(texts) => statement.made(place, &codec::names_to_json(texts))?,
        }
        place += width(column.kind);
    }
    Ok(())
}

fn ints(statement: &mut Statement<'_, '_>, first: usize, values: &[i64]) -> Result<()> {
    (first..).zip(values).try_for_each(|(place, value)| statement.int(place, *value))
}

/// A JSON array of numbers.
fn numbers(ints: &[i64]) -> String {
    let mut text = String::from("[");
    for (place, int) in ints.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _infallible = write!(text, "{comma}{int}");
    }
    text.push(']');
    text
}

/// The two parameters of a batch, as they are built.
#[derive(Default)]
struct Batch {
    rows: String,
    arena: Vec<u8>,
}

impl Batch {
    fn add(&mut self, row: &[Value<'_>], columns: &[Column], time: &Time) {
        self.rows.push_str(if self.rows.is_empty() { "[[" } else { "],[" });
        for (place, (value, column)) in row.iter().zip(columns).enumerate() {
            if place > 0 {
                self.rows.push(',');
            }
            match value {
                Value::Null => self.rows.push_str(match column.kind {
                    Kind::Text | Kind::Bytes | Kind::Due => "null,null",
                    Kind::Lease => "null,null,null",
                    _ => "null",
                }),
                Value::Id(id) => {
                    let start = self.keep(id.as_bytes());
                    self.numbers([start]);
                }
                Value::Text(text) => {
                    let start = self.keep(text.as_bytes());
                    self.numbers([start, text.len() as i64]);
                }
                Value::Bytes(bytes) => {
                    let start = self.keep(bytes);
                    self.numbers([start, bytes.len() as i64]);
                }
                Value::Int(int) => self.numbers([*int]),
                Value::Flag(flag) => self.numbers([i64::from(*flag)]),
                Value::Time(at) => self.numbers([at.micros()]),
                Value::Lease(at) => self.numbers(time.lease(*at)),
                Value::Due(at) => self.numbers(time.due(*at)),
                Value::Date(at) => self.numbers([at.micros(), clock::date(*at)]),
                Value::Real(_) | Value::Clock | Value::Ints(_) | Value::Texts(_) => {
                    unreachable!("no batch has a column of {:?}", column.kind)
                }
            }
        }
    }

    /// Appends bytes to the blob and returns where they begin, counted from 1.
    fn keep(&mut self, bytes: &[u8]) -> i64 {
        let start = self.arena.len() as i64 + 1;
        self.arena.extend_from_slice(bytes);
        start
    }

    fn numbers<const N: usize>(&mut self, numbers: [i64; N]) {
        for (place, number) in numbers.into_iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _infallible = write!(self.rows, "{comma}{number}");
        }
    }

    fn rows(&mut self) -> String {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() { "[]".to_owned() } else { rows + "]]" }
    }
}

/// A row, and what the clocks said when it was read.
struct Stored {
    table: Arc<Table>,
    /// Where its cells begin.
    first: usize,
    reading: Reading,
}

impl Cells for Stored {
    fn id(&self, place: usize) -> Result<Option<Id>> {
        self.table.id(self.first + place)
    }

    fn int(&self, place: usize) -> Result<Option<i64>> {
        self.table.int(self.first + place)
    }

    fn real(&self, place: usize) -> Result<Option<f64>> {
        self.table.real(self.first + place)
    }

    fn flag(&self, place: usize) -> Result<Option<bool>> {
        Ok(self.int(place)?.map(|flag| flag != 0))
    }

    fn time(&self, place: usize) -> Result<Option<Timestamp>> {
        Ok(self.int(place)?.map(Timestamp::from_micros))
    }

    fn due(&self, place: usize) -> Result<Option<Timestamp>> {
        Ok(self.int(place)?.map(|due| self.reading.wall_time(due)))
    }

    fn text(&self, place: usize) -> Result<Option<&str>> {
        self.table.text(self.first + place)
    }

    fn bytes(&self, place: usize) -> Result<Option<&[u8]>> {
        self.table.bytes(self.first + place)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn rows_are_integers_and_the_arena_holds_the_bytes() {
        let column = |kind| Column { name: "c", kind };
        let columns = [Kind::Int, Kind::Text, Kind::Id].map(column);
        let time = Time { clock: Clock::default(), boot: 1, reading: None };
        let mut batch = Batch::default();
        batch.add(&[Value::Int(7), Value::Text(Cow::Borrowed("abc")), Value::Null], &columns, &time);
        batch.add(&[Value::Int(-1), Value::Null, Value::Id(Id::nil())], &columns, &time);
        assert_eq!(batch.rows(), "[[7,1,3,null],[-1,null,null,4]]");
        assert_eq!(batch.arena.len(), 19);
        assert_eq!(batch.rows(), "[]");
    }

    #[test]
    fn a_lease_is_told_by_the_time_since_boot() {
        let reading = Reading { wall: Timestamp::from_micros(1_000), boottime: 50 };
        let time = Time { clock: Clock::default(), boot: 3, reading: Some(reading) };
        assert_eq!(time.lease(Timestamp::from_micros(1_700)), [1_700, 3, 750]);
        assert_eq!(time.now(), [1_000, 3, 50]);
    }
}
