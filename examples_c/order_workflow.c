/* An order's way through a shop, as a durable workflow: check it, reserve every line, wait for an approval if it is
 * a big one, charge the card, leave time to cancel, ship.
 *
 *     order_workflow demo [ORDERS.json [DIRECTORY]]   the story with a kill -9 in the middle (order_demo.c)
 *     order_workflow soak ORDERS.json SECONDS         the same under random kills (order_soak.c)
 *     order_workflow worker DATABASE                  runs handlers until SIGTERM or SIGINT
 *     order_workflow submit DATABASE ORDERS.json      starts a workflow for each order of the file
 *     order_workflow approve DATABASE ORDER yes|no    sends the approval signal
 *     order_workflow status DATABASE                  what the outside sees of every order
 */
#define _GNU_SOURCE
#include "order_workflow.h"
#include "json.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---- activities: each does one thing in the world, and Stent records its result once ---- */

/* Completes the task with a result made on the spot, which it frees. */
static stent_status complete(stent_task *task, char *result)
{
    stent_status status = stent_task_complete(task, result, NULL);
    free(result);
    return status;
}

/* validate(order number, lines) -> {"lines", "total_cents"} */
static stent_status validate(void *shop, stent_task *task)
{
    struct run run = begin(shop, task);
    long long total = 0;
    int lines = 0;
    for (const char *line = json_first(json_at(run.args, 1)); line; line = json_next(line), lines++) {
        long long quantity = json_int(json_get(line, "quantity"));
        if (quantity < 1) {
            return stent_task_fail(task, "{\"type\": \"InvalidOrder\", \"retryable\": false, "
                                         "\"message\": \"an order line without a quantity\"}", NULL);
        }
        total += quantity * json_int(json_get(line, "unit_cents"));
    }
    say(run.order, run.step, "%d lines, %lld.%02lld EUR", lines, total / 100, total % 100);
    return complete(task, json_format("{\"lines\": %d, \"total_cents\": %lld}", lines, total));
}

/* reserve(order number, line) -> {"sku", "quantity", "shelf"} */
static stent_status reserve(void *shop, stent_task *task)
{
    struct run run = begin(shop, task);
    const char *line = json_at(run.args, 1);
    long long quantity = json_int(json_get(line, "quantity"));
    char sku[32];
    unsigned shelf = 0;
    json_copy(json_get(line, "sku"), sku, sizeof sku);
    for (const char *at = sku; *at; at++) shelf = shelf * 31 + (unsigned char)*at;
    say(run.order, run.step, "%lld x %s", quantity, sku);
    return complete(task, json_format("{\"sku\": \"%s\", \"quantity\": %lld, \"shelf\": \"%c-%02u\"}", sku, quantity,
                                      'A' + shelf % 6, shelf % 40));
}

/* charge(order number, cents, payment) -> {"receipt"} */
static stent_status charge(void *shop, stent_task *task)
{
    struct run run = begin(shop, task);
    char receipt[24] = "";
    if (run.attempt <= 2) {
        say(run.order, run.step, "attempt %d: no answer from the payment gateway", run.attempt);
        return stent_task_fail(task, "{\"type\": \"GatewayTimeout\", "
                                     "\"message\": \"no answer from the payment gateway\"}", NULL);
    }
    /* A handler runs at least once. So what it does to the world needs a key that is the same in every run: the
     * task's id. The gateway takes money once for a key. */
    int taken = gateway_charge(shop, run.task_id, json_int(json_at(run.args, 1)), receipt);
    say(run.order, run.step, "attempt %d: %s, receipt %s", run.attempt,
        taken ? "the gateway takes the money" : "the gateway says: paid already", receipt);
    while (gateway_is_slow(shop, run.order)) usleep(20000);
    return complete(task, json_format("{\"receipt\": \"%s\"}", receipt));
}

/* ship(order number, address) -> {"parcel"} */
static stent_status ship(void *shop, stent_task *task)
{
    struct run run = begin(shop, task);
    char city[48];
    json_copy(json_get(json_at(run.args, 1), "city"), city, sizeof city);
    say(run.order, run.step, "a parcel to %s", city);
    return complete(task, json_format("{\"parcel\": \"P-%s\"}", run.order + strcspn(run.order, "0123456789")));
}

/* ---- the workflow: plain code that may wait for days and survives its process ---- */

/* Tells the outside where the order stands. */
static stent_status stage(stent_task *task, const char *order, const char *text)
{
    char *value = json_format("\"%s\"", text);
    stent_status status = stent_task_state_set(task, "stage", value, NULL);
    if (!stent_task_is_replaying(task)) say(order, "", "-> %s", text);
    free(value);
    return status;
}

/* stent_task_call with arguments made on the spot, which it frees. */
static stent_status call(stent_task *task, const char *function, char *args, char **result)
{
    stent_status status = stent_task_call(task, function, args, NULL, result, NULL);
    free(args);
    return status;
}

/* `[["SO-1", line], ["SO-1", line]]`: the arguments of one reserve for each line. */
static char *reserve_args(const char *order, const char *lines)
{
    char *list = json_format("");
    for (const char *line = json_first(lines); line; line = json_next(line)) {
        char *longer = json_format("%s%s[\"%s\", %.*s]", list, *list ? ", " : "", order,
                                   (int)(json_end(line) - line), line);
        free(list);
        list = longer;
    }
    char *array = json_format("[%s]", list);
    free(list);
    return array;
}

/* order({id, lines, payment, ship_to, cancel_window}) -> {"total_cents", "receipt", "parcel"}
 *
 * Runs from the top whenever something that it waited for is there. What is recorded is not done again: its result
 * is read. A call that does not succeed is passed on as it is, be it a suspension, a cancellation or a failure. */
static stent_status order(void *shop, stent_task *task)
{
    struct run run = begin(shop, task);
    const char *id = run.order, *given = json_at(run.args, 0);
    char *lines = json_text(json_get(given, "lines")), *address = json_text(json_get(given, "ship_to"));
    char *payment = json_text(json_get(given, "payment")), *each = reserve_args(id, lines), *count = NULL;
    char *checked = NULL, *reserved = NULL, *approval = NULL, *paid = NULL, *sent = NULL;
    char window[16], receipt[24], parcel[24];
    long long total;
    stent_status status;

    if ((status = stage(task, id, STAGE_CHECK))) goto end;
    if ((status = call(task, "validate", json_format("[\"%s\", %s]", id, lines), &checked))) goto end;
    total = json_int(json_get(checked, "total_cents"));

    /* A fan-out: every line at once, on whatever worker is there; it goes on when the last is done. */
    if ((status = stage(task, id, STAGE_RESERVE))) goto end;
    if ((status = stent_task_map(task, "reserve", each, NULL, &reserved, NULL))) goto end;
    count = json_format("%zu", json_count(reserved));
    if ((status = stent_task_counter_add(task, "lines_reserved", count, NULL))) goto end;

    /* A message from outside, now or in days: what waits is a row, not a thread. */
    if (total >= APPROVAL_FROM_CENTS) {
        if ((status = stage(task, id, STAGE_APPROVAL))) goto end;
        if ((status = stent_task_wait_signal(task, "approval", "{\"timeout\": \"7d\"}", &approval, NULL))) goto end;
        if (!json_is(json_get(approval, "approved"), "true")) {
            status = stent_task_fail(task, "{\"type\": \"Rejected\", \"retryable\": false, "
                                           "\"message\": \"the order was not approved\"}", NULL);
            goto end;
        }
    }

    if ((status = stage(task, id, STAGE_CHARGE))) goto end;
    if ((status = call(task, "charge", json_format("[\"%s\", %lld, %s]", id, total, payment), &paid))) goto end;

    /* A durable sleep: it ends at the time that was fixed when it began, whoever is alive then. */
    if ((status = stage(task, id, STAGE_WINDOW))) goto end;
    json_copy(json_get(given, "cancel_window"), window, sizeof window);
    if ((status = stent_task_sleep(task, window, NULL))) goto end;

    if ((status = stage(task, id, STAGE_SHIP))) goto end;
    if ((status = call(task, "ship", json_format("[\"%s\", %s]", id, address), &sent))) goto end;

    if ((status = stage(task, id, STAGE_DONE))) goto end;
    if ((status = stent_task_progress(task, sent, NULL))) goto end;
    json_copy(json_get(paid, "receipt"), receipt, sizeof receipt);
    json_copy(json_get(sent, "parcel"), parcel, sizeof parcel);
    status = complete(task, json_format("{\"total_cents\": %lld, \"receipt\": \"%s\", \"parcel\": \"%s\"}", total,
                                        receipt, parcel));
end:
    stent_free(checked), stent_free(reserved), stent_free(approval), stent_free(paid), stent_free(sent);
    free(lines), free(address), free(payment), free(each), free(count);
    return status;
}

/* ---- the program around it ---- */

stent_executor *shop_open(const struct shop *shop, stent_backend **backend)
{
    stent_executor *executor = NULL;
    stent_error *error = NULL;
    must(stent_backend_open(shop->database, NULL, backend, &error), &error, "opening the database");
    must(stent_executor_new(*backend, NULL, &executor, &error), &error, "making the executor");
    return executor;
}

char *submit(stent_executor *executor, const char *order)
{
    char *id = NULL, number[32];
    stent_error *error = NULL;
    json_copy(json_get(order, "id"), number, sizeof number);
    char *args = json_format("[%s]", order), *options = json_format("{\"idempotency_key\": \"%s\"}", number);
    must(stent_executor_dispatch(executor, "order", args, options, &id, &error), &error, "starting an order");
    free(args), free(options);
    return id;
}

static int submit_all(const struct shop *shop, const char *path)
{
    stent_backend *backend = NULL;
    stent_executor *executor = shop_open(shop, &backend);
    char *orders = read_file(path);
    int count = 0;
    for (const char *at = json_first(json_space(orders)); at; at = json_next(at), count++) {
        char *text = json_text(at), *id = submit(executor, text), number[32];
        printf("%s is execution %s\n", json_copy(json_get(text, "id"), number, sizeof number), id);
        free(text), stent_free(id);
    }
    if (count == 0) fprintf(stderr, "%s: no orders there; a JSON array of them is expected\n", path);
    free(orders);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return count == 0;
}

/* Prints every order; or, with an answer, sends the approval to the one that is named. */
static int each_order(const struct shop *shop, const char *named, const char *answer)
{
    stent_backend *backend = NULL;
    stent_executor *executor = shop_open(shop, &backend);
    stent_error *error = NULL;
    char *list = NULL;
    int found = 0;
    must(stent_executor_list(executor, "{\"limit\": 1000}", &list, &error), &error, "listing the orders");
    for (const char *at = json_first(list); at; at = json_next(at)) {
        char id[40], number[32], state[16], stage[64], result[96], *seen = NULL;
        json_copy(json_get(at, "id"), id, sizeof id);
        json_copy(json_get(json_at(json_get(at, "args"), 0), "id"), number, sizeof number);
        if (named && strcmp(number, named) != 0) continue;
        found = 1;
        if (answer) {
            char *payload = json_format("{\"approved\": %s}", strcmp(answer, "yes") == 0 ? "true" : "false");
            must(stent_executor_signal(executor, id, "approval", payload, NULL, &error), &error, "sending the answer");
            free(payload);
        } else {
            must(stent_executor_state(executor, id, &seen, &error), &error, "looking at an order");
            json_copy(json_get(seen, "state"), state, sizeof state);
            json_copy(json_get(json_get(seen, "state_values"), "stage"), stage, sizeof stage);
            json_copy(json_get(seen, "result"), result, sizeof result);
            printf("%-9s %s %-10s %-22s %s\n", number, id, state, stage, result);
            stent_free(seen);
        }
    }
    if (named && !found) fprintf(stderr, "there is no order %s\n", named);
    stent_free(list);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return named && !found;
}

static const struct {
    const char *name;
    stent_handler_fn handler;
} functions[] = {{"order", order}, {"validate", validate}, {"reserve", reserve}, {"charge", charge}, {"ship", ship}};

/* How failures are tried again. A worker that dies costs its tasks an attempt too. */
static const char *const retries = "{\"retry_policy\": {\"max_attempts\": 8, \"initial_delay\": 0.3, \"jitter\": 0}}";

/* Runs handlers until it is told to stop. */
static int work(struct shop *shop)
{
    stent_backend *backend = NULL;
    stent_worker *worker = NULL;
    stent_error *error = NULL;
    sigset_t stop;
    int got;

    /* Before the library makes threads, so that all of them leave these signals to the sigwait below. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (getenv("ORDER_DEMO")) prctl(PR_SET_PDEATHSIG, SIGKILL); /* the demo leaves no worker behind */
    say_as("worker");

    stent_executor *executor = shop_open(shop, &backend);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        must(stent_executor_register(executor, functions[i].name, retries, functions[i].handler, shop, NULL, &error),
             &error, functions[i].name);
    }
    /* The default lease is 30 s. This one is short, so that a dead worker's task is soon taken over. */
    char *options = json_format("{\"worker_id\": \"worker-%d\", \"max_concurrency\": 8, \"lease_duration\": \"2s\"}",
                                (int)getpid());
    must(stent_worker_start(executor, options, NULL, &worker, &error), &error, "starting the worker");
    must(stent_worker_wait(worker, "ready", 10000, &error), &error, "waiting for the worker to be ready");
    say("", "", "ready");

    sigwait(&stop, &got);
    must(stent_worker_stop(worker, 10000, &error), &error, "stopping the worker");
    say("", "", "stopped");
    free(options);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    struct shop shop = shop_at(argc > 2 ? argv[2] : "");
    if (strcmp(mode, "demo") == 0 && argc <= 4) {
        return demo(argc > 2 ? argv[2] : "orders.json", argc > 3 ? argv[3] : NULL);
    }
    if (strcmp(mode, "soak") == 0 && argc == 4) return soak(argv[2], atoi(argv[3]));
    if (strcmp(mode, "worker") == 0 && argc == 3) return work(&shop);
    if (strcmp(mode, "submit") == 0 && argc == 4) return submit_all(&shop, argv[3]);
    if (strcmp(mode, "approve") == 0 && argc == 5) return each_order(&shop, argv[3], argv[4]);
    if (strcmp(mode, "status") == 0 && argc == 3) return each_order(&shop, NULL, NULL);
    fprintf(stderr,
            "usage: order_workflow demo [ORDERS.json [DIRECTORY]]\n"
            "       order_workflow soak ORDERS.json SECONDS\n"
            "       order_workflow worker DATABASE\n"
            "       order_workflow submit DATABASE ORDERS.json\n"
            "       order_workflow approve DATABASE ORDER yes|no\n"
            "       order_workflow status DATABASE\n");
    return 2;
}
