/* How much of the caller's stack a call needs: some hosts call on small stacks of their own making. Each call runs on a
 * painted stack, and what is not painted any more was used. */
#include "check.h"

#include <sys/mman.h>

/* What the header promises, kept without optimizations too; a store may be given another limit. */
#define PROMISED (64 * 1024)
#define STACK (4 * 1024 * 1024)
#define PAINT 0xA5

static stent_backend *backend;
static stent_executor *executor;
static stent_worker *worker;
static stent_poller *poller;
static _Atomic(stent_task *) lent;
static const char *url;
static char *id, *slow_id;
static size_t most;
static const char *most_of;
static size_t limit;

static stent_status echo(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_complete(task, stent_task_args(task), NULL);
}

static stent_status later(void *user_data, stent_task *task) {
    (void)user_data;
    atomic_store(&lent, stent_task_ref(task));
    return STENT_PENDING;
}

static stent_status fails(void *user_data, stent_task *task) {
    (void)user_data;
    return stent_task_fail(task, "{\"type\": \"No\", \"message\": \"no\", \"retryable\": false}", NULL);
}

static void on_log(void *user_data, int32_t level, const char *json) { (void)user_data, (void)level, (void)json; }

static void configure(void) { OK(stent_configure("{\"runtime_threads\": 2}", ERROR)); }
static void log_handler(void) { OK(stent_set_log_handler("{\"level\": \"debug\"}", on_log, NULL, NULL, ERROR)); }
static void open_it(void) { OK(stent_backend_open(url, NULL, &backend, ERROR)); }
static void open_nothing(void) {
    stent_backend *none = NULL;
    EXPECT(STENT_E_BACKEND, stent_backend_open("/no/such/folder/file.db", NULL, &none, ERROR));
    SAYS("BACKEND");
}
static void init_db(void) { OK(stent_backend_init_db(backend, ERROR)); }
static void make_executor(void) { executor = new_executor(backend); }
static void register_it(void) {
    OK(stent_executor_register(executor, "echo", "{\"retry_policy\": {\"max_attempts\": 3}}", echo, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "later", NULL, later, NULL, NULL, ERROR));
    OK(stent_executor_register(executor, "fails", "{\"retry_policy\": {\"max_attempts\": 1}}", fails, NULL, NULL, ERROR));
}
static void start(void) { OK(stent_worker_start(executor, "{\"queues\": [\"default\"]}", NULL, &worker, ERROR)); }
static void wait_ready(void) { OK(stent_worker_wait(worker, "ready", PATIENCE_MS, ERROR)); }
static void dispatch_it(void) {
    OK(stent_executor_dispatch(executor, "echo", "[{\"a\": [1, 2, {\"b\": 3}]}]", "{\"priority\": 3}", &id, ERROR));
    OK(stent_executor_dispatch(executor, "later", NULL, NULL, &slow_id, ERROR));
}
static void dispatch_failing(void) {
    char *failing = NULL;
    OK(stent_executor_dispatch(executor, "fails", NULL, NULL, &failing, ERROR));
    EXPECT(STENT_E_FAILED, stent_executor_result(executor, failing, PATIENCE_MS, NULL, ERROR));
    SAYS("no");
    stent_free(failing);
}
static void dispatch_many(void) {
    OK(stent_executor_dispatch_many(executor, "[{\"function\": \"echo\"}, {\"function\": \"echo\"}]", NULL, ERROR));
}
static void wait_for_it(void) { OK(stent_executor_wait(executor, id, PATIENCE_MS, NULL, ERROR)); }
static void wait_in_vain(void) { EXPECT(STENT_E_TIMEOUT, stent_executor_wait(executor, slow_id, 10, NULL, ERROR)); }
static void result(void) { OK(stent_executor_result(executor, id, PATIENCE_MS, NULL, ERROR)); }
static void state(void) { OK(stent_executor_state(executor, id, NULL, ERROR)); }
static void list(void) { OK(stent_executor_list(executor, "{\"limit\": 10}", NULL, ERROR)); }
static void signal_it(void) { OK(stent_executor_signal(executor, slow_id, "go", "{\"a\": 1}", NULL, ERROR)); }
static void stats(void) { OK(stent_executor_stats(executor, "{\"format\": \"prometheus\"}", NULL, ERROR)); }
static void letters(void) { OK(stent_executor_dead_letters(executor, NULL, NULL, ERROR)); }
static void replay_letter(void) {
    EXPECT(STENT_E_NOT_FOUND, stent_executor_replay_dead_letter(executor, id, NULL, NULL, ERROR));
    EXPECT(STENT_E_NOT_FOUND, stent_executor_discard_dead_letter(executor, id, ERROR));
    EXPECT(STENT_E_NOT_FOUND, stent_executor_resume(executor, id, NULL, ERROR));
}
static void cleanup(void) { OK(stent_executor_cleanup(executor, NULL, NULL, ERROR)); }
static void raw(void) {
    OK(stent_backend_call(backend, "list_executions", "{\"limit\": 10}", NULL, ERROR));
    EXPECT(STENT_E_INVALID, stent_backend_call(backend, "get_execution", NULL, NULL, ERROR));
}
static void describe(void) { CHECK(stent_describe() != NULL); }
static void on_a_task(void) {
    stent_task *task = atomic_load(&lent);
    CHECK(stent_task_info(task) != NULL && stent_task_args(task) != NULL);
    OK(stent_task_progress(task, "{\"a\": 1}", ERROR));
    OK(stent_task_counter_add(task, "n", "1", ERROR));
    OK(stent_task_heartbeat(task, "1", ERROR));
    uint32_t op = 0;
    OK(stent_task_spawn_call(task, "echo", "[1]", NULL, &op, ERROR));
}
static void suspend(void) {
    stent_task *task = atomic_load(&lent);
    stent_status status = stent_task_sleep(task, "10m", ERROR);
    CHECK(status == STENT_SUSPEND);
    OK(stent_task_suspend(task, ERROR));
    stent_task_free(task);
}
static void cancel(void) { OK(stent_executor_cancel(executor, slow_id, "enough", ERROR)); }
static void make_poller(void) { OK(stent_poller_new(&poller, ERROR)); }
static void submit(void) {
    OK(stent_executor_submit(executor, "stats", NULL, poller, 7, ERROR));
}
static void next(void) {
    stent_event *event = NULL;
    OK(stent_poller_next(poller, PATIENCE_MS, &event, ERROR));
    CHECK(stent_event_json(event) != NULL);
    stent_event_free(event);
}
static void status(void) { OK(stent_worker_status(worker, NULL, ERROR)); }
static void stop(void) { OK(stent_worker_stop(worker, PATIENCE_MS, ERROR)); }
static void shutdown_backend(void) { OK(stent_backend_shutdown(backend, PATIENCE_MS, ERROR)); }
static void shutdown_all(void) { OK(stent_shutdown(PATIENCE_MS, ERROR)); }
static void free_all(void) {
    stent_poller_free(poller), stent_worker_free(worker), stent_executor_free(executor), stent_backend_free(backend);
}

static const struct {
    const char *name;
    void (*run)(void);
} calls[] = {
#define CALL(name) {#name, name}
    CALL(configure), CALL(describe), CALL(log_handler), CALL(open_nothing), CALL(open_it), CALL(init_db),
    CALL(make_executor), CALL(register_it), CALL(start), CALL(wait_ready), CALL(dispatch_it), CALL(dispatch_failing),
    CALL(dispatch_many), CALL(wait_for_it), CALL(wait_in_vain), CALL(result), CALL(state), CALL(list), CALL(signal_it),
    CALL(stats), CALL(letters), CALL(replay_letter), CALL(cleanup), CALL(raw), CALL(on_a_task), CALL(suspend),
    CALL(cancel), CALL(make_poller), CALL(submit), CALL(next), CALL(status), CALL(stop), CALL(shutdown_backend),
    CALL(shutdown_all), CALL(free_all),
};

typedef struct {
    void (*run)(void);
    unsigned char *top;
} job;

static void *on_painted_stack(void *argument) {
    job *work = argument;
    unsigned char here = PAINT;
    work->top = &here;
    work->run();
    forget_error();
    return NULL;
}

static size_t measure(void (*run)(void)) {
    unsigned char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    memset(stack, PAINT, STACK);
    pthread_attr_t attributes;
    pthread_t thread;
    job work = {.run = run};
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stack, STACK) == 0);
    CHECK(pthread_create(&thread, &attributes, on_painted_stack, &work) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
    unsigned char *deepest = stack;
    while (*deepest == PAINT) deepest++;
    size_t used = (size_t)(work.top - deepest);
    CHECK(munmap(stack, STACK) == 0);
    return used;
}

int main(int count, char **arguments) {
    begin(count, arguments);
    limit = count > 4 ? strtoul(arguments[4], NULL, 10) : PROMISED;
    char path[512];
    url = count > 3 && *arguments[3] ? arguments[3] : file_in_folder(path, "stack.db");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (calls[i].run == on_a_task) WAIT_FOR(atomic_load(&lent) != NULL);
        size_t used = measure(calls[i].run);
        printf("%-18s %8zu\n", calls[i].name, used);
        if (used > most) most = used, most_of = calls[i].name;
    }
    printf("most: %zu (%s)\n", most, most_of);
    CHECK(most <= limit);
    stent_free(id), stent_free(slow_id);
    return done();
}
