//! Finding and handling what is due.

statements! {
    /// `wait`: microseconds until something is due; negative if it is overdue, null if nothing is scheduled. `other`:
    /// there is work for a sweep that has no due time. `ready`: there is something to claim in these lanes. `version`:
    /// the catalog's. PostgreSQL: `ready` is asked of lanes in which nothing was, as of snapshots (`places.rs`); nothing is
    /// due before the times since when something may be, which are null for all, and the new ones come back.
    DUE_NEXT "due_next" "look for what is due"
        with (
            lanes: Ints, now: Clock, seen: Ints, running: Ints, due_since: Time, lease_since: Time, expiry_since: Time,
        ) gives (
            wait: Int, other: Flag, ready: Flag, version: Int, due_since: Time, lease_since: Time, expiry_since: Time,
        );

    TASKS_DUE "tasks_due" "find what is due" with (now: Due, limit: Int, since: Time) gives (
        id: Id, execution_id: Id, parent_task_id: Id, kind: Text, state: Text, step_name: Text, retries: Int,
        retry_policy: Text, first_started_at: Time,
    );

    TASKS_LEASES_ENDED "tasks_leases_ended" "find ended leases" with (now: Lease, limit: Int, since: Time) gives (
        id: Id, execution_id: Id, parent_task_id: Id, step_name: Text, crashes: Int, begun: Int,
        company: Int, retry_policy: Text, worker_id: Text, execution_state: Text,
    );

    /// Their next tokens are there.
    RATES_DUE "rates_due" "find rates that have tokens again" with (now: Time);

    /// Each by what a task says, of its function, and of its key where `what` is `of_key`. Answers with those that are longer
    /// than what was there; without a key a function's. `fresh`: nobody has known it.
    HOLDS_PUT "holds_put" "hold who is to start" rows (id: Id, what: Text, ends_at: Time) with (of_key: Text)
        gives (function: Text, concurrency_key: Text, fresh: Flag);

    HOLDS_READ "holds_read" "look who is held" with (functions: Texts, now: Time) gives (function: Text);

    /// Those that are over.
    HOLDS_END "holds_end" "end holds" with (now: Time, limit: Int) gives (function: Text, concurrency_key: Text);

    /// Keys of which there may be tokens again.
    KEYS_DUE "keys_due" "find keys that have tokens again" with (now: Time, limit: Int)
        gives (function: Text, concurrency_key: Text);

    /// Their slots and tokens are given to those who wait: at once, or by [`SLOTS_SETTLE`].
    SLOTS_FILL "slots_fill" "look at keys" rows (function: Text, concurrency_key: Text);

    TASKS_READY "tasks_ready" "let due tasks be claimed" rows (id: Id) with (now: Time);

    /// Pending again, under a new fence.
    TASKS_RETRY "tasks_retry" "try tasks again" rows (id: Id, due_at: Due, error: Bytes, attempt: Text);

    /// Pending again, after their worker's death. What has no error keeps the one it had.
    TASKS_DIED "tasks_died" "take back what a dead worker left"
        rows (id: Id, error: Bytes, crashes: Int, deaths: Int, company: Int, attempt: Text);

    /// They begin to be cancelled.
    EXECUTIONS_EXPIRE "executions_expire" "expire executions" with (now: Due, limit: Int, since: Time) gives (id: Id);

    /// The time of their cleanup is over: they are being cancelled for good.
    EXECUTIONS_CLEANUP_OVER "executions_cleanup_over" "end cleanups" with (now: Due, limit: Int) gives (id: Id);

    /// Executions that are being cancelled and in which nobody holds a lease.
    EXECUTIONS_CLOSABLE "executions_closable" "find cancelled executions" with (limit: Int) gives (id: Id);

    /// Frees tasks that were parked by other versions of these functions.
    TASKS_UNPARK "tasks_unpark" "free parked tasks" rows (step_name: Text, version: Text)
        with (lane: Int, limit: Int, due_at: Due, paused: Ints);

    /// Those that wait for their time may be claimed now; which they are.
    TASKS_HASTEN "tasks_hasten" "let waiting tasks begin" rows (id: Id) with (now: Time) gives (id: Id);

    TASK_RESUME "task_resume" "resume a parked task" with (id: Id);
}
