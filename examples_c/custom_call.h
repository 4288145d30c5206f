/* One call of the backend in custom_backend.c: what is asked, what is made on the way, how it fails; and what most
 * operations do with records. To be included with _GNU_SOURCE. */
#ifndef EXAMPLES_CUSTOM_CALL_H
#define EXAMPLES_CUSTOM_CALL_H

#include "custom_kit.h"
#include "json.h"
#include "stent.h"

/* One call: what is asked, of which kind of record, and why it failed if it did. */
struct call {
    struct map *map;
    long long *last_number;
    const char *request, *kind;
    struct scrap *scraps;
    stent_status status;
    const char *message;
};

static inline const char *made(struct call *call, char *text) { return scraps_add(&call->scraps, text); }
#define FORMAT(call, ...) made(call, json_format(__VA_ARGS__))

/* A member that is short, without its quotes. Lives as long as the expression that it is in. */
#define WORD(object, name) json_word(json_get(object, name)).text

/* A member of the request as it is written. Names are keys like this, quotes and all: the library writes each name
 * always in the same way. */
static inline const char *asked(struct call *call, const char *name) {
    return made(call, json_text(json_get(call->request, name)));
}

/* An operation's answer is JSON that is freed after it was given; NULL is a failure. */
static inline char *fail(struct call *call, stent_status status, const char *message) {
    call->status = status;
    call->message = message;
    return NULL;
}

static inline char *text(const char *value) { return json_format("%s", value ? value : "null"); }
static inline char *boolean(int value) { return text(value ? "true" : "false"); }
static inline char *number(size_t value) { return json_format("%zu", value); }
static inline const char *id_of(struct call *call, const char *record) {
    return FORMAT(call, "%s", WORD(record, "id"));
}

static inline void set(struct map *map, const char *key, const char *name, const char *value) {
    map_put(map, json_with(map_get(map, "%s", key), name, value), "%s", key);
}

/* Replaces members of a record by those of another; `names` ends with NULL. */
static inline void take_members(struct call *call, const char *key, const char *from, const char *const *names) {
    for (; *names; names++) set(call->map, key, *names, made(call, json_text(json_get(from, *names))));
}

/* All of a kind that is the execution's: an array; or an object, in which the end of the key is the name. */
static inline char *gather(struct call *call, const char *kind, int as_object) {
    const char *prefix = FORMAT(call, "%s/%s/", kind, WORD(call->request, "execution_id"));
    const struct row *row;
    struct json_pile pile;
    json_begin(&pile, as_object ? "{" : "[");
    for (EACH(row, call->map, prefix)) json_add(&pile, as_object ? row->key + strlen(prefix) : "", row->text);
    return json_finish(&pile, as_object ? "}" : "]");
}

static inline char *get_object(struct call *call) { return gather(call, call->kind, 1); }

static inline int is_in_state(struct call *call, const char *record) {
    const char *state = json_get(call->request, "state");
    return json_is_null(state) || json_has(record, "state", json_word(state).text);
}

/* Newest first: an index by time, read backwards. */
static inline char *list(struct call *call) {
    long long offset = json_int(json_get(call->request, "offset")), limit = json_int(json_get(call->request, "limit"));
    size_t first = map_place(call->map, FORMAT(call, "%s-by-time/", call->kind));
    size_t place = map_place(call->map, FORMAT(call, "%s-by-time0", call->kind)); /* 0 comes after / */
    struct json_pile pile;
    json_begin(&pile, "[");
    while (place-- > first && limit > 0) {
        const char *record = map_get(call->map, "%s/%s", call->kind, call->map->rows[place].text);
        if (!is_in_state(call, record) || offset-- > 0) continue;
        json_add(&pile, "", record);
        limit--;
    }
    return json_finish(&pile, "]");
}

static inline char *count(struct call *call) {
    const char *queue = asked(call, "queue");
    const struct row *row;
    size_t found = 0;
    for (EACH(row, call->map, FORMAT(call, "%s/", call->kind))) {
        found += is_in_state(call, row->text) && (json_is_null(queue) || json_is(json_get(row->text, "queue"), queue));
    }
    return number(found);
}

/* So many seconds (a number in JSON) after an instant. */
static inline const char *time_after(struct call *call, int64_t micros, const char *seconds) {
    char time[32];
    return FORMAT(call, "%s", time_text(micros + (int64_t)(strtod(seconds, NULL) * 1e6), time));
}
static inline const char *quoted(struct call *call, const char *time) { return FORMAT(call, "\"%s\"", time); }

/* The execution that the call is about; NULL, and the call has failed, if it is not there. */
static inline const char *known(struct call *call, const char *id) {
    if (map_get(call->map, "execution/%s", id)) return id;
    return fail(call, STENT_E_NOT_FOUND, FORMAT(call, "there is no execution %s", id));
}

static inline const char *known_execution(struct call *call) {
    return known(call, FORMAT(call, "%s", WORD(call->request, "execution_id")));
}

#endif
