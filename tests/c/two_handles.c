/* One file behind two backends of one process, each with its executor: they see each other's work. */
#include "check.h"

static stent_status echo(void *user_data, stent_task *task) {
    atomic_fetch_add((atomic_int *)user_data, 1);
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static stent_status waits(void *user_data, stent_task *task) {
    char *payload = NULL;
    (void)user_data;
    stent_status status = stent_task_wait_signal(task, "go", NULL, &payload, NULL);
    if (status == STENT_OK) status = stent_task_complete(task, payload, NULL);
    stent_free(payload);
    return status;
}

int main(int count, char **arguments) {
    begin(count, arguments);
    atomic_int ran = 0;
    stent_backend *first = open_backend("two.db"), *second = open_backend("two.db");
    stent_executor *client = new_executor(first), *host = new_executor(second);
    OK(stent_executor_register(host, "echo", NULL, echo, &ran, NULL, ERROR));
    OK(stent_executor_register(host, "waits", NULL, waits, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(host, NULL);
    OK(stent_worker_wait(worker, "ready", PATIENCE_MS, ERROR));

    /* Dispatched here, run there, awaited here; a signal goes the same way. */
    char *id = dispatch(client, "echo", "[\"across\"]"), *result = NULL;
    OK(stent_executor_result(client, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "[\"across\"]") == 0 && atomic_load(&ran) == 1);
    stent_free(result);
    stent_free(id);
    id = dispatch(client, "waits", NULL);
    OK(stent_executor_signal(client, id, "go", "\"now\"", NULL, ERROR));
    OK(stent_executor_result(client, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "\"now\"") == 0);
    stent_free(result);

    /* One is closed; the other is not. */
    stent_executor_free(client);
    OK(stent_backend_close(first, ERROR));
    stent_backend_free(first);
    OK(stent_executor_result(host, id, 0, &result, ERROR));
    stent_free(result);
    stent_free(id);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(host);
    stent_backend_free(second);
    return done();
}
