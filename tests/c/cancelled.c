/* Threads that are cancelled by pthread_cancel: a call goes on to its end, the thread ends after it, and nothing of the
 * library is left as it was in the middle. */
#include "check.h"

static stent_poller *poller;
static stent_executor *executor;
static char *id;
static atomic_int inside, gave, after;

/* It wakes a descriptor by a write, which is a cancellation point. */
static void *interrupts(void *unused) {
    CHECK(pthread_cancel(pthread_self()) == 0);
    stent_poller_interrupt(poller);
    atomic_fetch_add(&gave, 1);
    pthread_testcancel();
    atomic_fetch_add(&after, 1);
    return unused;
}

static void *waits(void *unused) {
    char *execution = NULL;
    atomic_store(&inside, 1);
    EXPECT(STENT_E_TIMEOUT, stent_executor_wait(executor, id, 200, &execution, ERROR));
    atomic_fetch_add(&gave, 1);
    forget_error();
    pthread_testcancel();
    atomic_fetch_add(&after, 1);
    return unused;
}

static pthread_t start(void *(*body)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    return thread;
}

static void cancelled(pthread_t thread) {
    void *end = NULL;
    CHECK(pthread_join(thread, &end) == 0 && end == PTHREAD_CANCELED);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    stent_backend *backend = open_backend("store.db");
    executor = new_executor(backend);
    OK(stent_poller_new(&poller, ERROR));
    id = dispatch(executor, "nobody_has_it", NULL);

    for (int i = 0; i < 20; i++) cancelled(start(interrupts));
    CHECK(atomic_load(&gave) == 20 && atomic_load(&after) == 0);

    pthread_t thread = start(waits);
    WAIT_FOR(atomic_load(&inside));
    CHECK(pthread_cancel(thread) == 0);
    cancelled(thread);
    CHECK(atomic_load(&gave) == 21 && atomic_load(&after) == 0);

    /* All goes on. */
    stent_event *event = NULL;
    EXPECT(STENT_PENDING, stent_poller_next(poller, 0, &event, ERROR));
    char *second = dispatch(executor, "nobody_has_it", NULL);
    stent_free(second);
    stent_free(id);
    stent_poller_free(poller);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
