/* The main job: a workflow with every durable operation, whose worker is replaced in the middle; each step is recorded
 * once, and the values that must not change in replay do not. */
#include "check.h"

static atomic_int charged, stepped, runs;
static char seen_now[64], seen_uuid[64];
static uint64_t seen_random;

static stent_status charge(void *user_data, stent_task *task) {
    (void)user_data;
    atomic_fetch_add(&charged, 1);
    return stent_task_complete(task, "{\"charged\":true}", NULL);
}

static stent_status square(void *user_data, stent_task *task) {
    (void)user_data;
    char result[32];
    int n = atoi(stent_task_args(task) + 1);
    snprintf(result, sizeof result, "%d", n * n);
    return stent_task_complete(task, result, NULL);
}

/* The same in every run: what the first one saw. */
static void same_in_every_run(stent_task *task, int first_run) {
    char *now = NULL, *uuid = NULL;
    uint64_t random = 0;
    OK(stent_task_now(task, &now, ERROR));
    OK(stent_task_uuid(task, &uuid, ERROR));
    OK(stent_task_random(task, &random, ERROR));
    if (first_run) {
        snprintf(seen_now, sizeof seen_now, "%s", now);
        snprintf(seen_uuid, sizeof seen_uuid, "%s", uuid);
        seen_random = random;
    }
    CHECK(strcmp(now, seen_now) == 0 && strcmp(uuid, seen_uuid) == 0 && random == seen_random);
    stent_free(now);
    stent_free(uuid);
}

#define TRY(call) \
    do { \
        stent_status tried = (call); \
        if (tried != STENT_OK) { \
            forget_error(); \
            return tried; \
        } \
    } while (0)

static stent_status order(void *user_data, stent_task *task) {
    (void)user_data;
    char *text = NULL;
    uint32_t op = 0, race[2], first = 0;
    int32_t recorded = 0;
    int first_run = atomic_fetch_add(&runs, 1) == 0;
    same_in_every_run(task, first_run);

    TRY(stent_task_step_begin(task, "validate", NULL, &op, &recorded, ERROR));
    CHECK(first_run || recorded);
    if (!recorded) {
        atomic_fetch_add(&stepped, 1);
        TRY(stent_task_step_end(task, op, "\"valid\"", NULL, ERROR));
    }
    OK(stent_task_result(task, op, &text, ERROR));
    CHECK(strcmp(text, "\"valid\"") == 0);
    stent_free(text);

    /* A step that failed keeps its failure. */
    TRY(stent_task_step_begin(task, "broken", "{\"key\": \"my own key\"}", &op, &recorded, ERROR));
    if (!recorded) TRY(stent_task_step_end(task, op, NULL, "{\"type\": \"Small\"}", ERROR));
    EXPECT(STENT_E_FAILED, stent_task_result(task, op, NULL, ERROR));
    SAYS("\"type\":\"Small\"");

    TRY(stent_task_counter_add(task, "orders", "1", ERROR));
    TRY(stent_task_progress(task, "\"validated\"", ERROR));
    TRY(stent_task_call(task, "charge", "[100]", "{\"kwargs\": {\"currency\": \"EUR\"}}", &text, ERROR));
    CHECK(strcmp(text, "{\"charged\":true}") == 0);
    stent_free(text);
    TRY(stent_task_map(task, "square", "[[1],[2],[3],[4]]", NULL, &text, ERROR));
    CHECK(strcmp(text, "[1,4,9,16]") == 0);
    stent_free(text);
    TRY(stent_task_sleep(task, "20ms", ERROR));

    /* A race between a signal that comes and an hour that does not pass. */
    TRY(stent_task_spawn_wait_signal(task, "approve", NULL, &race[0], ERROR));
    TRY(stent_task_spawn_sleep(task, "1h", &race[1], ERROR));
    TRY(stent_task_await(task, race, 2, STENT_WAIT_ANY, -1, &first, ERROR));
    CHECK(first == race[0]);
    OK(stent_task_result(task, race[0], &text, ERROR));
    EXPECT(STENT_PENDING, stent_task_result(task, race[1], NULL, ERROR));
    TRY(stent_task_cancel_op(task, race[1], ERROR));
    TRY(stent_task_state_set(task, "approved_by", text, ERROR));
    TRY(stent_task_complete(task, text, ERROR));
    stent_free(text);
    forget_error();
    return STENT_OK;
}

static stent_executor *host(stent_backend *backend) {
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "order", NULL, order, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "charge", NULL, charge, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "square", NULL, square, NULL, NULL, ERROR));
    return executor;
}

/* The workflow waits for its signal: everything before it is done. */
static int waits(stent_backend *backend, const char *id) {
    char request[128], *tasks = NULL;
    snprintf(request, sizeof request, "{\"execution_id\": \"%s\"}", id);
    OK(stent_backend_call(backend, "list_tasks_for_execution", request, &tasks, ERROR));
    int there = has(tasks, "signal:approve#1") && has(tasks, "\"state\":\"waiting\"");
    stent_free(tasks);
    return there;
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("workflow.db");
    stent_executor *executor = host(backend);
    stent_worker *worker = start_worker(executor, "{\"max_concurrency\": 1}");
    char *id = dispatch(executor, "order", "[{\"order\": 7}]"), *text = NULL;
    WAIT_FOR(waits(backend, id));

    /* Another worker, in another executor on another handle, goes on where the first one left. */
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    OK(stent_backend_close(backend, ERROR));
    stent_backend_free(backend);
    backend = open_backend("workflow.db");
    executor = host(backend);
    worker = start_worker(executor, "{\"max_concurrency\": 1}");
    OK(stent_executor_signal(executor, id, "approve", "\"Ada\"", "{\"id\": \"once\"}", ERROR));
    OK(stent_executor_signal(executor, id, "approve", "\"Ada\"", "{\"id\": \"once\"}", ERROR));
    OK(stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "\"Ada\"") == 0);
    stent_free(text);
    CHECK(atomic_load(&charged) == 1 && atomic_load(&stepped) == 1 && atomic_load(&runs) > 2);

    OK(stent_executor_state(executor, id, &text, ERROR));
    CHECK(has(text, "\"orders\":1") && has(text, "\"approved_by\":\"Ada\"") && has(text, "\"validated\""));
    stent_free(text);
    stent_free(id);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
