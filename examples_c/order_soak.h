/* The order workflow under bad luck. */
#ifndef EXAMPLES_ORDER_SOAK_H
#define EXAMPLES_ORDER_SOAK_H

/* Returns the exit code: 0 if all that was promised held. */
int soak(const char *orders_path, int seconds);

#endif
