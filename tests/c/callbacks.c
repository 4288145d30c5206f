/* Any function may be called in a handler: here one calls them all. */
#include "check.h"

static stent_backend *store;
static stent_executor *owner;
static stent_worker *own_worker;
static atomic_int runs, freed;

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static stent_status fails(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_fail(task, "{\"type\": \"Broken\", \"message\": \"on purpose\", \"retryable\": false}", NULL);
}

static void library(void) {
    char *text = NULL;
    CHECK(stent_abi_version() == 0 && stent_version() != NULL && stent_describe() != NULL);
    CHECK(stent_status_name(STENT_OK) != NULL);
    EXPECT(STENT_E_CONFLICT, stent_configure("{\"runtime_threads\": 1}", ERROR));
    CHECK(stent_error_status(last_error) == STENT_E_CONFLICT);
    OK(stent_set_log_handler(NULL, NULL, &freed, count_free, ERROR));
    EXPECT(STENT_E_WRONG_THREAD, stent_shutdown(0, ERROR));
    OK(stent_backend_init_db(store, ERROR));
    OK(stent_backend_call(store, "count_executions", NULL, &text, ERROR));
    stent_free(text);
}

/* A backend, an executor and a worker of the handler's own. */
static void handles_of_its_own(void) {
    stent_backend *backend = open_backend(":memory:");
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "echo", NULL, echo, &freed, count_free, ERROR));
    stent_worker *worker = start_worker(executor, "{\"max_concurrency\": 1}");
    char *id = dispatch(executor, "echo", "[\"inner\"]"), *text = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "[\"inner\"]") == 0);
    stent_free(text);
    stent_free(id);
    OK(stent_worker_status(worker, &text, ERROR));
    stent_free(text);
    EXPECT(STENT_E_WRONG_THREAD, stent_worker_wait(worker, "ready", 0, ERROR));
    EXPECT(STENT_E_WRONG_THREAD, stent_worker_stop(worker, 0, ERROR));
    OK(stent_worker_drain(worker, ERROR));
    EXPECT(STENT_E_WRONG_THREAD, stent_backend_close(backend, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
}

/* The executor that this handler belongs to. */
static void executor_of_others(void) {
    char *text = NULL, *id = dispatch(owner, "echo", "[2]");
    OK(stent_executor_wait(owner, id, PATIENCE_MS, NULL, ERROR));
    OK(stent_executor_result(owner, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "[2]") == 0);
    stent_free(text);
    OK(stent_executor_state(owner, id, &text, ERROR));
    stent_free(text);
    EXPECT(STENT_E_CONFLICT, stent_executor_signal(owner, id, "s", NULL, NULL, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_executor_cancel(owner, id, "too late", ERROR));
    stent_free(id);
    OK(stent_executor_dispatch_many(owner, "[{\"function\": \"echo\"}, {\"function\": \"nobody has it\"}]", &text, ERROR));
    stent_free(text);
    OK(stent_executor_list(owner, "{\"limit\": 5}", &text, ERROR));
    stent_free(text);
    OK(stent_executor_stats(owner, NULL, &text, ERROR));
    stent_free(text);
    OK(stent_executor_cleanup(owner, NULL, &text, ERROR));
    stent_free(text);

    id = dispatch(owner, "fails", NULL);
    EXPECT(STENT_E_FAILED, stent_executor_result(owner, id, PATIENCE_MS, NULL, ERROR));
    stent_free(id);
    OK(stent_executor_dead_letters(owner, "{\"function\": \"fails\"}", &text, ERROR));
    char *task_id = member(text, "id");
    stent_free(text);
    EXPECT(STENT_E_CONFLICT, stent_executor_resume(owner, task_id, NULL, ERROR));
    OK(stent_executor_replay_dead_letter(owner, task_id, NULL, &text, ERROR));
    stent_free(text);
    EXPECT(STENT_E_NOT_FOUND, stent_executor_discard_dead_letter(owner, task_id, ERROR));
    free(task_id);

    int before = atomic_load(&freed);
    OK(stent_executor_register(owner, "registered by a handler", NULL, echo, &freed, count_free, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_executor_register(owner, "echo", NULL, echo, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == before + 1);
    OK(stent_worker_status(own_worker, &text, ERROR));
    CHECK(has(text, "\"state\":\"ready\""));
    stent_free(text);
}

/* What the task itself can do, up to its end. */
static stent_status task_calls(stent_task *task) {
    char *text = NULL;
    uint32_t ops[3], first = 0, op = 0;
    int32_t recorded = 0;
    uint64_t random = 0;
    stent_status status;
    CHECK(has(stent_task_info(task), "\"function\":\"everything\"") && has(stent_task_info(task), "\"attempt\":1"));
    CHECK(stent_task_info(task) == stent_task_info(task));
    CHECK(strcmp(stent_task_args(task), "[\"a\",1]") == 0 && strcmp(stent_task_kwargs(task), "{}") == 0);
    CHECK(stent_task_is_cancelled(task) == 0);
    CHECK(stent_task_ref(task) == task);
    stent_task_free(task);
    OK(stent_task_now(task, &text, ERROR));
    stent_free(text);
    OK(stent_task_random(task, &random, ERROR));
    OK(stent_task_uuid(task, &text, ERROR));
    CHECK(strlen(text) == 36);
    stent_free(text);
    OK(stent_task_progress(task, "{\"percent\": 10}", ERROR));
    OK(stent_task_counter_add(task, "seen", "2", ERROR));
    OK(stent_task_state_set(task, "color", "\"red\"", ERROR));
    OK(stent_task_heartbeat(task, "{\"at\": 1}", ERROR));
    OK(stent_task_log(task, STENT_LOG_INFO, "here", ERROR));

    OK(stent_task_step_begin(task, "measure", NULL, &op, &recorded, ERROR));
    if (!recorded) OK(stent_task_step_end(task, op, "42", NULL, ERROR));
    OK(stent_task_result(task, op, &text, ERROR));
    CHECK(strcmp(text, "42") == 0);
    stent_free(text);
    EXPECT(STENT_E_INVALID, stent_task_result(task, 12345, &text, ERROR));

    OK(stent_task_spawn_call(task, "echo", "[3]", NULL, &ops[0], ERROR));
    OK(stent_task_spawn_sleep(task, "1ms", &ops[1], ERROR));
    OK(stent_task_spawn_wait_signal(task, "never", NULL, &ops[2], ERROR));
    OK(stent_task_cancel_op(task, ops[2], ERROR));
    status = stent_task_await(task, ops, 3, STENT_WAIT_ALL, 0, &first, ERROR);
    if (status != STENT_OK) return status;
    EXPECT(STENT_E_CANCELLED, stent_task_result(task, ops[2], &text, ERROR));
    status = stent_task_call(task, "echo", "[4]", NULL, &text, ERROR);
    if (status != STENT_OK) return status;
    CHECK(strcmp(text, "[4]") == 0);
    stent_free(text);
    status = stent_task_map(task, "echo", "[[5], [6]]", NULL, &text, ERROR);
    if (status != STENT_OK) return status;
    CHECK(strcmp(text, "[[5],[6]]") == 0);
    stent_free(text);
    status = stent_task_sleep(task, "1ms", ERROR);
    if (status != STENT_OK) return status;
    status = stent_task_wait_signal(task, "none", "{\"timeout\": \"1ms\"}", &text, ERROR);
    if (status == STENT_SUSPEND) return status;
    expect(__FILE__, __LINE__, "stent_task_wait_signal", STENT_E_FAILED, status);
    SAYS("SignalTimeout");
    return STENT_OK;
}

static stent_status everything(void *user_data, stent_task *task) {
    CHECK(user_data == &runs);
    if (atomic_fetch_add(&runs, 1) == 0) {
        library();
        handles_of_its_own();
        executor_of_others();
    }
    stent_status status = task_calls(task);
    forget_error();
    if (status == STENT_SUSPEND) {
        /* Until the handler has returned, everything answers the same. */
        CHECK(stent_task_call(task, "echo", NULL, NULL, NULL, NULL) == STENT_SUSPEND);
        CHECK(stent_task_complete(task, NULL, NULL) == STENT_SUSPEND);
        return status;
    }
    CHECK(status == STENT_OK);
    OK(stent_task_complete(task, "\"done\"", ERROR));
    EXPECT(STENT_E_CONFLICT, stent_task_complete(task, "\"again\"", ERROR));
    EXPECT(STENT_E_CONFLICT, stent_task_fail(task, "\"late\"", ERROR));
    EXPECT(STENT_E_CONFLICT, stent_task_continue(task, NULL, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_task_suspend(task, ERROR));
    forget_error();
    return STENT_OK;
}

int main(int count, char **arguments) {
    begin(count, arguments);
    store = open_backend("callbacks.db");
    owner = new_executor(store);
    OK(stent_executor_register(owner, "everything", NULL, everything, &runs, NULL, ERROR));
    OK(stent_executor_register(owner, "echo", NULL, echo, NULL, NULL, ERROR));
    OK(stent_executor_register(owner, "fails", NULL, fails, NULL, NULL, ERROR));
    own_worker = start_worker(owner, "{\"max_concurrency\": 4}");
    OK(stent_worker_wait(own_worker, "ready", PATIENCE_MS, ERROR));
    char *id = dispatch(owner, "everything", "[\"a\",1]"), *result = NULL;
    OK(stent_executor_result(owner, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "\"done\"") == 0);
    stent_free(result);
    CHECK(atomic_load(&runs) > 1);

    OK(stent_executor_state(owner, id, &result, ERROR));
    CHECK(has(result, "\"seen\":2") && has(result, "\"color\":\"red\"") && has(result, "\"percent\""));
    stent_free(result);
    stent_free(id);
    OK(stent_worker_stop(own_worker, PATIENCE_MS, ERROR));
    stent_worker_free(own_worker);
    stent_executor_free(owner);
    stent_backend_free(store);
    return done();
}
