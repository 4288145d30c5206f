/* A handler whose task was taken from it: its next call says so, nothing that it does is recorded, and the new owner's
 * result stands. */
#include "check.h"

static stent_backend *store;
static atomic_int started, may_go_on, lost, done_by_second;

/* The first run waits until its task has been taken over; the second one completes. */
static stent_status slow(void *user_data, stent_task *task) {
    (void)user_data;
    if (atomic_fetch_add(&started, 1) > 0) {
        CHECK(stent_task_is_cancelled(task) == 0);
        atomic_store(&done_by_second, 1);
        return stent_task_complete(task, "\"second\"", NULL);
    }
    WAIT_FOR(atomic_load(&may_go_on));
    /* What it did before anybody told it is refused too. */
    stent_status status = STENT_OK;
    uint32_t op = 0;
    int32_t recorded = 0;
    status = stent_task_step_begin(task, "work", NULL, &op, &recorded, ERROR);
    if (status == STENT_OK) status = stent_task_step_end(task, op, "\"of the first\"", NULL, ERROR);
    expect(__FILE__, __LINE__, "a step without a lease", STENT_E_LEASE_LOST, status);
    CHECK(stent_task_is_cancelled(task) == 1);
    EXPECT(STENT_E_LEASE_LOST, stent_task_complete(task, "\"first\"", ERROR));
    EXPECT(STENT_E_LEASE_LOST, stent_task_heartbeat(task, NULL, ERROR));
    EXPECT(STENT_E_LEASE_LOST, stent_task_call(task, "slow", NULL, NULL, NULL, ERROR));
    forget_error();
    atomic_store(&lost, 1);
    return STENT_E_LEASE_LOST;
}

/* The only task of the execution, as its record; to be freed. */
static char *root_task(const char *execution_id) {
    char request[128], *answer = NULL;
    snprintf(request, sizeof request, "{\"execution_id\": \"%s\"}", execution_id);
    OK(stent_backend_call(store, "list_tasks_for_execution", request, &answer, ERROR));
    CHECK(answer[0] == '[' && answer[1] == '{');
    return answer;
}

/* Makes the task pending again, as an operator would who thinks that its worker is dead. */
static void take_away(const char *execution_id) {
    char *tasks = root_task(execution_id), *wanted = "\"state\":\"running\"", *request;
    char *state = strstr(tasks, wanted);
    CHECK(state != NULL);
    size_t length = strlen(tasks) + 32;
    request = malloc(length);
    CHECK(request != NULL);
    tasks[strlen(tasks) - 1] = '\0'; /* the record without the array around it */
    snprintf(request, length, "{\"task\": %.*s\"state\":\"pending\"%s}", (int)(state - tasks - 1), tasks + 1, state + strlen(wanted));
    OK(stent_backend_call(store, "update_task", request, NULL, ERROR));
    free(request);
    stent_free(tasks);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    store = open_backend("lease_lost.db");
    stent_executor *executor = new_executor(store);
    OK(stent_executor_register(executor, "slow", NULL, slow, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, "{\"max_concurrency\": 2}");
    char *id = dispatch(executor, "slow", NULL), *result = NULL;
    WAIT_FOR(atomic_load(&started) == 1);
    char *tasks = root_task(id), *before = member(tasks, "fence");
    stent_free(tasks);

    take_away(id);
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "\"second\"") == 0 && atomic_load(&done_by_second));
    stent_free(result);
    atomic_store(&may_go_on, 1);
    WAIT_FOR(atomic_load(&lost));
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));

    /* The second result stands, under a larger fence, and no step of the first was recorded. */
    OK(stent_executor_result(executor, id, 0, &result, ERROR));
    CHECK(strcmp(result, "\"second\"") == 0);
    stent_free(result);
    tasks = root_task(id);
    char *after = member(tasks, "fence");
    CHECK(atol(after) > atol(before) && !has(tasks, "of the first"));
    free(before);
    free(after);
    stent_free(tasks);
    stent_free(id);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(store);
    return done();
}
