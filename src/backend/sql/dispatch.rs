//! Inserts new executions with their root tasks.

use super::ends;
use super::idempotency;
use super::insert::{self, NewTask};
use super::moved;
use super::rows::{args_column, kwargs_column};
use super::statements::{EXECUTIONS_INSERT_MANY, EXECUTIONS_SAME};
use super::tx::Tx;
use super::unique;
use super::waits::WaitBook;
use crate::backend::NewExecution;
use crate::backend::decide::{Asked, End, Ending, Reservation, root_task_id};
use crate::codec;
use crate::model::{
    Error, ExecutionState, Id, KeyReuse, Payload, Result, TaskKind, TaskState, Timestamp, execution_id,
};

/// A random id for an execution that the store itself starts.
pub(super) fn draw_id(now: Timestamp) -> Id {
    execution_id(now, rand::random())
}

/// Starts executions and returns their ids. For one whose idempotency key or unique key another execution has, the id is
/// that of the other.
pub(super) async fn insert(tx: &mut Tx<'_>, executions: &[NewExecution]) -> Result<Vec<Id>> {
    insert_all(tx, executions, false).await
}

/// Repeats `insert` after its commit's answer was lost: executions that exist were started by that commit.
pub(super) async fn insert_again(tx: &mut Tx<'_>, executions: &[NewExecution]) -> Result<Vec<Id>> {
    insert_all(tx, executions, true).await
}

async fn insert_all(tx: &mut Tx<'_>, executions: &[NewExecution], again: bool) -> Result<Vec<Id>> {
    let keyed = |new: &NewExecution| {
        let function = tx.catalog.function(&new.function).or(new.registered.as_deref());
        let options = &new.options;
        options.idempotency_key.is_some()
            || options.unique_key.is_some()
            || function.is_some_and(|function| function.idempotent)
    };
    if !executions.iter().any(keyed) {
        return insert_set(tx, executions, again).await;
    }
    unique::hold(tx, executions).await?;
    let wanted = executions.iter().map(|new| idempotency::Wanted {
        function: &new.function,
        key: new.options.idempotency_key.as_deref(),
        args_hash: Some(&new.args_hash),
        registered: new.registered.as_deref(),
    });
    idempotency::hold(tx, wanted.collect()).await?;
    // One by one: the second of two with the same key must find the first.
    let mut ids = Vec::with_capacity(executions.len());
    for new in executions {
        ids.extend(insert_set(tx, std::slice::from_ref(new), again).await?);
    }
    Ok(ids)
}

/// Are all executions that should have been inserted there, with the same function and arguments?
async fn are_there(tx: &mut Tx<'_>, executions: &[NewExecution], answers: &[Id]) -> Result<bool> {
    let empty = Payload::empty_object();
    let mut call = EXECUTIONS_SAME.call();
    for (new, _) in executions.iter().zip(answers).filter(|(new, answer)| new.id == **answer) {
        let kwargs = new.options.kwargs.as_ref().unwrap_or(&empty);
        call.row().id(new.id).text(new.function.as_str()).bytes(args_column(&new.args)).bytes(kwargs_column(kwargs));
    }
    let wanted = call.len() as i64;
    let found = tx.find(&call).await?;
    Ok(found.is_some_and(|row| row.int("count").is_ok_and(|count| count == wanted)))
}

async fn execution_of(tx: &mut Tx<'_>, root: Option<Id>) -> Result<Option<Id>> {
    match root {
        Some(root) => idempotency::root_execution(tx, root).await,
        None => Ok(None),
    }
}

async fn insert_set(tx: &mut Tx<'_>, executions: &[NewExecution], again: bool) -> Result<Vec<Id>> {
    let mut answers = Vec::with_capacity(executions.len());
    let mut call = EXECUTIONS_INSERT_MANY.call();
    let mut roots = Vec::with_capacity(executions.len());
    let mut done = Vec::new();
    let empty = Payload::empty_object();
    for new in executions {
        let options = &new.options;
        // What that commit has started may have ended since, and the key be another's.
        if again && options.unique_key.is_some() && are_there(tx, std::slice::from_ref(new), &[new.id]).await? {
            answers.push(new.id);
            continue;
        }
        let asked = Asked {
            function: &new.function,
            options: &options.task,
            idempotency_key: options.idempotency_key.as_deref(),
            reuse: options.idempotency_reuse,
            cache_key: None,
            args_hash: Some(&new.args_hash),
            registered: new.registered.as_deref(),
        };
        let mut run = insert::resolve(tx, &asked).await?;
        if options.debounce.is_some() && (run.cache_key.is_some() || run.idempotency_key.is_some()) {
            return Err(unique::keeps_by_arguments(&new.function));
        }
        let root = root_task_id(new.id);
        let mut state = TaskState::Pending;
        let mut owns = false;
        if let Some(key) = &run.idempotency_key {
            match insert::reserve(tx, &asked, key, root).await? {
                Reservation::Owner => owns = true,
                Reservation::Over { owner } => {
                    if let Some(execution) = execution_of(tx, Some(owner)).await? {
                        answers.push(execution);
                        continue;
                    }
                    // A call had it, which leads to no execution of its own.
                    let asked = Asked { reuse: KeyReuse::AfterFailure, ..asked };
                    insert::reserve(tx, &asked, key, root).await?;
                    owns = true;
                }
                Reservation::Done { owner, result } => {
                    if let Some(execution) = execution_of(tx, owner).await? {
                        answers.push(execution);
                        continue;
                    }
                    done.push(End::now(root, None, Ending::Completed(result)));
                }
                Reservation::Join { owner } => {
                    if let Some(execution) = execution_of(tx, Some(owner)).await? {
                        answers.push(execution);
                        continue;
                    }
                    run.joins = Some(owner);
                    state = TaskState::Waiting;
                }
            }
        }
        if let Some(execution) = unique::take(tx, new, again).await? {
            if let Some(key) = run.idempotency_key.as_deref().filter(|_| owns) {
                unique::give_back(tx, &new.function, key, root).await?;
            }
            answers.push(execution);
            continue;
        }
        answers.push(new.id);
        let now = tx.now;
        let due_at = options.wait().map(|wait| now.after(wait));
        let expiry_at = options.expiry_at(now);
        if let Some(expiry_at) = expiry_at {
            tx.hint_due(expiry_at);
        }
        let kwargs = options.kwargs.as_ref().unwrap_or(&empty);
        let created_at = tx.next_time();
        call.row()
            .id(new.id)
            .text(new.function.as_str())
            .id(root)
            .text(ExecutionState::Pending.as_str())
            .int(run.priority)
            .time(created_at)
            .due(expiry_at)
            .text(options.on_cancel.as_deref())
            .text(options.traceparent.as_deref())
            .made(run.queue.clone())
            .made(codec::tags_to_column(&run.tags))
            .bytes(args_column(&new.args))
            .bytes(kwargs_column(kwargs));
        roots.push(NewTask {
            id: root,
            execution: new.id,
            parent: None,
            op: None,
            name: &new.function,
            key: None,
            kind: TaskKind::Orchestrator,
            state,
            due_at: due_at.filter(|_| state == TaskState::Pending),
            run: Some(run),
            arrival: None,
            started_at: None,
            completed_at: None,
            args: &new.args,
            kwargs,
            result: None,
            error: None,
        });
    }
    let wanted = call.len() as u64;
    let inserted = tx.change(&call).await?;
    if again && wanted > 0 && inserted == 0 && are_there(tx, executions, &answers).await? {
        return Ok(answers);
    }
    if inserted < wanted {
        moved::refuse(tx, executions.iter().map(|new| new.id)).await?;
        return Err(Error::conflict(
            "dispatch: an execution with one of the given ids exists already; nothing was started",
        ));
    }
    // Of ids that others know one may have left while it was waited for: only a later statement sees that.
    let known = executions.iter().filter(|new| again || new.options.id.is_some()).map(|new| new.id);
    moved::refuse(tx, known).await?;
    insert::insert(tx, &roots).await?;
    let mut book = WaitBook::default();
    ends::finish(tx, &mut book, done).await?;
    book.save(tx).await?;
    Ok(answers)
}
