/* Coroutines of a poller: they wait as rows, go on where they stopped, and see arrivals one at a time, in order. */
#include "coroutines.h"

static struct host *host;

static void echo(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    complete(self, stent_task_args(self->task));
}

static void refuses(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    OK(stent_task_fail(self->task, "{\"type\": \"Refused\", \"message\": \"no\", \"retryable\": false}", ERROR));
}

/* A call, a sleep, a signal: three waits, one run. */
static void sequence(struct coroutine *self, const struct turn *turn) {
    char *uuid = NULL, *time = NULL;
    switch (self->at++) {
        case 0: spawn_call(host, self, 1, "echo", "[1]"); break;
        case 1:
            CHECK(turn->number == 1 && strcmp(turn->json, "[1]") == 0);
            OK(stent_task_uuid(self->task, &uuid, ERROR));
            OK(stent_task_now(self->task, &time, ERROR));
            CHECK(strlen(uuid) == 36 && has(time, "T"));
            OK(stent_task_counter_add(self->task, "calls", "1", ERROR));
            spawn_sleep(host, self, 2, "20ms");
            break;
        case 2:
            CHECK(turn->number == 2 && strcmp(turn->json, "null") == 0);
            OK(stent_task_spawn_wait_signal(self->task, "go", NULL, &self->op[3], ERROR));
            ask(host, self, 3);
            break;
        case 3:
            CHECK(turn->number == 3);
            complete(self, turn->json);
            break;
    }
    stent_free(uuid);
    stent_free(time);
    if (self->at < 4) {
        give_turn(self);
        /* Between turns nothing is to be done, and that is no error. */
        EXPECT(STENT_SUSPEND, stent_task_spawn_sleep(self->task, "1s", &self->op[4], ERROR));
        EXPECT(STENT_SUSPEND, stent_task_notify(self->task, self->op[1], host->poller, 1, ERROR));
        EXPECT(STENT_SUSPEND, stent_task_now(self->task, &time, ERROR));
        EXPECT(STENT_SUSPEND, stent_task_complete(self->task, "1", ERROR));
    }
}

/* Three calls at once, seen in the order in which they arrive; what follows on each is numbered by it. */
static void fan(struct coroutine *self, const struct turn *turn) {
    if (turn->number == 0) {
        for (int i = 1; i <= 3; i++) spawn_call(host, self, i, "echo", "[]");
    } else if (turn->number <= 3) {
        char result[16];
        snprintf(result, sizeof result, "%d", turn->number);
        see(self, result);
        spawn_call(host, self, turn->number + 3, "echo", "[]");
    } else if (++self->at == 3) {
        char result[300];
        snprintf(result, sizeof result, "\"%s\"", self->text);
        complete(self, result);
        return;
    }
    give_turn(self);
}

/* A race against time, and the loser cancelled: its end comes as an event like any other. */
static void race(struct coroutine *self, const struct turn *turn) {
    switch (turn->number) {
        case 0:
            OK(stent_task_spawn_wait_signal(self->task, "never", NULL, &self->op[1], ERROR));
            ask(host, self, 1);
            spawn_sleep(host, self, 2, "10ms");
            break;
        case 2:
            OK(stent_task_cancel_op(self->task, self->op[1], ERROR));
            break;
        case 1:
            CHECK(turn->status == STENT_E_CANCELLED && has(turn->json, "signal:never#1"));
            complete(self, "\"late\"");
            return;
    }
    give_turn(self);
}

/* A step that takes its time: what arrives meanwhile is seen, and its slot and lease stay. */
static void step(struct coroutine *self, const struct turn *turn) {
    int32_t recorded = -1;
    switch (turn->number) {
        case 0:
            OK(stent_task_step_begin(self->task, "slow", NULL, &self->op[1], &recorded, ERROR));
            CHECK(recorded == 0);
            ask(host, self, 1);
            spawn_sleep(host, self, 2, "10ms");
            break;
        case 2: {
            char *status = NULL;
            OK(stent_worker_status(host->worker, &status, ERROR));
            CHECK(!has(status, "\"running\":0"));
            stent_free(status);
            OK(stent_task_heartbeat(self->task, "\"half\"", ERROR));
            give_turn(self);
            OK(stent_task_heartbeat(self->task, "\"nearly\"", ERROR));
            /* Ended between turns. */
            OK(stent_task_step_end(self->task, self->op[1], "\"done\"", NULL, ERROR));
            return;
        }
        case 1:
            CHECK(strcmp(turn->json, "\"done\"") == 0);
            OK(stent_task_step_begin(self->task, "bad", NULL, &self->op[3], &recorded, ERROR));
            ask(host, self, 3);
            OK(stent_task_step_end(self->task, self->op[3], NULL, "{\"type\": \"Bad\"}", ERROR));
            EXPECT(STENT_E_INVALID, stent_task_step_end(self->task, self->op[3], "1", NULL, ERROR));
            break;
        case 3:
            CHECK(turn->status == STENT_E_FAILED && has(turn->json, "\"type\":\"Bad\""));
            complete(self, "\"stepped\"");
            return;
    }
    give_turn(self);
}

/* A group is told of once; the parent wakes once. */
static void group(struct coroutine *self, const struct turn *turn) {
    uint32_t ops[50];
    switch (self->at++) {
        case 0:
            for (int i = 0; i < 50; i++) {
                char args[16];
                snprintf(args, sizeof args, "[%d]", i);
                OK(stent_task_spawn_call(self->task, "echo", args, NULL, &ops[i], ERROR));
            }
            OK(stent_task_notify_all(self->task, ops, 50, host->poller, self->tag << 8 | 1, ERROR));
            EXPECT(STENT_E_CONFLICT, stent_task_notify(self->task, ops[7], host->poller, 1, ERROR));
            break;
        case 1:
            CHECK(strncmp(turn->json, "[[0],[1],[2],", 13) == 0 && has(turn->json, ",[49]]"));
            OK(stent_task_notify_all(self->task, NULL, 0, host->poller, self->tag << 8 | 2, ERROR));
            break;
        case 2:
            CHECK(turn->number == 2 && strcmp(turn->json, "[]") == 0);
            OK(stent_task_spawn_call(self->task, "echo", NULL, NULL, &ops[0], ERROR));
            OK(stent_task_spawn_call(self->task, "refuses", NULL, NULL, &ops[1], ERROR));
            OK(stent_task_notify_all(self->task, ops, 2, host->poller, self->tag << 8 | 3, ERROR));
            break;
        case 3: {
            CHECK(turn->status == STENT_E_FAILED && has(turn->json, "\"type\":\"Refused\""));
            /* Passed on as it is. */
            char *failure = strdup(strstr(turn->json, "\"failure\":") + 10);
            failure[strlen(failure) - 1] = '\0';
            OK(stent_task_fail(self->task, failure, ERROR));
            free(failure);
            return;
        }
    }
    give_turn(self);
}

/* Asks late, for what nobody wanted to know when it arrived. */
static void late(struct coroutine *self, const struct turn *turn) {
    switch (turn->number) {
        case 0:
            OK(stent_task_spawn_call(self->task, "echo", "[\"early\"]", NULL, &self->op[1], ERROR));
            spawn_sleep(host, self, 2, "200ms");
            break;
        case 2: ask(host, self, 1); break;
        case 1: complete(self, turn->json); return;
    }
    give_turn(self);
}

static void again(struct coroutine *self, const struct turn *turn) {
    if (has(stent_task_args(self->task), "3")) {
        complete(self, "\"third\"");
        return;
    }
    if (turn->number == 0) {
        spawn_call(host, self, 1, "echo", "[]");
        give_turn(self);
        return;
    }
    char next[16];
    snprintf(next, sizeof next, "[%d]", atoi(stent_task_args(self->task) + 1) + 1);
    OK(stent_task_continue(self->task, next, ERROR));
}

static struct function functions[] = {
    {"echo", NULL, echo, 0},   {"refuses", NULL, refuses, 0}, {"sequence", NULL, sequence, 0}, {"fan", NULL, fan, 0},
    {"race", NULL, race, 0},   {"step", NULL, step, 0},       {"group", NULL, group, 0},       {"late", NULL, late, 0},
    {"again", NULL, again, 0}, {NULL, NULL, NULL, 0}};

static int started(const char *name) {
    struct function *one = functions;
    while (strcmp(one->name, name) != 0) one++;
    return one->started;
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_store(count, arguments);
    host = new_host(backend, functions, "{\"max_concurrency\": 4}");

    char *id = dispatch(host->executor, "sequence", NULL), *state = NULL;
    OK(stent_executor_signal(host->executor, id, "go", "{\"to\": \"work\"}", NULL, ERROR));
    free(outcome(host, id, STENT_OK));
    CHECK(strcmp(host->last_json, "{\"to\": \"work\"}") == 0 && started("sequence") == 1);
    OK(stent_executor_state(host->executor, id, &state, ERROR));
    CHECK(has(state, "\"calls\":1"));
    stent_free(state);
    stent_free(id);

    id = dispatch(host->executor, "fan", NULL);
    free(outcome(host, id, STENT_OK));
    CHECK(strlen(host->last_json) == 7 && started("fan") == 1);
    stent_free(id);

    expect_result(host, "race", NULL, "\"late\"");
    expect_result(host, "step", NULL, "\"stepped\"");
    CHECK(started("race") == 1 && started("step") == 1);

    id = dispatch(host->executor, "group", NULL);
    free(outcome(host, id, STENT_E_FAILED));
    CHECK(has(host->last_json, "\"type\":\"Refused\"") && started("group") == 1);
    stent_free(id);

    expect_result(host, "late", NULL, "[\"early\"]");
    CHECK(started("late") == 1);
    expect_result(host, "again", "[1]", "\"third\"");
    CHECK(started("again") == 3);

    /* One slot is enough for any number of waiting coroutines. */
    CHECK(host->evicted == 0);
    free_host(host);
    stent_backend_free(backend);
    return done();
}
