/* The story told with the order workflow. */
#ifndef EXAMPLES_ORDER_DEMO_H
#define EXAMPLES_ORDER_DEMO_H

/* Returns the exit code: 0 if all that was promised held. */
int demo(const char *orders_path, const char *directory);

#endif
