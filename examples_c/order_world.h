/* The world around the order workflow: a payment gateway, side files, the screen. Nothing here is Stent's. */
#ifndef EXAMPLES_ORDER_WORLD_H
#define EXAMPLES_ORDER_WORLD_H

#include "stent.h"

/* Where things are. Only the database is Stent's; the side files stand for the world outside. */
struct shop {
    char database[512]; /* the SQLite file: all that is durable */
    char runs[512];     /* one line whenever a handler's body starts, whatever becomes of it */
    char gateway[512];  /* the books of the payment gateway */
    char slow[512];     /* names the order whose payment the gateway is slow to confirm; absent: none */
};

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

#endif
