//! The table of the engine's operations.

use super::operations::{NULL, Operation, one, one_or_null, operations};
use super::{Field, Kind, optional, required};

const STRINGS: Kind = Kind::ListOf(&Kind::String);
const IDS: Kind = Kind::ListOf(&Kind::Id);
const EXECUTION: Kind = Kind::Named("execution");
const WORKER_ID: Field = required("worker_id", Kind::String, "The worker.");
const EXECUTION_ID: Field = required("execution_id", Kind::Id, "The execution.");
const TASK_ID: Field = required("task_id", Kind::Id, "The task.");

operations! {
    dispatch [required("executions", Kind::ListOf(&Kind::Named("new_execution")), "What to start, in order.")]
        -> one(IDS),
        "Starts executions with their root tasks, in one transaction. Where an idempotency key of the same function is \
         held by another execution's root (going on or completed), that execution's id is the answer.";
    register_worker [required("worker", Kind::Named("new_worker"), "The worker and its functions.")] -> NULL,
        "Makes a worker and its functions known; wakes tasks that are parked for another version of them. Again for \
         the same worker: replaces.";
    remove_worker [WORKER_ID] -> NULL,
        "The worker is gone: what waits for it alone goes to everyone. Unknown: no error.";
    advance [
        required("transitions", Kind::ListOf(&Kind::Named("transition")), "What a worker says of tasks that it holds."),
        optional("claim", Kind::Named("claim"), "null", "What it wants; null: nothing."),
    ] -> one(Kind::Named("advanced")),
        "Records transitions, each with its own verdict, and claims: in this order, in one transaction. Writes nothing \
         for a task whose fence is another; claims nothing of an execution that is being cancelled or has expired, and nothing that \
         the registered worker can't run; what it can't run hides nothing that it can.";
    journals [required("requests", Kind::ListOf(&Kind::Named("journal_request")), "Of which tasks, from where.")]
        -> one(Kind::ListOf(&Kind::ListOf(&Kind::Named("journal_entry")))),
        "Journals in the order of the requests; entries by operation number.";
    cached [required("keys", STRINGS, "Keys of the cache.")] -> one(Kind::ListOf(&Kind::Named("found"))),
        "What is kept for these keys, in order; null for one that is absent or past its time.";
    renew [required("renew", Kind::Named("renew"), "A worker and what it holds.")] -> one(Kind::Named("renewed")),
        "Renews all leases of a worker.";
    sweep [WORKER_ID] -> one(Kind::Named("swept")),
        "Takes what is due, in bounded batches: timers, delays, ended leases, expiries, cancelled trees.";
    cancel [EXECUTION_ID, optional("reason", Kind::String, "null", "Why.")] -> NULL,
        "Turns the execution to cancelling in one commit. Unknown: not found. Already over: conflict.";
    signal [required("signal", Kind::Named("new_signal"), "What is sent.")] -> NULL,
        "Appends a signal and hands it to the oldest wait for its name, in one transaction. Unknown execution: not \
         found. Ended: conflict.";
    ended_among [required("executions", IDS, "Which to look at.")] -> one(IDS), "Those that are over.";
    cancelled_among [required("executions", IDS, "Which to look at.")] -> one(IDS),
        "Those that are being cancelled, or over.";
    snapshot [EXECUTION_ID] -> one_or_null(Kind::Named("snapshot")), "An execution as the outside sees it, or null.";
    list [required("filter", Kind::Named("execution_filter"), "Which.")] -> one(Kind::ListOf(&EXECUTION)),
        "Newest first, ties by id; without progress.";
    dead_letters [required("filter", Kind::Named("dead_letter_filter"), "Which.")]
        -> one(Kind::ListOf(&Kind::Named("dead_letter"))), "Newest first, ties by id.";
    replay_dead_letter [TASK_ID, required("new_execution_id", Kind::Id, "The id of the fork.")]
        -> one(Kind::Named("replayed")),
        "Starts a fork of the dead letter's execution: the journal up to the failure, without the failed path from the \
         letter to the root. Takes the letter away.";
    resume [TASK_ID] -> NULL, "A parked task goes on. Not parked: conflict.";
    stats [] -> one(Kind::Named("store_stats")), "Counts of the whole store.";
    pause [
        optional("queue", Kind::String, "null", "The queue; or else"),
        optional("function", Kind::String, "null", "The function."),
        optional("reason", Kind::String, "null", "Why, for people."),
        optional("by", Kind::String, "null", "Who wants it, for people."),
    ] -> NULL,
        "When it has answered, no task of the queue or the function is claimed any more; also none that was suspended and is \
         woken. What is held goes on. Again: the reason is replaced. A store that can't pause leaves this one out, and the \
         next two.";
    unpause [
        optional("queue", Kind::String, "null", "The queue; or else"),
        optional("function", Kind::String, "null", "The function."),
    ] -> NULL, "Its tasks are claimed again. Not paused: not found.";
    pauses [] -> one(Kind::ListOf(&Kind::Named("pause"))), "What is paused: queues first, by name, then functions.";
    slot_waits [EXECUTION_ID, required("limit", Kind::Integer, "At most so many.")]
        -> one(Kind::ListOf(&Kind::Named("slot_wait"))),
        "The execution's tasks that wait for a slot or a token of their key, in order of creation: for who asks why it does \
         not go on. A store without key_limits and rates among its features leaves this one out.";
    put_schedules [
        required("schedules", Kind::ListOf(&Kind::Named("schedule")), "No two of one name."),
        optional("only_of", Kind::String, "null", "Of this owner there are no others afterwards."),
    ] -> NULL,
        "Puts schedules, all or none. One that is there already keeps its pause, and its next tick unless its times have \
         changed; an equal one changes nothing. A store that keeps no schedules leaves this one out, and the next two.";
    schedules [required("filter", Kind::Named("schedule_filter"), "Which.")]
        -> one(Kind::ListOf(&Kind::Named("kept_schedule"))), "By name.";
    change_schedule [
        required("name", Kind::String, "The schedule."),
        required("change", Kind::Named("schedule_change"), "What is done to it."),
    ] -> one(Kind::ListOf(&Kind::Named("tick"))),
        "Answers with what became of the ticks that it has made, in the order of their times. Unknown: not found.";
    wait_for_work [required("timeout", Kind::Duration, "The longest wait, in seconds.")]
        -> one(Kind::ListOf(&Kind::Named("notice"))),
        "Hints: something may have changed. Answers when there is one, or with none when the time is up. A store that \
         has no hints leaves this one out, and is asked at intervals.";
}
