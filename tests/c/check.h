/* What the C tests share: checks that say where they failed, and waiting for conditions instead of times. */
#ifndef STENT_TESTS_CHECK_H
#define STENT_TESTS_CHECK_H

/* strndup, and what else POSIX and GNU add to C11. */
#define _GNU_SOURCE

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stent.h"

/* A condition that has not come true by then never will. */
#define PATIENCE_MS 60000

#define FAIL(...) (fprintf(stderr, "%s:%d: ", __FILE__, __LINE__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), _Exit(1))

#define CHECK(condition) ((condition) ? (void)0 : FAIL("not so: %s", #condition))

/* The error of the last call that was EXPECTed; freed by the next one. */
static _Thread_local stent_error *last_error;

static inline void expect(const char *file, int line, const char *what, stent_status wanted, stent_status got) {
    if (wanted == got) return;
    fprintf(stderr, "%s:%d: %s\n  gave %s instead of %s: %s\n", file, line, what, stent_status_name(got),
            stent_status_name(wanted), stent_error_json(last_error));
    _Exit(1);
}

static inline stent_error **fresh_error(void) {
    stent_error_free(last_error);
    last_error = NULL;
    return &last_error;
}

static inline void forget_error(void) { (void)fresh_error(); }

/* EXPECT(STENT_E_INVALID, stent_backend_open(NULL, NULL, &backend, ERROR)); */
#define ERROR fresh_error()
#define EXPECT(status, call) expect(__FILE__, __LINE__, #call, (status), (call))
#define OK(call) EXPECT(STENT_OK, call)

/* The last error's message, or its JSON, has this in it. */
#define SAYS(text) \
    (strstr(stent_error_json(last_error), (text)) ? (void)0 : FAIL("the error does not say %s: %s", text, stent_error_json(last_error)))

static inline int has(const char *text, const char *part) { return text != NULL && strstr(text, part) != NULL; }

static inline void nap(void) {
    struct timespec millisecond = {0, 1000000};
    nanosleep(&millisecond, NULL);
}

static inline int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define WAIT_FOR(condition) \
    do { \
        int64_t until = now_ms() + PATIENCE_MS; \
        while (!(condition)) { \
            if (now_ms() > until) FAIL("never came true: %s", #condition); \
            nap(); \
        } \
    } while (0)

/* The folder for this run's files. */
static const char *folder;

static inline const char *file_in_folder(char path[512], const char *name) {
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

/* user_data that counts its end. */
static inline void count_free(void *user_data) { atomic_fetch_add((atomic_int *)user_data, 1); }

static inline stent_backend *open_backend(const char *name) {
    char path[512];
    stent_backend *backend = NULL;
    OK(stent_backend_open(strcmp(name, ":memory:") == 0 ? name : file_in_folder(path, name), NULL, &backend, ERROR));
    CHECK(backend != NULL);
    return backend;
}

static inline stent_executor *new_executor(stent_backend *backend) {
    stent_executor *executor = NULL;
    OK(stent_executor_new(backend, NULL, &executor, ERROR));
    CHECK(executor != NULL);
    return executor;
}

static inline stent_worker *start_worker(stent_executor *executor, const char *options) {
    stent_worker *worker = NULL;
    OK(stent_worker_start(executor, options, NULL, &worker, ERROR));
    CHECK(worker != NULL);
    return worker;
}

/* Dispatches, and gives the id, to be freed. */
static inline char *dispatch(stent_executor *executor, const char *function, const char *args) {
    char *id = NULL;
    OK(stent_executor_dispatch(executor, function, args, NULL, &id, ERROR));
    CHECK(id != NULL && strlen(id) == 36);
    return id;
}

/* The value of a member in JSON that is written without white space: good enough for ids and states. To be freed. */
static inline char *member(const char *json, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *value = strstr(json, key);
    if (!value) FAIL("no %s in %s", name, json);
    value += strlen(key);
    size_t length = *value == '"' ? strcspn(value + 1, "\"") : strcspn(value, ",}]");
    return strndup(*value == '"' ? value + 1 : value, length);
}

/* The execution has come to a state. */
static inline int is_in_state(stent_executor *executor, const char *id, const char *state) {
    char *execution = NULL;
    OK(stent_executor_state(executor, id, &execution, ERROR));
    char *found = member(execution, "state");
    int equal = strcmp(found, state) == 0;
    free(found);
    stent_free(execution);
    return equal;
}

/* Every test ends with it: nothing is left that could look like a leak. */
static inline int done(void) {
    OK(stent_shutdown(PATIENCE_MS, ERROR));
    forget_error();
    return 0;
}

static inline void begin(int count, char **arguments) {
    if (count < 2) FAIL("usage: %s folder", arguments[0]);
    folder = arguments[1];
}


#endif
