//! Claiming tasks, and renewing leases.

statements! {
    /// Claims the best tasks of these lanes. `best`: how many there were to choose from, also in a row without a task;
    /// null on a database with one writer. `line`, `place`: what they are ordered by. `whatever`: claim any tasks instead of the best.
    TASKS_CLAIM "tasks_claim" "claim" with (
        lanes: Ints, count: Int, worker_id: Text, now: Due, lease: Lease, limited: Flag, whatever: Flag,
        begun: Int,
    ) gives (
        best: Int, ..task, run: Int, ops: Int, effects: Int, opened: Int, heartbeat: Bytes, crashes: Int,
        deaths: Int, snoozes: Int, first_started_at: Time, begun: Int, company: Int, deadline_at: Due, cache_key: Text,
        cache_ttl: Int, cleanup: Int, traceparent: Text, line: Int, place: Time,
    ) postgres needs not "it has a text of its own, which begins where the living are";

    /// The same, from these places of lanes on: `since` null: all that is not above `priority`, which is null where nothing
    /// is known to be there. `seen` and `running` are of the snapshot in which the places were seen, null for none. In each
    /// row are the new places (see `places.rs`), as of which snapshot, and this transaction's number.
    TASKS_CLAIM_FROM "tasks_claim_from" "claim"
        rows (lane: Int, seen: Int, priority: Int, since: Time)
        with (
            running: Ints, count: Int, worker_id: Text, now: Due, lease: Lease, limited: Flag, whatever: Flag,
            begun: Int,
        ) gives (
            best: Int, snapshot: Text, own: Int, places: Text, ..task, run: Int, ops: Int, effects: Int, opened: Int,
            heartbeat: Bytes, crashes: Int, deaths: Int, snoozes: Int, first_started_at: Time, begun: Int, company: Int,
            deadline_at: Due, cache_key: Text, cache_ttl: Int, cleanup: Int, traceparent: Text, line: Int, place: Time,
        ) sqlite needs not "no dead entries are in the way of its one writer";

    /// The best tasks of these lanes, best first: `each` of a lane at most, and so many of all.
    TASKS_BEST "tasks_best" "look for the best" with (lanes: Ints, each: Int, count: Int, now: Due)
        gives (lane: Int, priority: Int, created_at: Time, id: Id, fresh: Flag)
        postgres needs not "it has a text of its own, which begins where the living are";

    /// The same, from these places on, as in [`TASKS_CLAIM_FROM`]; also where there are none.
    TASKS_BEST_FROM "tasks_best_from" "look for the best"
        rows (lane: Int, seen: Int, priority: Int, since: Time) with (running: Ints, each: Int, count: Int, now: Due)
        gives (snapshot: Text, own: Int, places: Text, lane: Int, priority: Int, created_at: Time, id: Id, fresh: Flag)
        sqlite needs not "no dead entries are in the way of its one writer";

    /// Gives slots of keys that this transaction has freed to those who wait for them; else it does so at its end.
    SLOTS_SETTLE "slots_settle" "give slots to those who wait" gives (ready: Int)
        sqlite needs not "its triggers do it at once";

    /// Counts the valid leases on tasks of functions with a limit.
    TASKS_COUNT_LIMITED "tasks_count_limited" "count limited functions' tasks" with (functions: Texts, now: Lease)
        gives (step_name: Text, count: Int);

    /// The buckets of these names, as far as there are some.
    RATES_READ "rates_read" "read rates" with (kind: Text, names: Texts) gives (name: Text, full_at: Time, due_at: Time);

    RATES_PUT "rates_put" "count starts" rows (name: Text, full_at: Time, due_at: Time) with (kind: Text);

    /// What workers have declared, with a bucket that is full if there was none.
    RATE_DECLARE "rate_declare" "declare a rate" with (kind: Text, name: Text, full_at: Time, rate: Text);

    RATE_DELETE "rate_delete" "forget a rate" with (kind: Text, name: Text);

    EXECUTIONS_START "executions_start" "start executions" rows (id: Id) with (now: Time)
        postgres needs not "a claim of the root tells it";

    /// Leases that still hold, but for those of rows that others are at. Of an execution that is being cancelled they are
    /// renewed too.
    TASKS_RENEW "tasks_renew" "renew leases" rows (id: Id, fence: Int) with (lease: Lease)
        gives (id: Id, execution_state: Text);

    /// Claims one task for the protocol: the best of these lanes, or of running tasks of these routes whose lease has
    /// ended. A worker's own lane has no route.
    TASK_CLAIM_NEXT "task_claim_next" "claim a task" rows (lane: Int, route: Int)
        with (now: Lease, worker_id: Text, lease: Lease, limited: Texts) gives (..task);

    TASKS_RELEASE_SCHEDULED "tasks_release_scheduled" "release scheduled tasks" with (now: Due, limit: Int);

    TASKS_COUNT_RUNNING "tasks_count_running" "count running tasks" with (now: Lease, functions: Texts)
        gives (step_name: Text, count: Int);

    EXECUTION_START "execution_start" "start the execution" with (id: Id, now: Time);

    TASK_RENEW "task_renew" "renew a lease" with (id: Id, worker_id: Text, lease: Lease);
}
