/*
 * stent.h: durable executions and the workers that run them, for any language that can call C.
 *
 * This file is generated from the sources in src/ffi. The conventions, once for all functions:
 *
 * LIFE. Open a backend, make an executor on it, register the functions that this process has code for, start a
 * worker; dispatch executions, here or in any other process on the same store. At the end stop the workers, or call
 * stent_shutdown for all of it, and free the handles.
 *
 * STATUS. Every call that can fail returns a stent_status: 0 is success, negative is failure, STENT_PENDING and
 * STENT_SUSPEND are neither. The last parameter, `error`, may be NULL; else it is written on every path: NULL, or,
 * with a negative status, an error that the caller frees with stent_error_free. Other outputs are written on success
 * only. An output that gives text or a number may be NULL, when the caller has no use for it; one that gives a
 * handle may not. Beside those that a function names, any function may return STENT_E_INVALID (NULL where something
 * is needed, text that is not UTF-8, JSON that is not JSON, an option that nobody knows, a handle that is not
 * alive), STENT_E_CLOSED (the backend was closed, or everything shut down), STENT_E_BACKEND (the store: busy,
 * unreachable, corrupt, full), STENT_E_FORKED and STENT_E_PANIC (a defect of the library, caught at the border).
 *
 * TEXT is NUL-terminated UTF-8, and JSON where it is data. Text that goes in is copied before the call returns. Text
 * that comes out by a `char **` belongs to the caller, who frees it with stent_free; a `const char *` that is
 * returned belongs to the library or to the handle it was asked of, and is not freed.
 *
 * JSON. Arguments are an array (NULL: no arguments), results and signals any JSON value, kept as it was written.
 * Bytes stand as {"$base64": "..."}, at any depth, and come out as bytes, whatever they spell; what is not base64 there
 * is refused. An object that only looks so ({"$base64": "text"}, or one of these in a "$base64") is written with one
 * such key more around it, and read with one less. A failure is {"type", "message", "code", "retryable", "details",
 * "stack"}, of which "type" must be there; half a character in its text is read as U+FFFD, and not refused. Times are
 * RFC 3339 in UTC; durations are numbers of seconds or text such as "1h30m". Options are objects, NULL for none, and checked
 * strictly: the error for an unknown key names the known ones. stent_describe() lists every option with its type and
 * default, as docs/options.md does for people; stent.json has the signatures of all functions, stent.cdef their
 * declarations for FFIs that read C but no preprocessor's directives.
 *
 * LENGTHS. Beside the functions through which payloads pass stands one whose name ends with _n, which takes text with its
 * length (bytes; no NUL is needed behind them, and NULL is none, whatever the length), or gives it. A payload may have
 * STENT_PAYLOAD_MAX bytes: a host that knows its lengths needs no copy to put a NUL behind, and nobody counts them.
 *
 * TIME. What is written down, and holds across crashes and machines, is a duration as JSON has it (a sleep, a time-out,
 * a lease): a number of seconds, or text. How long one thread waits in one call, here and now, is an integer of
 * milliseconds (timeout_ms, hold_ms), as in poll(): it is nobody else's business, and made without a text.
 *
 * HANDLES are opaque and may be freed in any order: a worker keeps its executor alive, an executor its backend.
 * Freeing NULL is nothing; freeing never blocks. A handle that was freed is refused with STENT_E_INVALID, as long as
 * its place in the library's table has not come round again; don't rely on it.
 *
 * THREADS. Any function may be called on any thread, several at once, unless it says otherwise. Handlers run on
 * threads of the library made for them: they may block, and may call any function, except those that wait for
 * handlers to end (STENT_E_WRONG_THREAD). Such a thread is not the host's: attach it to your runtime if that must
 * be (stent_configure_threads). It has 1 MiB of stack (stent_configure); the other threads that call the host's
 * functions have 2 MiB.
 *
 * CANCELLATION. A call is no cancellation point: a thread that gets pthread_cancel in it goes on to the call's end, and
 * is cancelled by what follows. What blocks without a time-out can't be cancelled, so give it one, or end what it waits
 * for. Asynchronous cancellation must be off in calls, and threads of the library, handlers' too, must not be cancelled.
 *
 * MEMORY. A text for the caller that malloc has no room for is STENT_E_BACKEND, and so is SQLite's want of memory. When the
 * library's own memory can't be had the process ends by SIGABRT, with a line on its standard error, as a program of
 * C++ does; what was committed before is in the store, and leases run out as after any crash.
 *
 * STACK. A call needs at most 64 KiB of the caller's stack, what it calls back on the same thread aside; on PostgreSQL, where
 * any call may have to connect, also by TLS, at most 512 KiB.
 *
 * SIGNALS. Every thread of the library, handlers' too, blocks all signals but those of faults in its own code (SIGSEGV,
 * SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS): the host's signals arrive on the host's threads. A child that is
 * forked on such a thread has the mask back that the host's first calling thread had; one that is made there by
 * posix_spawn, system or vfork inherits the blocked one: give it a mask (POSIX_SPAWN_SETSIGMASK), or unblock in a
 * start hook what it must get.
 *
 * AT EXIT. Calls work to the end of the process: in what atexit has registered, in destructors of C++ statics and
 * thread-locals, and of pthread keys. There, and where a new thread can't be made any more, they may answer
 * STENT_E_CLOSED. Nothing is ever printed, but for the want of memory: a defect of the library is STENT_E_PANIC, and a line of the log.
 *
 * HOSTING. A worker runs handlers in one of three ways: it calls them back (stent_handler_fn); the handler returns
 * STENT_PENDING and ends its task later, from any thread; or nothing is called back, and a host with an event loop
 * takes tasks from a poller (see stent_poller_new). Their records are alike.
 *
 * CALLBACKS get `user_data` first. A `free_fn` (NULL: none) is called exactly once with it, when the library needs
 * it no more, or before the call returns if that fails. A handler must not throw and must not longjmp: an exception
 * that reaches the library ends the process.
 *
 * FORK. In a child forked after the first handle was made every call returns STENT_E_FORKED, and freeing does
 * nothing. The library installs no signal handlers, never exits, and stays loaded after dlclose.
 *
 * VERSIONS. What is in this header stays as it is, and more comes, for as long as the number in the library's name
 * (STENT_ABI_VERSION) stays the same. The symbols carry no versions of their own: a version at a symbol tells two
 * functions of one name apart, and there never are two. A program that was linked with a newer library than it finds is
 * refused by the loader, with the name of the function that is missing; one that loads the library by itself looks for
 * it by dlsym, or compares stent_version with STENT_VERSION_STRING.
 */

#ifndef STENT_H
#define STENT_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header; stent_version gives the library's. */
#define STENT_VERSION_STRING "0.1.0"
#define STENT_VERSION_MAJOR 0
#define STENT_VERSION_MINOR 1
#define STENT_VERSION_PATCH 0

/** Major * 1000000 + minor * 1000 + patch, for #if. */
#define STENT_VERSION_NUMBER 1000

/** Stands before every function: its name is seen, whatever -fvisibility says. Yours instead, if you define it before. */
#ifndef STENT_API
#if defined(__GNUC__)
#define STENT_API __attribute__((visibility("default")))
#else
#define STENT_API
#endif
#endif

/**
 * Stands where a result that is dropped is a leak or a lost error, and a compiler that knows how warns of it. It does not
 * stand at what is only told (stent_task_progress, stent_task_log) or ended (stent_worker_drain, stent_shutdown). Define
 * it before, as nothing, to have no such warnings.
 */
#ifndef STENT_NODISCARD
#if defined(__cplusplus) && __cplusplus >= 201703L
#define STENT_NODISCARD [[nodiscard]]
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ > 201710L
#define STENT_NODISCARD [[nodiscard]]
#elif defined(__GNUC__)
#define STENT_NODISCARD __attribute__((warn_unused_result))
#else
#define STENT_NODISCARD
#endif
#endif

/** For stent_task_await: until every one of the operations has ended. */
#define STENT_WAIT_ALL 0

/** For stent_task_await: until the first of the operations has ended. */
#define STENT_WAIT_ANY 1

/** Log levels, as stent_log_fn is given them and stent_task_log takes them. */
#define STENT_LOG_ERROR 1

#define STENT_LOG_WARN 2

#define STENT_LOG_INFO 3

#define STENT_LOG_DEBUG 4

/**
 * The number that stent_abi_version gives: compare them at the start of a program that loads the library by itself.
 * It grows when something that was in the header changes; what is only added leaves it as it is.
 */
#define STENT_ABI_VERSION 0

/**
 * LIMITS. What is longer or more is STENT_E_INVALID, and the message names the limit; but a failure's texts are cut, and say
 * so. Names, in bytes: of functions, queues, tags, signals, counters, state values, workers, steps, operations' keys and
 * idempotency keys, and the type and code of a failure. They are not empty and have no control characters. A key that is
 * given to an operation (options: key) has no '#', which stands in the keys that the library makes.
 */
#define STENT_NAME_MAX 255

/** One payload (arguments, a result, a signal, a state value), in bytes of JSON. */
#define STENT_PAYLOAD_MAX 67108864

/** The tags of a task, a function or a worker. */
#define STENT_TAGS_MAX 32

/**
 * The operations of one task (stent_task_continue begins anew), and what one stent_task_await, stent_task_notify_all or
 * stent_task_map is given.
 */
#define STENT_OPS_MAX 1000000

/** What one transaction of the store takes: beyond it stent_executor_dispatch_many needs several. */
#define STENT_BATCH_MAX 1000

/** A worker's max_concurrency, and its prefetch. */
#define STENT_CONCURRENCY_MAX 10000

/**
 * A failure's message and its stack, the reason of a cancellation or a dead letter, in bytes. What is longer is cut.
 */
#define STENT_ERROR_TEXT_MAX 32768

/** A failure's details, in bytes of JSON. What is longer is left out, and its length told. */
#define STENT_ERROR_DETAILS_MAX 262144

/** A key of a kept result in the operations of backends, in bytes. */
#define STENT_KEY_MAX 1024

/** The readers of a SQLite store, and a PostgreSQL store's max_size. */
#define STENT_CONNECTIONS_MAX 10000

/** A duration, in seconds: a thousand years. */
#define STENT_DURATION_MAX 31536000000

/** An open store. Made by stent_backend_open, freed by stent_backend_free. */
typedef struct stent_backend stent_backend;

/**
 * What went wrong: a status, a sentence for people, whether the same call may succeed later, and details as JSON.
 * Made by the call that failed, freed by the caller with stent_error_free.
 */
typedef struct stent_error stent_error;

/** One event. Made by stent_poller_next and stent_poller_take, freed by stent_event_free. */
typedef struct stent_event stent_event;

/**
 * Dispatches executions and starts workers on one backend. Made by stent_executor_new, freed by stent_executor_free.
 */
typedef struct stent_executor stent_executor;

/** Events for a host that takes them when it likes. Made by stent_poller_new, freed by stent_poller_free. */
typedef struct stent_poller stent_poller;

/** The answer to one call of a custom backend's function, to be given once: by stent_reply_ok or stent_reply_error. */
typedef struct stent_reply stent_reply;

/** One run of a function: lent to its handler for the time of the call, kept longer by stent_task_ref. */
typedef struct stent_task stent_task;

/** Runs the handlers of an executor's functions. Made by stent_worker_start, freed by stent_worker_free. */
typedef struct stent_worker stent_worker;

/** What became of a call: 0, STENT_PENDING, STENT_SUSPEND, or one of the negative STENT_E_ numbers. */
typedef int32_t stent_status;

/** Is called on a thread of the library, for stent_configure_threads. */
typedef void (*stent_thread_fn)(void *user_data);

/** Takes a `user_data` back. Called exactly once, on the thread of the call that failed or on one of the library's. */
typedef void (*stent_free_fn)(void *user_data);

/**
 * Takes a line of the log: its level and a JSON object with "time", "level", "target", "message", "fields" and
 * "lost" (lines before it that the handler was too slow for). `json` is the library's and lives until the function
 * returns. Called on one thread, one line at a time, in order.
 */
typedef void (*stent_log_fn)(void *user_data, int32_t level, const char *json);

/**
 * A custom backend's function: is given an operation ("get_task") and its request (a JSON object), and answers once
 * by stent_reply_ok or stent_reply_error: before it returns, or later, on any thread. The texts live until it
 * returns; `reply` until it is answered. docs/writing-a-backend.md says what each operation must do, and
 * stent_describe lists them with their fields.
 *
 * Called on threads of the library that may block, several at once; it may call any function of this header, but
 * those that wait for callbacks.
 */
typedef void (*stent_backend_call_fn)(void *user_data, const char *operation, const char *request, stent_reply *reply);

/** What a custom backend is made of. */
typedef struct {
  /**
   * sizeof(stent_backend_vtable): it may grow at its end.
   */
  size_t struct_size;
  /**
   * The function.
   */
  stent_backend_call_fn call;
  /**
   * A JSON array of the names of those operations that it answers. NULL: the protocol's, without the engine's.
   */
  const char *operations;
  /**
   * {"timeout": "30s"}, the time that an answer may take. NULL: that.
   */
  const char *options;
} stent_backend_vtable;

/**
 * Runs a task. `task` is lent until the function returns; stent_task_ref keeps it longer. Returns STENT_OK after
 * stent_task_complete, stent_task_fail, stent_task_suspend or stent_task_continue; STENT_PENDING when another thread
 * will do that; or whatever status a durable call on the task gave it, which does the right thing. STENT_OK without
 * any of these is a failure of the task: in many languages it is what a thrown exception leaves behind.
 *
 * Called on threads of the library, several at once.
 */
typedef stent_status (*stent_handler_fn)(void *user_data, stent_task *task);

/**
 * Runs the tasks of a batch, `count` of them, at least one. The array, which may be sorted, and the tasks are lent until the function
 * returns; stent_task_ref keeps a task longer. Each task has an outcome of its own: stent_task_complete,
 * stent_task_fail and the others take effect at once, as on a deferred task, and in any order. Returns STENT_OK when each
 * task has been ended; STENT_PENDING when other threads will end those that have not. With any other status, those that
 * have no outcome yet have failed with it. STENT_OK without an outcome is a failure of that task, with type "NoOutcome".
 *
 * Called on threads of the library, several at once.
 */
typedef stent_status (*stent_batch_fn)(void *user_data, stent_task **tasks, size_t count);

/** Done. */
#define STENT_OK 0

/** From a handler: it took a reference to its task, and another thread will end it. */
#define STENT_PENDING 1

/**
 * What is awaited is not there yet: the handler returns now (this status will do) and is run again from the top,
 * with every recorded result, when it is. Until it returns, each durable call on the task answers the same.
 */
#define STENT_SUSPEND 2

/** The caller's mistake; the message says which, and what would be right. */
#define STENT_E_INVALID (-1)

/** There is no such execution, task or dead letter. */
#define STENT_E_NOT_FOUND (-2)

/** It exists already, or is over already, or is not in the state that the call needs. */
#define STENT_E_CONFLICT (-3)

/** The time was up. What was waited for goes on. */
#define STENT_E_TIMEOUT (-4)

/** The execution, or the operation, was cancelled. */
#define STENT_E_CANCELLED (-5)

/** The backend was closed, the worker stopped, or the library shut down. */
#define STENT_E_CLOSED (-6)

/** The task is another worker's by now, or over: nothing that this handler does can be recorded any more. */
#define STENT_E_LEASE_LOST (-7)

/** The handler asks for something else than what its journal holds at this place, or not for all of it. */
#define STENT_E_NONDETERMINISM (-8)

/** A child, or the awaited execution, failed: its failure is in the error's JSON. */
#define STENT_E_FAILED (-9)

/** The store: busy, unreachable, corrupt, full, read-only. */
#define STENT_E_BACKEND (-10)

/** This backend, or this build, can't do it. */
#define STENT_E_UNSUPPORTED (-11)

/** A call that waits for handlers to end was made in one. */
#define STENT_E_WRONG_THREAD (-12)

/** This process was forked from one that was using the library. */
#define STENT_E_FORKED (-13)

/** A defect of the library, caught at the border. */
#define STENT_E_PANIC (-99)

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* =====================================================================================================================
 * The library itself: versions, description, settings, log, shutdown.
 */

/**
 * The version of this binary interface: the number in the library's name (libstent.so.0). What is compiled against a
 * header of the same number works with the library. Any thread.
 */
STENT_API uint32_t stent_abi_version(void);

/** The library's version, such as "0.1.0". Static: don't free it. Any thread. */
STENT_API const char *stent_version(void);

/**
 * Everything that bindings and tools need to know, as a JSON object: statuses, operations of backends with their
 * fields, options of every function with types and defaults, events and metrics. Static: don't free it. NULL in a
 * forked child. Any thread.
 */
STENT_API const char *stent_describe(void);

/**
 * Sets what holds for the whole process, before the first handle is made. options: "runtime_threads", the number of
 * threads that serve the stores (default: one for each processor, at most 4); "handler_stack_size", the bytes of stack of
 * each thread that runs handlers (default 1048576, 1 MiB; only what is used costs memory). A handler that needs more than
 * it has ends the process; "otlp_endpoint", the collector to which workers' spans are exported, instead of the one that
 * the environment names (docs/tracing.md). Any thread. STENT_E_CONFLICT: the library is in use already.
 */
STENT_NODISCARD STENT_API
stent_status stent_configure(const char *options,
                             stent_error **error);

/**
 * Has the host's functions called on each thread of the library on which code of the host may run (handlers, log handlers,
 * `free_fn`, a custom backend's function) and on those that serve the stores: `start` before anything else there, `stop`
 * after everything else, each with `user_data`; either may be NULL. A runtime that must know its threads attaches them so,
 * the JVM by AttachCurrentThreadAsDaemon and DetachCurrentThread: threads that serve the stores end with the process, and
 * `stop` is not called for them then. The functions may not wait for callbacks, and do best to call nothing of this header.
 *
 * Before all else: a thread may begin with the first handle, and with the first log handler. `free_fn` gets `user_data`
 * when another call has taken the place of this one, or before this returns if it fails. Any thread. STENT_E_CONFLICT: a
 * thread of the library runs already.
 */
STENT_NODISCARD STENT_API
stent_status stent_configure_threads(stent_thread_fn start,
                                     stent_thread_fn stop,
                                     void *user_data,
                                     stent_free_fn free_fn,
                                     stent_error **error);

/**
 * Hands the library's log to `handler` from now on, instead of the one before; with NULL, to nobody. There is no log
 * without one: the library writes to no file and no stream of yours. There is one such handler in a process: a library
 * that uses Stent beside others sets one for each executor (stent_executor_set_log_handler). options: {"level": "info"} is the least that is
 * wanted, of "error", "warn", "info" and "debug".
 *
 * The handler is called on a thread of its own, one line at a time, and may call any function but those that wait
 * for callbacks. `free_fn` gets `user_data` after the handler's last call, when another one has taken its place, or
 * before this returns if it fails. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_set_log_handler(const char *options,
                                   stent_log_fn handler,
                                   void *user_data,
                                   stent_free_fn free_fn,
                                   stent_error **error);

/**
 * Drains and stops every worker of the process, closes every backend, and waits until every freed `user_data` has
 * been given back and every log line handed over, by log handlers that were replaced or removed too; call it before the
 * process ends. It ends what others in the process made, too: a library that uses Stent beside others calls
 * stent_backend_shutdown for each of its backends instead. Workers stop as by
 * stent_worker_stop, all at once, within `timeout_ms` (negative: as long as it takes). Handles made before are still
 * to be freed and answer STENT_E_CLOSED; new ones may be made.
 *
 * Any thread but the library's own. STENT_E_TIMEOUT: handlers were still running; what they do is lost to them, and
 * other workers take their tasks over. Or a store did not answer: it has two seconds more to take leases back, and one to
 * close. STENT_E_WRONG_THREAD: called in a callback.
 */
STENT_API
stent_status stent_shutdown(int64_t timeout_ms,
                            stent_error **error);

/** Frees a text that a function gave by a `char **`. NULL is nothing. Any thread, in a forked child too. */
STENT_API void stent_free(void *pointer);

/* =====================================================================================================================
 * Errors: what went wrong with a call.
 */

/**
 * The name of a status without its prefix, such as "NOT_FOUND"; "UNKNOWN" for a number that is no status. The text
 * is static: don't free it. Any thread.
 */
STENT_API const char *stent_status_name(stent_status status);

/** The status that the failed call returned; STENT_OK for NULL. Any thread. */
STENT_API stent_status stent_error_status(const stent_error *error);

/**
 * What was being done and what was wrong, for people; "" for NULL. The text belongs to the error and lives until
 * stent_error_free. Any thread.
 */
STENT_API const char *stent_error_message(const stent_error *error);

/**
 * The whole error as a JSON object: "status" (its name), "code", "message", "retryable" (the same call may succeed
 * later without a change by the caller), "details" (facts for programs, such as the option that was unknown and
 * those that are known) and "failure" (for STENT_E_FAILED that of the child or execution, else null); "" for NULL.
 * The text belongs to the error and lives until stent_error_free. Any thread.
 */
STENT_API const char *stent_error_json(const stent_error *error);

/** 1 when the same call may succeed later without a change by the caller; else, and for NULL, 0. Any thread. */
STENT_API int32_t stent_error_retryable(const stent_error *error);

/**
 * Of STENT_E_FAILED the type of what failed, the child or the execution, such as "OutOfStock"; NULL for other errors and
 * for NULL. The text belongs to the error and lives until stent_error_free. Any thread.
 */
STENT_API
const char *stent_error_failure_type(const stent_error *error);

/** Of STENT_E_FAILED the message of what failed, as stent_error_failure_type. Any thread. */
STENT_API const char *stent_error_failure_message(const stent_error *error);

/** Frees an error. NULL is nothing. Any thread. */
STENT_API void stent_error_free(stent_error *error);

/* =====================================================================================================================
 * Backends: the stores.
 */

/**
 * Opens a store, and creates or migrates its schema. url: a file ("workflow.db", "sqlite:/var/lib/workflow.db"),
 * ":memory:" for a store that ends with its handle, or a PostgreSQL database
 * ("postgresql://user:password@host:5432/database?schema=stent&max_size=10", or "host=... dbname=... user=..." as libpq
 * reads it). Schemes have no case. A path that looks like a URL or like name=value is written with "sqlite:" before it.
 * A file may be open in several processes, and more than once in this one.
 *
 * options: for a file, see stent_describe; for PostgreSQL none, they stand in the url. `*backend` is the caller's, to be freed by stent_backend_free. Any thread.
 * STENT_E_BACKEND: the file can't be opened, is no SQLite database, or not one of Stent's; the server can't be
 * reached; or the schema is newer than this library. STENT_E_UNSUPPORTED: no backend of this build has such URLs.
 */
STENT_NODISCARD STENT_API
stent_status stent_backend_open(const char *url,
                                const char *options,
                                stent_backend **backend,
                                stent_error **error);

/**
 * Creates or migrates the schema, which stent_backend_open has done already; safe from several processes at once,
 * and again and again. Any thread.
 */
STENT_NODISCARD STENT_API stent_status stent_backend_init_db(stent_backend *backend, stent_error **error);

/**
 * One operation of the backend protocol, such as "get_task" with {"task_id": "..."}: the way to look at records and
 * to repair them. `*response` is JSON, to be freed with stent_free. What it writes is not conditional on a worker's
 * lease; update_task takes the task away from whoever holds it. "close" is stent_backend_close. The engine's
 * operations, such as "advance", are answered too: a store around another store needs them.
 *
 * Any thread. STENT_E_NOT_FOUND and STENT_E_CONFLICT as the operation says.
 */
STENT_NODISCARD STENT_API
stent_status stent_backend_call(stent_backend *backend,
                                const char *operation,
                                const char *request,
                                char **response,
                                stent_error **error);

/** As stent_backend_call; the request needs no NUL at its end, and `*response_length` is without it. Any thread. */
STENT_NODISCARD STENT_API
stent_status stent_backend_call_n(stent_backend *backend,
                                  const char *operation,
                                  const char *request,
                                  size_t request_length,
                                  char **response,
                                  size_t *response_length,
                                  stent_error **error);

/**
 * Copies the store to a new file, as it is at one moment, while workers and callers go on: a backup. When this returns
 * STENT_OK the copy is complete and on the disk; else there is no file of that name. It holds all that was committed
 * before the call, and can be opened as any store; what was running when it was made is run again there. The folder
 * must exist, and path must not: STENT_E_CONFLICT. options: none so far, NULL.
 *
 * For SQLite, files and ":memory:". Takes as long as it takes to write the file; the write-ahead log grows meanwhile. Any
 * thread. STENT_E_UNSUPPORTED: a PostgreSQL database (pg_dump, pg_basebackup) and custom stores have tools of their
 * own.
 */
STENT_NODISCARD STENT_API
stent_status stent_backend_backup(stent_backend *backend,
                                  const char *path,
                                  const char *options,
                                  stent_error **error);

/**
 * Closes the store: connections, files, locks. Executors made from it answer STENT_E_CLOSED from now on, and so does
 * what is waiting on them. Closing again is nothing. The handle is still to be freed; freeing alone closes as well,
 * a moment after its last executor is gone. A custom backend's function does not run any more when this returns; its
 * calls are waited for as long as one may take to answer, then STENT_E_TIMEOUT.
 *
 * Any thread but the library's own. STENT_E_CONFLICT: a worker on it has not been stopped (stent_backend_shutdown stops
 * them too). STENT_E_WRONG_THREAD: called in a callback.
 */
STENT_API stent_status stent_backend_close(stent_backend *backend, stent_error **error);

/**
 * As stent_shutdown, for what was made from this backend alone: drains and stops its workers, closes it, and waits until
 * every freed `user_data` has been given back and the log handlers of its executors have had every line. Other backends
 * of the process, their workers and the process's log handler go on as they were. Again: nothing.
 *
 * Any thread but the library's own. Statuses as for stent_shutdown.
 */
STENT_API
stent_status stent_backend_shutdown(stent_backend *backend,
                                    int64_t timeout_ms,
                                    stent_error **error);

/**
 * Frees the handle. NULL is nothing; executors made from the backend keep it open until they are freed too. Any
 * thread.
 */
STENT_API void stent_backend_free(stent_backend *backend);

/* =====================================================================================================================
 * Backends that the host implements itself, and the suite that checks any backend.
 */

/**
 * Makes a backend of your own: one function that stores everything. `vtable` is read before this returns. A function
 * that answers the protocol's operations alone will do: executors, workers and workflows run on it, with weaker
 * guarantees (docs/writing-a-backend.md names them); one that answers the engine's operations as well ("advance",
 * "journals" and the others) has every guarantee of the stores of this library.
 *
 * A call that is not answered within the time fails with STENT_E_TIMEOUT; an answer that is no JSON, or breaks the
 * contract, with STENT_E_BACKEND, and the call's error and the log say what was wrong. A second answer, or one that
 * comes too late, is told in the log and does nothing.
 *
 * `free_fn` gets `user_data` once, when no call runs any more and the backend was freed, or before this returns if it
 * fails. `*backend` is the caller's, to be freed by stent_backend_free. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_backend_custom(const stent_backend_vtable *vtable,
                                  void *user_data,
                                  stent_free_fn free_fn,
                                  stent_backend **backend,
                                  stent_error **error);

/**
 * Runs the conformance suite against a store: any store, by the same door as everything else, with several claimers at
 * once. options: {"only": ["records", "claiming/the_order"], "timeout": "60s"} (see stent_describe). `*report` is a
 * JSON object, to be freed with stent_free: "level" ("engine", or "protocol" for a store that does not answer the
 * engine's operations), "passed", "failed" and "not_offered" (numbers), "given_up" (guarantees that a store of this
 * level does not have), and "cases", each with its "name", "outcome" ("passed", "failed", "not_offered"), "seconds"
 * and, of a failed one, "expected", "got" and "place".
 *
 * The status says that the suite was run; the report, what came of it. Use a store of its own, on which no worker
 * runs: whatever has ended in it is cleaned away, and the suite leaves ended executions and dead letters behind. Any
 * thread that may block.
 */
STENT_NODISCARD STENT_API
stent_status stent_backend_check(stent_backend *backend,
                                 const char *options,
                                 char **report,
                                 stent_error **error);

/**
 * Answers a call of a custom backend's function with what was asked for: JSON, NULL for null. The text is copied.
 * Once for each reply; a second answer is told in the log. Any thread.
 */
STENT_API void stent_reply_ok(stent_reply *reply, const char *response);

/** As stent_reply_ok; the response needs no NUL at its end. Any thread. */
STENT_API void stent_reply_ok_n(stent_reply *reply, const char *response, size_t response_length);

/**
 * Answers a call of a custom backend's function with a failure: STENT_E_CONFLICT for what exists already,
 * STENT_E_NOT_FOUND, STENT_E_BACKEND for a store that is in trouble. What is the library's to say (STENT_E_PANIC,
 * STENT_E_FORKED, STENT_E_WRONG_THREAD, STENT_E_NONDETERMINISM, STENT_E_FAILED) arrives as STENT_E_BACKEND. message: a sentence for people (NULL: none).
 * details: a JSON object or NULL; its member "retryable" says whether the same call may succeed later, which else
 * only STENT_E_BACKEND and STENT_E_TIMEOUT say. Once for each reply. Any thread.
 */
STENT_API
void stent_reply_error(stent_reply *reply,
                       stent_status status,
                       const char *message,
                       const char *details);

/* =====================================================================================================================
 * Executors: functions are registered here, executions dispatched, and workers started.
 */

/**
 * Makes an executor on a backend, which it keeps alive. options: none so far; NULL or {}. `*executor` is the
 * caller's, to be freed by stent_executor_free. If stent_configure was given an "otlp_endpoint", or the environment has
 * OTEL_EXPORTER_OTLP_ENDPOINT now, its workers' spans are exported there; docs/tracing.md says how. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_new(stent_backend *backend,
                                const char *options,
                                stent_executor **executor,
                                stent_error **error);

/**
 * Hands what this executor, its workers and their tasks (stent_task_log) have to say to `handler` from now on, instead of
 * the one before, and instead of the process's log handler (stent_set_log_handler), which gets it again after a call
 * with NULL. options, and how the handler is called, are as there. `free_fn` gets `user_data` after the handler's last
 * call, when another one has taken its place or the executor and its workers are gone, or before this returns if it
 * fails. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_set_log_handler(stent_executor *executor,
                                            const char *options,
                                            stent_log_fn handler,
                                            void *user_data,
                                            stent_free_fn free_fn,
                                            stent_error **error);

/**
 * Frees the handle. NULL is nothing; workers started from the executor keep it alive until they have stopped. After
 * that the `free_fn` of each registered function is called. Any thread.
 */
STENT_API void stent_executor_free(stent_executor *executor);

/**
 * Registers the handler of a function, for the workers that are started from now on. options: queue, tags, priority,
 * priority_ageing, retry_policy, timeout, version, max_concurrent, max_concurrent_per_key, rate, rate_per_key, cached, cache_ttl,
 * idempotent, cleanup; see
 * stent_describe. A worker's
 * start writes them to the store, where dispatches and calls of the function find what they leave out: the newest
 * worker's word counts. Until the store has one they are taken from here, for what this executor dispatches and calls.
 *
 * `handler` is called with `user_data` on threads of the library, several at once. NULL: the function is for workers
 * with a poller, and `user_data` has no use. `free_fn` gets `user_data` when the executor and its workers are gone, or
 * before this returns if it fails or there is no handler. Any thread. STENT_E_CONFLICT: the name
 * is registered in this executor.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_register(stent_executor *executor,
                                     const char *function,
                                     const char *options,
                                     stent_handler_fn handler,
                                     void *user_data,
                                     stent_free_fn free_fn,
                                     stent_error **error);

/**
 * As stent_executor_register, for a handler that takes many tasks in one call: for what costs as much for a hundred rows
 * as for one, such as an insert, a mail provider's bulk call, a model on a GPU. batch: size, wait; NULL or {} for the
 * defaults; see stent_describe. A batch begins when it is full, when no slot is left for another task, or when its first
 * task has waited for so long; then its tasks begin together. Each takes a slot, from when it is gathered until it has
 * ended, and has its own lease, retries, time-out and cancel. A task that is suspected of having ended its worker is a
 * batch of its own.
 *
 * `handler` must not be NULL: a host that takes events from a poller gathers the tasks that it gets itself. Any thread.
 * STENT_E_CONFLICT: the name is registered in this executor.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_register_batch(stent_executor *executor,
                                           const char *function,
                                           const char *options,
                                           const char *batch,
                                           stent_batch_fn handler,
                                           void *user_data,
                                           stent_free_fn free_fn,
                                           stent_error **error);

/**
 * Takes a function's handler back: workers that are started from now on don't have it, those that run keep it, and what
 * they made known of it in the store stays. The name may be registered anew. The `free_fn` of its registration is called
 * when the last worker that has it is gone, and before this returns if none has. Any thread. STENT_E_NOT_FOUND: the name is
 * not registered in this executor.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_unregister(stent_executor *executor,
                                       const char *function,
                                       stent_error **error);

/* =====================================================================================================================
 * Executions: dispatch, wait, query, signal, cancel.
 */

/**
 * Starts an execution of a function, whoever has registered it, in this process or another; until a worker has it,
 * it waits. args: an array, NULL for none. options: kwargs, delay, expiry or max_duration, tags, priority,
 * priority_ageing, fairness_key, fairness_weight, queue, retry_policy, timeout, id, idempotency_key, idempotency_reuse,
 * unique_key, unique_for, unique_while, unique_existing, debounce, debounce_max, on_cancel, traceparent; see
 * stent_describe.
 * `*execution_id` is to be freed with stent_free.
 *
 * Returns when the execution is durable. Any thread. STENT_E_CONFLICT: the id exists, or the idempotency key was
 * used with other arguments; used with the same, the answer is the id of the execution that has it. One that failed
 * or was cancelled has left the key free: then a new execution starts, unless idempotency_reuse is "never". Where another
 * execution has the unique_key nothing starts, and the answer is that one's id; or, with "refuse" for unique_existing,
 * STENT_E_CONFLICT, with its id as the detail execution_id. With a debounce the execution that has it, if no worker has
 * had it yet, gets these arguments, and the answer is its id.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_dispatch(stent_executor *executor,
                                     const char *function,
                                     const char *args,
                                     const char *options,
                                     char **execution_id,
                                     stent_error **error);

/**
 * Starts many executions at once, in order. requests: an array of {"function", "args", "options"}, of which
 * "function" must be there; the rest is as for stent_executor_dispatch. `*execution_ids` is an array of ids in the
 * same order, to be freed with stent_free.
 *
 * A mistake in any request starts none of them. Beyond a thousand the store takes them in several transactions; when
 * one fails the error's detail "dispatched" says how many came before. Any thread. STENT_E_CONFLICT as for
 * stent_executor_dispatch.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_dispatch_many(stent_executor *executor,
                                          const char *requests,
                                          char **execution_ids,
                                          stent_error **error);

/**
 * Waits until an execution is over, for at most `timeout_ms` (negative: as long as it takes; 0: just looks).
 * `*execution` is as stent_executor_state gives it, to be freed with stent_free; its "state" says how it ended.
 *
 * Any thread; in a handler it holds a slot meanwhile. STENT_E_NOT_FOUND. STENT_E_TIMEOUT: it goes on (the error's detail
 * "state" says where it stands), or the store did not answer; it is given a second at least, whatever the time.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_wait(stent_executor *executor,
                                 const char *execution_id,
                                 int64_t timeout_ms,
                                 char **execution,
                                 stent_error **error);

/**
 * Waits as stent_executor_wait does and gives the result: any JSON value, to be freed with stent_free.
 *
 * Any thread; in a handler it holds a slot meanwhile. STENT_E_FAILED: the execution failed, and the error's JSON has
 * its failure. STENT_E_CANCELLED: it was cancelled. STENT_E_TIMEOUT: it is not over by now (the error's detail
 * "state" says where it stands), or it ran out of its own time (the detail is "timed_out"). STENT_E_NOT_FOUND.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_result(stent_executor *executor,
                                   const char *execution_id,
                                   int64_t timeout_ms,
                                   char **result,
                                   stent_error **error);

/**
 * An execution as it is now: its record with "progress", and beside it "counters", "state_values", "replay_of" and
 * "cancel_reason"; to be freed with stent_free. Any thread. STENT_E_NOT_FOUND.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_state(stent_executor *executor,
                                  const char *execution_id,
                                  char **execution,
                                  stent_error **error);

/**
 * The executions that a filter admits, newest first, without their progress: an array, to be freed with stent_free.
 * filter: state, function, queue, tag, created_after, created_before, limit (default 10), offset; NULL for none. Any
 * thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_list(stent_executor *executor,
                                 const char *filter,
                                 char **executions,
                                 stent_error **error);

/**
 * Sends a signal to an execution: any JSON value (NULL: null), kept in order with those of the same name, and taken
 * by the oldest wait for it, now or later. options: {"id": "..."} names the sending; the same id for the same
 * execution and name counts once.
 *
 * Returns when the signal is durable. Any thread. STENT_E_NOT_FOUND: no such execution. STENT_E_CONFLICT: it is
 * over.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_signal(stent_executor *executor,
                                   const char *execution_id,
                                   const char *name,
                                   const char *payload,
                                   const char *options,
                                   stent_error **error);

/**
 * Cancels an execution with everything that it called. Returns when that is durable: from then on nothing of it is
 * started and no result of it is taken; running handlers are told by stent_task_is_cancelled and by their next call.
 * It is "cancelled" when the last of them has returned, or when it has cleaned up, where its function has a cleanup: the
 * function runs again then, and what it had waited for answers STENT_E_CANCELLED. `reason` may be NULL. Any thread.
 * STENT_E_NOT_FOUND. STENT_E_CONFLICT: it is over.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_cancel(stent_executor *executor,
                                   const char *execution_id,
                                   const char *reason,
                                   stent_error **error);

/* =====================================================================================================================
 * What operators do: statistics, dead letters, parked tasks, pauses, cleaning up.
 */

/**
 * How the store and this executor's workers are doing: counts by state, depths and ages of queues, dead letters,
 * parked tasks, and counters and histograms of this process, those of run times and the like by queue and function.
 * options: {"format": "json"} or {"format": "prometheus"} for its text format; docs/metrics.md and stent_describe say what
 * is in it. To be freed with stent_free. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_stats(stent_executor *executor,
                                  const char *options,
                                  char **stats,
                                  stent_error **error);

/**
 * The dead letters that a filter admits, newest first: an array of {"task", "reason", "moved_at"}, to be freed with
 * stent_free. filter: task_id, execution_id, function, limit (default 50), offset; NULL for none. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_dead_letters(stent_executor *executor,
                                         const char *filter,
                                         char **dead_letters,
                                         stent_error **error);

/**
 * Starts an execution anew from a dead letter: with all that was recorded up to the failure, without the calls that
 * failed. The letter is taken away, the old execution stays as it ended. options: none so far. `*ids` is
 * {"execution_id", "replay_of"}, to be freed with stent_free. Any thread. STENT_E_NOT_FOUND.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_replay_dead_letter(stent_executor *executor,
                                               const char *task_id,
                                               const char *options,
                                               char **ids,
                                               stent_error **error);

/** Takes a dead letter away; its execution stays as it ended. Any thread. STENT_E_NOT_FOUND. */
STENT_NODISCARD STENT_API
stent_status stent_executor_discard_dead_letter(stent_executor *executor,
                                                const char *task_id,
                                                stent_error **error);

/**
 * Lets a task go on that was parked because its code did not match its journal (STENT_E_NONDETERMINISM). options:
 * none so far. Any thread. STENT_E_NOT_FOUND. STENT_E_CONFLICT: it is not parked.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_resume(stent_executor *executor,
                                   const char *task_id,
                                   const char *options,
                                   stent_error **error);

/**
 * Pauses a queue or a function. When it has returned, no worker claims a task of it any more; tasks of it that are
 * suspended and woken wait, too. What workers hold goes on: what runs, and what a worker has claimed ahead and not begun
 * yet. Dispatches go on. Again: the reason is replaced. options: queue or function, reason, by. Any thread.
 * STENT_E_UNSUPPORTED: the store can't pause.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_pause(stent_executor *executor,
                                  const char *options,
                                  stent_error **error);

/**
 * Ends a pause: the tasks are claimed again, at once. options: queue or function. Any thread. STENT_E_NOT_FOUND: it is not
 * paused.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_unpause(stent_executor *executor,
                                    const char *options,
                                    stent_error **error);

/**
 * What is paused, queues first: an array of {"queue", "function", "since", "reason", "by", "running"}, to be freed with
 * stent_free. running: how many tasks of it workers still hold; 0 when it is drained. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_pauses(stent_executor *executor,
                                   char **pauses,
                                   stent_error **error);

/**
 * Removes executions that ended long ago, with all that belongs to them, in bounded batches; workers do it by
 * themselves too. options: older_than (default "7d"), dead_letters (an age; default: they stay). `*report` is
 * {"executions", "dead_letters"}, the numbers removed, to be freed with stent_free. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_cleanup(stent_executor *executor,
                                    const char *options,
                                    char **report,
                                    stent_error **error);

/* =====================================================================================================================
 * Schedules: functions that are started at times.
 */

/**
 * Puts a schedule into the store; workers of any process start its function at its times, each tick once, whatever
 * crashes. schedule: an object with "name", "function", one of "cron", "every" and "times", and what else "schedule" in
 * stent_describe lists; docs/schedules.md tells how. One of the same name is replaced: it keeps its pause, and its next
 * tick unless its times have changed. An equal one changes nothing.
 *
 * Returns when it is durable. Any thread. STENT_E_UNSUPPORTED: the store is one that you write.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedule_put(stent_executor *executor,
                                         const char *schedule,
                                         stent_error **error);

/**
 * Declares the schedules of an owner, your program's name perhaps: workers that are started from this executor from now
 * on put them into the store when they start. schedules: an array of objects as for stent_executor_schedule_put, whose
 * "owner" it is. options: {"remove_others": true} also deletes those of this owner that the array does not have any more.
 * Again for the same owner: in place of what was declared before. Any thread; does not ask the store.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedules_declare(stent_executor *executor,
                                              const char *owner,
                                              const char *schedules,
                                              const char *options,
                                              stent_error **error);

/**
 * The schedules that a filter admits, by name: an array, to be freed with stent_free. Each is as it was put, and beside
 * that "next_at", "next" and "last" (ticks to come, and what became of those that were), "paused_at", "running", "waiting"
 * and others; see kept_schedule in stent_describe. filter: name, owner, function, after, limit (default 50), next (5),
 * last (5); NULL for none. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedule_list(stent_executor *executor,
                                          const char *filter,
                                          char **schedules,
                                          stent_error **error);

/** Deletes a schedule. What it has started goes on; what waits is not started. Any thread. STENT_E_NOT_FOUND. */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedule_delete(stent_executor *executor,
                                            const char *name,
                                            stent_error **error);

/**
 * Pauses a schedule: it starts nothing by its times until it is resumed. What runs or waits goes on. options:
 * {"note": "..."} for people; NULL for none. Any thread. STENT_E_NOT_FOUND.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedule_pause(stent_executor *executor,
                                           const char *name,
                                           const char *options,
                                           stent_error **error);

/**
 * Resumes a schedule from now on: what it would have started meanwhile is not caught up. One that is not paused stays as it
 * is. Any thread. STENT_E_NOT_FOUND.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedule_resume(stent_executor *executor,
                                            const char *name,
                                            stent_error **error);

/**
 * Makes a tick now, also of a schedule that is paused. options: {"overlap": "..."} in place of the schedule's own rule; NULL
 * for none. `*ticks` is an array of ticks {"at", "kind", "state", "execution_id", "decided_at"}, to be freed with stent_free:
 * this one, and before it one that waited, if it could start. Any thread. STENT_E_NOT_FOUND.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedule_trigger(stent_executor *executor,
                                             const char *name,
                                             const char *options,
                                             char **ticks,
                                             stent_error **error);

/**
 * Makes the ticks of a time that is over, but for those that were started or wait; at most 1000 at once. options: "from"
 * and "to", both included, and "overlap" (default "queue_all": one after the other). `*ticks` is an array as
 * stent_executor_schedule_trigger gives it. Any thread. STENT_E_NOT_FOUND.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_schedule_backfill(stent_executor *executor,
                                              const char *name,
                                              const char *options,
                                              char **ticks,
                                              stent_error **error);

/* =====================================================================================================================
 * Any of the above without blocking: the answer comes to a poller.
 */

/**
 * Starts an operation of the executor and returns at once; the answer comes to the poller, as exactly one "reply" event
 * with this tag. operation and request, a JSON object (NULL: {}): as "submissions" in stent_describe lists them; dispatch,
 * dispatch_many, wait, result, state, list, stats, signal, cancel, dead_letters, replay_dead_letter,
 * discard_dead_letter, resume, pause, unpause, pauses, cleanup, schedule_put, schedule_list, schedule_delete,
 * schedule_pause, schedule_resume, schedule_trigger, schedule_backfill, backend_call, stop_worker, wait_worker. Each does
 * what the function of its name does, and answers with its JSON (an id as a JSON string, nothing as null).
 *
 * A request that is wrong is refused here, and makes no event. The executor and the poller may be freed meanwhile; with
 * the poller the answer is lost. Any thread; never blocks. STENT_E_INVALID: no such operation, or a wrong request.
 */
STENT_NODISCARD STENT_API
stent_status stent_executor_submit(stent_executor *executor,
                                   const char *operation,
                                   const char *request,
                                   stent_poller *poller,
                                   uint64_t tag,
                                   stent_error **error);

/**
 * Gives up waiting for the answers to what was submitted to this poller with this tag: they are STENT_E_CANCELLED, soon.
 * A dispatch, a signal or the like that has begun still happens. The executor is that of the submission. Any thread.
 * STENT_E_NOT_FOUND: nothing of this tag is outstanding.
 */
STENT_API
stent_status stent_executor_submit_cancel(stent_executor *executor,
                                          stent_poller *poller,
                                          uint64_t tag,
                                          stent_error **error);

/* =====================================================================================================================
 * Executions' texts with their lengths, for hosts that know them, and for payloads of many MiB. What goes in needs no NUL at
 * its end, and what comes out has one all the same.
 */

/** As stent_executor_dispatch. Any thread. */
STENT_NODISCARD STENT_API
stent_status stent_executor_dispatch_n(stent_executor *executor,
                                       const char *function,
                                       const char *args,
                                       size_t args_length,
                                       const char *options,
                                       char **execution_id,
                                       stent_error **error);

/** As stent_executor_result. Any thread; in a handler it holds a slot meanwhile. */
STENT_NODISCARD STENT_API
stent_status stent_executor_result_n(stent_executor *executor,
                                     const char *execution_id,
                                     int64_t timeout_ms,
                                     char **result,
                                     size_t *result_length,
                                     stent_error **error);

/** As stent_executor_signal. Any thread. */
STENT_NODISCARD STENT_API
stent_status stent_executor_signal_n(stent_executor *executor,
                                     const char *execution_id,
                                     const char *name,
                                     const char *payload,
                                     size_t payload_length,
                                     const char *options,
                                     stent_error **error);

/** As stent_executor_submit. Any thread. */
STENT_NODISCARD STENT_API
stent_status stent_executor_submit_n(stent_executor *executor,
                                     const char *operation,
                                     const char *request,
                                     size_t request_length,
                                     stent_poller *poller,
                                     uint64_t tag,
                                     stent_error **error);

/* =====================================================================================================================
 * Workers: they claim tasks and run their handlers.
 */

/**
 * Starts a worker for the functions that are registered by now. options: worker_id, queues, queue_rates, tags,
 * max_concurrency (default 10: the tasks that run at once), prefetch, lease_duration, heartbeat_interval, poll_interval,
 * poll_interval_max, cleanup_interval, retention_period, hold, max_coroutines, host_timeout; see stent_describe.
 *
 * poller: NULL for a worker of the functions that have a handler, which is called back on threads of the library. Else
 * it is one of the functions that have none, whose tasks come as events of the poller, as does every state of the
 * worker; see stent_poller_new. An executor may have workers of both kinds.
 *
 * Returns at once; the worker is "starting" until the store knows it (see stent_worker_wait). `*worker` is the
 * caller's, to be freed by stent_worker_free after stent_worker_stop. Any thread. STENT_E_CONFLICT: a worker of this
 * id runs in this executor.
 */
STENT_NODISCARD STENT_API
stent_status stent_worker_start(stent_executor *executor,
                                const char *options,
                                stent_poller *poller,
                                stent_worker **worker,
                                stent_error **error);

/**
 * What the worker is doing: a JSON object with "worker_id", "state", "slots", "running", "prefetched", "held" (leases),
 * "queues", "tags", "functions", "coroutines" (in a poller's host, of tasks that wait) and "trouble" (why its last call
 * to the store failed, that its host takes no events, or which handlers go on long after their leases were over, while
 * that is so); to be freed with stent_free. Any thread.
 */
STENT_NODISCARD STENT_API stent_status stent_worker_status(stent_worker *worker, char **status, stent_error **error);

/**
 * Waits until the worker has come to a state ("ready", "draining" or "stopped") or past it, for at most `timeout_ms`
 * (negative: as long as it takes). Any thread but the library's own. STENT_E_TIMEOUT. STENT_E_CLOSED: it stopped
 * before it was ready, and the message says why. STENT_E_WRONG_THREAD: called in a callback.
 */
STENT_NODISCARD STENT_API
stent_status stent_worker_wait(stent_worker *worker,
                               const char *state,
                               int64_t timeout_ms,
                               stent_error **error);

/**
 * Tells the worker to take nothing new, and returns at once: what was taken and not begun goes back, workflows give
 * way at their next durable call, running activities finish, and then it is "stopped". No attempt is charged. Any
 * thread, in a handler too.
 */
STENT_API stent_status stent_worker_drain(stent_worker *worker, stent_error **error);

/**
 * Drains the worker and waits until it has stopped, for at most `timeout_ms` (negative: as long as it takes). Tasks
 * that run longer than that are given up: other workers may take them at once, no attempt is charged, and what their
 * handlers do is lost to them. Again: nothing.
 *
 * A store that does not answer does not keep it: after the time-out it has two more seconds; without one it is waited for
 * until the leases are over by which it would record what has ended.
 *
 * Any thread but the library's own. STENT_E_TIMEOUT: handlers were still running, or the store did not take the leases
 * back, or what had ended, which run out then: what is not recorded runs again. STENT_E_WRONG_THREAD: called in a
 * callback, where it would wait for itself; stent_worker_drain may be called there.
 */
STENT_API
stent_status stent_worker_stop(stent_worker *worker,
                               int64_t timeout_ms,
                               stent_error **error);

/** Frees the handle. NULL is nothing; a worker that has not stopped drains by itself. Any thread. */
STENT_API void stent_worker_free(stent_worker *worker);

/* =====================================================================================================================
 * Tasks: what a handler is given.
 */

/**
 * What is known of the task, as a JSON object: "task_id", "execution_id", "function", "attempt", "fence",
 * "worker_id", "deadline", "queue", "tags", "priority", "kind", "parent_task_id", "step_key", "traceparent",
 * "heartbeat" (what its last attempt said), "run", "snoozes" (how often it said "not now"), "created_at", "cleanup" (its execution was cancelled or timed out,
 * and it is to clean up) and "apart" (a worker may have died of it, so it runs apart from others: a host that gathers tasks
 * runs it alone and at once). "attempt" is 1 for the first, and grows with each failure and with each worker that dies
 * after it has begun. The text belongs to the task and lives as long as the caller's reference; NULL if the task is
 * not a live handle. Any thread.
 */
STENT_API
const char *stent_task_info(stent_task *task);

/**
 * The task's id, as in stent_task_info. Lives as long as the caller's reference; NULL if the task is not a live handle.
 * Any thread.
 */
STENT_API const char *stent_task_id(stent_task *task);

/** The id of its execution. Likewise. Any thread. */
STENT_API const char *stent_task_execution_id(stent_task *task);

/** The name of the function that it is a run of. Likewise. Any thread. */
STENT_API const char *stent_task_function(stent_task *task);

/** The id of the worker that runs it. Likewise. Any thread. */
STENT_API const char *stent_task_worker_id(stent_task *task);

/**
 * The W3C Trace Context for spans of the handler's own, such as
 * "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": below the span of this run, where spans are exported
 * (stent_executor_new), else as the dispatch gave it. Likewise; NULL also where there is none. Any thread.
 */
STENT_API const char *stent_task_traceparent(stent_task *task);

/** Which attempt this is: 1 for the first, as in stent_task_info; 0 if the task is not a live handle. Any thread. */
STENT_API uint32_t stent_task_attempt(stent_task *task);

/**
 * The arguments, a JSON array. Lives as long as the caller's reference; NULL if the task is not a live handle. Any
 * thread.
 */
STENT_API const char *stent_task_args(stent_task *task);

/**
 * The keyword arguments, a JSON object. Lives as long as the caller's reference; NULL if the task is not a live
 * handle. Any thread.
 */
STENT_API const char *stent_task_kwargs(stent_task *task);

/**
 * 1 when the handler should come to its end, because nothing of it will be taken: its execution is being cancelled
 * or ran out of time, the attempt did, or the lease is another's. Else 0. Costs nothing: ask often. Any thread.
 */
STENT_API int32_t stent_task_is_cancelled(stent_task *task);

/**
 * 1 while durable calls are answered from what earlier runs recorded, else 0: for what should be said once, such as
 * a line of the host's own log. Any thread.
 */
STENT_API int32_t stent_task_is_replaying(stent_task *task);

/**
 * Takes one more reference to the task and returns it (the same pointer), for what outlives the handler's call; each
 * is given back by stent_task_free. NULL if the task is not a live handle. Any thread.
 */
STENT_NODISCARD STENT_API stent_task *stent_task_ref(stent_task *task);

/**
 * Gives a reference back, one that stent_task_ref made; a handler does not free the task that it is lent. NULL is
 * nothing. A deferred task that loses its last reference before it was ended has failed, with type "NoOutcome". Any
 * thread.
 */
STENT_API void stent_task_free(stent_task *task);

/* =====================================================================================================================
 * Durable operations that are started and awaited in one call, and values that are the same in every replay.
 */

/**
 * Calls a function as a child of this task, and gives its result: the one that is recorded, or, the first time,
 * STENT_SUSPEND, and the result when the handler is run again. args: an array, NULL for none. options: key, kwargs,
 * delay, tags, priority, priority_ageing, fairness_key (or the task's own), fairness_weight, queue, retry_policy,
 * timeout, cached, cache_ttl, cache_key, idempotency_key, concurrency_key; see stent_describe. `*result` is JSON, to be freed with stent_free.
 *
 * Durable operations are known by name and order: the n-th call of a function is "function#n", and so is its record.
 * A handler that makes its calls in another order in every run (from several threads, say) gives each a key of its
 * own.
 *
 * Any thread that may block. STENT_SUSPEND: return now. STENT_E_FAILED: the child failed for good; its failure is in
 * the error's JSON. STENT_E_CANCELLED, STENT_E_LEASE_LOST, STENT_E_NONDETERMINISM: nothing more can be done; return
 * the status.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_call(stent_task *task,
                             const char *function,
                             const char *args,
                             const char *options,
                             char **result,
                             stent_error **error);

/**
 * Calls a function once for each element of args_list, an array of argument arrays, all at the same time, and gives
 * the results in the same order: a JSON array, to be freed with stent_free. options: as for stent_task_call, for
 * every one of them, but without a key.
 *
 * Any thread that may block. Statuses as for stent_task_call; STENT_E_FAILED: the first that failed (the others run
 * on until the task ends).
 */
STENT_NODISCARD STENT_API
stent_status stent_task_map(stent_task *task,
                            const char *function,
                            const char *args_list,
                            const char *options,
                            char **results,
                            stent_error **error);

/**
 * Sleeps durably: no thread and no slot is held, and the task wakes at the time that was fixed when the sleep was
 * first reached, whatever crashes meanwhile. duration: a number of seconds or text such as "1h30m".
 *
 * Any thread that may block. STENT_SUSPEND: return now. Else as for stent_task_call.
 */
STENT_NODISCARD STENT_API stent_status stent_task_sleep(stent_task *task, const char *duration, stent_error **error);

/**
 * Waits for a signal to the execution, and takes it: the oldest of the name that no wait has taken. options:
 * timeout, key; NULL for none. `*payload` is JSON, to be freed with stent_free.
 *
 * Any thread that may block. STENT_SUSPEND: return now. STENT_E_FAILED with type "SignalTimeout": none came within
 * the time-out. Else as for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_wait_signal(stent_task *task,
                                    const char *name,
                                    const char *options,
                                    char **payload,
                                    stent_error **error);

/**
 * Begins a step that runs here, in the handler, and says whether it is recorded already. `*recorded` 1: take its
 * result by stent_task_result(op). 0: do the work, then call stent_task_step_end. A crash in between runs the step
 * again: it should be safe to repeat. options: key; NULL for none. A poller's task takes the result, recorded or new,
 * from the "op" event that it asked for by stent_task_notify. On the thread that the handler was called on no other durable
 * operation of the task begins until the step has ended (STENT_E_INVALID): it would not be asked for again in later runs.
 *
 * Any thread that may block. Statuses as for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_step_begin(stent_task *task,
                                   const char *name,
                                   const char *options,
                                   uint32_t *op,
                                   int32_t *recorded,
                                   stent_error **error);

/**
 * Ends a step: with its result (any JSON value, NULL: null), or with its failure, of which one must be NULL. Returns
 * when that is recorded; from then on it is what every run gets. A poller's task may do so between turns; the call
 * returns at once, and the step is recorded when its "op" event comes.
 *
 * Any thread that may block. Statuses as for stent_task_call; STENT_E_CONFLICT: the step is recorded already.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_step_end(stent_task *task,
                                 uint32_t op,
                                 const char *result,
                                 const char *failure,
                                 stent_error **error);

/**
 * The time of the last thing that this task was told (an operation's end, or its own beginning): the same in every
 * replay. RFC 3339, to be freed with stent_free. Any thread that may block. Statuses as for stent_task_call.
 */
STENT_NODISCARD STENT_API stent_status stent_task_now(stent_task *task, char **time, stent_error **error);

/**
 * 64 random bits, the same in every replay; not for secrets. Any thread that may block. Statuses as for
 * stent_task_call.
 */
STENT_NODISCARD STENT_API stent_status stent_task_random(stent_task *task, uint64_t *value, stent_error **error);

/**
 * A UUID, the same in every replay: a good idempotency key for a call to another system. To be freed with
 * stent_free. Any thread that may block. Statuses as for stent_task_call.
 */
STENT_NODISCARD STENT_API stent_status stent_task_uuid(stent_task *task, char **uuid, stent_error **error);

/* =====================================================================================================================
 * Start now, wait later: fan-outs, races, time-outs.
 */

/**
 * Starts a call as stent_task_call does, without waiting. `*op` is its number in this task, for stent_task_await,
 * stent_task_result and stent_task_cancel_op. What is started is committed together, with the next wait or when the
 * handler returns.
 *
 * Any thread that may block. Statuses as for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_spawn_call(stent_task *task,
                                   const char *function,
                                   const char *args,
                                   const char *options,
                                   uint32_t *op,
                                   stent_error **error);

/**
 * Starts a sleep as stent_task_sleep does, without waiting: a time-out for whatever is awaited with it. Any thread
 * that may block. Statuses as for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_spawn_sleep(stent_task *task,
                                    const char *duration,
                                    uint32_t *op,
                                    stent_error **error);

/**
 * Starts a wait for a signal as stent_task_wait_signal does, without waiting. Any thread that may block. Statuses as
 * for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_spawn_wait_signal(stent_task *task,
                                          const char *name,
                                          const char *options,
                                          uint32_t *op,
                                          stent_error **error);

/**
 * Waits until all (STENT_WAIT_ALL) or one (STENT_WAIT_ANY) of the operations have ended, in whatever way. `*first`
 * is the one that ended first; stent_task_result tells how. hold_ms: how long the handler may stay here before it is
 * suspended, thread and slot held (-1: as the worker's options say). `ops` may be NULL when count is 0.
 *
 * Any thread that may block. STENT_SUSPEND: return now. Else as for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_await(stent_task *task,
                              const uint32_t *ops,
                              size_t count,
                              uint32_t mode,
                              int64_t hold_ms,
                              uint32_t *first,
                              stent_error **error);

/**
 * Asks to be told, as an "op" event of the poller with this tag, when an operation has ended; when it has already, and
 * was told of, that comes with the next turn all the same. Only for tasks that came from a poller, on their
 * coroutine's turn; see stent_poller_new. Each operation is asked for once. `poller` is the one that the task came from.
 *
 * The event has the status and the JSON that stent_task_result gives. Any thread; never blocks. STENT_SUSPEND: it is not
 * the coroutine's turn. STENT_E_CONFLICT: it is asked for already. STENT_E_UNSUPPORTED: the task is a handler's. Else as
 * for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_notify(stent_task *task,
                               uint32_t op,
                               stent_poller *poller,
                               uint64_t tag,
                               stent_error **error);

/**
 * Asks to be told once, when all of these operations have ended, as stent_task_map is: the event has the array of their
 * results, or the error of the first that did not complete. A task that waits for nothing else is not woken before the
 * last of them. `ops` may be NULL when count is 0. Threads, statuses and the rest as for stent_task_notify.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_notify_all(stent_task *task,
                                   const uint32_t *ops,
                                   size_t count,
                                   stent_poller *poller,
                                   uint64_t tag,
                                   stent_error **error);

/**
 * The result of an operation that has ended (a call's, a step's, a signal's payload; null for a sleep): JSON, to be
 * freed with stent_free.
 *
 * Any thread that may block. STENT_PENDING: it has not ended, or not been awaited yet. STENT_E_FAILED: it failed;
 * its failure is in the error's JSON. STENT_E_CANCELLED: it was cancelled. Else as for stent_task_call.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_result(stent_task *task,
                               uint32_t op,
                               char **result,
                               stent_error **error);

/**
 * Cancels an operation that is not awaited any more, such as the loser of a race: a call with all that it called, a
 * sleep, a wait for a signal. It is recorded (of a poller's task at the turn's end, at the latest); of an operation
 * that has ended it changes nothing. Any thread that may block. Statuses as for stent_task_call.
 */
STENT_NODISCARD STENT_API stent_status stent_task_cancel_op(stent_task *task, uint32_t op, stent_error **error);

/* =====================================================================================================================
 * The end of a task. In a handler it is staged, and commits after the handler has returned STENT_OK; deferred, it is
 * committed soon. None of these calls blocks.
 */

/**
 * The task has its result: any JSON value, NULL for null. It is staged: recorded when the handler has returned
 * STENT_OK, or, for a deferred task, soon; a poller's task gets its verdict as an "ended" event. Never blocks. Any
 * thread. STENT_E_CONFLICT: the task was ended already, or is suspended. STENT_E_INVALID: the result is not JSON; then
 * the task is not ended. STENT_E_LEASE_LOST, STENT_E_CANCELLED: the result will not be taken.
 * STENT_E_NONDETERMINISM: something is recorded that this run has not asked for; the task is parked.
 */
STENT_NODISCARD STENT_API stent_status stent_task_complete(stent_task *task, const char *result, stent_error **error);

/**
 * The attempt failed: {"type", "message", "code", "retryable", "retry_after", "details", "stack"}, of which "type" must
 * be there.
 * What becomes of it (another attempt, or a dead letter) follows from the retry policy; "retryable": false ends it
 * at once. "retry_after" (a number of seconds, or the text of an HTTP header Retry-After as it came) says that the next
 * attempt begins no sooner; what can't be read does not count, and a day is the longest. Message and stack are kept up to 32 KiB, type and code up to 255 bytes, details up to 256 KiB; what is longer
 * is cut, and says so. Staged as stent_task_complete is, with the same statuses. Never blocks. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_fail(stent_task *task,
                             const char *failure,
                             stent_error **error);

/**
 * Not now: the attempt ends, and the task runs again from the top after that time (a number of seconds or text such as
 * "1h30m"), with its journal. No attempt is charged; "snoozes" in stent_task_info says how often it was done. For an
 * attempt that found that its time has not come: a report that is not there yet, a maintenance. Staged as
 * stent_task_complete is, with the same statuses but STENT_E_NONDETERMINISM. STENT_E_INVALID: no duration. Never blocks.
 * Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_snooze(stent_task *task,
                               const char *duration,
                               stent_error **error);

/**
 * The task is suspended until what it awaited is there, after a durable call that answered STENT_SUSPEND; returning
 * that status from a handler does the same. Staged as stent_task_complete is. A poller's task gives its turn back by
 * it: its coroutine has nothing left to do until one of the "op" events comes that it has asked for. Never blocks. Any
 * thread. STENT_E_INVALID: nothing is awaited, or asked for. STENT_E_CONFLICT: the task was ended already.
 */
STENT_NODISCARD STENT_API stent_status stent_task_suspend(stent_task *task, stent_error **error);

/**
 * The task starts over with new arguments (an array, NULL for none), an empty journal and the signals that were not
 * taken: for workflows without an end, whose journal would grow for ever. Its id stays. Staged as
 * stent_task_complete is, with the same statuses. Never blocks. Any thread.
 */
STENT_NODISCARD STENT_API stent_status stent_task_continue(stent_task *task, const char *args, stent_error **error);

/* =====================================================================================================================
 * What a task reports: progress, counters, state values, heartbeats, log lines.
 */

/**
 * Adds a line to the execution's progress: any JSON value, NULL for null. As the two below, it is recorded with the
 * task's next transition, and not said again when the task's journal is replayed. An attempt that has no journal yet is
 * heard in full: lines are added, counters are added at least once, the last state value stands. Any thread that may
 * block. Statuses as for stent_task_call.
 */
STENT_API stent_status stent_task_progress(stent_task *task, const char *detail, stent_error **error);

/**
 * Adds to a counter of the execution, which begins at 0: once for all replays of a journal, and once in each attempt that
 * has no journal yet. amount: a JSON number; integers of 64 bits stay exact. Any thread that may block. Statuses as for
 * stent_task_call.
 */
STENT_API
stent_status stent_task_counter_add(stent_task *task,
                                    const char *name,
                                    const char *amount,
                                    stent_error **error);

/**
 * Sets a named value of the execution: any JSON value, NULL for null. The last one stands. Any thread that may block. Statuses as for
 * stent_task_call.
 */
STENT_API
stent_status stent_task_state_set(stent_task *task,
                                  const char *key,
                                  const char *value,
                                  stent_error **error);

/**
 * Says how far the handler has come, for its next attempt, which finds the last of it in stent_task_info: any JSON
 * value, NULL for null. The lease needs no heartbeat: the library renews it. Any thread that may block. Statuses as
 * for stent_task_call; a heartbeat is a good place to learn of STENT_E_CANCELLED and STENT_E_LEASE_LOST.
 */
STENT_API stent_status stent_task_heartbeat(stent_task *task, const char *details, stent_error **error);

/**
 * The other side wants nobody to ask for a while (429 with Retry-After): no other task starts in that time that has the
 * task's concurrency_key and its function (what: "key"), or no other of its function ("function"); a task without a key
 * holds nobody by "key". What runs goes on, and so does what waits for operations of its own. The task itself is held as the
 * others are, should it run again: its own end (stent_task_fail, stent_task_snooze, stent_task_complete) is another call.
 * Recorded with whatever the attempt comes to, in one transaction; lost with the attempt. time: a number of seconds or text such as "1m30s", or the text of
 * an HTTP header Retry-After as it came; what can't be read does not count, which the log says, and a day is the longest. A
 * longer hold stands, whoever said it. Says nothing in a replay. Never blocks. Any thread. STENT_E_INVALID: what is none of these.
 * STENT_E_UNSUPPORTED: a store of a user's that keeps no rates. STENT_E_LEASE_LOST, STENT_E_CANCELLED: it will not be taken.
 */
STENT_API
stent_status stent_task_hold(stent_task *task,
                             const char *what,
                             const char *time,
                             stent_error **error);

/**
 * Writes a line to the library's log (stent_set_log_handler) with the task's ids, unless the task is replaying.
 * level: STENT_LOG_ERROR to STENT_LOG_DEBUG. Any thread.
 */
STENT_API stent_status stent_task_log(stent_task *task, int32_t level, const char *message, stent_error **error);

/* =====================================================================================================================
 * Steps that run in a transaction of the handler's own, with their record.
 */

/**
 * Begins a step that runs in a transaction of the handler's own, on the store's database, by a connection and driver of
 * its own: the step's record is written in it, so what it does there is done exactly once. `*token` NULL: it is recorded
 * already; take its result by stent_task_result(op). Else begin the transaction, do the work, say
 * `SELECT stent.record_step(token, result)` in it as its last statement (PostgreSQL, in the store's schema; on SQLite the
 * extension's `stent_record_step(token, result)`; the result is JSON), commit, and call stent_task_transaction_end,
 * whatever became of it. `*token` is text, to be freed with stent_free. options: key; NULL for none. docs/sql.md and
 * docs/sql-sqlite.md show it.
 *
 * Until then no other durable operation of the task begins (STENT_E_INVALID), but in a poller's host: it would wait for a
 * commit of the store's, which the transaction may keep waiting.
 *
 * Any thread that may block. Statuses as for stent_task_call; STENT_E_UNSUPPORTED: the store is one that the user
 * writes.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_transaction_begin(stent_task *task,
                                          const char *name,
                                          const char *options,
                                          uint32_t *op,
                                          char **token,
                                          stent_error **error);

/**
 * Ends a step whose transaction is over: committed, rolled back, or nobody knows. The store is asked: where it has the
 * step's record, the step has completed with it. Else the step ends with `failure` (NULL: one of type "NotRecorded"), as
 * by stent_task_step_end, and a commit that is still on its way fails. Which it is stent_task_result(op) tells; a
 * poller's task hears it from the "op" event that it asked for by stent_task_notify.
 *
 * Any thread that may block. Statuses as for stent_task_call; STENT_E_LEASE_LOST: nothing is recorded but what the
 * transaction has.
 */
STENT_NODISCARD STENT_API
stent_status stent_task_transaction_end(stent_task *task,
                                        uint32_t op,
                                        const char *failure,
                                        stent_error **error);

/* =====================================================================================================================
 * Tasks' texts with their lengths, for hosts that know them, and for payloads of many MiB. What goes in needs no NUL at its
 * end, and what comes out has one all the same.
 */

/** As stent_task_args; `*length` is the text's, without its NUL. Any thread. */
STENT_API const char *stent_task_args_n(stent_task *task, size_t *length);

/** As stent_task_call. Any thread that may block. */
STENT_NODISCARD STENT_API
stent_status stent_task_call_n(stent_task *task,
                               const char *function,
                               const char *args,
                               size_t args_length,
                               const char *options,
                               char **result,
                               size_t *result_length,
                               stent_error **error);

/** As stent_task_spawn_call. Any thread that may block. */
STENT_NODISCARD STENT_API
stent_status stent_task_spawn_call_n(stent_task *task,
                                     const char *function,
                                     const char *args,
                                     size_t args_length,
                                     const char *options,
                                     uint32_t *op,
                                     stent_error **error);

/** As stent_task_wait_signal. Any thread that may block. */
STENT_NODISCARD STENT_API
stent_status stent_task_wait_signal_n(stent_task *task,
                                      const char *name,
                                      const char *options,
                                      char **payload,
                                      size_t *payload_length,
                                      stent_error **error);

/** As stent_task_step_end; failure is NUL-terminated. Any thread that may block. */
STENT_NODISCARD STENT_API
stent_status stent_task_step_end_n(stent_task *task,
                                   uint32_t op,
                                   const char *result,
                                   size_t result_length,
                                   const char *failure,
                                   stent_error **error);

/** As stent_task_result. Any thread that may block. */
STENT_NODISCARD STENT_API
stent_status stent_task_result_n(stent_task *task,
                                 uint32_t op,
                                 char **result,
                                 size_t *result_length,
                                 stent_error **error);

/** As stent_task_complete. Never blocks. Any thread. */
STENT_NODISCARD STENT_API
stent_status stent_task_complete_n(stent_task *task,
                                   const char *result,
                                   size_t result_length,
                                   stent_error **error);

/* =====================================================================================================================
 * Pollers: for hosts with an event loop. Nothing is called back: a descriptor is readable while there are events, and
 * the host takes them when it likes.
 *
 * A WORKER is started with the poller, for functions that were registered without a handler. Each task that it claims
 * comes as a "task" event, and the host runs it as it runs everything else: as a coroutine, a state machine, a promise.
 * No call on such a task blocks. Calls that would (stent_task_call, _map, _sleep, _wait_signal, _await) answer
 * STENT_E_UNSUPPORTED: start the operation with stent_task_spawn_*, and ask by stent_task_notify to be told when it has
 * ended.
 *
 * TURNS. With the "task" event it is the coroutine's turn: durable calls are allowed. When it has nothing left to do
 * before something arrives, it gives its turn back by stent_task_suspend, and ends it for good by stent_task_complete,
 * _fail or _continue. What was asked for then comes as "op" events, one at a time, in the order in which it arrived,
 * and each is a new turn: the next one comes only when this one was given back. So a run after a crash sees everything
 * in the same order. Between turns durable calls answer STENT_SUSPEND, but for stent_task_step_end and
 * stent_task_heartbeat.
 *
 * WAITING. A task whose turn was given back, with nothing there, becomes rows only: it holds no slot and no lease. Its
 * coroutine stays where it is, in the host. When something arrives the worker claims the task again, and the "op"
 * events follow on the same stent_task, under a new fence; nothing is replayed. While a step runs (stent_task_step_begin
 * without its end) the task keeps its slot and its lease, and still gets what arrives. A step is durable when its own
 * "op" event comes.
 *
 * THE END. Every task that was taken over is closed by exactly one event: "ended", the verdict on the end that the host
 * gave it, or "evict", after which the coroutine is to be dropped: another worker took the task over, its execution is
 * over, the worker drains, or more coroutines wait than max_coroutines. What is evicted comes as a new "task" event,
 * here or elsewhere, and is replayed from its record. "cancel" says that a task's work is in vain: the host ends it as
 * it likes (stent_task_fail, or stent_task_free), and its slot is taken until then.
 *
 * A HOST THAT IS GONE. Leases are renewed by the library, and a host whose loop stands still would keep its tasks. So the
 * descriptor becomes readable now and then without an event, and the host answers that as always: it takes, and gets
 * none. A thread that waits in stent_poller_next lives too. A host that does neither for the worker's host_timeout (three
 * leases, if nobody says) counts as dead: the worker claims nothing, and all it held goes to others; a line of the log and
 * "trouble" in the worker's status name the tasks whose turn it was. For these it is a death, as if the process had ended:
 * one that always holds its host up ends as a dead letter ("max_deaths"). Others are charged nothing. With the next take
 * the host lives again, gets "evict" for what it had, and new tasks.
 *
 * FREEING a task that is not ended: on the coroutine's turn, or in a step, it is a failure of type "NoOutcome"; while it
 * waits, the coroutine is forgotten, as by an eviction; while the worker drains or when the poller is gone, the task
 * goes back, and no attempt is charged. After it no event of the task comes any more.
 *
 * FREEING the poller drains its workers. Events that nobody took are dropped, tasks among them go back, and submissions
 * are given up. stent_shutdown waits for running tasks, so a host whose only thread is the event loop drains before it
 * (stent_worker_drain, and then the "worker" event "stopped").
 */

/**
 * Makes a poller. `*poller` is the caller's, to be freed by stent_poller_free. Any thread. STENT_E_BACKEND: the process
 * has no descriptors left.
 */
STENT_NODISCARD STENT_API stent_status stent_poller_new(stent_poller **poller, stent_error **error);

/**
 * A descriptor that is readable while there are events, and now and then to see that the host lives, which takes none
 * then (by stent_poller_take, or stent_poller_next with 0): for poll, epoll, kqueue, libuv, asyncio. It is the poller's:
 * don't write to it and don't close it; an event loop that closes what it watches is given a duplicate (dup). One that
 * reads from it, as Node's sockets do, then takes events until there are none. -1 if the poller is not a live handle.
 * Any thread.
 */
STENT_API
int32_t stent_poller_fd(stent_poller *poller);

/**
 * Waits for an event, for at most `timeout_ms` (negative: as long as it takes; 0: just looks). `*event` is the
 * caller's, to be freed with stent_event_free. Any thread; several may wait, and each event goes to one of them.
 * STENT_PENDING: none came, or stent_poller_interrupt was called. STENT_E_CLOSED: the poller was freed meanwhile.
 */
STENT_NODISCARD STENT_API
stent_status stent_poller_next(stent_poller *poller,
                               int64_t timeout_ms,
                               stent_event **event,
                               stent_error **error);

/**
 * Takes the events that are there, at most `capacity`, without waiting: `events` gets that many handles, `*count` their
 * number, 0 if there are none. Each is to be freed with stent_event_free. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_poller_take(stent_poller *poller,
                               stent_event **events,
                               size_t capacity,
                               size_t *count,
                               stent_error **error);

/**
 * Lets one stent_poller_next return STENT_PENDING at once: the one that waits, or else the next one; the descriptor is
 * readable until then, or until stent_poller_take. Any thread, in a signal handler not.
 */
STENT_API void stent_poller_interrupt(stent_poller *poller);

/**
 * Hands the library's log to the poller from now on, as "log" events, in place of a log handler, or of the poller that
 * had it before. options: {"level": "info"} as for stent_set_log_handler, which with NULL ends it. A host that takes
 * its events too slowly loses lines, and the next line says how many. Any thread.
 */
STENT_NODISCARD STENT_API stent_status stent_poller_log(stent_poller *poller, const char *options, stent_error **error);

/**
 * As stent_poller_log, for what one executor, its workers and their tasks have to say, as by
 * stent_executor_set_log_handler, which with NULL ends it. The log of the process is left as it is. Any thread.
 */
STENT_NODISCARD STENT_API
stent_status stent_poller_log_executor(stent_poller *poller,
                                       stent_executor *executor,
                                       const char *options,
                                       stent_error **error);

/**
 * Frees the poller. NULL is nothing. Its workers drain, events that nobody took are dropped (tasks among them go back,
 * no attempt charged), what was submitted is given up, and its descriptor is closed. Any thread.
 */
STENT_API void stent_poller_free(stent_poller *poller);

/* =====================================================================================================================
 * Events, which a poller gives to its host.
 */

/**
 * What happened: "task", "op", "ended", "cancel", "evict", "reply", "worker" or "log"; stent_describe tells more. The
 * text is static: don't free it. NULL if the event is not a live handle. Any thread.
 */
STENT_API const char *stent_event_type(const stent_event *event);

/**
 * What it is about. Of "task", "ended", "cancel" and "evict" the number of the task, which the library gave it: larger
 * than 0, unique in the process, the same as long as the stent_task lives. Of "op" what stent_task_notify was given,
 * of "reply" what stent_executor_submit was given; of "log" the level; else 0. Any thread.
 */
STENT_API uint64_t stent_event_tag(const stent_event *event);

/**
 * How it came out. Of "op", "ended" and "reply": STENT_OK, or why not. Of "cancel" and "evict" the reason:
 * STENT_E_CANCELLED, STENT_E_TIMEOUT (the attempt's), STENT_E_LEASE_LOST (another worker has the task),
 * STENT_E_CLOSED (the worker drains), STENT_E_BACKEND (the store could not be read, and the task goes back), STENT_OK
 * (there are more than max_coroutines). Any thread.
 */
STENT_API stent_status stent_event_status(const stent_event *event);

/**
 * More of it, as JSON. "task": what stent_task_info gives, with "args" and "kwargs". "op": the result, or an array of
 * them for a group. "reply": the answer. "ended": {"task_id", "execution_id", "outcome", "failure"}, where the outcome
 * is completed, retried, snoozed, dead_lettered, failed, continued or parked. "cancel" and "evict": {"task_id", "execution_id",
 * "reason"}. "worker": what stent_worker_status gives. "log": the line. Where the status of "op", "ended" or "reply"
 * is negative it is an error, as stent_error_json tells it.
 *
 * The text belongs to the event and lives until stent_event_free. NULL if the event is not a live handle. Any thread.
 */
STENT_API
const char *stent_event_json(const stent_event *event);

/** As stent_event_json; `*length` is the text's, without its NUL. Any thread. */
STENT_API const char *stent_event_json_n(const stent_event *event, size_t *length);

/**
 * The id of the task that a "task", "ended", "cancel" or "evict" event is about; NULL for other events, for an end that
 * could not be recorded, and if the event is not a live handle. The text lives until stent_event_free. Any thread.
 */
STENT_API const char *stent_event_task_id(const stent_event *event);

/** The id of its execution, likewise. Any thread. */
STENT_API const char *stent_event_execution_id(const stent_event *event);

/**
 * The outcome of an "ended" event whose status is STENT_OK: "completed", "retried" or another of those that
 * stent_event_json tells; "" of the other events that have a task's id; else NULL. Any thread.
 */
STENT_API const char *stent_event_outcome(const stent_event *event);

/**
 * What went wrong, of an "op", "ended" or "reply" event whose status is negative: the caller's, to be freed by
 * stent_error_free. NULL of other events, and if the event is not a live handle. Any thread.
 */
STENT_NODISCARD STENT_API stent_error *stent_event_error(const stent_event *event);

/**
 * Takes the task of a "task" event over: the caller's, to be freed by stent_task_free. Once for each event; NULL the
 * second time, for other events, and if the event is not a live handle. A task that is not taken over before its event
 * is freed has failed, with type "NoOutcome". Any thread.
 */
STENT_NODISCARD STENT_API stent_task *stent_event_task(stent_event *event);

/** Frees an event. NULL is nothing. Any thread. */
STENT_API void stent_event_free(stent_event *event);

/* =====================================================================================================================
 * The library as an extension of a host's SQLite: its entry point, and the SQL functions, each with the checks of the C
 * function that does the same.
 */

/**
 * Adds stent_dispatch, stent_signal, stent_cancel and stent_record_step to a connection of another SQLite than the
 * library's: what loads extensions there calls it, as SELECT load_extension('libstent', 'stent_sqlite_init') does, and a program that links both may
 * give it to sqlite3_auto_extension. The functions run in the connection's own transaction, on a store's file (docs/sql-sqlite.md).
 *
 * It is SQLite's kind of function: db is its connection, and routines its table of functions; what is returned is a code of
 * SQLite's, 0 for success, and `*message` belongs to SQLite. Any thread, a forked child's too.
 */
STENT_API
int32_t stent_sqlite_init(void *db,
                          char **message,
                          const void *routines);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STENT_H */
