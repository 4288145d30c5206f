//! Writing and reading executions.

statements! {
    /// Inserts those that don't exist.
    EXECUTIONS_INSERT_MANY "executions_insert_many" "insert executions" rows (
        id: Id, root_function: Text, root_task_id: Id, state: Text, priority: Int, created_at: Time, expiry_at: Due,
        on_cancel: Text, traceparent: Text, queue: Text, tags: Text, args: Bytes, kwargs: Bytes,
    );

    /// Inserts executions and their roots, if the catalog has this version and none of `known` is there. Counts the
    /// executions.
    EXECUTIONS_DISPATCH "executions_dispatch" "dispatch" rows (
        id: Id, root_function: Text, root_task_id: Id, priority: Int, on_cancel: Text, traceparent: Text, queue: Text,
        tags: Text, args: Bytes, kwargs: Bytes, route: Int, timeout: Int, cache_key: Text, cache_ttl: Int,
        retry_policy: Text, concurrency_key: Text, head_start: Int, fairness_key: Text, fairness_weight: Real,
    ) with (version: Int, known: Texts) gives (count: Int) sqlite needs not "no statement has a journey there";

    /// Ends executions as their roots have ended, except those that are being cancelled. One that has cleaned up is
    /// `cancelling` from then on.
    EXECUTIONS_END "executions_end" "end executions"
        rows (id: Id, state: Text, result: Bytes, error: Bytes, retries: Int) with (now: Time)
        gives (id: Id, state: Text);

    EXECUTION_CANCEL "execution_cancel" "cancel an execution" with (id: Id, reason: Text);

    /// Marks the running tasks and the roots of executions that are being cancelled, so that what they write is
    /// refused. The caller ends those of them that are not running.
    TASKS_STOP "tasks_stop" "stop what runs" rows (execution_id: Id) gives (id: Id, state: Text, parent_task_id: Id);

    EXECUTIONS_ROOTS "executions_roots" "find cancelled roots" rows (execution_id: Id) gives (id: Id);

    /// Ends the executions that are being cancelled and in which nobody holds a lease.
    EXECUTIONS_CLOSE "executions_close" "end cancelled executions" rows (id: Id) with (now: Time) gives (
        id: Id, state: Text, on_cancel: Text, cancel_reason: Text, args: Bytes, kwargs: Bytes,
    );

    EXECUTION_STATE_WORD "execution_state_word" "read an execution's state" with (id: Id) gives (state: Text);

    EXECUTION_EXISTS "execution_exists" "look for the execution" with (id: Id) gives (found: Flag);

    EXECUTION_GET "execution_get" "read an execution" with (id: Id) gives (..execution);

    /// Newest first. Both time bounds are exclusive.
    EXECUTIONS_LIST "executions_list" "list executions" with (
        created_after: Time, created_before: Time, state: Text, function: Text, queue: Text, tag: Text, limit: Int,
        offset: Int,
    ) gives (..execution);

    EXECUTIONS_ENDED "executions_ended" "look for ended executions" rows (id: Id) gives (id: Id);

    EXECUTIONS_CANCELLED "executions_cancelled" "look for cancelled executions" rows (id: Id) gives (id: Id);

    /// Reads all of an execution. Each row is one `part` (the execution, a task, a line of progress, a counter, a state
    /// value) and fills the columns of that part. Tasks come in the order of creation, progress in its own.
    EXECUTION_SNAPSHOT "execution_snapshot" "read an execution" with (id: Id) gives (
        part: Text, ..execution, replay_of: Id, cancel_reason: Text, name: Text, cache_hit: Flag, place: Int,
        whole: Int, fraction: Real, value: Bytes,
    );

    EXECUTION_INSERT "execution_insert" "create the execution" with (
        id: Id, root_function: Text, root_task_id: Id, state: Text, args: Bytes, kwargs: Bytes, retries: Int,
        created_at: Time, started_at: Time, completed_at: Time, expiry_at: Due, tags: Text, priority: Int, queue: Text,
        result: Bytes, error: Bytes,
    );

    EXECUTION_UPDATE "execution_update" "update the execution" with (
        id: Id, state: Text, args: Bytes, kwargs: Bytes, retries: Int, started_at: Time, completed_at: Time,
        expiry_at: Due, tags: Text, priority: Int, queue: Text, result: Bytes, error: Bytes,
    );

    EXECUTION_ROOT "execution_root" "find an execution's root" with (id: Id) gives (root_task_id: Id);

    EXECUTION_ROOT_SET "execution_root_set" "note the root task" with (id: Id, root_task_id: Id);
}
