/* Ten thousand coroutines that wait in one process cost memory and nothing else; and how fast events come. */
#include "coroutines.h"

static struct host *host;

static void noop(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    complete(self, NULL);
}

static void waits(struct coroutine *self, const struct turn *turn) {
    if (turn->number == 1) {
        complete(self, turn->json);
        return;
    }
    OK(stent_task_spawn_wait_signal(self->task, "go", NULL, &self->op[1], ERROR));
    ask(host, self, 1);
    give_turn(self);
}

static struct function functions[] = {{"noop", NULL, noop, 0}, {"waits", NULL, waits, 0}, {NULL, NULL, NULL, 0}};

static void dispatch_many(const char *function, int count) {
    for (int done = 0; done < count; done += 500) {
        char *requests = malloc(500 * 64), *end = requests, *ids = NULL;
        CHECK(requests != NULL);
        end += sprintf(end, "[");
        for (int i = done; i < done + 500 && i < count; i++)
            end += sprintf(end, "%s{\"function\": \"%s\"}", i > done ? "," : "", function);
        sprintf(end, "]");
        OK(stent_executor_dispatch_many(host->executor, requests, &ids, ERROR));
        stent_free(ids);
        free(requests);
    }
}

/* A number of the worker's status. */
static long status_of(const char *key) {
    char *status = NULL;
    OK(stent_worker_status(host->worker, &status, ERROR));
    char *value = member(status, key);
    long number = atol(value);
    free(value);
    stent_free(status);
    return number;
}

static long resident_kb(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &pages, &resident) == 2 && fclose(file) == 0);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    const char *preload = getenv("LD_PRELOAD");
    int slow = preload != NULL && strstr(preload, "vgpreload") != NULL;
    int waiting = slow ? 100 : 10000, activities = slow ? 200 : 20000;
    stent_backend *backend = open_store(count, arguments);
    host = new_host(backend, functions, "{\"max_concurrency\": 256, \"prefetch\": 1024}");

    dispatch_many("noop", activities);
    int64_t began = now_ms();
    PUMP(host, host->ended == activities);
    printf("%d activities, two events each: %.0f events a second\n", activities,
           2000.0 * activities / (double)(now_ms() - began + 1));

    long before = resident_kb();
    dispatch_many("waits", waiting);
    PUMP(host, host->live == waiting && status_of("coroutines") == waiting);
    printf("%d coroutines wait: %ld KiB\n", waiting, resident_kb() - before);
    CHECK(status_of("running") == 0 && status_of("held") == 0);
    if (!slow) CHECK(resident_kb() - before < 160 * 1024);

    /* All of them go on where they stopped. */
    char filter[64], *executions = NULL;
    snprintf(filter, sizeof filter, "{\"function\": \"waits\", \"limit\": %d}", waiting);
    OK(stent_executor_list(host->executor, filter, &executions, ERROR));
    int sent = 0;
    for (const char *at = executions; (at = strstr(at, "{\"id\":\"")) != NULL; at += 8, sent++) {
        char request[160];
        snprintf(request, sizeof request, "{\"execution_id\": \"%.36s\", \"name\": \"go\"}", at + 7);
        OK(stent_executor_submit(host->executor, "signal", request, host->poller, 1, ERROR));
    }
    stent_free(executions);
    CHECK(sent == waiting);
    PUMP(host, host->ended == activities + waiting);
    CHECK(functions[1].started == waiting && host->evicted == 0 && host->last_reply == STENT_OK);
    free_host(host);
    stent_backend_free(backend);
    return done();
}
