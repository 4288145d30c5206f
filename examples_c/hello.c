#include <stdio.h>
#include "stent.h"

/* An activity: does one thing, and its result is recorded once. Arguments and results are JSON. */
static stent_status greet(void *user_data, stent_task *task) {
    char result[256];
    (void)user_data;
    snprintf(result, sizeof result, "{\"hello\": %s}", stent_task_args(task));
    return stent_task_complete(task, result, NULL);
}
/* A workflow: calls and waits. After a crash it runs again from the top and reads what is recorded. */
static stent_status welcome(void *user_data, stent_task *task) {
    char *greeting = NULL;
    (void)user_data;
    stent_status status = stent_task_call(task, "greet", stent_task_args(task), NULL, &greeting, NULL);
    if (status == STENT_OK) status = stent_task_sleep(task, "500ms", NULL);
    if (status == STENT_OK) status = stent_task_complete(task, greeting, NULL);
    stent_free(greeting);
    return status; /* a suspension and a failure are passed on alike */
}
int main(void) {
    stent_backend *store; stent_executor *executor; stent_worker *worker;
    stent_error *error = NULL; char *id, *result;
    if (stent_backend_open("hello.db", NULL, &store, &error) || stent_executor_new(store, NULL, &executor, &error)
        || stent_executor_register(executor, "greet", NULL, greet, NULL, NULL, &error)
        || stent_executor_register(executor, "welcome", NULL, welcome, NULL, NULL, &error)
        || stent_worker_start(executor, NULL, NULL, &worker, &error)
        || stent_executor_dispatch(executor, "welcome", "[\"world\"]", NULL, &id, &error)
        || stent_executor_result(executor, id, 10000, &result, &error))
        return fprintf(stderr, "%s\n", stent_error_message(error)), 1;
    printf("execution %s: %s\n", id, result);
    return stent_shutdown(5000, NULL) != STENT_OK; /* a longer program also frees what it got */
}
