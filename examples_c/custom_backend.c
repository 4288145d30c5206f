/* A backend of your own: a store in memory that answers the whole protocol. docs/writing-a-backend.md is the contract;
 * custom_main.c checks this store and runs a workflow on it.
 *
 * Records stay text. A payload must come back to the letter, so nothing is parsed and written anew: what the store has
 * to know is looked up in the text, and what changes is replaced in it.
 *
 * Everything is in one ordered map, each kind under a prefix of its own, and every order that is asked for is the order
 * of some keys:
 *
 *     execution/ID                  the record, without its progress
 *     execution-by-time/TIME/ID     the id
 *     progress/EXECUTION/NUMBER     an entry; likewise counter/EXECUTION/NAME and value/EXECUTION/KEY
 *     signal/EXECUTION/NAME/NUMBER  the record
 *     task/ID                       the record
 *     task-by-time/TIME/ID          the id; likewise task-of/EXECUTION/TIME/ID
 *     claimable/PRIORITY/TIME/ID    the id of a task that is pending or running: the best one to claim comes first
 *     later/TIME/ID                 the id of a task that is not claimable before that time
 *     letter/TASK                   the dead letter; letter-by-time/TIME/TASK has the task's id
 *     cache/KEY, idempotency/KEY    when it is over, a blank, and the value
 *
 * One lock guards the map, so that each operation is a transaction. */
#define _GNU_SOURCE
#include "custom_backend.h"
#include "custom_call.h"

#include <pthread.h>

struct store {
    pthread_mutex_t lock;
    struct map map;
    long long last_number; /* of signals and entries of progress */
};

/* ---- executions ---- */

static int is_new(struct call *call, const char *kind, const char *record) {
    if (!map_get(call->map, "%s/%s", kind, WORD(record, "id"))) return 1;
    fail(call, STENT_E_CONFLICT, FORMAT(call, "there is a record with the id %s already", WORD(record, "id")));
    return 0;
}

static void append_entry(struct call *call, const char *execution, const char *entry) {
    map_put(call->map, json_text(entry), "progress/%s/%019lld", execution, ++*call->last_number);
}

static void insert_execution(struct call *call, const char *record) {
    const char *id = id_of(call, record), *entry = json_first(json_get(record, "progress"));
    for (; entry; entry = json_next(entry)) append_entry(call, id, entry);
    const char *own = made(call, json_text(record)); /* up to its end, without what follows in the request */
    map_put(call->map, json_with(own, "progress", "[]"), "execution/%s", id);
    map_put(call->map, text(id), "execution-by-time/%s/%s", WORD(record, "created_at"), id);
}

static char *create_execution(struct call *call) {
    const char *record = json_get(call->request, "execution");
    if (!is_new(call, "execution", record)) return NULL;
    insert_execution(call, record);
    return text(NULL);
}

static char *get_execution(struct call *call) {
    const char *record = map_get(call->map, "execution/%s", WORD(call->request, "execution_id"));
    return record ? json_with(record, "progress", made(call, gather(call, "progress", 0))) : text(NULL);
}

static char *update_execution(struct call *call) {
    static const char *const fields[] = {"state", "args", "kwargs", "retries", "started_at", "completed_at",
                                         "expiry_at", "tags", "priority", "queue", "result", "error", NULL};
    const char *record = json_get(call->request, "execution"), *id = known(call, id_of(call, record));
    if (!id) return NULL;
    take_members(call, FORMAT(call, "execution/%s", id), record, fields);
    return text(NULL);
}

static char *append_progress(struct call *call) {
    const char *id = known_execution(call);
    if (!id) return NULL;
    append_entry(call, id, json_get(call->request, "progress"));
    return text(NULL);
}

/* ---- tasks ---- */

/* Where a task stands in line, by its state; NULL: nowhere. A higher priority is a smaller key. */
static const char *place_in_line(struct call *call, const char *task) {
    int is_pending = json_has(task, "state", "pending");
    unsigned long long down = (unsigned long long)INT64_MAX - (unsigned long long)json_int(json_get(task, "priority"));
    if (json_has(task, "kind", "signal") || !(is_pending || json_has(task, "state", "running"))) return NULL;
    if (is_pending && !json_has(task, "scheduled_for", "null")) {
        return FORMAT(call, "later/%s/%s", WORD(task, "scheduled_for"), WORD(task, "id"));
    }
    return FORMAT(call, "claimable/%020llu/%s/%s", down, WORD(task, "created_at"), WORD(task, "id"));
}

static const char *next_fence(struct call *call, const char *key) {
    return FORMAT(call, "%lld", json_int(json_get(map_get(call->map, "%s", key), "fence")) + 1);
}

static void put_in_line(struct call *call, const char *task) {
    const char *place = place_in_line(call, task);
    if (place) map_put(call->map, text(WORD(task, "id")), "%s", place);
}

/* It may have become claimable since it was scheduled. */
static void take_from_line(struct call *call, const char *task) {
    const char *place = place_in_line(call, task);
    if (place && !map_drop(call->map, "%s", place)) {
        map_drop(call->map, "%s", place_in_line(call, made(call, json_with(task, "scheduled_for", "null"))));
    }
}

static void insert_task(struct call *call, const char *record) {
    const char *id = id_of(call, record), *time = FORMAT(call, "%s", WORD(record, "created_at"));
    map_put(call->map, json_text(record), "task/%s", id);
    map_put(call->map, text(id), "task-by-time/%s/%s", time, id);
    map_put(call->map, text(id), "task-of/%s/%s/%s", WORD(record, "execution_id"), time, id);
    put_in_line(call, record);
}

static char *create_task(struct call *call) {
    const char *record = json_get(call->request, "task");
    if (!is_new(call, "task", record)) return NULL;
    insert_task(call, record);
    return text(NULL);
}

/* All or nothing: whatever may fail comes before anything is written. */
static char *create_tasks(struct call *call) {
    const char *first = json_first(json_get(call->request, "tasks"));
    for (const char *record = first; record; record = json_next(record)) {
        if (!is_new(call, "task", record)) return NULL;
        for (const char *other = first; other != record; other = json_next(other)) {
            if (json_has(other, "id", WORD(record, "id"))) return fail(call, STENT_E_CONFLICT, "an id is given twice");
        }
    }
    for (const char *record = first; record; record = json_next(record)) insert_task(call, record);
    return text(NULL);
}

static char *create_execution_with_root_task(struct call *call) {
    const char *execution = json_get(call->request, "execution"), *task = json_get(call->request, "task");
    if (!is_new(call, "execution", execution) || !is_new(call, "task", task)) return NULL;
    insert_execution(call, execution);
    insert_task(call, task);
    return text(NULL);
}

/* A task or a dead letter, by the task's id. */
static char *get_by_task(struct call *call) {
    return text(map_get(call->map, "%s/%s", call->kind, WORD(call->request, "task_id")));
}

static char *update_task(struct call *call) {
    static const char *const fields[] = {"state", "result", "error", "retries", "started_at", "completed_at",
                                         "worker_id", "lease_expires_at", "scheduled_for", NULL};
    const char *record = json_get(call->request, "task"), *key = FORMAT(call, "task/%s", WORD(record, "id"));
    const char *task = map_get(call->map, "%s", key);
    if (!task) return fail(call, STENT_E_NOT_FOUND, FORMAT(call, "there is no %s", key));
    take_from_line(call, task);
    set(call->map, key, "fence", next_fence(call, key));
    take_members(call, key, record, fields);
    put_in_line(call, map_get(call->map, "%s", key));
    return text(NULL);
}

static char *list_tasks_for_execution(struct call *call) {
    const char *prefix = FORMAT(call, "task-of/%s/", WORD(call->request, "execution_id"));
    const struct row *row;
    struct json_pile pile;
    json_begin(&pile, "[");
    for (EACH(row, call->map, prefix)) json_add(&pile, "", map_get(call->map, "task/%s", row->text));
    return json_finish(&pile, "]");
}

/* ---- claims and leases ---- */

/* A task without a queue of its own is everybody's, and so is one without tags. */
static int is_admitted(const struct call *call, const char *task) {
    const char *queues = json_get(call->request, "queues"), *tags = json_get(call->request, "tags");
    const char *queue = json_get(task, "queue"), *tag = json_first(json_get(task, "tags"));
    if (!json_is_null(queues) && !json_is_null(queue) && !json_among(queues, queue)) return 0;
    if (json_is_null(tags) || !tag) return 1;
    while (tag && !json_among(tags, tag)) tag = json_next(tag);
    return tag != NULL;
}

static int is_leased(const char *task, const char *now) {
    return json_has(task, "state", "running") && strcmp(WORD(task, "lease_expires_at"), now) >= 0;
}

/* Has the task's function as many tasks under live leases as the caller allows it? */
static int is_full(struct call *call, const char *task, const char *now) {
    const char *function = made(call, json_text(json_get(task, "step_name")));
    const char *name = json_first(json_get(call->request, "concurrency_limits"));
    while (name && strncmp(name, function, strlen(function)) != 0) name = json_next(json_value(name));
    if (!name) return 0;
    const struct row *row;
    long long room = json_int(json_value(name));
    for (EACH(row, call->map, "claimable/")) {
        const char *other = map_get(call->map, "task/%s", row->text);
        room -= is_leased(other, now) && json_is(json_get(other, "step_name"), function);
    }
    return room <= 0;
}

static int goes_on(const char *execution) {
    return json_has(execution, "state", "pending") || json_has(execution, "state", "running");
}

static int may_be_claimed(struct call *call, const char *task, const char *now) {
    const char *execution = map_get(call->map, "execution/%s", WORD(task, "execution_id"));
    int is_early = !json_has(task, "scheduled_for", "null") && strcmp(WORD(task, "scheduled_for"), now) > 0;
    return (!execution || goes_on(execution)) && !is_early && !is_leased(task, now) && is_admitted(call, task)
           && !is_full(call, task, now);
}

/* What was scheduled, and is due, stands in line as if it had never been scheduled. */
static void release_due(struct call *call, const char *now) {
    const struct row *row;
    while ((row = map_row(call->map, map_place(call->map, "later/"), "later/")) != NULL
           && strncmp(row->key + strlen("later/"), now, strlen(now)) <= 0) {
        const char *task = map_get(call->map, "task/%s", row->text);
        map_drop(call->map, "%s", row->key);
        put_in_line(call, made(call, json_with(task, "scheduled_for", "null")));
    }
}

/* The execution runs from its first claim on. */
static void start_execution(struct call *call, const char *id, const char *now) {
    const char *key = FORMAT(call, "execution/%s", id), *execution = map_get(call->map, "%s", key);
    if (!execution || !json_has(execution, "state", "pending")) return;
    set(call->map, key, "state", "\"running\"");
    set(call->map, key, "started_at", quoted(call, now));
}

static char *claim_next_task(struct call *call) {
    const char *at = json_get(call->request, "now"), *task = NULL;
    int64_t micros = json_is_null(at) ? clock_micros() : micros_of(json_word(at).text);
    const char *now = time_after(call, micros, "0");
    const struct row *row;
    release_due(call, now);
    for (EACH(row, call->map, "claimable/")) {
        task = map_get(call->map, "task/%s", row->text);
        if (may_be_claimed(call, task, now)) break;
    }
    if (!row) return text(NULL);
    const char *key = FORMAT(call, "task/%s", row->text);
    const char *until = time_after(call, micros, asked(call, "lease_duration"));
    start_execution(call, WORD(task, "execution_id"), now);
    if (json_has(task, "started_at", "null")) set(call->map, key, "started_at", quoted(call, now));
    set(call->map, key, "fence", next_fence(call, key));
    set(call->map, key, "state", "\"running\"");
    set(call->map, key, "worker_id", asked(call, "worker_id"));
    set(call->map, key, "lease_expires_at", quoted(call, until));
    return text(map_get(call->map, "%s", key));
}

static char *renew_task_lease(struct call *call) {
    const char *key = FORMAT(call, "task/%s", WORD(call->request, "task_id")), *task = map_get(call->map, "%s", key);
    const char *until = time_after(call, clock_micros(), asked(call, "lease_duration"));
    int holds = json_has(task, "state", "running") && json_is(json_get(task, "worker_id"), asked(call, "worker_id"));
    if (holds) set(call->map, key, "lease_expires_at", quoted(call, until));
    return boolean(holds);
}

/* ---- results that are kept, under the kind "cache" or "idempotency" ---- */

/* What has no end is kept until "~", which comes after every time. */
static char *keep(struct call *call) {
    const char *ttl = asked(call, "ttl"), *until = json_is_null(ttl) ? "~" : time_after(call, clock_micros(), ttl);
    map_put(call->map, json_format("%s %s", until, asked(call, "value")), "%s/%s", call->kind, asked(call, "key"));
    return text(NULL);
}

static char *look_up(struct call *call) {
    const char *kept = map_get(call->map, "%s/%s", call->kind, asked(call, "key"));
    return text(kept && strcmp(kept, time_after(call, clock_micros(), "0")) > 0 ? strchr(kept, ' ') + 1 : NULL);
}

/* ---- dead letters ---- */

static int drop_letter(struct call *call, const char *task) {
    const char *letter = map_get(call->map, "letter/%s", task);
    map_drop(call->map, "letter-by-time/%s/%s", WORD(letter, "moved_at"), task);
    return map_drop(call->map, "letter/%s", task);
}

static char *move_task_to_dead_letter(struct call *call) {
    const char *task = asked(call, "task"), *id = id_of(call, task), *now = time_after(call, clock_micros(), "0");
    drop_letter(call, id);
    const char *reason = asked(call, "reason");
    char *letter = json_format("{\"task\": %s, \"reason\": %s, \"moved_at\": \"%s\"}", task, reason, now);
    map_put(call->map, letter, "letter/%s", id);
    map_put(call->map, text(id), "letter-by-time/%s/%s", now, id);
    return text(NULL);
}

static char *delete_dead_task(struct call *call) { return boolean(drop_letter(call, WORD(call->request, "task_id"))); }

static char *cleanup_dead_letters(struct call *call) {
    size_t first = map_place(call->map, "letter-by-time/"), gone = 0;
    size_t end = map_place(call->map, FORMAT(call, "letter-by-time/%s", WORD(call->request, "older_than")));
    for (; end > first; end--, gone++) drop_letter(call, json_word(call->map->rows[end - 1].text).text);
    return number(gone);
}

/* ---- signals: a log for each name ---- */

/* The first of a log that is not consumed; else its last; NULL when it is empty. */
static const struct row *next_signal(const struct map *map, const char *log) {
    const struct row *row, *last = NULL;
    for (EACH(row, map, log)) {
        last = row;
        if (json_has(row->text, "consumed", "false")) break;
    }
    return last;
}

/* The same id counts once; a signal without one counts always. */
static int was_sent(const struct map *map, const char *log, const char *id) {
    const struct row *row;
    for (EACH(row, map, log)) {
        if (!json_is_null(id) && json_is(json_get(row->text, "id"), id)) return 1;
    }
    return 0;
}

static const char *log_of(struct call *call, const char *execution, const char *name) {
    return FORMAT(call, "signal/%s/%s/", execution, made(call, json_text(name)));
}

static char *create_signal(struct call *call) {
    static const char *const taking[] = {"consumed", "consumed_at", NULL};
    const char *record = asked(call, "signal"), *execution = FORMAT(call, "%s", WORD(record, "execution_id"));
    const char *log = log_of(call, execution, json_get(record, "name"));
    const char *id = made(call, json_text(json_get(record, "id")));
    const struct row *next = next_signal(call->map, log);
    if (!known(call, execution)) return NULL;
    if (json_has(record, "consumed", "true") && next && json_has(next->text, "consumed", "false")) {
        take_members(call, FORMAT(call, "%s", next->key), record, taking);
    } else if (!was_sent(call->map, log, id)) {
        const char *sequence = FORMAT(call, "%lld", ++*call->last_number);
        map_put(call->map, json_with(record, "sequence", sequence), "%s%019lld", log, *call->last_number);
    }
    return text(NULL);
}

static char *get_signal(struct call *call) {
    const char *log = log_of(call, WORD(call->request, "execution_id"), json_get(call->request, "name"));
    const struct row *next = next_signal(call->map, log);
    return text(next ? next->text : NULL);
}

/* ---- counters and values ---- */

/* Inserts what is not there yet of the "counters" or "values". */
static char *ensure(struct call *call) {
    const char *id = known_execution(call), *object = json_get(call->request, FORMAT(call, "%ss", call->kind));
    for (const char *name = id ? json_first(object) : NULL; name; name = json_next(json_value(name))) {
        const char *key = FORMAT(call, "%s/%s/%s", call->kind, id, made(call, json_text(name)));
        if (!map_get(call->map, "%s", key)) map_put(call->map, json_text(json_value(name)), "%s", key);
    }
    return id ? text(NULL) : NULL;
}

static int is_whole(const char *number) { return !strpbrk(number, ".eE"); }
/* Whole numbers stay exact: a sum that does not fit into 64 bits is NULL. */
static char *sum(struct call *call, const char *a, const char *b) {
    long long whole;
    if (is_whole(a) && is_whole(b)) {
        int is_too_large = __builtin_add_overflow(strtoll(a, NULL, 10), strtoll(b, NULL, 10), &whole);
        return is_too_large ? NULL : json_format("%lld", whole);
    }
    const char *real = FORMAT(call, "%.17g", strtod(a, NULL) + strtod(b, NULL));
    return json_format("%s%s", real, is_whole(real) ? ".0" : "");
}

static char *increment_execution_counter(struct call *call) {
    const char *id = known_execution(call);
    if (!id) return NULL;
    const char *key = FORMAT(call, "counter/%s/%s", id, asked(call, "name")), *old = map_get(call->map, "%s", key);
    char *value = sum(call, old ? old : "0", asked(call, "amount"));
    if (!value) return fail(call, STENT_E_INVALID, "the counter would leave 64 bits; it keeps its value");
    map_put(call->map, value, "%s", key);
    return text(value);
}

static char *set_execution_state_value(struct call *call) {
    const char *id = known_execution(call);
    if (!id) return NULL;
    map_put(call->map, json_text(json_get(call->request, "value")), "value/%s/%s", id, asked(call, "key"));
    return text(NULL);
}

/* ---- cleanup ---- */

static void remove_execution(struct call *call, const char *id) {
    static const char *const kinds[] = {"progress", "signal", "counter", "value"};
    const char *tasks = FORMAT(call, "task-of/%s/", id);
    const struct row *row;
    while ((row = map_row(call->map, map_place(call->map, tasks), tasks)) != NULL) {
        const char *task = made(call, text(map_get(call->map, "task/%s", row->text)));
        map_drop(call->map, "%s", row->key);
        map_drop(call->map, "task-by-time/%s/%s", WORD(task, "created_at"), WORD(task, "id"));
        map_drop(call->map, "task/%s", WORD(task, "id"));
        take_from_line(call, task);
    }
    for (size_t each = 0; each < sizeof kinds / sizeof *kinds; each++) {
        map_clear(call->map, FORMAT(call, "%s/%s/", kinds[each], id));
    }
    map_drop(call->map, "execution-by-time/%s/%s", WORD(map_get(call->map, "execution/%s", id), "created_at"), id);
    map_drop(call->map, "execution/%s", id);
}

static int is_older(struct call *call, const char *execution, const char *time) {
    int is_over = !goes_on(execution) && !json_has(execution, "state", "cancelling");
    if (!is_over || strcmp(WORD(execution, "completed_at"), time) >= 0) return 0;
    const struct row *row;
    for (EACH(row, call->map, FORMAT(call, "task-of/%s/", id_of(call, execution)))) /* a letter needs it */
        if (map_get(call->map, "letter/%s", json_word(row->text).text)) return 0;
    return 1;
}

static char *cleanup_executions(struct call *call) {
    const char *time = FORMAT(call, "%s", WORD(call->request, "older_than")), *next = "execution/";
    const struct row *row;
    size_t gone = 0;
    while ((row = map_row(call->map, map_place(call->map, next), "execution/")) != NULL) {
        next = FORMAT(call, "%s+", row->key); /* behind this one, wherever it is when others have gone */
        if (!is_older(call, row->text, time)) continue;
        remove_execution(call, id_of(call, row->text));
        gone++;
    }
    return number(gone);
}

/* ---- the backend ---- */

/* There is no schema to make, and what is in memory goes with the store. */
static char *nothing(struct call *call) { return (void)call, text(NULL); }

static const struct {
    const char *name;
    char *(*answer)(struct call *call);
    const char *kind;
} operations[] = {
    {"init_db", nothing, ""}, {"close", nothing, ""}, {"create_execution", create_execution, ""},
    {"create_execution_with_root_task", create_execution_with_root_task, ""}, {"get_execution", get_execution, ""},
    {"update_execution", update_execution, ""}, {"list_executions", list, "execution"},
    {"count_executions", count, "execution"}, {"append_progress", append_progress, ""},
    {"create_task", create_task, ""}, {"create_tasks", create_tasks, ""}, {"get_task", get_by_task, "task"},
    {"update_task", update_task, ""}, {"list_tasks", list, "task"},
    {"list_tasks_for_execution", list_tasks_for_execution, ""}, {"count_tasks", count, "task"},
    {"claim_next_task", claim_next_task, ""}, {"renew_task_lease", renew_task_lease, ""},
    {"get_cached_result", look_up, "cache"}, {"set_cached_result", keep, "cache"},
    {"get_idempotency_result", look_up, "idempotency"}, {"set_idempotency_result", keep, "idempotency"},
    {"move_task_to_dead_letter", move_task_to_dead_letter, ""}, {"list_dead_tasks", list, "letter"},
    {"count_dead_tasks", count, "letter"}, {"get_dead_task", get_by_task, "letter"},
    {"delete_dead_task", delete_dead_task, ""}, {"cleanup_executions", cleanup_executions, ""},
    {"cleanup_dead_letters", cleanup_dead_letters, ""}, {"create_signal", create_signal, ""},
    {"get_signal", get_signal, ""}, {"ensure_execution_counters", ensure, "counter"},
    {"increment_execution_counter", increment_execution_counter, ""},
    {"get_execution_counters", get_object, "counter"}, {"ensure_execution_state_values", ensure, "value"},
    {"set_execution_state_value", set_execution_state_value, ""},
    {"get_execution_state_values", get_object, "value"},
};

/* Called on many threads at once. Answers exactly once. */
static void answer(void *user_data, const char *operation, const char *request, stent_reply *reply) {
    struct store *store = user_data;
    struct call call = {&store->map, &store->last_number, request, "", NULL, STENT_E_UNSUPPORTED, "it is unknown"};
    char *response = NULL;
    pthread_mutex_lock(&store->lock);
    for (size_t each = 0; each < sizeof operations / sizeof *operations; each++) {
        if (strcmp(operations[each].name, operation) != 0) continue;
        call.kind = operations[each].kind;
        response = operations[each].answer(&call);
    }
    pthread_mutex_unlock(&store->lock);
    if (response) stent_reply_ok(reply, response);
    else stent_reply_error(reply, call.status, call.message, NULL);
    free(response);
    scraps_free(call.scraps);
}

static void free_store(void *user_data) {
    struct store *store = user_data;
    map_clear(&store->map, "");
    free(store->map.rows);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

stent_status memory_backend_open(stent_backend **backend, stent_error **error) {
    stent_backend_vtable vtable = {sizeof vtable, answer, NULL, NULL}; /* the whole protocol; 30 s for an answer */
    struct store *store = calloc(1, sizeof *store);
    if (!store) abort();
    pthread_mutex_init(&store->lock, NULL);
    return stent_backend_custom(&vtable, store, free_store, backend, error);
}
