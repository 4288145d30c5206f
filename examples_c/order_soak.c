/* The order workflow under bad luck: orders come in all the time, and again and again a worker is killed with SIGKILL,
 * or frozen (SIGSTOP) for longer than its lease, so that its tasks are another's when it wakes up. In the end every
 * order must have ended, with every step recorded once and every customer charged once. */
#define _GNU_SOURCE
#include "order_soak.h"
#include "json.h"
#include "order_client.h"
#include "order_watch.h"
#include "order_workflow.h"

#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 3, OPEN_MAX = 60, PLACED_MAX = 20000, STEPS_PER_ORDER = 64, PATIENCE_S = 120, FREEZE_MS = 3000 };

struct order {
    char execution[40];
    int steps, over;
};

static struct {
    struct shop shop;
    stent_backend *backend;
    stent_executor *executor;
    struct order *orders;
    int placed, open, kills, freezes; /* `open`: not over when it was last looked */
    pid_t workers[WORKERS];
} soak_state;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Places a copy of an order under a number of its own, and approves it, wanted or not: the signal is kept. */
static void place(const char *order)
{
    struct order *placed = &soak_state.orders[soak_state.placed];
    const char *number = json_get(order, "id"), *after = json_end(number);
    char *copy = json_format("%.*s\"SK-%05d\"%s", (int)(number - order), order, ++soak_state.placed, after);
    char *id = submit(soak_state.executor, copy);
    stent_error *error = NULL;
    long long total = 0;
    for (const char *line = json_first(json_get(copy, "lines")); line; line = json_next(line)) {
        total += json_int(json_get(line, "quantity")) * json_int(json_get(line, "unit_cents"));
    }
    /* order, validate, charge, sleep, ship; the lines; the approval of a big one */
    placed->steps = 5 + (int)json_count(json_get(copy, "lines")) + (total >= APPROVAL_FROM_CENTS);
    snprintf(placed->execution, sizeof placed->execution, "%s", id);
    must(stent_executor_signal(soak_state.executor, id, "approval", "{\"approved\": true}", NULL, &error), &error,
         "approving");
    stent_free(id);
    free(copy);
}

/* Looks which orders are over by now. */
static void look(void)
{
    soak_state.open = 0;
    for (int i = 0; i < soak_state.placed; i++) {
        struct order *order = &soak_state.orders[i];
        if (!order->over) order->over = is_over(soak_state.executor, order->execution);
        soak_state.open += !order->over;
    }
}

static void reap(pid_t pid)
{
    int how;
    waitpid(pid, &how, 0);
}

/* A worker may be frozen inside a transaction, and then this process, too, waits for it: so another lets it go. */
static void thaw_later(pid_t worker)
{
    char shell[] = "sh", option[] = "-c", script[80];
    char *const args[] = {shell, option, script, NULL};
    pid_t pid;
    snprintf(script, sizeof script, "sleep %d.%03d; kill -CONT %d", FREEZE_MS / 1000, FREEZE_MS % 1000, (int)worker);
    int code = posix_spawnp(&pid, shell, NULL, NULL, args, environ);
    if (code == 0) return;
    fprintf(stderr, "starting sh: %s\n", strerror(code));
    kill(worker, SIGCONT);
    exit(1);
}

/* Kills a worker, or freezes one and lets it go after its lease. `frozen` and `thaw_at` remember which. */
static void bad_luck(int *frozen, int64_t *thaw_at)
{
    int victim = rand() % WORKERS;
    if (victim == *frozen) return;
    if (*frozen < 0 && rand() % 3 == 0) {
        kill(soak_state.workers[victim], SIGSTOP);
        thaw_later(soak_state.workers[victim]);
        *frozen = victim;
        *thaw_at = now_ms() + FREEZE_MS;
        soak_state.freezes++;
        say("", "", "worker %d is frozen for longer than its lease", (int)soak_state.workers[victim]);
        return;
    }
    kill(soak_state.workers[victim], SIGKILL);
    reap(soak_state.workers[victim]);
    say("", "", "worker %d is killed (SIGKILL)", (int)soak_state.workers[victim]);
    soak_state.kills++;
    soak_state.workers[victim] = start_worker(&soak_state.shop);
}

static void thaw(int *frozen)
{
    if (*frozen < 0) return;
    kill(soak_state.workers[*frozen], SIGCONT); /* if it is early: nothing more to wait for */
    say("", "", "worker %d goes on", (int)soak_state.workers[*frozen]);
    *frozen = -1;
}

/* Reads every step of every order, and the books of the world. */
static int tell(void)
{
    char *runs = read_file(soak_state.shop.runs), *books = read_file(soak_state.shop.gateway), *dead = NULL, *text;
    stent_error *error = NULL;
    int recorded = 0, open = 0, twice = 0, missing = 0, charged = 0, payments = 0;
    int bodies = 0, run_count = 0, broken = 0;
    for (int i = 0; i < soak_state.placed; i++) {
        struct step steps[STEPS_PER_ORDER];
        int count = read_steps(soak_state.backend, soak_state.orders[i].execution, steps, STEPS_PER_ORDER);
        missing += count != soak_state.orders[i].steps;
        for (int s = 0; s < count; s++) {
            recorded += steps[s].recorded;
            open += !steps[s].recorded;
            bodies += steps[s].has_body;
            for (int before = 0; before < s; before++) twice += strcmp(steps[s].key, steps[before].key) == 0;
            if (strcmp(steps[s].key, "charge#1") == 0) {
                const char *first = strstr(books, steps[s].id);
                charged += first && !strstr(first + 1, steps[s].id);
            }
        }
    }
    for (const char *at = books; (at = strchr(at, '\n')); at++) payments++;
    for (const char *at = runs; (at = strchr(at, '\n')); at++) run_count++;
    must(stent_executor_dead_letters(soak_state.executor, NULL, &dead, &error), &error, "reading the dead letters");

    printf("\n%d orders, %d steps; %d kills, %d freezes; %d handler bodies ran for %d tasks\n", soak_state.placed,
           recorded + open, soak_state.kills, soak_state.freezes, run_count, bodies);
    text = json_format("every one of %d orders has ended, and each of %d steps is recorded", soak_state.placed,
                       recorded);
    broken += promise(open == 0 && missing == 0, text);
    broken += promise(twice == 0, "every step is recorded once");
    broken += promise(charged == soak_state.placed && payments == soak_state.placed, "each charged once");
    broken += promise(json_count(dead) == 0, "there is no dead letter");
    free(runs), free(books), free(text);
    stent_free(dead);
    return broken;
}

int soak(const char *orders_path, int seconds)
{
    char directory[400], database[420];
    char *file = read_file(orders_path);
    const char *orders = json_space(file);
    size_t kinds = json_count(orders);
    int frozen = -1;
    if (kinds == 0 || seconds < 1) {
        fprintf(stderr, "usage: order_workflow soak ORDERS.json SECONDS, with a JSON array of orders in the file\n");
        return 2;
    }
    snprintf(directory, sizeof directory, "%.300s/stent-soak-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(directory) || !(soak_state.orders = calloc(PLACED_MAX, sizeof *soak_state.orders))) {
        perror(directory);
        return 1;
    }
    srand((unsigned)time(NULL));
    snprintf(database, sizeof database, "%s/orders.db", directory);
    soak_state.shop = shop_at(database);
    soak_state.executor = shop_open(&soak_state.shop, &soak_state.backend);
    setenv("ORDER_QUIET", "1", 1);
    printf("%d workers on %s for %d s\n", WORKERS, database, seconds);
    fflush(stdout);
    for (int i = 0; i < WORKERS; i++) soak_state.workers[i] = start_worker(&soak_state.shop);

    int64_t end = now_ms() + (int64_t)seconds * 1000, strike_at = now_ms() + 500, thaw_at = 0, look_at = 0;
    while (now_ms() < end) {
        if (soak_state.open < OPEN_MAX && soak_state.placed < PLACED_MAX) {
            char *order = json_text(json_at(orders, (size_t)rand() % kinds));
            place(order);
            free(order);
        }
        if (now_ms() >= strike_at) {
            bad_luck(&frozen, &thaw_at);
            strike_at = now_ms() + 200 + rand() % 1000;
        }
        if (frozen >= 0 && now_ms() >= thaw_at) thaw(&frozen);
        if (now_ms() >= look_at) {
            look();
            look_at = now_ms() + 200;
        }
        usleep(10000);
    }
    look();
    thaw(&frozen);
    say("", "", "no more bad luck; %d orders are still on their way", soak_state.open);
    for (end = now_ms() + PATIENCE_S * 1000; soak_state.open > 0 && now_ms() < end; look()) usleep(50000);
    for (int i = 0; i < WORKERS; i++) kill(soak_state.workers[i], SIGTERM);
    for (int i = 0; i < WORKERS; i++) reap(soak_state.workers[i]);

    int broken = tell();
    free(file);
    free(soak_state.orders);
    stent_executor_free(soak_state.executor);
    stent_backend_free(soak_state.backend);
    if (broken) printf("see %s\n", database);
    return broken != 0;
}
