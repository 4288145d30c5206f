//! The statements in docs/postgresql.md, and its lines for a shell, run as they are printed, by whom the page says.

use std::process::Command;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::house::House;
use crate::postgres::Server;
use crate::urls::{on, open, told};

const PAGE: &str = include_str!("../../docs/postgresql.md");

fn printed(language: &str) -> impl Iterator<Item = &'static str> {
    PAGE.split(&format!("```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect::<Vec<_>>()
        .into_iter()
}

/// The page's blocks of SQL, statement by statement.
fn blocks() -> Vec<Vec<&'static str>> {
    printed("sql").map(|block| block.split_inclusive(";\n").collect()).collect()
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

#[test]
fn the_pages_lines_dump_a_store_and_restore_it_elsewhere() {
    let server = Server::new("dumps", "");
    let at = |database: &str| format!("postgresql://flow@127.0.0.1:{}/{database}", server.port);
    on(async {
        say(&server.url, &["CREATE ROLE flow LOGIN", "CREATE DATABASE workflows OWNER flow"]).await;
        say(&server.url, &["CREATE DATABASE elsewhere OWNER flow"]).await;
    });
    let house = House::at(&at("workflows"));
    house.echo("echo");
    let id = house.dispatch("echo", "[7]");
    let folder = tempfile::tempdir().unwrap();
    let mut blocks = 0;
    for block in printed("sh") {
        let lines = block.replace("flow@host", &format!("flow@127.0.0.1:{}", server.port));
        let said = Command::new("sh").args(["-ec", &lines]).current_dir(&folder).output().unwrap();
        assert!(said.status.success(), "{lines}{}", String::from_utf8_lossy(&said.stderr));
        blocks += 1;
    }
    assert_eq!(blocks, 1);
    // What had not begun when it was dumped begins where it was restored.
    let there = House::at(&at("elsewhere"));
    there.echo("echo");
    let _worker = there.worker(1);
    assert_eq!(there.result(id).unwrap(), "[7]".into());
}
