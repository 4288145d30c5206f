//! The copies for a dead letter's replay.

statements! {
    EXECUTION_FORK "execution_fork" "replay a dead letter" with (replay_of: Id, id: Id, root_task_id: Id, now: Due);

    /// The task and its ancestors, unordered.
    TASK_PATH "task_path" "find a failed path" with (id: Id) gives (id: Id, parent_task_id: Id, execution_id: Id);

    TASK_CHILDREN "task_children" "read a journal" with (parent_task_id: Id)
        gives (id: Id, op: Int, step_key: Text, state: Text, arrival: Int);

    /// `again`: the copy runs again; else its end is copied too. `opened`: the operation of its journal that runs
    /// again.
    TASKS_FORK "tasks_fork" "copy a journal" rows (old_id: Id, new_id: Id, new_parent: Id, again: Flag, opened: Int)
        with (execution_id: Id, now: Time);

    WAITS_FORK "waits_fork" "count a copied journal" rows (task_id: Id);

    SIGNALS_FORK "signals_fork" "copy signals" with (replay_of: Id, execution_id: Id);

    COUNTERS_FORK "counters_fork" "copy counters" with (replay_of: Id, execution_id: Id);

    STATE_FORK "state_fork" "copy state" with (replay_of: Id, execution_id: Id);

    PROGRESS_FORK "progress_fork" "copy progress" with (replay_of: Id, execution_id: Id);
}
