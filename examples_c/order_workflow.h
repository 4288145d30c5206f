/* What the parts of the order example share: the workflow (order_workflow.c), the world around it (order_world.c), and
 * two programs that watch it from outside: a story (order_demo.c) and a trial (order_soak.c). */
#ifndef EXAMPLES_ORDER_WORKFLOW_H
#define EXAMPLES_ORDER_WORKFLOW_H

#include "stent.h"

#include <sys/types.h>

/* Where things are. Only the database is Stent's; the side files stand for the world outside. */
struct shop {
    char database[512]; /* the SQLite file: all that is durable */
    char runs[512];     /* one line whenever a handler's body starts, whatever becomes of it */
    char gateway[512];  /* the books of the payment gateway */
    char slow[512];     /* names the order whose payment the gateway is slow to confirm; absent: none */
};

/* The stages that an order tells the outside in its state value "stage". */
#define STAGE_CHECK "checking the order"
#define STAGE_RESERVE "reserving the lines"
#define STAGE_APPROVAL "waiting for approval"
#define STAGE_CHARGE "charging the card"
#define STAGE_WINDOW "cancel window open"
#define STAGE_SHIP "shipping"
#define STAGE_DONE "done"

/* ---- order_workflow.c ---- */

/* From this total on somebody has to approve an order. */
enum { APPROVAL_FROM_CENTS = 100000 };

/* Opens the store as a client: no handlers, no worker. */
stent_executor *shop_open(const struct shop *shop, stent_backend **backend);

/* Starts the workflow of an order (JSON text) and returns its execution's id; stent_free() it. The order's number is
 * the idempotency key: the same order again is the same execution. */
char *submit(stent_executor *executor, const char *order);

/* ---- order_world.c ---- */

struct shop shop_at(const char *database);

/* One run of a handler's body. */
struct run {
    const char *args;
    char task_id[40], order[32], step[32];
    int attempt;
};

/* Reads what every handler here needs, and notes in the side file that its body runs. */
struct run begin(const struct shop *shop, stent_task *task);

/* The payment gateway, somewhere else in the world. It knows a request by its key: the same key again takes no
 * money, it gives the first receipt again. Returns 1 when the money was taken now, 0 when it had been before. */
int gateway_charge(const struct shop *shop, const char *key, long long cents, char receipt[24]);

/* Does the gateway keep this order's caller waiting? */
int gateway_is_slow(const struct shop *shop, const char *order);

/* One line on the screen, in one write: time, who, order, step, text. */
void say(const char *order, const char *step, const char *format, ...);

/* Who speaks: "shop" or "worker". */
void say_as(const char *role);

/* Is the screen one for colours? */
int in_colour(void);

/* Ends the program with a message when a call has failed. */
void must(stent_status status, stent_error **error, const char *doing);

/* A whole file; free() it. A file that is not there is empty. */
char *read_file(const char *path);

/* ---- order_watch.c ---- */

/* What the store has of one step. */
struct step {
    char id[40], key[48], state[16], by[32], result[80];
    int attempts, recorded, has_body; /* timers and signals are the store's own: no handler runs for them */
};

/* Starts this program again as a worker. */
pid_t start_worker(const struct shop *shop);

/* The stage that an order tells the outside; empty when it has said nothing yet. Returns `out`. */
char *stage_of(stent_executor *executor, const char *execution, char *out, size_t size);

int is_over(stent_executor *executor, const char *execution);

/* Reads the steps of an execution from the store; their number. */
int read_steps(stent_backend *backend, const char *execution, struct step *steps, int room);

/* How often a task's handler ran in a process (0: in all), by what the side file says. */
int runs_of(const char *runs, const char *task, pid_t pid);

/* Prints whether a promise was kept. Returns 1 when it was not. */
int promise(int held, const char *text);

/* ---- order_demo.c, order_soak.c: the exit code says whether all held ---- */

int demo(const char *orders_path, const char *directory);
int soak(const char *orders_path, int seconds);

#endif
