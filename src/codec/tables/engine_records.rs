//! The table of the records in the engine's operations.

use super::objects::QUEUE_RATES;
use super::records::Record;
use super::{Field, Kind, optional, required};
use crate::model::{HoldOf, TaskKind, TaskState, TickKind, TickState, WaitMode};

const STRINGS: Kind = Kind::ListOf(&Kind::String);
const IDS: Kind = Kind::ListOf(&Kind::Id);
const SPAWNS: Kind = Kind::ListOf(&Kind::Named("spawn"));
const FAILURE: Field = required("failure", Kind::Named("failure"), "Why.");
const WORKER_ID: Field = required("worker_id", Kind::String, "The worker.");
const LEASE: Field = required("lease", Kind::Duration, "How long from now, in seconds.");
const OP: Field = required("op", Kind::Integer, "The operation's number within its task, from 1.");
const ID: Field = required("id", Kind::Id, "Its identity.");
const FENCE: Field = required("fence", Kind::Integer, "That of the claim by which the worker holds it.");

const fn member(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    required(name, kind, doc)
}

macro_rules! records {
    ($($name:literal, $doc:literal [$($field:expr),* $(,)?];)*) => {
        /// In the order of their use.
        pub(crate) const ENGINE_RECORDS: &[Record] =
            &[$(Record { name: $name, doc: $doc, fields: &[$($field),*] }),*];
    };
}

records! {
    "new_execution", "A dispatch. What its options leave out is as the function says that a worker has registered; where none \
                      has, as registered says; else the default." [
        required("id", Kind::Id, "Drawn by the executor, or the caller's own. An existing id is a conflict."),
        required("function", Kind::String, "The function."),
        required("args", Kind::Array, "Arguments."),
        required("options", Kind::Named("dispatch"), "See dispatch."),
        required("args_hash", Kind::String,
            "SHA-256 of the canonical arguments, 64 hexadecimal digits: tells uses of an idempotency key apart."),
        optional("registered", Kind::Named("function"), "null",
            "What the dispatching executor has registered of the function: it counts where no worker has registered one of \
             that name."),
    ];
    "new_worker", "A worker as it presents itself." [
        WORKER_ID,
        required("queues", STRINGS, "The queues it takes tasks from, beside tasks without one; empty: every queue."),
        required("tags", STRINGS, "The tags of which it takes tasks, beside tasks without one; empty: every tag."),
        required("functions", Kind::ListOf(&Kind::Named("new_function")), "What it can run."),
        optional("queue_rates", QUEUE_RATES, "{}",
            "By queue, how often tasks start there, in all workers, from now on; null: as often as there are some. Of others \
             nothing changes. Only a store with rates among its features is given any."),
    ];
    "new_function", "A function as a worker declares it." [
        required("name", Kind::String, "Its name."),
        required("options", Kind::Named("function"), "See function."),
    ];
    "claim", "What a claim asks for." [
        WORKER_ID,
        required("count", Kind::Integer, "At most so many tasks of functions without a limit."),
        required("limited", Kind::Integer, "At most so many tasks of functions with a max_concurrent."),
        required("begin", Kind::Integer,
            "The best so many of them begin at once, those with a max_concurrent first: their bodies are taken to have begun."),
        required("slots", Kind::Integer, "At most so many bodies run at once where they begin."),
        LEASE,
    ];
    "claimed", "A task that a worker holds from now on." [
        required("task", Kind::Named("task"), "The record, with the new fence."),
        required("run", Kind::Integer, "Counts the times it was started over: part of every child's identity."),
        required("ops", Kind::Integer, "Durable operations it has issued so far; 0: there is no journal to load."),
        required("effects", Kind::Integer, "Progress lines, counter additions and state values recorded so far; 0 while ops is."),
        optional("opened", Kind::Integer, "null", "The first operation of its journal that was opened again."),
        optional("heartbeat", Kind::Any, "null", "What its handler last said of its work."),
        required("crashes", Kind::Integer, "Workers in a row that died while they ran it alone."),
        required("deaths", Kind::Integer, "Workers that died after its body had begun."),
        optional("snoozes", Kind::Integer, "0", "How often it said \"not now\" so far."),
        optional("first_started_at", Kind::Time, "null",
            "When its first attempt began, this one or another; null: counted from this one. max_elapsed is counted from it."),
        optional("begun", Kind::Integer, "null",
            "Its body is taken to have begun, where at most so many run at once; null: its worker says so when it has."),
        optional("company", Kind::Integer, "null",
            "A suspect: it runs where at most so many bodies run at once, and that it begins is recorded before it does."),
        optional("deadline", Kind::Time, "null", "When this attempt is over, if the call has a timeout."),
        optional("cache", Kind::Named("cache_slot"), "null", "Where a result of this call may be found, and is kept."),
        optional("traceparent", Kind::String, "null", "As the dispatch said."),
        optional("cleanup", Kind::Integer, "null",
            "Of a root whose execution cleans up: the last operation that it had issued when the cleanup began."),
        required("claimed_at", Kind::Time, "The store's clock at the claim."),
    ];
    "cache_slot", "Where a result is kept." [
        required("key", Kind::String, "The key."),
        optional("ttl", Kind::Duration, "null", "How long; null: for ever."),
    ];
    "transition", "What a worker says of a task that it holds: commands, then what becomes of it. All or nothing." [
        required("held", Kind::Named("held"), "Which task, by which claim."),
        required("commands", Kind::Named("commands"), "What is recorded beside."),
        required("outcome", Kind::Named("outcome"), "What becomes of the task."),
    ];
    "held", "A task under a lease." [
        required("task_id", Kind::Id, "The task."),
        required("execution_id", Kind::Id, "Its execution."),
        optional("parent_task_id", Kind::Id, "null", "Its parent."),
        FENCE,
    ];
    "commands", "What a handler did since the last transition." [
        optional("spawns", SPAWNS, "[]", "New operations, in order of issue."),
        optional("cancels", Kind::ListOf(&Kind::Named("cancel_op")), "[]", "Operations to be cancelled."),
        optional("progress", Kind::ListOf(&Kind::Named("progress")), "[]", "Lines of progress."),
        optional("counters", Kind::ListOf(&Kind::Array), "[]", "Pairs of a name and a number to add."),
        optional("state", Kind::ListOf(&Kind::Array), "[]", "Pairs of a key and a value."),
        optional("heartbeat", Kind::Any, "null", "For the task's next attempt; the last one stands."),
        optional("begun", Kind::Integer, "null",
            "Its body has begun, or does when this is recorded, where at most so many bodies run at once."),
        optional("holds", Kind::ListOf(&Kind::Named("hold")), "[]",
            "Whose starts wait, from when this is recorded. Only a store with rates among its features is given any."),
        optional("from", Kind::Named("extent"), "null",
            "How far the task's record went before, by the sender's count. Where it goes further, these are in it already; \
             null: they are never said again."),
    ];
    "hold", "Nobody of these starts for so long: a longer one that is there stays." [
        required("of", Kind::Word(HoldOf::WORDS), "All calls of the task's function with its concurrency_key, or all of the function."),
        required("delay", Kind::Duration, "How long, by the store's clock."),
    ];
    "extent", "How far a task's record goes." [
        required("ops", Kind::Integer, "As in claimed."),
        required("effects", Kind::Integer, "As in claimed."),
    ];
    "cancel_op", "An operation that is over, whatever comes later." [OP, ID];
    "spawn", "A new durable operation." [
        required("id", Kind::Id, "Follows from task, run and key. Already there: the same command committed before."),
        OP,
        required("key", Kind::String, "Its key within the task, such as charge#1."),
        required("name", Kind::String, "Of the function, signal, step or timer."),
        required("what", Kind::Named("spawn_kind"), "What it is."),
    ];
    "spawn_kind", "An object with one of these members." [
        member("activity", Kind::Named("spawn_activity"), "A call."),
        member("timer", Kind::Named("spawn_timer"), "A sleep."),
        member("signal", Kind::Named("spawn_signal"), "A wait for a signal."),
        member("step", Kind::Named("spawn_step"), "Already over: run in place by the handler."),
    ];
    "spawn_activity", "A call of a function." [
        required("args", Kind::Array, "Arguments."),
        required("options", Kind::Named("call"), "See call."),
        optional("args_hash", Kind::String, "null", "As in new_execution, where the call may need it."),
        optional("registered", Kind::Named("function"), "null", "As in new_execution."),
    ];
    "spawn_timer", "A timer." [required("delay", Kind::Duration, "It fires this long after the commit, by the store's clock.")];
    "spawn_signal", "A wait." [optional("timeout", Kind::Duration, "null", "It then fails with type SignalTimeout.")];
    "spawn_step", "A step." [
        required("started_at", Kind::Time, "When it began."),
        required("outcome", Kind::Named("step_outcome"), "How it ended."),
    ];
    "step_outcome", "An object with one of these members." [
        member("completed", Kind::Any, "Its result."),
        member("failed", Kind::Named("failure"), "Its failure."),
    ];
    "outcome", "One of the words hold (only the commands are recorded) and release (given back: pending again, no \
                attempt charged), or an object with one of these members." [
        member("complete", Kind::Named("outcome_complete"), "It has a result."),
        member("retry", Kind::Named("outcome_retry"), "It is tried again; its retries grow by one."),
        member("snooze", Kind::Named("outcome_snooze"), "Not now: tried again, with its journal, and no attempt is charged."),
        member("dead_letter", Kind::Named("outcome_dead_letter"), "The attempts are used up, or the failure is final."),
        member("pass_up", Kind::Named("outcome_pass_up"), "A recorded child's failure: fails, without a dead letter."),
        member("suspend", Kind::Named("outcome_suspend"), "Waiting: rows only, until what is awaited is there."),
        member("park", Kind::Named("outcome_park"), "Waiting for another version of the function, or for resume."),
        member("continue", Kind::Named("outcome_continue"), "From the start again, with an empty journal."),
    ];
    "outcome_complete", "A result." [
        required("result", Kind::Any, "What it completes with."),
        optional("cache", Kind::Named("cache_slot"), "null", "Where the result is kept too."),
        required("cache_hit", Kind::Boolean, "It came from there."),
    ];
    "outcome_retry", "A failure that is tried again." [
        FAILURE,
        required("delay", Kind::Duration, "Not earlier than this long from now."),
        required("reopen", Kind::Boolean, "The failed children are opened again."),
    ];
    "outcome_snooze", "An attempt that is put off; snoozes grow by one, and what the attempt may take is counted anew." [
        required("delay", Kind::Duration, "Not earlier than this long from now."),
    ];
    "outcome_dead_letter", "A failure that stands." [FAILURE, required("reason", Kind::String, "For the dead letter.")];
    "outcome_pass_up", "A child's failure, passed up." [FAILURE];
    "outcome_suspend", "A suspension." [
        required("mode", Kind::Word(WaitMode::WORDS), "All of them, or any."),
        required("ops", Kind::String, "The awaited operations, as ranges: 1-5,9."),
        required("known", Kind::Integer,
            "The largest arrival number that the task knows without a gap; what arrived later counts."),
    ];
    "outcome_park", "A mismatch of code and journal." [
        FAILURE,
        optional("version", Kind::String, "null", "Of the function that did not fit."),
    ];
    "outcome_continue", "A new run." [
        required("args", Kind::Array, "Its arguments."),
        required("seen", Kind::Integer, "The largest arrival that the handler was given: later signals are kept."),
    ];
    "advanced", "The answer of advance." [
        required("verdicts", Kind::ListOf(&Kind::Named("verdict")), "One for each transition, in order."),
        required("claimed", Kind::ListOf(&Kind::Named("claimed")), "Best first."),
    ];
    "verdict", "One of the words lease_lost (the lease is another's, or the task is over: nothing was written) and \
                cancelled (the execution is cancelled or timed out: nothing but the lease's end was written), or an \
                object with one of these members." [
        member("recorded", Kind::Named("verdict_recorded"), "It stands."),
        member("refused", Kind::Object, "Nothing was written: an object with status, message, retryable, details."),
    ];
    "verdict_recorded", "What was recorded." [
        required("arrivals", Kind::ListOf(&Kind::Array),
            "Pairs of an operation and its arrival number, for those that ended in this transition: steps, cancelled ones."),
        required("latest", Kind::Integer, "The largest arrival number of the task so far."),
    ];
    "journal_request", "Which part of a journal." [
        required("task_id", Kind::Id, "The task."),
        required("after", Kind::Integer, "0: all of it; else what arrived after this number."),
    ];
    "journal_entry", "One recorded operation of a task." [
        OP,
        ID,
        required("key", Kind::String, "Its key."),
        required("name", Kind::String, "Its name."),
        required("kind", Kind::Word(TaskKind::WORDS), "What it is."),
        required("args", Kind::Any, "Arguments."),
        required("kwargs", Kind::Any, "Named arguments."),
        required("state", Kind::Word(TaskState::WORDS), "How it stands."),
        optional("result", Kind::Any, "null", "What it completed with."),
        optional("error", Kind::Named("failure"), "null", "Why it failed."),
        optional("arrival", Kind::Integer, "null",
            "The order in which ends were delivered to the parent: unique, growing, from 1; null while it goes on."),
        optional("completed_at", Kind::Time, "null", "When it ended."),
    ];
    "found", "A result that is kept." [required("value", Kind::Any, "The result.")];
    "renew", "Leases to renew." [
        WORKER_ID,
        required("held", Kind::ListOf(&Kind::Named("held")), "What it holds."),
        LEASE,
    ];
    "renewed", "What a renewal found." [
        required("lost", IDS, "Taken by another, or over."),
        required("cancelled", IDS, "Tasks whose execution is being cancelled or has timed out."),
    ];
    "swept", "What a sweep did." [
        required("changed", Kind::Integer, "How much was due; 0: nothing."),
        required("more", Kind::Boolean, "It stopped at its bound: sweep again."),
        optional("next_due", Kind::Duration, "null", "When the next one is due, from now; null: nothing is scheduled."),
        optional("ticks", Kind::Named("tick_counts"), "null", "What became of schedules' ticks; null: nothing."),
    ];
    "tick_counts", "Ticks by what was made of them. One that has waited is counted as waiting, and again as what it became." [
        required("started", Kind::Integer, "Started."),
        required("waiting", Kind::Integer, "They start when those before them have ended."),
        required("skipped", Kind::Integer, "Left out by the overlap's rule."),
        required("missed", Kind::Integer, "Nobody was there."),
    ];
    "new_signal", "A signal to send." [
        required("execution_id", Kind::Id, "To whom."),
        required("name", Kind::String, "Its name."),
        required("payload", Kind::Any, "What it says."),
        optional("id", Kind::String, "null", "The same id for the same execution and name counts once."),
    ];
    "replayed", "What a dead letter's replay made." [
        required("execution_id", Kind::Id, "The new execution."),
        required("replay_of", Kind::Id, "The old one."),
    ];
    "snapshot", "The members of an execution, and these." [
        required("counters", Kind::MapOf(&Kind::Number), "Its counters."),
        required("state_values", Kind::MapOf(&Kind::Any), "Its state values."),
        optional("replay_of", Kind::Id, "null", "The execution of which it is a fork."),
        optional("cancel_reason", Kind::String, "null", "Why it was cancelled."),
    ];
    "store_stats", "Counts." [
        required("executions", Kind::MapOf(&Kind::Integer), "By state."),
        required("tasks", Kind::MapOf(&Kind::Integer), "By state."),
        required("ready", Kind::ListOf(&Kind::Named("depth")), "Claimable now."),
        required("scheduled", Kind::Integer, "Pending, but not before a later time."),
        required("dead_letters", Kind::Integer, "Dead letters."),
        required("parked", Kind::Integer, "Parked tasks."),
        required("workers", Kind::Integer, "Workers that the store knows."),
        optional("paused", Kind::ListOf(&Kind::Named("pause")), "[]", "What is paused: queues first, by name, then functions."),
        optional("schedules", Kind::Named("schedule_counts"), "null", "How schedules are doing; null: it keeps none."),
        optional("waiting_for_slots", Kind::MapOf(&Kind::Integer), "{}", "Tasks that wait for a slot or a token of their key, by function."),
    ];
    "pause", "A queue or a function of which nothing is claimed." [
        optional("queue", Kind::String, "null", "The queue; or else"),
        optional("function", Kind::String, "null", "the function."),
        required("since", Kind::Time, "Since when."),
        optional("reason", Kind::String, "null", "Why, as whoever paused it said."),
        optional("by", Kind::String, "null", "Who paused it, as he said."),
        required("running", Kind::Integer, "Tasks of it that workers still hold, claimed before."),
    ];
    "slot_wait", "A task that waits for a slot of its key, or to start: for a token of its key, its function or its queue, or for the end of a hold." [
        required("task_id", Kind::Id, "The task."),
        required("function", Kind::String, "Its function."),
        optional("concurrency_key", Kind::String, "null", "Its key; null: it waits for its function, or its queue."),
        optional("queue", Kind::String, "null", "The queue that it waits for a token of."),
        optional("max_concurrent_per_key", Kind::Integer, "null", "How many of the key may run at once."),
        required("held", Kind::Integer, "How many have a slot."),
        optional("rate_per_key", Kind::Named("rate"), "null", "How often those of the key may start, where this one would start."),
        optional("rate", Kind::Named("rate"), "null", "How often those of the function may start, or of the queue, where it waits for that."),
        optional("next_at", Kind::Time, "null", "When the next one may."),
        optional("hold_ends_at", Kind::Time, "null", "Until when nobody of the key, or of the function, starts, where this one would start and a handler has said so."),
    ];
    "schedule_counts", "How schedules are doing." [
        required("active", Kind::Integer, "With a tick to come."),
        required("paused", Kind::Integer, "Paused."),
        required("waiting", Kind::Integer, "Ticks that start when those before them have ended."),
        optional("broken", Kind::Integer, "0", "Those that can't be read."),
        required("late_seconds", Kind::Duration, "How late the latest of those is that are due."),
    ];
    "depth", "Tasks that may be claimed now." [
        optional("queue", Kind::String, "null", "Of this queue; null: of none."),
        required("function", Kind::String, "Of this function."),
        required("count", Kind::Integer, "How many."),
        required("oldest", Kind::Duration, "The age of the oldest."),
    ];
    "notice", "A hint: something may have changed. Lost, late or repeated ones do no harm. The word foreign (anything \
               may have), or an object with one of these members." [
        member("work", Kind::Named("notice_work"), "There may be work to claim."),
        member("due", Kind::Duration, "Something is due this long from now."),
        member("ended", IDS, "Executions that are over."),
        member("cancelling", IDS, "Executions that are being cancelled."),
        member("lost", IDS, "Tasks that ended under the hands of the worker that runs them."),
        member("arrived", IDS, "Tasks whose operations have arrived."),
    ];
    "notice_work", "Work." [optional("served", Kind::String, "null", "The worker that has claimed all that it can take.")];
    "kept_schedule", "A schedule as the store has it: the members of schedule as it was put, and these." [
        required("created_at", Kind::Time, "When it was first put."),
        required("updated_at", Kind::Time, "When it was last changed by a put."),
        optional("paused_at", Kind::Time, "null", "Since when it is paused."),
        optional("pause_note", Kind::String, "null", "Why it is paused."),
        optional("next_at", Kind::Time, "null", "The tick that comes next; null: it is paused, or there is none any more."),
        optional("due_at", Kind::Time, "null", "When that one is started: later by its jitter."),
        optional("last_execution_id", Kind::Id, "null", "Its last execution."),
        required("running", Kind::Boolean, "Whether that one goes on."),
        required("waiting", Kind::Integer, "Ticks that start when those before them have ended."),
        optional("trouble", Kind::String, "null", "Why it does not tick: the library can't read it."),
        required("next", Kind::ListOf(&Kind::Time), "Ticks to come."),
        required("last", Kind::ListOf(&Kind::Named("tick")), "Ticks that were, the newest first."),
    ];
    "schedule_change", "One of the words delete (what it has started goes on) and resume (from now on), or an object with one \
                        of these members." [
        member("pause", Kind::Named("pause_schedule"), "It starts nothing by its times; what waits goes on."),
        member("trigger", Kind::Named("trigger_schedule"), "A tick now, also of one that is paused."),
        member("backfill", Kind::Named("backfill_schedule"),
            "The ticks from one time to another, both included, but for those that were started or wait; at most 1000."),
    ];
    "tick", "What a tick of a schedule became." [
        required("at", Kind::Time, "Its time, which with the schedule's name is its identity."),
        required("kind", Kind::Word(TickKind::WORDS), "Where it comes from."),
        required("state", Kind::Word(TickState::WORDS),
            "Waiting: it starts when those before it have ended. Skipped: by the overlap's rule. Missed: nobody was there."),
        optional("execution_id", Kind::Id, "null", "Where it was started."),
        required("decided_at", Kind::Time, "When that was decided."),
    ];
}
