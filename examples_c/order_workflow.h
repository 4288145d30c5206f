/* An order's way through a shop: the functions that a worker runs. */
#ifndef EXAMPLES_ORDER_WORKFLOW_H
#define EXAMPLES_ORDER_WORKFLOW_H

#include "order_world.h"

/* The stages that an order tells the outside in its state value "stage". */
#define STAGE_CHECK "checking the order"
#define STAGE_RESERVE "reserving the lines"
#define STAGE_APPROVAL "waiting for approval"
#define STAGE_CHARGE "charging the card"
#define STAGE_WINDOW "cancel window open"
#define STAGE_SHIP "shipping"
#define STAGE_DONE "done"

/* From this total on somebody has to approve an order. */
enum { APPROVAL_FROM_CENTS = 100000 };

/* Registers the workflow and its activities. The shop must outlive the executor. */
void register_functions(stent_executor *executor, struct shop *shop);

#endif
