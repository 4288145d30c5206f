#include "shim.h"

#include "_cgo_export.h"

/* user_data is the number of a cgo.Handle: C holds no pointer into Go's memory. */
static stent_status on_task(void *user_data, stent_task *task) { return stentGoHandler((uintptr_t)user_data, task); }

static void on_log(void *user_data, int32_t level, const char *line) { stentGoLog((uintptr_t)user_data, level, (char *)line); }

static void on_free(void *user_data) { stentGoFree((uintptr_t)user_data); }

stent_status stent_go_register(stent_executor *executor, const char *function, const char *options, uintptr_t handler,
                               stent_error **error)
{
    return stent_executor_register(executor, function, options, on_task, (void *)handler, on_free, error);
}

/* Each task has been ended there. */
static stent_status on_batch(void *user_data, stent_task **tasks, size_t count)
{
    stentGoBatch((uintptr_t)user_data, tasks, count);
    return STENT_OK;
}

stent_status stent_go_register_batch(stent_executor *executor, const char *function, const char *options, const char *batch,
                                     uintptr_t handler, stent_error **error)
{
    return stent_executor_register_batch(executor, function, options, batch, on_batch, (void *)handler, on_free, error);
}

stent_status stent_go_set_log(const char *options, uintptr_t handler, stent_error **error)
{
    if (handler == 0) return stent_set_log_handler(options, NULL, NULL, NULL, error);
    return stent_set_log_handler(options, on_log, (void *)handler, on_free, error);
}

stent_status stent_go_set_executor_log(stent_executor *executor, const char *options, uintptr_t handler, stent_error **error)
{
    if (handler == 0) return stent_executor_set_log_handler(executor, options, NULL, NULL, NULL, error);
    return stent_executor_set_log_handler(executor, options, on_log, (void *)handler, on_free, error);
}

static void on_call(void *user_data, const char *operation, const char *request, stent_reply *reply)
{
    stentGoStore((uintptr_t)user_data, (char *)operation, (char *)request, reply);
}

stent_status stent_go_custom(const char *operations, const char *options, uintptr_t function, stent_backend **backend,
                             stent_error **error)
{
    stent_backend_vtable table = {sizeof table, on_call, operations, options};
    return stent_backend_custom(&table, (void *)function, on_free, backend, error);
}
