/* What a shop asks of its store: starts orders, sends approvals, looks. */
#define _GNU_SOURCE
#include "order_client.h"
#include "json.h"

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

int submit_all(const struct shop *shop, const char *path)
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

int each_order(const struct shop *shop, const char *named, const char *answer)
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
