/* A worker of the soak: hosts `flow` and the activities that its programs call, and writes down every body that it begins
 * and ends.
 *
 *     worker URL BACKEND_OPTIONS WORKER_OPTIONS FUNCTIONS HISTORY
 *
 * `flow` runs a program, which is its argument: a JSON array of instructions such as ["call", "double", [4]]. programs.py
 * says what each instruction means; worker.py is the same worker in Python, and a flow that one of them has begun is
 * finished by the other. FUNCTIONS is a JSON object: the options of every function, by its name. */
#define _GNU_SOURCE
#include "../../examples_c/json.h"
#include "stent.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int history = -1;
static char worker_name[64];

/* ---- what is written down ---- */

struct body {
    char task[40], execution[40], function[32];
    int attempt;
    long long fence;
};

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* One line in one write, so that lines of several processes don't mix. */
static void note(const struct body *body, const char *event, const char *name, const char *value)
{
    char *line = json_format("{\"event\": \"%s\", \"task\": \"%s\", \"execution\": \"%s\", \"function\": \"%s\", "
                             "\"attempt\": %d, \"fence\": %lld, \"worker\": \"%s\", \"at\": %.6f, \"%s\": %s}\n",
                             event, body->task, body->execution, body->function, body->attempt, body->fence, worker_name,
                             now(), name, value);
    if (write(history, line, strlen(line)) != (ssize_t)strlen(line)) abort();
    free(line);
}

static struct body begin(stent_task *task)
{
    struct body body;
    const char *info = stent_task_info(task);
    json_copy(json_get(info, "task_id"), body.task, sizeof body.task);
    json_copy(json_get(info, "execution_id"), body.execution, sizeof body.execution);
    json_copy(json_get(info, "function"), body.function, sizeof body.function);
    body.attempt = (int)json_int(json_get(info, "attempt"));
    body.fence = json_int(json_get(info, "fence"));
    return body;
}

/* ---- activities ---- */

static stent_status succeed(const struct body *body, stent_task *task, char *result)
{
    note(body, "complete", "result", result);
    stent_status status = stent_task_complete(task, result, NULL);
    free(result);
    return status;
}

static stent_status fail(const struct body *body, stent_task *task, const char *type, int retryable)
{
    char *failure = json_format("{\"type\": \"%s\", \"message\": \"as it was asked to\", \"retryable\": %s}", type,
                                retryable ? "true" : "false");
    note(body, "fail", "failure", failure);
    stent_status status = stent_task_fail(task, failure, NULL);
    free(failure);
    return status;
}

/* True: it is cancelled, and nothing of it will be taken. */
static int lasts(stent_task *task, long long milliseconds)
{
    double end = now() + (double)milliseconds / 1000;
    while (now() < end) {
        if (stent_task_is_cancelled(task)) return 1;
        usleep(5000);
    }
    return 0;
}

/* Is there a file of this name? */
static int exists(const char *name)
{
    char *path = json_text(name);
    path[strlen(path) - 1] = '\0';
    int found = access(path + 1, F_OK) == 0;
    free(path);
    return found;
}

static stent_status activity(void *data, stent_task *task)
{
    const char *args = stent_task_args(task), *first = json_at(args, 0), *second = json_at(args, 1);
    struct body body = begin(task);
    const char *function = body.function;
    (void)data;
    note(&body, "begin", "args", args);
    if (strcmp(function, "double") == 0) return succeed(&body, task, json_format("%lld", 2 * json_int(first)));
    if (strcmp(function, "cached") == 0) return succeed(&body, task, json_format("%lld", json_int(first) + 1));
    if (strcmp(function, "stamp") == 0) {
        return succeed(&body, task, json_format("{\"fence\": %lld, \"worker\": \"%s\"}", body.fence, worker_name));
    }
    if (strcmp(function, "declined") == 0) return fail(&body, task, "Declined", 0);
    if (strcmp(function, "flaky") == 0 && body.attempt <= json_int(second)) return fail(&body, task, "Flaky", 1);
    if (strcmp(function, "broken") == 0 && !exists(second)) return fail(&body, task, "Broken", 1);
    if (strcmp(function, "poison") == 0 && !exists(second)) raise(SIGKILL);
    if (strcmp(function, "tally") == 0) {
        stent_status status = stent_task_counter_add(task, "tallied", "1", NULL);
        if (status) return status;
    }
    if ((strcmp(function, "slow") == 0 || strcmp(function, "limited") == 0) && lasts(task, json_int(second))) {
        note(&body, "cancelled", "result", "null");
        return stent_task_heartbeat(task, NULL, NULL);
    }
    return succeed(&body, task, json_text(first));
}

/* ---- the flow ---- */

enum { SPAWNED_MAX = 64 };

struct flow {
    struct body body;
    stent_task *task;
    struct json_pile results;
    uint32_t spawned[SPAWNED_MAX];
    size_t count;
    stent_error *error;
};

/* NULL for what is not there; free() it. */
static char *option(const char *value)
{
    return json_is_null(value) ? NULL : json_text(value);
}

static void add(struct flow *flow, const char *value)
{
    json_add(&flow->results, "", value);
}

/* A failure that the program catches. */
static stent_status caught(struct flow *flow, stent_status status)
{
    if (status != STENT_E_FAILED) return status;
    const char *failure = json_get(stent_error_json(flow->error), "failure");
    char *type = json_text(json_get(failure, "type")), *value = json_format("{\"failed\": %s}", type);
    stent_error_free(flow->error);
    flow->error = NULL;
    add(flow, value);
    free(type), free(value);
    return STENT_OK;
}

static stent_status call(struct flow *flow, const char *at, int each, int catches)
{
    char *result = NULL, *function = json_text(json_at(at, 1)), *args = json_text(json_at(at, 2));
    char *options = option(json_at(at, 3));
    function[strlen(function) - 1] = '\0';
    stent_status (*make)(stent_task *, const char *, const char *, const char *, char **, stent_error **) =
        each ? stent_task_map : stent_task_call;
    stent_status status = make(flow->task, function + 1, args, options, &result, &flow->error);
    free(function), free(args), free(options);
    if (status == STENT_OK) add(flow, result);
    stent_free(result);
    return catches ? caught(flow, status) : status;
}

static stent_status wait_signal(struct flow *flow, const char *at)
{
    char name[32], *payload = NULL, *options = option(json_at(at, 2));
    json_copy(json_at(at, 1), name, sizeof name);
    stent_status status = stent_task_wait_signal(flow->task, name, options, &payload, &flow->error);
    free(options);
    if (status == STENT_OK) add(flow, payload);
    stent_free(payload);
    return caught(flow, status);
}

static stent_status step(struct flow *flow, const char *at)
{
    char name[32], *result = NULL, *made;
    uint32_t op;
    int32_t recorded;
    json_copy(json_at(at, 1), name, sizeof name);
    stent_status status = stent_task_step_begin(flow->task, name, NULL, &op, &recorded, &flow->error);
    if (status) return status;
    if (!recorded) {
        made = json_format("%lld", json_int(json_at(at, 2)) + 1);
        char *told = json_format("\"%s\"", name);
        note(&flow->body, "step", "name", told);
        status = stent_task_step_end(flow->task, op, made, NULL, &flow->error);
        free(told), free(made);
        if (status) return status;
    }
    status = stent_task_result(flow->task, op, &result, &flow->error);
    if (status == STENT_OK) add(flow, result);
    stent_free(result);
    return status;
}

static stent_status tell(struct flow *flow, const char *what, const char *at)
{
    char name[32], *value = json_text(json_at(at, strcmp(what, "progress") == 0 ? 1 : 2));
    stent_status status;
    json_copy(json_at(at, 1), name, sizeof name);
    if (strcmp(what, "counter") == 0) {
        status = stent_task_counter_add(flow->task, name, value, &flow->error);
    } else if (strcmp(what, "state") == 0) {
        status = stent_task_state_set(flow->task, name, value, &flow->error);
    } else {
        status = stent_task_progress(flow->task, value, &flow->error);
    }
    free(value);
    if (status == STENT_OK) add(flow, "null");
    return status;
}

static stent_status spawn(struct flow *flow, const char *at, uint32_t *op)
{
    char function[32], *args = json_text(json_at(at, 2));
    json_copy(json_at(at, 1), function, sizeof function);
    stent_status status = stent_task_spawn_call(flow->task, function, args, NULL, op, &flow->error);
    free(args);
    return status;
}

static stent_status join(struct flow *flow)
{
    struct json_pile pile;
    stent_status status =
        stent_task_await(flow->task, flow->spawned, flow->count, STENT_WAIT_ALL, -1, NULL, &flow->error);
    if (status) return status;
    json_begin(&pile, "[");
    for (size_t i = 0; i < flow->count && status == STENT_OK; i++) {
        char *result = NULL;
        status = stent_task_result(flow->task, flow->spawned[i], &result, &flow->error);
        if (status == STENT_OK) json_add(&pile, "", result);
        stent_free(result);
    }
    flow->count = 0;
    char *results = json_finish(&pile, "]");
    if (status == STENT_OK) add(flow, results);
    free(results);
    return status;
}

/* Which is first: a call, or a sleep? The loser is cancelled. */
static stent_status race(struct flow *flow, const char *at)
{
    char duration[32];
    uint32_t ops[2], first;
    json_copy(json_at(at, 3), duration, sizeof duration);
    stent_status status = spawn(flow, at, &ops[0]);
    if (status == STENT_OK) status = stent_task_spawn_sleep(flow->task, duration, &ops[1], &flow->error);
    if (status == STENT_OK) status = stent_task_await(flow->task, ops, 2, STENT_WAIT_ANY, -1, &first, &flow->error);
    if (status == STENT_OK) status = stent_task_cancel_op(flow->task, first == ops[0] ? ops[1] : ops[0], &flow->error);
    if (status == STENT_OK) add(flow, first == ops[0] ? "\"call\"" : "\"sleep\"");
    return status;
}

/* A UUID is the same in every run: what was echoed is what a later run draws. */
static stent_status stable(struct flow *flow)
{
    char *uuid = NULL, *result = NULL, *args;
    stent_status status = stent_task_uuid(flow->task, &uuid, &flow->error);
    if (status) return status;
    args = json_format("[\"%s\"]", uuid);
    status = stent_task_call(flow->task, "echo", args, NULL, &result, &flow->error);
    if (status == STENT_OK) add(flow, strncmp(result + 1, uuid, strlen(uuid)) == 0 ? "true" : "false");
    stent_free(uuid), stent_free(result), free(args);
    return status;
}

static stent_status instruction(struct flow *flow, const char *at)
{
    char what[16], text[32];
    json_copy(json_at(at, 0), what, sizeof what);
    json_copy(json_at(at, 1), text, sizeof text);
    if (strcmp(what, "call") == 0) return call(flow, at, 0, 0);
    if (strcmp(what, "try") == 0) return call(flow, at, 0, 1);
    if (strcmp(what, "map") == 0) return call(flow, at, 1, 0);
    if (strcmp(what, "try_map") == 0) return call(flow, at, 1, 1);
    if (strcmp(what, "signal") == 0) return wait_signal(flow, at);
    if (strcmp(what, "step") == 0) return step(flow, at);
    if (strcmp(what, "race") == 0) return race(flow, at);
    if (strcmp(what, "stable") == 0) return stable(flow);
    if (strcmp(what, "join") == 0) return join(flow);
    if (strcmp(what, "spawn") == 0) {
        if (flow->count == SPAWNED_MAX) abort();
        stent_status status = spawn(flow, at, &flow->spawned[flow->count++]);
        if (status == STENT_OK) add(flow, "null");
        return status;
    }
    if (strcmp(what, "sleep") == 0) {
        stent_status status = stent_task_sleep(flow->task, text, &flow->error);
        if (status == STENT_OK) add(flow, "null");
        return status;
    }
    return tell(flow, what, at);
}

static stent_status flow(void *data, stent_task *task)
{
    struct flow flow = {.body = begin(task), .task = task};
    const char *at = json_first(json_at(stent_task_args(task), 0));
    stent_status status = STENT_OK;
    (void)data;
    note(&flow.body, "begin", "replaying", stent_task_is_replaying(task) ? "true" : "false");
    json_begin(&flow.results, "[");
    for (; at && status == STENT_OK; at = json_next(at)) {
        char text[32];
        json_copy(json_at(at, 1), text, sizeof text);
        if (json_is(json_at(at, 0), "\"continue\"")) {
            char *args = json_format("[%.*s]", (int)(json_end(json_at(at, 1)) - json_at(at, 1)), json_at(at, 1));
            free(json_finish(&flow.results, "]"));
            note(&flow.body, "continue", "result", "null");
            status = stent_task_continue(task, args, NULL);
            free(args);
            return status;
        }
        if (json_is(json_at(at, 0), "\"fail\"")) {
            free(json_finish(&flow.results, "]"));
            return fail(&flow.body, task, text, 0);
        }
        status = instruction(&flow, at);
    }
    char *results = json_finish(&flow.results, "]"), *told;
    if (status == STENT_OK) return succeed(&flow.body, task, results);
    told = json_format("\"%s\"", stent_status_name(status));
    note(&flow.body, "leave", "status", told);
    free(results), free(told);
    stent_error_free(flow.error);
    return status;
}

/* ---- the program ---- */

static void must(stent_status status, stent_error *error, const char *doing)
{
    if (status == STENT_OK) return;
    fprintf(stderr, "%s: %s\n", doing, stent_error_json(error));
    exit(1);
}

static void say(void *data, int32_t level, const char *json)
{
    (void)data, (void)level;
    fprintf(stderr, "%s\n", json);
}

int main(int argc, char **argv)
{
    stent_backend *backend;
    stent_executor *executor;
    stent_worker *worker;
    stent_error *error = NULL;
    sigset_t signals;
    int number;
    if (argc != 6) {
        fprintf(stderr, "usage: worker URL BACKEND_OPTIONS WORKER_OPTIONS FUNCTIONS HISTORY\n");
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    json_copy(json_get(argv[3], "worker_id"), worker_name, sizeof worker_name);
    history = open(argv[5], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    must(stent_set_log_handler("{\"level\": \"warn\"}", say, NULL, NULL, &error), error, "log");
    must(stent_backend_open(argv[1], argv[2], &backend, &error), error, "open");
    must(stent_executor_new(backend, NULL, &executor, &error), error, "executor");
    for (const char *key = json_first(argv[4]); key; key = json_next(json_value(key))) {
        char name[32], *options = json_text(json_value(key));
        json_copy(key, name, sizeof name);
        name[strcspn(name, "\"")] = '\0';
        must(stent_executor_register(executor, name, options, strcmp(name, "flow") == 0 ? flow : activity, NULL, NULL,
                                     &error), error, name);
        free(options);
    }
    must(stent_worker_start(executor, argv[3], NULL, &worker, &error), error, "worker");
    sigwait(&signals, &number);
    stent_status stopped = stent_worker_stop(worker, 5000, NULL);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    stent_shutdown(3000, NULL);
    return stopped == STENT_OK ? 0 : 1;
}
