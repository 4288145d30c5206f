//! Replays a dead letter: a new execution with the journal up to the failure. The failed path, from the letter's task
//! to the root, runs again; recorded operations beside it are copied, under ids that follow from the new root.

use super::ended::execution_state;
use super::row::Row;
use super::rows;
use super::statements::{
    COUNTERS_FORK, DEAD_LETTER_DELETE, EXECUTION_FORK, EXECUTION_REPLAY_OF, PROGRESS_FORK, SIGNALS_FORK, STATE_FORK,
    TASK_CHILDREN, TASK_GET, TASK_PATH, TASKS_FORK, WAITS_FORK,
};
use super::tx::Tx;
use crate::backend::Replayed;
use crate::backend::decide::{self, Node, root_task_id};
use crate::model::{Error, Id, Result};

/// Repeats [`replay`] after its commit's answer was lost.
pub(super) async fn replay_again(tx: &mut Tx<'_>, letter: Id, execution: Id) -> Result<Replayed> {
    match tx.find(EXECUTION_REPLAY_OF.call().id(execution)).await? {
        Some(row) => Ok(Replayed { execution, replay_of: row.id("replay_of")? }),
        None => replay(tx, letter, execution).await,
    }
}

pub(super) async fn replay(tx: &mut Tx<'_>, letter: Id, execution: Id) -> Result<Replayed> {
    if tx.change(DEAD_LETTER_DELETE.call().id(letter)).await? == 0 {
        return Err(Error::not_found(format!("replay: there is no dead letter of task {letter}")));
    }
    let gone = || Error::not_found(format!("replay: task {letter} or its execution were cleaned up; dispatch anew"));
    if let Some(row) = tx.find(TASK_GET.call().id(letter)).await? {
        decide::may_replay(&rows::task(&row)?)?;
    }
    if execution_state(tx.session(), execution).await?.is_some() {
        return Err(Error::conflict(format!(
            "replay: there is an execution {execution} already; give the new one another id"
        )));
    }
    let found = tx.fetch(TASK_PATH.call().id(letter)).await?;
    let mut above = Vec::with_capacity(found.len());
    let mut replay_of = None;
    for row in &found {
        let id = row.id("id")?;
        above.push((id, row.optional_id("parent_task_id")?));
        if id == letter {
            replay_of = Some(row.id("execution_id")?);
        }
    }
    let replay_of = replay_of.ok_or_else(gone)?;
    let path = decide::path(letter, &above).ok_or_else(|| decide::no_root(letter))?;
    let mut fork = EXECUTION_FORK.call();
    if tx.change(fork.id(replay_of).id(execution).id(root_task_id(execution)).due(tx.now)).await? == 0 {
        return Err(gone());
    }
    copy_journals(tx, &path, execution).await?;
    for statement in [&SIGNALS_FORK, &COUNTERS_FORK, &STATE_FORK, &PROGRESS_FORK] {
        tx.change(statement.call().id(replay_of).id(execution)).await?;
    }
    tx.hint_work();
    Ok(Replayed { execution, replay_of })
}

async fn copy_journals(tx: &mut Tx<'_>, path: &[Id], execution: Id) -> Result<()> {
    let mut journals = Vec::with_capacity(path.len());
    for parent in path {
        let children = tx.fetch(TASK_CHILDREN.call().id(*parent)).await?;
        journals.push(children.iter().map(node).collect::<Result<Vec<Node>>>()?);
    }
    let copied = decide::copies(execution, path, &journals);
    let mut call = TASKS_FORK.call();
    for copy in &copied {
        call.row().id(copy.id).id(copy.new_id).id(copy.new_parent).flag(copy.again).int(copy.opened.map(i64::from));
    }
    tx.change(call.id(execution).time(tx.now)).await?;
    let on_path = copied.iter().filter(|copy| copy.again).map(|copy| copy.new_id);
    tx.change(&WAITS_FORK.call().ids(on_path)).await.map(drop)
}

fn node(row: &Row) -> Result<Node> {
    Ok(Node {
        id: row.id("id")?,
        op: row.optional_count("op")?,
        key: row.optional_string("step_key")?.unwrap_or_default(),
        state: row.word("state")?,
        arrival: row.optional_count("arrival")?,
    })
}
