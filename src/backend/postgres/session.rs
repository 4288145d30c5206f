//! Runs statements on a connection: how their values are passed to PostgreSQL, and its answers read. A batch is an
//! array for each of its columns, which `unnest` turns into rows.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Decode, Row as _};

use super::charset::{Charset, unescape};
use super::conn::Conn;
use super::error;
use crate::backend::sql::call::{Call, Value};
use crate::backend::sql::lock::Lock;
use crate::backend::sql::row::{Cells, Row};
use crate::backend::sql::session::{Answer, Session};
use crate::backend::sql::statement::{Column, Kind, Text};
use crate::model::{Id, Result, Timestamp};

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

/// A connection that runs statements.
pub(super) struct Statements {
    pub conn: Conn,
    pub schema: Arc<str>,
    pub charset: Charset,
}

impl Session for Statements {
    fn run<'s>(&'s mut self, call: &Call<'_>) -> BoxFuture<'s, Result<Answer>> {
        let statement = call.statement();
        let Text::Sql(sql) = statement.postgres else { return Box::pin(async { Ok(Answer::default()) }) };
        let query = bound(sqlx::query(sql), call, self.charset);
        Box::pin(async move {
            if statement.columns.is_empty() {
                let done = query.execute(&mut self.conn).await.map_err(error::map(statement.doing))?;
                return Ok(Answer { rows: Vec::new(), changed: done.rows_affected() });
            }
            let found = query.fetch_all(&mut self.conn).await.map_err(error::map(statement.doing))?;
            let read = |row| Ok(Row::new(statement, Stored::new(statement.columns, row)?));
            let rows =
                found.into_iter().map(read).collect::<Result<Vec<Row>>>().map_err(|why| why.doing(statement.doing))?;
            Ok(Answer { changed: rows.len() as u64, rows })
        })
    }

    /// Advisory locks, in the order of their numbers.
    fn lock<'s>(&'s mut self, locks: &[Lock<'_>], wait: bool) -> BoxFuture<'s, Result<bool>> {
        let mut keys: Vec<i64> = locks.iter().map(|lock| lock.key(&self.schema)).collect();
        keys.sort_unstable();
        keys.dedup();
        Box::pin(async move {
            if wait {
                let query = sqlx::query(include_str!("sql/advisory_lock.sql")).bind(keys);
                query.execute(&mut self.conn).await.map_err(error::map("wait for a lock"))?;
                return Ok(true);
            }
            let query = sqlx::query(include_str!("sql/advisory_try_lock.sql")).bind(keys);
            let row = query.fetch_one(&mut self.conn).await.map_err(error::map("take a lock"))?;
            Ok(row.get("taken"))
        })
    }

    fn is_alone(&self) -> bool {
        false
    }
}

fn bound<'q>(query: Query<'q>, call: &Call<'_>, charset: Charset) -> Query<'q> {
    let columns = call.statement().rows;
    let rows = call.in_lock_order();
    let query = (0..columns.len()).fold(query, |query, place| {
        let values = rows.iter().map(|row| &row[place]);
        let kind = columns[place].kind;
        match kind {
            Kind::Id => query.bind(values.map(id).collect::<Vec<_>>()),
            Kind::Int => query.bind(values.map(int).collect::<Vec<_>>()),
            Kind::Real => query.bind(values.map(real).collect::<Vec<_>>()),
            Kind::Flag => query.bind(values.map(flag).collect::<Vec<_>>()),
            Kind::Time | Kind::Lease | Kind::Due => query.bind(values.map(time).collect::<Vec<_>>()),
            Kind::Text => query.bind(values.map(|value| text(value, charset)).collect::<Vec<_>>()),
            Kind::Bytes => query.bind(values.map(bytes).collect::<Vec<_>>()),
            Kind::Clock | Kind::Ints | Kind::Texts => unreachable!("no batch has a column of {kind:?}"),
        }
    });
    call.parameters().iter().zip(call.statement().parameters).fold(query, |query, (value, column)| match column.kind {
        Kind::Id => query.bind(id(value)),
        Kind::Int => query.bind(int(value)),
        Kind::Real => query.bind(real(value)),
        Kind::Flag => query.bind(flag(value)),
        Kind::Time | Kind::Lease | Kind::Due => query.bind(time(value)),
        Kind::Text => query.bind(text(value, charset)),
        Kind::Bytes => query.bind(bytes(value)),
        Kind::Clock => query,
        Kind::Ints => query.bind(if let Value::Ints(ints) = value { Some(ints.clone()) } else { None }),
        Kind::Texts => query.bind(texts(value, charset)),
    })
}

/// Defines functions that take the value of one kind; any other value becomes null.
macro_rules! taken {
    ($($name:ident: $($variant:ident)|* => |$value:ident| $take:expr => $type:ty;)*) => {
        $(
            fn $name(value: &Value<'_>) -> Option<$type> {
                match value {
                    $(Value::$variant($value))|* => Some($take),
                    _ => None,
                }
            }
        )*
    };
}

taken! {
    id: Id => |id| *id => Id;
    int: Int => |int| *int => i64;
    real: Real => |real| *real => f64;
    flag: Flag => |flag| *flag => bool;
    time: Time | Lease | Due | Date => |time| *time => Timestamp;
}

fn text<'v>(value: &'v Value<'_>, charset: Charset) -> Option<Cow<'v, str>> {
    if let Value::Text(text) = value { Some(charset.escape(text)) } else { None }
}

fn texts(value: &Value<'_>, charset: Charset) -> Option<Vec<String>> {
    let Value::Texts(texts) = value else { return None };
    Some(texts.iter().map(|text| charset.escape(text).into_owned()).collect())
}

fn bytes<'v>(value: &'v Value<'_>) -> Option<&'v [u8]> {
    if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
}

fn get<'r, T: Decode<'r, sqlx::Postgres>>(row: &'r PgRow, place: usize) -> Result<Option<T>> {
    row.try_get_unchecked(place).map_err(error::map("read a row"))
}

/// A row, and those of its texts that are not stored as they are.
struct Stored {
    row: PgRow,
    unescaped: Vec<(usize, String)>,
}

impl Stored {
    fn new(columns: &[Column], row: PgRow) -> Result<Self> {
        let mut unescaped = Vec::new();
        for (place, _) in columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Text) {
            if let Some(Cow::Owned(text)) = get::<&str>(&row, place)?.map(unescape) {
                unescaped.push((place, text));
            }
        }
        Ok(Self { row, unescaped })
    }
}

impl Cells for Stored {
    fn id(&self, place: usize) -> Result<Option<Id>> {
        get(&self.row, place)
    }

    fn int(&self, place: usize) -> Result<Option<i64>> {
        get(&self.row, place)
    }

    fn real(&self, place: usize) -> Result<Option<f64>> {
        get(&self.row, place)
    }

    fn flag(&self, place: usize) -> Result<Option<bool>> {
        get(&self.row, place)
    }

    fn time(&self, place: usize) -> Result<Option<Timestamp>> {
        get(&self.row, place)
    }

    fn due(&self, place: usize) -> Result<Option<Timestamp>> {
        get(&self.row, place)
    }

    fn text(&self, place: usize) -> Result<Option<&str>> {
        match self.unescaped.iter().find(|(at, _)| *at == place) {
            Some((_, text)) => Ok(Some(text)),
            None => get(&self.row, place),
        }
    }

    fn bytes(&self, place: usize) -> Result<Option<&[u8]>> {
        get(&self.row, place)
    }
}
