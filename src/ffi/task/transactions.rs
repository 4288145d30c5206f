//! Steps that run in a transaction of the handler's own, with their record.

use std::ffi::c_char;
use std::ptr;

use super::{on_task, stent_task};
use crate::codec;
use crate::ffi::plumbing::{lossy, optional, required, text, write, write_text};
use crate::ffi::{stent_error, stent_status};
use crate::model::Failure;

/// Begins a step that runs in a transaction of the handler's own, on the store's database, by a connection and driver of
/// its own: the step's record is written in it, so what it does there is done exactly once. `*token` NULL: it is recorded
/// already; take its result by stent_task_result(op). Else begin the transaction, do the work, say
/// `SELECT stent.record_step(token, result)` in it as its last statement (PostgreSQL, in the store's schema; on SQLite the
/// extension's `stent_record_step(token, result)`; the result is JSON), commit, and call stent_task_transaction_end,
/// whatever became of it. `*token` is text, to be freed with stent_free. options: key; NULL for none. docs/sql.md and
/// docs/sql-sqlite.md show it.
///
/// Until then no other durable operation of the task begins (STENT_E_INVALID), but in a poller's host: it would wait for a
/// commit of the store's, which the transaction may keep waiting.
///
/// Any thread that may block. Statuses as for stent_task_call; STENT_E_UNSUPPORTED: the store is one that the user
/// writes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_transaction_begin(
    task: *mut stent_task,
    name: *const c_char,
    options: *const c_char,
    op: *mut u32,
    token: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let (name, options) = unsafe { (text(name, "name")?, optional(options, "options")?) };
        let options = codec::options::step(options)?;
        required(op, "op")?;
        required(token, "token")?;
        let begun = task.transaction_begin(name, options.key.as_deref())?;
        // SAFETY: writable, by the header's convention.
        unsafe {
            write(op, begun.op);
            match begun.token {
                Some(made) => write_text(token, &made)?,
                None => write(token, ptr::null_mut()),
            }
        }
        Ok(())
    })
}

/// Ends a step whose transaction is over: committed, rolled back, or nobody knows. The store is asked: where it has the
/// step's record, the step has completed with it. Else the step ends with `failure` (NULL: one of type "NotRecorded"), as
/// by stent_task_step_end, and a commit that is still on its way fails. Which it is stent_task_result(op) tells; a
/// poller's task hears it from the "op" event that it asked for by stent_task_notify.
///
/// Any thread that may block. Statuses as for stent_task_call; STENT_E_LEASE_LOST: nothing is recorded but what the
/// transaction has.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_task_transaction_end(
    task: *mut stent_task,
    op: u32,
    failure: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    on_task(task, error, |task| {
        // SAFETY: text or NULL, by the header's convention.
        let failure = unsafe { lossy(failure) };
        let failure = match failure.as_deref() {
            Some(failure) => codec::failure_from_text(failure)?,
            None => Failure::new("NotRecorded", "the step's transaction has not recorded it"),
        };
        task.transaction_end(op, failure)
    })
}
