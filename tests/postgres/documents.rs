//! The statements in docs/postgresql.md, run as they are printed, by whom the page says.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::postgres::Server;
use crate::urls::{on, open, told};

const PAGE: &str = include_str!("../../docs/postgresql.md");

/// The page's blocks of SQL, statement by statement.
fn blocks() -> Vec<Vec<&'static str>> {
    PAGE.split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().split_inclusive(";\n").collect())
        .collect()
}

async fn say(url: &str, statements: &[&str]) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    for statement in statements {
        let said = conn.execute(sqlx::raw_sql(AssertSqlSafe((*statement).to_owned()))).await;
        assert!(said.is_ok(), "{url}: {statement}: {said:?}");
    }
    conn.close().await.unwrap();
}

#[test]
fn the_pages_statements_give_the_rights_that_are_needed() {
    on(async {
        let server = Server::new("documents", "");
        let [alone, guest, workers] = blocks().try_into().expect("the page has three blocks");
        let at = |user: &str, database: &str| format!("postgresql://{user}@127.0.0.1:{}/{database}", server.port);

        // A database of its own.
        say(&server.url, &alone).await;
        open(&at("flow", "workflows")).await.unwrap();

        // A schema in a database that is there for other things. The role is there by now.
        say(&server.url, &["CREATE DATABASE other"]).await;
        say(&at("stent", "other"), &guest[1..]).await;
        open(&at("flow", "other")).await.unwrap();

        // Workers that own nothing: refused, then not.
        let [create, grants @ ..] = workers.as_slice() else { panic!("the block creates a role first") };
        say(&server.url, &[*create]).await;
        let (_, refused) = told(open(&at("worker", "workflows")).await);
        assert!(refused.contains("GRANT USAGE ON SCHEMA"), "{refused}");
        say(&at("flow", "workflows"), grants).await;
        open(&at("worker", "workflows")).await.unwrap();

        // A table that a later version brings is theirs to use as well.
        say(&at("flow", "workflows"), &["CREATE TABLE stent.later (a int)"]).await;
        say(&at("worker", "workflows"), &["INSERT INTO stent.later VALUES (1)", "DELETE FROM stent.later"]).await;
    });
}
