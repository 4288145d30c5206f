//! Every declared statement can be prepared, and has the declared types of parameters and columns.

#[path = "../../../tests/common/postgres.rs"]
mod server;

use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Either, Executor as _, PgConnection, SqlSafeStr as _, Statement as _,
    TypeInfo as _,
};

use crate::backend::sql::statement::{Kind, Text};
use crate::backend::sql::statements::all;
use crate::backend::sql::statements::tests::{files, none};

/// Users with some rights and not others.
mod rights;

/// The server's type for a kind.
const fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "UUID",
        Kind::Int => "INT8",
        Kind::Real => "FLOAT8",
        Kind::Flag => "BOOL",
        Kind::Time | Kind::Lease | Kind::Due | Kind::Clock => "TIMESTAMPTZ",
        Kind::Text => "TEXT",
        Kind::Bytes => "BYTEA",
        Kind::Ints => "INT8[]",
        Kind::Texts => "TEXT[]",
    }
}

/// Connects to a fresh schema with empty tables.
async fn connect() -> PgConnection {
    let url = server::fresh_url("");
    let schema = url.split("schema=").nth(1).unwrap().split('&').next().unwrap();
    let mut conn = PgConnection::connect(&server::shared().url).await.unwrap();
    let create = format!("CREATE SCHEMA {schema}; SET search_path TO {schema}");
    conn.execute(sqlx::raw_sql(AssertSqlSafe(create))).await.unwrap();
    for (_, migration) in files("postgres", "migrations") {
        conn.execute(sqlx::raw_sql(AssertSqlSafe(migration))).await.unwrap();
    }
    conn
}

#[tokio::test]
async fn they_prepare_take_and_answer_what_is_declared() {
    let mut conn = connect().await;
    let mut problems = Vec::new();
    for statement in all() {
        let Text::Sql(sql) = statement.postgres else { continue };
        let prepared = match (&mut conn).prepare(sql.into_sql_str()).await {
            Ok(prepared) => prepared,
            Err(why) => {
                problems.push(format!("{}.sql: {why}", statement.name));
                continue;
            }
        };
        let taken: Vec<&str> = match prepared.parameters() {
            Some(Either::Left(types)) => types.iter().map(|one| one.name()).collect(),
            _ => Vec::new(),
        };
        let rows = statement.rows.iter().map(|column| format!("{}[]", type_of(column.kind)));
        let parameters = statement.parameters.iter().filter(|parameter| parameter.kind != Kind::Clock);
        let given: Vec<String> = rows.chain(parameters.map(|parameter| type_of(parameter.kind).to_owned())).collect();
        // Parameters that a text does not need come last, and the server does not know of them.
        if taken.len() > given.len() || taken.iter().zip(&given).any(|(taken, given)| taken != given) {
            problems.push(format!("{}.sql takes {taken:?}, and is given {given:?}", statement.name));
        }
        let found: Vec<(&str, &str)> =
            prepared.columns().iter().map(|column| (column.name(), column.type_info().name())).collect();
        let declared: Vec<(&str, &str)> =
            statement.columns.iter().map(|column| (column.name, type_of(column.kind))).collect();
        if found != declared {
            problems.push(format!("{}.sql answers {found:?}, and is declared with {declared:?}", statement.name));
        }
    }
    conn.close().await.unwrap();
    none(&problems);
}
