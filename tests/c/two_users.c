/* Two users of the library in one process: each has its own log, and a shutdown of what it made; and the shutdown of all
 * waits for log handlers that were replaced. */
#include "check.h"

typedef struct {
    const char *name;
    atomic_int lines, foreign, freed, log_freed;
} user;

static user one = {.name = "one"}, two = {.name = "two"}, everybody = {.name = "everybody"};
static atomic_int held, gate, refused;

/* A line of a task says whose it is. */
static void on_log(void *user_data, int32_t level, const char *json) {
    user *owner = user_data;
    (void)level;
    if (!has(json, "I am ")) return;
    char mine[32];
    snprintf(mine, sizeof mine, "I am %s", owner->name);
    atomic_fetch_add(has(json, mine) ? &owner->lines : &owner->foreign, 1);
}

static void free_log(void *user_data) { atomic_fetch_add(&((user *)user_data)->log_freed, 1); }

static void free_user(void *user_data) { atomic_fetch_add(&((user *)user_data)->freed, 1); }

static stent_status speaker(void *user_data, stent_task *task) {
    char line[32];
    snprintf(line, sizeof line, "I am %s", ((user *)user_data)->name);
    OK(stent_task_log(task, STENT_LOG_WARN, line, ERROR));
    return stent_task_complete(task, NULL, NULL);
}

static stent_status holder(void *user_data, stent_task *task) {
    stent_backend *backend = user_data;
    if (stent_backend_shutdown(backend, 0, NULL) == STENT_E_WRONG_THREAD) atomic_store(&refused, 1);
    atomic_store(&held, 1);
    while (!atomic_load(&gate)) nap();
    return stent_task_complete(task, NULL, NULL);
}

static void speak(stent_executor *executor) {
    char *id = dispatch(executor, "speaker", NULL);
    OK(stent_executor_wait(executor, id, PATIENCE_MS, NULL, ERROR));
    stent_free(id);
}

static stent_executor *executor_of(stent_backend *backend, user *owner) {
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "speaker", NULL, speaker, owner, free_user, ERROR));
    OK(stent_executor_register(executor, "holder", NULL, holder, backend, NULL, ERROR));
    return executor;
}

static void each_has_its_log_and_its_end(void) {
    OK(stent_set_log_handler(NULL, on_log, &everybody, free_log, ERROR));
    stent_backend *first = open_backend("first.db"), *second = open_backend("second.db"), *third = open_backend("third.db");
    stent_executor *ones = executor_of(first, &one), *twos = executor_of(second, &two);
    stent_executor *without = executor_of(third, &everybody);
    OK(stent_executor_set_log_handler(ones, "{\"level\": \"warn\"}", on_log, &one, free_log, ERROR));
    OK(stent_executor_set_log_handler(twos, NULL, on_log, &two, free_log, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_set_log_handler(NULL, NULL, on_log, &one, free_log, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_set_log_handler(ones, "{\"level\": \"loud\"}", on_log, &one, free_log, ERROR));
    CHECK(atomic_load(&one.log_freed) == 2);
    stent_worker *workers[3] = {start_worker(ones, NULL), start_worker(twos, NULL), start_worker(without, NULL)};
    speak(ones), speak(twos), speak(without);
    WAIT_FOR(atomic_load(&one.lines) == 1 && atomic_load(&two.lines) == 1 && atomic_load(&everybody.lines) == 1);

    /* The end of one, while a handler of the other runs. */
    char *id = dispatch(twos, "holder", NULL);
    WAIT_FOR(atomic_load(&held));
    CHECK(atomic_load(&refused));
    EXPECT(STENT_E_CONFLICT, stent_backend_close(first, ERROR));
    SAYS("has not stopped; stop it before");
    stent_executor_free(ones);
    stent_worker_free(workers[0]);
    OK(stent_backend_shutdown(first, PATIENCE_MS, ERROR));
    CHECK(atomic_load(&one.freed) == 1 && atomic_load(&one.log_freed) == 3);
    char *answer = NULL;
    EXPECT(STENT_E_CLOSED, stent_backend_call(first, "count_executions", NULL, &answer, ERROR));
    OK(stent_backend_shutdown(first, 0, ERROR)); /* again: nothing */
    stent_backend_free(first);

    /* The others have noticed nothing. */
    speak(twos), speak(without);
    WAIT_FOR(atomic_load(&two.lines) == 2 && atomic_load(&everybody.lines) == 2);
    CHECK(atomic_load(&two.freed) == 0 && atomic_load(&two.log_freed) == 0 && atomic_load(&everybody.log_freed) == 0);
    EXPECT(STENT_E_TIMEOUT, stent_backend_shutdown(second, 20, ERROR));
    atomic_store(&gate, 1);
    stent_free(id);
    stent_executor_free(twos);
    stent_worker_free(workers[1]);
    OK(stent_backend_shutdown(second, PATIENCE_MS, ERROR));
    stent_backend_free(second);

    /* Without a handler of its own any more, an executor speaks to the process's. */
    OK(stent_executor_set_log_handler(without, NULL, on_log, &one, free_log, ERROR));
    OK(stent_executor_set_log_handler(without, NULL, NULL, NULL, NULL, ERROR));
    WAIT_FOR(atomic_load(&one.log_freed) == 4);
    speak(without);
    WAIT_FOR(atomic_load(&everybody.lines) == 3);
    CHECK(atomic_load(&one.foreign) == 0 && atomic_load(&two.foreign) == 0 && atomic_load(&everybody.foreign) == 0);

    /* Two that have not stopped are told in one sentence. */
    stent_worker *another = start_worker(without, NULL);
    EXPECT(STENT_E_CONFLICT, stent_backend_close(third, ERROR));
    SAYS("2 of its workers have not stopped, the first is");
    stent_worker_free(another);
    stent_worker_free(workers[2]);
    stent_executor_free(without);
    stent_backend_free(third);
}

/* A poller takes the lines of one executor, too. */
static void a_poller_has_the_log_of_one_executor(void) {
    stent_backend *backend = open_backend("polled.db");
    stent_executor *executor = executor_of(backend, &one);
    stent_poller *poller = NULL;
    OK(stent_poller_new(&poller, ERROR));
    OK(stent_poller_log_executor(poller, executor, "{\"level\": \"warn\"}", ERROR));
    EXPECT(STENT_E_INVALID, stent_poller_log_executor(poller, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    speak(executor);
    stent_event *event = NULL;
    OK(stent_poller_next(poller, PATIENCE_MS, &event, ERROR));
    CHECK(strcmp(stent_event_type(event), "log") == 0 && has(stent_event_json(event), "I am one"));
    stent_event_free(event);
    stent_poller_free(poller);
    stent_worker_free(worker);
    stent_executor_free(executor);
    OK(stent_backend_shutdown(backend, PATIENCE_MS, ERROR));
    stent_backend_free(backend);
}

/* A log handler that is slow, and has been replaced. */
static atomic_int slow_calls, slow_gate, slow_freed;

static void slow(void *user_data, int32_t level, const char *json) {
    (void)user_data, (void)level, (void)json;
    atomic_fetch_add(&slow_calls, 1);
    while (!atomic_load(&slow_gate)) nap();
}

static void the_end_of_all_waits_for_handlers_that_were_replaced(int by_another) {
    atomic_store(&slow_calls, 0), atomic_store(&slow_gate, 0), atomic_store(&slow_freed, 0);
    OK(stent_set_log_handler("{\"level\": \"debug\"}", slow, &slow_freed, count_free, ERROR));
    stent_backend *backend = open_backend(":memory:");
    stent_executor *executor = executor_of(backend, &one);
    stent_worker *worker = start_worker(executor, NULL);
    for (int i = 0; i < 20; i++) speak(executor);
    WAIT_FOR(atomic_load(&slow_calls) == 1);
    OK(stent_set_log_handler(NULL, by_another ? on_log : NULL, &everybody, by_another ? free_log : NULL, ERROR));
    EXPECT(STENT_E_TIMEOUT, stent_shutdown(50, ERROR));
    CHECK(atomic_load(&slow_freed) == 0);
    atomic_store(&slow_gate, 1);
    OK(stent_shutdown(PATIENCE_MS, ERROR));
    CHECK(atomic_load(&slow_freed) == 1 && atomic_load(&slow_calls) >= 20);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    each_has_its_log_and_its_end();
    a_poller_has_the_log_of_one_executor();
    the_end_of_all_waits_for_handlers_that_were_replaced(1);
    the_end_of_all_waits_for_handlers_that_were_replaced(0);
    return done();
}
