/* The story told with the order workflow: orders are placed, a worker runs them and is killed with SIGKILL while it
 * charges a card, another worker takes over, and every step turns out to be recorded once. Ends with a list of what
 * was promised and whether it held; the exit code says the same, so this is a test as well.
 *
 * This process is the shop: a client that starts orders, sends a signal and looks. It runs no handler. Each worker is
 * a process of its own (this program again, in the mode "worker"). All of them use one SQLite file. The shop waits
 * for things to be so, never for a time to pass. */
#define _GNU_SOURCE
#include "json.h"
#include "order_workflow.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ORDERS_MAX = 32, STEPS_MAX = 1024, PATIENCE_S = 60 };

extern char **environ;

struct placed {
    char number[32], id[40];
};

/* What the store has of one step, and how often its handler's body ran: `ran[0]` under the first worker. */
struct step {
    char id[40], key[48], kind[16], state[16], by[32], result[80];
    int order, attempts, recorded_before_kill, ran[2];
};

static struct {
    struct shop shop;
    stent_backend *backend;
    stent_executor *executor;
    struct placed orders[ORDERS_MAX];
    int order_count, held, step_count;
    struct step steps[STEPS_MAX];
    pid_t workers[2];
    int broken;
} story;

static const char *paint(const char *code)
{
    return in_colour() ? code : "";
}

static void heading(const char *text)
{
    printf("\n%s%s%s\n", paint("\033[1m"), text, paint("\033[0m"));
    fflush(stdout);
}

/* A promise of the product, and whether it held here. */
static void promise(int held, const char *text)
{
    printf("  %s%s%s  %s\n", paint(held ? "\033[32m" : "\033[31m"), held ? "yes" : "NO ", paint("\033[0m"), text);
    if (!held) story.broken = 1;
}

static void give_up(const char *why)
{
    fprintf(stderr, "the demo can't go on: %s\n", why);
    for (int i = 0; i < 2; i++) {
        if (story.workers[i] > 0) kill(story.workers[i], SIGKILL);
    }
    exit(1);
}

/* ---- looking ---- */

/* The stage that an order tells the outside; empty when it has said nothing yet. */
static char *stage_of(int order, char *out, size_t size)
{
    stent_error *error = NULL;
    char *seen = NULL;
    must(stent_executor_state(story.executor, story.orders[order].id, &seen, &error), error, "looking at an order");
    json_copy(json_get(json_get(seen, "state_values"), "stage"), out, size);
    stent_free(seen);
    return out;
}

/* Reads every step of every order from the store. */
static void read_steps(struct step *steps, int *count)
{
    *count = 0;
    for (int order = 0; order < story.order_count; order++) {
        stent_error *error = NULL;
        char *request = json_format("{\"execution_id\": \"%s\"}", story.orders[order].id), *tasks = NULL;
        must(stent_backend_call(story.backend, "list_tasks_for_execution", request, &tasks, &error), error, "reading the steps");
        for (const char *at = json_first(tasks); at && *count < STEPS_MAX; at = json_next(at)) {
            struct step *step = &steps[(*count)++];
            const char *key = json_get(at, "step_key");
            memset(step, 0, sizeof *step);
            step->order = order;
            step->attempts = (int)json_int(json_get(at, "retries")) + 1;
            json_copy(json_get(at, "id"), step->id, sizeof step->id);
            json_copy(json_is(key, "null") ? json_get(at, "step_name") : key, step->key, sizeof step->key);
            json_copy(json_get(at, "kind"), step->kind, sizeof step->kind);
            json_copy(json_get(at, "state"), step->state, sizeof step->state);
            json_copy(json_get(at, "worker_id"), step->by, sizeof step->by);
            json_copy(json_get(at, "result"), step->result, sizeof step->result);
        }
        stent_free(tasks);
        free(request);
    }
}

static int is_recorded(const struct step *step)
{
    return strcmp(step->state, "completed") == 0;
}

/* Is a handler's body run for it? Timers and signals are the store's own. */
static int has_body(const struct step *step)
{
    return strcmp(step->kind, "orchestrator") == 0 || strcmp(step->kind, "activity") == 0;
}

/* How often the handler's body of a task ran in a process, by the side file. */
static int runs_of(const char *runs, const char *task, pid_t pid)
{
    int count = 0;
    char *start = json_format("%s %d ", task, (int)pid);
    for (const char *at = runs; (at = strstr(at, start)); at++) count++;
    free(start);
    return count;
}

/* ---- waiting ---- */

static void until(int (*there)(void), const char *what)
{
    for (int i = 0; i < PATIENCE_S * 50; i++) {
        int how;
        if (there()) return;
        pid_t worker = story.workers[1] ? story.workers[1] : story.workers[0];
        if (waitpid(worker, &how, WNOHANG) == worker) give_up("the worker has ended by itself");
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    fprintf(stderr, "nothing for %d s while waiting for this: %s\n", PATIENCE_S, what);
    give_up("it takes too long");
}

/* The gateway has the money of the held order, the worker waits for its answer, and all the others rest. */
static int in_the_middle(void)
{
    char stage[64];
    int charged = 0;
    char *books = read_file(story.shop.gateway);
    struct step *steps = calloc(STEPS_MAX, sizeof *steps);
    int count;
    if (!steps) abort();
    read_steps(steps, &count);
    for (int i = 0; i < count; i++) {
        if (steps[i].order == story.held && strcmp(steps[i].key, "charge#1") == 0) charged = strstr(books, steps[i].id) != NULL;
    }
    free(books);
    free(steps);
    for (int order = 0; charged && order < story.order_count; order++) {
        if (order == story.held) continue;
        stage_of(order, stage, sizeof stage);
        if (strcmp(stage, STAGE_APPROVAL) != 0 && strcmp(stage, STAGE_WINDOW) != 0 && strcmp(stage, STAGE_DONE) != 0) return 0;
        if (order == 0 && strcmp(stage, STAGE_DONE) != 0) return 0;
    }
    return charged;
}

static int all_done(void)
{
    for (int order = 0; order < story.order_count; order++) {
        stent_error *error = NULL;
        char *seen = NULL;
        stent_status status = stent_executor_wait(story.executor, story.orders[order].id, 0, &seen, &error);
        if (status == STENT_E_TIMEOUT) {
            stent_error_free(error);
            return 0;
        }
        must(status, error, "waiting for an order");
        stent_free(seen);
    }
    return 1;
}

/* ---- acting ---- */

static pid_t start_worker(const char *program)
{
    char *const args[] = {(char *)(size_t)program, "worker", story.shop.database, NULL};
    pid_t pid;
    setenv("ORDER_DEMO", "1", 1);
    int code = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ);
    if (code != 0) {
        fprintf(stderr, "starting a worker: %s\n", strerror(code));
        exit(1);
    }
    return pid;
}

static void place_orders(const char *path)
{
    char *orders = read_file(path);
    for (const char *at = json_first(json_space(orders)); at && story.order_count < ORDERS_MAX; at = json_next(at)) {
        struct placed *placed = &story.orders[story.order_count];
        char *text = json_text(at), *id = submit(story.executor, text);
        json_copy(json_get(text, "id"), placed->number, sizeof placed->number);
        snprintf(placed->id, sizeof placed->id, "%s", id);
        say(placed->number, "", "placed: %zu lines", json_count(json_get(text, "lines")));
        stent_free(id);
        free(text);
        story.order_count++;
    }
    free(orders);
}

/* The last order of the file is the one whose charge is cut in two. */
static void hold_last_order(const char *path)
{
    char *orders = read_file(path), number[32];
    const char *list = json_space(orders);
    size_t count = json_count(list);
    if (count < 2 || count > ORDERS_MAX) {
        fprintf(stderr, "%s: the demo wants a JSON array of 2 to %d orders, and there are %zu\n", path, ORDERS_MAX, count);
        exit(1);
    }
    story.held = (int)count - 1;
    FILE *slow = fopen(story.shop.slow, "w");
    if (!slow) {
        perror(story.shop.slow);
        exit(1);
    }
    fputs(json_copy(json_get(json_at(list, count - 1), "id"), number, sizeof number), slow);
    fclose(slow);
    free(orders);
}

static void approve_all(void)
{
    char stage[64];
    for (int order = 0; order < story.order_count; order++) {
        stent_error *error = NULL;
        if (strcmp(stage_of(order, stage, sizeof stage), STAGE_APPROVAL) != 0) continue;
        must(stent_executor_signal(story.executor, story.orders[order].id, "approval", "{\"approved\": true}", NULL, &error), error,
             "approving");
        say(story.orders[order].number, "", "approved while no worker lives: the signal is kept");
    }
}

/* ---- telling ---- */

static void tell_where_all_stand(void)
{
    char stage[64];
    for (int order = 0; order < story.order_count; order++) {
        int recorded = 0;
        for (int i = 0; i < story.step_count; i++) recorded += story.steps[i].order == order && is_recorded(&story.steps[i]);
        printf("  %-9s  %2d steps recorded   %s\n", story.orders[order].number, recorded, stage_of(order, stage, sizeof stage));
    }
    fflush(stdout);
}

static void tell_steps(void)
{
    printf("  %-9s  %-12s %8s   %-17s  %-9s %-14s %s\n", "order", "step", "attempts", "body ran", "recorded", "by", "result");
    for (int i = 0; i < story.step_count; i++) {
        const struct step *step = &story.steps[i];
        char ran[40] = "-", attempts[16] = "-";
        if (has_body(step)) {
            snprintf(attempts, sizeof attempts, "%d", step->attempts);
            if (step->ran[0] && step->ran[1]) snprintf(ran, sizeof ran, "%d before, %d after", step->ran[0], step->ran[1]);
            else snprintf(ran, sizeof ran, "%d %s", step->ran[0] + step->ran[1], step->ran[0] ? "before" : "after");
        }
        printf("  %-9s  %-12s %8s   %-17s  %-9s %-14s %s\n", story.orders[step->order].number, step->key, attempts, ran,
               is_recorded(step) ? "once" : step->state, has_body(step) ? step->by : "the store", step->result);
    }
}

static void tell_promises(void)
{
    int open = 0, twice = 0, again = 0, cut = 0, charges = 0, charged_twice = 0;
    char *books = read_file(story.shop.gateway), *dead = NULL, *text;
    stent_error *error = NULL;
    for (int i = 0; i < story.step_count; i++) {
        const struct step *step = &story.steps[i];
        open += !is_recorded(step);
        for (int j = 0; j < i; j++) twice += step->order == story.steps[j].order && strcmp(step->key, story.steps[j].key) == 0;
        again += step->recorded_before_kill && step->ran[1] > 0;
        if (strcmp(step->key, "charge#1") == 0) {
            const char *first = strstr(books, step->id);
            charges++;
            charged_twice += !first || strstr(first + 1, step->id);
            if (step->order == story.held) cut = step->ran[0] == 3 && step->ran[1] == 1 && !step->recorded_before_kill;
        }
    }
    must(stent_executor_dead_letters(story.executor, NULL, &dead, &error), error, "reading the dead letters");

    promise(open == 0, "every step of every order has ended, and its result is recorded");
    promise(twice == 0, "every step is recorded once");
    promise(again == 0, "what was recorded before the kill was not run again: its result was read");
    promise(cut, "the charge that was cut in two was run again, and recorded by the second worker");
    text = json_format("the gateway took money %d times for %d orders: the key (the task's id) was the same", charges, charges);
    promise(charges == story.order_count && charged_twice == 0, text);
    promise(json_count(dead) == 0, "nothing was lost or given up: there is no dead letter");
    free(books), free(text);
    stent_free(dead);
}

int demo(const char *program, const char *orders_path, const char *directory)
{
    char made[] = "/tmp/stent-demo-XXXXXX", database[500];
    int how;
    if (!directory && !(directory = mkdtemp(made))) perror(made), exit(1);
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) perror(directory), exit(1);
    snprintf(database, sizeof database, "%s/orders.db", directory);
    if (access(database, F_OK) == 0) {
        fprintf(stderr, "%s is there already; give the demo an empty directory\n", database);
        return 1;
    }
    story.shop = shop_at(database);
    hold_last_order(orders_path);

    printf("%sStent %s%s: durable workflows on a SQLite file (%s)\n\n", paint("\033[1m"), stent_version(), paint("\033[0m"), database);
    printf("  shop     this process: places orders, approves the big one, looks. It runs no handler.\n"
           "  worker   a process of its own: runs the handlers of order_workflow.c. What it has in hand is under a lease\n"
           "           of 2 s, renewed as long as it lives; when it dies, others may take over at the lease's end.\n"
           "  gateway  answers the first two requests for a charge too late. So the step fails twice and is tried again.\n");

    heading("1. A worker starts, orders come in");
    story.executor = shop_open(&story.shop, &story.backend);
    story.workers[0] = start_worker(program);
    place_orders(orders_path);
    until(in_the_middle, "the last order in the middle of its charge, the others at rest");

    heading("2. kill -9, while the worker waits for the gateway's answer: the money is taken, nothing of it recorded");
    kill(story.workers[0], SIGKILL);
    if (waitpid(story.workers[0], &how, 0) != story.workers[0] || !WIFSIGNALED(how) || WTERMSIG(how) != SIGKILL) {
        give_up("the worker did not die of SIGKILL");
    }
    say(story.orders[story.held].number, "charge", "worker %d is dead (SIGKILL)", (int)story.workers[0]);
    read_steps(story.steps, &story.step_count);
    tell_where_all_stand();
    struct step *before = calloc(STEPS_MAX, sizeof *before);
    int before_count = story.step_count;
    if (!before) abort();
    memcpy(before, story.steps, sizeof story.steps);
    approve_all();
    unlink(story.shop.slow);

    heading("3. Another worker starts and goes on from what is recorded");
    story.workers[1] = start_worker(program);
    until(all_done, "the end of all orders");
    kill(story.workers[1], SIGTERM);
    if (waitpid(story.workers[1], &how, 0) != story.workers[1] || !WIFEXITED(how) || WEXITSTATUS(how) != 0) {
        give_up("the second worker did not end well after SIGTERM");
    }

    heading("4. What the store has now (before, after: the kill)");
    char *runs = read_file(story.shop.runs);
    read_steps(story.steps, &story.step_count);
    for (int i = 0; i < story.step_count; i++) {
        struct step *step = &story.steps[i];
        for (int worker = 0; worker < 2; worker++) step->ran[worker] = runs_of(runs, step->id, story.workers[worker]);
        for (int j = 0; j < before_count; j++) {
            if (strcmp(before[j].id, step->id) == 0) step->recorded_before_kill = is_recorded(&before[j]);
        }
    }
    tell_steps();

    heading("5. What was promised");
    tell_promises();
    printf("\nLook for yourself: %s (by sqlite3, or with: order_workflow status %s)\n", database, database);
    free(before), free(runs);
    stent_executor_free(story.executor);
    stent_backend_free(story.backend);
    return story.broken;
}
