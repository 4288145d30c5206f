//! Taking tasks, and keeping the leases on them.

statements! {
    /// The best of these lanes. It may answer a row without a task: `best` tells how many there were to choose from,
    /// where others may be at them; null where nobody else can be. `whatever`: not the best, but what is there.
    TASKS_CLAIM "tasks_claim" "claim" with (
        lanes: Ints, count: Int, worker_id: Text, now: Time, lease: Lease, limited: Flag, whatever: Flag,
        begun: Int,
    ) gives (
        best: Int, ..task, run: Int, ops: Int, effects: Int, opened: Int, heartbeat: Bytes, crashes: Int,
        deaths: Int, begun: Int, company: Int, deadline_at: Time, cache_key: Text, cache_ttl: Int, traceparent: Text,
    );

    /// Live leases of a limited function.
    TASKS_COUNT_LIMITED "tasks_count_limited" "count a limited function's tasks" with (function: Text, now: Lease)
        gives (count: Int);

    EXECUTIONS_START "executions_start" "start executions" rows (id: Id) with (now: Time);

    /// Leases that still hold. Of an execution that is being cancelled they are renewed too.
    TASKS_RENEW "tasks_renew" "renew leases" rows (id: Id, fence: Int) with (lease: Lease)
        gives (id: Id, execution_state: Text);

    /// The protocol's claim: the best task of these lanes, or of these routes where a lease has ended. A worker's own
    /// lane comes without a route.
    TASK_CLAIM_NEXT "task_claim_next" "claim a task" rows (lane: Int, route: Int)
        with (now: Lease, worker_id: Text, lease: Lease, limited: Texts) gives (..task);

    TASKS_RELEASE_SCHEDULED "tasks_release_scheduled" "release scheduled tasks" with (now: Time, limit: Int);

    TASKS_COUNT_RUNNING "tasks_count_running" "count running tasks" with (now: Lease, functions: Texts)
        gives (step_name: Text, count: Int);

    EXECUTION_START "execution_start" "start the execution" with (id: Id, now: Time);

    TASK_RENEW "task_renew" "renew a lease" with (id: Id, worker_id: Text, lease: Lease);
}
