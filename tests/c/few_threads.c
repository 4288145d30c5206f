/* A process that may have no more threads: calls answer with an error that says so, they neither hang nor panic, and when
 * there is room again all goes on. */
#include "check.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

/* So many threads may be made; then one is refused, or all. */
static atomic_int allowed = -1, only_one;

typedef int (*create_fn)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* The library's calls come here, because the program's symbols are looked at first. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    static _Atomic(create_fn) real;
    create_fn create = atomic_load(&real);
    if (!create) {
        void *found = dlsym(RTLD_NEXT, "pthread_create");
        memcpy(&create, &found, sizeof create);
        atomic_store(&real, create);
    }
    int left = atomic_load(&allowed);
    if (left == 0) {
        if (atomic_load(&only_one)) atomic_store(&allowed, -1);
        return EAGAIN;
    }
    if (left > 0) atomic_fetch_sub(&allowed, 1);
    return create(thread, attributes, start, argument);
}

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static void on_log(void *user_data, int32_t level, const char *json) { (void)user_data, (void)level, (void)json; }

/* Done, or refused for want of a thread; and then it is worth another try. */
static int is_done(stent_status status, stent_error *error) {
    if (status == STENT_OK) return 1;
    if (status != STENT_E_BACKEND && status != STENT_E_TIMEOUT) FAIL("%s", stent_error_json(error));
    if (!has(stent_error_json(error), "\"retryable\":true")) FAIL("%s", stent_error_json(error));
    stent_error_free(error);
    atomic_store(&allowed, -1);
    return 0;
}

#define TRY(call) \
    do { \
        stent_error *error = NULL; \
        stent_status status; \
        int tries = 0; \
        while (status = (call), !is_done(status, error)) CHECK(++tries < 3); \
    } while (0)

static void use_all_of_it(int room, int one) {
    char name[64];
    snprintf(name, sizeof name, "room-%d-%d.db", room, one);
    OK(stent_configure("{\"runtime_threads\": 2}", ERROR));
    atomic_store(&only_one, one);
    atomic_store(&allowed, room);
    char path[512], *id = NULL, *result = NULL;
    stent_backend *backend = NULL;
    TRY(stent_backend_open(file_in_folder(path, name), NULL, &backend, &error));
    TRY(stent_set_log_handler(NULL, on_log, NULL, NULL, &error));
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "echo", NULL, echo, NULL, NULL, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    TRY(stent_executor_dispatch(executor, "echo", "[1]", NULL, &id, &error));
    /* It may be the worker that got no thread, which no call here is told; with room for all it has the time it needs. */
    TRY(stent_executor_result(executor, id, atomic_load(&allowed) < 0 ? PATIENCE_MS : 1000, &result, &error));
    CHECK(strcmp(result, "[1]") == 0);
    TRY(stent_executor_stats(executor, NULL, NULL, &error));
    stent_free(id), stent_free(result);
    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    OK(stent_shutdown(PATIENCE_MS, ERROR));
    forget_error();
}

/* Each in a process of its own, for the runtime is made once; its stderr is read. */
static void with_room_for(int room, int one) {
    char path[512], name[64];
    snprintf(name, sizeof name, "stderr-%d-%d", room, one);
    int output = open(file_in_folder(path, name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(output >= 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(dup2(output, STDERR_FILENO) >= 0);
        alarm(PATIENCE_MS / 1000);
        use_all_of_it(room, one);
        _Exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    char said[4096] = "";
    ssize_t length = pread(output, said, sizeof said - 1, 0);
    if (status != 0 || length != 0) FAIL("room for %d (%d): ended with %d and said:\n%s", room, one, status, said);
    close(output);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    for (int room = 0; room < 9; room++) {
        with_room_for(room, 0);
        with_room_for(room, 1);
    }
    return 0;
}
