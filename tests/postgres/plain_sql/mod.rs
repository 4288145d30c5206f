//! Dispatches, signals and cancels in plain SQL, in transactions of the caller's own.

mod door;
mod ends;
mod page;
mod rights;
mod rows;
mod steps;
mod steps_misused;
mod transactions;
mod unique;
mod words;

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use stent::model::{Id, Status};

use crate::house::House;
use crate::postgres::shared;

pub fn schema_of_url(url: &str) -> &str {
    url.split("schema=").nth(1).unwrap().split('&').next().unwrap()
}

/// A program's own connection, in which the store's schema has to be named.
pub struct Client {
    conn: tokio::sync::Mutex<PgConnection>,
    pub schema: String,
}

/// What the server says of an error.
#[derive(Debug)]
pub struct Refusal {
    pub state: String,
    pub told: String,
    pub detail: String,
    pub hint: String,
    pub column: String,
}

impl Refusal {
    pub fn status(&self) -> Status {
        let (status, kind) = match self.state.as_str() {
            "22023" => (Status::Invalid, "STENT_E_INVALID"),
            "P0002" => (Status::NotFound, "STENT_E_NOT_FOUND"),
            "23505" | "55000" => (Status::Conflict, "STENT_E_CONFLICT"),
            _ => (Status::Backend, ""),
        };
        assert!(status == Status::Backend || self.detail == kind, "{self:?}");
        status
    }

    fn of(why: sqlx::Error) -> Self {
        let sqlx::Error::Database(why) = &why else { panic!("{why}") };
        let why = why.downcast_ref::<sqlx::postgres::PgDatabaseError>();
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        Self {
            state: why.code().to_owned(),
            told: why.message().to_owned(),
            detail: text(why.detail()),
            hint: text(why.hint()),
            column: text(why.column()),
        }
    }
}

impl Client {
    /// To the store at this URL.
    pub async fn of(url: &str) -> Self {
        Self::at(&shared().url, schema_of_url(url)).await
    }

    pub async fn at(server: &str, schema: &str) -> Self {
        Self { conn: PgConnection::connect(server).await.unwrap().into(), schema: schema.to_owned() }
    }

    fn text(&self, sql: &str) -> String {
        sql.replace("stent.", &format!("\"{}\".", self.schema))
    }

    /// A script; `stent.` in it is the store's schema.
    pub async fn run(&self, sql: &str) -> Result<(), Refusal> {
        let text = self.text(sql);
        self.conn.lock().await.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop).map_err(Refusal::of)
    }

    pub async fn say(&self, sql: &str) {
        let said = self.run(sql).await;
        assert!(said.is_ok(), "{sql}: {said:?}");
    }

    pub async fn one(&self, sql: &str) -> String {
        let text = self.text(sql);
        let row = self.conn.lock().await.fetch_one(sqlx::raw_sql(AssertSqlSafe(text))).await;
        row.unwrap_or_else(|why| panic!("{sql}: {why}")).get(0)
    }

    pub async fn count(&self, table: &str) -> String {
        self.one(&format!("SELECT count(*)::text FROM stent.{table}")).await
    }

    /// As a driver does: with parameters, of no particular type.
    pub async fn dispatch(&self, function: &str, args: &str, options: &str) -> Result<Id, Refusal> {
        let text = self.text("SELECT stent.dispatch($1, $2, $3)");
        let query = sqlx::query(AssertSqlSafe(text)).bind(function).bind(args).bind(options);
        query.fetch_one(&mut *self.conn.lock().await).await.map(|row| row.get(0)).map_err(Refusal::of)
    }

    pub async fn signal(&self, execution: Id, name: &str, payload: &str, options: &str) -> Result<(), Refusal> {
        let text = self.text("SELECT stent.signal($1, $2, $3, $4)");
        let query = sqlx::query(AssertSqlSafe(text)).bind(execution).bind(name).bind(payload).bind(options);
        query.execute(&mut *self.conn.lock().await).await.map(drop).map_err(Refusal::of)
    }

    pub async fn cancel(&self, execution: Id, reason: Option<&str>) -> Result<(), Refusal> {
        let text = self.text("SELECT stent.cancel($1, $2)");
        let query = sqlx::query(AssertSqlSafe(text)).bind(execution).bind(reason);
        query.execute(&mut *self.conn.lock().await).await.map(drop).map_err(Refusal::of)
    }
}

/// What the C function does: reads, checks and dispatches.
pub fn by_library(house: &House, function: &str, args: &str, options: &str) -> stent::model::Result<Id> {
    let args = stent::codec::args_from_text(Some(args))?;
    let options = stent::codec::options::dispatch(Some(options))?;
    house.on(house.executor.dispatch(function, args, options))
}

/// Longer than a wake-up takes, and much shorter than the polls of a worker that was told to poll so seldom.
pub const AT_ONCE: Duration = Duration::from_secs(20);
