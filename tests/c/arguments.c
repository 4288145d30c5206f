/* The caller's mistakes: NULL, text that is not UTF-8, JSON that is not JSON, unknown options, handles that are none.
 * Each is an error that names what was wrong, and loses nothing. */
#include "check.h"

#define NOT_UTF8 "abc\xff"
#define MISSING_ID "00000000-0000-7000-8000-000000000000"

static stent_status unused(void *user_data, stent_task *task) { return (void)user_data, (void)task, STENT_OK; }

static atomic_int freed;

static void null_backend(void) {
    char *text = NULL;
    stent_backend *backend = NULL;
    EXPECT(STENT_E_INVALID, stent_backend_open(NULL, NULL, &backend, ERROR));
    SAYS("url is NULL");
    EXPECT(STENT_E_INVALID, stent_backend_open(":memory:", NULL, NULL, ERROR));
    SAYS("backend is NULL");
    EXPECT(STENT_E_INVALID, stent_backend_init_db(NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_call(NULL, "count_executions", NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_backup(NULL, "copy.db", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_close(NULL, ERROR));
    stent_backend_free(NULL);
    CHECK(backend == NULL && text == NULL);
}

static void null_executor(void) {
    char *text = NULL;
    stent_executor *executor = NULL;
    stent_worker *worker = NULL;
    EXPECT(STENT_E_INVALID, stent_executor_new(NULL, NULL, &executor, ERROR));
    SAYS("backend is NULL");
    EXPECT(STENT_E_INVALID, stent_executor_register(NULL, "f", NULL, unused, &freed, count_free, ERROR));
    SAYS("executor is NULL");
    CHECK(atomic_load(&freed) == 1);
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(NULL, "f", NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_dispatch_many(NULL, "[]", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_wait(NULL, MISSING_ID, 0, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_result(NULL, MISSING_ID, 0, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_state(NULL, MISSING_ID, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_list(NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_stats(NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_signal(NULL, MISSING_ID, "s", NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_cancel(NULL, MISSING_ID, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_dead_letters(NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_replay_dead_letter(NULL, MISSING_ID, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_discard_dead_letter(NULL, MISSING_ID, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_resume(NULL, MISSING_ID, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_cleanup(NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_put(NULL, "{}", ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedules_declare(NULL, "me", "[]", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_list(NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_delete(NULL, "s", ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_pause(NULL, "s", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_resume(NULL, "s", ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_trigger(NULL, "s", NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_backfill(NULL, "s", "{}", &text, ERROR));
    stent_executor_free(NULL);
    EXPECT(STENT_E_INVALID, stent_worker_start(NULL, NULL, NULL, &worker, ERROR));
    EXPECT(STENT_E_INVALID, stent_worker_status(NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_worker_wait(NULL, "ready", 0, ERROR));
    EXPECT(STENT_E_INVALID, stent_worker_drain(NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_worker_stop(NULL, 0, ERROR));
    stent_worker_free(NULL);
    CHECK(executor == NULL && worker == NULL && text == NULL);
}

static void null_task(void) {
    char *text = NULL;
    uint32_t op = 0;
    int32_t recorded = 0;
    uint64_t random = 0;
    CHECK(stent_task_info(NULL) == NULL && stent_task_args(NULL) == NULL && stent_task_kwargs(NULL) == NULL);
    CHECK(stent_task_is_cancelled(NULL) == 0 && stent_task_is_replaying(NULL) == 0);
    CHECK(stent_task_ref(NULL) == NULL);
    stent_task_free(NULL);
    EXPECT(STENT_E_INVALID, stent_task_call(NULL, "f", NULL, NULL, &text, ERROR));
    SAYS("task is NULL");
    EXPECT(STENT_E_INVALID, stent_task_map(NULL, "f", "[]", NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_sleep(NULL, "1s", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_wait_signal(NULL, "s", NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_step_begin(NULL, "s", NULL, &op, &recorded, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_step_end(NULL, 1, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_transaction_begin(NULL, "s", NULL, &op, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_transaction_end(NULL, 1, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_spawn_call(NULL, "f", NULL, NULL, &op, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_spawn_sleep(NULL, "1s", &op, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_spawn_wait_signal(NULL, "s", NULL, &op, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_await(NULL, &op, 1, STENT_WAIT_ALL, -1, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_result(NULL, 1, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_cancel_op(NULL, 1, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_now(NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_random(NULL, &random, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_uuid(NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_progress(NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_counter_add(NULL, "c", "1", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_state_set(NULL, "k", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_heartbeat(NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_log(NULL, STENT_LOG_INFO, "m", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_complete(NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_fail(NULL, "{\"type\": \"T\"}", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_snooze(NULL, "1s", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_hold(NULL, "key", "1s", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_suspend(NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_continue(NULL, NULL, ERROR));
    CHECK(text == NULL && op == 0);
}

static void null_errors(void) {
    CHECK(stent_error_status(NULL) == STENT_OK);
    CHECK(strcmp(stent_error_message(NULL), "") == 0 && strcmp(stent_error_json(NULL), "") == 0);
    stent_error_free(NULL);
    /* An error is not asked for: the status is all there is. */
    CHECK(stent_backend_open(NULL, NULL, NULL, NULL) == STENT_E_INVALID);
    /* A call that succeeds says so in the error too. */
    stent_error *error = (stent_error *)&freed;
    CHECK(stent_configure(NULL, &error) == STENT_OK && error == NULL);
}

static void null_texts(stent_executor *executor, stent_backend *backend) {
    char *text = NULL;
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, NULL, NULL, &text, ERROR));
    SAYS("operation is NULL");
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, NULL, NULL, unused, &freed, count_free, ERROR));
    SAYS("function is NULL");
    OK(stent_executor_register(executor, "of a poller", NULL, NULL, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == 3);
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, NULL, NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_dispatch_many(executor, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_wait(executor, NULL, 0, &text, ERROR));
    SAYS("execution_id is NULL");
    EXPECT(STENT_E_INVALID, stent_executor_result(executor, NULL, 0, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_state(executor, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_signal(executor, NULL, "s", NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_signal(executor, MISSING_ID, NULL, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_cancel(executor, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_replay_dead_letter(executor, NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_discard_dead_letter(executor, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_resume(executor, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_put(executor, NULL, ERROR));
    SAYS("schedule is NULL");
    EXPECT(STENT_E_INVALID, stent_executor_schedules_declare(executor, NULL, "[]", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedules_declare(executor, "me", NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_delete(executor, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_pause(executor, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_resume(executor, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_trigger(executor, NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_schedule_backfill(executor, "s", NULL, &text, ERROR));
    SAYS("from is missing");
    EXPECT(STENT_E_INVALID, stent_worker_start(executor, NULL, NULL, NULL, ERROR));
    SAYS("worker is NULL");
    CHECK(text == NULL);
}

static void not_utf8(stent_executor *executor, stent_backend *backend) {
    char *text = NULL;
    stent_backend *none = NULL;
    EXPECT(STENT_E_INVALID, stent_backend_open(NOT_UTF8, NULL, &none, ERROR));
    SAYS("url is not UTF-8");
    SAYS("offset 3");
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, "get_task", NOT_UTF8, &text, ERROR));
    SAYS("request is not UTF-8");
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, NOT_UTF8, NULL, NULL, &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, "f", "[\"" NOT_UTF8 "\"]", NULL, &text, ERROR));
    SAYS("args is not UTF-8");
    EXPECT(STENT_E_INVALID, stent_executor_signal(executor, MISSING_ID, "s", NOT_UTF8, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, NOT_UTF8, NULL, unused, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == 4 && text == NULL);
}

static void not_json(stent_executor *executor, stent_backend *backend) {
    char *text = NULL;
    stent_backend *none = NULL;
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, "f", "[1,", NULL, &text, ERROR));
    SAYS("args");
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, "f", "{\"a\": 1}", NULL, &text, ERROR));
    SAYS("an array");
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, "f", "[]", "[]", &text, ERROR));
    SAYS("an object");
    EXPECT(STENT_E_INVALID, stent_executor_dispatch_many(executor, "[{\"args\": []}]", &text, ERROR));
    SAYS("function");
    EXPECT(STENT_E_INVALID, stent_executor_dispatch_many(executor, "{}", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_signal(executor, MISSING_ID, "s", "{oops", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, "get_task", "nonsense", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_open(":memory:", "nonsense", &none, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_state(executor, "not-an-id", &text, ERROR));
    SAYS("not-an-id");
    CHECK(text == NULL && none == NULL);
}

/* The error names the keys that are known. */
static void unknown_options(stent_executor *executor, stent_backend *backend) {
    char *text = NULL;
    stent_backend *none = NULL;
    stent_worker *worker = NULL;
    stent_executor *second = NULL;
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, "f", NULL, "{\"prioritty\": 1}", &text, ERROR));
    SAYS("prioritty");
    SAYS("priority");
    SAYS("\"known\":[");
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, "f", NULL, "{\"expiry\": \"1h\", \"max_duration\": \"1h\"}", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_dispatch(executor, "f", NULL, "{\"delay\": \"soon\"}", &text, ERROR));
    SAYS("soon");
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, "f", "{\"retries\": 1}", unused, &freed, count_free, ERROR));
    SAYS("retry_policy");
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, "f", "{\"max_concurrent\": 0}", unused, &freed, count_free, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, "f", "{\"rate\": {\"limit\": 0}}", unused, &freed, count_free, ERROR));
    SAYS("rate.limit is 0");
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, "f", "{\"rate_per_key\": {\"bursts\": 2}}", unused, &freed, count_free, ERROR));
    SAYS("bursts");
    CHECK(atomic_load(&freed) == 8);
    EXPECT(STENT_E_INVALID, stent_executor_new(backend, "{\"x\": 1}", &second, ERROR));
    EXPECT(STENT_E_INVALID, stent_worker_start(executor, "{\"slots\": 1}", NULL, &worker, ERROR));
    SAYS("max_concurrency");
    EXPECT(STENT_E_INVALID, stent_worker_start(executor, "{\"queue_rates\": {\"mail\": {\"limit\": 0}}}", NULL, &worker, ERROR));
    SAYS("queue_rates.limit is 0");
    EXPECT(STENT_E_INVALID, stent_executor_list(executor, "{\"states\": 1}", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_list(executor, "{\"state\": \"asleep\"}", &text, ERROR));
    SAYS("timed_out");
    EXPECT(STENT_E_INVALID, stent_executor_stats(executor, "{\"format\": \"xml\"}", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_dead_letters(executor, "{\"x\": 1}", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_replay_dead_letter(executor, MISSING_ID, "{\"x\": 1}", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_resume(executor, MISSING_ID, "{\"x\": 1}", ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_cleanup(executor, "{\"x\": 1}", &text, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_signal(executor, MISSING_ID, "s", NULL, "{\"x\": 1}", ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_open(":memory:", "{\"sync\": \"off\"}", &none, ERROR));
    SAYS("synchronous");
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, "get_taks", NULL, &text, ERROR));
    SAYS("get_task");
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, "get_task", "{\"id\": \"x\"}", &text, ERROR));
    SAYS("task_id");
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, "close", "{\"now\": true}", &text, ERROR));
    CHECK(text == NULL && none == NULL && worker == NULL && second == NULL);
}

/* What is no handle, or not any more, or of another kind. */
static void no_handles(stent_executor *executor, stent_backend *backend) {
    char *text = NULL;
    int32_t variable = 0;
    EXPECT(STENT_E_INVALID, stent_executor_list((stent_executor *)backend, NULL, &text, ERROR));
    SAYS("not a live handle");
    EXPECT(STENT_E_INVALID, stent_backend_init_db((stent_backend *)executor, ERROR));
    EXPECT(STENT_E_INVALID, stent_worker_drain((stent_worker *)&variable, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_complete((stent_task *)(void *)1, NULL, ERROR));
    stent_executor_free((stent_executor *)backend);
    stent_error_free((stent_error *)&variable);
    CHECK(stent_error_status((stent_error *)&variable) == STENT_E_INVALID);

    stent_backend *second = open_backend(":memory:");
    stent_backend_free(second);
    EXPECT(STENT_E_INVALID, stent_backend_init_db(second, ERROR));
    SAYS("freed");
    stent_backend_free(second);
    stent_backend *third = open_backend(":memory:");
    stent_backend_free(second); /* the stale one is not the new one */
    OK(stent_backend_init_db(third, ERROR));
    stent_backend_free(third);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    null_errors();
    null_backend();
    null_executor();
    null_task();
    stent_backend *backend = open_backend(":memory:");
    stent_executor *executor = new_executor(backend);
    null_texts(executor, backend);
    not_utf8(executor, backend);
    not_json(executor, backend);
    unknown_options(executor, backend);
    no_handles(executor, backend);

    /* Nothing of all this has left a trace; and outputs that nobody wants may be NULL. */
    char *found = NULL;
    OK(stent_executor_list(executor, NULL, &found, ERROR));
    CHECK(strcmp(found, "[]") == 0);
    stent_free(found);
    OK(stent_executor_list(executor, NULL, NULL, ERROR));
    OK(stent_executor_dispatch(executor, "f", NULL, NULL, NULL, ERROR));
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
