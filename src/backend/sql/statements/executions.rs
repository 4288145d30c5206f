//! Executions.

statements! {
    /// Those that were not there.
    EXECUTIONS_INSERT_MANY "executions_insert_many" "insert executions" rows (
        id: Id, root_function: Text, root_task_id: Id, state: Text, priority: Int, created_at: Time, expiry_at: Due,
        on_cancel: Text, traceparent: Text, queue: Text, tags: Text, args: Bytes, kwargs: Bytes,
    );

    /// As their roots did. Those that are being cancelled end otherwise.
    EXECUTIONS_END "executions_end" "end executions"
        rows (id: Id, state: Text, result: Bytes, error: Bytes, retries: Int) with (now: Time);

    EXECUTION_CANCEL "execution_cancel" "cancel an execution" with (id: Id, reason: Text);

    /// What runs in executions that are being cancelled, roots first of all: it is to end, and what does not run yet is
    /// ended by the caller.
    TASKS_STOP "tasks_stop" "stop what runs" rows (execution_id: Id) gives (id: Id, state: Text, parent_task_id: Id);

    EXECUTIONS_ROOTS "executions_roots" "find cancelled roots" rows (execution_id: Id) gives (id: Id);

    /// Those being cancelled in which nobody holds a lease.
    EXECUTIONS_CLOSE "executions_close" "end cancelled executions" rows (id: Id) with (now: Time) gives (
        id: Id, state: Text, on_cancel: Text, cancel_reason: Text, args: Bytes, kwargs: Bytes,
    );

    EXECUTION_STATE_WORD "execution_state_word" "read an execution's state" with (id: Id) gives (state: Text);

    EXECUTION_EXISTS "execution_exists" "look for the execution" with (id: Id) gives (found: Flag);

    EXECUTION_GET "execution_get" "read an execution" with (id: Id) gives (..execution);

    /// Newest first. Both bounds of the time are outside of what is listed.
    EXECUTIONS_LIST "executions_list" "list executions" with (
        created_after: Time, created_before: Time, state: Text, function: Text, queue: Text, tag: Text, limit: Int,
        offset: Int,
    ) gives (..execution);

    EXECUTIONS_ENDED "executions_ended" "look for ended executions" rows (id: Id) gives (id: Id);

    EXECUTIONS_CANCELLED "executions_cancelled" "look for cancelled executions" rows (id: Id) gives (id: Id);

    /// All of an execution: each row is of one `part` of it (the execution, a task, a line of progress, a counter, a
    /// value of its state) and has that part's columns. Tasks are in the order of their creation, progress is in its own.
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
