package stent

// Operation is one of the backend protocol, for [Store.Call].
type Operation string

const (
	OpInitDB                      Operation = "init_db"
	OpCreateExecution             Operation = "create_execution"
	OpCreateExecutionWithRootTask Operation = "create_execution_with_root_task"
	OpGetExecution                Operation = "get_execution"
	OpUpdateExecution             Operation = "update_execution"
	OpListExecutions              Operation = "list_executions"
	OpCountExecutions             Operation = "count_executions"
	OpCreateTask                  Operation = "create_task"
	OpCreateTasks                 Operation = "create_tasks"
	OpGetTask                     Operation = "get_task"
	OpListTasks                   Operation = "list_tasks"
	OpListTasksForExecution       Operation = "list_tasks_for_execution"
	OpUpdateTask                  Operation = "update_task"
	OpCountTasks                  Operation = "count_tasks"
	OpClaimNextTask               Operation = "claim_next_task"
	OpRenewTaskLease              Operation = "renew_task_lease"
	OpAppendProgress              Operation = "append_progress"
	OpGetCachedResult             Operation = "get_cached_result"
	OpSetCachedResult             Operation = "set_cached_result"
	OpGetIdempotencyResult        Operation = "get_idempotency_result"
	OpSetIdempotencyResult        Operation = "set_idempotency_result"
	OpMoveTaskToDeadLetter        Operation = "move_task_to_dead_letter"
	OpListDeadTasks               Operation = "list_dead_tasks"
	OpCountDeadTasks              Operation = "count_dead_tasks"
	OpGetDeadTask                 Operation = "get_dead_task"
	OpDeleteDeadTask              Operation = "delete_dead_task"
	OpCleanupExecutions           Operation = "cleanup_executions"
	OpCleanupDeadLetters          Operation = "cleanup_dead_letters"
	OpCreateSignal                Operation = "create_signal"
	OpGetSignal                   Operation = "get_signal"
	OpEnsureExecutionCounters     Operation = "ensure_execution_counters"
	OpIncrementExecutionCounter   Operation = "increment_execution_counter"
	OpGetExecutionCounters        Operation = "get_execution_counters"
	OpEnsureExecutionStateValues  Operation = "ensure_execution_state_values"
	OpSetExecutionStateValue      Operation = "set_execution_state_value"
	OpGetExecutionStateValues     Operation = "get_execution_state_values"
)

// Operations are all of them; the protocol's "close" is [Store.Close].
var Operations = []Operation{
	OpInitDB,
	OpCreateExecution,
	OpCreateExecutionWithRootTask,
	OpGetExecution,
	OpUpdateExecution,
	OpListExecutions,
	OpCountExecutions,
	OpCreateTask,
	OpCreateTasks,
	OpGetTask,
	OpListTasks,
	OpListTasksForExecution,
	OpUpdateTask,
	OpCountTasks,
	OpClaimNextTask,
	OpRenewTaskLease,
	OpAppendProgress,
	OpGetCachedResult,
	OpSetCachedResult,
	OpGetIdempotencyResult,
	OpSetIdempotencyResult,
	OpMoveTaskToDeadLetter,
	OpListDeadTasks,
	OpCountDeadTasks,
	OpGetDeadTask,
	OpDeleteDeadTask,
	OpCleanupExecutions,
	OpCleanupDeadLetters,
	OpCreateSignal,
	OpGetSignal,
	OpEnsureExecutionCounters,
	OpIncrementExecutionCounter,
	OpGetExecutionCounters,
	OpEnsureExecutionStateValues,
	OpSetExecutionStateValue,
	OpGetExecutionStateValues,
}
