/* Who lives how long: handles freed in any order, and user_data given back exactly once, on every path. */
#include "check.h"

static atomic_int freed;

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

/* Every order in which three handles can be freed, with a worker that ran, one that was stopped, and one that was not. */
static void any_order(int order, int stop) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    char name[32];
    snprintf(name, sizeof name, "order-%d-%d.db", order, stop);
    int before = atomic_load(&freed);
    stent_backend *backend = open_backend(name);
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "echo", NULL, echo, &freed, count_free, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "echo", "[1]"), *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "[1]") == 0);
    stent_free(result);
    if (stop) OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    CHECK(atomic_load(&freed) == before);
    for (int step = 0; step < 3; step++) {
        switch (orders[order][step]) {
            case 0: stent_backend_free(backend); break;
            case 1: stent_executor_free(executor); break;
            default: stent_worker_free(worker); break;
        }
        /* A child keeps its parent alive. */
        if (orders[order][0] == 0 && step == 0) {
            OK(stent_executor_state(executor, id, &result, ERROR));
            stent_free(result);
        }
    }
    WAIT_FOR(atomic_load(&freed) == before + 1);
    stent_free(id);
}

/* Descriptors of the process that lead to files of this test's folder with such a name. */
static int open_files(const char *name) {
    int found = 0;
    char link[64], path[512];
    for (int fd = 0; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        if (length < 0) continue;
        path[length] = '\0';
        if (strncmp(path, folder, strlen(folder)) == 0 && strstr(path, name)) found++;
    }
    return found;
}

/* The context is the library's from the moment of the call. */
static void given_back_when_the_call_fails(void) {
    stent_backend *backend = open_backend(":memory:");
    stent_executor *executor = new_executor(backend);
    int before = atomic_load(&freed);
    OK(stent_executor_register(executor, "f", NULL, echo, &freed, count_free, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_executor_register(executor, "f", NULL, echo, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == before + 1);
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, "", NULL, echo, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == before + 2);
    OK(stent_backend_close(backend, ERROR));
    EXPECT(STENT_E_CLOSED, stent_executor_register(executor, "g", NULL, echo, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == before + 3);
    stent_executor_free(executor);
    WAIT_FOR(atomic_load(&freed) == before + 4);
    EXPECT(STENT_E_INVALID, stent_executor_register(executor, "h", NULL, echo, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == before + 5);
    stent_backend_free(backend);
    /* No free_fn, nothing to call. */
    backend = open_backend(":memory:");
    executor = new_executor(backend);
    OK(stent_executor_register(executor, "f", NULL, echo, NULL, NULL, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_executor_register(executor, "f", NULL, echo, &freed, NULL, ERROR));
    stent_executor_free(executor);
    stent_backend_free(backend);
}

/* A free_fn may use the library. */
static atomic_int nested;

static void free_and_call(void *user_data) {
    stent_backend *backend = user_data;
    char *answer = NULL;
    CHECK(stent_backend_call(backend, "count_executions", NULL, &answer, NULL) == STENT_OK);
    stent_free(answer);
    CHECK(stent_shutdown(0, NULL) == STENT_E_WRONG_THREAD);
    stent_backend_free(backend);
    atomic_store(&nested, 1);
}

static void free_fn_calls_back(void) {
    stent_backend *backend = open_backend(":memory:");
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "f", NULL, echo, open_backend(":memory:"), free_and_call, ERROR));
    stent_executor_free(executor);
    stent_backend_free(backend);
    WAIT_FOR(atomic_load(&nested));
}

/* One thread frees what another is using. */
static void *wait_for_ever(void *user_data) {
    stent_executor *executor = user_data;
    char *found = NULL;
    stent_status status = stent_executor_wait(executor, "00000000-0000-7000-8000-000000000000", PATIENCE_MS, &found, NULL);
    CHECK(status == STENT_E_NOT_FOUND || status == STENT_E_INVALID);
    return NULL;
}

static void freed_while_in_use(void) {
    stent_backend *backend = open_backend("in-use.db");
    for (int round = 0; round < 20; round++) {
        pthread_t threads[4];
        stent_executor *executor = new_executor(backend);
        for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, wait_for_ever, executor) == 0);
        stent_executor_free(executor);
        for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    }
    stent_backend_free(backend);
}

/* A wait ends when its store is closed under it. */
static void *wait_until_closed(void *user_data) {
    stent_executor *executor = user_data;
    char *id = dispatch(executor, "nobody has it", NULL);
    EXPECT(STENT_E_CLOSED, stent_executor_wait(executor, id, -1, NULL, ERROR));
    forget_error();
    stent_free(id);
    return NULL;
}

static void closed_while_waiting(void) {
    stent_backend *backend = open_backend("closed.db");
    stent_executor *executor = new_executor(backend);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_until_closed, executor) == 0);
    char *answer = NULL;
    do {
        stent_free(answer);
        OK(stent_backend_call(backend, "count_executions", NULL, &answer, ERROR));
    } while (strcmp(answer, "1") != 0);
    stent_free(answer);
    OK(stent_backend_close(backend, ERROR));
    CHECK(pthread_join(thread, NULL) == 0);
    stent_executor_free(executor);
    stent_backend_free(backend);
}

/* Another SQLite in this process may have locks on a file, which a close would drop: so descriptors stay for the next
 * opening, no more than were open at once, and go with the file. Whoever only frees has closed too. */
static void kept_for_the_next_opening(void) {
    int most = 0;
    for (int round = 0; round < 3; round++) {
        stent_backend *backend = open_backend("again.db");
        char *answer = NULL;
        OK(stent_backend_call(backend, "count_executions", NULL, &answer, ERROR));
        stent_free(answer);
        int open = open_files("again.db");
        CHECK(open > 0 && (round == 0 || open <= most));
        most = open;
        OK(stent_backend_close(backend, ERROR));
        stent_backend_free(backend);
        CHECK(open_files("again.db") <= most);
    }
    char command[600];
    snprintf(command, sizeof command, "rm -f '%s'/*.db*", folder);
    CHECK(system(command) == 0);
    do {
        stent_backend *backend = open_backend("last.db");
        OK(stent_backend_close(backend, ERROR));
        stent_backend_free(backend);
        nap();
    } while (open_files(".db") > open_files("last.db"));
}

int main(int count, char **arguments) {
    begin(count, arguments);
    for (int order = 0; order < 6; order++) {
        any_order(order, 1);
        any_order(order, 0);
    }
    given_back_when_the_call_fails();
    free_fn_calls_back();
    freed_while_in_use();
    closed_while_waiting();
    kept_for_the_next_opening();
    return done();
}
