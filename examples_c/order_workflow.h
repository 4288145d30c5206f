/* What the three parts of the order example share: the workflow (order_workflow.c), the world around it
 * (order_world.c), and the story told with both (order_demo.c). */
#ifndef EXAMPLES_ORDER_WORKFLOW_H
#define EXAMPLES_ORDER_WORKFLOW_H

#include "stent.h"

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
void must(stent_status status, stent_error *error, const char *doing);

/* A whole file; free() it. A file that is not there is empty. */
char *read_file(const char *path);

/* ---- order_demo.c ---- */

int demo(const char *program, const char *orders_path, const char *directory);

#endif
