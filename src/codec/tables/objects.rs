//! The table of option objects.

use super::{Field, Kind, Object, optional, required};
use crate::model::{
    ExecutionState, Existing, Feature, FileMode, KeyReuse, KeyWhile, Level, Overlap, StatsFormat, Synchronous,
};

const STRINGS: Kind = Kind::ListOf(&Kind::String);
pub(super) const QUEUE_RATES: Kind = Kind::MapOf(&Kind::Named("rate"));

const QUEUE: Field = optional("queue", Kind::String, "null", "Workers of this queue run it; null: of any queue.");
const TAGS: Field =
    optional("tags", STRINGS, "null", "Workers with one of these tags, or without tags, run it; none: every worker.");
const PRIORITY: Field = optional("priority", Kind::Integer, "null", "Higher is claimed first; 0 where nobody says.");
const AGEING: Field = optional(
    "priority_ageing",
    Kind::Duration,
    "null",
    "How long a task waits to make up for one step of priority: it competes with those of priority 0 by time, with a start of \
     so much a step. null: what has the higher priority is first, however long the others wait.",
);
const RETRY: Field =
    optional("retry_policy", Kind::Named("retry_policy"), "null", "How failures are tried again; see retry_policy.");
const TIMEOUT: Field = optional(
    "timeout",
    Kind::Duration,
    "null",
    "Of one attempt, from its start; null: it may take as long as it does.",
);
const CACHED: Field = optional(
    "cached",
    Kind::Boolean,
    "null",
    "Take the result of an earlier call with the same arguments, and keep this one's.",
);
const CACHE_TTL: Field = optional("cache_ttl", Kind::Duration, "null", "How long a result is kept; null: for ever.");
const CONCURRENCY_KEY: Field = optional(
    "concurrency_key",
    Kind::String,
    "null",
    "Of the calls of a function with the same key no more run at once than its max_concurrent_per_key, nor start more often than \
     its rate_per_key; where it has neither, the key limits nothing.",
);
const FAIRNESS_KEY: Field = optional(
    "fairness_key",
    Kind::String,
    "null",
    "Whose task it is. What waits in a queue is shared out evenly among the keys, however much waits of each; a call without \
     one has its parent's.",
);
const FAIRNESS_WEIGHT: Field = optional(
    "fairness_weight",
    Kind::Number,
    "null",
    "How much its fairness_key gets: twice as many tasks with 2 as with 1, which is what null means. From 0.01 to 100.",
);
const KWARGS: Field = optional("kwargs", Kind::Object, "null", "Named arguments.");
const DELAY: Field = optional("delay", Kind::Duration, "null", "It is not started before this has passed.");
const IDEMPOTENCY_KEY: Field = optional(
    "idempotency_key",
    Kind::String,
    "null",
    "A second use of the key with the same function joins the first; with other arguments it is a conflict; after a first \
     that failed or was cancelled it starts anew.",
);
const KEY: Field =
    optional("key", Kind::String, "null", "The operation's own key in the journal, in place of name and number.");

macro_rules! objects {
    ($($(#[doc = $doc:literal])* $constant:ident = $name:literal [$($field:expr),* $(,)?]);* $(;)?) => {
        $(
            $(#[doc = $doc])*
            pub(crate) const $constant: Object = {
                const FIELDS: &[Field] = &[$($field),*];
                const KEYS: [&str; FIELDS.len()] = super::keys(FIELDS);
                Object { name: $name, doc: concat!($($doc),*).trim_ascii(), fields: FIELDS, keys: &KEYS }
            };
        )*

        /// All of them, in the order in which they are described.
        pub(crate) const OBJECTS: &[&Object] = &[$(&$constant),*];
    };
}

objects! {
    /// How an execution is started.
    DISPATCH = "dispatch" [
        optional("id", Kind::Id, "null", "The execution's id; null: a new one. An id that exists is a conflict."),
        KWARGS,
        DELAY,
        optional("expiry", Kind::Duration, "null", "It is ended as timed_out this long after the dispatch."),
        optional("max_duration", Kind::Duration, "null",
            "It is ended as timed_out this long after the delay; not together with expiry."),
        IDEMPOTENCY_KEY,
        optional("idempotency_reuse", Kind::Word(KeyReuse::WORDS), "\"after_failure\"",
            "Whether the key starts another execution after one that failed, was cancelled or timed out; never: its id is \
             the answer all the same."),
        optional("unique_key", Kind::String, "null",
            "While an execution of the function that has taken the key is pending or running, a dispatch with the key starts \
             nothing, and is answered as unique_existing says."),
        optional("unique_for", Kind::Duration, "null",
            "The dispatch starts nothing if the key was taken less than this ago, whatever has become of that execution; \
             null: if one that has taken it is pending or running."),
        optional("unique_while", Kind::Word(KeyWhile::WORDS), "null",
            "While what the key is taken: pending or running, or only until a worker has had the one that took it last; with \
             unique_for then as well. Null: unfinished, but with unique_for that time alone."),
        optional("unique_existing", Kind::Word(Existing::WORDS), "\"return\"",
            "What a dispatch gets whose unique_key is taken: the id of the execution that has it, or a conflict that names it."),
        optional("debounce", Kind::Duration, "null",
            "It starts when no other dispatch of the function with its unique_key came for so long. Until a worker has it, each \
             one gives it its arguments and its expiry, begins the time anew, and gets its id."),
        optional("debounce_max", Kind::Duration, "null", "But it starts no later than so long after the first; null: whenever."),
        optional("on_cancel", Kind::String, "null",
            "The function that is dispatched when the execution is cancelled or timed out."),
        optional("traceparent", Kind::String, "null", "W3C Trace Context, handed to every task of the execution."),
        QUEUE, TAGS, PRIORITY, AGEING, RETRY, TIMEOUT, CACHED, CACHE_TTL, CONCURRENCY_KEY, FAIRNESS_KEY, FAIRNESS_WEIGHT,
    ];
    /// One of many dispatches.
    DISPATCH_REQUEST = "dispatch_request" [
        required("function", Kind::String, "The name under which the handler is registered."),
        optional("args", Kind::Array, "[]", "Arguments."),
        optional("options", Kind::Named("dispatch"), "{}", "See dispatch."),
    ];
    /// How a handler calls a function. What is left out is as the function's registration says.
    CALL = "call" [
        KEY,
        KWARGS,
        DELAY,
        IDEMPOTENCY_KEY,
        optional("cache_key", Kind::String, "null", "A key for the cache in place of the arguments; implies cached."),
        QUEUE, TAGS, PRIORITY, AGEING, RETRY, TIMEOUT, CACHED, CACHE_TTL, CONCURRENCY_KEY, FAIRNESS_KEY, FAIRNESS_WEIGHT,
    ];
    /// What a worker declares of a function; kept in the store for all who call it.
    FUNCTION = "function" [
        QUEUE,
        optional("tags", STRINGS, "[]", TAGS.doc),
        PRIORITY,
        AGEING,
        RETRY,
        TIMEOUT,
        optional("version", Kind::String, "null", "Another version may free tasks that are parked for a mismatch."),
        optional("max_concurrent", Kind::Integer, "null", "At most this many run at once, in all workers; null: no limit."),
        optional("max_concurrent_per_key", Kind::Integer, "null",
            "At most this many run at once of the calls with one concurrency_key, in all workers; null: no limit. Calls without \
             a key are not limited by it."),
        optional("rate", Kind::Named("rate"), "null",
            "How often its attempts may start, in all workers; null: as often as there are some. What goes on after a wait is \
             no start."),
        optional("rate_per_key", Kind::Named("rate"), "null",
            "The same for the calls with one concurrency_key; null: as often as there are some."),
        optional("cached", Kind::Boolean, "false", CACHED.doc),
        CACHE_TTL,
        optional("idempotent", Kind::Boolean, "false", "A call without a key gets one made of its arguments."),
        optional("cleanup", Kind::Duration, "null",
            "How long an execution of it may clean up after it was cancelled or timed out; null: it ends at once."),
    ];
    /// How tasks are gathered for a handler that takes many in one call.
    BATCH = "batch" [
        optional("size", Kind::Integer, "100",
            "Tasks in one call of the handler, at the most; and no more than the worker has slots (max_concurrency)."),
        optional("wait", Kind::Duration, "0.0",
            "How long the first task waits for others; 0: the handler gets what is ready. At most an hour."),
    ];
    /// A bucket of tokens, of which each start takes one. It fills evenly, and is full at first.
    RATE = "rate" [
        optional("limit", Kind::Integer, "1", "This many tokens come in each period; at least 1."),
        optional("period", Kind::Duration, "1.0", "In which time they come, one after the other."),
        optional("burst", Kind::Integer, "1", "This many tokens it holds, so many may start at once; at least 1."),
    ];
    /// When a failed attempt is tried again.
    RETRY_POLICY = "retry_policy" [
        optional("max_attempts", Kind::Integer, "3", "Attempts in all, the first one included; at least 1."),
        optional("max_deaths", Kind::Integer, "3",
            "Workers in a row that may die while they run it apart from others, before it is a dead letter; at least 1."),
        optional("backoff_factor", Kind::Number, "2.0", "Each delay is this many times the one before."),
        optional("initial_delay", Kind::Duration, "1.0", "Before the first retry."),
        optional("max_delay", Kind::Duration, "60.0", "No delay is longer, but for the jitter."),
        optional("delays", Kind::ListOf(&Kind::Duration), "[]",
            "The delay before each retry, one by one, in place of the three above; the last one repeats. max_attempts rules all \
             the same."),
        optional("jitter", Kind::Number, "0.1", "The part of the delay by which chance moves it: 0 to 1."),
        optional("max_elapsed", Kind::Duration, "null",
            "No retry begins later than this after the first attempt began; null: no such limit."),
        optional("retry_for", STRINGS, "[]", "The failure types that are retried; empty: all."),
        optional("no_retry_for", STRINGS, "[]", "The failure types that are never retried."),
        optional("retry_children", Kind::Boolean, "false", "A child's failure is retried too: the failed children run again."),
    ];
    /// How a worker works.
    WORKER = "worker" [
        optional("worker_id", Kind::String, "null", "Null: a random UUID."),
        optional("queues", STRINGS, "[]", "The queues it takes tasks from, beside tasks without one; empty: every queue."),
        optional("queue_rates", QUEUE_RATES, "{}",
            "By queue, how often attempts of its tasks may start, whatever their functions, in all workers; null: as often as there \
             are some. It is kept in the store, and what the last worker says of a queue holds; of a queue that is not named \
             nothing changes."),
        optional("tags", STRINGS, "[]", "The tags of which it takes tasks, beside tasks without one; empty: every tag."),
        optional("max_concurrency", Kind::Integer, "10", "Slots: handlers that run at once."),
        optional("prefetch", Kind::Integer, "null", "Tasks held ready beyond the slots; null: as many as there are slots."),
        optional("lease_duration", Kind::Duration, "30.0", "After this long without a word a worker counts as dead."),
        optional("heartbeat_interval", Kind::Duration, "null", "How often leases are renewed; null: a third of the lease."),
        optional("poll_interval", Kind::Duration, "1.0", "How often an idle worker looks for work that no wake-up told of."),
        optional("poll_interval_max", Kind::Duration, "5.0", "While there is none, poll_interval doubles up to this."),
        optional("cleanup_interval", Kind::Duration, "3600.0",
            "How often old executions are removed; null, given as such: never."),
        optional("retention_period", Kind::Duration, "604800.0", "How long an ended execution is kept."),
        optional("hold", Kind::Duration, "0.0", "How long a handler's await is held in its slot before it suspends."),
        optional("max_coroutines", Kind::Integer, "20000",
            "Waiting tasks whose coroutines a poller's host keeps at most; beyond that, those that have waited longest are evicted."),
        optional("host_timeout", Kind::Duration, "null",
            "A poller's host that takes no events for so long counts as dead, and what it held goes back; null: three leases."),
    ];
    /// How a SQLite file is opened.
    SQLITE = "sqlite" [
        optional("synchronous", Kind::Word(Synchronous::WORDS), "\"full\"",
            "What a commit waits for: full survives a power cut; normal may lose the last commits to one; off may lose the file."),
        optional("busy_timeout", Kind::Duration, "10.0", "How long a transaction waits for another process's."),
        optional("readers", Kind::Integer, "4", "Connections that read beside the one that writes."),
        optional("file_mode", Kind::Word(FileMode::WORDS), "\"0600\"",
            "Who may read and write a file that is created, as for chmod; one that is there stays as it is."),
    ];
    /// How a store that you write is spoken to.
    CUSTOM = "custom" [
        optional("timeout", Kind::Duration, "30.0", "How long the function may take to answer; then the call has failed."),
        optional("features", Kind::ListOf(&Kind::Word(Feature::WORDS)), "[]",
            "What the store keeps beside the engine's operations: max_concurrent_per_key; rate and rate_per_key; unique_key; \
             fairness_key and priority_ageing. The others are refused before they reach it."),
    ];
    /// How the conformance suite is run against a store.
    CHECK = "check" [
        optional("only", STRINGS, "[]", "Cases whose names begin with one of these; none: all."),
        optional("timeout", Kind::Duration, "60.0", "How long one case may take."),
    ];
    /// An executor.
    EXECUTOR = "executor" [];
    /// A wait for a signal.
    WAIT_SIGNAL = "wait_signal" [
        optional("timeout", Kind::Duration, "null", "It then fails with type SignalTimeout; null: as long as it takes."),
        KEY,
    ];
    /// A step run in place.
    STEP = "step" [KEY];
    /// The sending of a signal.
    SIGNAL = "signal" [
        optional("id", Kind::String, "null", "The same id for the same execution and name counts once."),
    ];
    /// Which executions are listed, newest first.
    EXECUTION_FILTER = "execution_filter" [
        optional("state", Kind::Word(ExecutionState::WORDS), "null", "In this state."),
        optional("function", Kind::String, "null", "Of this root function."),
        optional("queue", Kind::String, "null", "Of this queue."),
        optional("tag", Kind::String, "null", "With this tag."),
        optional("created_after", Kind::Time, "null", "Created later than this."),
        optional("created_before", Kind::Time, "null", "Created earlier than this."),
        optional("limit", Kind::Integer, "10", "At most so many."),
        optional("offset", Kind::Integer, "0", "Without the first so many."),
    ];
    /// Which dead letters are listed, newest first.
    DEAD_LETTER_FILTER = "dead_letter_filter" [
        optional("task_id", Kind::Id, "null", "Of this task."),
        optional("execution_id", Kind::Id, "null", "Of this execution's tasks."),
        optional("function", Kind::String, "null", "Of this function."),
        optional("limit", Kind::Integer, "50", "At most so many."),
        optional("offset", Kind::Integer, "0", "Without the first so many."),
    ];
    /// What is started at which times; one of cron, every and times is given.
    SCHEDULE = "schedule" [
        required("name", Kind::String, "Its identity in the store."),
        required("function", Kind::String, "The function that each tick starts."),
        optional("args", Kind::Array, "[]", "Arguments."),
        optional("options", Kind::Named("dispatch"), "{}",
            "How each execution is started; see dispatch. Not id, idempotency_key and delay: each tick has its own identity."),
        optional("cron", Kind::String, "null",
            "Five fields (minute, hour, day, month, weekday), six with seconds before them, or @hourly, @daily, @weekly, \
             @monthly, @yearly. Names, ranges, steps, lists; L, W and # for days."),
        optional("every", Kind::Duration, "null", "Time that passes between ticks, from start on, else counted from 1970."),
        optional("times", Kind::ListOf(&Kind::Time), "null", "The ticks one by one, at most 1000."),
        optional("time_zone", Kind::String, "\"UTC\"", "The IANA name of the zone whose clock cron reads."),
        optional("start", Kind::Time, "null", "No tick is before it."),
        optional("end", Kind::Time, "null", "No tick is after it."),
        optional("jitter", Kind::Duration, "0.0", "Each tick is started late by up to this, by an amount that stays the same for it."),
        optional("overlap", Kind::Word(Overlap::WORDS), "\"skip\"",
            "What becomes of a tick while the last execution goes on: it is left out, waits (one, or all), waits while the \
             other is cancelled, or runs beside it."),
        optional("catch_up", Kind::Duration, "60.0",
            "A tick for which no worker was there is started up to so much later, and is missed after that."),
        optional("owner", Kind::String, "null", "Who declares it, and may remove those that it declares no more."),
        optional("time_argument", Kind::String, "null", "The named argument in which the function gets the tick's time."),
    ];
    /// Which schedules are listed, by name.
    SCHEDULE_FILTER = "schedule_filter" [
        optional("name", Kind::String, "null", "This one."),
        optional("owner", Kind::String, "null", "Of this owner."),
        optional("function", Kind::String, "null", "Of this function."),
        optional("after", Kind::String, "null", "Those after this name: the last one of the page before."),
        optional("limit", Kind::Integer, "50", "At most so many."),
        optional("next", Kind::Integer, "5", "So many of the ticks to come are told of each."),
        optional("last", Kind::Integer, "5", "So many of the ticks that were are told of each, the newest first."),
    ];
    /// Schedules that a worker's start puts.
    DECLARE_SCHEDULES = "declare_schedules" [
        optional("remove_others", Kind::Boolean, "false", "Other schedules of the same owner are deleted."),
    ];
    /// A pause of a schedule.
    PAUSE_SCHEDULE = "pause_schedule" [optional("note", Kind::String, "null", "Why, for people.")];
    /// A tick of a schedule by hand.
    TRIGGER_SCHEDULE = "trigger_schedule" [
        optional("overlap", Kind::Word(Overlap::WORDS), "null", "Null: as the schedule has it."),
    ];
    /// Ticks of a schedule that are over.
    BACKFILL_SCHEDULE = "backfill_schedule" [
        required("from", Kind::Time, "The first time."),
        required("to", Kind::Time, "The last time; not later than now."),
        optional("overlap", Kind::Word(Overlap::WORDS), "\"queue_all\"", "See schedule."),
    ];
    /// The replay of a dead letter.
    REPLAY_DEAD_LETTER = "replay_dead_letter" [];
    /// The resumption of a parked task.
    RESUME = "resume" [];
    /// What is paused.
    PAUSE = "pause" [
        optional("queue", Kind::String, "null", "This queue; or else"),
        optional("function", Kind::String, "null", "this function."),
        optional("reason", Kind::String, "null", "Why; shown to who waits."),
        optional("by", Kind::String, "null", "Who pauses it; shown to who waits."),
    ];
    /// What is paused no more.
    UNPAUSE = "unpause" [
        optional("queue", Kind::String, "null", "This queue; or else"),
        optional("function", Kind::String, "null", "this function."),
    ];
    /// What a cleanup removes.
    CLEANUP = "cleanup" [
        optional("older_than", Kind::Duration, "604800.0", "Executions that ended longer ago than this."),
        optional("dead_letters", Kind::Duration, "null", "Dead letters older than this; null: they are kept."),
    ];
    /// How statistics are told.
    STATS = "stats" [
        optional("format", Kind::Word(StatsFormat::WORDS), "\"json\"", "JSON, or the text that Prometheus reads."),
    ];
    /// The library's own settings, before the first handle is made.
    CONFIGURE = "configure" [
        optional("runtime_threads", Kind::Integer, "null", "Threads that serve the stores; null: one for each processor, at most 4."),
        optional("handler_stack_size", Kind::Integer, "null", "Bytes of stack of each thread that runs handlers, from 256 KiB to 1 GiB; null: 1 MiB."),
        optional("otlp_endpoint", Kind::String, "null",
            "The collector of OpenTelemetry that gets spans, as an http:// or https:// URL behind which /v1/traces is put; null: \
             the one that the environment names, if any."),
    ];
    /// What a log handler is given.
    LOG_HANDLER = "log_handler" [
        optional("level", Kind::Word(Level::WORDS), "\"info\"", "Records of this level and of the more important ones."),
    ];
}

/// For calls whose options know no key yet.
pub(crate) const NONE: Object = Object { name: "none", doc: "", fields: &[], keys: &[] };
