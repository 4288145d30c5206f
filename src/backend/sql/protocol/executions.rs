//! The protocol's executions, with their progress.

use std::sync::Arc;

use super::super::database::Database;
use super::super::rows::{args_column, kwargs_column};
use super::super::session::Session;
use super::super::statements::{
    EXECUTION_EXISTS, EXECUTION_GET, EXECUTION_INSERT, EXECUTION_PROGRESS_APPEND, EXECUTION_ROOT, EXECUTION_UPDATE,
    EXECUTIONS_COUNT,
};
use super::super::store::Sql;
use super::super::tx::Tx;
use super::super::waits::WaitBook;
use super::super::{ends, list, moved, rows};
use super::tasks;
use crate::backend::decide::{self, End, Ending};
use crate::backend::{ExecutionFilter, Response};
use crate::codec;
use crate::model::{Error, Execution, ExecutionState, Id, ProgressEntry, Result, Status, Task};

pub(super) async fn create<D: Database>(store: &Sql<D>, execution: Execution) -> Result<Response> {
    decide::check_execution(&execution)?;
    store.write_exactly(execution, |tx, execution| Box::pin(insert_alone(tx, execution))).await?;
    Ok(Response::Nothing)
}

async fn insert_alone(tx: &mut Tx<'_>, execution: Arc<Execution>) -> Result<()> {
    insert(tx, &execution, None).await?;
    // Tasks that a tool has made before it can run from now on.
    tx.hint_work();
    Ok(())
}

pub(super) async fn create_with_root<D: Database>(
    store: &Sql<D>,
    execution: Execution,
    task: Task,
) -> Result<Response> {
    decide::check_execution(&execution)?;
    decide::check_task(&task)?;
    decide::check_root(&execution, &task)?;
    decide::check_runs(&execution, &task)?;
    store.write_exactly((execution, task), |tx, both| Box::pin(insert_both(tx, both))).await?;
    Ok(Response::Nothing)
}

async fn insert_both(tx: &mut Tx<'_>, both: Arc<(Execution, Task)>) -> Result<()> {
    let (execution, root) = both.as_ref();
    insert(tx, execution, Some(root.id)).await?;
    tasks::insert(tx, std::slice::from_ref(root)).await
}

async fn insert(tx: &mut Tx<'_>, execution: &Execution, root: Option<Id>) -> Result<()> {
    let mut call = EXECUTION_INSERT.call();
    call.id(execution.id)
        .text(execution.root_function.as_str())
        .id(root)
        .text(execution.state.as_str())
        .bytes(args_column(&execution.args))
        .bytes(kwargs_column(&execution.kwargs))
        .int(i64::from(execution.retries))
        .time(execution.created_at)
        .time(execution.started_at)
        .time(decide::completed_at(execution.state.is_terminal(), execution.completed_at, tx.now))
        .date(execution.expiry_at)
        .made(codec::tags_to_column(&execution.tags))
        .int(execution.priority)
        .text(execution.queue.as_deref())
        .payload(execution.result.as_ref())
        .made_bytes(execution.error.as_ref().map(codec::failure_to_column));
    tx.change(&call).await.map_err(|why| match why.status() {
        Status::Conflict => Error::conflict(format!(
            "create the execution: one with the id {} exists already; give it an id of its own",
            execution.id
        ))
        .with("execution_id", execution.id.to_string()),
        _ => why,
    })?;
    moved::refuse(tx, std::iter::once(execution.id)).await?;
    if let (Some(expiry_at), false) = (execution.expiry_at, execution.state.is_terminal()) {
        tx.hint_due(expiry_at);
    }
    append(tx, execution.id, &execution.progress).await
}

async fn append(tx: &mut Tx<'_>, execution: Id, progress: &[ProgressEntry]) -> Result<()> {
    let mut call = EXECUTION_PROGRESS_APPEND.call();
    for entry in progress {
        call.row()
            .id(execution)
            .text(entry.step.as_str())
            .text(entry.status.as_str())
            .time(entry.started_at)
            .time(entry.completed_at)
            .payload(entry.detail.as_ref());
    }
    tx.change(&call).await.map(drop)
}

pub(super) async fn append_progress<D: Database>(
    store: &Sql<D>,
    execution: Id,
    progress: ProgressEntry,
) -> Result<Response> {
    store.write_exactly((execution, progress), |tx, request| Box::pin(append_one(tx, request))).await?;
    Ok(Response::Nothing)
}

async fn append_one(tx: &mut Tx<'_>, request: Arc<(Id, ProgressEntry)>) -> Result<()> {
    let (execution, progress) = request.as_ref();
    require(tx, *execution).await?;
    append(tx, *execution, std::slice::from_ref(progress)).await
}

/// Refuses to write for an execution that does not exist: the row would never be cleaned up.
pub(super) async fn require(tx: &mut Tx<'_>, execution: Id) -> Result<()> {
    let row = tx.one(EXECUTION_EXISTS.call().id(execution)).await?;
    if row.flag("found")? { Ok(()) } else { Err(decide::unknown_execution(execution)) }
}

pub(super) async fn get<D: Database>(store: &Sql<D>, id: Id) -> Result<Response> {
    let found = store.read_together(id, |session, id| Box::pin(find(session, *id))).await?;
    Ok(Response::Execution(found.map(Box::new)))
}

async fn find(session: &mut dyn Session, id: Id) -> Result<Option<Execution>> {
    let Some(mut execution) = find_bare(session, id).await? else { return Ok(None) };
    execution.progress = list::stored_progress(session, id).await?;
    Ok(Some(execution))
}

/// Without progress.
async fn find_bare(session: &mut dyn Session, id: Id) -> Result<Option<Execution>> {
    session.find(EXECUTION_GET.call().id(id)).await?.as_ref().map(rows::execution).transpose()
}

pub(super) async fn update<D: Database>(store: &Sql<D>, execution: Execution) -> Result<Response> {
    decide::check_execution(&execution)?;
    store.write_exactly(execution, |tx, execution| Box::pin(replace(tx, execution))).await?;
    Ok(Response::Nothing)
}

async fn replace(tx: &mut Tx<'_>, new: Arc<Execution>) -> Result<()> {
    tx.lock_executions([new.id]).await?;
    let stored = find_bare(tx.session(), new.id).await?.ok_or_else(|| decide::unknown_execution(new.id))?;
    if stored.state.is_terminal() {
        let ends = [&stored, &*new].map(|e| (e.state, &e.result, &e.error));
        return decide::same_end("execution", new.id, ends[0], ends[1]);
    }
    decide::execution_may_become(new.id, stored.state, new.state)?;
    write(tx, &new).await?;
    if let (Some(expiry_at), false) = (new.expiry_at, new.state.is_terminal()) {
        tx.hint_due(expiry_at);
    }
    if new.state == ExecutionState::Cancelling && stored.state != ExecutionState::Cancelling {
        // The record stays as written until the next sweep cancels the tree.
        tx.hint_cancelling(new.id);
        tx.hint_due(tx.now);
    }
    if new.state.is_terminal() {
        tx.hint_ended(new.id);
        end_root(tx, new.id).await?;
    }
    Ok(())
}

async fn write(tx: &mut Tx<'_>, execution: &Execution) -> Result<()> {
    let mut call = EXECUTION_UPDATE.call();
    call.id(execution.id)
        .text(execution.state.as_str())
        .bytes(args_column(&execution.args))
        .bytes(kwargs_column(&execution.kwargs))
        .int(i64::from(execution.retries))
        .time(execution.started_at)
        .time(decide::completed_at(execution.state.is_terminal(), execution.completed_at, tx.now))
        .date(execution.expiry_at)
        .made(codec::tags_to_column(&execution.tags))
        .int(execution.priority)
        .text(execution.queue.as_deref())
        .payload(execution.result.as_ref())
        .made_bytes(execution.error.as_ref().map(codec::failure_to_column));
    tx.change(&call).await.map(drop)
}

/// Ends the root task, and with it the tree, of an execution that was ended through the protocol.
async fn end_root(tx: &mut Tx<'_>, execution: Id) -> Result<()> {
    let row = tx.one(EXECUTION_ROOT.call().id(execution)).await?;
    let Some(root) = row.optional_id("root_task_id")? else { return Ok(()) };
    let mut book = WaitBook::default();
    ends::finish(tx, &mut book, vec![End::now(root, None, Ending::Cancelled)]).await?;
    book.save(tx).await
}

pub(super) async fn list<D: Database>(
    store: &Sql<D>,
    limit: u32,
    offset: u32,
    state: Option<ExecutionState>,
) -> Result<Response> {
    let filter = ExecutionFilter { state, limit, offset, ..ExecutionFilter::default() };
    let found =
        store.read(filter, |session, filter| Box::pin(async move { list::executions(session, &filter).await })).await?;
    Ok(Response::Executions(found))
}

pub(super) async fn count<D: Database>(store: &Sql<D>, state: Option<ExecutionState>) -> Result<Response> {
    let count = store.read(state, |session, state| Box::pin(count_stored(session, *state))).await?;
    Ok(Response::Count(count))
}

async fn count_stored(session: &mut dyn Session, state: Option<ExecutionState>) -> Result<u64> {
    session.one(EXECUTIONS_COUNT.call().text(state.map(ExecutionState::as_str))).await?.count("count")
}
