// Objects that outlive main: a static worker of the C++ binding waits for its handlers, and destructors of thread-locals
// call the library, whether they were made before it or after it on their thread.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <stent.hpp>

using namespace std::chrono_literals;

#define CHECK(condition) \
    ((condition) ? static_cast<void>(0) \
                 : (std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), std::_Exit(1)))

namespace {

std::atomic<int> begun, ended, spoken;
stent_executor *everybodys;

// Made first, so it goes last.
struct after_all {
    ~after_all() { CHECK(ended == 2 && spoken == 4); }
} last;

void speak() {
    char *id = nullptr, *result = nullptr;
    CHECK(stent_executor_dispatch(everybodys, "echo", "[1]", nullptr, &id, nullptr) == STENT_OK);
    CHECK(stent_executor_result(everybodys, id, 60000, &result, nullptr) == STENT_OK);
    CHECK(std::strcmp(result, "1") == 0);
    stent_free(id);
    stent_free(result);
    ++spoken;
}

struct speaker {
    void here() {}
    ~speaker() { speak(); }
};

thread_local speaker early, late;

void run(std::string path) {
    static stent::backend store(path);
    static stent::executor executor(store);
    executor.handle("echo", [](stent::task &, int value) { return value; });
    executor.handle("slow", [](stent::task &) {
        ++begun;
        std::this_thread::sleep_for(100ms);
        ++ended;
        return 0;
    });
    everybodys = executor.handle();
    static stent::worker worker = executor.start_worker();
    std::thread other([] {
        early.here();
        CHECK(stent_executor_stats(everybodys, nullptr, nullptr, nullptr) == STENT_OK);
        late.here();
    });
    other.join();
    early.here();
    CHECK(stent_executor_stats(everybodys, nullptr, nullptr, nullptr) == STENT_OK);
    late.here();
    for (int i = 0; i < 2; i++) executor.dispatch("slow");
    while (begun < 2) std::this_thread::sleep_for(1ms);
}

}  // namespace

int main(int count, char **arguments) {
    CHECK(count == 2);
    run(std::string(arguments[1]) + "/statics.db");
}
