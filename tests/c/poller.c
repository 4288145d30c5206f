/* A poller as an event loop sees it: its descriptor, its events, and what becomes of those that nobody takes. */
#include "coroutines.h"

#include <sys/epoll.h>

#define MANY 500

static struct host *host;

static void echo(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    complete(self, stent_task_args(self->task));
}

static void fails(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    OK(stent_task_fail(self->task, "{\"type\": \"Broken\", \"message\": \"as asked\", \"retryable\": false}", ERROR));
}

/* Calls that would block the loop are refused, and what is not there is not waited for. */
static void careless(struct coroutine *self, const struct turn *turn) {
    uint32_t op = 0;
    (void)turn;
    EXPECT(STENT_E_UNSUPPORTED, stent_task_call(self->task, "echo", NULL, NULL, NULL, ERROR));
    EXPECT(STENT_E_UNSUPPORTED, stent_task_map(self->task, "echo", "[[]]", NULL, NULL, ERROR));
    EXPECT(STENT_E_UNSUPPORTED, stent_task_sleep(self->task, "1s", ERROR));
    EXPECT(STENT_E_UNSUPPORTED, stent_task_wait_signal(self->task, "x", NULL, NULL, ERROR));
    EXPECT(STENT_E_UNSUPPORTED, stent_task_await(self->task, NULL, 0, STENT_WAIT_ALL, 0, NULL, ERROR));
    SAYS("notified");
    EXPECT(STENT_E_INVALID, stent_task_suspend(self->task, ERROR));
    SAYS("waits for nothing");
    EXPECT(STENT_E_INVALID, stent_task_notify(self->task, 7, host->poller, 1, ERROR));
    OK(stent_task_spawn_call(self->task, "echo", NULL, NULL, &op, ERROR));
    EXPECT(STENT_PENDING, stent_task_result(self->task, op, NULL, ERROR));
    OK(stent_task_notify(self->task, op, host->poller, 1, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_task_notify(self->task, op, host->poller, 1, ERROR));
    EXPECT(STENT_E_INVALID, stent_task_complete(self->task, "{", ERROR));
    complete(self, "\"careful\"");
    EXPECT(STENT_E_CLOSED, stent_task_complete(self->task, "1", ERROR));
}

static struct function functions[] = {{"echo", NULL, echo, 0},
                                      {"fails", NULL, fails, 0},
                                      {"careless", NULL, careless, 0},
                                      {NULL, NULL, NULL, 0}};

/* Any event loop will do: this one is epoll, level-triggered, and takes one event at a time. */
static void activities_by_epoll(void) {
    char *ids = NULL, requests[MANY * 40] = "[";
    for (int i = 0; i < MANY; i++)
        sprintf(requests + strlen(requests), "%s{\"function\":\"echo\",\"args\":[%d]}", i ? "," : "", i);
    strcat(requests, "]");
    int before = host->ended, loop = epoll_create1(0);
    struct epoll_event watched = {.events = EPOLLIN}, ready;
    CHECK(loop >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, stent_poller_fd(host->poller), &watched) == 0);
    OK(stent_executor_dispatch_many(host->executor, requests, &ids, ERROR));
    stent_free(ids);
    while (host->ended < before + MANY) {
        CHECK(epoll_wait(loop, &ready, 1, PATIENCE_MS) == 1);
        stent_event *event = NULL;
        stent_status status = stent_poller_next(host->poller, 0, &event, ERROR);
        /* None: it was asked for a sign of life. */
        CHECK(status == STENT_OK || status == STENT_PENDING);
        if (event) handle(host, event);
    }
    CHECK(host->last_ended == STENT_OK && has(host->ended_json, "\"outcome\":\"completed\""));
    if (epoll_wait(loop, &ready, 1, 0) == 1) {
        stent_event *event = NULL;
        EXPECT(STENT_PENDING, stent_poller_next(host->poller, 0, &event, ERROR));
        CHECK(epoll_wait(loop, &ready, 1, 0) == 0);
    }
    CHECK(close(loop) == 0);
}

/* Some FFIs call on small stacks of their own making. */
static void *opens_checks_closes(void *url) {
    stent_backend *backend = NULL;
    char *report = NULL;
    CHECK(stent_backend_open(url, NULL, &backend, NULL) == STENT_OK);
    CHECK(stent_backend_check(backend, "{\"only\": [\"records/an_existing\"]}", &report, NULL) == STENT_OK);
    CHECK(has(report, "\"passed\":1,\"failed\":0"));
    stent_free(report);
    CHECK(stent_backend_close(backend, NULL) == STENT_OK);
    stent_backend_free(backend);
    return NULL;
}

static void small_stack(const char *url) {
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 128 * 1024) == 0);
    CHECK(pthread_create(&thread, &attributes, opens_checks_closes, (void *)url) == 0);
    CHECK(pthread_join(thread, NULL) == 0 && pthread_attr_destroy(&attributes) == 0);
}

static void *waits(void *poller) {
    stent_event *event = NULL;
    CHECK(stent_poller_next(poller, -1, &event, NULL) == STENT_PENDING && event == NULL);
    return NULL;
}

static void interruptions(void) {
    stent_poller *poller = NULL;
    stent_event *event = NULL;
    pthread_t thread;
    OK(stent_poller_new(&poller, ERROR));
    EXPECT(STENT_PENDING, stent_poller_next(poller, 0, &event, ERROR));
    EXPECT(STENT_PENDING, stent_poller_next(poller, 5, &event, ERROR));
    CHECK(pthread_create(&thread, NULL, waits, poller) == 0);
    stent_poller_interrupt(poller);
    CHECK(pthread_join(thread, NULL) == 0);
    stent_poller_free(poller);
    stent_poller_interrupt(poller);
    CHECK(stent_poller_fd(poller) == -1);
    EXPECT(STENT_E_INVALID, stent_poller_next(poller, 0, &event, ERROR));
    stent_poller_free(poller);
    stent_poller_free(NULL);
    stent_event_free(NULL);
    CHECK(stent_event_type(NULL) == NULL && stent_event_json(NULL) == NULL && stent_event_task(NULL) == NULL);
    CHECK(stent_event_tag(NULL) == 0 && stent_event_status(NULL) == STENT_E_INVALID);
}

/* A task whose event is freed without a look has failed; so has one that is freed on its turn. */
static void unfinished(void) {
    char *id = dispatch(host->executor, "fails", NULL);
    free(outcome(host, id, STENT_E_FAILED));
    CHECK(has(host->last_json, "\"type\":\"Broken\""));
    stent_free(id);
    const char *once = "{\"retry_policy\": {\"max_attempts\": 1}}";
    for (int way = 0; way < 2; way++) {
        stent_event *event = NULL;
        OK(stent_executor_dispatch(host->executor, "echo", NULL, once, &id, ERROR));
        for (;;) {
            OK(stent_poller_next(host->poller, PATIENCE_MS, &event, ERROR));
            if (strcmp(stent_event_type(event), "task") == 0) break;
            handle(host, event);
        }
        if (way == 0) stent_task_free(stent_event_task(event));
        stent_event_free(event);
        free(outcome(host, id, STENT_E_FAILED));
        CHECK(has(host->last_json, "\"type\":\"NoOutcome\""));
        stent_free(id);
    }
}

/* The poller goes while its worker has tasks: they go back, and another one runs them, at their first and only attempt. */
static void abandoned(stent_backend *backend) {
    stent_executor *executor = new_executor(backend);
    stent_poller *poller = NULL;
    stent_worker *worker = NULL;
    stent_event *event = NULL;
    OK(stent_poller_new(&poller, ERROR));
    const char *once = "{\"retry_policy\": {\"max_attempts\": 1}}";
    OK(stent_executor_register(executor, "first", once, NULL, NULL, NULL, ERROR));
    OK(stent_worker_start(executor, "{\"max_concurrency\": 2}", poller, &worker, ERROR));
    OK(stent_worker_wait(worker, "ready", PATIENCE_MS, ERROR));
    char *taken = dispatch(executor, "first", NULL), *waits_for_slot = dispatch(executor, "first", NULL);
    char *third = dispatch(executor, "first", NULL), *result = NULL;
    for (int slots_full = 0; !slots_full; nap()) {
        char *status = NULL;
        OK(stent_worker_status(worker, &status, ERROR));
        slots_full = has(status, "\"running\":2");
        stent_free(status);
    }
    do {
        stent_event_free(event);
        OK(stent_poller_next(poller, PATIENCE_MS, &event, ERROR));
    } while (strcmp(stent_event_type(event), "task") != 0);
    stent_task *task = stent_event_task(event);
    stent_event_free(event);
    char *mine = member(stent_task_info(task), "execution_id");
    stent_poller_free(poller);
    /* What was taken over is still the host's to end. */
    OK(stent_task_complete(task, "\"late\"", ERROR));
    OK(stent_executor_result(executor, mine, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "\"late\"") == 0);
    stent_free(result);
    stent_task_free(task);
    OK(stent_worker_wait(worker, "stopped", PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    struct function first[] = {{"first", once, echo, 0}, {NULL, NULL, NULL, 0}};
    struct host *next = new_host(backend, first, NULL);
    PUMP(next, next->ended == 2);
    free(mine);
    char *ids[] = {taken, waits_for_slot, third};
    for (int i = 0; i < 3; i++) {
        OK(stent_executor_result(next->executor, ids[i], PATIENCE_MS, NULL, ERROR));
        stent_free(ids[i]);
    }
    char *letters = NULL;
    OK(stent_executor_dead_letters(next->executor, "{\"function\": \"first\"}", &letters, ERROR));
    CHECK(strcmp(letters, "[]") == 0);
    stent_free(letters);
    free_host(next);
}

/* Handlers that are called back and functions of a poller live side by side in one executor. */
static stent_status called_back(void *user_data, stent_task *task) {
    (void)user_data;
    EXPECT(STENT_E_UNSUPPORTED, stent_task_notify(task, 1, host->poller, 1, ERROR));
    forget_error();
    return stent_task_complete(task, "\"called back\"", NULL);
}

static void side_by_side(void) {
    OK(stent_executor_register(host->executor, "called_back", NULL, called_back, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(host->executor, NULL);
    expect_result(host, "called_back", NULL, "\"called back\"");
    expect_result(host, "echo", "[1]", "[1]");
    char *status = NULL;
    OK(stent_worker_status(worker, &status, ERROR));
    CHECK(has(status, "\"functions\":[\"called_back\"]"));
    stent_free(status);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    char path[512];
    atomic_int freed = 0;
    small_stack(store_url(count, arguments, path));
    stent_backend *backend = open_store(count, arguments);
    interruptions();
    host = new_host(backend, functions, "{\"max_concurrency\": 16}");
    EXPECT(STENT_E_CONFLICT, stent_executor_register(host->executor, "echo", NULL, NULL, &freed, count_free, ERROR));
    CHECK(atomic_load(&freed) == 1);
    activities_by_epoll();
    expect_result(host, "careless", NULL, "\"careful\"");
    unfinished();
    side_by_side();
    abandoned(backend);
    free_host(host);
    stent_backend_free(backend);
    return done();
}
