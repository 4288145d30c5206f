/* A body that always blocks its host: it goes from one worker to the other, dies as what kills its process does, and what
 * ran beside it does not. */
#include "coroutines.h"

#define HOSTS 2
#define HARMLESS 4
#define DEATHS_MAX 12

/* Never gives its turn back; for the poison the test takes no events either. */
static void hold(struct coroutine *self, const struct turn *turn) { (void)self, (void)turn; }

static const char *options = "{\"max_concurrency\": 8, \"lease_duration\": \"2s\", \"host_timeout\": \"1s\"}";

static struct coroutine *of(struct host *host, const char *function) {
    for (int i = 0; i < ROOM; i++)
        if (host->coroutines[i] && strcmp(host->coroutines[i]->function->name, function) == 0) return host->coroutines[i];
    return NULL;
}

static int counts_as_dead(struct host *host) {
    char *status = NULL;
    OK(stent_worker_status(host->worker, &status, ERROR));
    int found = has(status, "counts as dead");
    stent_free(status);
    return found;
}

static int is_over(struct host *host, const char *id) {
    return is_in_state(host->executor, id, "failed") || is_in_state(host->executor, id, "completed");
}

/* Its lease may be over. */
static void complete_harmless(struct host *host) {
    for (int i = 0; i < ROOM; i++) {
        struct coroutine *one = host->coroutines[i];
        if (!one || strcmp(one->function->name, "harmless") != 0 || one->at) continue;
        one->at = 1;
        stent_status status = stent_task_complete(one->task, "\"done\"", ERROR);
        CHECK(status == STENT_OK || status == STENT_E_LEASE_LOST);
    }
}

int main(int count, char **arguments) {
    struct function functions[HOSTS][3];
    struct host *hosts[HOSTS];
    char *ids[HARMLESS], *letters = NULL;
    begin(count, arguments);
    stent_backend *backend = open_store(count, arguments);
    for (int i = 0; i < HOSTS; i++) {
        functions[i][0] = (struct function){"poison", "{\"retry_policy\": {\"max_deaths\": 2, \"max_attempts\": 1}}", hold, 0};
        functions[i][1] = (struct function){"harmless", "{\"retry_policy\": {\"max_deaths\": 1, \"max_attempts\": 1}}", hold, 0};
        functions[i][2] = (struct function){NULL, NULL, NULL, 0};
        hosts[i] = new_host(backend, functions[i], options);
    }
    for (int i = 0; i < HARMLESS; i++) ids[i] = dispatch(hosts[0]->executor, "harmless", NULL);
    char *poison = dispatch(hosts[0]->executor, "poison", NULL);

    int blocked = 0;
    for (int64_t until = now_ms() + PATIENCE_MS; !is_over(hosts[0], poison);) {
        if (now_ms() > until || blocked > DEATHS_MAX) FAIL("it goes on for ever: %d hosts were blocked", blocked);
        for (int i = 0; i < HOSTS; i++) {
            pump(hosts[i]);
            if (of(hosts[i], "poison")) {
                struct host *other = hosts[(i + 1) % HOSTS];
                for (blocked++; !counts_as_dead(hosts[i]);) {
                    /* Where it is too by now, it waits. */
                    if (!of(other, "poison")) pump(other);
                    if (now_ms() > until) FAIL("a host that takes no events does not count as dead");
                }
                PUMP(hosts[i], !of(hosts[i], "poison"));
            }
            complete_harmless(hosts[i]);
        }
    }
    /* Alone that often, and before it beside others. */
    CHECK(blocked >= 2);
    char *failure = outcome(hosts[0], poison, STENT_E_FAILED);
    CHECK(has(failure, "WorkerDied"));
    free(failure);
    OK(stent_executor_dead_letters(hosts[0]->executor, NULL, &letters, ERROR));
    CHECK(has(letters, "died 2 times in a row") && has(letters, "an event loop that stands still counts as dead"));
    CHECK(!has(letters, "\"step_name\":\"harmless\""));
    stent_free(letters);
    for (int i = 0; i < HARMLESS; i++) {
        for (int64_t until = now_ms() + PATIENCE_MS; !is_over(hosts[0], ids[i]);) {
            if (now_ms() > until) FAIL("what ran beside it is not over");
            for (int j = 0; j < HOSTS; j++) pump(hosts[j]), complete_harmless(hosts[j]);
        }
        CHECK(is_in_state(hosts[0]->executor, ids[i], "completed"));
        stent_free(ids[i]);
    }
    stent_free(poison);
    for (int i = 0; i < HOSTS; i++) free_host(hosts[i]);
    stent_backend_free(backend);
    return done();
}
