//! What time brings.

statements! {
    /// How long until something is due, in microseconds: negative, it is over; null, nothing is. Whether there is
    /// something that waits for no time, and something to claim in these lanes, by which version of the catalog.
    DUE_NEXT "due_next" "look for what is due" with (lanes: Ints, now: Clock)
        gives (wait: Int, other: Flag, ready: Flag, version: Int);

    TASKS_DUE "tasks_due" "find what is due" with (now: Time, limit: Int) gives (
        id: Id, execution_id: Id, parent_task_id: Id, kind: Text, state: Text, step_name: Text, retries: Int,
        retry_policy: Text,
    );

    TASKS_LEASES_ENDED "tasks_leases_ended" "find ended leases" with (now: Lease, limit: Int) gives (
        id: Id, execution_id: Id, parent_task_id: Id, step_name: Text, crashes: Int, begun: Int,
        company: Int, retry_policy: Text, worker_id: Text, execution_state: Text,
    );

    TASKS_READY "tasks_ready" "let due tasks be claimed" rows (id: Id);

    /// Pending again, under a new fence.
    TASKS_RETRY "tasks_retry" "try tasks again" rows (id: Id, due_at: Time, error: Bytes);

    /// Pending again, after their worker's death. What has no error keeps the one it had.
    TASKS_DIED "tasks_died" "take back what a dead worker left"
        rows (id: Id, error: Bytes, crashes: Int, deaths: Int, company: Int);

    /// They begin to be cancelled.
    EXECUTIONS_EXPIRE "executions_expire" "expire executions" with (now: Time, limit: Int) gives (id: Id);

    /// Those being cancelled in which nothing is leased.
    EXECUTIONS_CLOSABLE "executions_closable" "find cancelled executions" with (limit: Int) gives (id: Id);

    /// Tasks parked by another version than these.
    TASKS_UNPARK "tasks_unpark" "free parked tasks" rows (step_name: Text, version: Text)
        with (lane: Int, limit: Int, due_at: Time);

    TASK_RESUME "task_resume" "resume a parked task" with (id: Id);
}
