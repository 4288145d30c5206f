//! A dead letter's replay: a new execution with the journal up to the failure. The failed path, from the letter to
//! the root, runs again; what was recorded beside it is copied, under ids that follow from the new root.

use sqlx::Row as _;

use super::batch::Batch;
use super::error;
use super::rows::Columns;
use super::tx::{Tx, nothing_more};
use crate::backend::Replayed;
use crate::backend::decide::{self, Node, root_task_id};
use crate::model::{Error, Id, Op, Result};

pub(super) async fn replay(tx: &mut Tx, letter: Id, execution: Id) -> Result<Replayed> {
    let map = error::map("replay a dead letter");
    let found = sqlx::query(include_str!("sql/dead_letter_take.sql"))
        .bind(letter.as_bytes().as_slice())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(&map)?;
    let Some(row) = found else {
        return Err(Error::not_found(format!("replay: there is no dead letter of task {letter}")));
    };
    let replay_of = super::tx::id_of(row.get(0))?;
    let path = path_to_root(tx, letter).await?;
    if path.is_empty() {
        return Err(Error::not_found(format!(
            "replay: task {letter} and its execution were cleaned up; dispatch anew"
        )));
    }

    let now = tx.now.micros();
    sqlx::query(include_str!("sql/execution_fork.sql"))
        .bind(replay_of.as_bytes().as_slice())
        .bind(execution.as_bytes().as_slice())
        .bind(root_task_id(execution).as_bytes().as_slice())
        .bind(now)
        .execute(&mut tx.conn)
        .await
        .map_err(&map)?;

    let mut journals = Vec::with_capacity(path.len());
    for parent in &path {
        journals.push(children(tx, *parent).await?);
    }
    let copied = decide::copies(execution, &path, &journals);
    let mut batch = Batch::new();
    for copy in &copied {
        batch.row().id(copy.id).id(copy.new_id).id(copy.new_parent).int(i64::from(copy.again));
    }
    let on_path = copied.iter().filter(|copy| copy.again);
    let parents = Batch::of_ids(on_path.map(|copy| copy.new_id));
    tx.run_batch("copy a journal", include_str!("sql/tasks_fork.sql"), batch, |query| {
        query.bind(execution.as_bytes().to_vec()).bind(now)
    })
    .await?;
    tx.run_batch("count a copied journal", include_str!("sql/waits_fork.sql"), parents, nothing_more).await?;
    for sql in [
        include_str!("sql/signals_fork.sql"),
        include_str!("sql/counters_fork.sql"),
        include_str!("sql/state_fork.sql"),
        include_str!("sql/progress_fork.sql"),
    ] {
        sqlx::query(sql)
            .bind(replay_of.as_bytes().as_slice())
            .bind(execution.as_bytes().as_slice())
            .execute(&mut tx.conn)
            .await
            .map_err(&map)?;
    }
    tx.hint_work();
    Ok(Replayed { execution, replay_of })
}

/// From the letter up.
async fn path_to_root(tx: &mut Tx, letter: Id) -> Result<Vec<Id>> {
    let rows = sqlx::query(include_str!("sql/task_path.sql"))
        .bind(letter.as_bytes().as_slice())
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("find a failed path"))?;
    rows.iter().map(|row| Columns(row).id("id")).collect()
}

async fn children(tx: &mut Tx, parent: Id) -> Result<Vec<Node>> {
    let rows = sqlx::query(include_str!("sql/task_children.sql"))
        .bind(parent.as_bytes().as_slice())
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("read a journal"))?;
    let node = |row| {
        let row = Columns(row);
        Ok(Node {
            id: row.id("id")?,
            is_operation: row.optional_count::<Op>("op")?.is_some(),
            key: row.get::<Option<String>>("step_key")?.unwrap_or_default(),
            state: row.word("state")?,
            arrival: row.optional_count("arrival")?,
        })
    };
    rows.iter().map(node).collect()
}
