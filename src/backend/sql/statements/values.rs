//! What handlers report of an execution: counters, state values, progress.

statements! {
    /// A sum that does not fit 64 bits becomes a real number.
    COUNTER_ADD "counter_add" "add to a counter" with (execution_id: Id, name: Text, whole: Int, fraction: Real)
        gives (whole: Int, fraction: Real);

    COUNTER_ENSURE "counter_ensure" "write a counter" with (execution_id: Id, name: Text, whole: Int, fraction: Real);

    COUNTER_GET "counter_get" "read a counter" with (execution_id: Id, name: Text) gives (whole: Int, fraction: Real);

    COUNTER_SET "counter_set" "write a counter" with (execution_id: Id, name: Text, whole: Int, fraction: Real);

    COUNTERS_LIST "counters_list" "read an execution's counters" with (execution_id: Id)
        gives (name: Text, whole: Int, fraction: Real);

    STATE_SET_MANY "state_set_many" "record state" rows (execution_id: Id, key: Text, value: Bytes);

    STATE_VALUE_ENSURE "state_value_ensure" "write a state value" with (execution_id: Id, key: Text, value: Bytes);

    STATE_VALUE_SET "state_value_set" "write a state value" with (execution_id: Id, key: Text, value: Bytes);

    STATE_VALUES_LIST "state_values_list" "read an execution's state" with (execution_id: Id)
        gives (key: Text, value: Bytes);

    EXECUTION_PROGRESS_APPEND "execution_progress_append" "record progress" rows (
        execution_id: Id, step: Text, status: Text, started_at: Time, completed_at: Time, detail: Bytes,
    );

    /// In the order of writing.
    EXECUTION_PROGRESS_LIST "execution_progress_list" "read an execution's progress" with (execution_id: Id)
        gives (step: Text, status: Text, started_at: Time, completed_at: Time, detail: Bytes);
}
