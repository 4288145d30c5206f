/* Without memory a process ends, or a call says so; what was committed before is whole, and goes on in the next process. */
#include "check.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define MIB ((size_t)1 << 20)

/* How much address space this process has. */
static size_t space(void) {
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void starve(void) {
    stent_backend *backend = open_backend("store.db");
    stent_executor *executor = new_executor(backend);
    stent_free(dispatch(executor, "small", "[1]"));

    size_t length = 24 * MIB;
    char *args = malloc(length + 1);
    CHECK(args != NULL);
    memset(args, '1', length);
    memcpy(args, "[\"", 2);
    memcpy(args + length - 2, "\"]", 2);
    args[length] = '\0';
    size_t room = space() + 40 * MIB;
    struct rlimit limit = {room, room};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    char *id = NULL;
    stent_status status = stent_executor_dispatch(executor, "large", args, NULL, &id, NULL);
    CHECK(status == STENT_E_BACKEND);
    _Exit(0);
}

int main(int count, char **arguments) {
    begin(count, arguments);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) starve();
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));

    stent_backend *backend = open_backend("store.db");
    stent_executor *executor = new_executor(backend);
    char *list = NULL;
    OK(stent_executor_list(executor, NULL, &list, ERROR));
    CHECK(has(list, "\"small\"") && !has(list, "\"large\""));
    stent_free(list);
    stent_executor_free(executor);
    stent_backend_free(backend);
    return done();
}
