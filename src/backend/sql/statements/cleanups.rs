//! Executions that clean up after they were cancelled or timed out.

statements! {
    /// Stops those of these tasks that are the roots of executions that are being cancelled and want to clean up, as these
    /// functions do. Returns them; who holds one has lost it.
    TASKS_REST "tasks_rest" "stop what is to clean up" rows (id: Id) with (functions: Texts)
        gives (id: Id, execution_id: Id, step_name: Text);

    /// How long their cleanups may take.
    EXECUTIONS_WANT_CLEANUP "executions_want_cleanup" "stop what is to clean up" rows (id: Id, cleanup: Int);

    /// The cleanups begin of those of these executions that want one and in which nobody holds a lease.
    EXECUTIONS_CLEAN_UP "executions_clean_up" "begin cleanups" rows (id: Id) with (now: Due)
        gives (id: Id, root_task_id: Id, cleanup: Int);

    /// Operations of these tasks that were cancelled from above, in order of issue.
    TASKS_UNDELIVERED "tasks_undelivered" "begin cleanups" rows (id: Id) gives (id: Id, parent_task_id: Id);

    TASKS_DELIVER "tasks_deliver" "begin cleanups" rows (id: Id, arrival: Int);

    /// Roots at rest can be claimed again.
    TASKS_CLEAN_UP "tasks_clean_up" "begin cleanups" rows (id: Id);
}
