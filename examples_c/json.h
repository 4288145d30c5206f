/* Just enough JSON for these examples: find a value in a text, copy it, build a text. A program that has a JSON
 * library already uses that one; Stent only takes and gives JSON text.
 *
 * A value is a pointer to its first character. NULL is "not there", and every function takes it. The reader expects
 * well-formed JSON: what it reads here comes from Stent, or with the examples. */
#ifndef EXAMPLES_JSON_H
#define EXAMPLES_JSON_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *json_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* The first character after a value (or after a key: both are passed over alike). */
static inline const char *json_end(const char *value)
{
    int depth = 0;
    const char *at = value;
    do {
        if (*at == '"') {
            for (at++; *at && *at != '"'; at++) {
                if (*at == '\\' && at[1]) at++;
            }
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
        }
        if (*at) at++;
    } while (*at && (depth > 0 || !strchr(":,]} \t\r\n", *at)));
    return at;
}

/* The first value of an array, or the first key of an object. */
static inline const char *json_first(const char *container)
{
    if (!container || (*container != '[' && *container != '{')) return NULL;
    const char *at = json_space(container + 1);
    return *at == ']' || *at == '}' || *at == '\0' ? NULL : at;
}

/* After a value: the next one of its array, or the next key of its object. */
static inline const char *json_next(const char *value)
{
    if (!value) return NULL;
    const char *at = json_space(json_end(value));
    return *at == ',' ? json_space(at + 1) : NULL;
}

/* The value that belongs to a key of an object. */
static inline const char *json_value(const char *key)
{
    const char *at = json_space(json_end(key));
    return *at == ':' ? json_space(at + 1) : NULL;
}

/* `json_get("{\"a\": [7]}", "a")` points to `[7]`. */
static inline const char *json_get(const char *object, const char *name)
{
    size_t length = strlen(name);
    if (!object || *object != '{') return NULL;
    for (const char *key = json_first(object); key; key = json_next(json_value(key))) {
        if (strncmp(key + 1, name, length) == 0 && key[length + 1] == '"') return json_value(key);
    }
    return NULL;
}

/* `json_at("[7, 8]", 1)` points to `8`. */
static inline const char *json_at(const char *array, size_t index)
{
    const char *value = json_first(array);
    while (value && index-- > 0) value = json_next(value);
    return value;
}

static inline size_t json_count(const char *array)
{
    size_t count = 0;
    for (const char *value = json_first(array); value; value = json_next(value)) count++;
    return count;
}

/* A whole number; 0 for everything else. */
static inline long long json_int(const char *value)
{
    return value ? strtoll(value, NULL, 10) : 0;
}

static inline int json_is(const char *value, const char *text)
{
    size_t length = strlen(text);
    return value && (size_t)(json_end(value) - value) == length && strncmp(value, text, length) == 0;
}

/* Is the value an element of the array, written in the same way? */
static inline int json_among(const char *array, const char *value)
{
    size_t length = (size_t)(json_end(value) - value);
    const char *each = json_first(array);
    for (; each; each = json_next(each)) {
        if ((size_t)(json_end(each) - each) == length && strncmp(each, value, length) == 0) return 1;
    }
    return 0;
}

/* Copies a string's characters into `out`, cut to its size; the text of any other value as it stands. Escapes stay
 * as they are. Returns `out`. */
static inline char *json_copy(const char *value, char *out, size_t size)
{
    if (value) {
        const char *end = json_end(value);
        if (*value == '"') value++, end--;
        snprintf(out, size, "%.*s", (int)(end - value), value);
    } else if (size > 0) {
        *out = '\0';
    }
    return out;
}

/* A copy of what is short: an id, a time, a state, a number. Empty when it is not there. */
struct json_word {
    char text[64];
};

static inline struct json_word json_word(const char *value)
{
    struct json_word word;
    json_copy(value, word.text, sizeof word.text);
    return word;
}

/* Is this member of an object a string of these characters? */
static inline int json_has(const char *object, const char *name, const char *characters)
{
    return strcmp(json_word(json_get(object, name)).text, characters) == 0;
}

static inline int json_is_null(const char *value)
{
    return !value || json_is(value, "null");
}

/* A value's own text, to hand on; free() it. */
static inline char *json_text(const char *value)
{
    if (!value) value = "null";
    size_t length = (size_t)(json_end(value) - value);
    char *text = malloc(length + 1);
    if (!text) abort();
    memcpy(text, value, length);
    text[length] = '\0';
    return text;
}

/* Like sprintf, into memory of the right size; free() it. */
static inline char *json_format(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = malloc((size_t)length + 1);
    if (!text) abort();
    va_start(list, format);
    vsnprintf(text, (size_t)length + 1, format, list);
    va_end(list);
    return text;
}

/* An array or an object in the making: json_begin(&pile, "["), json_add(&pile, "", "7"), json_finish(&pile, "]"), which
 * gives the text; free() it. */
struct json_pile {
    FILE *file;
    char *text;
    size_t length;
    const char *comma;
};

static inline void json_begin(struct json_pile *pile, const char *bracket)
{
    pile->comma = "";
    pile->file = open_memstream(&pile->text, &pile->length);
    if (!pile->file) abort();
    fputs(bracket, pile->file);
}

/* `name` is a key as it is written, quotes and all; "" in an array. */
static inline void json_add(struct json_pile *pile, const char *name, const char *value)
{
    fprintf(pile->file, "%s%s%s%s", pile->comma, name, *name ? ": " : "", value);
    pile->comma = ", ";
}

static inline char *json_finish(struct json_pile *pile, const char *bracket)
{
    fputs(bracket, pile->file);
    fclose(pile->file);
    return pile->text;
}

/* An object's text in which `name` has another value; free() it. Everything else stays to the letter. */
static inline char *json_with(const char *object, const char *name, const char *value)
{
    const char *old = json_get(object, name);
    if (old) return json_format("%.*s%s%s", (int)(old - object), object, value, json_end(old));
    return json_format("{\"%s\": %s%s%s", name, value, json_first(object) ? ", " : "", json_space(object + 1));
}

#endif
