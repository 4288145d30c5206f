/* The last calls of a program: in destructors of thread-locals and of pthread keys, and in atexit, where the library's own
 * thread-locals are gone. They work, or answer CLOSED; and nothing is printed. */
#include "check.h"

#include <fcntl.h>
#include <sys/wait.h>

static stent_backend *backend;
static stent_executor *executor;
static stent_worker *worker;
static atomic_int begun, ended, freed, gate, keys_done;
static pthread_key_t key;

static stent_status slow(void *user_data, stent_task *task) {
    (void)user_data;
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&gate)) nap();
    struct timespec while_others_end = {0, 50000000};
    nanosleep(&while_others_end, NULL);
    atomic_fetch_add(&ended, 1);
    return stent_task_complete(task, NULL, NULL);
}

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

/* Every kind of call. */
static void all_that_a_program_does(void) {
    stent_error *error = NULL;
    CHECK(stent_backend_open("/no/such/folder/file.db", NULL, NULL, &error) == STENT_E_INVALID);
    CHECK(has(stent_error_json(error), "INVALID") && has(stent_error_message(error), "NULL"));
    stent_error_free(error);
    stent_backend *another = NULL;
    CHECK(stent_backend_open("/no/such/folder/file.db", NULL, &another, &error) == STENT_E_BACKEND);
    stent_error_free(error);
    CHECK(stent_backend_open(":memory:", NULL, &another, NULL) == STENT_OK);
    stent_executor *made = NULL;
    CHECK(stent_executor_new(another, NULL, &made, NULL) == STENT_OK);
    CHECK(stent_executor_register(made, "echo", NULL, echo, &freed, count_free, NULL) == STENT_OK);
    stent_worker *started = NULL;
    CHECK(stent_worker_start(made, NULL, NULL, &started, NULL) == STENT_OK);
    char *id = NULL, *result = NULL, *answer = NULL;
    CHECK(stent_executor_dispatch(made, "echo", "[1]", NULL, &id, NULL) == STENT_OK);
    CHECK(stent_executor_result(made, id, PATIENCE_MS, &result, NULL) == STENT_OK && strcmp(result, "[1]") == 0);
    CHECK(stent_executor_wait(made, id, 1, NULL, NULL) == STENT_OK);
    CHECK(stent_executor_stats(made, NULL, &answer, NULL) == STENT_OK);
    CHECK(stent_describe() != NULL && strcmp(stent_status_name(-1), "INVALID") == 0);
    stent_free(id), stent_free(result), stent_free(answer);
    stent_poller *poller = NULL;
    stent_event *event = NULL;
    CHECK(stent_poller_new(&poller, NULL) == STENT_OK);
    CHECK(stent_poller_next(poller, 1, &event, NULL) == STENT_PENDING);
    CHECK(stent_poller_fd(poller) >= 0);
    stent_poller_free(poller);
    CHECK(stent_worker_stop(started, PATIENCE_MS, NULL) == STENT_OK);
    stent_worker_free(started);
    stent_executor_free(made);
    CHECK(stent_backend_shutdown(another, PATIENCE_MS, NULL) == STENT_OK);
    stent_backend_free(another);
}

static void at_key(void *value) {
    (void)value;
    all_that_a_program_does();
    atomic_fetch_add(&keys_done, 1);
}

/* A thread that has used the library, and one that has not. */
static void *with_key(void *used) {
    if (used) CHECK(stent_executor_stats(executor, NULL, NULL, NULL) == STENT_OK);
    CHECK(pthread_setspecific(key, &key) == 0);
    return NULL;
}

static void at_exit(void) {
    all_that_a_program_does();
    /* Waits for the handler that runs, as a C++ static does. */
    atomic_store(&gate, 1);
    CHECK(stent_worker_stop(worker, PATIENCE_MS, NULL) == STENT_OK);
    CHECK(atomic_load(&ended) == 1);
    CHECK(stent_shutdown(PATIENCE_MS, NULL) == STENT_OK);
    char *answer = NULL;
    CHECK(stent_backend_call(backend, "count_executions", NULL, &answer, NULL) == STENT_E_CLOSED);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    CHECK(stent_shutdown(PATIENCE_MS, NULL) == STENT_OK);
}

/* What a child prints is read, for a panic is a line on stderr and nothing else. */
static void run_in_child(int output) {
    CHECK(dup2(output, STDERR_FILENO) >= 0);
    backend = open_backend("at_exit.db");
    executor = new_executor(backend);
    CHECK(atexit(at_exit) == 0);
    OK(stent_executor_register(executor, "slow", NULL, slow, NULL, NULL, ERROR));
    worker = start_worker(executor, NULL);
    stent_free(dispatch(executor, "slow", NULL));
    WAIT_FOR(atomic_load(&begun) == 1);
    CHECK(pthread_key_create(&key, at_key) == 0);
    for (int used = 0; used < 2; used++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, with_key, used ? &key : NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK(atomic_load(&keys_done) == 2);
    forget_error();
    exit(0);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    char path[512];
    int output = open(file_in_folder(path, "stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(output >= 0);
    pid_t child = fork();
    if (child == 0) run_in_child(output);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    char said[4096] = "";
    ssize_t length = pread(output, said, sizeof said - 1, 0);
    if (status != 0 || length != 0) FAIL("the child ended with %d and said:\n%s", status, said);
    return 0;
}
