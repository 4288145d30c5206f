//! Reading tasks and journals.

statements! {
    TASK_GET "task_get" "read a task" with (id: Id) gives (..task);

    TASKS_GET "tasks_get" "read dead tasks" rows (id: Id) gives (..task);

    /// Newest first.
    TASKS_LIST "tasks_list" "list tasks" with (state: Text, limit: Int, offset: Int) gives (..task);

    TASKS_LIST_OF_EXECUTION "tasks_list_of_execution" "list an execution's tasks" with (execution_id: Id)
        gives (..task);

    TASK_STATE_WORD "task_state_word" "read a task's state" with (id: Id) gives (state: Text);

    /// Operations that arrived after `after`; for 0 the whole journal, with operations that have not ended.
    JOURNALS "journals" "load journals" rows (id: Id, after: Int) gives (
        parent_task_id: Id, op: Int, id: Id, step_key: Text, step_name: Text, kind: Text, args: Bytes, kwargs: Bytes,
        state: Text, result: Bytes, error: Bytes, arrival: Int, completed_at: Time,
    );
}
