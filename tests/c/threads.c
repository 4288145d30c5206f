/* The library's threads: they take none of the host's signals, the host is told of them, and handlers' have the stack that
 * was asked for. */
#include "check.h"

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char context[] = "the host's", other_context[] = "another's";
static atomic_int starts, stops, freed, log_lines, frees_of_a_function, signals, elsewhere;
static atomic_int deep_enough, unmasked_child;
static pid_t main_thread;
static _Thread_local int announced;

static pid_t thread_id(void) { return (pid_t)syscall(SYS_gettid); }

static void on_start(void *user_data) {
    CHECK(user_data == context && announced == 0);
    CHECK(stent_shutdown(0, NULL) == STENT_E_WRONG_THREAD);
    announced = 1;
    atomic_fetch_add(&starts, 1);
}

static void on_stop(void *user_data) {
    CHECK(user_data == context && announced == 1);
    announced = 2;
    atomic_fetch_add(&stops, 1);
}

static void on_log(void *user_data, int32_t level, const char *json) {
    (void)user_data, (void)level, (void)json;
    CHECK(announced == 1);
    atomic_fetch_add(&log_lines, 1);
}

static void free_function(void *user_data) {
    (void)user_data;
    CHECK(announced == 1);
    atomic_fetch_add(&frees_of_a_function, 1);
}

static void free_context(void *user_data) {
    CHECK(user_data == other_context || user_data == context);
    atomic_fetch_add(&freed, 1);
}

static void on_signal(int number) {
    (void)number;
    atomic_fetch_add(&signals, 1);
    if (thread_id() != main_thread) atomic_fetch_add(&elsewhere, 1);
}

static void free_unused(void *user_data) { (void)user_data; }

/* More than a handler's thread has when nothing is said. */
static int deep(int left) {
    volatile char page[4096];
    page[0] = (char)left;
    return left == 0 ? page[0] : deep(left - 1) + page[0] - page[0];
}

static stent_status handler(void *user_data, stent_task *task) {
    (void)user_data;
    CHECK(announced == 1);
    OK(stent_task_log(task, STENT_LOG_WARN, "here", ERROR));
    forget_error();
    CHECK(deep(1024) == 0);
    atomic_store(&deep_enough, 1);
    for (int i = 0; i < 20; i++) CHECK(kill(getpid(), SIGUSR1) == 0);
    return stent_task_complete(task, NULL, NULL);
}

/* What a handler forks is not deaf. */
static stent_status forker(void *user_data, stent_task *task) {
    (void)user_data;
    sigset_t blocked;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, SIGTERM));
    pid_t child = fork();
    if (child == 0) {
        CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
        _Exit(sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGWINCH) ? 1 : 0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    atomic_store(&unmasked_child, 1);
    return stent_task_complete(task, NULL, NULL);
}

/* Looks at every other thread of the process; how many there are. Zero if one blocks what tells of faults: the C library blocks
 * everything for a moment, in a thread that makes another one. */
static int all_are_deaf(void) {
    static const int wanted[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE, SIGPROF, SIGWINCH};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    DIR *threads = opendir("/proc/self/task");
    CHECK(threads != NULL);
    int seen = 0, blocks_faults = 0;
    for (struct dirent *entry; (entry = readdir(threads));) {
        char path[300], line[256], name[64] = "";
        unsigned long long blocked = 0;
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == main_thread) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *status = fopen(path, "r");
        if (!status) continue; /* it has ended */
        while (fgets(line, sizeof line, status)) {
            sscanf(line, "Name: %60s", name);
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        fclose(status);
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (!(blocked >> (wanted[i] - 1) & 1)) FAIL("%s (%s) does not block signal %d", entry->d_name, name, wanted[i]);
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
            if (blocked >> (faults[i] - 1) & 1) blocks_faults = 1;
        seen++;
    }
    closedir(threads);
    return blocks_faults ? 0 : seen;
}

/* Reads that need more connections, each of which has a thread, asked for on the host's own. */
static void *read_on(void *executor) {
    for (int i = 0; i < 20; i++) CHECK(stent_executor_stats(executor, NULL, NULL, NULL) == STENT_OK);
    return NULL;
}

int main(int count, char **arguments) {
    begin(count, arguments);
    main_thread = thread_id();
    sigset_t window;
    sigemptyset(&window);
    sigaddset(&window, SIGWINCH);
    CHECK(pthread_sigmask(SIG_BLOCK, &window, NULL) == 0); /* the host's own choice */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);

    EXPECT(STENT_E_INVALID, stent_configure("{\"handler_stack_size\": 1000}", ERROR));
    SAYS("from 262144 to 1073741824 bytes");
    OK(stent_configure("{\"handler_stack_size\": 8388608}", ERROR));
    OK(stent_configure_threads(on_stop, NULL, (void *)other_context, free_context, ERROR));
    OK(stent_configure_threads(on_start, on_stop, (void *)context, free_context, ERROR));
    CHECK(atomic_load(&freed) == 1);

    OK(stent_set_log_handler(NULL, on_log, NULL, NULL, ERROR));
    stent_backend *backend = open_backend("threads.db");
    EXPECT(STENT_E_CONFLICT, stent_configure_threads(NULL, NULL, (void *)other_context, free_context, ERROR));
    CHECK(atomic_load(&freed) == 2);
    EXPECT(STENT_E_CONFLICT, stent_configure("{\"handler_stack_size\": 1048576}", ERROR));
    stent_executor *executor = new_executor(backend);
    OK(stent_executor_register(executor, "handler", NULL, handler, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "forker", NULL, forker, (void *)context, free_unused, ERROR));
    stent_worker *worker = start_worker(executor, NULL);
    char *id = dispatch(executor, "handler", NULL), *fork_id = dispatch(executor, "forker", NULL);
    OK(stent_executor_wait(executor, id, PATIENCE_MS, NULL, ERROR));
    OK(stent_executor_wait(executor, fork_id, PATIENCE_MS, NULL, ERROR));
    CHECK(is_in_state(executor, id, "completed") && is_in_state(executor, fork_id, "completed"));
    CHECK(atomic_load(&deep_enough) && atomic_load(&unmasked_child));
    pthread_t readers[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&readers[i], NULL, read_on, executor) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(readers[i], NULL) == 0);
    WAIT_FOR(all_are_deaf() >= 4);
    WAIT_FOR(atomic_load(&signals) > 0);
    CHECK(atomic_load(&elsewhere) == 0);

    OK(stent_worker_stop(worker, PATIENCE_MS, ERROR));
    WAIT_FOR(atomic_load(&stops) >= 1); /* the handlers' threads */
    stent_worker_free(worker);
    OK(stent_executor_register(executor, "freed", NULL, handler, NULL, free_function, ERROR));
    stent_executor_free(executor);
    stent_free(id), stent_free(fork_id);
    OK(stent_backend_shutdown(backend, PATIENCE_MS, ERROR));
    CHECK(atomic_load(&frees_of_a_function) == 1);
    stent_backend_free(backend);
    WAIT_FOR(atomic_load(&log_lines) > 0);
    CHECK(atomic_load(&starts) >= 4 && atomic_load(&freed) == 2);
    return done();
}
