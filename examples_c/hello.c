#include <stdio.h>
#include "stent.h"

/* An activity: does one thing; its result is recorded once. Its arguments are JSON: ["world"]. */
static stent_status greet(void *user_data, stent_task *task) {
    char result[256];
    (void)user_data;
    snprintf(result, sizeof result, "{\"hello\": %s}", stent_task_args(task));
    return stent_task_complete(task, result, NULL);
}
/* A workflow: calls and waits. After a crash it runs again, and what is recorded is not done again. */
static stent_status welcome(void *user_data, stent_task *task) {
    char *greeting = NULL;
    (void)user_data;
    stent_status status = stent_task_call(task, "greet", stent_task_args(task), NULL, &greeting, NULL);
    if (status == STENT_OK) status = stent_task_sleep(task, "500ms", NULL);
    if (status == STENT_OK) status = stent_task_complete(task, greeting, NULL);
    stent_free(greeting);
    return status; /* whatever it is: a suspension and a failure are passed on alike */
}
int main(void) {
    stent_backend *store = NULL; stent_executor *stent = NULL; stent_worker *worker = NULL;
    stent_error *error = NULL;
    char *id = NULL, *result = NULL;
    if (stent_backend_open("hello.db", NULL, &store, &error) || stent_backend_init_db(store, &error)
        || stent_executor_new(store, NULL, &stent, &error)
        || stent_executor_register(stent, "greet", NULL, greet, NULL, NULL, &error)
        || stent_executor_register(stent, "welcome", NULL, welcome, NULL, NULL, &error)
        || stent_worker_start(stent, NULL, NULL, &worker, &error)
        || stent_executor_dispatch(stent, "welcome", "[\"world\"]", NULL, &id, &error)
        || stent_executor_result(stent, id, 10000, &result, &error))
        fprintf(stderr, "%s\n", stent_error_message(error));
    else
        printf("execution %s: %s\n", id, result);
    stent_error_free(error); stent_free(id); stent_free(result);
    stent_worker_free(worker); stent_executor_free(stent); stent_backend_free(store);
    return result == NULL;
}
