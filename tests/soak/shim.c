/* Bad luck for a SQLite file, by LD_PRELOAD: calls that fail, a clock that is set, and a trace from which the file can be
 * made as it is after a power cut.
 *
 * SOAK_SHIM names a file of the size of `struct control`, by which the harness says what is to happen, to all processes
 * at once. SOAK_SHIM_STORE is the store's path; only it and its -wal are touched. SOAK_SHIM_TRACE, if it is there, names
 * the trace: `struct record`, one for each event, each with its data behind it. power.py reads it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int64_t clock_offset_ns;
    int32_t fail_syncs, fail_writes; /* so many more */
    int32_t full;                    /* while it is not 0, nothing can be written */
    int32_t unused;
};

enum op { WRITE = 1, SYNC_BEGINS = 2, SYNC_ENDS = 3, TRUNCATE = 4, UNLINK = 5, MARK = 6 };
enum file { OTHER = -1, MAIN = 0, WAL = 1 };

struct record {
    int32_t op, file;
    int64_t thread, offset, length;
};

static struct control *control, nothing;
static const char *store;
static int trace = -1;

static int (*real_clock)(clockid_t, struct timespec *);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_truncate)(int, off64_t);
static int (*real_unlink)(const char *);

/* ISO C has no word for making a function of what dlsym gives. */
static void find(void *place, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(place, &found, sizeof found);
}

__attribute__((constructor)) static void ready(void)
{
    const char *path = getenv("SOAK_SHIM"), *to = getenv("SOAK_SHIM_TRACE");
    find(&real_clock, "clock_gettime");
    find(&real_write, "write");
    find(&real_pwrite, "pwrite64");
    find(&real_fsync, "fsync");
    find(&real_fdatasync, "fdatasync");
    find(&real_truncate, "ftruncate64");
    find(&real_unlink, "unlink");
    store = getenv("SOAK_SHIM_STORE");
    control = &nothing;
    if (path) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) control = at;
        if (fd >= 0) close(fd);
    }
    if (to) trace = open(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

static enum file which(const char *path)
{
    size_t length = store ? strlen(store) : 0;
    if (length == 0 || strncmp(path, store, length) != 0) return OTHER;
    if (path[length] == '\0') return MAIN;
    return strcmp(path + length, "-wal") == 0 ? WAL : OTHER;
}

static enum file which_fd(int fd)
{
    char link[40], path[4096];
    if (!store) return OTHER;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return OTHER;
    path[length] = '\0';
    return which(path);
}

static void record(enum op op, enum file file, int64_t offset, const void *data, int64_t length)
{
    struct record head = {(int32_t)op, (int32_t)file, syscall(SYS_gettid), offset, length};
    struct iovec parts[2];
    ssize_t whole = (ssize_t)sizeof head + (data ? (ssize_t)length : 0);
    parts[0].iov_base = &head, parts[0].iov_len = sizeof head;
    memcpy(&parts[1].iov_base, &data, sizeof data);
    parts[1].iov_len = data ? (size_t)length : 0;
    if (trace >= 0 && writev(trace, parts, 2) != whole) abort();
}

/* For the harness's programs: a moment that the trace should know. */
void soak_mark(int64_t number)
{
    record(MARK, OTHER, number, NULL, 0);
}

/* One less to come; 0: there was none. */
static int take(int32_t *count)
{
    int32_t left = __atomic_load_n(count, __ATOMIC_SEQ_CST);
    while (left > 0) {
        if (__atomic_compare_exchange_n(count, &left, left - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return 1;
    }
    return 0;
}

static int write_fails(void)
{
    if (__atomic_load_n(&control->full, __ATOMIC_SEQ_CST)) {
        errno = ENOSPC;
        return 1;
    }
    if (!take(&control->fail_writes)) return 0;
    errno = EIO;
    return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    enum file file = which_fd(fd);
    if (file != OTHER) {
        if (write_fails()) return -1;
        record(WRITE, file, offset, data, (int64_t)length);
    }
    return real_pwrite(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length)
{
    enum file file = which_fd(fd);
    if (file != OTHER) {
        if (write_fails()) return -1;
        record(WRITE, file, lseek64(fd, 0, SEEK_CUR), data, (int64_t)length);
    }
    return real_write(fd, data, length);
}

static int synced(int fd, int (*real)(int))
{
    enum file file = which_fd(fd);
    if (file == OTHER) return real(fd);
    if (take(&control->fail_syncs)) {
        errno = EIO;
        return -1;
    }
    record(SYNC_BEGINS, file, 0, NULL, 0);
    int result = real(fd);
    if (result == 0) record(SYNC_ENDS, file, 0, NULL, 0);
    return result;
}

int fsync(int fd)
{
    return synced(fd, real_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, real_fdatasync);
}

int ftruncate64(int fd, off64_t length)
{
    enum file file = which_fd(fd);
    if (file != OTHER) record(TRUNCATE, file, length, NULL, 0);
    return real_truncate(fd, length);
}

int unlink(const char *path)
{
    enum file file = which(path);
    if (file != OTHER) record(UNLINK, file, 0, NULL, 0);
    return real_unlink(path);
}

/* ---- the clock that people set; the others go on ---- */

static struct timespec moved(struct timespec at)
{
    int64_t sum = (int64_t)at.tv_nsec + __atomic_load_n(&control->clock_offset_ns, __ATOMIC_SEQ_CST);
    int64_t seconds = sum / 1000000000, rest = sum % 1000000000;
    if (rest < 0) rest += 1000000000, seconds--;
    at.tv_sec += seconds;
    at.tv_nsec = (long)rest;
    return at;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int result = real_clock ? real_clock(clock, at) : (int)syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *at = moved(*at);
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
