/* A host that takes no events any more: what it held goes to another, and it goes on when it takes events again. */
#include "coroutines.h"

#define HELD 3

/* Holds its turn, as a body does that never returns to its loop. */
static void hold(struct coroutine *self, const struct turn *turn) { (void)self, (void)turn; }

/* Ends at once, and counts which attempt it was. */
static int first, second;
static void end(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    char *attempt = member(stent_task_info(self->task), "attempt");
    if (strcmp(attempt, "1") == 0) first++;
    else second++;
    free(attempt);
    complete(self, "\"done\"");
}

static struct function of_the_silent[] = {{"hold", NULL, hold, 0}, {NULL, NULL, NULL, 0}};
static struct function of_the_other[] = {{"hold", NULL, end, 0}, {NULL, NULL, NULL, 0}};

static int status_has(struct host *host, const char *part) {
    char *status = NULL;
    OK(stent_worker_status(host->worker, &status, ERROR));
    int found = has(status, part);
    stent_free(status);
    return found;
}

static struct coroutine *any_of(struct host *host) {
    for (int i = 0; i < ROOM; i++)
        if (host->coroutines[i]) return host->coroutines[i];
    return NULL;
}

static void complete_all(struct host *host) {
    for (int i = 0; i < ROOM; i++)
        if (host->coroutines[i]) complete(host->coroutines[i], "\"done\"");
}

int main(int count, char **arguments) {
    char *ids[HELD + 2], *text = NULL;
    begin(count, arguments);
    stent_backend *backend = open_store(count, arguments);
    struct host *silent = new_host(backend, of_the_silent, "{\"host_timeout\": \"5s\"}");
    for (int i = 0; i < HELD; i++) ids[i] = dispatch(silent->executor, "hold", NULL);
    PUMP(silent, silent->live == HELD);
    /* A thread that waits for events lives, whether any come or not: and loses nothing. */
    stent_event *event = NULL;
    EXPECT(STENT_PENDING, stent_poller_next(silent->poller, 6000, &event, ERROR));
    CHECK(event == NULL && !status_has(silent, "takes no events") && status_has(silent, "\"held\":3"));
    /* One more comes, and is not taken. */
    ids[HELD] = dispatch(silent->executor, "hold", NULL);
    WAIT_FOR(status_has(silent, "\"held\":4"));

    struct host *other = new_host(backend, of_the_other, NULL);
    PUMP(other, other->ended == HELD + 1);
    CHECK(status_has(silent, "\"trouble\":\"host: has taken no events for 5s and counts as dead"));
    CHECK(status_has(silent, "newest first: hold (task "));
    OK(stent_executor_stats(silent->executor, "{\"format\": \"prometheus\"}", &text, ERROR));
    CHECK(has(text, "stent_dead_hosts_total ") && !has(text, "stent_dead_hosts_total 0\n"));
    stent_free(text);
    /* It was a death for what had begun, whose turn it was, and nothing for what was not taken; nothing new goes to it. */
    CHECK(first == 1 && second == HELD);
    ids[HELD + 1] = dispatch(silent->executor, "hold", NULL);
    PUMP(other, other->ended == HELD + 2);
    CHECK(status_has(silent, "\"held\":0"));
    /* Its own end of a task comes too late. */
    EXPECT(STENT_E_LEASE_LOST, stent_task_complete(any_of(silent)->task, "\"late\"", ERROR));
    for (int i = 0; i < HELD + 2; i++) {
        char *result = outcome(other, ids[i], STENT_OK);
        CHECK(strcmp(result, "\"done\"") == 0);
        free(result);
        stent_free(ids[i]);
    }
    free_host(other);

    /* It takes events again: it is told what it lost, and what it never took does not come. */
    PUMP(silent, silent->live == 0 && status_has(silent, "\"trouble\":null"));
    CHECK(of_the_silent[0].started == HELD && silent->last_evicted == STENT_E_LEASE_LOST);
    char *id = dispatch(silent->executor, "hold", NULL);
    PUMP(silent, silent->live == 1);
    complete_all(silent);
    free(outcome(silent, id, STENT_OK));
    stent_free(id);
    free_host(silent);
    stent_backend_free(backend);
    return done();
}
