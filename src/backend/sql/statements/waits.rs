//! What suspended tasks wait for.

statements! {
    WAITS_GET "waits_get" "read waits" rows (task_id: Id)
        gives (task_id: Id, arrivals: Int, mode: Text, ops: Text, missing: Int);

    WAITS_SAVE "waits_save" "record waits" rows (task_id: Id, arrivals: Int, mode: Text, ops: Text, missing: Int);

    /// For a while only by the workers that suspended them, but for those of limited functions and paused routes.
    TASKS_WAKE "tasks_wake" "wake suspended tasks" rows (id: Id) with (until: Due, limited: Texts, shared: Flag, paused: Ints);

    TASK_WAIT_FORGET "task_wait_forget" "forget what the task waited for" with (task_id: Id);
}
