/* The callback returns STENT_PENDING and another thread ends the task, whenever it likes. */
#include "check.h"

#define TASKS 20

static stent_task *kept[TASKS];
static atomic_int count_kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static stent_status defers(void *user_data, stent_task *task) {
    (void)user_data;
    CHECK(stent_task_ref(task) == task);
    CHECK(pthread_mutex_lock(&lock) == 0);
    kept[atomic_load(&count_kept)] = task;
    atomic_fetch_add(&count_kept, 1);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return STENT_PENDING;
}

/* Keeps nothing: nobody can ever end the task. */
static stent_status forgets(void *user_data, stent_task *task) { return (void)user_data, (void)task, STENT_PENDING; }

/* Ends the task itself and still says PENDING. */
static stent_status hasty(void *user_data, stent_task *task) {
    (void)user_data;
    OK(stent_task_complete(task, "\"hasty\"", ERROR));
    return STENT_PENDING;
}

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static void *completes(void *user_data) {
    (void)user_data;
    for (int i = 0; i < TASKS; i++) {
        stent_task *task = kept[i];
        CHECK(has(stent_task_info(task), "\"function\":\"defers\""));
        OK(stent_task_progress(task, "\"from another thread\"", ERROR));
        OK(stent_task_complete(task, stent_task_args(task), ERROR));
        stent_task_free(task);
    }
    forget_error();
    return NULL;
}

static void from_another_thread(stent_executor *executor) {
    char *ids[TASKS], arguments[32];
    for (int i = 0; i < TASKS; i++) {
        snprintf(arguments, sizeof arguments, "[%d]", i);
        ids[i] = dispatch(executor, "defers", arguments);
    }
    WAIT_FOR(atomic_load(&count_kept) == TASKS);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, completes, NULL) == 0);
    for (int i = 0; i < TASKS; i++) {
        char *result = NULL;
        snprintf(arguments, sizeof arguments, "[%d]", i);
        OK(stent_executor_result(executor, ids[i], PATIENCE_MS, &result, ERROR));
        CHECK(strcmp(result, arguments) == 0);
        stent_free(result);
        stent_free(ids[i]);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    atomic_store(&count_kept, 0);
}

/* The only task that is deferred now. */
static stent_task *the_one(void) {
    WAIT_FOR(atomic_load(&count_kept) == 1);
    stent_task *task = kept[0];
    atomic_store(&count_kept, 0);
    return task;
}

/* A deferred task takes part in everything: here it suspends, and is resumed, on a thread of the host. */
static void suspends(stent_executor *executor) {
    char *id = dispatch(executor, "defers", NULL), *result = NULL;
    stent_task *task = the_one();
    EXPECT(STENT_SUSPEND, stent_task_call(task, "echo", "[7]", NULL, &result, ERROR));
    OK(stent_task_suspend(task, ERROR));
    stent_task_free(task);

    task = the_one();
    OK(stent_task_call(task, "echo", "[7]", NULL, &result, ERROR));
    CHECK(strcmp(result, "[7]") == 0);
    OK(stent_task_complete(task, result, ERROR));
    stent_status again = stent_task_complete(task, result, NULL);
    CHECK(again == STENT_E_CLOSED || again == STENT_E_CONFLICT); /* the handler may not have returned yet */
    stent_free(result);
    stent_task_free(task);
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "[7]") == 0);
    stent_free(result);
    stent_free(id);
}

/* A reference that outlives its task does no harm. */
static void late(stent_executor *executor) {
    char *id = dispatch(executor, "defers", NULL);
    stent_task *task = the_one();
    CHECK(stent_task_ref(task) == task);
    OK(stent_task_fail(task, "{\"type\": \"Late\", \"retryable\": false}", ERROR));
    stent_task_free(task);
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    SAYS("\"type\":\"Late\"");
    EXPECT(STENT_E_CLOSED, stent_task_progress(task, NULL, ERROR));
    CHECK(has(stent_task_info(task), "defers"));
    stent_task_free(task);
    EXPECT(STENT_E_INVALID, stent_task_progress(task, NULL, ERROR));
    stent_task_free(task);
    stent_free(id);
}

/* What is lost is not waited for. */
static void abandoned(stent_executor *executor) {
    char *id = dispatch(executor, "defers", NULL);
    stent_task_free(the_one());
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    SAYS("\"type\":\"NoOutcome\"");
    stent_free(id);
    id = dispatch(executor, "forgets", NULL);
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    SAYS("\"type\":\"NoOutcome\"");
    stent_free(id);
    id = dispatch(executor, "hasty", NULL);
    char *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "\"hasty\"") == 0);
    stent_free(result);
    stent_free(id);
}

/* A worker that stops does not wait for a deferred task for longer than it was told. */
static void stopped_meanwhile(stent_executor *executor, stent_worker *worker) {
    char *id = dispatch(executor, "defers", NULL);
    stent_task *task = the_one();
    EXPECT(STENT_E_TIMEOUT, stent_worker_stop(worker, 10, ERROR));
    CHECK(stent_task_is_cancelled(task) == 1);
    EXPECT(STENT_E_LEASE_LOST, stent_task_complete(task, NULL, ERROR));
    stent_task_free(task);
    CHECK(!is_in_state(executor, id, "completed"));
    stent_free(id);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("deferred.db");
    stent_executor *executor = new_executor(backend);
    const char *once = "{\"retry_policy\": {\"max_attempts\": 1}}";
    OK(stent_executor_register(executor, "defers", once, defers, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "forgets", once, forgets, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "hasty", once, hasty, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "echo", NULL, echo, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, "{\"max_concurrency\": 32}");
    from_another_thread(executor);
    suspends(executor);
    late(executor);
    abandoned(executor);
    stopped_meanwhile(executor, worker);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
