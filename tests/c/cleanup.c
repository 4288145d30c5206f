/* A workflow that is cancelled where it waits, as rows alone: a function with a cleanup is told there, may make durable
 * calls, and the execution is cancelling until it returns. */
#include "check.h"

static atomic_int charged, refunded, told;

static stent_status count(void *user_data, stent_task *task) {
    atomic_fetch_add((atomic_int *)user_data, 1);
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static stent_status order(void *user_data, stent_task *task) {
    stent_executor *executor = user_data;
    char *answer = NULL, *id = member(stent_task_info(task), "execution_id");
    stent_status status = stent_task_call(task, "charge", "[7]", NULL, &answer, NULL);
    if (status == STENT_OK) {
        stent_free(answer);
        status = stent_task_wait_signal(task, "never", NULL, &answer, ERROR);
    }
    if (status == STENT_E_CANCELLED) {
        CHECK(has(stent_task_info(task), "\"cleanup\":true"));
        CHECK(!stent_task_is_cancelled(task) && is_in_state(executor, id, "cancelling"));
        atomic_fetch_add(&told, 1);
        status = stent_task_call(task, "refund", "[7]", NULL, &answer, NULL);
        if (status == STENT_OK) {
            stent_free(answer);
            status = stent_task_complete(task, "\"refunded\"", ERROR);
        }
    }
    forget_error();
    free(id);
    return status;
}

static int waits(stent_backend *backend, const char *id) {
    char request[128], *tasks = NULL;
    snprintf(request, sizeof request, "{\"execution_id\": \"%s\"}", id);
    OK(stent_backend_call(backend, "list_tasks_for_execution", request, &tasks, ERROR));
    int are = has(tasks, "signal:never#1") && !has(tasks, "\"state\":\"running\"") && !has(tasks, "\"state\":\"pending\"");
    stent_free(tasks);
    return are;
}

int main(int count_, char **arguments) {
    begin(count_, arguments);
    const char *url = count_ > 3 ? arguments[3] : NULL;
    stent_backend *backend = NULL;
    if (url) OK(stent_backend_open(url, NULL, &backend, ERROR));
    else backend = open_backend("cleanup.db");
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "order", "{\"cleanup\": \"5m\"}", order, executor, NULL, ERROR));
    OK(stent_executor_register(executor, "charge", NULL, count, &charged, NULL, ERROR));
    OK(stent_executor_register(executor, "refund", NULL, count, &refunded, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, "none", "{\"cleanup\": 0}", count, &refunded, NULL, ERROR));
    SAYS("cleanup");

    /* Its worker is gone when it is cancelled: another one cleans up. */
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "order", NULL), *execution = NULL;
    WAIT_FOR(waits(backend, id));
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    OK(stent_executor_cancel(executor, id, "no stock", ERROR));
    CHECK(is_in_state(executor, id, "cancelling") && atomic_load(&refunded) == 0);
    worker = start_worker(executor, NULL);
    EXPECT(STENT_E_CANCELLED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    OK(stent_executor_state(executor, id, &execution, ERROR));
    CHECK(has(execution, "\"state\":\"cancelled\"") && has(execution, "\"result\":\"refunded\"") && has(execution, "no stock"));
    CHECK(atomic_load(&charged) == 1 && atomic_load(&refunded) == 1 && atomic_load(&told) >= 1);
    EXPECT(STENT_E_CONFLICT, stent_executor_cancel(executor, id, NULL, ERROR));
    stent_free(execution);
    stent_free(id);

    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    OK(stent_backend_close(backend, ERROR));
    stent_backend_free(backend);
    return done();
}
