/* What waits for handlers to end is refused in them, and says what to do; what does not wait works. */
#include "check.h"

static stent_backend *store;
static stent_worker *worker;
static atomic_int refused;

static stent_status stops(void *user_data, stent_task *task) {
    (void)user_data;
    EXPECT(STENT_E_WRONG_THREAD, stent_worker_stop(worker, -1, ERROR));
    SAYS("stent_worker_stop was called from a callback");
    EXPECT(STENT_E_WRONG_THREAD, stent_worker_wait(worker, "stopped", -1, ERROR));
    EXPECT(STENT_E_WRONG_THREAD, stent_backend_close(store, ERROR));
    EXPECT(STENT_E_WRONG_THREAD, stent_backend_call(store, "close", NULL, NULL, ERROR));
    EXPECT(STENT_E_WRONG_THREAD, stent_shutdown(-1, ERROR));
    forget_error();
    atomic_store(&refused, 1);
    return stent_task_complete(task, NULL, NULL);
}

static stent_status drains(void *user_data, stent_task *task) {
    (void)user_data;
    OK(stent_worker_drain(worker, ERROR));
    return stent_task_complete(task, "\"drained\"", NULL);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    store = open_backend("wrong_thread.db");
    stent_executor *executor = new_executor(store);
    OK(stent_executor_register(executor, "stops", NULL, stops, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "drains", NULL, drains, NULL, NULL, ERROR));
    worker = start_worker(executor, NULL);
    OK(stent_worker_wait(worker, "ready", PATIENCE_MS, ERROR));
    char *id = dispatch(executor, "stops", NULL), *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    CHECK(atomic_load(&refused));
    stent_free(id);

    /* A store is not closed under its workers. */
    EXPECT(STENT_E_CONFLICT, stent_backend_close(store, ERROR));
    SAYS("not stopped");

    /* Draining waits for nobody: a handler may ask for it, and its own result counts. */
    id = dispatch(executor, "drains", NULL);
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "\"drained\"") == 0);
    stent_free(result);
    stent_free(id);
    OK(stent_worker_wait(worker, "stopped", PATIENCE_MS, ERROR));
    OK(stent_worker_stop(worker, 0, ERROR));
    OK(stent_backend_close(store, ERROR));
    OK(stent_backend_close(store, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(store);
    return done();
}
