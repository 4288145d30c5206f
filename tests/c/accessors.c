/* What needs no parser of JSON: of errors, tasks and events; texts with their lengths; functions that are taken back. */
#include "check.h"

/* No NUL stands behind what is given with its length. */
#define TRAILED(text) text "trail", sizeof(text) - 1

static stent_executor *executor;
static atomic_int freed;
static char worker_id[256];

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    size_t length = 0;
    const char *args = stent_task_args_n(task, &length);
    CHECK(args == stent_task_args(task) && length == strlen(args));
    char *copy = malloc(length);
    CHECK(copy != NULL);
    memcpy(copy, args, length);
    EXPECT(STENT_E_INVALID, stent_task_complete_n(task, copy, length - 1, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_complete_n(task, "\xff", 1, ERROR));
    SAYS("result is not UTF-8");
    EXPECT(STENT_E_INVALID, stent_task_complete_n(task, copy, SIZE_MAX, ERROR));
    OK(stent_task_complete_n(task, copy, length, ERROR));
    free(copy);
    forget_error();
    return STENT_OK;
}

static stent_status fails(void *user_data, stent_task *task) {
    (void)user_data;
    CHECK(stent_task_attempt(task) == 1);
    return stent_task_fail(task, "{\"type\": \"OutOfStock\", \"message\": \"none left\", \"retryable\": false}", NULL);
}

static stent_status parent(void *user_data, stent_task *task) {
    (void)user_data;
    char *text = NULL, id[64];
    size_t length = 0;
    uint32_t op = 0;
    int32_t recorded = 0;
    snprintf(id, sizeof id, "\"%s\"", stent_task_id(task));
    CHECK(has(stent_task_info(task), id) && strlen(id) == 38);
    snprintf(id, sizeof id, "\"%s\"", stent_task_execution_id(task));
    CHECK(has(stent_task_info(task), id));
    CHECK(strcmp(stent_task_function(task), "parent") == 0 && stent_task_attempt(task) == 1);
    CHECK(strcmp(stent_task_worker_id(task), worker_id) == 0);

    stent_status status = stent_task_call_n(task, "echo", TRAILED("[1, \"ü\"]"), NULL, &text, &length, ERROR);
    if (status != STENT_OK) return status;
    CHECK(strcmp(text, "[1, \"ü\"]") == 0 && length == strlen(text));
    stent_free(text);

    stent_error *error = NULL;
    status = stent_task_call(task, "fails", NULL, NULL, &text, &error);
    if (status != STENT_E_FAILED) return status;
    CHECK(strcmp(stent_error_failure_type(error), "OutOfStock") == 0);
    CHECK(strcmp(stent_error_failure_message(error), "none left") == 0 && stent_error_retryable(error) == 0);
    stent_error_free(error);

    OK(stent_task_spawn_call_n(task, "echo", TRAILED("[2]"), NULL, &op, ERROR));
    status = stent_task_await(task, &op, 1, STENT_WAIT_ALL, -1, NULL, ERROR);
    if (status != STENT_OK) return status;
    OK(stent_task_result_n(task, op, &text, &length, ERROR));
    CHECK(strcmp(text, "[2]") == 0 && length == 3);
    stent_free(text);

    OK(stent_task_step_begin(task, "step", NULL, &op, &recorded, ERROR));
    if (!recorded) OK(stent_task_step_end_n(task, op, TRAILED("\"done\""), NULL, ERROR));
    status = stent_task_wait_signal_n(task, "go", NULL, &text, &length, ERROR);
    if (status != STENT_OK) return status;
    CHECK(length == 4 && strcmp(text, "true") == 0);
    OK(stent_task_complete_n(task, text, length, ERROR));
    stent_free(text);
    return STENT_OK;
}

static void errors(void) {
    CHECK(stent_error_retryable(NULL) == 0 && stent_error_failure_type(NULL) == NULL && stent_error_failure_message(NULL) == NULL);
    stent_error *error = NULL;
    CHECK(stent_executor_register(executor, "", NULL, echo, NULL, NULL, &error) == STENT_E_INVALID);
    CHECK(stent_error_retryable(error) == 0 && stent_error_failure_type(error) == NULL);
    stent_error_free(error);
    CHECK(stent_task_attempt(NULL) == 0 && stent_task_id(NULL) == NULL && stent_task_function(NULL) == NULL);
    CHECK(stent_task_args_n(NULL, NULL) == NULL && stent_event_json_n(NULL, NULL) == NULL);
    CHECK(stent_event_task_id(NULL) == NULL && stent_event_execution_id(NULL) == NULL);
    CHECK(stent_event_outcome(NULL) == NULL && stent_event_error(NULL) == NULL);
}

static void lengths(stent_backend *backend) {
    stent_worker *worker = NULL;
    OK(stent_executor_register(executor, "echo", NULL, echo, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "fails", NULL, fails, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "parent", NULL, parent, NULL, NULL, ERROR));
    strcpy(worker_id, "the worker");
    worker = start_worker(executor, "{\"worker_id\": \"the worker\"}");

    char *id = NULL, *result = NULL;
    size_t length = 0;
    OK(stent_executor_dispatch_n(executor, "parent", TRAILED("[7]"), NULL, &id, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_signal_n(executor, id, "go", TRAILED("tru"), NULL, ERROR));
    OK(stent_executor_signal_n(executor, id, "go", TRAILED("true"), NULL, ERROR));
    OK(stent_executor_result_n(executor, id, PATIENCE_MS, &result, &length, ERROR));
    CHECK(length == 4 && strcmp(result, "true") == 0);
    stent_free(result);
    OK(stent_executor_result_n(executor, id, PATIENCE_MS, NULL, NULL, ERROR));
    OK(stent_backend_call_n(backend, "count_executions", TRAILED("{}"), &result, &length, ERROR));
    CHECK(strlen(result) == length && length > 0);
    stent_free(result);
    stent_free(id);

    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
}

/* The next event of a type; others are let go. */
static stent_event *next(stent_poller *poller, const char *type) {
    for (;;) {
        stent_event *event = NULL;
        OK(stent_poller_next(poller, PATIENCE_MS, &event, ERROR));
        size_t length = 0;
        CHECK(stent_event_json_n(event, &length) == stent_event_json(event) && length == strlen(stent_event_json(event)));
        if (strcmp(stent_event_type(event), type) == 0) return event;
        CHECK(strcmp(stent_event_type(event), "worker") == 0 && stent_event_task_id(event) == NULL);
        stent_event_free(event);
    }
}

static void events(void) {
    stent_poller *poller = NULL;
    stent_worker *worker = NULL;
    uint32_t op = 0;
    int32_t recorded = 0;
    OK(stent_poller_new(&poller, ERROR));
    OK(stent_executor_register(executor, "polled", NULL, NULL, NULL, NULL, ERROR));
    OK(stent_worker_start(executor, NULL, poller, &worker, ERROR));
    OK(stent_executor_submit_n(executor, "dispatch", TRAILED("{\"function\": \"polled\"}"), poller, 9, ERROR));

    char task_id[64] = "", execution_id[64] = "";
    stent_event *event = NULL;
    stent_task *task = NULL;
    int replied = 0;
    while (task == NULL || !replied) {
        OK(stent_poller_next(poller, PATIENCE_MS, &event, ERROR));
        if (strcmp(stent_event_type(event), "reply") == 0) {
            CHECK(stent_event_status(event) == STENT_OK && stent_event_tag(event) == 9 && stent_event_error(event) == NULL);
            CHECK(stent_event_task_id(event) == NULL && stent_event_outcome(event) == NULL);
            replied = 1;
        } else if (strcmp(stent_event_type(event), "task") == 0) {
            task = stent_event_task(event);
            snprintf(task_id, sizeof task_id, "%s", stent_event_task_id(event));
            snprintf(execution_id, sizeof execution_id, "%s", stent_event_execution_id(event));
            CHECK(strcmp(stent_task_id(task), task_id) == 0 && strcmp(stent_task_execution_id(task), execution_id) == 0);
            CHECK(strcmp(stent_event_outcome(event), "") == 0);
        }
        stent_event_free(event);
    }
    OK(stent_task_step_begin(task, "step", NULL, &op, &recorded, ERROR));
    OK(stent_task_notify(task, op, poller, 5, ERROR));
    OK(stent_task_step_end_n(task, op, NULL, 0, "{\"type\": \"Bad\", \"message\": \"so bad\"}", ERROR));
    OK(stent_task_suspend(task, ERROR));

    event = next(poller, "op");
    CHECK(stent_event_status(event) == STENT_E_FAILED && stent_event_tag(event) == 5);
    stent_error *error = stent_event_error(event);
    CHECK(stent_error_status(error) == STENT_E_FAILED);
    CHECK(strcmp(stent_error_failure_type(error), "Bad") == 0 && strcmp(stent_error_failure_message(error), "so bad") == 0);
    stent_event_free(event);
    CHECK(strcmp(stent_error_failure_type(error), "Bad") == 0); /* it lives on by itself */
    stent_error_free(error);

    OK(stent_task_complete_n(task, NULL, 0, ERROR));
    event = next(poller, "ended");
    CHECK(strcmp(stent_event_task_id(event), task_id) == 0 && strcmp(stent_event_execution_id(event), execution_id) == 0);
    CHECK(strcmp(stent_event_outcome(event), "completed") == 0 && stent_event_error(event) == NULL);
    stent_event_free(event);
    stent_task_free(task);

    OK(stent_worker_drain(worker, ERROR));
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_poller_free(poller);
}

static stent_status other(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, "\"other\"", NULL);
}

/* What runs keeps its functions; what is started later has those that are registered then. */
static void unregistered(void) {
    OK(stent_executor_register(executor, "gone", NULL, other, &freed, count_free, ERROR));
    OK(stent_executor_unregister(executor, "gone", ERROR));
    CHECK(atomic_load(&freed) == 1);
    EXPECT(STENT_E_NOT_FOUND, stent_executor_unregister(executor, "gone", ERROR));
    SAYS("'gone'");
    EXPECT(STENT_E_INVALID, stent_executor_unregister(executor, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_unregister(NULL, "gone", ERROR));

    OK(stent_executor_register(executor, "gone", NULL, other, &freed, count_free, ERROR));
    stent_worker *first = start_worker(executor, "{\"worker_id\": \"first\"}");
    OK(stent_executor_unregister(executor, "gone", ERROR));
    OK(stent_executor_register(executor, "gone", "{\"version\": \"2\"}", other, NULL, NULL, ERROR));
    CHECK(atomic_load(&freed) == 1);
    char *id = dispatch(executor, "gone", NULL), *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "\"other\"") == 0);
    stent_free(result);
    stent_free(id);
    OK(stent_worker_stop(first, PATIENCE_MS, ERROR));
    stent_worker_free(first);
    WAIT_FOR(atomic_load(&freed) == 2);

    OK(stent_executor_unregister(executor, "gone", ERROR));
    stent_worker *second = start_worker(executor, "{\"worker_id\": \"second\"}");
    char *status = NULL;
    OK(stent_worker_status(second, &status, ERROR));
    CHECK(has(status, "\"echo\"") && !has(status, "\"gone\""));
    stent_free(status);
    OK(stent_worker_stop(second, PATIENCE_MS, ERROR));
    stent_worker_free(second);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("store.db");
    executor = new_executor(backend);
    errors();
    lengths(backend);
    events();
    unregistered();
    forget_error();
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
