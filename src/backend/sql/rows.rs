//! Reads records from rows, and makes columns of them.

use super::call::Call;
use super::row::Row;
use crate::codec;
use crate::model::{Execution, Id, Payload, ProgressEntry, Result, Signal, Task};

/// The column `id` of each.
pub(super) fn ids(rows: &[Row]) -> Result<Vec<Id>> {
    rows.iter().map(|row| row.id("id")).collect()
}

pub(super) fn task(row: &Row) -> Result<Task> {
    Ok(Task {
        id: row.id("id")?,
        execution_id: row.id("execution_id")?,
        step_name: row.string("step_name")?,
        kind: row.word("kind")?,
        parent_task_id: row.optional_id("parent_task_id")?,
        state: row.word("state")?,
        args: row.payload("args")?.unwrap_or_else(Payload::empty_array),
        kwargs: row.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
        retries: row.count("retries")?,
        created_at: row.time("created_at")?,
        tags: row.tags("tags")?,
        priority: row.int("priority")?,
        queue: row.optional_string("queue")?,
        retry_policy: row.optional_text("retry_policy")?.map(codec::policy_from_column).transpose()?,
        result: row.payload("result")?,
        error: row.failure("error")?,
        started_at: row.optional_time("started_at")?,
        completed_at: row.optional_time("completed_at")?,
        worker_id: row.optional_string("worker_id")?,
        lease_expires_at: row.optional_time("lease_expires_at")?,
        idempotency_key: row.optional_string("idempotency_key")?,
        scheduled_for: row.optional_time("scheduled_for")?,
        fence: row.count("fence")?,
        step_key: row.optional_string("step_key")?,
    })
}

/// Without progress.
pub(super) fn execution(row: &Row) -> Result<Execution> {
    Ok(Execution {
        id: row.id("id")?,
        root_function: row.string("root_function")?,
        state: row.word("state")?,
        args: row.payload("args")?.unwrap_or_else(Payload::empty_array),
        kwargs: row.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
        retries: row.count("retries")?,
        created_at: row.time("created_at")?,
        started_at: row.optional_time("started_at")?,
        completed_at: row.optional_time("completed_at")?,
        expiry_at: row.optional_time("expiry_at")?,
        progress: Vec::new(),
        tags: row.tags("tags")?,
        priority: row.int("priority")?,
        queue: row.optional_string("queue")?,
        result: row.payload("result")?,
        error: row.failure("error")?,
    })
}

pub(super) fn progress(row: &Row) -> Result<ProgressEntry> {
    Ok(ProgressEntry {
        step: row.string("step")?,
        status: row.word("status")?,
        started_at: row.optional_time("started_at")?,
        completed_at: row.optional_time("completed_at")?,
        detail: row.payload("detail")?,
    })
}

pub(super) fn signal(row: &Row) -> Result<Signal> {
    Ok(Signal {
        execution_id: row.id("execution_id")?,
        name: row.string("name")?,
        payload: row.payload("payload")?.unwrap_or_else(Payload::null),
        created_at: row.time("created_at")?,
        consumed: row.flag("consumed")?,
        consumed_at: row.optional_time("consumed_at")?,
        id: row.optional_string("id")?,
        sequence: row.count("sequence")?,
    })
}

/// `[]` and NULL are the same; NULL is shorter.
pub(super) fn args_column(args: &Payload) -> Option<&[u8]> {
    Some(args.as_bytes()).filter(|bytes| *bytes != b"[]")
}

/// `{}` and NULL are the same, as with [`args_column`].
pub(super) fn kwargs_column(kwargs: &Payload) -> Option<&[u8]> {
    Some(kwargs.as_bytes()).filter(|bytes| *bytes != b"{}")
}

/// A task's columns from `idempotency_key` to `error`, for what inserts whole records.
pub(super) fn add_request_and_outcome<'a>(call: &mut Call<'a>, task: &'a Task) {
    call.text(task.idempotency_key.as_deref())
        .text(task.queue.as_deref())
        .made(codec::tags_to_column(&task.tags))
        .made(task.retry_policy.as_ref().map(codec::policy_to_column))
        .bytes(args_column(&task.args))
        .bytes(kwargs_column(&task.kwargs))
        .payload(task.result.as_ref())
        .made_bytes(task.error.as_ref().map(codec::failure_to_column));
}
