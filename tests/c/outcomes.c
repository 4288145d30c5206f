/* What becomes of a task, by what its handler does and returns: also when it does what it should not. */
#include "check.h"

static stent_executor *executor;

static stent_status says_nothing(void *user_data, stent_task *task) { return (void)user_data, (void)task, STENT_OK; }

static stent_status strange_status(void *user_data, stent_task *task) { return (void)user_data, (void)task, 4711; }

static stent_status strange_error(void *user_data, stent_task *task) { return (void)user_data, (void)task, -4711; }

/* A result that is no JSON is refused, and the task can still be completed properly. */
static stent_status not_json(void *user_data, stent_task *task) {
    (void)user_data;
    EXPECT(STENT_E_INVALID, stent_task_complete(task, "{\"half\":", ERROR));
    SAYS("result");
    EXPECT(STENT_E_INVALID, stent_task_fail(task, "{\"message\": \"no type\"}", ERROR));
    SAYS("type");
    EXPECT(STENT_E_INVALID, stent_task_continue(task, "{}", ERROR));
    forget_error();
    return stent_task_complete(task, "{\"whole\": 12345678901234567890.10}", NULL);
}

/* Passing on the status of a failed call fails the task, with that call's message. */
static stent_status passes_status(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, "not json at all", NULL);
}

static stent_status fails_at_once(void *user_data, stent_task *task) {
    (void)user_data;
    OK(stent_task_fail(task,
                       "{\"type\": \"Payment\", \"message\": \"no funds\", \"code\": \"51\", \"retryable\": false,"
                       " \"details\": {\"limit\": 10}, \"stack\": \"here\"}",
                       ERROR));
    return STENT_OK;
}

static atomic_int attempts;

static stent_status third_time(void *user_data, stent_task *task) {
    (void)user_data;
    char attempt[32];
    int n = atomic_fetch_add(&attempts, 1) + 1;
    snprintf(attempt, sizeof attempt, "\"attempt\":%d,", n);
    CHECK(has(stent_task_info(task), attempt));
    if (n < 3) return stent_task_fail(task, "\"not yet\"", NULL);
    return stent_task_complete(task, "3", NULL);
}

static stent_status parent_of_failure(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_call(task, "fails_at_once", NULL, NULL, NULL, NULL);
}

static stent_status counts_down(void *user_data, stent_task *task) {
    (void)user_data;
    int left = atoi(stent_task_args(task) + 1);
    char arguments[32];
    if (left == 0) return stent_task_complete(task, "\"landed\"", NULL);
    snprintf(arguments, sizeof arguments, "[%d]", left - 1);
    return stent_task_continue(task, arguments, NULL);
}

static stent_status base64(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, "{\"$base64\": \"/wA=\"}", NULL);
}

/* Bytes come out as bytes, also where they spell JSON: 123, and {"$base64":"AA=="}. An object that only looks so has one
   key more around it. */
static const char *const BYTES[] = {
    "{\"$base64\":\"MTIz\"}",
    "{\"$base64\":\"eyIkYmFzZTY0IjoiQUE9PSJ9\"}",
    "{\"$base64\":{\"$base64\":\"AA==\"}}",
};

static stent_status spells_json(void *user_data, stent_task *task) {
    (void)user_data;
    char index = 0;
    if (sscanf(stent_task_args(task), "[%c", &index) != 1) return STENT_E_INVALID;
    return stent_task_complete(task, BYTES[index - '0'], NULL);
}

static stent_status not_base64(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, "{\"u\": {\"$base64\": \"%%%\"}}", NULL);
}

/* Cut in the middle of a character, in UTF-8 and as an escape. */
static stent_status cut(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_fail(task, "{\"type\": \"Cut\", \"message\": \"one \xf0\x9f\x98 two \\ud83d\"}", NULL);
}

/* Not now, and then again: the same attempt, which may not fail once. */
static stent_status not_now(void *user_data, stent_task *task) {
    (void)user_data;
    CHECK(has(stent_task_info(task), "\"attempt\":1,"));
    if (has(stent_task_info(task), "\"snoozes\":0")) {
        EXPECT(STENT_E_INVALID, stent_task_snooze(task, "in a while", ERROR));
        SAYS("in a while");
        EXPECT(STENT_E_INVALID, stent_task_snooze(task, NULL, ERROR));
        SAYS("duration is NULL");
        OK(stent_task_snooze(task, "1ms", ERROR));
        EXPECT(STENT_E_CONFLICT, stent_task_complete(task, "\"too late\"", ERROR));
        return STENT_OK;
    }
    if (has(stent_task_info(task), "\"snoozes\":1")) return stent_task_snooze(task, "0.001", NULL);
    return stent_task_complete(task, "\"now\"", NULL);
}

/* Another server is busy: the next attempt waits for as long as its header says. */
static stent_status busy(void *user_data, stent_task *task) {
    (void)user_data;
    static atomic_llong failed_at;
    if (has(stent_task_info(task), "\"attempt\":1,")) {
        atomic_store(&failed_at, now_ms());
        return stent_task_fail(task, "{\"type\": \"Busy\", \"message\": \"429\", \"retry_after\": \"1\"}", NULL);
    }
    CHECK(now_ms() - atomic_load(&failed_at) >= 1000);
    return stent_task_complete(task, "\"served\"", NULL);
}

/* Another server wants nobody to ask for a second: whoever comes next waits for that. */
static stent_status told_to_wait(void *user_data, stent_task *task) {
    (void)user_data;
    static atomic_llong told_at;
    if (!has(stent_task_args(task), "first")) {
        CHECK(now_ms() - atomic_load(&told_at) >= 1000);
        return stent_task_complete(task, "\"served\"", NULL);
    }
    EXPECT(STENT_E_INVALID, stent_task_hold(task, "queue", "1", ERROR));
    SAYS("'queue' is not what is held");
    EXPECT(STENT_E_INVALID, stent_task_hold(task, "key", NULL, ERROR));
    SAYS("time is NULL");
    /* What nobody can read does not count, and a shorter one makes none shorter. */
    OK(stent_task_hold(task, "function", "soon", ERROR));
    OK(stent_task_hold(task, "function", "1", ERROR));
    OK(stent_task_hold(task, "function", "1ms", ERROR));
    atomic_store(&told_at, now_ms());
    return stent_task_complete(task, "\"told\"", NULL);
}

/* The execution fails, and its failure says so. */
static void fails(const char *function, const char *type, const char *message) {
    char *id = dispatch(executor, function, NULL);
    OK(stent_executor_wait(executor, id, PATIENCE_MS, NULL, ERROR));
    CHECK(is_in_state(executor, id, "failed"));
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"type\":\"%s\"", type);
    SAYS(wanted);
    SAYS(message);
    stent_free(id);
}

static void gives(const char *function, const char *arguments, const char *wanted) {
    char *id = dispatch(executor, function, arguments), *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    if (strcmp(result, wanted) != 0) FAIL("%s gave %s instead of %s", function, result, wanted);
    stent_free(result);
    stent_free(id);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("outcomes.db");
    executor = new_executor(backend);
    const char *once = "{\"retry_policy\": {\"max_attempts\": 1}}";
    const char *quickly = "{\"retry_policy\": {\"max_attempts\": 3, \"initial_delay\": \"1ms\"}}";
    OK(stent_executor_register(executor, "says_nothing", once, says_nothing, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "strange_status", once, strange_status, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "strange_error", once, strange_error, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "not_json", once, not_json, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "passes_status", once, passes_status, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "fails_at_once", quickly, fails_at_once, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "third_time", quickly, third_time, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "parent_of_failure", quickly, parent_of_failure, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "counts_down", once, counts_down, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "base64", once, base64, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "spells_json", once, spells_json, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "not_base64", once, not_base64, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "cut", once, cut, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "not_now", once, not_now, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "busy", quickly, busy, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "told_to_wait", once, told_to_wait, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);

    fails("says_nothing", "NoOutcome", "STENT_OK");
    fails("strange_status", "BadStatus", "4711");
    fails("strange_error", "BadStatus", "-4711");
    fails("passes_status", "INVALID", "not json at all");
    fails("fails_at_once", "Payment", "no funds");
    SAYS("\"code\":\"51\"");
    SAYS("\"limit\"");
    fails("parent_of_failure", "Payment", "no funds");
    gives("not_json", NULL, "{\"whole\": 12345678901234567890.10}");
    gives("third_time", NULL, "3");
    CHECK(atomic_load(&attempts) == 3);
    gives("not_now", NULL, "\"now\"");
    gives("busy", NULL, "\"served\"");
    gives("told_to_wait", "[\"first\"]", "\"told\"");
    gives("told_to_wait", "[\"second\"]", "\"served\"");
    gives("counts_down", "[5]", "\"landed\"");
    gives("base64", NULL, "{\"$base64\":\"/wA=\"}");
    gives("spells_json", "[0]", BYTES[0]);
    gives("spells_json", "[1]", BYTES[1]);
    gives("spells_json", "[2]", BYTES[2]);
    fails("not_base64", "INVALID", "is not base64");
    fails("cut", "Cut", "one \xef\xbf\xbd two \xef\xbf\xbd");

    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
