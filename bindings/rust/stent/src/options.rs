//! The options of the library, as `describe` lists them. What is not said is left to the library's default.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::values::{Span, Strings};

macro_rules! options {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] $field: Option<$type>,)*
        }

        impl $name {
            /// What can be said here.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            /// Nothing is said yet.
            pub fn new() -> Self {
                Self::default()
            }

            $($(#[$field_doc])* pub fn $field(mut self, $field: impl Into<$type>) -> Self {
                self.$field = Some($field.into());
                self
            })*
        }
    };
}

type Object = BTreeMap<String, Value>;

options! {
    /// When a failed attempt is tried again.
    RetryPolicy {
        /// Attempts in all, the first one included; at least 1.
        max_attempts: u32,
        /// Workers in a row that may die while they run it apart from others, before it is a dead letter; at least 1.
        max_deaths: u32,
        /// Each delay is this many times the one before.
        backoff_factor: f64,
        /// Before the first retry.
        initial_delay: Span,
        /// No delay is longer, but for the jitter.
        max_delay: Span,
        /// The delay before each retry, one by one, in place of the three above; the last one repeats.
        delays: Vec<Span>,
        /// The part of the delay by which chance moves it: 0 to 1.
        jitter: f64,
        /// No retry begins later than this after the first attempt began.
        max_elapsed: Span,
        /// The failure types that are retried; empty: all.
        retry_for: Strings,
        /// The failure types that are never retried.
        no_retry_for: Strings,
        /// A child's failure is retried too: the failed children run again.
        retry_children: bool,
    }
}

options! {
    /// A bucket of tokens, of which each start takes one. It fills evenly, and is full at first.
    Rate {
        /// This many tokens come in each period; at least 1.
        limit: u32,
        /// In which time they come, one after the other.
        period: Span,
        /// This many tokens it holds, so many may start at once; at least 1.
        burst: u32,
    }
}

options! {
    /// How an execution is started.
    DispatchOptions {
        /// The execution's id, a UUID. An id that exists is a conflict.
        id: String,
        /// Named arguments.
        kwargs: Object,
        /// It is not started before this has passed.
        delay: Span,
        /// It is ended as timed out this long after the dispatch.
        expiry: Span,
        /// It is ended as timed out this long after the delay; not together with an expiry.
        max_duration: Span,
        /// A second use of the key with the same function joins the first; with other arguments it is a conflict.
        idempotency_key: String,
        /// What the key does after an execution that failed: `after_failure` starts another, `never` answers its id.
        idempotency_reuse: String,
        /// One execution of the function at a time has it: while it is pending or running another dispatch starts nothing.
        unique_key: String,
        /// Start nothing if the `unique_key` was taken less than this ago, whatever has become of that execution.
        unique_for: Span,
        /// While what the `unique_key` is taken: `unfinished` (the default without a `unique_for`), or `pending`, until a
        /// worker has it.
        unique_while: String,
        /// What one gets whose `unique_key` is taken: `return` the execution that has it, `refuse` with a conflict that
        /// names it.
        unique_existing: String,
        /// Start when no other dispatch with the `unique_key` came for so long; until then each gives it its arguments.
        debounce: Span,
        /// But no later than so long after the first.
        debounce_max: Span,
        /// The function that is dispatched when the execution is cancelled or timed out.
        on_cancel: String,
        /// W3C Trace Context, handed to every task of the execution.
        traceparent: String,
        /// Workers of this queue run it.
        queue: String,
        /// Workers with one of these tags, or without tags, run it.
        tags: Strings,
        /// Higher is claimed first.
        priority: i64,
        /// How long a task waits to make up for one step of priority.
        priority_ageing: Span,
        /// How failures are tried again.
        retry_policy: RetryPolicy,
        /// Of one attempt, from its start.
        timeout: Span,
        /// Take the result of an earlier call with the same arguments, and keep this one's.
        cached: bool,
        /// How long a result is kept.
        cache_ttl: Span,
        /// No more of the calls with this key run at once than the function's `max_concurrent_per_key`.
        concurrency_key: String,
        /// Whose task it is: what waits in a queue is shared out among the keys. A call without one has its parent's.
        fairness_key: String,
        /// How much its key gets: twice as many tasks with 2 as with 1.
        fairness_weight: f64,
    }
}

options! {
    /// How a handler calls a function. What is left out is as the function's registration says.
    CallOptions {
        /// The operation's own key in the journal, in place of name and number.
        key: String,
        /// Named arguments.
        kwargs: Object,
        /// It is not started before this has passed.
        delay: Span,
        /// A second use of the key with the same function joins the first; with other arguments it is a conflict.
        idempotency_key: String,
        /// A key for the cache in place of the arguments; implies `cached`.
        cache_key: String,
        /// Workers of this queue run it.
        queue: String,
        /// Workers with one of these tags, or without tags, run it.
        tags: Strings,
        /// Higher is claimed first.
        priority: i64,
        /// How long a task waits to make up for one step of priority.
        priority_ageing: Span,
        /// How failures are tried again.
        retry_policy: RetryPolicy,
        /// Of one attempt, from its start.
        timeout: Span,
        /// Take the result of an earlier call with the same arguments, and keep this one's.
        cached: bool,
        /// How long a result is kept.
        cache_ttl: Span,
        /// No more of the calls with this key run at once than the function's `max_concurrent_per_key`.
        concurrency_key: String,
        /// Whose task it is: what waits in a queue is shared out among the keys. A call without one has its parent's.
        fairness_key: String,
        /// How much its key gets: twice as many tasks with 2 as with 1.
        fairness_weight: f64,
    }
}

options! {
    /// What a worker declares of a function; kept in the store for all who call it.
    FunctionOptions {
        /// Workers of this queue run it.
        queue: String,
        /// Workers with one of these tags, or without tags, run it.
        tags: Strings,
        /// Higher is claimed first.
        priority: i64,
        /// How long a task waits to make up for one step of priority.
        priority_ageing: Span,
        /// How failures are tried again.
        retry_policy: RetryPolicy,
        /// Of one attempt, from its start.
        timeout: Span,
        /// Another version may free tasks that are parked for a mismatch.
        version: String,
        /// At most this many run at once, in all workers.
        max_concurrent: u32,
        /// At most this many run at once of the calls with one `concurrency_key`, in all workers.
        max_concurrent_per_key: u32,
        /// How often its attempts may start, in all workers.
        rate: Rate,
        /// The same for the calls with one `concurrency_key`.
        rate_per_key: Rate,
        /// Take the result of an earlier call with the same arguments, and keep this one's.
        cached: bool,
        /// How long a result is kept.
        cache_ttl: Span,
        /// A call without a key gets one made of its arguments.
        idempotent: bool,
        /// How long an execution of it may clean up after it was cancelled or timed out.
        cleanup: Span,
    }
}

options! {
    /// How tasks are gathered for a handler that takes many in one call.
    BatchOptions {
        /// Tasks in one call of the handler, at the most; and no more than the worker has slots (`max_concurrency`).
        size: u32,
        /// How long the first task waits for others: at most an hour; 0: the handler gets what is ready.
        wait: Span,
    }
}

options! {
    /// How a worker works.
    WorkerOptions {
        /// Its name in the store.
        worker_id: String,
        /// The queues it takes tasks from, beside tasks without one; empty: every queue.
        queues: Strings,
        /// By queue, how often attempts of its tasks may start, in all workers; `None`: as often as there are some. Of a queue that
        /// is not named nothing changes.
        queue_rates: BTreeMap<String, Option<Rate>>,
        /// The tags of which it takes tasks, beside tasks without one; empty: every tag.
        tags: Strings,
        /// Slots: handlers that run at once.
        max_concurrency: u32,
        /// Tasks held ready beyond the slots.
        prefetch: u32,
        /// After this long without a word a worker counts as dead.
        lease_duration: Span,
        /// How often leases are renewed.
        heartbeat_interval: Span,
        /// How often an idle worker looks for work that no wake-up told of.
        poll_interval: Span,
        /// While there is none, `poll_interval` doubles up to this.
        poll_interval_max: Span,
        /// How often old executions are removed, or [`Span::NEVER`].
        cleanup_interval: Span,
        /// How long an ended execution is kept.
        retention_period: Span,
        /// How long a handler's await is held in its slot before it suspends.
        hold: Span,
        /// Of a poller's host, which this crate is not.
        max_coroutines: u32,
        /// Of a poller's host, which this crate is not.
        host_timeout: Span,
    }
}

options! {
    /// How a SQLite file is opened.
    SqliteOptions {
        /// What a commit waits for: `full`, `normal` or `off`.
        synchronous: String,
        /// How long a transaction waits for another process's.
        busy_timeout: Span,
        /// Connections that read beside the one that writes.
        readers: u32,
        /// Who may read and write a file that is created, as for chmod: `"0600"`.
        file_mode: String,
    }
}

options! {
    /// How a store of your own is spoken to.
    CustomOptions {
        /// How long the function may take to answer.
        timeout: Span,
        /// What it keeps beside the engine's operations: `key_limits`, `rates`, `unique_keys`, `fairness`.
        features: Strings,
    }
}

options! {
    /// How the conformance suite is run against a store.
    CheckOptions {
        /// Cases whose names begin with one of these; none: all.
        only: Strings,
        /// How long one case may take.
        timeout: Span,
    }
}

options! {
    /// A wait for a signal.
    WaitSignalOptions {
        /// It then fails with type `SignalTimeout`.
        timeout: Span,
        /// The operation's own key in the journal, in place of name and number.
        key: String,
    }
}

options! {
    /// A step run in place.
    StepOptions {
        /// The operation's own key in the journal, in place of name and number.
        key: String,
    }
}

options! {
    /// The sending of a signal.
    SignalOptions {
        /// The same id for the same execution and name counts once.
        id: String,
    }
}

options! {
    /// Which executions are listed, newest first.
    ExecutionFilter {
        /// In this state.
        state: String,
        /// Of this root function.
        function: String,
        /// Of this queue.
        queue: String,
        /// With this tag.
        tag: String,
        /// Created later than this, RFC 3339.
        created_after: String,
        /// Created earlier than this, RFC 3339.
        created_before: String,
        /// At most so many.
        limit: u32,
        /// Without the first so many.
        offset: u32,
    }
}

options! {
    /// Which dead letters are listed, newest first.
    DeadLetterFilter {
        /// Of this task.
        task_id: String,
        /// Of this execution's tasks.
        execution_id: String,
        /// Of this function.
        function: String,
        /// At most so many.
        limit: u32,
        /// Without the first so many.
        offset: u32,
    }
}

options! {
    /// What is paused: a queue or a function.
    PauseOptions {
        /// This queue; or else
        queue: String,
        /// this function.
        function: String,
        /// Why; shown to who waits.
        reason: String,
        /// Who pauses it; shown to who waits.
        by: String,
    }
}

options! {
    /// What is started at which times; one of `cron`, `every` and `times` is said. Times are RFC 3339.
    Schedule {
        /// Its identity in the store.
        name: String,
        /// The function that each tick starts.
        function: String,
        /// Arguments.
        args: Vec<Value>,
        /// How each execution is started.
        options: DispatchOptions,
        /// Five fields, six with seconds before them, or a name as `@daily`; L, W and # for days.
        cron: String,
        /// Time that passes between ticks, from `start` on, else counted from 1970.
        every: Span,
        /// The ticks one by one.
        times: Strings,
        /// The IANA name of the zone whose clock `cron` reads.
        time_zone: String,
        /// No tick is before it.
        start: String,
        /// No tick is after it.
        end: String,
        /// Each tick is started late by up to this.
        jitter: Span,
        /// What becomes of a tick while the last execution goes on: `skip`, `queue_one`, `queue_all`, `cancel_running` or `allow`.
        overlap: String,
        /// A tick for which no worker was there is started up to so much later.
        catch_up: Span,
        /// Who declares it.
        owner: String,
        /// The named argument in which the function gets the tick's time.
        time_argument: String,
    }
}

options! {
    /// Which schedules are listed, by name.
    ScheduleFilter {
        /// This one.
        name: String,
        /// Of this owner.
        owner: String,
        /// Of this function.
        function: String,
        /// Those after this name: the last one of the page before.
        after: String,
        /// At most so many.
        limit: u32,
        /// So many of the ticks to come are told of each.
        next: u32,
        /// So many of the ticks that were are told of each, the newest first.
        last: u32,
    }
}

options! {
    /// How an owner's schedules are declared.
    DeclareOptions {
        /// Others of the same owner are deleted.
        remove_others: bool,
    }
}

options! {
    /// Why a schedule is paused.
    SchedulePauseOptions {
        /// For people.
        note: String,
    }
}

options! {
    /// What is paused no more: a queue or a function.
    UnpauseOptions {
        /// This queue; or else
        queue: String,
        /// this function.
        function: String,
    }
}

options! {
    /// How a tick is made by hand.
    TriggerOptions {
        /// In place of the schedule's own.
        overlap: String,
    }
}

options! {
    /// Which ticks are made by hand.
    BackfillOptions {
        /// The first time, RFC 3339.
        from: String,
        /// The last time, not later than now.
        to: String,
        /// What becomes of a tick while another one's execution goes on.
        overlap: String,
    }
}

options! {
    /// What a cleanup removes.
    CleanupOptions {
        /// Executions that ended longer ago than this.
        older_than: Span,
        /// Dead letters older than this; not said: they are kept.
        dead_letters: Span,
    }
}

options! {
    /// How statistics are told.
    StatsOptions {
        /// `json`, or `prometheus` for the text that it reads.
        format: String,
    }
}

options! {
    /// The library's own settings, before the first store is opened.
    ConfigureOptions {
        /// Threads that serve the stores.
        runtime_threads: u32,
        /// Bytes of stack of each thread that runs handlers, from 256 KiB to 1 GiB.
        handler_stack_size: u64,
        /// The collector of OpenTelemetry that gets spans, as an `http://` or `https://` URL; not said: the environment's.
        otlp_endpoint: String,
    }
}

options! {
    /// What a log handler is given.
    LogOptions {
        /// Lines of this level and of the more important ones: `error`, `warn`, `info` or `debug`.
        level: String,
    }
}
