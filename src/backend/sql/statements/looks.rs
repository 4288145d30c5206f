//! What people look for in a store.

statements! {
    /// Those before this id, from the last one on.
    TASKS_FIND "tasks_find" "look for tasks" with (after: Id, state: Text, function: Text, queue: Text, limit: Int)
        gives (..task);

    /// See [`crate::backend::AtHand`].
    TASKS_AT_HAND "tasks_at_hand" "look for tasks that run, are due or are parked" with (limit: Int, now: Clock) gives (
        part: Text, id: Id, execution_id: Id, step_name: Text, kind: Text, worker_id: Text, retries: Int,
        created_at: Time, started_at: Time, due: Time,
    );

    /// The attempts that failed or said "not now", of the execution's tasks that have some.
    TASKS_ATTEMPTS "tasks_attempts" "look for failed attempts" with (execution_id: Id) gives (id: Id, attempts: Text);

    /// The execution's tasks that wait for a slot of their key, and how many slots of it there are and are held.
    SLOT_WAITS "slot_waits" "look who waits for a slot" with (execution_id: Id, limit: Int) gives (
        id: Id, step_name: Text, concurrency_key: Text, most: Int, held: Int, rate: Text, next_at: Time,
        hold_ends_at: Time,
    );

    /// The execution's tasks that are to start, of functions or in queues of which not all may: what there is of tokens, and of
    /// holds.
    RATE_WAITS "rate_waits" "look who waits for a token" with (execution_id: Id, limit: Int, now: Clock) gives (
        id: Id, step_name: Text, rate: Text, full_at: Time, queue: Text, queue_rate: Text, queue_full_at: Time,
        hold_ends_at: Time, now: Time,
    );

    SIGNALS_LIST "signals_list" "list signals" with (execution_id: Id, limit: Int) gives (
        sequence: Int, execution_id: Id, name: Text, id: Text, payload: Bytes, created_at: Time, consumed: Flag,
        consumed_at: Time,
    );

    WORKERS_READ "workers_read" "read the workers" gives (
        worker_id: Text, queues: Text, tags: Text, started_at: Time, seen_at: Time, running: Int,
    );

    EXECUTIONS_COUNT_OLD "executions_count_old" "count old executions" with (older_than: Time, limit: Int)
        gives (count: Int);

    DEAD_LETTERS_COUNT_OLD "dead_letters_count_old" "count old dead letters" with (older_than: Time, limit: Int)
        gives (count: Int);

    /// See [`crate::backend::Sign`].
    HEALTH "health" "look how the store is doing" with (now: Clock)
        gives (part: Text, name: Text, amount: Int, more: Int, rows: Int, since: Time);
}
