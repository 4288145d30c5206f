/* A handler's mistakes: each wrong call on a task is refused with an error that names what was wrong, leaves no trace in
 * the journal, and the task goes on. */
#include "check.h"

#define NOT_UTF8 "\xc3("

static atomic_int checked;

static void no_text(stent_task *task) {
    uint32_t op = 0;
    int32_t recorded = 0;
    EXPECT(STENT_E_INVALID, stent_task_call(task, NULL, NULL, NULL, NULL, ERROR));
    SAYS("function is NULL");
    EXPECT(STENT_E_INVALID, stent_task_map(task, NULL, "[]", NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_map(task, "f", NULL, NULL, NULL, ERROR));
    SAYS("args_list is NULL");
    EXPECT(STENT_E_INVALID, stent_task_sleep(task, NULL, ERROR));
    SAYS("duration is NULL");
    EXPECT(STENT_E_INVALID, stent_task_wait_signal(task, NULL, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_step_begin(task, NULL, NULL, &op, &recorded, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_step_begin(task, "s", NULL, NULL, &recorded, ERROR));
    SAYS("op is NULL");
    EXPECT(STENT_E_INVALID, stent_task_step_begin(task, "s", NULL, &op, NULL, ERROR));
    SAYS("recorded is NULL");
    char *token = NULL;
    EXPECT(STENT_E_INVALID, stent_task_transaction_begin(task, NULL, NULL, &op, &token, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_transaction_begin(task, "s", NULL, NULL, &token, ERROR));
    SAYS("op is NULL");
    EXPECT(STENT_E_INVALID, stent_task_transaction_begin(task, "s", NULL, &op, NULL, ERROR));
    SAYS("token is NULL");
    EXPECT(STENT_E_INVALID, stent_task_spawn_call(task, NULL, NULL, NULL, &op, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_spawn_sleep(task, NULL, &op, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_spawn_wait_signal(task, NULL, NULL, &op, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_counter_add(task, NULL, "1", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_counter_add(task, "c", NULL, ERROR));
    SAYS("amount is NULL");
    EXPECT(STENT_E_INVALID, stent_task_state_set(task, NULL, "1", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_log(task, STENT_LOG_INFO, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_fail(task, NULL, ERROR));
    SAYS("failure is NULL");
    CHECK(op == 0);
}

static void wrong_text(stent_task *task) {
    uint32_t op = 0;
    EXPECT(STENT_E_INVALID, stent_task_call(task, NOT_UTF8, NULL, NULL, NULL, ERROR));
    SAYS("function is not UTF-8");
    EXPECT(STENT_E_INVALID, stent_task_call(task, "f", NOT_UTF8, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_call(task, "f", NULL, NOT_UTF8, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_call(task, "", NULL, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_call(task, "f", "{}", NULL, NULL, ERROR));
    SAYS("an array");
    EXPECT(STENT_E_INVALID, stent_task_call(task, "f", NULL, "{\"que\": \"x\"}", NULL, ERROR));
    SAYS("queue");
    EXPECT(STENT_E_INVALID, stent_task_call(task, "f", NULL, "{\"kwargs\": [1]}", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_map(task, "f", "[1, 2]", NULL, NULL, ERROR));
    SAYS("args_list[0]");
    EXPECT(STENT_E_INVALID, stent_task_sleep(task, "soon", ERROR));
    SAYS("soon");
    EXPECT(STENT_E_INVALID, stent_task_sleep(task, "-1", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_spawn_sleep(task, "1 fortnight", &op, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_wait_signal(task, "s", "{\"time_out\": 1}", NULL, ERROR));
    SAYS("timeout");
    EXPECT(STENT_E_INVALID, stent_task_progress(task, "{", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_counter_add(task, "c", "one", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_counter_add(task, "c", "99999999999999999999", ERROR));
    SAYS("64 bits");
    EXPECT(STENT_E_INVALID, stent_task_state_set(task, "k", "nil", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_heartbeat(task, "{1}", ERROR));
    EXPECT(STENT_E_INVALID, stent_task_complete(task, NOT_UTF8, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_fail(task, "{\"type\": \"T\", \"reason\": \"?\"}", ERROR));
    SAYS("message");
    EXPECT(STENT_E_INVALID, stent_task_continue(task, "7", ERROR));
    CHECK(op == 0);
}

static void wrong_operations(stent_task *task) {
    uint32_t op = 0, wrong = 4711;
    int32_t recorded = 0;
    EXPECT(STENT_E_INVALID, stent_task_result(task, wrong, NULL, ERROR));
    SAYS("4711");
    EXPECT(STENT_E_INVALID, stent_task_cancel_op(task, wrong, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_await(task, &wrong, 1, STENT_WAIT_ALL, 0, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_await(task, NULL, 2, STENT_WAIT_ALL, 0, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_await(task, &wrong, SIZE_MAX / 8, STENT_WAIT_ALL, 0, NULL, ERROR));
    SAYS("count");
    EXPECT(STENT_E_INVALID, stent_task_await(task, &wrong, 1, 2, 0, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_step_end(task, wrong, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_suspend(task, ERROR));

    OK(stent_task_step_begin(task, "the only one", NULL, &op, &recorded, ERROR));
    CHECK(!recorded);
    EXPECT(STENT_E_INVALID, stent_task_step_end(task, op, "1", "{\"type\": \"T\"}", ERROR));
    SAYS("NULL for the other");
    EXPECT(STENT_E_INVALID, stent_task_step_end(task, op, "one", NULL, ERROR));
    OK(stent_task_step_end(task, op, "1", NULL, ERROR));

    char *token = NULL;
    EXPECT(STENT_E_INVALID, stent_task_transaction_end(task, op, NULL, ERROR));
    SAYS("no step with a transaction");
    OK(stent_task_transaction_begin(task, "a transaction", NULL, &op, &token, ERROR));
    CHECK(token != NULL && strncmp(token, "1.", 2) == 0);
    stent_free(token);
    EXPECT(STENT_E_INVALID, stent_task_step_end(task, op, "1", NULL, ERROR));
    SAYS("stent_task_transaction_end");
    EXPECT(STENT_E_INVALID, stent_task_transaction_end(task, op, "failure", ERROR));
    OK(stent_task_transaction_end(task, op, NULL, ERROR));
    EXPECT(STENT_E_FAILED, stent_task_result(task, op, NULL, ERROR));
    SAYS("NotRecorded");
}

static stent_status clumsy(void *user_data, stent_task *task) {
    (void)user_data;
    no_text(task);
    wrong_text(task);
    wrong_operations(task);
    forget_error();
    atomic_store(&checked, 1);
    return stent_task_complete(task, "\"none the worse\"", NULL);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("task_arguments.db");
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "clumsy", NULL, clumsy, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "clumsy", NULL), *text = NULL, request[128];
    OK(stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "\"none the worse\"") == 0 && atomic_load(&checked));
    stent_free(text);

    /* The journal has the two steps, and nothing else beside the task itself. */
    snprintf(request, sizeof request, "{\"execution_id\": \"%s\"}", id);
    OK(stent_backend_call(backend, "list_tasks_for_execution", request, &text, ERROR));
    CHECK(has(text, "\"step_key\":\"the only one#1\""));
    int tasks = 0;
    for (const char *at = text; (at = strstr(at, "\"step_name\":")) != NULL; at++) tasks++;
    CHECK(tasks == 3);
    stent_free(text);
    OK(stent_executor_state(executor, id, &text, ERROR));
    CHECK(has(text, "\"counters\":{}") && has(text, "\"state_values\":{}"));
    stent_free(text);
    stent_free(id);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
