/* A forked child is told so, whatever it calls, and nothing hangs or crashes; the parent goes on undisturbed. */
#include "check.h"

#include <sys/wait.h>

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static atomic_int freed;

static int in_child(stent_backend *backend, stent_executor *executor, stent_worker *worker, stent_error *old, char *text) {
    stent_backend *second = NULL;
    stent_error *error = NULL;
    alarm(30); /* a hang is a failure */
    CHECK(stent_backend_open(":memory:", NULL, &second, &error) == STENT_E_FORKED);
    CHECK(second == NULL && error != NULL);
    CHECK(stent_error_status(error) == STENT_E_FORKED);
    CHECK(has(stent_error_message(error), "forked") && has(stent_error_json(error), "FORKED"));
    stent_error_free(error);
    CHECK(stent_error_status(old) == STENT_E_FORKED);
    stent_error_free(old);
    CHECK(stent_backend_init_db(backend, NULL) == STENT_E_FORKED);
    CHECK(stent_executor_dispatch(executor, "echo", NULL, NULL, NULL, NULL) == STENT_E_FORKED);
    CHECK(stent_executor_register(executor, "late", NULL, echo, &freed, count_free, NULL) == STENT_E_FORKED);
    CHECK(atomic_load(&freed) == 1);
    CHECK(stent_worker_stop(worker, 0, NULL) == STENT_E_FORKED);
    CHECK(stent_task_complete(NULL, NULL, NULL) == STENT_E_FORKED);
    CHECK(stent_task_info(NULL) == NULL && stent_task_ref(NULL) == NULL && stent_describe() == NULL);
    CHECK(stent_set_log_handler(NULL, NULL, NULL, NULL, NULL) == STENT_E_FORKED);
    CHECK(stent_shutdown(0, NULL) == STENT_E_FORKED);
    CHECK(stent_abi_version() == 0 && stent_version() != NULL);
    CHECK(strcmp(stent_status_name(STENT_E_FORKED), "FORKED") == 0);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    stent_free(text);
    /* What it leaks on purpose goes with the image; an ordinary end would have valgrind count it. */
    execl("/bin/true", "true", (char *)NULL);
    FAIL("exec");
    return 1;
}

static void wait_for_child(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int count, char **arguments) {
    begin(count, arguments);

    /* Before the first handle, a fork is nothing: the library may be used in the child. */
    CHECK(stent_abi_version() == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        stent_backend *backend = open_backend(":memory:");
        stent_backend_free(backend);
        _exit(done());
    }
    wait_for_child(child);

    stent_backend *backend = open_backend("fork.db");
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "echo", NULL, echo, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "echo", "[1]"), *result = NULL;
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    stent_error *old = NULL;
    CHECK(stent_executor_state(executor, "x", &result, &old) == STENT_E_INVALID);

    child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(in_child(backend, executor, worker, old, result));
    wait_for_child(child);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(30);
        exit(0);
    }
    /* An ordinary end comes to its end too; under valgrind what leaks counts, so any number will do. */
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    stent_error_free(old);
    stent_free(result);
    stent_free(id);

    id = dispatch(executor, "echo", "[2]");
    OK(stent_executor_result(executor, id, PATIENCE_MS, &result, ERROR));
    CHECK(strcmp(result, "[2]") == 0);
    stent_free(result);
    stent_free(id);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
