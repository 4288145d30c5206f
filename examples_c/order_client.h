/* What a shop asks of its store. A client runs no handlers. */
#ifndef EXAMPLES_ORDER_CLIENT_H
#define EXAMPLES_ORDER_CLIENT_H

#include "order_world.h"

/* Opens the store as a client: no handlers, no worker. */
stent_executor *shop_open(const struct shop *shop, stent_backend **backend);

/* Starts the workflow of an order (JSON text) and returns its execution's id; stent_free() it. The order's number is
 * the idempotency key: the same order again is the same execution. */
char *submit(stent_executor *executor, const char *order);

/* Submits each order of a file, a JSON array. Returns the program's exit code. */
int submit_all(const struct shop *shop, const char *path);

/* Prints every order; or, with an answer, sends the approval to the one that is named. Returns the exit code. */
int each_order(const struct shop *shop, const char *named, const char *answer);

#endif
