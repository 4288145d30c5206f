//! Every statement of the flow prepares, and answers the columns that are declared.

use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, SqlSafeStr as _, SqliteConnection, Statement as _,
};

use crate::backend::sql::statement::Text;
use crate::backend::sql::statements::all;
use crate::backend::sql::statements::tests::{files, none};

#[tokio::test]
async fn they_prepare_and_answer_what_is_declared() {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for (_, migration) in files("sqlite", "migrations") {
        conn.execute(sqlx::raw_sql(AssertSqlSafe(migration))).await.unwrap();
    }
    let mut problems = Vec::new();
    for statement in all() {
        let Text::Sql(sql) = statement.sqlite else { continue };
        let prepared = match (&mut conn).prepare(sql.into_sql_str()).await {
            Ok(prepared) => prepared,
            Err(why) => {
                problems.push(format!("{}.sql: {why}", statement.name));
                continue;
            }
        };
        let mut found: Vec<&str> = prepared.columns().iter().map(|column| column.name()).collect();
        // By it the text's second statement finds the row again.
        if sql.contains("@number") && found.pop() != Some("number") {
            problems.push(format!("{}.sql: its last column is not `number`", statement.name));
        }
        let declared: Vec<&str> = statement.columns.iter().map(|column| column.name).collect();
        if found != declared {
            problems.push(format!("{}.sql answers {found:?}, and is declared with {declared:?}", statement.name));
        }
    }
    none(&problems);
}
