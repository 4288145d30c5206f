/* A handler that takes many tasks in one call, each with an outcome of its own. */
#include "check.h"

#define TASKS 6

/* Set by the handler's calls. */
static atomic_int tasks_seen, calls_seen, most_seen;
static stent_task *kept;
static atomic_int is_kept;

static stent_status by_number(void *user_data, stent_task **tasks, size_t count) {
    (void)user_data;
    CHECK(count >= 1);
    atomic_fetch_add(&calls_seen, 1);
    atomic_fetch_add(&tasks_seen, (int)count);
    if ((int)count > atomic_load(&most_seen)) atomic_store(&most_seen, (int)count);
    for (size_t i = 0; i < count; i++) {
        const char *args = stent_task_args(tasks[i]);
        if (strcmp(args, "[0]") == 0) OK(stent_task_complete(tasks[i], "\"zero\"", ERROR));
        else if (strcmp(args, "[1]") == 0) OK(stent_task_fail(tasks[i], "{\"type\": \"Refused\", \"retryable\": false}", ERROR));
        else if (strcmp(args, "[2]") == 0) kept = stent_task_ref(tasks[i]), atomic_store(&is_kept, 1);
        else if (strcmp(args, "[4]") == 0) continue; /* has no outcome, and nobody keeps it */
        else OK(stent_task_complete(tasks[i], args, ERROR));
    }
    forget_error();
    return STENT_PENDING;
}

/* It was put off once, and is completed the second time. */
static stent_status snoozed(void *user_data, stent_task **tasks, size_t count) {
    (void)user_data;
    for (size_t i = 0; i < count; i++) {
        int first = has(stent_task_info(tasks[i]), "\"snoozes\":0");
        OK(first ? stent_task_snooze(tasks[i], "0.01", ERROR) : stent_task_complete(tasks[i], "1", ERROR));
    }
    forget_error();
    return STENT_OK;
}

static stent_status odd(void *user_data, stent_task **tasks, size_t count) {
    return (void)user_data, (void)tasks, (void)count, (stent_status)4711;
}

static void expect_failure(stent_executor *executor, const char *id, const char *type) {
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    SAYS(type);
}

static void expect_result(stent_executor *executor, const char *id, const char *wanted) {
    char *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, wanted) == 0);
    stent_free(result);
}

static void each_has_its_own(stent_executor *executor) {
    char *ids[TASKS], args[16];
    for (int i = 0; i < TASKS; i++) {
        snprintf(args, sizeof args, "[%d]", i == 3 ? 5 : i);
        ids[i] = dispatch(executor, "by_number", args);
    }
    expect_result(executor, ids[0], "\"zero\"");
    expect_failure(executor, ids[1], "\"type\":\"Refused\"");
    expect_result(executor, ids[3], "[5]");
    expect_failure(executor, ids[4], "\"type\":\"NoOutcome\"");
    expect_result(executor, ids[5], "[5]");
    WAIT_FOR(atomic_load(&is_kept));
    CHECK(!is_in_state(executor, ids[2], "completed"));
    OK(stent_task_complete(kept, "\"later\"", ERROR));
    stent_task_free(kept);
    expect_result(executor, ids[2], "\"later\"");
    for (int i = 0; i < TASKS; i++) stent_free(ids[i]);
    /* The batch was full: it waits for an hour else. */
    CHECK(atomic_load(&most_seen) == TASKS && atomic_load(&calls_seen) == 1 && atomic_load(&tasks_seen) == TASKS);
}

static void others(stent_executor *executor) {
    char *id = dispatch(executor, "snoozed", NULL);
    expect_result(executor, id, "1");
    stent_free(id);
    id = dispatch(executor, "odd", NULL);
    expect_failure(executor, id, "\"type\":\"BadStatus\"");
    stent_free(id);
}

static void refused(stent_executor *executor) {
    atomic_int freed = 0;
    const char *name = "refused";
    EXPECT(STENT_E_INVALID, stent_executor_register_batch(executor, name, NULL, NULL, NULL, &freed, count_free, ERROR));
    SAYS("handler");
    CHECK(atomic_load(&freed) == 1);
    EXPECT(STENT_E_INVALID, stent_executor_register_batch(executor, name, NULL, "{\"size\": 0}", odd, NULL, NULL, ERROR));
    SAYS("size is 0; it must be from 1 to 10000");
    EXPECT(STENT_E_INVALID, stent_executor_register_batch(executor, name, NULL, "{\"sise\": 9}", odd, NULL, NULL, ERROR));
    SAYS("size");
    EXPECT(STENT_E_INVALID, stent_executor_register_batch(executor, name, NULL, "{\"wait\": \"2h\"}", odd, NULL, NULL, ERROR));
    SAYS("at most an hour");
    EXPECT(STENT_E_CONFLICT, stent_executor_register_batch(executor, "odd", NULL, NULL, odd, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == 2);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("batches.db");
    stent_executor *executor = new_executor(backend);
    const char *once = "{\"retry_policy\": {\"max_attempts\": 1}}", *six = "{\"size\": 6, \"wait\": \"1h\"}";
    atomic_int freed = 0;
    OK(stent_executor_register_batch(executor, "by_number", once, six, by_number, &freed, count_free, ERROR));
    OK(stent_executor_register_batch(executor, "snoozed", once, NULL, snoozed, NULL, NULL, ERROR));
    OK(stent_executor_register_batch(executor, "odd", once, NULL, odd, NULL, NULL, ERROR));
    refused(executor);
    stent_worker *worker = start_worker(executor, "{\"max_concurrency\": 32}");
    each_has_its_own(executor);
    others(executor);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    WAIT_FOR(atomic_load(&freed) == 1);
    OK(stent_backend_close(backend, ERROR));
    stent_backend_free(backend);
    return done();
}
