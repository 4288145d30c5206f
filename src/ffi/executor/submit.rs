//! Any of the above without blocking: the answer comes to a poller.

use std::ffi::c_char;
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::{ExecutorObject, stent_executor};
use crate::backend::ScheduleChange;
use crate::codec::{self, Submission};
use crate::executor::Worker;
use crate::ffi::plumbing::{borrow, guard, optional, runtime, text};
use crate::ffi::poller::{PollerObject, stent_poller};
use crate::ffi::{stent_error, stent_status};
use crate::model::{Error, Result, StatsFormat, Status};

/// Starts an operation of the executor and returns at once; the answer comes to the poller, as exactly one "reply" event
/// with this tag. operation and request, a JSON object (NULL: {}): as "submissions" in stent_describe lists them; dispatch,
/// dispatch_many, wait, result, state, list, stats, signal, cancel, dead_letters, replay_dead_letter,
/// discard_dead_letter, resume, pause, unpause, pauses, cleanup, schedule_put, schedule_list, schedule_delete,
/// schedule_pause, schedule_resume, schedule_trigger, schedule_backfill, backend_call, stop_worker, wait_worker. Each does
/// what the function of its name does, and answers with its JSON (an id as a JSON string, nothing as null).
///
/// A request that is wrong is refused here, and makes no event. The executor and the poller may be freed meanwhile; with
/// the poller the answer is lost. Any thread; never blocks. STENT_E_INVALID: no such operation, or a wrong request.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_executor_submit(
    executor: *mut stent_executor,
    operation: *const c_char,
    request: *const c_char,
    poller: *mut stent_poller,
    tag: u64,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let (operation, request) = unsafe { (text(operation, "operation")?, optional(request, "request")?) };
        submit(executor, operation, request, poller, tag)
    })
}

pub(super) fn submit(
    executor: Arc<ExecutorObject>,
    operation: &str,
    request: Option<&str>,
    poller: *mut stent_poller,
    tag: u64,
) -> Result<()> {
    let submission = codec::submission(operation, request)?;
    let queue = Arc::clone(borrow::<PollerObject>(poller)?.queue());
    executor.open()?;
    let runtime = runtime::handle()?;
    let waits =
        matches!(submission, Submission::Wait { .. } | Submission::Result { .. } | Submission::WaitWorker { .. });
    let (number, given_up) = queue.submit(tag)?;
    let mut work = runtime.spawn(async move { perform(&executor, submission).await }.boxed());
    runtime.spawn(
        async move {
            let answer = tokio::select! {
                biased;
                answer = &mut work => answer.unwrap_or_else(|why| Err(Error::new(Status::Panic, why.to_string()))),
                // What only waits has no effect to be finished.
                _either = given_up => {
                    if waits {
                        work.abort();
                    }
                    Err(Error::new(Status::Cancelled, "the submission was given up"))
                }
            };
            queue.reply(tag, number, answer);
        }
        .boxed(),
    );
    Ok(())
}

/// Gives up waiting for the answers to what was submitted to this poller with this tag: they are STENT_E_CANCELLED, soon.
/// A dispatch, a signal or the like that has begun still happens. The executor is that of the submission. Any thread.
/// STENT_E_NOT_FOUND: nothing of this tag is outstanding.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_executor_submit_cancel(
    executor: *mut stent_executor,
    poller: *mut stent_poller,
    tag: u64,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        borrow::<ExecutorObject>(executor)?;
        let poller = borrow::<PollerObject>(poller)?;
        if poller.queue().give_up(tag) {
            return Ok(());
        }
        Err(Error::not_found(format!("submit_cancel: nothing that was submitted with the tag {tag} is outstanding")))
    })
}

/// The answer as JSON.
async fn perform(object: &ExecutorObject, submission: Submission) -> Result<String> {
    let executor = object.open()?;
    let null = |()| "null".to_owned();
    match submission {
        Submission::Dispatch(request) => {
            let started = executor.dispatch(&request.function, request.args, request.options).await?;
            Ok(codec::to_json(&started))
        }
        Submission::DispatchMany(requests) => executor.dispatch_many(requests).await.map(|ids| codec::to_json(&ids)),
        Submission::Wait { execution, timeout } => {
            let wait = executor.wait(execution, timeout);
            object.store().unless_closed(wait).await.map(|snapshot| codec::to_json(&snapshot))
        }
        Submission::Result { execution, timeout } => {
            let wait = executor.result(execution, timeout);
            object.store().unless_closed(wait).await.map(|result| codec::to_json(&result))
        }
        Submission::State(execution) => executor.state(execution).await.map(|snapshot| codec::to_json(&snapshot)),
        Submission::List(filter) => executor.list(filter).await.map(|found| codec::to_json(&found)),
        Submission::Stats(options) => executor.stats().await.map(|stats| match options.format {
            StatsFormat::Json => codec::to_json(&stats),
            StatsFormat::Prometheus => codec::to_json(&stats.to_prometheus()),
        }),
        Submission::Signal(signal) => executor.signal(signal).await.map(null),
        Submission::Cancel { execution, reason } => executor.cancel(execution, reason).await.map(null),
        Submission::DeadLetters(filter) => executor.dead_letters(filter).await.map(|found| codec::to_json(&found)),
        Submission::ReplayDeadLetter(task) => executor.replay_dead_letter(task).await.map(|ids| codec::to_json(&ids)),
        Submission::DiscardDeadLetter(task) => executor.discard_dead_letter(task).await.map(null),
        Submission::Resume(task) => executor.resume(task).await.map(null),
        Submission::Pause(pause) => executor.pause(pause).await.map(null),
        Submission::Unpause(what) => executor.unpause(what).await.map(null),
        Submission::Pauses => executor.pauses().await.map(|pauses| codec::to_json(&pauses)),
        Submission::Cleanup(options) => executor.cleanup(options).await.map(|cleaned| codec::to_json(&cleaned)),
        Submission::SchedulePut(schedule) => executor.put_schedule(*schedule).await.map(null),
        Submission::ScheduleList(filter) => executor.schedules(filter).await.map(|found| codec::to_json(&found)),
        Submission::ScheduleChange { name, change } => {
            let tells = matches!(change, ScheduleChange::Trigger { .. } | ScheduleChange::Backfill { .. });
            let ticks = executor.change_schedule(&name, change).await?;
            Ok(if tells { codec::to_json(&ticks) } else { null(()) })
        }
        Submission::BackendCall { operation, .. } if operation == "close" => {
            Err(Error::invalid("backend_call: a store is closed by stent_backend_close"))
        }
        Submission::BackendCall { operation, request } => {
            codec::operations::call(object.store().backend()?.as_ref(), &operation, Some(&request)).await
        }
        Submission::StopWorker { worker_id, timeout } => worker(object, &worker_id)?.stop(timeout).await.map(null),
        Submission::WaitWorker { worker_id, state, timeout } => {
            worker(object, &worker_id)?.wait_state(state.parse()?, timeout).await.map(null)
        }
    }
}

fn worker(object: &ExecutorObject, worker_id: &str) -> Result<Worker> {
    let mut workers = object.open()?.workers().into_iter();
    // A stopped one may have had the name before.
    let found = workers.rfind(|worker| worker.worker_id() == worker_id);
    found.ok_or_else(|| {
        Error::not_found(format!("this executor has no worker of the id '{worker_id}'")).with("worker_id", worker_id)
    })
}
