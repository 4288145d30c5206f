//! Counts for statistics and limits.

statements! {
    EXECUTIONS_COUNT "executions_count" "count executions" with (state: Text) gives (count: Int);

    TASKS_COUNT "tasks_count" "count tasks" with (queue: Text, state: Text) gives (count: Int);

    DEAD_LETTERS_COUNT "dead_letters_count" "count dead letters" gives (count: Int);

    EXECUTIONS_COUNT_BY_STATE "executions_count_by_state" "count what is in the store" gives (state: Text, count: Int);

    TASKS_COUNT_BY_STATE "tasks_count_by_state" "count what is in the store" gives (state: Text, count: Int);

    /// Tasks that can be claimed, by queue and function.
    TASKS_DEPTHS "tasks_depths" "count what is ready" with (now: Clock)
        gives (queue: Text, function: Text, count: Int, oldest: Time, now: Time);

    /// Functions that nobody has registered, and of which a task is ready.
    FUNCTIONS_UNSERVED "functions_unserved" "look for what nobody can run" gives (function: Text);

    /// Tasks that wait for a slot of their key, by function.
    SLOTS_WAITING "slots_waiting" "count who waits for a slot" gives (function: Text, count: Int);

    STATS_TOTALS "stats_totals" "count what is in the store"
        gives (scheduled: Int, dead_letters: Int, parked: Int, workers: Int);
}
