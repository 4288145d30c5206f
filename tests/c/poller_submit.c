/* Every operation of an executor without blocking: a request goes in, and one reply comes out. */
#include "coroutines.h"

static struct host *host;
static uint64_t last_tag = 100;

static void echo(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    complete(self, stent_task_args(self->task));
}

static void fails(struct coroutine *self, const struct turn *turn) {
    (void)turn;
    OK(stent_task_fail(self->task, "{\"type\": \"Broken\", \"retryable\": false}", ERROR));
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

static struct function functions[] = {
    {"echo", NULL, echo, 0}, {"fails", NULL, fails, 0}, {"waits", NULL, waits, 0}, {NULL, NULL, NULL, 0}};

/* The reply's JSON, in the host. */
static const char *submit(const char *operation, const char *request, stent_status wanted) {
    uint64_t before = host->replies;
    OK(stent_executor_submit(host->executor, operation, request, host->poller, ++last_tag, ERROR));
    PUMP(host, host->replies > before);
    CHECK(host->last_reply_tag == last_tag);
    if (host->last_reply != wanted) FAIL("%s %s: %s", operation, request ? request : "", host->last_json);
    return host->last_json;
}

/* A request about one execution or task. */
static const char *about(const char *operation, const char *key, const char *id, const char *more, stent_status wanted) {
    char request[512];
    snprintf(request, sizeof request, "{\"%s\": \"%s\"%s}", key, id, more);
    return submit(operation, request, wanted);
}

/* An id as it stands in a reply, without its quotes; to be freed. */
static char *id_in(const char *json) {
    CHECK(json[0] == '"' && strlen(json) == 38);
    return strndup(json + 1, 36);
}

/* The one coroutine that there is waits, as rows. */
static int one_waits(void) {
    char *status = NULL;
    OK(stent_worker_status(host->worker, &status, ERROR));
    int waits = has(status, "\"coroutines\":1") && has(status, "\"held\":0");
    stent_free(status);
    return waits;
}

static void executions(void) {
    char *id = id_in(submit("dispatch", "{\"function\": \"waits\", \"options\": {\"tags\": [\"t\"]}}", STENT_OK));
    about("wait", "execution_id", id, ", \"timeout\": 0.01", STENT_E_TIMEOUT);
    CHECK(has(host->last_json, "\"status\":\"TIMEOUT\""));
    about("state", "execution_id", id, "", STENT_OK);
    CHECK(has(host->last_json, "\"root_function\":\"waits\""));
    about("signal", "execution_id", id, ", \"name\": \"go\", \"payload\": {\"n\": 1}, \"id\": \"once\"", STENT_OK);
    CHECK(strcmp(host->last_json, "null") == 0);
    CHECK(has(about("result", "execution_id", id, "", STENT_OK), "{\"n\": 1}"));
    CHECK(has(about("wait", "execution_id", id, ", \"timeout\": null", STENT_OK), "\"state\":\"completed\""));
    about("signal", "execution_id", id, ", \"name\": \"go\"", STENT_E_CONFLICT);
    free(id);

    CHECK(has(submit("dispatch_many", "{\"requests\": [{\"function\": \"echo\"}, {\"function\": \"fails\"}]}", STENT_OK), "\",\""));
    char *second = strndup(strchr(host->last_json, ',') + 2, 36);
    about("result", "execution_id", second, "", STENT_E_FAILED);
    CHECK(has(host->last_json, "\"type\":\"Broken\""));
    free(second);

    id = id_in(submit("dispatch", "{\"function\": \"waits\"}", STENT_OK));
    PUMP(host, one_waits());
    about("cancel", "execution_id", id, ", \"reason\": \"enough\"", STENT_OK);
    about("result", "execution_id", id, "", STENT_E_CANCELLED);
    CHECK(has(host->last_json, "enough"));
    about("state", "execution_id", "00000000-0000-4000-8000-000000000000", "", STENT_E_NOT_FOUND);
    free(id);
    CHECK(has(submit("list", "{\"function\": \"waits\", \"limit\": 1}", STENT_OK), "\"state\":\"cancelled\""));
}

static void operators(void) {
    CHECK(has(submit("stats", NULL, STENT_OK), "\"dead_letters\":1"));
    CHECK(has(submit("stats", "{\"format\": \"prometheus\"}", STENT_OK), "stent_dead_letters 1\\n"));
    char *task = member(submit("dead_letters", "{\"function\": \"fails\"}", STENT_OK), "id");
    CHECK(has(about("replay_dead_letter", "task_id", task, "", STENT_OK), "\"replay_of\":"));
    free(task);
    char *id = member(host->last_json, "execution_id");
    about("result", "execution_id", id, "", STENT_E_FAILED);
    free(id);
    task = member(submit("dead_letters", NULL, STENT_OK), "id");
    about("resume", "task_id", task, "", STENT_E_CONFLICT);
    about("discard_dead_letter", "task_id", task, "", STENT_OK);
    about("discard_dead_letter", "task_id", task, "", STENT_E_NOT_FOUND);
    free(task);
    CHECK(has(submit("cleanup", "{\"older_than\": \"1d\"}", STENT_OK), "\"executions\":0"));
    submit("schedule_put", "{\"name\": \"s\", \"function\": \"waits\", \"times\": [\"9000-01-01T00:00:00Z\"]}", STENT_OK);
    CHECK(has(submit("schedule_list", NULL, STENT_OK), "\"next\":[\"9000-01-01T00:00:00.000000Z\"]"));
    submit("schedule_pause", "{\"name\": \"s\", \"note\": \"why\"}", STENT_OK);
    CHECK(has(submit("schedule_list", NULL, STENT_OK), "\"pause_note\":\"why\""));
    submit("schedule_resume", "{\"name\": \"s\"}", STENT_OK);
    const char *past = "{\"name\": \"s\", \"from\": \"2020-01-01T00:00:00Z\", \"to\": \"2020-01-02T00:00:00Z\"}";
    CHECK(strcmp(submit("schedule_backfill", past, STENT_OK), "[]") == 0);
    submit("schedule_trigger", "{\"name\": \"t\", \"overlap\": \"allow\"}", STENT_E_NOT_FOUND);
    submit("schedule_delete", "{\"name\": \"s\"}", STENT_OK);
    submit("schedule_delete", "{\"name\": \"s\"}", STENT_E_NOT_FOUND);
    submit("backend_call", "{\"operation\": \"count_executions\", \"request\": {\"state\": \"completed\"}}", STENT_OK);
    CHECK(strcmp(host->last_json, "2") == 0);
    submit("backend_call", "{\"operation\": \"close\"}", STENT_E_INVALID);
    submit("backend_call", "{\"operation\": \"no such thing\"}", STENT_E_INVALID);
}

static void wrong(void) {
    EXPECT(STENT_E_INVALID, stent_executor_submit(host->executor, "no such thing", NULL, host->poller, 1, ERROR));
    SAYS("dispatch_many");
    EXPECT(STENT_E_INVALID, stent_executor_submit(host->executor, "wait", "{}", host->poller, 1, ERROR));
    SAYS("execution_id is missing");
    EXPECT(STENT_E_INVALID, stent_executor_submit(host->executor, "wait", "[", host->poller, 1, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_submit(host->executor, "wait", NULL, NULL, 1, ERROR));
    EXPECT(STENT_E_INVALID, stent_executor_submit(host->executor, NULL, NULL, host->poller, 1, ERROR));
}

/* Nobody wants to wait any more. */
static void given_up(void) {
    char *id = id_in(submit("dispatch", "{\"function\": \"waits\"}", STENT_OK)), request[80];
    uint64_t before = host->replies;
    snprintf(request, sizeof request, "{\"execution_id\": \"%s\"}", id);
    OK(stent_executor_submit(host->executor, "result", request, host->poller, 7, ERROR));
    OK(stent_executor_submit_cancel(host->executor, host->poller, 7, ERROR));
    PUMP(host, host->replies > before);
    CHECK(host->last_reply_tag == 7 && host->last_reply == STENT_E_CANCELLED);
    EXPECT(STENT_E_NOT_FOUND, stent_executor_submit_cancel(host->executor, host->poller, 7, ERROR));
    /* The execution itself goes on. */
    about("signal", "execution_id", id, ", \"name\": \"go\"", STENT_OK);
    about("result", "execution_id", id, "", STENT_OK);

    /* A poller that goes takes its questions with it. */
    stent_poller *another = NULL;
    OK(stent_poller_new(&another, ERROR));
    OK(stent_executor_submit(host->executor, "dispatch", "{\"function\": \"echo\"}", another, 8, ERROR));
    stent_poller_free(another);
    EXPECT(STENT_E_INVALID, stent_executor_submit(host->executor, "stats", NULL, another, 8, ERROR));
    free(id);
}

/* The log comes as events; nothing is called back. */
static void logs(void) {
    stent_poller *poller = NULL;
    stent_event *event = NULL;
    OK(stent_poller_new(&poller, ERROR));
    OK(stent_poller_log(poller, "{\"level\": \"error\"}", ERROR));
    free(id_in(submit("dispatch", "{\"function\": \"fails\"}", STENT_OK)));
    PUMP(host, stent_poller_next(poller, 0, &event, NULL) == STENT_OK);
    CHECK(strcmp(stent_event_type(event), "log") == 0 && stent_event_tag(event) == STENT_LOG_ERROR);
    CHECK(has(stent_event_json(event), "dead-lettered") && has(stent_event_json(event), "\"level\":\"error\""));
    stent_event_free(event);
    stent_poller_free(poller);
    free(id_in(submit("dispatch", "{\"function\": \"fails\"}", STENT_OK)));
    OK(stent_set_log_handler(NULL, NULL, NULL, NULL, ERROR));
}

static void workers(stent_backend *backend) {
    stent_worker *worker = NULL;
    OK(stent_worker_start(host->executor, "{\"worker_id\": \"w\"}", NULL, &worker, ERROR));
    submit("wait_worker", "{\"worker_id\": \"w\", \"state\": \"ready\"}", STENT_OK);
    submit("wait_worker", "{\"worker_id\": \"w\", \"state\": \"stopped\", \"timeout\": 0.01}", STENT_E_TIMEOUT);
    submit("wait_worker", "{\"worker_id\": \"w\", \"state\": \"asleep\"}", STENT_E_INVALID);
    submit("stop_worker", "{\"worker_id\": \"w\", \"timeout\": \"20s\"}", STENT_OK);
    submit("stop_worker", "{\"worker_id\": \"nobody\"}", STENT_E_NOT_FOUND);
    stent_worker_free(worker);

    /* What waits when the store is closed is told. */
    stent_executor *executor = host->executor;
    char *id = id_in(submit("dispatch", "{\"function\": \"nobody has it\"}", STENT_OK)), request[80];
    snprintf(request, sizeof request, "{\"execution_id\": \"%s\"}", id);
    uint64_t before = host->replies;
    OK(stent_executor_submit(executor, "wait", request, host->poller, 9, ERROR));
    OK(stent_worker_drain(host->worker, ERROR));
    PUMP(host, host->stopped && host->live == 0);
    OK(stent_worker_wait(host->worker, "stopped", PATIENCE_MS, ERROR));
    OK(stent_backend_close(backend, ERROR));
    PUMP(host, host->replies > before);
    CHECK(host->last_reply_tag == 9 && host->last_reply == STENT_E_CLOSED);
    EXPECT(STENT_E_CLOSED, stent_executor_submit(executor, "stats", NULL, host->poller, 1, ERROR));
    free(id);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_store(count, arguments);
    host = new_host(backend, functions, NULL);
    wrong();
    executions();
    operators();
    given_up();
    logs();
    workers(backend);
    free_host(host);
    stent_backend_free(backend);
    return done();
}
