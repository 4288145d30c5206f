//! Schedules and their ticks.

statements! {
    /// Those that are due, and those of whose waiting ticks one may start. Where there are others, locks them, and leaves
    /// out those that others have locked.
    SCHEDULES_DUE "schedules_due" "find schedules that are due" with (now: Time, limit: Int) gives (
        name: Text, document: Bytes, next_at: Time, due_at: Time, last_execution: Id, waiting: Int, paused_at: Time,
        pause_note: Text, trouble: Text, created_at: Time, updated_at: Time,
    );

    /// Locks it where there are others.
    SCHEDULE_GET "schedule_get" "look for a schedule" with (name: Text) gives (
        name: Text, document: Bytes, next_at: Time, due_at: Time, last_execution: Id, waiting: Int, paused_at: Time,
        pause_note: Text, trouble: Text, created_at: Time, updated_at: Time,
    );

    /// `running`: its last execution goes on.
    SCHEDULES_LIST "schedules_list" "list schedules"
        with (name: Text, owner: Text, function: Text, after: Text, limit: Int) gives (
            name: Text, document: Bytes, next_at: Time, due_at: Time, last_execution: Id, waiting: Int, paused_at: Time,
            pause_note: Text, trouble: Text, created_at: Time, updated_at: Time, running: Flag,
        );

    SCHEDULES_OF_OWNER "schedules_of_owner" "look for an owner's schedules" with (owner: Text) gives (name: Text);

    /// Inserts it, if there is none of the name.
    SCHEDULE_INSERT "schedule_insert" "add a schedule" with (
        name: Text, owner: Text, function: Text, document: Bytes, next_at: Time, due_at: Time, now: Time,
    );

    SCHEDULE_UPDATE "schedule_update" "change a schedule" with (
        name: Text, owner: Text, function: Text, document: Bytes, next_at: Time, due_at: Time, now: Time,
    );

    SCHEDULE_PAUSE "schedule_pause" "pause or resume a schedule"
        with (name: Text, paused_at: Time, pause_note: Text, next_at: Time, due_at: Time);

    SCHEDULE_DELETE "schedule_delete" "delete a schedule" with (name: Text);

    /// What a round has changed.
    SCHEDULES_SAVE "schedules_save" "note what schedules have started"
        rows (name: Text, next_at: Time, due_at: Time, last_execution: Id, waiting: Int, trouble: Text);

    /// Inserts or replaces them.
    TICKS_PUT "ticks_put" "note ticks" rows (
        schedule: Text, tick_at: Time, kind: Text, state: Text, execution_id: Id, decided_at: Time,
    );

    TICKS_FIND "ticks_find" "look for ticks" with (schedule: Text, first: Time, last: Time)
        gives (tick_at: Time, state: Text);

    /// The oldest of each.
    TICKS_WAITING "ticks_waiting" "look for ticks that wait" rows (schedule: Text)
        gives (schedule: Text, tick_at: Time, kind: Text);

    TICKS_SKIP "ticks_skip" "leave out ticks that wait" rows (schedule: Text) with (now: Time);

    /// The newest first.
    TICKS_LIST "ticks_list" "list ticks" with (schedule: Text, limit: Int)
        gives (tick_at: Time, kind: Text, state: Text, execution_id: Id, decided_at: Time);

    /// All but those that wait and the newest of the others.
    TICKS_PRUNE "ticks_prune" "delete old ticks" rows (schedule: Text) with (keep: Int);

    TICKS_DELETE "ticks_delete" "delete a schedule's ticks" with (schedule: Text);

    /// Those of these executions that the store has, or knows to have left.
    EXECUTIONS_KNOWN "executions_known" "look for executions" rows (id: Id) gives (id: Id);

    /// Those of these executions that go on. Asked of locked schedules in a statement of its own, which sees what has
    /// been committed before their locks were given.
    EXECUTIONS_GOING "executions_going" "look for executions that go on" rows (id: Id) gives (id: Id);

    SCHEDULES_COUNT "schedules_count" "count schedules" with (now: Clock)
        gives (active: Int, paused: Int, waiting: Int, broken: Int, late: Int);
}
