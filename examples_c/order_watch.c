/* What the demo and the soak share: they start workers as processes of their own, and look at orders from outside. */
#define _GNU_SOURCE
#include "order_watch.h"
#include "json.h"

#include <spawn.h>
#include <string.h>

extern char **environ;

pid_t start_worker(const struct shop *shop)
{
    char program[] = "order_workflow", mode[] = "worker", database[sizeof shop->database];
    char *const args[] = {program, mode, strcpy(database, shop->database), NULL};
    pid_t pid;
    setenv("ORDER_DEMO", "1", 1);
    int code = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ);
    if (code != 0) {
        fprintf(stderr, "starting a worker: %s\n", strerror(code));
        exit(1);
    }
    return pid;
}

char *stage_of(stent_executor *executor, const char *execution, char *out, size_t size)
{
    stent_error *error = NULL;
    char *seen = NULL;
    must(stent_executor_state(executor, execution, &seen, &error), &error, "looking at an order");
    json_copy(json_get(json_get(seen, "state_values"), "stage"), out, size);
    stent_free(seen);
    return out;
}

int is_over(stent_executor *executor, const char *execution)
{
    stent_error *error = NULL;
    stent_status status = stent_executor_wait(executor, execution, 0, NULL, &error);
    if (status == STENT_E_TIMEOUT) {
        stent_error_free(error);
        return 0;
    }
    must(status, &error, "waiting for an order");
    return 1;
}

int read_steps(stent_backend *backend, const char *execution, struct step *steps, int room)
{
    stent_error *error = NULL;
    char *request = json_format("{\"execution_id\": \"%s\"}", execution), *tasks = NULL;
    int count = 0;
    must(stent_backend_call(backend, "list_tasks_for_execution", request, &tasks, &error), &error, "reading steps");
    for (const char *at = json_first(tasks); at && count < room; at = json_next(at)) {
        struct step *step = &steps[count++];
        const char *key = json_get(at, "step_key"), *kind = json_get(at, "kind");
        memset(step, 0, sizeof *step);
        json_copy(json_get(at, "id"), step->id, sizeof step->id);
        json_copy(json_is(key, "null") ? json_get(at, "step_name") : key, step->key, sizeof step->key);
        json_copy(json_get(at, "state"), step->state, sizeof step->state);
        json_copy(json_get(at, "worker_id"), step->by, sizeof step->by);
        json_copy(json_get(at, "result"), step->result, sizeof step->result);
        step->attempts = (int)json_int(json_get(at, "retries")) + 1;
        step->recorded = strcmp(step->state, "completed") == 0;
        step->has_body = json_is(kind, "\"orchestrator\"") || json_is(kind, "\"activity\"");
    }
    stent_free(tasks);
    free(request);
    return count;
}

int runs_of(const char *runs, const char *task, pid_t pid)
{
    int count = 0;
    char *start = pid ? json_format("%s %d ", task, (int)pid) : json_format("%s ", task);
    for (const char *at = runs; (at = strstr(at, start)); at++) count++;
    free(start);
    return count;
}

int promise(int held, const char *text)
{
    const char *on = !in_colour() ? "" : held ? "\033[32m" : "\033[31m";
    printf("  %s%s%s  %s\n", on, held ? "yes" : "NO ", *on ? "\033[0m" : "", text);
    return held ? 0 : 1;
}
