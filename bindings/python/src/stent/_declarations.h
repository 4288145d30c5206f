/* The declarations of stent.h alone, without preprocessor. Generated: make header. */
typedef struct stent_backend stent_backend;
typedef struct stent_error stent_error;
typedef struct stent_event stent_event;
typedef struct stent_executor stent_executor;
typedef struct stent_poller stent_poller;
typedef struct stent_reply stent_reply;
typedef struct stent_task stent_task;
typedef struct stent_worker stent_worker;
typedef int32_t stent_status;
typedef void (*stent_thread_fn)(void *user_data);
typedef void (*stent_free_fn)(void *user_data);
typedef void (*stent_log_fn)(void *user_data, int32_t level, const char *json);
typedef void (*stent_backend_call_fn)(void *user_data, const char *operation, const char *request, stent_reply *reply);
typedef struct { size_t struct_size; stent_backend_call_fn call; const char *operations; const char *options; } stent_backend_vtable;
typedef stent_status (*stent_handler_fn)(void *user_data, stent_task *task);
typedef stent_status (*stent_batch_fn)(void *user_data, stent_task **tasks, size_t count);
uint32_t stent_abi_version(void);
const char *stent_version(void);
const char *stent_describe(void);
stent_status stent_configure(const char *options, stent_error **error);
stent_status stent_configure_threads(stent_thread_fn start, stent_thread_fn stop, void *user_data, stent_free_fn free_fn, stent_error **error);
stent_status stent_set_log_handler(const char *options, stent_log_fn handler, void *user_data, stent_free_fn free_fn, stent_error **error);
stent_status stent_shutdown(int64_t timeout_ms, stent_error **error);
void stent_free(void *pointer);
const char *stent_status_name(stent_status status);
stent_status stent_error_status(const stent_error *error);
const char *stent_error_message(const stent_error *error);
const char *stent_error_json(const stent_error *error);
int32_t stent_error_retryable(const stent_error *error);
const char *stent_error_failure_type(const stent_error *error);
const char *stent_error_failure_message(const stent_error *error);
void stent_error_free(stent_error *error);
stent_status stent_backend_open(const char *url, const char *options, stent_backend **backend, stent_error **error);
stent_status stent_backend_init_db(stent_backend *backend, stent_error **error);
stent_status stent_backend_call(stent_backend *backend, const char *operation, const char *request, char **response, stent_error **error);
stent_status stent_backend_call_n(stent_backend *backend, const char *operation, const char *request, size_t request_length, char **response, size_t *response_length, stent_error **error);
stent_status stent_backend_backup(stent_backend *backend, const char *path, const char *options, stent_error **error);
stent_status stent_backend_close(stent_backend *backend, stent_error **error);
stent_status stent_backend_shutdown(stent_backend *backend, int64_t timeout_ms, stent_error **error);
void stent_backend_free(stent_backend *backend);
stent_status stent_backend_custom(const stent_backend_vtable *vtable, void *user_data, stent_free_fn free_fn, stent_backend **backend, stent_error **error);
stent_status stent_backend_check(stent_backend *backend, const char *options, char **report, stent_error **error);
void stent_reply_ok(stent_reply *reply, const char *response);
void stent_reply_ok_n(stent_reply *reply, const char *response, size_t response_length);
void stent_reply_error(stent_reply *reply, stent_status status, const char *message, const char *details);
stent_status stent_executor_new(stent_backend *backend, const char *options, stent_executor **executor, stent_error **error);
stent_status stent_executor_set_log_handler(stent_executor *executor, const char *options, stent_log_fn handler, void *user_data, stent_free_fn free_fn, stent_error **error);
void stent_executor_free(stent_executor *executor);
stent_status stent_executor_register(stent_executor *executor, const char *function, const char *options, stent_handler_fn handler, void *user_data, stent_free_fn free_fn, stent_error **error);
stent_status stent_executor_register_batch(stent_executor *executor, const char *function, const char *options, const char *batch, stent_batch_fn handler, void *user_data, stent_free_fn free_fn, stent_error **error);
stent_status stent_executor_unregister(stent_executor *executor, const char *function, stent_error **error);
stent_status stent_executor_dispatch(stent_executor *executor, const char *function, const char *args, const char *options, char **execution_id, stent_error **error);
stent_status stent_executor_dispatch_many(stent_executor *executor, const char *requests, char **execution_ids, stent_error **error);
stent_status stent_executor_wait(stent_executor *executor, const char *execution_id, int64_t timeout_ms, char **execution, stent_error **error);
stent_status stent_executor_result(stent_executor *executor, const char *execution_id, int64_t timeout_ms, char **result, stent_error **error);
stent_status stent_executor_state(stent_executor *executor, const char *execution_id, char **execution, stent_error **error);
stent_status stent_executor_list(stent_executor *executor, const char *filter, char **executions, stent_error **error);
stent_status stent_executor_signal(stent_executor *executor, const char *execution_id, const char *name, const char *payload, const char *options, stent_error **error);
stent_status stent_executor_cancel(stent_executor *executor, const char *execution_id, const char *reason, stent_error **error);
stent_status stent_executor_stats(stent_executor *executor, const char *options, char **stats, stent_error **error);
stent_status stent_executor_dead_letters(stent_executor *executor, const char *filter, char **dead_letters, stent_error **error);
stent_status stent_executor_replay_dead_letter(stent_executor *executor, const char *task_id, const char *options, char **ids, stent_error **error);
stent_status stent_executor_discard_dead_letter(stent_executor *executor, const char *task_id, stent_error **error);
stent_status stent_executor_resume(stent_executor *executor, const char *task_id, const char *options, stent_error **error);
stent_status stent_executor_pause(stent_executor *executor, const char *options, stent_error **error);
stent_status stent_executor_unpause(stent_executor *executor, const char *options, stent_error **error);
stent_status stent_executor_pauses(stent_executor *executor, char **pauses, stent_error **error);
stent_status stent_executor_cleanup(stent_executor *executor, const char *options, char **report, stent_error **error);
stent_status stent_executor_schedule_put(stent_executor *executor, const char *schedule, stent_error **error);
stent_status stent_executor_schedules_declare(stent_executor *executor, const char *owner, const char *schedules, const char *options, stent_error **error);
stent_status stent_executor_schedule_list(stent_executor *executor, const char *filter, char **schedules, stent_error **error);
stent_status stent_executor_schedule_delete(stent_executor *executor, const char *name, stent_error **error);
stent_status stent_executor_schedule_pause(stent_executor *executor, const char *name, const char *options, stent_error **error);
stent_status stent_executor_schedule_resume(stent_executor *executor, const char *name, stent_error **error);
stent_status stent_executor_schedule_trigger(stent_executor *executor, const char *name, const char *options, char **ticks, stent_error **error);
stent_status stent_executor_schedule_backfill(stent_executor *executor, const char *name, const char *options, char **ticks, stent_error **error);
stent_status stent_executor_submit(stent_executor *executor, const char *operation, const char *request, stent_poller *poller, uint64_t tag, stent_error **error);
stent_status stent_executor_submit_cancel(stent_executor *executor, stent_poller *poller, uint64_t tag, stent_error **error);
stent_status stent_executor_dispatch_n(stent_executor *executor, const char *function, const char *args, size_t args_length, const char *options, char **execution_id, stent_error **error);
stent_status stent_executor_result_n(stent_executor *executor, const char *execution_id, int64_t timeout_ms, char **result, size_t *result_length, stent_error **error);
stent_status stent_executor_signal_n(stent_executor *executor, const char *execution_id, const char *name, const char *payload, size_t payload_length, const char *options, stent_error **error);
stent_status stent_executor_submit_n(stent_executor *executor, const char *operation, const char *request, size_t request_length, stent_poller *poller, uint64_t tag, stent_error **error);
stent_status stent_worker_start(stent_executor *executor, const char *options, stent_poller *poller, stent_worker **worker, stent_error **error);
stent_status stent_worker_status(stent_worker *worker, char **status, stent_error **error);
stent_status stent_worker_wait(stent_worker *worker, const char *state, int64_t timeout_ms, stent_error **error);
stent_status stent_worker_drain(stent_worker *worker, stent_error **error);
stent_status stent_worker_stop(stent_worker *worker, int64_t timeout_ms, stent_error **error);
void stent_worker_free(stent_worker *worker);
const char *stent_task_info(stent_task *task);
const char *stent_task_id(stent_task *task);
const char *stent_task_execution_id(stent_task *task);
const char *stent_task_function(stent_task *task);
const char *stent_task_worker_id(stent_task *task);
const char *stent_task_traceparent(stent_task *task);
uint32_t stent_task_attempt(stent_task *task);
const char *stent_task_args(stent_task *task);
const char *stent_task_kwargs(stent_task *task);
int32_t stent_task_is_cancelled(stent_task *task);
int32_t stent_task_is_replaying(stent_task *task);
stent_task *stent_task_ref(stent_task *task);
void stent_task_free(stent_task *task);
stent_status stent_task_call(stent_task *task, const char *function, const char *args, const char *options, char **result, stent_error **error);
stent_status stent_task_map(stent_task *task, const char *function, const char *args_list, const char *options, char **results, stent_error **error);
stent_status stent_task_sleep(stent_task *task, const char *duration, stent_error **error);
stent_status stent_task_wait_signal(stent_task *task, const char *name, const char *options, char **payload, stent_error **error);
stent_status stent_task_step_begin(stent_task *task, const char *name, const char *options, uint32_t *op, int32_t *recorded, stent_error **error);
stent_status stent_task_step_end(stent_task *task, uint32_t op, const char *result, const char *failure, stent_error **error);
stent_status stent_task_now(stent_task *task, char **time, stent_error **error);
stent_status stent_task_random(stent_task *task, uint64_t *value, stent_error **error);
stent_status stent_task_uuid(stent_task *task, char **uuid, stent_error **error);
stent_status stent_task_spawn_call(stent_task *task, const char *function, const char *args, const char *options, uint32_t *op, stent_error **error);
stent_status stent_task_spawn_sleep(stent_task *task, const char *duration, uint32_t *op, stent_error **error);
stent_status stent_task_spawn_wait_signal(stent_task *task, const char *name, const char *options, uint32_t *op, stent_error **error);
stent_status stent_task_await(stent_task *task, const uint32_t *ops, size_t count, uint32_t mode, int64_t hold_ms, uint32_t *first, stent_error **error);
stent_status stent_task_notify(stent_task *task, uint32_t op, stent_poller *poller, uint64_t tag, stent_error **error);
stent_status stent_task_notify_all(stent_task *task, const uint32_t *ops, size_t count, stent_poller *poller, uint64_t tag, stent_error **error);
stent_status stent_task_result(stent_task *task, uint32_t op, char **result, stent_error **error);
stent_status stent_task_cancel_op(stent_task *task, uint32_t op, stent_error **error);
stent_status stent_task_complete(stent_task *task, const char *result, stent_error **error);
stent_status stent_task_fail(stent_task *task, const char *failure, stent_error **error);
stent_status stent_task_snooze(stent_task *task, const char *duration, stent_error **error);
stent_status stent_task_suspend(stent_task *task, stent_error **error);
stent_status stent_task_continue(stent_task *task, const char *args, stent_error **error);
stent_status stent_task_progress(stent_task *task, const char *detail, stent_error **error);
stent_status stent_task_counter_add(stent_task *task, const char *name, const char *amount, stent_error **error);
stent_status stent_task_state_set(stent_task *task, const char *key, const char *value, stent_error **error);
stent_status stent_task_heartbeat(stent_task *task, const char *details, stent_error **error);
stent_status stent_task_hold(stent_task *task, const char *what, const char *time, stent_error **error);
stent_status stent_task_log(stent_task *task, int32_t level, const char *message, stent_error **error);
stent_status stent_task_transaction_begin(stent_task *task, const char *name, const char *options, uint32_t *op, char **token, stent_error **error);
stent_status stent_task_transaction_end(stent_task *task, uint32_t op, const char *failure, stent_error **error);
const char *stent_task_args_n(stent_task *task, size_t *length);
stent_status stent_task_call_n(stent_task *task, const char *function, const char *args, size_t args_length, const char *options, char **result, size_t *result_length, stent_error **error);
stent_status stent_task_spawn_call_n(stent_task *task, const char *function, const char *args, size_t args_length, const char *options, uint32_t *op, stent_error **error);
stent_status stent_task_wait_signal_n(stent_task *task, const char *name, const char *options, char **payload, size_t *payload_length, stent_error **error);
stent_status stent_task_step_end_n(stent_task *task, uint32_t op, const char *result, size_t result_length, const char *failure, stent_error **error);
stent_status stent_task_result_n(stent_task *task, uint32_t op, char **result, size_t *result_length, stent_error **error);
stent_status stent_task_complete_n(stent_task *task, const char *result, size_t result_length, stent_error **error);
stent_status stent_poller_new(stent_poller **poller, stent_error **error);
int32_t stent_poller_fd(stent_poller *poller);
stent_status stent_poller_next(stent_poller *poller, int64_t timeout_ms, stent_event **event, stent_error **error);
stent_status stent_poller_take(stent_poller *poller, stent_event **events, size_t capacity, size_t *count, stent_error **error);
void stent_poller_interrupt(stent_poller *poller);
stent_status stent_poller_log(stent_poller *poller, const char *options, stent_error **error);
stent_status stent_poller_log_executor(stent_poller *poller, stent_executor *executor, const char *options, stent_error **error);
void stent_poller_free(stent_poller *poller);
const char *stent_event_type(const stent_event *event);
uint64_t stent_event_tag(const stent_event *event);
stent_status stent_event_status(const stent_event *event);
const char *stent_event_json(const stent_event *event);
const char *stent_event_json_n(const stent_event *event, size_t *length);
const char *stent_event_task_id(const stent_event *event);
const char *stent_event_execution_id(const stent_event *event);
const char *stent_event_outcome(const stent_event *event);
stent_error *stent_event_error(const stent_event *event);
stent_task *stent_event_task(stent_event *event);
void stent_event_free(stent_event *event);
int32_t stent_sqlite_init(void *db, char **message, const void *routines);
enum {
  STENT_VERSION_MAJOR = 0,
  STENT_VERSION_MINOR = 1,
  STENT_VERSION_PATCH = 0,
  STENT_VERSION_NUMBER = 1000,
  STENT_WAIT_ALL = 0,
  STENT_WAIT_ANY = 1,
  STENT_LOG_ERROR = 1,
  STENT_LOG_WARN = 2,
  STENT_LOG_INFO = 3,
  STENT_LOG_DEBUG = 4,
  STENT_ABI_VERSION = 0,
  STENT_NAME_MAX = 255,
  STENT_PAYLOAD_MAX = 67108864,
  STENT_TAGS_MAX = 32,
  STENT_OPS_MAX = 1000000,
  STENT_BATCH_MAX = 1000,
  STENT_CONCURRENCY_MAX = 10000,
  STENT_ERROR_TEXT_MAX = 32768,
  STENT_ERROR_DETAILS_MAX = 262144,
  STENT_KEY_MAX = 1024,
  STENT_CONNECTIONS_MAX = 10000,
  STENT_OK = 0,
  STENT_PENDING = 1,
  STENT_SUSPEND = 2,
  STENT_E_INVALID = -1,
  STENT_E_NOT_FOUND = -2,
  STENT_E_CONFLICT = -3,
  STENT_E_TIMEOUT = -4,
  STENT_E_CANCELLED = -5,
  STENT_E_CLOSED = -6,
  STENT_E_LEASE_LOST = -7,
  STENT_E_NONDETERMINISM = -8,
  STENT_E_FAILED = -9,
  STENT_E_BACKEND = -10,
  STENT_E_UNSUPPORTED = -11,
  STENT_E_WRONG_THREAD = -12,
  STENT_E_FORKED = -13,
  STENT_E_PANIC = -99
};
