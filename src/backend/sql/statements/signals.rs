//! Signals, and those who wait for them.

statements! {
    /// Its number, if it was not there.
    SIGNAL_APPEND "signal_append" "append a signal" with (
        execution_id: Id, name: Text, id: Text, payload: Bytes, created_at: Time, consumed: Flag, consumed_at: Time,
    ) gives (sequence: Int);

    SIGNAL_WAIT_OLDEST "signal_wait_oldest" "find who waits for a signal" with (execution_id: Id, name: Text)
        gives (id: Id, parent_task_id: Id);

    /// The oldest that nobody has taken becomes this task's.
    SIGNAL_TAKE "signal_take" "take a signal" with (execution_id: Id, name: Text, task_id: Id, now: Time)
        gives (payload: Bytes);

    /// What a task took is there again.
    SIGNAL_PUT_BACK "signal_put_back" "put a signal back" with (task_id: Id) gives (execution_id: Id, name: Text);

    SIGNAL_WAIT_CANCEL "signal_wait_cancel" "cancel a wait for a signal" with (id: Id, arrival: Int);

    /// Waits of a task that have taken something after this arrival.
    SIGNAL_WAITS_UNSEEN "signal_waits_unseen" "find signals that were not seen" with (parent_task_id: Id, seen: Int)
        gives (id: Id);

    /// The oldest that is not consumed.
    SIGNAL_CONSUME "signal_consume" "mark a signal consumed" with (execution_id: Id, name: Text, consumed_at: Time);

    SIGNAL_GET "signal_get" "read a signal" with (execution_id: Id, name: Text) gives (
        sequence: Int, execution_id: Id, name: Text, id: Text, payload: Bytes, created_at: Time, consumed: Flag,
        consumed_at: Time,
    );
}
