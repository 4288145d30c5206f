/* An order's way through a shop, as a durable workflow: check it, reserve every line, wait for an approval if it is
 * a big one, charge the card, leave time to cancel, ship. */
#define _GNU_SOURCE
#include "order_workflow.h"
#include "json.h"

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

/* ---- what a worker has code for ---- */

static const struct {
    const char *name;
    stent_handler_fn handler;
} functions[] = {{"order", order}, {"validate", validate}, {"reserve", reserve}, {"charge", charge}, {"ship", ship}};

/* How failures are tried again. A worker that dies costs its tasks an attempt too. */
static const char *const retries = "{\"retry_policy\": {\"max_attempts\": 8, \"initial_delay\": 0.3, \"jitter\": 0}}";

void register_functions(stent_executor *executor, struct shop *shop)
{
    stent_error *error = NULL;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        must(stent_executor_register(executor, functions[i].name, retries, functions[i].handler, shop, NULL, &error),
             &error, functions[i].name);
    }
}
