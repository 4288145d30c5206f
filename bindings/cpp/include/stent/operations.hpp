// The operations of the backend protocol, for stent::backend::call.
#ifndef STENT_OPERATIONS_HPP
#define STENT_OPERATIONS_HPP

namespace stent {

#define STENT_OPERATIONS(X) \
    X(init_db) \
    X(create_execution) \
    X(create_execution_with_root_task) \
    X(get_execution) \
    X(update_execution) \
    X(list_executions) \
    X(count_executions) \
    X(create_task) \
    X(create_tasks) \
    X(get_task) \
    X(list_tasks) \
    X(list_tasks_for_execution) \
    X(update_task) \
    X(count_tasks) \
    X(claim_next_task) \
    X(renew_task_lease) \
    X(append_progress) \
    X(get_cached_result) \
    X(set_cached_result) \
    X(get_idempotency_result) \
    X(set_idempotency_result) \
    X(move_task_to_dead_letter) \
    X(list_dead_tasks) \
    X(count_dead_tasks) \
    X(get_dead_task) \
    X(delete_dead_task) \
    X(cleanup_executions) \
    X(cleanup_dead_letters) \
    X(create_signal) \
    X(get_signal) \
    X(ensure_execution_counters) \
    X(increment_execution_counter) \
    X(get_execution_counters) \
    X(ensure_execution_state_values) \
    X(set_execution_state_value) \
    X(get_execution_state_values)

#define STENT_OPERATION(name) name,
enum class operation { STENT_OPERATIONS(STENT_OPERATION) };
#undef STENT_OPERATION

// All of them, by name; stent_backend_close closes a store.
#define STENT_OPERATION(name) #name,
inline constexpr const char *operation_names[] = {STENT_OPERATIONS(STENT_OPERATION)};
#undef STENT_OPERATION
#undef STENT_OPERATIONS

inline const char *name_of(operation what) { return operation_names[static_cast<int>(what)]; }

}  // namespace stent

#endif
