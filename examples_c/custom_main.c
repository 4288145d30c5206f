/* Is it a backend? Runs the library's own suite on the store of custom_backend.c, says what came of it, and runs a
 * workflow on another one.
 *
 *     custom_backend [CASES...]     such as claiming/ or records/an_existing_id; none: all */
#define _GNU_SOURCE
#include "custom_backend.h"
#include "json.h"

/* Ends the program with a message when a call has failed. */
static void must(stent_status status, stent_error **error) {
    if (status == STENT_OK) return;
    fprintf(stderr, "%s\n", stent_error_message(*error));
    exit(1);
}

static void print_member(const char *object, const char *name) {
    char *text = json_text(json_get(object, name));
    if (strcmp(text, "null") != 0) printf("        %s: %s\n", name, text);
    free(text);
}

static void print_case(const char *told) {
    char name[96];
    json_copy(json_get(told, "name"), name, sizeof name);
    if (json_has(told, "outcome", "passed")) printf("  yes   %s\n", name);
    if (!json_has(told, "outcome", "failed")) return;
    printf("  NO    %s\n", name);
    print_member(told, "expected");
    print_member(told, "got");
    print_member(told, "place");
}

/* The number of cases that failed. */
static long long print_report(const char *report) {
    long long passed = json_int(json_get(report, "passed")), failed = json_int(json_get(report, "failed"));
    for (const char *each = json_first(json_get(report, "cases")); each; each = json_next(each)) print_case(each);
    struct json_word level = json_word(json_get(report, "level"));
    printf("%lld passed, %lld failed, at the level of the %s.\n", passed, failed, level.text);
    printf("%lld cases need operations that this store does not answer. What a store of this level gives up:\n",
           json_int(json_get(report, "not_offered")));
    for (const char *each = json_first(json_get(report, "given_up")); each; each = json_next(each)) {
        char text[256];
        printf("  - %s\n", json_copy(each, text, sizeof text));
    }
    return failed;
}

static long long check(int count, char **names) {
    stent_backend *backend = NULL;
    stent_error *error = NULL;
    char *report = NULL, *only = NULL, *options;
    struct json_pile pile;
    json_begin(&pile, "[");
    for (int each = 0; each < count; each++) {
        char *name = json_format("\"%s\"", names[each]);
        json_add(&pile, "", name);
        free(name);
    }
    only = json_finish(&pile, "]");
    options = json_format("{\"only\": %s}", only);
    must(memory_backend_open(&backend, &error), &error);
    must(stent_backend_check(backend, options, &report, &error), &error);
    long long failed = print_report(report);
    free(only);
    free(options);
    stent_free(report);
    must(stent_backend_close(backend, &error), &error);
    stent_backend_free(backend);
    return failed;
}

/* bake("rye") -> {"bread": "rye"} */
static stent_status bake(void *user_data, stent_task *task) {
    (void)user_data;
    char *bread = json_text(json_at(stent_task_args(task), 0)), *result = json_format("{\"bread\": %s}", bread);
    stent_status status = stent_task_complete(task, result, NULL);
    free(bread);
    free(result);
    return status;
}

/* Bakes, lets it cool, and waits until somebody is hungry. */
static stent_status breakfast(void *user_data, stent_task *task) {
    char *baked = NULL, *guest = NULL;
    (void)user_data;
    stent_status status = stent_task_call(task, "bake", stent_task_args(task), NULL, &baked, NULL);
    if (status == STENT_OK) status = stent_task_sleep(task, "100ms", NULL);
    if (status == STENT_OK) status = stent_task_wait_signal(task, "hungry", NULL, &guest, NULL);
    if (status == STENT_OK) {
        char *result = json_format("{\"served\": %s, \"to\": %s}", baked, guest);
        status = stent_task_complete(task, result, NULL);
        free(result);
    }
    stent_free(baked);
    stent_free(guest);
    return status;
}

/* An executor takes the store like any other. */
static void run_a_workflow(void) {
    stent_backend *backend = NULL;
    stent_executor *executor = NULL;
    stent_worker *worker = NULL;
    stent_error *error = NULL;
    char *id = NULL, *result = NULL;
    must(memory_backend_open(&backend, &error), &error);
    must(stent_executor_new(backend, NULL, &executor, &error), &error);
    must(stent_executor_register(executor, "bake", NULL, bake, NULL, NULL, &error), &error);
    must(stent_executor_register(executor, "breakfast", NULL, breakfast, NULL, NULL, &error), &error);
    must(stent_worker_start(executor, NULL, NULL, &worker, &error), &error);
    must(stent_executor_dispatch(executor, "breakfast", "[\"rye\"]", NULL, &id, &error), &error);
    must(stent_executor_signal(executor, id, "hungry", "\"you\"", NULL, &error), &error);
    must(stent_executor_result(executor, id, 60000, &result, &error), &error);
    printf("A workflow on it: %s\n", result);
    must(stent_worker_stop(worker, 60000, &error), &error);
    must(stent_backend_close(backend, &error), &error);
    stent_free(id);
    stent_free(result);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
}

int main(int count, char **arguments) {
    long long failed = check(count - 1, arguments + 1);
    run_a_workflow();
    return stent_shutdown(60000, NULL) != STENT_OK || failed > 0;
}
