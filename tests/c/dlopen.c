/* A host that loads the library at run time, and closes it while its threads are alive. */
#include "check.h"

#include <dlfcn.h>

/* POSIX lets a pointer to an object hold one to a function; ISO C has no word for it. */
static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) FAIL("%s", dlerror());
    return found;
}

#define LOOK_UP(name) \
    __typeof__(&name) p_##name; \
    do { \
        void *found = symbol(library, #name); \
        memcpy(&p_##name, &found, sizeof found); \
    } while (0)

static void use(const char *path, const char *file, int round) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) FAIL("%s", dlerror());
    LOOK_UP(stent_abi_version);
    LOOK_UP(stent_backend_open);
    LOOK_UP(stent_backend_call);
    LOOK_UP(stent_backend_close);
    LOOK_UP(stent_backend_free);
    LOOK_UP(stent_free);
    LOOK_UP(stent_shutdown);
    CHECK(p_stent_abi_version() == 0);
    stent_backend *backend = NULL;
    char *answer = NULL;
    CHECK(p_stent_backend_open(file, NULL, &backend, NULL) == STENT_OK);
    CHECK(p_stent_backend_call(backend, "count_executions", "{}", &answer, NULL) == STENT_OK);
    CHECK(strcmp(answer, "0") == 0);
    p_stent_free(answer);
    /* Every other round leaves everything open and running. */
    if (round % 2 == 0) {
        CHECK(p_stent_backend_close(backend, NULL) == STENT_OK);
        p_stent_backend_free(backend);
        CHECK(p_stent_shutdown(PATIENCE_MS, NULL) == STENT_OK);
    }
    CHECK(dlclose(library) == 0);
}

int main(int count, char **arguments) {
    char path[512];
    CHECK(count == 3);
    folder = arguments[1];
    for (int round = 0; round < 4; round++) use(arguments[2], file_in_folder(path, "dlopen.db"), round);
    return 0;
}
