/* What the store of custom_backend.c is made of: an ordered map, texts that go together, times. A program that has
 * these from a library uses that. To be included with _GNU_SOURCE. */
#ifndef EXAMPLES_CUSTOM_KIT_H
#define EXAMPLES_CUSTOM_KIT_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- an ordered map from text to text: rows in an array that is sorted by key ----
 *
 * Keys are given as printf gives text. A value that is put is taken over; one that is got is the map's own. */

struct row {
    char *key, *text;
};

struct map {
    struct row *rows;
    size_t count, room;
};

/* The place of the first row whose key is not smaller. */
static inline size_t map_place(const struct map *map, const char *key)
{
    size_t low = 0, high = map->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(map->rows[middle].key, key) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The row at a place, if its key begins so; else NULL. */
static inline const struct row *map_row(const struct map *map, size_t place, const char *prefix)
{
    if (place >= map->count) return NULL;
    return strncmp(map->rows[place].key, prefix, strlen(prefix)) == 0 ? &map->rows[place] : NULL;
}

/* for (EACH(row, map, "task/")) ...: in order of the keys. The map must not change meanwhile. */
#define EACH(row, map, prefix) \
    size_t row##_place = map_place(map, prefix); (row = map_row(map, row##_place, prefix)) != NULL; row##_place++

/* Formats the key, and says where it is, or where it would be. free() it. */
static inline char *map_key(const struct map *map, const char *format, va_list list, size_t *place, int *is_there)
{
    char *key = NULL;
    if (vasprintf(&key, format, list) < 0) abort();
    *place = map_place(map, key);
    *is_there = *place < map->count && strcmp(map->rows[*place].key, key) == 0;
    return key;
}

static inline const char *map_get(const struct map *map, const char *format, ...)
{
    size_t place;
    int is_there;
    va_list list;
    va_start(list, format);
    free(map_key(map, format, list, &place, &is_there));
    va_end(list);
    return is_there ? map->rows[place].text : NULL;
}

static inline void map_put(struct map *map, char *text, const char *format, ...)
{
    size_t place;
    int is_there;
    va_list list;
    va_start(list, format);
    char *key = map_key(map, format, list, &place, &is_there);
    va_end(list);
    if (is_there) {
        free(map->rows[place].text);
        free(key);
        map->rows[place].text = text;
        return;
    }
    if (map->count == map->room) {
        map->room = map->room ? 2 * map->room : 64;
        map->rows = realloc(map->rows, map->room * sizeof *map->rows);
        if (!map->rows) abort();
    }
    memmove(map->rows + place + 1, map->rows + place, (map->count++ - place) * sizeof *map->rows);
    map->rows[place] = (struct row){key, text};
}

/* Returns 1 if it was there. */
static inline int map_drop(struct map *map, const char *format, ...)
{
    size_t place;
    int is_there;
    va_list list;
    va_start(list, format);
    free(map_key(map, format, list, &place, &is_there));
    va_end(list);
    if (!is_there) return 0;
    free(map->rows[place].key);
    free(map->rows[place].text);
    memmove(map->rows + place, map->rows + place + 1, (--map->count - place) * sizeof *map->rows);
    return 1;
}

/* Drops everything whose key begins so; "" empties the map. */
static inline void map_clear(struct map *map, const char *prefix)
{
    size_t first = map_place(map, prefix), last = first;
    for (; map_row(map, last, prefix); last++) {
        free(map->rows[last].key);
        free(map->rows[last].text);
    }
    memmove(map->rows + first, map->rows + last, (map->count - last) * sizeof *map->rows);
    map->count -= last - first;
}

/* ---- texts that are made on the way to something, and freed together ---- */

struct scrap {
    struct scrap *next;
    char *text;
};

/* Takes over the text, and gives it back. */
static inline const char *scraps_add(struct scrap **scraps, char *text)
{
    struct scrap *scrap = malloc(sizeof *scrap);
    if (!scrap) abort();
    *scrap = (struct scrap){*scraps, text};
    *scraps = scrap;
    return text;
}

static inline void scraps_free(struct scrap *scrap)
{
    while (scrap) {
        struct scrap *next = scrap->next;
        free(scrap->text);
        free(scrap);
        scrap = next;
    }
}

/* ---- time: RFC 3339 in UTC with microseconds, which sorts as it is ---- */

static inline int64_t clock_micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int64_t micros_of(const char *time)
{
    struct tm parts = {0};
    const char *rest = strptime(time, "%Y-%m-%dT%H:%M:%S", &parts);
    return (int64_t)timegm(&parts) * 1000000 + (rest && *rest == '.' ? strtol(rest + 1, NULL, 10) : 0);
}

/* Into `out`, which is returned. */
static inline char *time_text(int64_t micros, char out[32])
{
    struct tm parts;
    time_t seconds = (time_t)(micros / 1000000);
    size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &parts));
    snprintf(out + length, 32 - length, ".%06dZ", (int)(micros % 1000000));
    return out;
}

#endif
