//! Descendants of a task: cancelled from above, run again, deleted.

statements! {
    /// Cancels up to `limit` unfinished children of these tasks. Running tasks of an execution that is being cancelled
    /// are returned but not changed. `busy`: others are at it, and it is as it was.
    TASKS_CANCEL_BELOW "tasks_cancel_below" "cancel unfinished descendants" rows (id: Id) with (limit: Int, now: Time)
        gives (
            id: Id, parent_task_id: Id, state: Text, ops: Int, worker_id: Text, idempotency_key: Text, busy: Flag,
        );

    UNFINISHED_TREES_ADD "unfinished_trees_add" "note unfinished trees" rows (id: Id);

    UNFINISHED_TREES "unfinished_trees" "find unfinished trees" gives (task_id: Id);

    /// `everything`: all descendants; else only those that were cancelled from above.
    TASKS_BELOW "tasks_below" "look below tasks" rows (id: Id, everything: Flag) gives (id: Id);

    /// Failed children, and the failed children below them that they failed with.
    TASKS_FAILED_BELOW "tasks_failed_below" "find failed children" with (id: Id) gives (id: Id);

    TASKS_FORGET "tasks_forget" "empty a journal" rows (id: Id);

    TASKS_FORGET_FAILED "tasks_forget_failed" "open failed children again" rows (id: Id);

    /// Before these failed children run again: notes in their parents' rows which operations they are.
    TASKS_OPENED_AT "tasks_opened_at" "open failed children again" rows (id: Id);

    TASKS_REOPEN "tasks_reopen" "open failed children again" rows (id: Id);
}
