/* Each status can be reached, and is what the header says. STENT_E_PANIC is a defect: a unit test provokes it. Those of
 * one subject are in other programs too: FORKED in fork.c, WRONG_THREAD in wrong_thread.c, LEASE_LOST in lease_lost.c. */
#include "check.h"

static stent_executor *executor;
static atomic_int runs, started, go_on, saw_cancel;

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static stent_status fails(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_fail(task, "{\"type\": \"Broken\", \"retryable\": false}", NULL);
}

/* OK, PENDING and SUSPEND of durable calls. */
static stent_status awaits(void *user_data, stent_task *task) {
    (void)user_data;
    uint32_t op = 0, first = 0;
    char *text = NULL;
    int again = atomic_fetch_add(&runs, 1) > 0;
    CHECK(stent_task_is_replaying(task) == again);
    OK(stent_task_spawn_call(task, "echo", "[1]", NULL, &op, ERROR));
    if (!again) {
        EXPECT(STENT_PENDING, stent_task_result(task, op, &text, ERROR));
        CHECK(last_error == NULL && text == NULL);
        EXPECT(STENT_SUSPEND, stent_task_await(task, &op, 1, STENT_WAIT_ALL, 0, &first, ERROR));
        CHECK(last_error == NULL && first == 0);
        return STENT_SUSPEND;
    }
    OK(stent_task_await(task, &op, 1, STENT_WAIT_ALL, 0, &first, ERROR));
    CHECK(first == op && stent_task_is_replaying(task) == 0);
    OK(stent_task_result(task, op, &text, ERROR));
    CHECK(strcmp(text, "[1]") == 0);
    stent_free(text);
    EXPECT(STENT_E_INVALID, stent_task_await(task, &op, 1, 7, 0, NULL, ERROR));
    SAYS("STENT_WAIT_ANY");
    EXPECT(STENT_E_INVALID, stent_task_await(task, NULL, 1, STENT_WAIT_ALL, 0, NULL, ERROR));
    SAYS("ops is NULL");
    EXPECT(STENT_E_INVALID, stent_task_cancel_op(task, 77, ERROR));
    SAYS("77");
    forget_error();
    return stent_task_complete(task, NULL, NULL);
}

/* Asks for something else in every run. */
static stent_status fickle(void *user_data, stent_task *task) {
    (void)user_data;
    stent_status status = atomic_fetch_add(&runs, 1) == 0 ? stent_task_call(task, "echo", "[1]", NULL, NULL, ERROR)
                                                          : stent_task_call(task, "echo", "[2]", NULL, NULL, ERROR);
    if (status != STENT_SUSPEND) {
        expect(__FILE__, __LINE__, "a call with other arguments", STENT_E_NONDETERMINISM, status);
        SAYS("[1]");
        SAYS("[2]");
        EXPECT(STENT_E_NONDETERMINISM, stent_task_sleep(task, "1s", ERROR));
        forget_error();
    }
    return status;
}

static stent_status patient(void *user_data, stent_task *task) {
    (void)user_data;
    atomic_store(&started, 1);
    WAIT_FOR(atomic_load(&go_on) || stent_task_is_cancelled(task));
    if (stent_task_is_cancelled(task)) {
        EXPECT(STENT_E_CANCELLED, stent_task_heartbeat(task, NULL, ERROR));
        EXPECT(STENT_E_CANCELLED, stent_task_complete(task, "\"too late\"", ERROR));
        forget_error();
        atomic_store(&saw_cancel, 1);
        return STENT_E_CANCELLED;
    }
    return stent_task_complete(task, "\"at last\"", NULL);
}

static void executions(void) {
    char *id = dispatch(executor, "awaits", NULL), *text = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR));
    stent_free(id);

    EXPECT(STENT_E_NOT_FOUND, stent_executor_state(executor, "00000000-0000-7000-8000-000000000000", &text, ERROR));
    EXPECT(STENT_E_NOT_FOUND, stent_executor_wait(executor, "00000000-0000-7000-8000-000000000000", 0, &text, ERROR));
    EXPECT(STENT_E_NOT_FOUND, stent_executor_cancel(executor, "00000000-0000-7000-8000-000000000000", NULL, ERROR));
    EXPECT(STENT_E_NOT_FOUND,
           stent_executor_signal(executor, "00000000-0000-7000-8000-000000000000", "s", NULL, NULL, ERROR));

    const char *mine = "{\"id\": \"018f3c1e-7b5a-7c3d-9e4f-0123456789ab\"}";
    OK(stent_executor_dispatch(executor, "echo", NULL, mine, &id, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_executor_dispatch(executor, "echo", NULL, mine, &text, ERROR));
    stent_free(id);

    id = dispatch(executor, "fails", NULL);
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    SAYS("\"failure\":{\"type\":\"Broken\"");
    OK(stent_executor_wait(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(has(text, "\"state\":\"failed\""));
    stent_free(text);
    text = NULL;
    EXPECT(STENT_E_CONFLICT, stent_executor_signal(executor, id, "s", NULL, NULL, ERROR));
    stent_free(id);
}

static void timeouts_and_cancellation(void) {
    char *id = dispatch(executor, "patient", NULL), *text = NULL;
    WAIT_FOR(atomic_load(&started));
    EXPECT(STENT_E_TIMEOUT, stent_executor_wait(executor, id, 0, &text, ERROR));
    EXPECT(STENT_E_TIMEOUT, stent_executor_result(executor, id, 1, &text, ERROR));
    SAYS("\"state\":\"running\"");
    atomic_store(&go_on, 1);
    OK(stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    CHECK(strcmp(text, "\"at last\"") == 0);
    stent_free(text);
    text = NULL;
    stent_free(id);

    atomic_store(&go_on, 0);
    atomic_store(&started, 0);
    id = dispatch(executor, "patient", NULL);
    WAIT_FOR(atomic_load(&started));
    OK(stent_executor_cancel(executor, id, "enough", ERROR));
    EXPECT(STENT_E_CANCELLED, stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    SAYS("enough");
    CHECK(atomic_load(&saw_cancel));
    EXPECT(STENT_E_CONFLICT, stent_executor_cancel(executor, id, NULL, ERROR));
    stent_free(id);

    /* An execution that runs out of its time. */
    atomic_store(&started, 0);
    OK(stent_executor_dispatch(executor, "nobody has it", NULL, "{\"expiry\": \"10ms\"}", &id, ERROR));
    EXPECT(STENT_E_TIMEOUT, stent_executor_result(executor, id, PATIENCE_MS, &text, ERROR));
    SAYS("timed_out");
    stent_free(id);
    CHECK(text == NULL);
}

/* A mismatch parks the task: it neither fails nor loops. */
static void nondeterminism(void) {
    atomic_store(&runs, 0);
    char *id = dispatch(executor, "fickle", NULL), *text = NULL;
    do {
        stent_free(text);
        nap();
        OK(stent_executor_stats(executor, NULL, &text, ERROR));
    } while (!has(text, "\"parked\":1"));
    stent_free(text);
    OK(stent_executor_state(executor, id, &text, ERROR));
    CHECK(!has(text, "\"state\":\"failed\""));
    stent_free(text);
    EXPECT(STENT_E_NOT_FOUND, stent_executor_resume(executor, "00000000-0000-7000-8000-000000000000", NULL, ERROR));
    stent_free(id);
}

static void stores(void) {
    char path[512];
    stent_backend *backend = NULL;
    EXPECT(STENT_E_INVALID, stent_backend_open("postgresql://user:secret@localhost/db?min_sise=1", NULL, &backend, ERROR));
    CHECK(!has(stent_error_json(last_error), "secret"));
    /* Another store's name makes no file, and its password is not told. */
    const char *others[] = {"mysql://user:secret@localhost/db", "postgress://u:secret@h/d", "redis:secret", "file:x.db"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        EXPECT(STENT_E_UNSUPPORTED, stent_backend_open(others[i], NULL, &backend, ERROR));
        CHECK(!has(stent_error_json(last_error), "secret"));
        CHECK(access(others[i], F_OK) != 0);
    }
    EXPECT(STENT_E_INVALID, stent_backend_open("host=localhost pasword=secret", NULL, &backend, ERROR));
    SAYS("'pasword' is not known");
    CHECK(!has(stent_error_json(last_error), "secret"));

    /* Of a long value a message repeats its beginning. */
    char *name = malloc(100001);
    CHECK(name != NULL);
    memset(name, 'x', 100000);
    name[100000] = 0;
    backend = open_backend(":memory:");
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, name, NULL, NULL, ERROR));
    SAYS("(the first 200 of 100000 bytes)");
    CHECK(strlen(stent_error_message(last_error)) < 4000);
    OK(stent_backend_close(backend, ERROR));
    stent_backend_free(backend);
    backend = NULL;
    free(name);

    /* A foreign file is refused, and left as it was. */
    FILE *file = fopen(file_in_folder(path, "letter.txt"), "w");
    CHECK(file != NULL && fputs("Dear Sir or Madam, this is no database, and it is longer than a header is.", file) >= 0);
    CHECK(fclose(file) == 0);
    EXPECT(STENT_E_BACKEND, stent_backend_open(path, NULL, &backend, ERROR));
    char letter[16] = "";
    file = fopen(path, "r");
    CHECK(file != NULL && fgets(letter, sizeof letter, file) != NULL && fclose(file) == 0);
    CHECK(strcmp(letter, "Dear Sir or Mad") == 0);
    EXPECT(STENT_E_BACKEND, stent_backend_open(file_in_folder(path, "no/such/folder/x.db"), NULL, &backend, ERROR));
    CHECK(backend == NULL);

    backend = open_backend(":memory:");
    EXPECT(STENT_E_INVALID, stent_backend_backup(backend, NULL, NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_backup(backend, file_in_folder(path, "copy.db"), "{\"level\": 9}", ERROR));
    OK(stent_backend_backup(backend, path, NULL, ERROR));
    EXPECT(STENT_E_CONFLICT, stent_backend_backup(backend, path, NULL, ERROR));
    stent_backend *copy = NULL;
    OK(stent_backend_open(path, NULL, &copy, ERROR));
    stent_backend_free(copy);
    stent_executor *other = new_executor(backend);
    OK(stent_backend_close(backend, ERROR));
    EXPECT(STENT_E_CLOSED, stent_executor_dispatch(other, "f", NULL, NULL, NULL, ERROR));
    EXPECT(STENT_E_CLOSED, stent_backend_init_db(backend, ERROR));
    EXPECT(STENT_E_CLOSED, stent_backend_backup(backend, file_in_folder(path, "none.db"), NULL, ERROR));
    stent_executor_free(other);
    stent_backend_free(backend);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("statuses.db");
    executor = new_executor(backend);
    OK(stent_executor_register(executor, "echo", NULL, echo, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "fails", NULL, fails, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "awaits", NULL, awaits, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "fickle", NULL, fickle, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "patient", NULL, patient, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL), *second = NULL;
    EXPECT(STENT_E_INVALID, stent_worker_start(executor, NULL, (stent_poller *)&runs, &second, ERROR));
    OK(stent_worker_start(executor, "{\"worker_id\": \"w\"}", NULL, &second, ERROR));
    stent_worker *third = NULL;
    EXPECT(STENT_E_CONFLICT, stent_worker_start(executor, "{\"worker_id\": \"w\"}", NULL, &third, ERROR));
    OK(stent_worker_wait(second, "ready", PATIENCE_MS, ERROR));
    EXPECT(STENT_E_TIMEOUT, stent_worker_wait(second, "stopped", 1, ERROR));
    EXPECT(STENT_E_INVALID, stent_worker_wait(second, "asleep", 1, ERROR));
    OK(stent_worker_stop(second, PATIENCE_MS, ERROR));
    executions();
    timeouts_and_cancellation();
    nondeterminism();
    stores();
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_worker_free(second);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
