/* The library as a whole: versions, description, configuration, the log, shutdown and what comes after it. */
#include "check.h"

static atomic_int lines, freed, second_freed;
static atomic_int heard_hello, called_back;

static void on_log(void *user_data, int32_t level, const char *json) {
    CHECK(user_data == &freed);
    CHECK(level >= STENT_LOG_ERROR && level <= STENT_LOG_DEBUG);
    CHECK(has(json, "\"time\":\"") && has(json, "\"target\":") && has(json, "\"message\":"));
    if (has(json, "hello from a handler")) {
        CHECK(level == STENT_LOG_WARN && has(json, "\"level\":\"warn\""));
        atomic_store(&heard_hello, 1);
    }
    /* Any function may be called here, except those that would wait for this call to end. */
    CHECK(stent_shutdown(0, NULL) == STENT_E_WRONG_THREAD);
    CHECK(stent_describe() != NULL);
    atomic_store(&called_back, 1);
    atomic_fetch_add(&lines, 1);
}

static void on_log_2(void *user_data, int32_t level, const char *json) { (void)user_data, (void)level, (void)json; }

static stent_status speaker(void *user_data, stent_task *task) {
    (void)user_data;
    OK(stent_task_log(task, STENT_LOG_WARN, "hello from a handler", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_log(task, 0, "no such level", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_log(task, 5, "no such level", ERROR));
    forget_error();
    return stent_task_complete(task, NULL, NULL);
}

static void run_once(const char *file) {
    stent_backend *backend = open_backend(file);
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "speaker", NULL, speaker, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "speaker", NULL), *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "null") == 0);
    stent_free(result);

    OK(stent_shutdown(PATIENCE_MS, ERROR));
    EXPECT(STENT_E_CLOSED, stent_executor_state(executor, id, &result, ERROR));
    EXPECT(STENT_E_CLOSED, stent_executor_dispatch(executor, "speaker", NULL, NULL, NULL, ERROR));
    EXPECT(STENT_E_CLOSED, stent_worker_start(executor, NULL, NULL, &worker, ERROR));
    EXPECT(STENT_E_CLOSED, stent_backend_call(backend, "count_executions", NULL, &result, ERROR));
    EXPECT(STENT_E_CLOSED, stent_executor_new(backend, NULL, &executor, ERROR));
    OK(stent_backend_close(backend, ERROR));
    stent_free(id);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    CHECK(stent_abi_version() == 0);
    CHECK(has(stent_version(), "."));
    CHECK(stent_abi_version() == STENT_ABI_VERSION && strcmp(stent_version(), STENT_VERSION_STRING) == 0);
    CHECK(STENT_VERSION_NUMBER == STENT_VERSION_MAJOR * 1000000 + STENT_VERSION_MINOR * 1000 + STENT_VERSION_PATCH);
    const char *description = stent_describe();
    CHECK(description != NULL && description == stent_describe());
    CHECK(has(description, "\"statuses\"") && has(description, "claim_next_task") && has(description, "lease_duration"));
    CHECK(has(description, "\"STENT_PAYLOAD_MAX\",\"value\":67108864") && has(description, "\"features\"") && has(description, "sslmode"));
    CHECK(strcmp(stent_status_name(STENT_E_LEASE_LOST), "LEASE_LOST") == 0);
    CHECK(strcmp(stent_status_name(-12345), "UNKNOWN") == 0);

    OK(stent_shutdown(0, ERROR)); /* nothing is there yet */
    OK(stent_configure(NULL, ERROR));
    OK(stent_configure("{\"runtime_threads\": 2}", ERROR));
    EXPECT(STENT_E_INVALID, stent_configure("{\"runtime_threads\": 0}", ERROR));
    EXPECT(STENT_E_INVALID, stent_configure("{\"threads\": 2}", ERROR));
    SAYS("runtime_threads");

    OK(stent_set_log_handler("{\"level\": \"debug\"}", on_log, &freed, count_free, ERROR));
    run_once("first.db");
    WAIT_FOR(atomic_load(&heard_hello) && atomic_load(&called_back));
    EXPECT(STENT_E_CONFLICT, stent_configure("{\"runtime_threads\": 1}", ERROR));

    /* A failed call gives the context back and leaves the handler as it was. */
    EXPECT(STENT_E_INVALID, stent_set_log_handler("{\"level\": \"loud\"}", on_log_2, &second_freed, count_free, ERROR));
    CHECK(atomic_load(&second_freed) == 1 && atomic_load(&freed) == 0);
    OK(stent_set_log_handler(NULL, on_log_2, &second_freed, count_free, ERROR));
    WAIT_FOR(atomic_load(&freed) == 1);
    int heard = atomic_load(&lines);

    /* After a shutdown the library may be used again. */
    run_once("second.db");
    CHECK(atomic_load(&lines) == heard);

    OK(stent_set_log_handler(NULL, NULL, NULL, NULL, ERROR));
    WAIT_FOR(atomic_load(&second_freed) == 2);
    CHECK(atomic_load(&freed) == 1);
    stent_free(NULL);
    return done();
}
