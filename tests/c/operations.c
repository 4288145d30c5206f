/* What operators do: list, look, count, replay and discard dead letters, clean up; and options of dispatch. */
#include "check.h"

static atomic_int repaired;

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static stent_status flaky(void *user_data, stent_task *task) {
    (void)user_data;
    if (atomic_load(&repaired)) return stent_task_complete(task, "\"repaired\"", NULL);
    return stent_task_fail(task, "{\"type\": \"Broken\", \"message\": \"still\", \"retryable\": false}", NULL);
}

static stent_status kwargs(void *user_data, stent_task *task) {
    (void)user_data;
    CHECK(has(stent_task_info(task), "\"queue\":\"blue\"") && has(stent_task_info(task), "\"tags\":[\"big\"]"));
    return stent_task_complete(task, stent_task_kwargs(task), NULL);
}

static void dispatching(stent_executor *executor) {
    char *ids = NULL, *id = NULL, *same = NULL, *text = NULL;
    OK(stent_executor_dispatch(executor, "kwargs", NULL,
                               "{\"kwargs\": {\"b\": 1, \"a\": [2]}, \"queue\": \"blue\", \"tags\": [\"big\"], \"priority\": 5,"
                               " \"delay\": \"5ms\", \"max_duration\": \"1h\"}",
                               &id, ERROR));
    OK(stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "{\"b\": 1, \"a\": [2]}") == 0);
    stent_free(text);
    stent_free(id);

    /* One key, one execution; with other arguments it is a mistake. */
    const char *key = "{\"idempotency_key\": \"order-7\"}";
    OK(stent_executor_dispatch(executor, "echo", "[{\"a\": 1, \"b\": 2}]", key, &id, ERROR));
    OK(stent_executor_dispatch(executor, "echo", "[{\"b\":2,\"a\":1}]", key, &same, ERROR));
    CHECK(strcmp(id, same) == 0);
    stent_free(same);
    EXPECT(STENT_E_CONFLICT, stent_executor_dispatch(executor, "echo", "[3]", key, &same, ERROR));
    OK(stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    stent_free(id);

    /* One of a key at a time; who wants no other is told whose it is. */
    const char *unique = "{\"unique_key\": \"nightly\", \"unique_for\": \"1h\"}";
    stent_error *error = NULL;
    OK(stent_executor_dispatch(executor, "echo", "[1]", unique, &id, ERROR));
    OK(stent_executor_dispatch(executor, "echo", "[2]", unique, &same, ERROR));
    CHECK(strcmp(id, same) == 0);
    stent_free(same);
    CHECK(stent_executor_dispatch(executor, "echo", "[3]",
                                  "{\"unique_key\": \"nightly\", \"unique_for\": \"1h\", \"unique_existing\": \"refuse\"}",
                                  &same, &error) == STENT_E_CONFLICT);
    CHECK(has(stent_error_json(error), id) && has(stent_error_json(error), "\"unique_key\":\"nightly\""));
    stent_error_free(error);
    OK(stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "[1]") == 0);
    stent_free(text);
    stent_free(id);

    OK(stent_executor_dispatch_many(executor, "[]", &ids, ERROR));
    CHECK(strcmp(ids, "[]") == 0);
    stent_free(ids);
    OK(stent_executor_dispatch_many(executor, "[{\"function\": \"echo\", \"args\": [1]}, {\"function\": \"echo\", \"options\": {\"priority\": 1}}]",
                                    &ids, ERROR));
    CHECK(strlen(ids) == 2 * 38 + 3);
    ids[38] = '\0';
    OK(stent_executor_result(executor, ids + 2, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "[1]") == 0);
    stent_free(text);
    stent_free(ids);
}

static void dead_letters(stent_executor *executor) {
    char *id = dispatch(executor, "flaky", NULL), *text = NULL;
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    OK(stent_executor_dead_letters(executor, "{\"function\": \"flaky\"}", &text, ERROR));
    CHECK(has(text, "\"reason\":") && has(text, "\"moved_at\":") && has(text, id));
    char *task_id = member(text, "id");
    stent_free(text);

    atomic_store(&repaired, 1);
    OK(stent_executor_replay_dead_letter(executor, task_id, NULL, &text, ERROR));
    char *fork = member(text, "execution_id"), *origin = member(text, "replay_of");
    CHECK(strcmp(origin, id) == 0 && strcmp(fork, id) != 0);
    stent_free(text);
    OK(stent_executor_result(executor, fork, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "\"repaired\"") == 0);
    stent_free(text);
    CHECK(is_in_state(executor, id, "failed"));
    EXPECT(STENT_E_NOT_FOUND, stent_executor_replay_dead_letter(executor, task_id, NULL, &text, ERROR));
    free(task_id);
    free(fork);
    free(origin);
    stent_free(id);

    atomic_store(&repaired, 0);
    id = dispatch(executor, "flaky", NULL);
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    OK(stent_executor_dead_letters(executor, NULL, &text, ERROR));
    task_id = member(text, "id");
    stent_free(text);
    OK(stent_executor_discard_dead_letter(executor, task_id, ERROR));
    EXPECT(STENT_E_NOT_FOUND, stent_executor_discard_dead_letter(executor, task_id, ERROR));
    OK(stent_executor_dead_letters(executor, NULL, &text, ERROR));
    CHECK(strcmp(text, "[]") == 0);
    stent_free(text);
    free(task_id);
    stent_free(id);
}

static void schedules(stent_executor *executor) {
    const char *daily = "{\"name\": \"daily\", \"function\": \"echo\", \"args\": [7], \"cron\": \"@daily\","
                        " \"time_zone\": \"Europe/Berlin\", \"overlap\": \"queue_all\"}";
    char *text = NULL, *id = NULL;
    EXPECT(STENT_E_INVALID, stent_executor_schedule_put(executor, "{\"name\": \"daily\", \"function\": \"echo\"}", ERROR));
    SAYS("give one of them");
    OK(stent_executor_schedule_put(executor, daily, ERROR));
    OK(stent_executor_schedule_list(executor, "{\"next\": 1}", &text, ERROR));
    CHECK(has(text, "\"name\":\"daily\"") && has(text, "\"cron\":\"@daily\"") && has(text, "\"paused_at\":null"));
    stent_free(text);
    OK(stent_executor_schedule_trigger(executor, "daily", NULL, &text, ERROR));
    CHECK(has(text, "\"kind\":\"triggered\"") && has(text, "\"state\":\"started\""));
    id = member(text, "execution_id");
    stent_free(text);
    OK(stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "[7]") == 0);
    stent_free(text);
    free(id);
    OK(stent_executor_schedule_pause(executor, "daily", "{\"note\": \"holidays\"}", ERROR));
    OK(stent_executor_schedule_list(executor, NULL, &text, ERROR));
    CHECK(has(text, "\"pause_note\":\"holidays\"") && has(text, "\"next\":[]"));
    stent_free(text);
    OK(stent_executor_schedule_resume(executor, "daily", ERROR));
    OK(stent_executor_schedule_backfill(executor, "daily",
                                        "{\"from\": \"2026-03-28T00:00:00Z\", \"to\": \"2026-03-29T23:00:00Z\"}", &text, ERROR));
    /* A day of 23 hours. */
    CHECK(has(text, "\"at\":\"2026-03-28T23:00:00.000000Z\"") && has(text, "\"at\":\"2026-03-29T22:00:00.000000Z\""));
    stent_free(text);
    OK(stent_executor_schedules_declare(executor, "me", "[]", "{\"remove_others\": true}", ERROR));
    const char *schedules = "[]";
    stent_error *error = NULL;
    stent_status status;
    status = stent_executor_schedules_declare(executor, "billing", schedules, "{\"remove_others\": true}", &error);
    CHECK(status == STENT_OK && error == NULL);
    OK(stent_executor_schedule_delete(executor, "daily", ERROR));
    EXPECT(STENT_E_NOT_FOUND, stent_executor_schedule_delete(executor, "daily", ERROR));
    SAYS("no schedule 'daily'");
}

static void looking(stent_executor *executor, stent_worker *worker) {
    char *text = NULL;
    OK(stent_executor_list(executor, "{\"state\": \"completed\", \"function\": \"echo\", \"limit\": 2}", &text, ERROR));
    CHECK(has(text, "\"root_function\":\"echo\"") && !has(text, "\"failed\""));
    stent_free(text);
    OK(stent_executor_list(executor, "{\"queue\": \"blue\"}", &text, ERROR));
    CHECK(has(text, "\"kwargs\":{\"b\": 1") && !has(text, "\"root_function\":\"echo\""));
    stent_free(text);
    OK(stent_executor_stats(executor, NULL, &text, ERROR));
    CHECK(has(text, "\"completed\":") && has(text, "\"dead_letters\":0"));
    stent_free(text);
    OK(stent_executor_stats(executor, "{\"format\": \"prometheus\"}", &text, ERROR));
    CHECK(has(text, "# TYPE ") && has(text, "stent_"));
    stent_free(text);
    OK(stent_worker_status(worker, &text, ERROR));
    CHECK(has(text, "\"worker_id\":\"the one\"") && has(text, "\"state\":\"ready\"") && has(text, "\"flaky\""));
    stent_free(text);
}

/* What schedules have started may still run. What a unique key's window answers with is kept as long as that lasts. */
static int cleaned(stent_executor *executor) {
    char *text = NULL;
    OK(stent_executor_cleanup(executor, "{\"older_than\": 0}", &text, ERROR));
    stent_free(text);
    OK(stent_executor_list(executor, NULL, &text, ERROR));
    const char *kept = strstr(text, "\"root_function\":\"echo\"");
    int only = kept && !strstr(kept + 1, "\"root_function\"") && !has(text, "\"queue\":\"blue\"");
    stent_free(text);
    return only;
}

static void cleaning(stent_executor *executor) {
    char *text = NULL;
    OK(stent_executor_cleanup(executor, NULL, &text, ERROR));
    CHECK(has(text, "\"executions\":0") && has(text, "\"dead_letters\":0"));
    stent_free(text);
    OK(stent_executor_cleanup(executor, "{\"older_than\": 0, \"dead_letters\": 0}", &text, ERROR));
    CHECK(!has(text, "\"executions\":0"));
    stent_free(text);
    WAIT_FOR(cleaned(executor));
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("operations.db");
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "echo", NULL, echo, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "flaky", NULL, flaky, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "kwargs", NULL, kwargs, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, "{\"worker_id\": \"the one\", \"cleanup_interval\": null}");
    OK(stent_worker_wait(worker, "ready", PATIENCE_MS, ERROR));
    dispatching(executor);
    dead_letters(executor);
    looking(executor, worker);
    schedules(executor);
    cleaning(executor);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
