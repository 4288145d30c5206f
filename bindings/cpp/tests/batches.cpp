// Handlers that take many tasks in one call.
#include <mutex>

#include "house.hpp"

using namespace house;

namespace {

const stent::function<int(int, std::string)> store("store");

const auto roomy = stent::worker_options().max_concurrency(32);

// So many in one call, however long the first of them waits.
stent::batch_options full(int size) { return stent::batch_options().size(size).wait(1h); }

stent::strings dispatch_all(stent::executor &executor, const std::string &function, const std::vector<stent::arguments> &list) {
    std::vector<stent::dispatch_request> requests;
    for (const auto &each : list) requests.push_back(stent::dispatch_request(function).args(each));
    return executor.dispatch_many(requests);
}

stent::failure failure_of_execution(stent::executor &executor, const std::string &id) {
    try {
        executor.result(id, patience);
    } catch (const stent::failed &why) {
        return why.failure();
    }
    FAIL("did not fail: ", id);
    return stent::failure("", "");
}

struct out_of_ink {};

}  // namespace

TEST_CASE_TEMPLATE("each task of a batch has an outcome of its own", Store, sqlite, postgres) {
    place<Store> here;
    std::mutex guard;
    std::map<std::string, int> tries;
    std::vector<std::size_t> sizes;
    here.executor.handle_batch("mixed", [&](const stent::items<std::string> &items) {
        const std::lock_guard<std::mutex> held(guard);
        sizes.push_back(items.size());
        stent::outcomes<std::string> told;
        for (const auto &each : items) {
            const std::string name = each.arg();
            CHECK(each.attempt() == ++tries[name] - each.info()["snoozes"].template get<int>());
            if (name == "final") {
                told.push_back(stent::failure("Refused", "no").code("51").retryable(false));
            } else if (name == "again" && tries[name] == 1) {
                told.push_back(std::make_exception_ptr(std::runtime_error("busy")));
            } else if (name == "class") {
                told.push_back(std::make_exception_ptr(out_of_ink()));
            } else if (name == "later" && tries[name] == 1) {
                told.push_back(stent::snooze(1ms));
            } else if (name == "unwritten") {
                told.push_back("\xff");
            } else {
                CHECK(each.info()["snoozes"].template get<int>() == (name == "later" ? 1 : 0));
                told.push_back("stored " + name);
            }
        }
        return told;
    }, stent::batch_options().size(7).wait(300ms), hasty);
    // Before there is a worker: it finds all of them at once.
    const auto ids = dispatch_all(here.executor, "mixed", {args("one"), args("final"), args("again"), args("class"), args("later"),
                                                           args("unwritten"), args("two")});
    const auto worker = here.worker(roomy);
    CHECK(here.executor.template result<std::string>(ids[0], patience) == "stored one");
    const stent::failure refused = failure_of_execution(here.executor, ids[1]);
    CHECK(refused.type() == "Refused");
    CHECK(refused.code() == "51");
    CHECK(here.executor.template result<std::string>(ids[2], patience) == "stored again");
    CHECK(failure_of_execution(here.executor, ids[3]).type().find("out_of_ink") != std::string::npos);
    CHECK(here.executor.template result<std::string>(ids[4], patience) == "stored later");
    CHECK(failure_of_execution(here.executor, ids[5]).type() == "INVALID");
    CHECK(here.executor.template result<std::string>(ids[6], patience) == "stored two");
    CHECK(tries == std::map<std::string, int>{{"one", 1}, {"final", 1}, {"again", 2}, {"class", 3}, {"later", 2}, {"unwritten", 1}, {"two", 1}});
    CHECK(sizes[0] == 7);
}

TEST_CASE("a batch of a function with types, and none waits when it is full") {
    place<sqlite> here;
    std::atomic<int> calls{0};
    std::atomic<std::size_t> most{0};
    here.executor.handle_batch(store, [&](const stent::items<int, std::string> &items) {
        ++calls;
        most = std::max(most.load(), items.size());
        stent::outcomes<int> told;
        for (const auto &each : items) {
            const auto &[number, text] = each.args();
            told.push_back(number + static_cast<int>(text.size()));
        }
        return told;
    }, full(3));
    here.executor.handle("sums", [](task &task) {
        std::vector<stent::op<int>> ops;
        for (int i = 0; i < 6; ++i) ops.push_back(task.spawn(store(i, "abc")));
        return task.wait_all(ops);
    });
    const auto worker = here.worker(roomy);
    CHECK(here.executor.result<std::vector<int>>(here.executor.dispatch("sums"), patience) == std::vector<int>{3, 4, 5, 6, 7, 8});
    CHECK(calls == 2);
    CHECK(most == 3);
}

TEST_CASE("a batch that is not full begins when its first task has waited") {
    place<sqlite> here;
    std::atomic<std::size_t> size{0};
    here.executor.handle_batch("few", [&](const stent::items<> &items) {
        size = items.size();
        return stent::outcomes<void>(items.size());
    }, stent::batch_options().size(20).wait(200ms));
    here.executor.handle_batch("at once", [&](const stent::items<> &items) { return stent::outcomes<void>(items.size()); });
    const auto worker = here.worker(roomy);
    const auto began = std::chrono::steady_clock::now();
    for (const auto &id : dispatch_all(here.executor, "few", {args(), args()})) here.executor.result(id, patience);
    CHECK(size == 2);
    CHECK(std::chrono::steady_clock::now() - began >= 200ms);
    here.executor.result(here.executor.dispatch("at once"), patience);
}

TEST_CASE("what a batch's handler throws counts for all of its tasks, and so does a wrong number of outcomes") {
    place<sqlite> here;
    std::atomic<int> calls{0}, wrong_calls{0};
    here.executor.handle_batch("throws", [&](const stent::items<int> &items) -> stent::outcomes<int> {
        if (++calls == 1) throw std::runtime_error("out of paper");
        if (items.size() == 2) throw out_of_ink();
        return {};
    }, full(2), stent::function_options().retry_policy(stent::retry_policy().max_attempts(2).initial_delay(1ms).jitter(0)));
    here.executor.handle_batch("wrong", [&](const stent::items<int> &) {
        ++wrong_calls;
        return stent::outcomes<int>{1};
    }, full(3), hasty);
    const auto worker = here.worker(roomy);
    for (const auto &id : dispatch_all(here.executor, "throws", {args(1), args(2)})) {
        CHECK(failure_of_execution(here.executor, id).type().find("out_of_ink") != std::string::npos);
    }
    CHECK(calls == 2);
    for (const auto &id : dispatch_all(here.executor, "wrong", {args(1), args(2), args(3)})) {
        const stent::failure why = failure_of_execution(here.executor, id);
        CHECK(why.type() == "INVALID");
        CHECK(why.message().find("1 outcomes for 3 tasks") != std::string::npos);
        CHECK_FALSE(why.retryable());
    }
    CHECK(wrong_calls == 1);
}

TEST_CASE("arguments that can't be read fail their task alone") {
    place<sqlite> here;
    std::atomic<std::size_t> given{0};
    here.executor.handle_batch("squares", [&](const stent::items<int> &items) {
        given = items.size();
        stent::outcomes<int> told;
        for (const auto &each : items) told.push_back(each.arg() * each.arg());
        return told;
    }, full(3), hasty);
    const auto worker = here.worker(roomy);
    const auto ids = dispatch_all(here.executor, "squares", {args(3), args("three"), args(4)});
    CHECK(here.executor.result<int>(ids[0], patience) == 9);
    CHECK(failure_of_execution(here.executor, ids[1]).type() == "BadArguments");
    CHECK(here.executor.result<int>(ids[2], patience) == 16);
    CHECK(given == 2);
}

TEST_CASE("an item has what is known of its task, and can be cancelled alone") {
    place<sqlite> here;
    std::atomic<int> ready{0};
    std::mutex guard;
    stent::strings ids_seen;
    here.executor.handle_batch("slow", [&](const stent::items<bool> &items) {
        stent::outcomes<int> told;
        for (const auto &each : items) {
            if (each.attempt() == 1) {
                each.heartbeat(json("half"));
                told.push_back(std::make_exception_ptr(std::runtime_error("once more")));
                continue;
            }
            CHECK(each.info()["heartbeat"].get<std::string>() == "half");
            CHECK(each.kwargs().has("who"));
            ++ready;
            if (each.arg()) wait_for("it is cancelled", [&] { return each.is_cancelled(); });
            told.push_back(7);
        }
        const std::lock_guard<std::mutex> held(guard);
        for (const auto &each : items) ids_seen.push_back(each.id());
        return told;
    }, full(2), hasty);
    const auto worker = here.worker(roomy);
    const auto named = stent::dispatch_options().kwargs(json::object({{"who", "ada"}}));
    const std::string other = here.executor.dispatch("slow", args(false), named), left = here.executor.dispatch("slow", args(true), named);
    wait_for("the second attempts run", [&] { return ready >= 1; });
    here.executor.cancel(left);
    CHECK(here.executor.result<int>(other, patience) == 7);
    CHECK_THROWS_AS(here.executor.result(left, patience), stent::cancelled);
    const std::lock_guard<std::mutex> held(guard);
    CHECK(ids_seen.size() == 4);
    CHECK(ids_seen[0] != ids_seen[1]);
}

TEST_CASE("a batch that can't be is refused at once") {
    stent::backend memory(":memory:");
    stent::executor executor(memory);
    const auto one = [](const stent::items<> &items) { return stent::outcomes<void>(items.size()); };
    CHECK_THROWS_AS(executor.handle_batch("empty", std::function<stent::outcomes<int>(const stent::items<int> &)>()), std::invalid_argument);
    CHECK_THROWS_WITH(executor.handle_batch("none", one, stent::batch_options().size(0)), doctest::Contains("size is 0"));
    executor.handle_batch("twice", one);
    CHECK_THROWS_AS(executor.handle_batch("twice", one), stent::conflict);
    CHECK_THROWS_AS(stent::outcome<int>(std::exception_ptr()), std::invalid_argument);
}
