//! The transitions of workers.

statements! {
    /// Changes tasks that go on. Returns those whose fence is right.
    TASKS_MOVE "tasks_move" "move tasks" rows (
        id: Id, fence: Int, move: Int, due_at: Due, error: Bytes, ops: Int, effects: Int, heartbeat: Bytes,
        version: Text, args: Bytes, from_ops: Int, from_effects: Int, begun: Int,
        attempt: Text, now: Time, aside: Flag,
    ) gives (id: Id, step_name: Text);

    /// Ends tasks. Returns those whose fence is right, or that had no fence given and had not ended.
    TASKS_END "tasks_end" "end tasks" rows (
        id: Id, fence: Int, state: Text, result: Bytes, error: Bytes, arrival: Int, cache_hit: Flag, ops: Int,
        effects: Int,
    ) with (now: Time) gives (
        id: Id, execution_id: Id, step_name: Text, op: Int, kind: Text, retries: Int, ops: Int, arrival: Int,
        idempotency_key: Text, state: Text,
    );

    /// `ops`: without those that were recorded aside.
    TASKS_STANDING "tasks_standing" "look at refused tasks" rows (id: Id)
        gives (id: Id, state: Text, fence: Int, ops: Int, effects: Int, execution_state: Text);

    TASKS_ARRIVED_SINCE "tasks_arrived_since" "look at what has come" rows (id: Id, known: Int)
        gives (parent_task_id: Id, op: Int);
}
