//! A user without rights is told which, and the statement that gives them; one with the rights that are needed, and no more,
//! opens the store.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::server;
use crate::backend::postgres::{Postgres, error};
use crate::backend::{Backend as _, Request};
use crate::model::{Result, Status};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A user of a test's own, and a schema's name.
struct User {
    owner: PgConnection,
    name: String,
    schema: String,
}

impl User {
    async fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("user_{}_{number}", std::process::id());
        let mut user = Self {
            owner: PgConnection::connect(&server::shared().url).await.unwrap(),
            schema: format!("schema of {name}"),
            name,
        };
        user.owner_does("CREATE ROLE {user} LOGIN PASSWORD 'x'").await;
        user
    }

    /// `{user}` and `{schema}` stand for the names.
    async fn owner_does(&mut self, sql: &str) {
        let sql = sql.replace("{user}", &self.name).replace("{schema}", &format!("\"{}\"", self.schema));
        self.owner.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    }

    fn url(&self, login: &str) -> String {
        let url = &server::shared().url;
        let (scheme, rest) = url.split_once("://").unwrap();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let joint = if url.contains('?') { '&' } else { '?' };
        let login = if login.is_empty() { rest.rsplit_once('@').map_or("", |(login, _)| login) } else { login };
        format!("{scheme}://{login}@{place}{joint}schema={}&min_size=0&notify=off", self.schema.replace(' ', "%20"))
    }

    async fn opens(&self) -> Result<()> {
        open(&self.url(&format!("{}:x", self.name))).await
    }

    /// What a refused opening says.
    async fn is_told(&self, parts: &[&str]) {
        let why = self.opens().await.unwrap_err();
        assert_eq!(why.status(), Status::Backend, "{why}");
        assert!(!why.message().contains("relation"), "{why}");
        for part in parts {
            let part = part.replace("{user}", &self.name).replace("{schema}", &format!("\"{}\"", self.schema));
            assert!(why.message().contains(&part), "{part}: {why}");
        }
    }

    async fn gone(mut self) {
        self.owner_does("DROP SCHEMA IF EXISTS {schema} CASCADE; DROP OWNED BY {user}; DROP ROLE {user}").await;
    }
}

async fn open(url: &str) -> Result<()> {
    let store = Postgres::open(url).await?;
    let asked = store.stats().await.map(drop);
    store.call(Request::Close {}).await?;
    asked
}

#[tokio::test]
async fn a_schema_that_is_there_needs_no_right_to_create() {
    let mut user = User::new().await;
    open(&user.url("")).await.unwrap();
    let usage = "GRANT USAGE ON SCHEMA {schema} TO \"{user}\"";
    let rows = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO \"{user}\"";
    user.is_told(&[usage, rows]).await;
    user.owner_does(usage).await;
    user.is_told(&[rows]).await;
    user.owner_does("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO {user}").await;
    user.is_told(&["DELETE", rows]).await;
    user.owner_does(rows).await;
    user.opens().await.unwrap();
    user.gone().await;
}

#[tokio::test]
async fn who_may_not_create_is_told_what_to_ask_for() {
    let mut user = User::new().await;
    user.is_told(&["GRANT CREATE ON DATABASE", "CREATE SCHEMA {schema} AUTHORIZATION \"{user}\""]).await;
    user.owner_does("CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO {user}").await;
    user.is_told(&["GRANT CREATE ON SCHEMA {schema} TO \"{user}\""]).await;
    user.owner_does("GRANT CREATE ON SCHEMA {schema} TO {user}").await;
    user.opens().await.unwrap();
    user.gone().await;
}

#[tokio::test]
async fn an_older_schema_is_its_owners_to_bring_up_to_date() {
    let mut user = User::new().await;
    open(&user.url("")).await.unwrap();
    user.owner_does(
        "DELETE FROM {schema}.stent_schema WHERE version > 1; GRANT ALL ON SCHEMA {schema} TO {user}; GRANT ALL ON ALL TABLES \
         IN SCHEMA {schema} TO {user}",
    )
    .await;
    user.is_told(&["version 1", "open it once as"]).await;
    user.gone().await;
}

#[tokio::test]
async fn constraints_are_not_named() {
    let mut conn = PgConnection::connect(&server::shared().url).await.unwrap();
    let sql = "CREATE TEMP TABLE t (a bigint CONSTRAINT inner_name PRIMARY KEY); INSERT INTO t VALUES (1), (1)";
    let why = error::translate(conn.execute(sqlx::raw_sql(sql)).await.unwrap_err());
    assert_eq!(why.status(), Status::Conflict);
    assert!(!format!("{why:?}").contains("inner_name"), "{why:?}");
}
