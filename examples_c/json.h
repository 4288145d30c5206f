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

#endif
