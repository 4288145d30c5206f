/* The story told with the order workflow: orders are placed; a worker runs them and is killed with SIGKILL while it
 * charges a card; another worker takes over; every step turns out to be recorded once. Ends with a list of what was
 * promised and whether it held. The exit code says the same, so this is a test as well.
 *
 * This process is the shop, a client: it places orders, sends a signal, looks. It runs no handler. Each worker is a
 * process of its own (this program again, in the mode "worker"). All of them use one SQLite file. The shop waits for
 * things to be so, never for a time to pass. */
#define _GNU_SOURCE
#include "order_demo.h"
#include "json.h"
#include "order_client.h"
#include "order_watch.h"
#include "order_workflow.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ORDERS_MAX = 32, STEPS_MAX = 64, PATIENCE_S = 60 };

/* An order, what the store has of it, and when its handlers ran: before and after the kill. */
struct order {
    char number[32], execution[40];
    int count;
    struct step steps[STEPS_MAX];
    int recorded_before[STEPS_MAX], ran_before[STEPS_MAX], ran_after[STEPS_MAX];
};

static struct shop shop;
static stent_backend *backend;
static stent_executor *executor;
static struct order orders[ORDERS_MAX];
static int order_count;
static struct order *held; /* the order whose charge is cut in two: the last of the file */
static pid_t worker;

static void heading(const char *text)
{
    printf("\n%s%s%s\n", in_colour() ? "\033[1m" : "", text, in_colour() ? "\033[0m" : "");
    fflush(stdout);
}

static void give_up(const char *why)
{
    fprintf(stderr, "the demo can't go on: %s\n", why);
    if (worker > 0) kill(worker, SIGKILL);
    exit(1);
}

/* ---- conditions ---- */

static void until(int (*there)(void), const char *what)
{
    for (int i = 0; i < PATIENCE_S * 50; i++) {
        if (there()) return;
        if (waitpid(worker, NULL, WNOHANG) == worker) worker = 0, give_up("the worker has ended by itself");
        usleep(20000);
    }
    fprintf(stderr, "in %d s this has not come: %s\n", PATIENCE_S, what);
    give_up("it takes too long");
}

/* The gateway has taken the money for the held order, nothing of it is recorded, and all other orders rest. */
static int in_the_middle(void)
{
    char stage[64], *books = read_file(shop.gateway);
    int charged = 0;
    held->count = read_steps(backend, held->execution, held->steps, STEPS_MAX);
    for (int i = 0; i < held->count; i++) {
        if (strcmp(held->steps[i].key, "charge#1") == 0) charged = strstr(books, held->steps[i].id) != NULL;
    }
    free(books);
    for (struct order *order = orders; charged && order < held; order++) {
        stage_of(executor, order->execution, stage, sizeof stage);
        int done = is_over(executor, order->execution);
        int rests = strcmp(stage, STAGE_APPROVAL) == 0 || strcmp(stage, STAGE_WINDOW) == 0;
        if (!done && (order == orders || !rests)) return 0;
    }
    return charged;
}

static int all_over(void)
{
    for (int i = 0; i < order_count; i++) {
        if (!is_over(executor, orders[i].execution)) return 0;
    }
    return 1;
}

/* ---- the acts ---- */

static void place_orders(const char *list)
{
    for (const char *at = json_first(list); at; at = json_next(at)) {
        struct order *order = &orders[order_count++];
        char *text = json_text(at), *id = submit(executor, text);
        json_copy(json_get(text, "id"), order->number, sizeof order->number);
        snprintf(order->execution, sizeof order->execution, "%s", id);
        say(order->number, "", "is placed: %zu lines", json_count(json_get(text, "lines")));
        stent_free(id);
        free(text);
    }
    held = &orders[order_count - 1];
}

static void kill_the_worker(void)
{
    int how;
    kill(worker, SIGKILL);
    if (waitpid(worker, &how, 0) != worker || !WIFSIGNALED(how) || WTERMSIG(how) != SIGKILL) {
        give_up("the worker did not die of SIGKILL");
    }
    say(held->number, "charge", "kill -9 %d: the worker is dead", (int)worker);
}

static void stop_the_worker(void)
{
    int how;
    kill(worker, SIGTERM);
    if (waitpid(worker, &how, 0) != worker || !WIFEXITED(how) || WEXITSTATUS(how) != 0) {
        give_up("the second worker did not end well after SIGTERM");
    }
}

/* What is recorded when nobody lives, and where each order stands. */
static void look_at_the_ruins(void)
{
    char stage[64];
    for (int i = 0; i < order_count; i++) {
        struct order *order = &orders[i];
        int recorded = 0;
        order->count = read_steps(backend, order->execution, order->steps, STEPS_MAX);
        for (int s = 0; s < order->count; s++) recorded += order->recorded_before[s] = order->steps[s].recorded;
        stage_of(executor, order->execution, stage, sizeof stage);
        say(order->number, "", "%d of %d steps recorded; %s", recorded, order->count, stage);
    }
}

static void approve_what_waits(void)
{
    for (int i = 0; i < order_count; i++) {
        char stage[64];
        stent_error *error = NULL;
        if (strcmp(stage_of(executor, orders[i].execution, stage, sizeof stage), STAGE_APPROVAL) != 0) continue;
        must(stent_executor_signal(executor, orders[i].execution, "approval", "{\"approved\": true}", NULL, &error),
             &error, "approving");
        say(orders[i].number, "", "is approved while no worker lives: the signal is kept");
    }
}

/* Reads the steps once more. Those of before keep their places: they come in the order of their creation. */
static void look_at_the_end(pid_t first, pid_t second)
{
    char *runs = read_file(shop.runs);
    for (int i = 0; i < order_count; i++) {
        struct order *order = &orders[i];
        order->count = read_steps(backend, order->execution, order->steps, STEPS_MAX);
        for (int s = 0; s < order->count; s++) {
            order->ran_before[s] = runs_of(runs, order->steps[s].id, first);
            order->ran_after[s] = runs_of(runs, order->steps[s].id, second);
        }
    }
    free(runs);
}

/* How many results the store has under one key of an order. */
static int times_recorded(const struct order *order, const char *key)
{
    int times = 0;
    for (int s = 0; s < order->count; s++) times += order->steps[s].recorded && strcmp(order->steps[s].key, key) == 0;
    return times;
}

static void tell_steps(void)
{
    printf("%-9s %-17s %-18s %-9s %-15s %s\n", "order", "step", "body ran", "recorded", "by", "result");
    for (int i = 0; i < order_count; i++) {
        for (int s = 0; s < orders[i].count; s++) {
            const struct step *step = &orders[i].steps[s];
            int before = orders[i].ran_before[s], after = orders[i].ran_after[s];
            char ran[32] = "", recorded[32], *at = ran;
            int times = times_recorded(&orders[i], step->key);
            if (before) at += sprintf(at, "%d before", before);
            if (after) at += sprintf(at, "%s%d after", before ? ", " : "", after);
            if (times == 1) snprintf(recorded, sizeof recorded, "once");
            else snprintf(recorded, sizeof recorded, "%d times", times);
            printf("%-9s %-17s %-18s %-9s %-15s %s%s\n", s ? "" : orders[i].number, step->key, *ran ? ran : "-",
                   recorded, step->has_body ? step->by : "the store", step->result,
                   before && after && strcmp(step->key, "charge#1") == 0 ? "   <- cut in two by the kill" : "");
        }
    }
}

/* The promises; how many were broken. */
static int tell_promises(void)
{
    int open = 0, not_once = 0, again = 0, cut = 0, charged = 0, payments = 0, broken = 0;
    char *books = read_file(shop.gateway), *dead = NULL, *text;
    stent_error *error = NULL;
    for (struct order *order = orders; order <= held; order++) {
        for (int s = 0; s < order->count; s++) {
            const struct step *step = &order->steps[s];
            open += !step->recorded;
            again += order->recorded_before[s] && order->ran_after[s] > 0;
            not_once += times_recorded(order, step->key) != 1;
            if (strcmp(step->key, "charge#1") != 0) continue;
            charged += strstr(books, step->id) != NULL;
            if (order != held) continue;
            cut = order->ran_before[s] >= 3 && order->ran_after[s] >= 1 && !order->recorded_before[s];
        }
    }
    for (const char *at = books; (at = strchr(at, '\n')); at++) payments++;
    must(stent_executor_dead_letters(executor, NULL, &dead, &error), &error, "reading the dead letters");

    broken += promise(open == 0, "every step of every order has ended, and its result is recorded");
    broken += promise(not_once == 0, "every step is recorded once");
    broken += promise(again == 0, "what was recorded before the kill was not run again after it");
    broken += promise(cut, "the charge that was cut in two ran again, and the second worker recorded it");
    text = json_format("the gateway took money %d times for %d orders: the charge that ran again had the same key",
                       payments, order_count);
    broken += promise(charged == order_count && payments == order_count, text);
    broken += promise(json_count(dead) == 0, "nothing was given up: there is no dead letter");
    free(books), free(text);
    stent_free(dead);
    return broken;
}

/* Makes the place for the files, and sees to it that the gateway will be slow with the last order. */
static void prepare(const char *orders_path, const char *list, const char *directory)
{
    static char made[400], number[32], database[500];
    size_t count = json_count(list);
    snprintf(made, sizeof made, "%.300s/stent-demo-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (count < 2 || count > ORDERS_MAX) {
        fprintf(stderr, "%s: the demo wants a JSON array of 2 to %d orders; there are %zu\n", orders_path, ORDERS_MAX,
                count);
        exit(1);
    }
    if (!directory ? !(directory = mkdtemp(made)) : mkdir(directory, 0777) != 0 && errno != EEXIST) {
        perror(directory ? directory : made);
        exit(1);
    }
    snprintf(database, sizeof database, "%s/orders.db", directory);
    if (access(database, F_OK) == 0) {
        fprintf(stderr, "%s is there already; give the demo a directory without one\n", database);
        exit(1);
    }
    shop = shop_at(database);
    FILE *slow = fopen(shop.slow, "w");
    json_copy(json_get(json_at(list, count - 1), "id"), number, sizeof number);
    if (!slow || fputs(number, slow) < 0 || fclose(slow) != 0) {
        perror(shop.slow);
        exit(1);
    }
}

int demo(const char *orders_path, const char *directory)
{
    char *file = read_file(orders_path);
    const char *list = json_space(file);
    prepare(orders_path, list, directory);

    printf("Stent %s: durable workflows on a SQLite file, %s\n\n"
           "  shop     this process: places orders, approves, looks. It runs no handler.\n"
           "  worker   a process of its own: runs the handlers of order_workflow.c. What it has in hand is under a\n"
           "           lease of 2 s, which it renews as long as it lives. When it dies, others take over at its end.\n"
           "  gateway  takes the money. It leaves the first two requests for a charge unanswered: they fail.\n",
           stent_version(), shop.database);

    heading("1. A worker starts, orders come in");
    executor = shop_open(&shop, &backend);
    worker = start_worker(&shop);
    place_orders(list);
    until(in_the_middle, "the last order in the middle of its charge, the first one done, the others at rest");

    heading("2. kill -9 in the middle of a charge: the gateway has taken the money, and nothing of it is recorded");
    pid_t first = worker;
    kill_the_worker();
    look_at_the_ruins();
    approve_what_waits();
    unlink(shop.slow);

    heading("3. Another worker starts, and goes on from what is recorded");
    worker = start_worker(&shop);
    until(all_over, "the end of all orders");
    stop_the_worker();

    heading("4. What is recorded in the end (before, after: the kill)");
    look_at_the_end(first, worker);
    tell_steps();

    heading("5. What was promised, and whether it held");
    int broken = tell_promises();
    printf("\nEverything is in %s; look with: %s status %s\n", shop.database, program_invocation_name, shop.database);
    free(file);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return broken != 0;
}
