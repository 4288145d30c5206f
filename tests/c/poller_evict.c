/* What takes a coroutine from its host: too many of them, another worker, a cancellation, a time-out, a drain, SIGKILL.
 * The task goes on from its record. */
#include "coroutines.h"

#include <signal.h>
#include <sys/wait.h>

static struct host *host;

/* Echoes, as an activity that takes no time. */
static void echo(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    complete(self, stent_task_args(self->task));
}

/* Three calls, two at once, and then a signal: what it saw, in order, is its result. */
static void saga(struct coroutine *self, const struct turn *turn) {
    if (turn->number > 0) {
        char seen[80];
        snprintf(seen, sizeof seen, "%d=%s", turn->number, turn->number == 4 ? "signal" : turn->json);
        see(self, seen);
    }
    if (turn->number == 0) {
        spawn_call(host, self, 1, "echo", "[1]");
    } else if (turn->number == 1) {
        spawn_call(host, self, 2, "echo", "[2]");
        spawn_call(host, self, 3, "echo", "[3]");
    } else if (turn->number < 4 && ++self->at == 2) {
        OK(stent_task_spawn_wait_signal(self->task, "go", NULL, &self->op[4], ERROR));
        ask(host, self, 4);
    } else if (turn->number == 4) {
        char result[300];
        snprintf(result, sizeof result, "\"%s\"", self->text);
        complete(self, result);
        return;
    }
    give_turn(self);
}

/* Holds its turn until it is told to stop. */
static void stubborn(struct coroutine *self, const struct turn *turn) { (void)self, (void)turn; }

static struct function functions[] = {
    {"echo", NULL, echo, 0}, {"saga", NULL, saga, 0}, {"stubborn", NULL, stubborn, 0}, {NULL, NULL, NULL, 0}};

static int sagas(void) { return functions[1].started; }

/* The one coroutine of a function that is alive. */
static struct coroutine *the_one(const char *function) {
    for (int i = 0; i < ROOM; i++)
        if (host->coroutines[i] && strcmp(host->coroutines[i]->function->name, function) == 0) return host->coroutines[i];
    return NULL;
}

/* A coroutine that has seen its three results waits for the signal, as rows. */
static int waits_for_signal(void) {
    struct coroutine *self = the_one("saga");
    char *status = NULL;
    if (!self || self->at != 2) return 0;
    OK(stent_worker_status(host->worker, &status, ERROR));
    int waits = has(status, "\"coroutines\":1") && has(status, "\"held\":0");
    stent_free(status);
    return waits;
}

static void go(const char *id) { OK(stent_executor_signal(host->executor, id, "go", NULL, NULL, ERROR)); }

/* In its order: 1 before 2 and 3, as they came the first time. */
static void check_saga(const char *id) {
    char *result = outcome(host, id, STENT_OK);
    CHECK(has(result, "1=[1]") && has(result, "2=[2]") && has(result, "3=[3]") && has(result, "4=signal\""));
    CHECK(strncmp(result, "\"1=[1],", 7) == 0);
    free(result);
}

/* One place only: each that comes to wait pushes the other out, and both get done. */
static void too_many(stent_backend *backend) {
    host = new_host(backend, functions, "{\"max_coroutines\": 1}");
    char *first = dispatch(host->executor, "saga", NULL), *second = dispatch(host->executor, "saga", NULL);
    PUMP(host, host->evicted >= 1);
    CHECK(host->last_evicted == STENT_OK && has(host->told_json, "\"reason\":\"full\""));
    go(first);
    go(second);
    check_saga(first);
    check_saga(second);
    CHECK(sagas() > 2);
    stent_free(first);
    stent_free(second);
    free_host(host);
}

/* Draining takes the waiting ones from the host; another host's worker replays them. */
static void drained(stent_backend *backend) {
    host = new_host(backend, functions, NULL);
    int before = sagas();
    char *id = dispatch(host->executor, "saga", NULL);
    PUMP(host, waits_for_signal());
    CHECK(sagas() == before + 1);
    stent_task *task = stent_task_ref(the_one("saga")->task);
    free_host(host);
    EXPECT(STENT_E_LEASE_LOST, stent_task_suspend(task, ERROR));
    stent_task_free(task);
    host = new_host(backend, functions, NULL);
    go(id);
    check_saga(id);
    CHECK(sagas() == before + 2);
    /* Warm, for comparison: no second run. */
    char *other = dispatch(host->executor, "saga", NULL);
    PUMP(host, waits_for_signal());
    go(other);
    check_saga(other);
    CHECK(sagas() == before + 3 && host->evicted == 0);
    stent_free(other);
    stent_free(id);
}

/* The host drops a coroutine that waits: it is as if it had been evicted. */
static void dropped(void) {
    int before = sagas();
    char *id = dispatch(host->executor, "saga", NULL);
    PUMP(host, waits_for_signal());
    forget(host, the_one("saga"));
    go(id);
    check_saga(id);
    CHECK(sagas() == before + 2);
    stent_free(id);
}

static void cancelled(void) {
    /* One that waits is evicted. */
    char *id = dispatch(host->executor, "saga", NULL);
    PUMP(host, waits_for_signal());
    int evicted = host->evicted;
    OK(stent_executor_cancel(host->executor, id, NULL, ERROR));
    PUMP(host, host->evicted == evicted + 1 && host->live == 0);
    CHECK(host->last_evicted == STENT_E_CANCELLED && has(host->told_json, "\"reason\":\"cancelled\""));
    free(outcome(host, id, STENT_E_CANCELLED));
    stent_free(id);
    /* One that runs is told, and ends as it likes. */
    id = dispatch(host->executor, "stubborn", NULL);
    PUMP(host, the_one("stubborn"));
    stent_task *task = the_one("stubborn")->task;
    OK(stent_executor_cancel(host->executor, id, NULL, ERROR));
    PUMP(host, host->cancelled == 1);
    CHECK(host->last_cancelled == STENT_E_CANCELLED && stent_task_is_cancelled(task) == 1);
    EXPECT(STENT_E_CANCELLED, stent_task_complete(task, "1", ERROR));
    PUMP(host, host->live == 0);
    CHECK(host->last_ended == STENT_E_CANCELLED);
    free(outcome(host, id, STENT_E_CANCELLED));
    stent_free(id);
    /* Or just drops it. */
    id = dispatch(host->executor, "stubborn", NULL);
    PUMP(host, the_one("stubborn"));
    OK(stent_executor_cancel(host->executor, id, NULL, ERROR));
    PUMP(host, host->cancelled == 2);
    forget(host, the_one("stubborn"));
    free(outcome(host, id, STENT_E_CANCELLED));
    stent_free(id);
}

/* What is cancelled before its event is taken does not come at all. */
static void cancelled_unseen(void) {
    int before = functions[2].started;
    char *id = dispatch(host->executor, "stubborn", NULL);
    struct pollfd watched = {stent_poller_fd(host->poller), POLLIN, 0};
    CHECK(poll(&watched, 1, PATIENCE_MS) == 1);
    OK(stent_executor_cancel(host->executor, id, NULL, ERROR));
    free(outcome(host, id, STENT_E_CANCELLED));
    CHECK(functions[2].started == before && host->live == 0);
    stent_free(id);
}

static void timed_out(void) {
    /* Long enough for it to begin. */
    const char *options = "{\"timeout\": \"1s\", \"retry_policy\": {\"max_attempts\": 1}}";
    char *id = NULL;
    int cancelled = host->cancelled, ended = host->ended;
    OK(stent_executor_dispatch(host->executor, "stubborn", NULL, options, &id, ERROR));
    PUMP(host, host->cancelled == cancelled + 1);
    CHECK(host->last_cancelled == STENT_E_TIMEOUT && has(host->told_json, "\"reason\":\"timed_out\""));
    free(outcome(host, id, STENT_E_FAILED));
    CHECK(has(host->last_json, "\"type\":\"Timeout\"") && host->ended == ended);
    EXPECT(STENT_E_LEASE_LOST, stent_task_fail(the_one("stubborn")->task, "{\"type\": \"Late\"}", ERROR));
    PUMP(host, host->live == 0);
    CHECK(host->last_ended == STENT_E_LEASE_LOST);
    stent_free(id);
}

/* Somebody takes a running task away. */
static void taken_over(stent_backend *backend) {
    char *id = dispatch(host->executor, "stubborn", NULL), *answer = NULL, request[1024];
    PUMP(host, the_one("stubborn"));
    stent_task *task = the_one("stubborn")->task;
    char *task_id = member(stent_task_info(task), "task_id");
    snprintf(request, sizeof request, "{\"task_id\": \"%s\"}", task_id);
    OK(stent_backend_call(backend, "get_task", request, &answer, ERROR));
    char *update = malloc(strlen(answer) + 32);
    sprintf(update, "{\"task\": %s}", answer);
    OK(stent_backend_call(backend, "update_task", update, NULL, ERROR));
    free(update);
    stent_free(answer);
    OK(stent_task_progress(task, "\"too late\"", ERROR));
    int evicted = host->evicted;
    PUMP(host, host->evicted == evicted + 1);
    CHECK(host->last_evicted == STENT_E_LEASE_LOST && has(host->told_json, "\"reason\":\"taken_over\""));
    OK(stent_executor_cancel(host->executor, id, NULL, ERROR));
    free(task_id);
    stent_free(id);
}

/* A worker that is stopped without patience evicts what runs; the host may still be at it. */
static void stopped(stent_backend *backend) {
    char *id = dispatch(host->executor, "stubborn", NULL);
    PUMP(host, the_one("stubborn"));
    stent_task *task = stent_task_ref(the_one("stubborn")->task);
    EXPECT(STENT_E_TIMEOUT, stent_worker_stop(host->worker, 1, ERROR));
    int evicted = host->evicted;
    PUMP(host, host->evicted == evicted + 1);
    EXPECT(STENT_E_LEASE_LOST, stent_task_complete(task, "1", ERROR));
    stent_task_free(task);
    free_host(host);
    host = new_host(backend, functions, NULL);
    PUMP(host, the_one("stubborn"));
    char *attempt = member(stent_task_info(the_one("stubborn")->task), "attempt");
    CHECK(strcmp(attempt, "1") == 0);
    complete(the_one("stubborn"), "\"at last\"");
    char *result = outcome(host, id, STENT_OK);
    CHECK(strcmp(result, "\"at last\"") == 0);
    free(result);
    free(attempt);
    stent_free(id);
}

/* The process that has the coroutine dies by SIGKILL. Its successor waits for the end of its lease, and replays. */
static int child(stent_backend *backend, const char *id) {
    host = new_host(backend, functions, "{\"lease_duration\": \"1s\"}");
    OK(stent_executor_dispatch(host->executor, "saga", NULL, id, NULL, ERROR));
    PUMP(host, waits_for_signal());
    OK(stent_executor_dispatch(host->executor, "stubborn", NULL, NULL, NULL, ERROR));
    PUMP(host, the_one("stubborn"));
    return kill(getpid(), SIGKILL);
}

static void killed(stent_backend *backend, char **arguments, const char *url) {
    const char *id = "0199c0de-0000-7000-8000-000000000001";
    int before = sagas(), state = 0;
    pid_t process = fork();
    if (process == 0) {
        char *again[] = {arguments[0], arguments[1], "killed", (char *)url, NULL};
        execv(arguments[0], again);
        _exit(9);
    }
    CHECK(waitpid(process, &state, 0) == process && WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL);
    host = new_host(backend, functions, NULL);
    go(id);
    check_saga(id);
    CHECK(sagas() == before + 1);
    PUMP(host, the_one("stubborn"));
    complete(the_one("stubborn"), NULL);
    PUMP(host, host->live == 0);
    free_host(host);
}

int main(int count, char **arguments) {
    char path[512];
    begin(count, arguments);
    stent_backend *backend = open_store(count, arguments);
    if (strcmp(arguments[2], "killed") == 0) return child(backend, "{\"id\": \"0199c0de-0000-7000-8000-000000000001\"}");
    too_many(backend);
    drained(backend);
    dropped();
    cancelled();
    cancelled_unseen();
    timed_out();
    taken_over(backend);
    stopped(backend);
    free_host(host);
    killed(backend, arguments, store_url(count, arguments, path));
    stent_backend_free(backend);
    return done();
}
