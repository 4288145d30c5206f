//! The protocol's tasks, written as records.

statements! {
    /// Inserts those that don't exist. `head_start`: in microseconds, of a priority that ages, by which they compete with those
    /// of priority 0.
    TASKS_INSERT_MANY "tasks_insert_many" "insert tasks" rows (
        id: Id, execution_id: Id, parent_task_id: Id, step_name: Text, step_key: Text, kind: Text, state: Text,
        lane: Int, route: Int, priority: Int, created_at: Time, due_at: Due, scheduled_for: Time, started_at: Time,
        completed_at: Time, op: Int, arrival: Int, timeout: Int, joins: Id, idempotency_key: Text, cache_key: Text,
        cache_ttl: Int, queue: Text, tags: Text, retry_policy: Text, args: Bytes, kwargs: Bytes, result: Bytes,
        error: Bytes, concurrency_key: Text, head_start: Int, fairness_key: Text, fairness_weight: Real,
    );

    /// The fairness keys of those that have one of their own.
    TASKS_FAIRNESS "tasks_fairness" "look whose the calls are" rows (id: Id)
        gives (id: Id, fairness_key: Text, fairness_weight: Real);

    TASKS_EXISTING "tasks_existing" "look for tasks that exist" rows (id: Id) gives (id: Id);

    /// Those that exist and are neither pending nor running.
    EXECUTIONS_OVER "executions_over" "look whether executions are over" rows (id: Id) gives (id: Id, state: Text);

    /// Those that existing tasks have as their parent.
    TASKS_EXPECTED "tasks_expected" "look for tasks below new ones" rows (id: Id) gives (id: Id);

    /// Finds one that is its own ancestor.
    TASKS_CIRCLE "tasks_circle" "look for tasks that are their own ancestors" rows (id: Id) gives (id: Id);

    /// `lease_expires_at` is the record's field; `lease` is the lease that counts, if the task is running.
    TASKS_CREATE "tasks_create" "create tasks" rows (
        id: Id, execution_id: Id, parent_task_id: Id, step_name: Text, step_key: Text, kind: Text, state: Text,
        lane: Int, route: Int, priority: Int, created_at: Time, due_at: Due, scheduled_for: Time, fence: Int, worker_id: Text,
        lease_expires_at: Time, limited: Flag, started_at: Time, completed_at: Time, retries: Int, timeout: Int,
        idempotency_key: Text, queue: Text, tags: Text, retry_policy: Text, args: Bytes, kwargs: Bytes, result: Bytes,
        error: Bytes, lease: Lease,
    );

    /// As for [`TASKS_CREATE`].
    TASK_UPDATE "task_update" "update the task" with (
        id: Id, state: Text, result: Bytes, error: Bytes, retries: Int, started_at: Time, completed_at: Time,
        worker_id: Text, lease_expires_at: Time, scheduled_for: Time, lane: Int, route: Int, due_at: Due,
        limited: Flag, lease: Lease,
    );
}
