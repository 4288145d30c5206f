//! Idempotency keys, the tasks that joined their owners, the cache, and unique keys.

statements! {
    /// Inserts the key if it does not exist.
    IDEMPOTENCY_RESERVE "idempotency_reserve" "reserve an idempotency key"
        with (key: Text, owner: Id, args_hash: Bytes, expires_at: Time);

    IDEMPOTENCY_FIND "idempotency_find" "reserve an idempotency key" with (key: Text, now: Time)
        gives (value: Bytes, owner: Id, args_hash: Bytes, state: Text, result: Bytes);

    IDEMPOTENCY_TAKE_OVER "idempotency_take_over" "reserve an idempotency key"
        with (key: Text, owner: Id, args_hash: Bytes, expires_at: Time);

    IDEMPOTENCY_INHERIT "idempotency_inherit" "hand an idempotency key on" with (owner: Id, heir: Id);

    /// For owners that are deleted: their results are kept as plain values.
    IDEMPOTENCY_KEEP "idempotency_keep" "keep the results of idempotency keys" rows (owner: Id);

    /// For owners that go on in another store: their keys are their execution's until it comes back.
    IDEMPOTENCY_LEAVE "idempotency_leave" "keep idempotency keys" rows (owner: Id);

    IDEMPOTENCY_COME_BACK "idempotency_come_back" "give an idempotency key back"
        with (key: Text, owner: Id, execution: Id);

    TASK_ROOT_EXECUTION "task_root_execution" "find an execution by its root" with (id: Id) gives (execution_id: Id);

    /// Is `ancestor` the task itself, one of its ancestors, or a task that one of these waits for by a key?
    TASK_WAITS_FOR "task_waits_for" "look for a join that would wait for itself" with (id: Id, ancestor: Id)
        gives (waits: Flag);

    /// Oldest first.
    TASKS_JOINING "tasks_joining" "find joined tasks" with (owner: Id) gives (id: Id, parent_task_id: Id);

    TASKS_START_HEIR "tasks_start_heir" "hand an idempotency key on" with (id: Id);

    TASKS_REJOIN "tasks_rejoin" "hand an idempotency key on" with (owner: Id, heir: Id);

    IDEMPOTENCY_GET "idempotency_get" "read a kept result" with (key: Text, now: Clock) gives (value: Bytes);

    IDEMPOTENCY_PUT "idempotency_put" "keep a result" with (key: Text, value: Bytes, expires_at: Time);

    CACHE_GET "cache_get" "read a kept result" with (key: Text, now: Clock) gives (value: Bytes);

    CACHE_GET_MANY "cache_get_many" "look for cached results" rows (key: Text) with (now: Clock)
        gives (key: Text, value: Bytes);

    CACHE_PUT "cache_put" "keep a result" with (key: Text, value: Bytes, expires_at: Time);

    CACHE_PUT_MANY "cache_put_many" "keep results" rows (key: Text, value: Bytes, expires_at: Time);

    /// For what has reserved it and starts nothing.
    IDEMPOTENCY_GIVE_BACK "idempotency_give_back" "give an idempotency key back" with (key: Text, owner: Id);

    UNIQUE_FIND "unique_find" "look for a unique key" with (key: Text)
        gives (execution_id: Id, dispatched_at: Time, asked_id: Id, state: Text, waits: Flag, latest: Flag);

    UNIQUE_TAKE "unique_take" "take a unique key"
        with (key: Text, execution_id: Id, dispatched_at: Time, window_ends_at: Time, expires_at: Time);

    /// Notes who has it, before another takes it.
    UNIQUE_SET_ASIDE "unique_set_aside" "take a unique key" with (key: Text);

    /// Those that had it and are over.
    UNIQUE_FORGET "unique_forget" "take a unique key" with (key: Text);

    /// Who has asked last for the key's execution.
    UNIQUE_ASKED "unique_asked" "debounce" with (key: Text, asked_id: Id);

    /// Gives other arguments to a root that no worker has had, and another time to start; none: now.
    TASK_DEBOUNCE "task_debounce" "debounce"
        with (id: Id, args: Bytes, kwargs: Bytes, due_at: Due, scheduled_for: Time);

    EXECUTION_DEBOUNCE "execution_debounce" "debounce" with (id: Id, args: Bytes, kwargs: Bytes, expiry_at: Due);
}
