//! Deleting what is old.

statements! {
    /// Oldest first, without those that have a dead letter: its replay needs them; and without those that are the answer to
    /// dispatches within a window.
    EXECUTIONS_LIST_OLD "executions_list_old" "find old executions"
        with (older_than: Time, from: Time, limit: Int, now: Time)
        gives (id: Id, completed_at: Time);

    EXECUTIONS_TASKS "executions_tasks" "find old tasks" rows (execution_id: Id) with (limit: Int)
        gives (id: Id);

    EXECUTIONS_DELETE_PROGRESS "executions_delete_progress" "delete old progress" rows (execution_id: Id)
        with (limit: Int);

    EXECUTIONS_DELETE_SIGNALS "executions_delete_signals" "delete old signals" rows (execution_id: Id)
        with (limit: Int);

    EXECUTIONS_DELETE_COUNTERS "executions_delete_counters" "delete old counters" rows (execution_id: Id);

    EXECUTIONS_DELETE_STATE "executions_delete_state" "delete old state" rows (execution_id: Id);

    EXECUTIONS_DELETE "executions_delete" "delete old executions" rows (id: Id);

    TASKS_FORGET_WAITS "tasks_forget_waits" "delete what tasks waited for" rows (task_id: Id);

    TASKS_FORGET_TREES "tasks_forget_trees" "forget unfinished trees" rows (task_id: Id);

    CACHE_EXPIRE "cache_expire" "delete cached results that have expired" with (now: Time, limit: Int);

    IDEMPOTENCY_EXPIRE "idempotency_expire" "delete idempotency keys that have expired" with (now: Time, limit: Int);

    /// Those of unfinished executions stay.
    UNIQUE_EXPIRE "unique_expire" "delete unique keys that have expired" with (now: Time, limit: Int);

    UNIQUE_EARLIER_EXPIRE "unique_earlier_expire" "delete what had unique keys" with (now: Time, limit: Int);

    DEAD_LETTERS_EXPIRE "dead_letters_expire" "delete old dead letters" with (older_than: Time, limit: Int);
}
