/* What the demo and the soak share: they start workers as processes of their own, and look at orders from outside. */
#ifndef EXAMPLES_ORDER_WATCH_H
#define EXAMPLES_ORDER_WATCH_H

#include "order_world.h"

#include <sys/types.h>

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

#endif
