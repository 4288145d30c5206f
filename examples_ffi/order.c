/* An order in C: a poller's host without coroutines. On each turn a workflow runs again from the top, over the results that
 * its flow keeps; what is not there yet ends the turn.
 *
 *     order work STORE          works until an order is completed
 *     order start STORE         starts one, and prints its id
 *     order approve STORE ID    sends it the signal that it waits for
 *     order result STORE ID     waits for its result, and prints it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stent.h"

enum { FLOWS = 256, OPS = 16, BITS = 20 /* of a tag: the number of an operation, beside that of the task */ };

/* An operation that was started, and its end when it has come. */
struct kept {
    uint32_t op;
    int has_ended;
    char *json, *failure; /* its result, or the type of its failure */
};

/* A run of a function. */
struct flow {
    uint64_t tag;
    stent_task *task;
    int asked, started; /* operations: of this turn's run, and of all */
    struct kept kept[OPS];
};

static stent_poller *poller;
static stent_error *error;

/* An example's way with errors: they end it. */
static void ok(stent_status status) {
    if (status >= 0) return;
    fprintf(stderr, "%s\n", stent_error_message(error));
    exit(1);
}

/* The end of a turn: what is refused of it is told by an event. */
static void told(stent_status status) { (void)status; }

static char *copy(const char *text) {
    size_t size = text ? strlen(text) + 1 : 0;
    return text ? memcpy(malloc(size), text, size) : NULL;
}

/* The next operation of the run: the one that an earlier run started, or, if it comes here for the first time, a new one. */
static struct kept *next(struct flow *flow, int *is_new) {
    *is_new = flow->asked == flow->started;
    if (*is_new && ++flow->started > OPS) exit(2);
    return &flow->kept[flow->asked++];
}

static struct kept *ask(struct flow *flow, struct kept *kept) {
    ok(stent_task_notify(flow->task, kept->op, poller, flow->tag << BITS | kept->op, &error));
    return kept;
}

static struct kept *call(struct flow *flow, const char *function, const char *args) {
    int is_new;
    struct kept *kept = next(flow, &is_new);
    if (!is_new) return kept;
    ok(stent_task_spawn_call(flow->task, function, args, NULL, &kept->op, &error));
    return ask(flow, kept);
}

static struct kept *nap(struct flow *flow, const char *duration) {
    int is_new;
    struct kept *kept = next(flow, &is_new);
    if (!is_new) return kept;
    ok(stent_task_spawn_sleep(flow->task, duration, &kept->op, &error));
    return ask(flow, kept);
}

static struct kept *wait_signal(struct flow *flow, const char *name) {
    int is_new;
    struct kept *kept = next(flow, &is_new);
    if (!is_new) return kept;
    ok(stent_task_spawn_wait_signal(flow->task, name, NULL, &kept->op, &error));
    return ask(flow, kept);
}

/* A function writes its result, or the type of its failure, and says so; or it waits. */
enum outcome { WAITS, COMPLETES, FAILS };
typedef enum outcome (*body_fn)(struct flow *flow, int number, char result[512]);
#define AWAIT(kept) if (!(kept)->has_ended) return WAITS

static enum outcome charge(struct flow *flow, int amount, char result[512]) {
    (void)flow;
    puts("charged");
    snprintf(result, 512, "\"receipt for %d\"", amount);
    return COMPLETES;
}

static enum outcome ship(struct flow *flow, int number, char result[512]) {
    (void)flow, (void)number;
    strcpy(result, "OutOfStock");
    return FAILS;
}

static enum outcome square(struct flow *flow, int number, char result[512]) {
    (void)flow;
    snprintf(result, 512, "%d", number * number);
    return COMPLETES;
}

static enum outcome order(struct flow *flow, int amount, char result[512]) {
    char args[32];
    snprintf(args, sizeof args, "[%d]", amount);
    struct kept *receipt = call(flow, "charge", args), *squares[10], *shipped, *slept, *approved;
    AWAIT(receipt);
    slept = nap(flow, "50ms");
    AWAIT(slept);
    shipped = call(flow, "ship", NULL);
    AWAIT(shipped);
    int sum = 0;
    for (int i = 0; i < 10; i++) {
        snprintf(args, sizeof args, "[%d]", i + 1);
        squares[i] = call(flow, "square", args);
    }
    for (int i = 0; i < 10; i++) {
        AWAIT(squares[i]);
        sum += atoi(squares[i]->json);
    }
    puts("waits for approval");
    approved = wait_signal(flow, "approved");
    AWAIT(approved);
    snprintf(result, 512, "{\"receipt\": %s, \"shipped\": \"%s\", \"sum\": %d, \"approved_by\": %s}", receipt->json,
             shipped->failure ? shipped->failure : "yes", sum, approved->json);
    return COMPLETES;
}

static const struct function {
    const char *name;
    body_fn body;
} functions[] = {{"charge", charge}, {"ship", ship}, {"square", square}, {"order", order}};

static void turn(struct flow *flow) {
    char result[512], failure[640];
    const struct function *function = functions;
    while (strcmp(function->name, stent_task_function(flow->task)) != 0) function++;
    flow->asked = 0;
    switch (function->body(flow, atoi(stent_task_args(flow->task) + 1), result)) {
        case WAITS: told(stent_task_suspend(flow->task, NULL)); break;
        case COMPLETES: told(stent_task_complete(flow->task, result, NULL)); break;
        case FAILS:
            snprintf(failure, sizeof failure, "{\"type\": \"%s\", \"message\": \"none left\", \"retryable\": false}", result);
            told(stent_task_fail(flow->task, failure, NULL));
    }
}

static struct flow *flows[FLOWS];

/* The place of a task's flow, or, with 0, a free one. */
static struct flow **place_of(uint64_t tag) {
    for (int i = 0; i < FLOWS; i++)
        if ((flows[i] ? flows[i]->tag : 0) == tag) return &flows[i];
    return NULL;
}

static void arrive(const stent_event *event) {
    uint64_t tag = stent_event_tag(event);
    struct flow **place = place_of(tag >> BITS);
    if (place == NULL) return;
    struct kept *kept = (*place)->kept;
    while (kept->op != (tag & ((1 << BITS) - 1))) kept++;
    stent_error *why = stent_event_error(event);
    kept->has_ended = 1;
    kept->json = copy(stent_event_json(event));
    kept->failure = copy(stent_error_failure_type(why));
    stent_error_free(why);
    turn(*place);
}

static void forget(struct flow **place) {
    stent_task_free((*place)->task);
    for (int i = 0; i < OPS; i++) free((*place)->kept[i].json), free((*place)->kept[i].failure);
    free(*place);
    *place = NULL;
}

/* Takes events until an order is completed, and the worker has stopped after it. */
static void work(stent_executor *executor) {
    stent_worker *worker = NULL;
    int has_stopped = 0;
    ok(stent_poller_new(&poller, &error));
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        ok(stent_executor_register(executor, functions[i].name, NULL, NULL, NULL, NULL, &error));
    ok(stent_worker_start(executor, "{\"lease_duration\": \"2s\"}", poller, &worker, &error));
    while (!has_stopped) {
        stent_event *event = NULL;
        stent_status status = stent_poller_next(poller, -1, &event, &error);
        ok(status);
        if (status == STENT_PENDING) continue;
        const char *type = stent_event_type(event), *outcome = stent_event_outcome(event);
        struct flow **place = place_of(stent_event_tag(event));
        if (strcmp(type, "task") == 0 && (place = place_of(0)) != NULL) {
            *place = calloc(1, sizeof **place);
            (*place)->tag = stent_event_tag(event);
            (*place)->task = stent_event_task(event);
            turn(*place);
        } else if (strcmp(type, "op") == 0) {
            arrive(event);
        } else if (strcmp(type, "worker") == 0) {
            has_stopped = strstr(stent_event_json(event), "\"state\":\"stopped\"") != NULL;
        } else if (place != NULL && *place != NULL) { /* "ended", "evict" or "cancel" */
            int is_order = strcmp(stent_task_function((*place)->task), "order") == 0;
            forget(place);
            if (is_order && outcome != NULL && strcmp(outcome, "completed") == 0) ok(stent_worker_drain(worker, &error));
        }
        stent_event_free(event);
    }
    stent_worker_free(worker);
    stent_poller_free(poller);
}

int main(int count, char **arguments) {
    if (count < 3) return fprintf(stderr, "order work|start STORE, order approve|result STORE ID\n"), 2;
    const char *role = arguments[1], *id = arguments[3];
    stent_backend *backend = NULL;
    stent_executor *executor = NULL;
    char *text = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    ok(stent_backend_open(arguments[2], NULL, &backend, &error));
    ok(stent_executor_new(backend, NULL, &executor, &error));
    if (strcmp(role, "work") == 0) work(executor);
    if (strcmp(role, "start") == 0) ok(stent_executor_dispatch(executor, "order", "[42]", NULL, &text, &error));
    if (strcmp(role, "approve") == 0) ok(stent_executor_signal(executor, id, "approved", "\"Ada\"", NULL, &error));
    if (strcmp(role, "result") == 0) ok(stent_executor_result(executor, id, 60000, &text, &error));
    if (text) puts(text);
    stent_free(text);
    stent_executor_free(executor);
    stent_backend_free(backend);
    ok(stent_shutdown(10000, &error));
    return 0;
}
