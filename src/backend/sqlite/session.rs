//! Runs statements on a connection: how their values are passed to SQLite, and its answers read.
//!
//! A batch is two parameters: its rows as a JSON array of integers, and one blob with all texts and payloads. The
//! statement reads `jsonb_each(?1)`; integers are `value ->> n`, blobs are `substr(?2, value ->> n, value ->> n+1)`, by
//! start and length. So payloads are never escaped, and any number of rows goes to SQLite's thread at once.

use std::fmt::Write as _;
use std::ops::DerefMut;

use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Decode, Row as _, Sqlite, SqliteConnection};

use super::clock::{self, Clock, Reading};
use super::error;
use crate::backend::sql::call::{Call, Value};
use crate::backend::sql::lock::Lock;
use crate::backend::sql::row::{Cells, Row};
use crate::backend::sql::session::{Answer, Session};
use crate::backend::sql::statement::{Column, Kind, Text};
use crate::codec;
use crate::model::{Error, Id, Result, Timestamp};

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

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

impl<C> Session for Statements<C>
where
    C: DerefMut<Target = SqliteConnection> + Send,
{
    fn run<'s>(&'s mut self, call: &Call<'_>) -> BoxFuture<'s, Result<Answer>> {
        let statement = call.statement();
        let Text::Sql(sql) = statement.sqlite else { return Box::pin(async { Ok(Answer::default()) }) };
        let query = bound(sqlx::query(sql), call, &self.time);
        Box::pin(async move {
            let conn: &mut SqliteConnection = &mut self.conn;
            if statement.columns.is_empty() {
                let done = query.execute(conn).await.map_err(error::map(statement.doing))?;
                return Ok(Answer { rows: Vec::new(), changed: done.rows_affected() });
            }
            let found = query.fetch_all(conn).await.map_err(error::map(statement.doing))?;
            let reading = self.time.reading();
            let rows: Vec<Row> = found.into_iter().map(|row| Row::new(statement, Stored { row, reading })).collect();
            Ok(Answer { changed: rows.len() as u64, rows })
        })
    }

    /// There is one writer, so nothing needs to be locked.
    fn lock<'s>(&'s mut self, _locks: &[Lock<'_>], _wait: bool) -> BoxFuture<'s, Result<bool>> {
        Box::pin(async { Ok(true) })
    }

    fn is_alone(&self) -> bool {
        true
    }
}

fn bound<'q>(query: Query<'q>, call: &Call<'_>, time: &Time) -> Query<'q> {
    let mut query = query;
    if !call.statement().rows.is_empty() {
        let mut batch = Batch::default();
        call.batch().for_each(|row| batch.add(row, call.statement().rows, time));
        query = query.bind(batch.rows()).bind(batch.arena);
    }
    for (value, column) in call.parameters().iter().zip(call.statement().parameters) {
        query = match value {
            Value::Null if matches!(column.kind, Kind::Lease | Kind::Clock) => {
                query.bind(None::<i64>).bind(None::<i64>).bind(None::<i64>)
            }
            Value::Null if column.kind == Kind::Due => query.bind(None::<i64>).bind(None::<i64>),
            Value::Null => query.bind(None::<i64>),
            Value::Id(id) => query.bind(id.as_bytes().to_vec()),
            Value::Int(int) => query.bind(*int),
            Value::Real(real) => query.bind(*real),
            Value::Flag(flag) => query.bind(*flag),
            Value::Time(at) => query.bind(at.micros()),
            Value::Lease(at) => time.lease(*at).into_iter().fold(query, Query::bind),
            Value::Due(at) => time.due(*at).into_iter().fold(query, Query::bind),
            Value::Date(at) => query.bind(at.micros()).bind(clock::date(*at)),
            Value::Clock => time.now().into_iter().fold(query, Query::bind),
            Value::Text(text) => query.bind(text.clone().into_owned()),
            Value::Bytes(bytes) => query.bind(bytes.clone().into_owned()),
            Value::Ints(ints) => query.bind(numbers(ints)),
            Value::Texts(texts) => query.bind(codec::names_to_json(texts)),
        };
    }
    query
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

fn get<'r, T: Decode<'r, Sqlite>>(row: &'r SqliteRow, place: usize) -> Result<Option<T>> {
    row.try_get_unchecked(place).map_err(error::map("read a row"))
}

/// A row, and what the clocks said when it was read.
struct Stored {
    row: SqliteRow,
    reading: Reading,
}

impl Cells for Stored {
    fn id(&self, place: usize) -> Result<Option<Id>> {
        get(&self.row, place)?.map(id_of).transpose()
    }

    fn int(&self, place: usize) -> Result<Option<i64>> {
        get(&self.row, place)
    }

    fn real(&self, place: usize) -> Result<Option<f64>> {
        get(&self.row, place)
    }

    fn flag(&self, place: usize) -> Result<Option<bool>> {
        Ok(get::<i64>(&self.row, place)?.map(|flag| flag != 0))
    }

    fn time(&self, place: usize) -> Result<Option<Timestamp>> {
        Ok(get(&self.row, place)?.map(Timestamp::from_micros))
    }

    fn due(&self, place: usize) -> Result<Option<Timestamp>> {
        Ok(get(&self.row, place)?.map(|due| self.reading.wall_time(due)))
    }

    fn text(&self, place: usize) -> Result<Option<&str>> {
        get(&self.row, place)
    }

    fn bytes(&self, place: usize) -> Result<Option<&[u8]>> {
        get(&self.row, place)
    }
}

/// Reads a stored id.
fn id_of(bytes: &[u8]) -> Result<Id> {
    Id::from_slice(bytes).map_err(|_| Error::backend(format!("a stored id has {} bytes instead of 16", bytes.len())))
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
