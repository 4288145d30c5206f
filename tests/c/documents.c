/* The blocks of C in docs/writing-a-backend.md, as they stand there. */
#include "check.h"

#include "stent.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

static void answer(void *user_data, const char *operation, const char *request, stent_reply *reply)
{
    if (strcmp(operation, "count_dead_tasks") == 0) {
        stent_reply_ok(reply, "0"); /* JSON; the text is copied */
    } else {
        stent_reply_error(reply, STENT_E_UNSUPPORTED, "not yet", NULL);
    }
}

static void free_user_data(void *user_data) { atomic_fetch_add((atomic_int *)user_data, 1); }

int main(void) {
    atomic_int freed = 0;
    void *user_data = &freed;
    stent_error *error = NULL;

    stent_backend_vtable vtable = {sizeof vtable, answer, "[\"count_dead_tasks\"]", "{\"timeout\": \"10s\"}"};
    stent_backend *backend;
    stent_status status = stent_backend_custom(&vtable, user_data, free_user_data, &backend, &error);

    CHECK(status == STENT_OK);
    char *dead = NULL;
    OK(stent_backend_call(backend, "count_dead_tasks", "{}", &dead, ERROR));
    CHECK(strcmp(dead, "0") == 0);
    stent_free(dead);
    EXPECT(STENT_E_UNSUPPORTED, stent_backend_call(backend, "count_executions", "{}", &dead, ERROR));
    OK(stent_backend_close(backend, ERROR));
    stent_backend_free(backend);
    WAIT_FOR(atomic_load(&freed) == 1);

    OK(stent_backend_open(":memory:", NULL, &backend, ERROR));
    {
        char *report;
        stent_status status = stent_backend_check(backend, "{\"only\": [\"claiming/\"], \"timeout\": \"60s\"}", &report, &error);

        CHECK(status == STENT_OK && has(report, "\"failed\":0"));
        stent_free(report);
    }
    stent_backend_free(backend);
    OK(stent_shutdown(PATIENCE_MS, ERROR));
    return 0;
}
