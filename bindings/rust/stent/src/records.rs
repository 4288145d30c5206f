//! What the library tells of executions, tasks and workers. Times are RFC 3339.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Number, Value};

use crate::error::Failure;

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        })*
    };
}

records! {
    /// One run of a dispatched function, with everything it called.
    ExecutionRecord {
        /// Its id.
        id: String,
        /// The function that was dispatched.
        root_function: String,
        /// `pending`, `running`, `completed`, `failed`, `timed_out`, `cancelling` or `cancelled`.
        state: String,
        /// The arguments.
        #[serde(default)]
        args: Value,
        /// The named arguments.
        #[serde(default)]
        kwargs: Value,
        /// Attempts that failed.
        #[serde(default)]
        retries: u32,
        /// When it was dispatched.
        created_at: String,
        /// When it was first claimed.
        started_at: Option<String>,
        /// When it ended.
        completed_at: Option<String>,
        /// When it is ended as timed out.
        expiry_at: Option<String>,
        /// What it told of itself; not in lists.
        #[serde(default)]
        progress: Vec<Progress>,
        /// Its tags.
        #[serde(default)]
        tags: Vec<String>,
        /// Its priority.
        #[serde(default)]
        priority: i64,
        /// Its queue.
        queue: Option<String>,
        /// Its result.
        #[serde(default)]
        result: Value,
        /// Why it failed.
        #[serde(rename = "error")]
        failure: Option<Failure>,
        /// Its counters; not in lists.
        #[serde(default)]
        counters: BTreeMap<String, Number>,
        /// Its named values; not in lists.
        #[serde(default)]
        state_values: BTreeMap<String, Value>,
        /// The execution whose dead letter it is a replay of.
        replay_of: Option<String>,
        /// Why it was cancelled.
        cancel_reason: Option<String>,
    }

    /// One line of what an execution tells of itself.
    Progress {
        /// What it is about.
        step: String,
        /// How that stands.
        status: String,
        /// When it began.
        started_at: Option<String>,
        /// When it ended.
        completed_at: Option<String>,
        /// What [`Task::progress`](crate::Task::progress) was given.
        #[serde(default)]
        detail: Value,
    }

    /// One call inside an execution, as the store has it.
    TaskRecord {
        /// Its id.
        id: String,
        /// Its execution's.
        execution_id: String,
        /// The function, or what else it is.
        step_name: String,
        /// Its key in its parent's journal.
        step_key: Option<String>,
        /// `activity`, `timer`, `signal` or `step`.
        kind: String,
        /// The task that called it.
        parent_task_id: Option<String>,
        /// Its state.
        state: String,
        /// Attempts that failed.
        #[serde(default)]
        retries: u32,
        /// Who runs it.
        worker_id: Option<String>,
        /// Its result.
        #[serde(default)]
        result: Value,
        /// Why it failed.
        #[serde(rename = "error")]
        failure: Option<Failure>,
    }

    /// A task that used up its attempts.
    DeadLetter {
        /// The task.
        task: TaskRecord,
        /// Why it came to this.
        reason: String,
        /// When.
        moved_at: String,
    }

    /// The numbers of what a cleanup removed.
    Cleaned {
        /// Executions.
        executions: u64,
        /// Dead letters.
        dead_letters: u64,
    }

    /// What came of the conformance suite.
    CheckReport {
        /// `engine`, or `protocol` for a store that does not answer the engine's operations.
        level: String,
        /// Cases that passed.
        passed: u32,
        /// Cases that failed.
        failed: u32,
        /// Cases of operations that the store does not answer.
        not_offered: u32,
        /// Guarantees that a store of this level does not have.
        given_up: Vec<String>,
        /// The cases.
        cases: Vec<CheckedCase>,
    }

    /// One case of the conformance suite.
    CheckedCase {
        /// Its name.
        name: String,
        /// `passed`, `failed` or `not_offered`.
        outcome: String,
        /// How long it took.
        seconds: f64,
        /// Of a failed case: what should have been.
        expected: Option<String>,
        /// What was.
        got: Option<String>,
        /// Where; also the operation that is not offered.
        place: Option<String>,
    }

    /// What a handler may know of its task.
    TaskInfo {
        /// The same in every attempt, and after every crash: a key for the world outside.
        task_id: String,
        /// Its execution's.
        execution_id: String,
        /// The function's name.
        function: String,
        /// 1 for the first.
        attempt: u32,
        /// How often it was put off by [`Task::snooze`](crate::Task::snooze).
        snoozes: u32,
        /// The number of the claim.
        fence: i64,
        /// Who runs it.
        worker_id: String,
        /// When the attempt is over.
        deadline: Option<String>,
        /// Its queue.
        queue: Option<String>,
        /// Its tags.
        tags: Vec<String>,
        /// Its priority.
        priority: i64,
        /// What kind of task it is.
        kind: String,
        /// The task that called it.
        parent_task_id: Option<String>,
        /// Its key in its parent's journal.
        step_key: Option<String>,
        /// W3C Trace Context.
        traceparent: Option<String>,
        /// What the last attempt said of how far it came.
        #[serde(default)]
        heartbeat: Value,
        /// How often it has started over.
        run: u32,
        /// When it was made.
        created_at: String,
        /// Its execution was cancelled or timed out, and this run is to clean up.
        cleanup: bool,
        /// A worker may have died of it, so it runs apart from others; of a batch it is the only one.
        #[serde(default)]
        apart: bool,
    }

    /// A queue or a function of which nothing is claimed.
    Pause {
        /// The queue; or else
        queue: Option<String>,
        /// the function.
        function: Option<String>,
        /// Since when.
        since: String,
        /// Why.
        reason: Option<String>,
        /// Who paused it.
        by: Option<String>,
        /// Tasks of it that workers still hold.
        running: u64,
    }

    /// What a worker is doing.
    WorkerStatus {
        /// Its name in the store.
        worker_id: String,
        /// `starting`, `ready`, `draining` or `stopped`.
        state: String,
        /// Handlers that may run at once.
        slots: u32,
        /// Handlers that run.
        running: u32,
        /// Tasks held ready.
        prefetched: u32,
        /// Leases.
        held: u32,
        /// Its queues.
        queues: Vec<String>,
        /// Its tags.
        tags: Vec<String>,
        /// Its functions.
        functions: Vec<String>,
        /// Why its last call to the store failed, while that is so.
        #[serde(default)]
        trouble: Value,
    }

    /// What a tick of a schedule became.
    Tick {
        /// Its time, which with the schedule's name is its identity.
        at: String,
        /// `scheduled`, `triggered` or `backfilled`.
        kind: String,
        /// `started`, `waiting`, `skipped` or `missed`.
        state: String,
        /// Where it was started.
        execution_id: Option<String>,
        /// When that was decided.
        decided_at: String,
    }

    /// A schedule as the store has it.
    KeptSchedule {
        /// Its name.
        name: String,
        /// What it starts.
        function: String,
        /// The arguments.
        args: Value,
        /// How each execution is started.
        options: Value,
        /// Its pattern, if it has one.
        cron: Option<String>,
        /// Seconds between its ticks, if it counts them.
        every: Option<f64>,
        /// Its times, if they are listed.
        times: Option<Vec<String>>,
        /// Whose clock the pattern reads.
        time_zone: String,
        /// No tick is before it.
        start: Option<String>,
        /// No tick is after it.
        end: Option<String>,
        /// Seconds by which ticks are late at most.
        jitter: f64,
        /// What becomes of a tick while the last execution goes on.
        overlap: String,
        /// Seconds for catching up.
        catch_up: f64,
        /// Who declares it.
        owner: Option<String>,
        /// The named argument that tells a tick's time.
        time_argument: Option<String>,
        /// When it was first put.
        created_at: String,
        /// When it was last changed by a put.
        updated_at: String,
        /// Since when it is paused.
        paused_at: Option<String>,
        /// Why.
        pause_note: Option<String>,
        /// The tick that comes next.
        next_at: Option<String>,
        /// When that one is started: later by its jitter.
        due_at: Option<String>,
        /// Its last execution.
        last_execution_id: Option<String>,
        /// Whether that one goes on.
        running: bool,
        /// Ticks that start when those before them have ended.
        waiting: u32,
        /// Why it does not tick.
        trouble: Option<String>,
        /// Ticks to come.
        next: Vec<String>,
        /// Ticks that were, the newest first.
        last: Vec<Tick>,
    }
}
