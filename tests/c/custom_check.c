/* SQLite behind a C function that answers everything: it passes the whole suite, like SQLite itself. */
#include "check.h"

#include "../../examples_c/json.h"

static stent_backend *inner;

/* Hands everything on. */
static void hand_on(void *user_data, const char *operation, const char *request, stent_reply *reply) {
    char *answer = NULL;
    stent_error *error = NULL;
    (void)user_data;
    if (strcmp(operation, "close") == 0) {
        stent_reply_ok(reply, NULL); /* the other store is closed by whoever has opened it */
        return;
    }
    stent_status status = stent_backend_call(inner, operation, request, &answer, &error);
    if (status == STENT_OK) {
        stent_reply_ok(reply, answer);
    } else {
        char *details = json_format("{\"retryable\": %s}", has(stent_error_json(error), "\"retryable\":true") ? "true" : "false");
        stent_reply_error(reply, status, stent_error_message(error), details);
        free(details);
    }
    stent_free(answer);
    stent_error_free(error);
}

static void add_names(struct json_pile *pile, const char *operations) {
    for (const char *each = json_first(operations); each; each = json_next(each)) {
        char *name = json_text(json_get(each, "name"));
        /* Hints for this process come from the calls themselves. */
        if (strcmp(name, "\"wait_for_work\"") != 0) json_add(pile, "", name);
        free(name);
    }
}

int main(int count, char **arguments) {
    begin(count, arguments);
    struct json_pile pile;
    json_begin(&pile, "[");
    add_names(&pile, json_get(stent_describe(), "operations"));
    add_names(&pile, json_get(stent_describe(), "engine_operations"));
    char *names = json_finish(&pile, "]"), *report = NULL;
    const char *options = "{\"features\": [\"key_limits\", \"rates\", \"unique_keys\"]}";
    stent_backend_vtable vtable = {sizeof vtable, hand_on, names, options};
    stent_backend *backend = NULL;
    inner = open_backend(":memory:");
    OK(stent_backend_custom(&vtable, NULL, NULL, &backend, ERROR));
    OK(stent_backend_check(backend, NULL, &report, ERROR));
    for (const char *each = json_first(json_get(report, "cases")); each; each = json_next(each)) {
        char *text = json_text(each);
        /* A store of a user's holds nobody. */
        const char *wanted = strstr(text, "\"holds/") ? "not_offered" : "passed";
        if (!json_has(each, "outcome", wanted)) FAIL("%s", text);
        free(text);
    }
    CHECK(json_has(report, "level", "engine") && json_int(json_get(report, "passed")) > 180);
    stent_free(report);
    free(names);
    OK(stent_backend_close(backend, ERROR));
    stent_backend_free(backend);
    OK(stent_backend_close(inner, ERROR));
    stent_backend_free(inner);
    return done();
}
