//! Executions that go from store to store.

statements! {
    EXECUTION_PACK "execution_pack" "read an execution" with (id: Id) gives (
        ..execution, root_task_id: Id, on_cancel: Text, traceparent: Text, replay_of: Id, cancel_reason: Text,
    );

    /// `joined`: tasks of other executions wait for its end by an idempotency key. `unfinished`: tasks below it are still
    /// to be cancelled. `key_hash`: it owns its key.
    TASKS_PACK "tasks_pack" "read an execution's tasks" with (execution_id: Id) gives (
        ..task, claimable: Flag, due_at: Due, deadline_at: Due, timeout: Int, run: Int, ops: Int, effects: Int, op: Int,
        arrival: Int, opened: Int, crashes: Int, deaths: Int, snoozes: Int, first_started_at: Time, company: Int,
        cleanup: Int, parked: Flag, parked_version: Text, joins: Id, cache_key: Text, cache_ttl: Int, cache_hit: Flag,
        heartbeat: Bytes, joined: Flag, unfinished: Flag, arrivals: Int, mode: Text, awaited: Text, missing: Int, key_hash: Bytes,
        key_expires_at: Time, concurrency_key: Text, head_start: Int, fairness_key: Text, fairness_weight: Real,
    );

    SIGNALS_PACK "signals_pack" "read an execution's signals" with (execution_id: Id) gives (
        sequence: Int, execution_id: Id, name: Text, id: Text, payload: Bytes, created_at: Time, consumed: Flag,
        consumed_at: Time, consumed_by: Id,
    );

    /// Inserts it if it does not exist.
    EXECUTION_UNPACK "execution_unpack" "import an execution" with (
        id: Id, root_function: Text, root_task_id: Id, state: Text, args: Bytes, kwargs: Bytes, retries: Int,
        created_at: Time, started_at: Time, completed_at: Time, expiry_at: Due, tags: Text, priority: Int,
        queue: Text, result: Bytes, error: Bytes, on_cancel: Text, traceparent: Text, replay_of: Id,
        cancel_reason: Text,
    );

    /// `root`: the execution's `root_task_id` leads to it.
    TASKS_UNPACK "tasks_unpack" "import tasks" rows (
        id: Id, execution_id: Id, parent_task_id: Id, root: Flag, step_name: Text, step_key: Text, kind: Text,
        state: Text, lane: Int, route: Int, priority: Int, created_at: Time, due_at: Due, scheduled_for: Time,
        fence: Int, worker_id: Text, started_at: Time, completed_at: Time, deadline_at: Due, retries: Int,
        timeout: Int, idempotency_key: Text, queue: Text, tags: Text, retry_policy: Text, args: Bytes,
        kwargs: Bytes, result: Bytes, error: Bytes, run: Int, ops: Int, effects: Int, op: Int, arrival: Int,
        opened: Int, crashes: Int, deaths: Int, company: Int, cleanup: Int, parked: Flag, parked_version: Text,
        joins: Id, cache_key: Text, cache_ttl: Int, cache_hit: Flag, heartbeat: Bytes, snoozes: Int,
        first_started_at: Time, concurrency_key: Text, head_start: Int, fairness_key: Text, fairness_weight: Real,
    );

    WAITS_UNPACK "waits_unpack" "import what tasks wait for"
        rows (task_id: Id, arrivals: Int, mode: Text, ops: Text, missing: Int);

    SIGNALS_UNPACK "signals_unpack" "import signals" rows (
        execution_id: Id, name: Text, id: Text, payload: Bytes, created_at: Time, consumed: Flag,
        consumed_at: Time, consumed_by: Id,
    );

    MOVE_PUT "move_put" "note a move" with (
        execution_id: Id, number: Int, place: Text, function: Text, moved_at: Time, document: Bytes,
    );

    /// Locks it where there are others.
    MOVE_GET "move_get" "look for a move" with (execution_id: Id)
        gives (number: Int, place: Text, function: Text, moved_at: Time, document: Bytes);

    /// Which of them have left, and have not come back.
    MOVED "moved" "look for executions that have moved" rows (id: Id) gives (execution_id: Id, place: Text);

    MOVES_FENCED "moves_fenced" "list what is fenced" with (limit: Int)
        gives (execution_id: Id, function: Text, number: Int, moved_at: Time, bytes: Int);
}
