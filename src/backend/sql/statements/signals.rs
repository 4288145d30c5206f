//! Signals, and the tasks that wait for them.

statements! {
    /// Appends a signal; returns its number if it is new.
    SIGNAL_APPEND "signal_append" "append a signal" with (
        execution_id: Id, name: Text, id: Text, payload: Bytes, created_at: Time, consumed: Flag, consumed_at: Time,
    ) gives (sequence: Int);

    SIGNAL_WAIT_OLDEST "signal_wait_oldest" "find who waits for a signal" with (execution_id: Id, name: Text)
        gives (id: Id, parent_task_id: Id);

    /// Marks the oldest untaken signal as taken by this task.
    SIGNAL_TAKE "signal_take" "take a signal" with (execution_id: Id, name: Text, task_id: Id, now: Time)
        gives (payload: Bytes);

    /// The signal that a task took can be taken again.
    SIGNAL_PUT_BACK "signal_put_back" "put a signal back" with (task_id: Id) gives (execution_id: Id, name: Text);

    SIGNAL_WAIT_CANCEL "signal_wait_cancel" "cancel a wait for a signal" with (id: Id, arrival: Int);

    /// A task's signal waits that ended after this arrival.
    SIGNAL_WAITS_UNSEEN "signal_waits_unseen" "find signals that were not seen" with (parent_task_id: Id, seen: Int)
        gives (id: Id);

    /// The oldest signal that is not consumed.
    SIGNAL_CONSUME "signal_consume" "mark a signal consumed" with (execution_id: Id, name: Text, consumed_at: Time);

    SIGNAL_GET "signal_get" "read a signal" with (execution_id: Id, name: Text) gives (
        sequence: Int, execution_id: Id, name: Text, id: Text, payload: Bytes, created_at: Time, consumed: Flag,
        consumed_at: Time,
    );
}
