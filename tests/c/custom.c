/* A backend of the host's own: what becomes of answers that are wrong, late, doubled or missing; and one that is right. */
#include "check.h"

static atomic_int freed, complaints;
static char complained[4096];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static stent_reply *_Atomic kept;
static stent_backend *inner;
enum { CALLERS = 4 };
static pthread_barrier_t meeting;

static void log_line(void *user_data, int32_t level, const char *json) {
    (void)user_data;
    (void)level;
    if (!has(json, "stent.backend")) return;
    pthread_mutex_lock(&log_lock);
    snprintf(complained, sizeof complained, "%s", json);
    pthread_mutex_unlock(&log_lock);
    atomic_fetch_add(&complaints, 1);
}

static int log_says(const char *text) {
    pthread_mutex_lock(&log_lock);
    int found = has(complained, text);
    pthread_mutex_unlock(&log_lock);
    return found;
}

static void *answer_later(void *reply) {
    nap();
    stent_reply_ok(reply, "7");
    return NULL;
}

/* What it does is in the key that it is asked for. */
static void misbehave(void *user_data, const char *operation, const char *request, stent_reply *reply) {
    (void)user_data;
    if (strcmp(operation, "count_tasks") == 0) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, answer_later, reply) == 0);
        CHECK(pthread_detach(thread) == 0);
    } else if (strcmp(operation, "get_task") == 0) {
        stent_reply_ok(reply,
                       "{\"id\": \"018bcfe5-6800-7101-8101-010101010109\", \"execution_id\": "
                       "\"018bcfe5-6800-7101-8101-010101010101\", \"step_name\": \"f\", \"kind\": \"activity\", \"state\": "
                       "\"pending\", \"created_at\": \"2026-01-01T00:00:00Z\"}");
    } else if (has(request, "twice")) {
        stent_reply_ok(reply, "1");
        stent_reply_ok(reply, "2");
        stent_reply_error(reply, STENT_E_CONFLICT, "and again", NULL);
    } else if (has(request, "never")) {
        atomic_store(&kept, reply);
    } else if (has(request, "no json")) {
        stent_reply_ok(reply, "{oops");
    } else if (has(request, "not utf-8")) {
        stent_reply_ok(reply, "\"\xff\"");
    } else if (has(request, "null")) {
        stent_reply_ok(reply, NULL);
    } else if (has(request, "conflict")) {
        stent_reply_error(reply, STENT_E_CONFLICT, "it is there", "{\"retryable\": true, \"where\": 7}");
    } else if (has(request, "trouble")) {
        stent_reply_error(reply, STENT_E_BACKEND, NULL, NULL);
    } else if (has(request, "no status")) {
        stent_reply_error(reply, 17, "what is this", NULL);
    } else if (has(request, "not a store's")) {
        stent_reply_error(reply, (stent_status)atoi(strstr(request, "store's ") + 8), "says the store", NULL);
    } else if (has(request, "bad details")) {
        stent_reply_error(reply, STENT_E_BACKEND, "m", "[1]");
    } else if (has(request, "inside")) {
        char *answer = NULL;
        OK(stent_backend_call(inner, "count_executions", NULL, &answer, ERROR));
        EXPECT(STENT_E_WRONG_THREAD, stent_shutdown(0, ERROR));
        forget_error();
        stent_reply_ok(reply, answer);
        stent_free(answer);
    } else {
        stent_reply_ok(reply, "null");
    }
}

static stent_backend *custom(stent_backend_call_fn call, const char *operations, const char *options) {
    stent_backend_vtable vtable = {sizeof vtable, call, operations, options};
    stent_backend *backend = NULL;
    OK(stent_backend_custom(&vtable, &freed, count_free, &backend, ERROR));
    CHECK(backend != NULL);
    return backend;
}

static stent_status get(stent_backend *backend, const char *key, char **answer, stent_error **error) {
    char request[128];
    snprintf(request, sizeof request, "{\"key\": \"%s\"}", key);
    return stent_backend_call(backend, "get_cached_result", request, answer, error);
}

static void wrong_tables(void) {
    stent_backend *backend = NULL;
    stent_backend_vtable good = {sizeof good, misbehave, NULL, NULL}, small = good, huge = good, empty = good, unknown = good, half = good,
                         options = good;
    int before = atomic_load(&freed);
    small.struct_size = sizeof(size_t);
    huge.struct_size = SIZE_MAX;
    empty.call = NULL;
    unknown.operations = "[\"get_tsak\"]";
    half.operations = "[\"get_task\", \"advance\"]";
    options.options = "{\"timeuot\": 1}";
    EXPECT(STENT_E_INVALID, stent_backend_custom(NULL, &freed, count_free, &backend, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_custom(&good, &freed, count_free, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_custom(&small, &freed, count_free, &backend, ERROR));
    SAYS("sizeof(stent_backend_vtable)");
    EXPECT(STENT_E_INVALID, stent_backend_custom(&huge, &freed, count_free, &backend, ERROR));
    SAYS("sizeof(stent_backend_vtable)");
    EXPECT(STENT_E_INVALID, stent_backend_custom(&empty, &freed, count_free, &backend, ERROR));
    SAYS("vtable.call");
    EXPECT(STENT_E_INVALID, stent_backend_custom(&unknown, &freed, count_free, &backend, ERROR));
    SAYS("get_tsak");
    EXPECT(STENT_E_INVALID, stent_backend_custom(&half, &freed, count_free, &backend, ERROR));
    SAYS("journals");
    EXPECT(STENT_E_INVALID, stent_backend_custom(&options, &freed, count_free, &backend, ERROR));
    SAYS("timeout");
    CHECK(backend == NULL && atomic_load(&freed) == before + 8);
}

static void wrong_answers(void) {
    stent_backend *backend = custom(misbehave, NULL, NULL), *hasty = custom(misbehave, NULL, "{\"timeout\": \"300ms\"}");
    char *answer = NULL;
    /* Twice, and once more: the first counts. */
    OK(get(backend, "twice", &answer, ERROR));
    CHECK(strcmp(answer, "1") == 0);
    stent_free(answer);
    WAIT_FOR(atomic_load(&complaints) >= 2 && log_says("answered already"));
    /* On another thread, after the function has returned. */
    OK(stent_backend_call(backend, "count_tasks", NULL, &answer, ERROR));
    CHECK(strcmp(answer, "7") == 0);
    stent_free(answer);
    /* Never; then too late. */
    EXPECT(STENT_E_TIMEOUT, get(hasty, "never", NULL, ERROR));
    SAYS("has not answered within 0.3 s");
    WAIT_FOR(log_says("has not answered"));
    stent_reply_ok(atomic_load(&kept), "1");
    WAIT_FOR(log_says("after the time was up"));
    stent_reply_ok(atomic_load(&kept), "1");
    WAIT_FOR(log_says("answered already"));
    stent_reply_ok(NULL, "1");
    stent_reply_error((stent_reply *)&freed, STENT_E_BACKEND, NULL, NULL);
    /* No JSON, not of the shape, not about what was asked. */
    EXPECT(STENT_E_BACKEND, get(backend, "no json", NULL, ERROR));
    SAYS("breaks the contract");
    SAYS("{oops");
    WAIT_FOR(log_says("breaks the contract"));
    EXPECT(STENT_E_BACKEND, get(backend, "not utf-8", NULL, ERROR));
    SAYS("UTF-8");
    WAIT_FOR(log_says("UTF-8"));
    EXPECT(STENT_E_BACKEND, stent_backend_call(backend, "count_executions", NULL, NULL, ERROR));
    SAYS("breaks the contract");
    EXPECT(STENT_E_BACKEND,
           stent_backend_call(backend, "get_task", "{\"task_id\": \"018bcfe5-6800-7101-8101-010101010101\"}", NULL, ERROR));
    SAYS("asked was for 018bcfe5-6800-7101-8101-010101010101");
    WAIT_FOR(log_says("asked was for"));
    /* Its own failures. */
    OK(get(backend, "null", &answer, ERROR));
    CHECK(strcmp(answer, "null") == 0);
    stent_free(answer);
    EXPECT(STENT_E_CONFLICT, get(backend, "conflict", NULL, ERROR));
    SAYS("it is there");
    SAYS("\"retryable\":true");
    EXPECT(STENT_E_BACKEND, get(backend, "trouble", NULL, ERROR));
    SAYS("\"retryable\":true");
    EXPECT(STENT_E_BACKEND, get(backend, "no status", NULL, ERROR));
    SAYS("the status 17");
    WAIT_FOR(log_says("the status 17"));
    /* The library's own words are not the store's. */
    static const stent_status librarys[] = {STENT_E_PANIC, STENT_E_FORKED, STENT_E_WRONG_THREAD, STENT_E_NONDETERMINISM,
                                            STENT_E_FAILED};
    for (size_t i = 0; i < sizeof librarys / sizeof *librarys; i++) {
        char key[64];
        snprintf(key, sizeof key, "not a store's %d", librarys[i]);
        EXPECT(STENT_E_BACKEND, get(backend, key, NULL, ERROR));
        SAYS(stent_status_name(librarys[i]));
        SAYS("the library's to say");
        SAYS("says the store");
    }
    WAIT_FOR(log_says("the library's to say"));
    EXPECT(STENT_E_BACKEND, get(backend, "bad details", NULL, ERROR));
    SAYS("stent_reply_error");
    WAIT_FOR(log_says("stent_reply_error"));
    /* Any function may be called inside. */
    OK(get(backend, "inside", &answer, ERROR));
    CHECK(strcmp(answer, "0") == 0);
    stent_free(answer);
    stent_backend_free(backend);
    stent_backend_free(hasty);
}

/* Answers when as many calls are in it as there are callers. */
static void meet(void *user_data, const char *operation, const char *request, stent_reply *reply) {
    (void)user_data;
    (void)operation;
    (void)request;
    pthread_barrier_wait(&meeting);
    stent_reply_ok(reply, "1");
}

static void *ask_once(void *backend) {
    char *answer = NULL;
    OK(stent_backend_call(backend, "count_tasks", NULL, &answer, ERROR));
    CHECK(strcmp(answer, "1") == 0);
    stent_free(answer);
    forget_error();
    return NULL;
}

static void at_once(void) {
    pthread_t callers[CALLERS];
    int before = atomic_load(&freed);
    stent_backend *backend = custom(meet, NULL, NULL);
    CHECK(pthread_barrier_init(&meeting, NULL, CALLERS) == 0);
    for (int each = 0; each < CALLERS; each++) CHECK(pthread_create(&callers[each], NULL, ask_once, backend) == 0);
    for (int each = 0; each < CALLERS; each++) CHECK(pthread_join(callers[each], NULL) == 0);
    stent_backend_free(backend);
    WAIT_FOR(atomic_load(&freed) == before + 1);
    CHECK(pthread_barrier_destroy(&meeting) == 0);
}

static void *ask_never(void *backend) {
    EXPECT(STENT_E_CLOSED, get(backend, "never", NULL, ERROR));
    forget_error();
    return NULL;
}

static void closed(void) {
    stent_backend *backend = custom(misbehave, "[\"get_cached_result\"]", NULL);
    pthread_t waiting;
    /* Eight that failed, and the two before. */
    WAIT_FOR(atomic_load(&freed) == 10);
    int before = 10;
    EXPECT(STENT_E_UNSUPPORTED, stent_backend_call(backend, "count_tasks", NULL, NULL, ERROR));
    SAYS("count_tasks");
    atomic_store(&kept, NULL);
    CHECK(pthread_create(&waiting, NULL, ask_never, backend) == 0);
    WAIT_FOR(atomic_load(&kept) != NULL);
    OK(stent_backend_close(backend, ERROR));
    CHECK(pthread_join(waiting, NULL) == 0);
    stent_reply_ok(atomic_load(&kept), "1");
    WAIT_FOR(log_says("after the close"));
    EXPECT(STENT_E_CLOSED, get(backend, "x", NULL, ERROR));
    CHECK(atomic_load(&freed) == before);
    stent_backend_free(backend);
    WAIT_FOR(atomic_load(&freed) == before + 1);
    /* Freed with a call that is never answered. */
    backend = custom(misbehave, NULL, "{\"timeout\": \"100ms\"}");
    EXPECT(STENT_E_TIMEOUT, get(backend, "never", NULL, ERROR));
    stent_backend_free(backend);
    WAIT_FOR(atomic_load(&freed) == before + 2);
    stent_reply_ok(atomic_load(&kept), "1");
    WAIT_FOR(log_says("backend is gone"));
}

/* Hands everything on to another store. */
static void hand_on(void *user_data, const char *operation, const char *request, stent_reply *reply) {
    (void)user_data;
    char *answer = NULL;
    stent_error *error = NULL;
    stent_status status = stent_backend_call(inner, operation, request, &answer, &error);
    if (status == STENT_OK) {
        stent_reply_ok(reply, answer);
    } else {
        stent_reply_error(reply, status, stent_error_message(error), NULL);
    }
    stent_free(answer);
    stent_error_free(error);
}

static stent_status parent(void *user_data, stent_task *task) {
    (void)user_data;
    char *result = NULL;
    stent_status status = stent_task_call(task, "child", "[1]", NULL, &result, NULL);
    if (status == STENT_OK) status = stent_task_sleep(task, "10ms", NULL);
    if (status == STENT_OK) status = stent_task_wait_signal(task, "go", NULL, NULL, NULL);
    if (status == STENT_OK) status = stent_task_complete(task, result, NULL);
    stent_free(result);
    return status;
}

static stent_status child(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static void a_workflow(const char *operations) {
    int before = atomic_load(&freed);
    inner = open_backend(":memory:");
    stent_backend *backend = custom(hand_on, operations, NULL);
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "parent", NULL, parent, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "child", NULL, child, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "parent", "[]"), *result = NULL;
    OK(stent_executor_signal(executor, id, "go", "true", NULL, ERROR));
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "[1]") == 0);
    stent_free(result);
    stent_free(id);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    OK(stent_backend_check(backend, "{\"only\": [\"claiming/\", \"fences/an_old\"], \"timeout\": \"5m\"}", &result, ERROR));
    CHECK(has(result, "\"failed\":0") && has(result, operations ? "\"level\":\"engine\"" : "\"level\":\"protocol\""));
    CHECK(has(result, operations ? "\"not_offered\":0" : "\"not_offered\":2"));
    stent_free(result);
    EXPECT(STENT_E_INVALID, stent_backend_check(backend, "{\"only\": [\"nothing\"]}", &result, ERROR));
    SAYS("nothing");
    EXPECT(STENT_E_INVALID, stent_backend_check(NULL, NULL, &result, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_check(backend, NULL, NULL, ERROR));
    stent_backend_free(backend);
    WAIT_FOR(atomic_load(&freed) == before + 1);
    OK(stent_backend_close(inner, ERROR));
    stent_backend_free(inner);
}

static const char all[] =
    "[\"init_db\", \"close\", \"create_execution\", \"create_execution_with_root_task\", \"get_execution\", "
    "\"update_execution\", \"list_executions\", \"count_executions\", \"create_task\", \"create_tasks\", \"get_task\", "
    "\"list_tasks\", \"list_tasks_for_execution\", \"update_task\", \"count_tasks\", \"claim_next_task\", "
    "\"renew_task_lease\", \"append_progress\", \"dispatch\", \"register_worker\", \"remove_worker\", \"advance\", "
    "\"journals\", \"cached\", \"renew\", \"sweep\", \"cancel\", \"signal\", \"ended_among\", \"cancelled_among\", "
    "\"snapshot\", \"list\", \"dead_letters\", \"replay_dead_letter\", \"resume\", \"stats\"]";

int main(int count, char **arguments) {
    begin(count, arguments);
    OK(stent_set_log_handler(NULL, log_line, NULL, NULL, ERROR));
    inner = open_backend(":memory:");
    wrong_tables();
    wrong_answers();
    closed();
    at_once();
    OK(stent_backend_close(inner, ERROR));
    stent_backend_free(inner);
    a_workflow(NULL);
    a_workflow(all);
    return done();
}
