//! Other tables: types, statuses, events, metrics.

use serde::Serialize;

use crate::model::Status;

/// A word and what it means.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Word {
    pub name: &'static str,
    pub doc: &'static str,
}

const fn word(name: &'static str, doc: &'static str) -> Word {
    Word { name, doc }
}

/// The types of fields. `x[]` is an array of `x`; `map<x>` is an object of any keys; other words name an object or a
/// record.
pub(crate) const TYPES: &[Word] = &[
    word("string", "Text; where `values` are listed, one of them."),
    word("integer", "A whole number of 64 bits."),
    word("number", "A number; whole ones of 64 bits stay exact."),
    word("boolean", "true or false."),
    word("duration", "A number of seconds, or text with the units ms s m h d w, such as \"1h30m\"."),
    word("uuid", "The id of an execution or a task."),
    word("time", "RFC 3339; written in UTC with microseconds."),
    word("any", "Any JSON value, kept as it is written; bytes are {\"$base64\": \"…\"}, at any depth."),
    word("array", "A JSON array."),
    word("object", "A JSON object."),
];

/// What this build can do.
pub(crate) const FEATURES: &[Word] = &[
    word("sqlite", "Stores on SQLite files and in memory; the library has its own SQLite inside."),
    word("postgres", "Stores on PostgreSQL."),
    word("tls", "TLS 1.2 and 1.3 to PostgreSQL, without a library of the system's."),
    word("custom", "Stores that the host writes: stent_backend_custom."),
    word("poller", "Hosts with an event loop: stent_poller_new."),
    word(
        "schedules",
        "stent_executor_schedule_put, of SQLite and PostgreSQL stores; time zones from the host, else built in.",
    ),
    word("backup", "stent_backend_backup, of SQLite stores."),
];

/// What each status means.
pub(crate) const fn status_doc(status: Status) -> &'static str {
    match status {
        Status::Ok => "Done.",
        Status::Pending => "Nothing is ready; from a handler: the task is finished later by another thread.",
        Status::Suspend => "The handler returns now and is run again when what it waits for is there.",
        Status::Invalid => "The caller's mistake: bad JSON, an unknown option, NULL, not UTF-8.",
        Status::NotFound => "There is no such thing.",
        Status::Conflict => "It exists already, or is over already.",
        Status::Timeout => "The time given was not enough.",
        Status::Cancelled => "The execution, the task or the operation was cancelled.",
        Status::Closed => "The backend or the library is closed.",
        Status::LeaseLost => "The task is another worker's by now; nothing was written.",
        Status::Nondeterminism => "The handler asks for something else than its journal has at the same place.",
        Status::Failed => "A child, or the awaited execution, failed: its failure is in the error's JSON.",
        Status::Backend => "The store: busy, unreachable, corrupt, refused.",
        Status::Unsupported => "This build or this backend can't do it.",
        Status::WrongThread => "A blocking shutdown was called from one of the library's own threads.",
        Status::Forked => "The process is a fork's child: the library belongs to the parent.",
        Status::Panic => "A defect of the library, caught at the border.",
    }
}

/// What a poller tells its host.
pub(crate) const EVENTS: &[Word] = &[
    word("task", "A task to run from the top; stent_event_task takes it over."),
    word("op", "What stent_task_notify asked for has ended, and it is the coroutine's turn."),
    word("ended", "The end that the host gave a task is recorded, or is not: the status says which."),
    word("cancel", "A task's work is in vain, for it is being cancelled or timed out; the host is to end it."),
    word("evict", "The coroutine of a task is to be dropped; what goes on comes as a new task."),
    word("reply", "The answer to stent_executor_submit."),
    word("log", "A log record."),
    word("worker", "A worker has come to another state."),
];

/// One metric of `stent_executor_stats`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Metric {
    pub name: &'static str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    pub doc: &'static str,
}

const fn gauge(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Metric {
    Metric { name, kind: "gauge", labels, doc }
}

const fn counter(name: &'static str, doc: &'static str) -> Metric {
    Metric { name, kind: "counter", labels: &[], doc }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], doc: &'static str) -> Metric {
    Metric { name, kind: "histogram", labels, doc }
}

const BY_FUNCTION: &[&str] = &["queue", "function"];

/// Gauges are of the whole store, but for the slots; counters and histograms are of this process.
pub(crate) const METRICS: &[Metric] = &[
    gauge("stent_executions", &["state"], "Executions in the store, by state."),
    gauge("stent_tasks", &["state"], "Tasks in the store, by state."),
    gauge("stent_ready_tasks", &["queue", "function"], "Tasks that may be claimed now."),
    gauge("stent_ready_oldest_seconds", &["queue", "function"], "The age of the oldest task that may be claimed now."),
    gauge(
        "stent_waiting_for_slots_tasks",
        &["function"],
        "Tasks that wait for a slot or a token of their concurrency_key.",
    ),
    gauge("stent_scheduled_tasks", &[], "Pending tasks that may not start yet."),
    gauge("stent_dead_letters", &[], "Dead letters in the store."),
    gauge("stent_parked_tasks", &[], "Tasks whose code does not match their journal."),
    gauge("stent_workers", &[], "Workers that the store knows."),
    gauge(
        "stent_paused_since_seconds",
        BY_FUNCTION,
        "Since when a queue or a function is paused, in seconds since 1970.",
    ),
    gauge("stent_schedules", &["state"], "Schedules, by state."),
    gauge("stent_schedule_waiting_ticks", &[], "Ticks of schedules that start when those before them have ended."),
    gauge("stent_schedule_late_seconds", &[], "How late the latest schedule is that is due."),
    gauge("stent_wal_bytes", &[], "The size of the SQLite file's write-ahead log."),
    gauge("stent_wal_blocked_seconds", &[], "For how long a reader has kept the large log from being cut."),
    gauge("stent_worker_slots", &["worker", "use"], "Slots of the workers in this process, by use."),
    counter("stent_claimed_total", "Tasks taken from the store."),
    counter("stent_completed_total", "Tasks that ended with a result."),
    counter("stent_failed_total", "Failures recorded: retried, dead-lettered or passed up."),
    counter("stent_retried_total", "Failures that are tried again."),
    counter("stent_snoozed_total", "Attempts that said \"not now\"."),
    counter("stent_dead_lettered_total", "Tasks that used up their attempts."),
    counter("stent_suspended_total", "Suspensions recorded."),
    counter("stent_resumed_total", "Runs of tasks that had a journal."),
    counter("stent_released_total", "Tasks given back without a charge."),
    counter("stent_continued_total", "Tasks started over with new arguments."),
    counter("stent_parked_total", "Tasks parked because their code does not match their journal."),
    counter("stent_lost_leases_total", "Leases found to be another's."),
    counter("stent_timeouts_total", "Attempts that ran longer than their time-out."),
    counter("stent_cache_hits_total", "Calls answered from the result cache."),
    counter("stent_renewals_total", "Renewal statements."),
    counter("stent_sweeps_total", "Sweeps of what is due."),
    counter("stent_ticks_started_total", "Ticks of schedules that a sweep started."),
    counter("stent_ticks_queued_total", "Ticks of schedules that a sweep lets wait for those before them."),
    counter("stent_ticks_skipped_total", "Ticks of schedules that a sweep left out by the rule for overlap."),
    counter("stent_ticks_missed_total", "Ticks of schedules for which nobody was there in time, those that are noted."),
    counter("stent_advances_total", "Transactions of worker loops."),
    counter("stent_store_errors_total", "Store calls of workers that failed."),
    counter("stent_dead_hosts_total", "Hosts that took no events for so long that they counted as dead."),
    histogram("stent_schedule_to_start_seconds", &[], "From the moment a task may start to its handler's start."),
    histogram("stent_commit_transitions", &[], "How many tasks' transitions a worker's transaction recorded."),
    Metric {
        name: "stent_outcomes_total",
        kind: "counter",
        labels: &["queue", "function", "outcome"],
        doc: "What was recorded of tasks, by outcome.",
    },
    histogram("stent_queue_age_seconds", BY_FUNCTION, "From the moment a task may start to its claim."),
    histogram("stent_claim_to_start_seconds", BY_FUNCTION, "From a task's claim to its handler's start."),
    histogram("stent_run_seconds", BY_FUNCTION, "From a handler's start to its end."),
    histogram("stent_commit_bytes", BY_FUNCTION, "Payloads and errors in what was recorded of a task at once."),
];
