//! What is below a task: cancelled from above, opened again, taken away.

statements! {
    /// The unfinished children of these tasks, so many of them, first those that are cancelled by it. What runs in an
    /// execution that is being cancelled stays, and is answered as running.
    TASKS_CANCEL_BELOW "tasks_cancel_below" "cancel unfinished descendants" rows (id: Id) with (limit: Int, now: Time)
        gives (id: Id, state: Text, ops: Int, worker_id: Text, idempotency_key: Text);

    UNFINISHED_TREES_ADD "unfinished_trees_add" "note unfinished trees" rows (id: Id);

    UNFINISHED_TREES_TAKE "unfinished_trees_take" "take unfinished trees" gives (task_id: Id);

    /// `everything`: all that is below it; else what was cancelled from above.
    TASKS_BELOW "tasks_below" "look below tasks" rows (id: Id, everything: Flag) gives (id: Id);

    /// Failed children, and below them what they failed of.
    TASKS_FAILED_BELOW "tasks_failed_below" "find failed children" with (id: Id) gives (id: Id);

    TASKS_FORGET "tasks_forget" "empty a journal" rows (id: Id);

    TASKS_FORGET_FAILED "tasks_forget_failed" "open failed children again" rows (id: Id);

    /// Before these failed children are opened again: where in the journals they are.
    TASKS_OPENED_AT "tasks_opened_at" "open failed children again" rows (id: Id);

    TASKS_REOPEN "tasks_reopen" "open failed children again" rows (id: Id);
}
