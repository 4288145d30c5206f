/* A host with an event loop: coroutines as explicit state machines, found by the number of their task. */
#ifndef STENT_TESTS_COROUTINES_H
#define STENT_TESTS_COROUTINES_H

#include "check.h"

#include <poll.h>

#define ROOM 30000

/* What a coroutine is told when its turn comes: its beginning (the "task" event), or an answer with its number. */
struct turn {
    int number; /* 0: from the top */
    stent_status status;
    const char *json;
};

struct coroutine;
typedef void (*body_fn)(struct coroutine *self, const struct turn *turn);

struct function {
    const char *name, *options;
    body_fn body;
    int started; /* how often its body began from the top */
};

struct coroutine {
    uint64_t tag;
    stent_task *task;
    struct function *function;
    int at;          /* where the body stands */
    uint32_t op[8];  /* its operations */
    char text[256];  /* what it has seen */
};

struct host {
    stent_executor *executor;
    stent_poller *poller;
    stent_worker *worker;
    struct function *functions;
    struct coroutine *coroutines[ROOM]; /* by tag modulo the room */
    int live, ended, evicted, cancelled, stopped, ready;
    stent_status last_ended, last_evicted, last_cancelled, last_reply;
    char last_json[2048];  /* of the last reply */
    char ended_json[2048]; /* of the last end */
    char told_json[2048];  /* of the last eviction or cancellation */
    uint64_t replies, last_reply_tag;
};

static inline struct coroutine **place_of(struct host *host, uint64_t tag) { return &host->coroutines[tag % ROOM]; }

static inline void forget(struct host *host, struct coroutine *self) {
    *place_of(host, self->tag) = NULL;
    stent_task_free(self->task);
    free(self);
    host->live--;
}

/* Asks for operation `number` of the coroutine; the answer's tag says whose it is, and which. */
static inline void ask(struct host *host, struct coroutine *self, int number) {
    OK(stent_task_notify(self->task, self->op[number], host->poller, self->tag << 8 | (uint64_t)number, ERROR));
}

static inline void spawn_call(struct host *host, struct coroutine *self, int number, const char *function, const char *args) {
    OK(stent_task_spawn_call(self->task, function, args, NULL, &self->op[number], ERROR));
    ask(host, self, number);
}

static inline void spawn_sleep(struct host *host, struct coroutine *self, int number, const char *duration) {
    OK(stent_task_spawn_sleep(self->task, duration, &self->op[number], ERROR));
    ask(host, self, number);
}

static inline void see(struct coroutine *self, const char *what) {
    size_t length = strlen(self->text);
    snprintf(self->text + length, sizeof self->text - length, "%s%s", length ? "," : "", what);
}

static inline void give_turn(struct coroutine *self) { OK(stent_task_suspend(self->task, ERROR)); }
static inline void complete(struct coroutine *self, const char *json) { OK(stent_task_complete(self->task, json, ERROR)); }

static inline void on_task(struct host *host, stent_event *event) {
    struct coroutine *self = calloc(1, sizeof *self);
    CHECK(self != NULL);
    self->tag = stent_event_tag(event);
    self->task = stent_event_task(event);
    CHECK(self->tag > 0 && self->task != NULL && stent_event_task(event) == NULL);
    char *name = member(stent_event_json(event), "function");
    for (self->function = host->functions; strcmp(self->function->name, name) != 0; self->function++)
        if (!self->function->name) FAIL("a task of %s, which is not registered", name);
    free(name);
    CHECK(*place_of(host, self->tag) == NULL);
    *place_of(host, self->tag) = self;
    host->live++;
    self->function->started++;
    struct turn turn = {0, STENT_OK, stent_event_json(event)};
    self->function->body(self, &turn);
}

static inline void note(char json[2048], stent_event *event, stent_status *last) {
    *last = stent_event_status(event);
    snprintf(json, 2048, "%s", stent_event_json(event));
}

static inline void handle(struct host *host, stent_event *event) {
    const char *type = stent_event_type(event);
    uint64_t tag = stent_event_tag(event);
    stent_status status = stent_event_status(event);
    if (strcmp(type, "task") == 0) {
        on_task(host, event);
    } else if (strcmp(type, "op") == 0) {
        struct coroutine *self = *place_of(host, tag >> 8);
        CHECK(self != NULL && self->tag == tag >> 8);
        struct turn turn = {(int)(tag & 0xff), status, stent_event_json(event)};
        self->function->body(self, &turn);
    } else if (strcmp(type, "reply") == 0) {
        note(host->last_json, event, &host->last_reply);
        host->last_reply_tag = tag;
        host->replies++;
    } else if (strcmp(type, "worker") == 0) {
        host->ready |= has(stent_event_json(event), "\"state\":\"ready\"");
        host->stopped |= has(stent_event_json(event), "\"state\":\"stopped\"");
    } else {
        struct coroutine *self = *place_of(host, tag);
        CHECK(self != NULL && self->tag == tag && stent_event_task(event) == NULL);
        if (strcmp(type, "ended") == 0) {
            host->ended++;
            note(host->ended_json, event, &host->last_ended);
            forget(host, self);
        } else if (strcmp(type, "evict") == 0) {
            host->evicted++;
            note(host->told_json, event, &host->last_evicted);
            forget(host, self);
        } else if (strcmp(type, "cancel") == 0) {
            host->cancelled++;
            note(host->told_json, event, &host->last_cancelled);
        } else {
            FAIL("an event of type %s", type);
        }
    }
    stent_event_free(event);
}

/* Waits for the descriptor, as any loop would, and takes what is there. */
static inline void pump(struct host *host) {
    struct pollfd watched = {stent_poller_fd(host->poller), POLLIN, 0};
    if (poll(&watched, 1, 100) <= 0) return;
    stent_event *events[64];
    size_t count = 0;
    OK(stent_poller_take(host->poller, events, 64, &count, ERROR));
    for (size_t i = 0; i < count; i++) handle(host, events[i]);
}

#define PUMP(host, condition) \
    do { \
        int64_t until = now_ms() + PATIENCE_MS; \
        while (!(condition)) { \
            if (now_ms() > until) FAIL("never came true: %s", #condition); \
            pump(host); \
        } \
    } while (0)

/* The URL that the program was given, or a file in its folder. */
static inline const char *store_url(int count, char **arguments, char path[512]) {
    return count > 3 ? arguments[3] : file_in_folder(path, "store.db");
}

static inline stent_backend *open_store(int count, char **arguments) {
    char path[512];
    stent_backend *backend = NULL;
    OK(stent_backend_open(store_url(count, arguments, path), NULL, &backend, ERROR));
    return backend;
}

/* A host with a worker that is ready. */
static inline struct host *new_host(stent_backend *backend, struct function *functions, const char *options) {
    struct host *host = calloc(1, sizeof *host);
    CHECK(host != NULL);
    host->functions = functions;
    host->executor = new_executor(backend);
    OK(stent_poller_new(&host->poller, ERROR));
    for (struct function *one = functions; one->name; one++)
        OK(stent_executor_register(host->executor, one->name, one->options, NULL, NULL, NULL, ERROR));
    OK(stent_worker_start(host->executor, options, host->poller, &host->worker, ERROR));
    PUMP(host, host->ready);
    return host;
}

/* The orderly way: drain, and go on taking events until the worker has stopped. */
static inline void free_host(struct host *host) {
    OK(stent_worker_drain(host->worker, ERROR));
    PUMP(host, host->stopped && host->live == 0);
    stent_worker_free(host->worker);
    stent_poller_free(host->poller);
    stent_executor_free(host->executor);
    free(host);
}

/* The execution's result, or the error that tells of its failure; to be freed with free. */
static inline char *outcome(struct host *host, const char *id, stent_status wanted) {
    char request[128];
    uint64_t before = host->replies;
    snprintf(request, sizeof request, "{\"execution_id\": \"%s\"}", id);
    OK(stent_executor_submit(host->executor, "result", request, host->poller, 1, ERROR));
    PUMP(host, host->replies > before);
    if (host->last_reply != wanted) FAIL("%s: %s", stent_status_name(host->last_reply), host->last_json);
    return strdup(host->last_json);
}

/* Dispatches one and waits for its result. */
static inline void expect_result(struct host *host, const char *function, const char *args, const char *wanted) {
    char *id = dispatch(host->executor, function, args), *result = outcome(host, id, STENT_OK);
    if (strcmp(result, wanted) != 0) FAIL("%s%s gave %s instead of %s", function, args ? args : "", result, wanted);
    free(result);
    stent_free(id);
}

#endif
