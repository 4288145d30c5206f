/* Two processes, whose spans hang together: tracing FOLDER STORE CONFIGURE cards, until its input ends, and tracing FOLDER
 * STORE CONFIGURE orders OPTIONS, which dispatches one order, waits for it, and prints its id and what its handlers know of the trace. */
#include "check.h"

static atomic_int waits;

static void print_log(void *user_data, int32_t level, const char *json) {
    (void)user_data;
    (void)level;
    printf("log %s\n", json);
}

/* The first attempt fails. The result is the trace context that the handler was given. */
static stent_status charge(void *user_data, stent_task *task) {
    (void)user_data;
    if (stent_task_attempt(task) == 1) {
        return stent_task_fail(task, "{\"type\": \"CardError\", \"message\": \"try again\", \"stack\": \"at charge\"}", NULL);
    }
    const char *context = stent_task_traceparent(task);
    char result[128];
    snprintf(result, sizeof result, "\"%s\"", context ? context : "none");
    OK(stent_task_complete(task, result, ERROR));
    return STENT_OK;
}

static stent_status refuse(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_fail(task, "{\"type\": \"OutOfStock\", \"message\": \"none left\", \"retryable\": false}", NULL);
}

/* A call that is tried twice, a timer, a signal, and a call that fails, and the order with it. */
static stent_status order(void *user_data, stent_task *task) {
    (void)user_data;
    char *text = NULL;
    stent_status status = stent_task_call(task, "charge", "[]", NULL, &text, ERROR);
    if (status != STENT_OK) return status;
    printf("charged %s\n", text);
    stent_free(text);
    status = stent_task_sleep(task, "50ms", ERROR);
    if (status != STENT_OK) return status;
    atomic_store(&waits, 1);
    status = stent_task_wait_signal(task, "approved", NULL, &text, ERROR);
    if (status != STENT_OK) return status;
    stent_free(text);
    return stent_task_call(task, "refuse", "[]", NULL, &text, ERROR);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    CHECK(count >= 5);
    OK(stent_configure(arguments[3], ERROR));
    OK(stent_set_log_handler("{\"level\": \"info\"}", print_log, NULL, NULL, ERROR));
    stent_backend *backend = NULL;
    OK(stent_backend_open(arguments[2], NULL, &backend, ERROR));
    stent_executor *executor = new_executor(backend);
    if (strcmp(arguments[4], "cards") == 0) {
        const char *options = "{\"queue\": \"cards\", \"retry_policy\": {\"max_attempts\": 2, \"initial_delay\": \"1ms\"}}";
        OK(stent_executor_register(executor, "charge", options, charge, NULL, NULL, ERROR));
        OK(stent_executor_register(executor, "refuse", NULL, refuse, NULL, NULL, ERROR));
        stent_worker *worker = start_worker(executor, "{\"worker_id\": \"cards-1\"}");
        OK(stent_worker_wait(worker, "ready", PATIENCE_MS, ERROR));
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF) {}
        stent_worker_free(worker);
    } else {
        OK(stent_executor_register(executor, "order", NULL, order, NULL, NULL, ERROR));
        stent_worker *worker = start_worker(executor, "{\"worker_id\": \"orders-1\"}");
        char *id = NULL, *ended = NULL;
        OK(stent_executor_dispatch(executor, "order", "[]", arguments[5], &id, ERROR));
        printf("execution %s\n", id);
        WAIT_FOR(atomic_load(&waits));
        OK(stent_executor_signal(executor, id, "approved", "true", NULL, ERROR));
        OK(stent_executor_wait(executor, id, PATIENCE_MS, &ended, ERROR));
        CHECK(has(ended, "OutOfStock"));
        stent_free(ended);
        stent_free(id);
        stent_worker_free(worker);
    }
    int64_t began = now_ms();
    stent_executor_free(executor);
    stent_backend_free(backend);
    int ended = done();
    printf("shutdown %d\n", (int)(now_ms() - began));
    return ended;
}
