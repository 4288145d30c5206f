//! Functions, routes, pauses and workers.

statements! {
    CATALOG_BUMP "catalog_bump" "raise the catalog's version" gives (version: Int);

    FUNCTIONS_LIST "functions_list" "read the catalog of functions" gives (
        name: Text, queue: Text, tags: Text, priority: Int, retry_policy: Text, timeout: Int, version: Text,
        max_concurrent: Int, cached: Flag, cache_ttl: Int, idempotent: Flag, cleanup: Int,
        max_concurrent_per_key: Int, rate: Text, rate_per_key: Text, priority_ageing: Int,
    );

    FUNCTION_PUT "function_put" "declare a function" with (
        name: Text, queue: Text, tags: Text, priority: Int, retry_policy: Text, timeout: Int, version: Text,
        max_concurrent: Int, cached: Flag, cache_ttl: Int, idempotent: Flag, cleanup: Int,
        max_concurrent_per_key: Int, rate: Text, rate_per_key: Text, key_interval: Int, key_burst: Int,
        priority_ageing: Int,
    );

    FUNCTION_DELETE "function_delete" "forget a function" with (name: Text);

    ROUTES_LIST "routes_list" "read the catalog of routes" gives (id: Int, queue: Text, function: Text, tags: Text);

    /// Inserts a route; returns its number if it is new.
    ROUTE_INSERT "route_insert" "add a route" with (queue: Text, function: Text, tags: Text) gives (id: Int);

    /// And the functions that are held, as of the kind "hold", and the rates of queues, as of the kind "rate".
    PAUSES_LIST "pauses_list" "read the catalog of pauses" gives (kind: Text, name: Text, rate: Text);

    /// With the tasks that workers hold nevertheless.
    PAUSES_READ "pauses_read" "read the pauses" gives (
        kind: Text, name: Text, since: Time, reason: Text, author: Text, running: Int,
    );

    PAUSE_PUT "pause_put" "record a pause" with (kind: Text, name: Text, now: Time, reason: Text, author: Text);

    PAUSE_DELETE "pause_delete" "end a pause" with (kind: Text, name: Text);

    /// The transactions that go on and have read the catalog.
    CATALOG_READERS "catalog_readers" "look who works with an older catalog" gives (number: Text, process: Int)
        sqlite needs not "transactions that write come one after the other, and each reads it";

    /// Tasks of these routes that are in a worker's own lane go to the route's.
    TASKS_TO_ROUTES "tasks_to_routes" "take paused tasks out of workers' own lanes" with (routes: Ints);

    WORKERS_LIST "workers_list" "read the catalog of workers" gives (number: Int, worker_id: Text);

    WORKER_PUT "worker_put" "register a worker" with (worker_id: Text, queues: Text, tags: Text, now: Time);

    WORKER_SEEN "worker_seen" "note a worker's sign of life" with (worker_id: Text, now: Time);

    WORKER_DELETE "worker_delete" "remove a worker" with (worker_id: Text);

    /// Tasks in a worker's own lane go to the lane of their route.
    TASKS_LEAVE_LANE "tasks_leave_lane" "let others claim what waited for a worker" with (lane: Int);

    TASKS_LIMIT_RUNNING "tasks_limit_running" "count what runs of a limited function" with (function: Text);

    TASKS_LIMIT_WOKEN "tasks_limit_woken" "let a limited function's tasks be claimed by their routes"
        with (function: Text);
}
