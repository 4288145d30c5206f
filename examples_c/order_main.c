/* The order example as a program. Its worker runs the handlers of order_workflow.c.
 *
 *     order_workflow demo [ORDERS.json [DIRECTORY]]   the story with a kill -9 in the middle (order_demo.c)
 *     order_workflow soak ORDERS.json SECONDS         the same under random kills (order_soak.c)
 *     order_workflow worker DATABASE                  runs handlers until SIGTERM or SIGINT
 *     order_workflow submit DATABASE ORDERS.json      starts a workflow for each order of the file
 *     order_workflow approve DATABASE ORDER yes|no    sends the approval signal
 *     order_workflow status DATABASE                  what the outside sees of every order
 */
#define _GNU_SOURCE
#include "json.h"
#include "order_client.h"
#include "order_demo.h"
#include "order_soak.h"
#include "order_workflow.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Runs handlers until it is told to stop. */
static int work(struct shop *shop)
{
    stent_backend *backend = NULL;
    stent_worker *worker = NULL;
    stent_error *error = NULL;
    sigset_t stop;
    int got;

    /* Before the library makes threads, so that all of them leave these signals to the sigwait below. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (getenv("ORDER_DEMO")) prctl(PR_SET_PDEATHSIG, SIGKILL); /* the demo leaves no worker behind */
    say_as("worker");

    stent_executor *executor = shop_open(shop, &backend);
    register_functions(executor, shop);
    /* The default lease is 30 s. This one is short, so that a dead worker's task is soon taken over. */
    char *options = json_format("{\"worker_id\": \"worker-%d\", \"max_concurrency\": 8, \"lease_duration\": \"2s\"}",
                                (int)getpid());
    must(stent_worker_start(executor, options, NULL, &worker, &error), &error, "starting the worker");
    must(stent_worker_wait(worker, "ready", 10000, &error), &error, "waiting for the worker to be ready");
    say("", "", "ready");

    sigwait(&stop, &got);
    must(stent_worker_stop(worker, 10000, &error), &error, "stopping the worker");
    say("", "", "stopped");
    free(options);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    struct shop shop = shop_at(argc > 2 ? argv[2] : "");
    if (strcmp(mode, "demo") == 0 && argc <= 4) {
        return demo(argc > 2 ? argv[2] : "orders.json", argc > 3 ? argv[3] : NULL);
    }
    if (strcmp(mode, "soak") == 0 && argc == 4) return soak(argv[2], atoi(argv[3]));
    if (strcmp(mode, "worker") == 0 && argc == 3) return work(&shop);
    if (strcmp(mode, "submit") == 0 && argc == 4) return submit_all(&shop, argv[3]);
    if (strcmp(mode, "approve") == 0 && argc == 5) return each_order(&shop, argv[3], argv[4]);
    if (strcmp(mode, "status") == 0 && argc == 3) return each_order(&shop, NULL, NULL);
    fprintf(stderr,
            "usage: order_workflow demo [ORDERS.json [DIRECTORY]]\n"
            "       order_workflow soak ORDERS.json SECONDS\n"
            "       order_workflow worker DATABASE\n"
            "       order_workflow submit DATABASE ORDERS.json\n"
            "       order_workflow approve DATABASE ORDER yes|no\n"
            "       order_workflow status DATABASE\n");
    return 2;
}
