// What bindings/scenarios.md asks for under "How well"; `make cpp` prints it.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "house.hpp"

using namespace house;

namespace {

// The release build holds the whole rate, another one a tenth.
bool is_release() {
    const char *folder = std::getenv("STENT_LIB_DIR");
    return folder == nullptr || std::string(folder).find("debug") == std::string::npos;
}

// Resident memory in MiB.
double resident() {
    long pages = 0, ignored = 0;
    std::ifstream("/proc/self/statm") >> ignored >> pages;
    return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1048576.0;
}

void add_bench(stent::executor &executor) {
    executor.handle("nothing", [](task &) {});
    executor.handle("many", [](task &task, int n) {
        std::vector<stent::op<json>> ops;
        for (int i = 0; i < n; ++i) ops.push_back(task.spawn("nothing"));
        return task.wait_all(ops).size();
    });
}

// Runs so many activities as fan-outs of 1,000 each; how many a second.
double run(stent::executor &executor, int activities) {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<stent::dispatch_request> requests(static_cast<std::size_t>(activities / 1000),
                                                        stent::dispatch_request("many").args(args(1000)));
    for (const std::string &id : executor.dispatch_many(requests)) {
        CHECK(executor.result<int>(id, patience) == 1000);
    }
    return activities / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// How many are measured over: a fifth, where not all are asked for.
int amount(int all) { return std::getenv("STENT_STRESS") ? all : all / 5; }

}  // namespace

// `make cpp PART=speed` runs this alone. The best block counts: what else the machine does makes some slower, and none
// faster.
TEST_CASE("speed") {
    place<sqlite> here;
    add_bench(here.executor);
    const auto worker = here.worker(stent::worker_options().max_concurrency(256));
    const double wanted = is_release() ? 5000 : 500;
    double best = 0;
    for (int block = 0; block < 3 || (block < 12 && best < wanted); ++block) {
        best = std::max(best, run(here.executor, 10000));
    }
    std::cout << "cpp: " << static_cast<int>(best) << " activities/s on SQLite\n";
    CHECK(best >= wanted);
}

TEST_CASE("memory over activities") {
    place<sqlite> here;
    const int size = amount(10000);
    add_bench(here.executor);
    const auto worker = here.worker(stent::worker_options().max_concurrency(256));
    // Blocks of the same load, so that the same is in flight in each. What has ended is removed, as a worker's retention
    // does, sooner: SQLite keeps up to 64 MiB of the file in memory. The first blocks fill the caches; from then on
    // nothing is to be kept.
    const auto blocks = [&](int count) {
        for (int block = 0; block < count; ++block) {
            run(here.executor, size);
            here.executor.cleanup(stent::cleanup_options().older_than(0s));
        }
        return resident();
    };
    double before = blocks(4), after = blocks(10);
    std::cout << "cpp: resident " << before << " MiB after " << 4 * size << " activities, " << after << " MiB after "
              << 14 * size << "\n";
    // Beside others the caches may take longer to fill. What leaks grows each time.
    for (int again = 0; again < 2 && after > before + 20; ++again) {
        before = after;
        after = blocks(10);
    }
    CHECK(after <= before + 20);
}

TEST_CASE("orchestrators that wait at once") {
    place<sqlite> here;
    const int count = amount(10000);
    const auto worker = here.worker(stent::worker_options().max_concurrency(256));
    const std::vector<stent::dispatch_request> requests(static_cast<std::size_t>(count),
                                                        stent::dispatch_request("cpp.inbox").args(args(1)));
    const auto ids = here.executor.dispatch_many(requests);
    // Each with the task of its signal, which waits too.
    wait_for("all wait", [&] {
        return here.store.call(stent::operation::count_tasks, json::object({{"state", "waiting"}})).get<int>() == 2 * count;
    });
    std::cout << "cpp: " << count << " orchestrators wait; resident " << resident() << " MiB\n";
    for (const std::string &id : ids) here.executor.signal(id, "message", 1);
    for (const std::string &id : ids) CHECK(here.executor.result<std::vector<int>>(id, patience) == std::vector<int>{1});
}
