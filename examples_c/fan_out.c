/* A fan-out: one workflow, thousands of children, joined, and where the time goes.
 *
 *     fan_out [CHILDREN [DATABASE]]
 *
 * The workflow is suspended while they run: it holds no thread and no slot, and is woken once, by the last. */
#define _GNU_SOURCE
#include "json.h"
#include "stent.h"

#include <stdatomic.h>
#include <time.h>

static atomic_int resumes; /* how often the workflow's body ran: for the report only, it is not durable */

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* square(n) -> n*n */
static stent_status square(void *user_data, stent_task *task)
{
    long long n = json_int(json_at(stent_task_args(task), 0));
    char result[32];
    (void)user_data;
    snprintf(result, sizeof result, "%lld", n * n);
    return stent_task_complete(task, result, NULL);
}

/* sum_of_squares(n) -> 1*1 + 2*2 + … + n*n */
static stent_status sum_of_squares(void *user_data, stent_task *task)
{
    long long count = json_int(json_at(stent_task_args(task), 0)), sum = 0;
    char *list = malloc(16 * (size_t)count + 3), *at = list, *squares = NULL, result[32];
    (void)user_data;
    atomic_fetch_add(&resumes, 1);
    if (!list) return STENT_E_INVALID;
    *at++ = '[';
    for (long long n = 1; n <= count; n++) at += sprintf(at, "%s[%lld]", n > 1 ? "," : "", n);
    memcpy(at, "]", 2);

    stent_status status = stent_task_map(task, "square", list, NULL, &squares, NULL);
    free(list);
    if (status != STENT_OK) return status;
    for (const char *value = json_first(squares); value; value = json_next(value)) sum += json_int(value);
    stent_free(squares);
    snprintf(result, sizeof result, "%lld", sum);
    return stent_task_complete(task, result, NULL);
}

int main(int argc, char **argv)
{
    long long count = argc > 1 ? strtoll(argv[1], NULL, 10) : 10000;
    stent_backend *backend = NULL;
    stent_executor *executor = NULL;
    stent_worker *worker = NULL;
    stent_error *error = NULL;
    char *id = NULL, *result = NULL, args[32];
    int wrong = 1;
    if (count < 1 || count > 1000000) {
        fprintf(stderr, "usage: fan_out [CHILDREN [DATABASE]]: 1 to 1000000 children\n");
        return 2;
    }
    snprintf(args, sizeof args, "[%lld]", count);
    double start = now_s();
    if (stent_backend_open(argc > 2 ? argv[2] : ":memory:", NULL, &backend, &error)
        || stent_executor_new(backend, NULL, &executor, &error)
        || stent_executor_register(executor, "square", NULL, square, NULL, NULL, &error)
        || stent_executor_register(executor, "sum_of_squares", NULL, sum_of_squares, NULL, NULL, &error)
        || stent_worker_start(executor, "{\"max_concurrency\": 64}", NULL, &worker, &error)
        || stent_executor_dispatch(executor, "sum_of_squares", args, NULL, &id, &error)
        || stent_executor_result(executor, id, 300000, &result, &error)) {
        fprintf(stderr, "%s\n", stent_error_message(error));
    } else {
        double seconds = now_s() - start;
        wrong = json_int(result) != count * (count + 1) * (2 * count + 1) / 6;
        printf("%lld children joined in %.2f s (%.0f a second); the workflow's body ran %d times; the sum is %s%s\n",
               count, seconds, (double)count / seconds, atomic_load(&resumes), result, wrong ? ": WRONG" : "");
    }
    stent_error_free(error);
    stent_free(id);
    stent_free(result);
    stent_worker_free(worker);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return wrong;
}
