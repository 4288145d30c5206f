/* The world around the order workflow: a payment gateway, side files, the screen. Nothing here is Stent's. */
#define _GNU_SOURCE
#include "order_world.h"
#include "json.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

struct shop shop_at(const char *database)
{
    struct shop shop;
    snprintf(shop.database, sizeof shop.database, "%s", database);
    snprintf(shop.runs, sizeof shop.runs, "%.500s.runs", database);
    snprintf(shop.gateway, sizeof shop.gateway, "%.500s.gateway", database);
    snprintf(shop.slow, sizeof shop.slow, "%.500s.slow", database);
    return shop;
}

struct run begin(const struct shop *shop, stent_task *task)
{
    struct run run = {.args = stent_task_args(task)};
    const char *info = stent_task_info(task);
    const char *first = json_at(run.args, 0);
    json_copy(json_get(info, "task_id"), run.task_id, sizeof run.task_id);
    json_copy(json_get(info, "function"), run.step, sizeof run.step);
    json_copy(first && *first == '{' ? json_get(first, "id") : first, run.order, sizeof run.order);
    run.attempt = (int)json_int(json_get(info, "attempt"));

    char line[160];
    int length = snprintf(line, sizeof line, "%s %d %s %s\n", run.task_id, (int)getpid(), run.order, run.step);
    int file = open(shop->runs, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0 || write(file, line, (size_t)length) != length) perror(shop->runs);
    if (file >= 0) close(file);
    return run;
}

int gateway_charge(const struct shop *shop, const char *key, long long cents, char receipt[24])
{
    int taken = 0, file = open(shop->gateway, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0 || flock(file, LOCK_EX) != 0) {
        perror(shop->gateway);
        exit(1);
    }
    char *books = read_file(shop->gateway), *found = strstr(books, key);
    if (found) {
        sscanf(found, "%*s %23s", receipt);
    } else {
        int number = 70001;
        for (const char *at = books; (at = strchr(at, '\n')); at++) number++;
        snprintf(receipt, 24, "R-%d", number);
        taken = dprintf(file, "%s %s %lld\n", key, receipt, cents) > 0;
    }
    free(books);
    close(file);
    return taken;
}

int gateway_is_slow(const struct shop *shop, const char *order)
{
    char *slow = read_file(shop->slow);
    int is = *slow && strcmp(slow, order) == 0;
    free(slow);
    return is;
}

static const char *speaker = "shop";

void say_as(const char *role)
{
    speaker = role;
}

int in_colour(void)
{
    return isatty(1) && !getenv("NO_COLOR");
}

void say(const char *order, const char *step, const char *format, ...)
{
    char text[512], line[700], on[16] = "";
    if (strcmp(speaker, "worker") == 0 && getenv("ORDER_QUIET")) return; /* the soak's workers */
    struct timespec now;
    struct tm local;
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);

    /* The shop's lines are bold; each worker has a colour of its own. */
    int shop = strcmp(speaker, "shop") == 0;
    if (in_colour()) snprintf(on, sizeof on, shop ? "\033[1m" : "\033[3%dm", 2 + (int)(getpid() % 5));
    int length = snprintf(line, sizeof line, "%s%02d:%02d:%02d.%03ld  %-6s %-7d %-9s %-9s %s%s\n", on, local.tm_hour,
                          local.tm_min, local.tm_sec, now.tv_nsec / 1000000, speaker, (int)getpid(), order, step, text,
                          *on ? "\033[0m" : "");
    if (length > (int)sizeof line - 1) length = (int)sizeof line - 1;
    if (write(1, line, (size_t)length) < 0) return; /* nobody reads: no reason to stop working */
}

void must(stent_status status, stent_error **error, const char *doing)
{
    if (status == STENT_OK) return;
    fprintf(stderr, "%s: %s: %s\n", doing, stent_status_name(status), *error ? stent_error_message(*error) : "");
    stent_error_free(*error);
    exit(1);
}

char *read_file(const char *path)
{
    size_t size = 0, room = 65536;
    char *text = malloc(room);
    FILE *file = fopen(path, "r");
    if (!text) abort();
    if (file) {
        for (size_t got; (got = fread(text + size, 1, room - size - 1, file)) > 0;) {
            size += got;
            if (room - size < 2 && !(text = realloc(text, room *= 2))) abort();
        }
        fclose(file);
    }
    text[size] = '\0';
    return text;
}
