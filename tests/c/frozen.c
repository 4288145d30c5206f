/* A server that is stopped without a word: waits, stops and the shutdown end in their time, whatever time the store has. */
#include "check.h"

/* What a busy machine takes, beside the seconds that are promised: far less than the store's own time, which the URL says. */
#define BUSY_MS 20000

/* A task whose result is on its way to a store that says nothing. */
static stent_status ends_late(void *user_data, stent_task *task) {
    atomic_int *state = user_data;
    atomic_store(state, 1);
    WAIT_FOR(atomic_load(state) == 2);
    return stent_task_complete(task, "1", NULL);
}

#define IN(milliseconds, call) \
    do { \
        int64_t before = now_ms(); \
        (call); \
        int64_t took = now_ms() - before; \
        if (took > (milliseconds) + BUSY_MS) FAIL("%s took %lld ms", #call, (long long)took); \
    } while (0)

int main(int count, char **arguments) {
    begin(count, arguments);
    if (count < 5) FAIL("usage: %s folder library url command", arguments[0]);
    atomic_int state = 0;
    stent_backend *backend = NULL;
    OK(stent_backend_open(arguments[3], NULL, &backend, ERROR));
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "ends_late", NULL, ends_late, &state, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "ends_late", NULL), *answer = NULL;
    WAIT_FOR(atomic_load(&state) == 1);

    CHECK(system(arguments[4]) == 0);
    atomic_store(&state, 2);
    IN(1000, EXPECT(STENT_E_TIMEOUT, stent_executor_wait(executor, id, 0, &answer, ERROR)));
    SAYS("\"retryable\":true");
    IN(4000, EXPECT(STENT_E_TIMEOUT, stent_executor_wait(executor, id, 3000, &answer, ERROR)));
    IN(2000, EXPECT(STENT_E_TIMEOUT, stent_executor_result(executor, id, 1000, &answer, ERROR)));
    IN(3000, EXPECT(STENT_E_TIMEOUT, stent_worker_stop(worker, 1000, ERROR)));
    IN(6000, EXPECT(STENT_E_TIMEOUT, stent_shutdown(3000, ERROR)));

    stent_free(id);
    /* What is still on its way goes on behind them; nobody waits for it. */
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    forget_error();
    return 0;
}
