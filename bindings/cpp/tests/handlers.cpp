// What handlers may do, and what becomes of their exceptions.
#include <future>

#include "house.hpp"

using namespace house;

namespace {

// Counts the copies that are alive: a lambda that holds one shows when it is freed.
struct counted {
    explicit counted(std::atomic<int> &alive) : alive_(&alive) { ++*alive_; }
    counted(const counted &other) : alive_(other.alive_) { ++*alive_; }
    counted &operator=(const counted &) = delete;
    ~counted() { --*alive_; }
    std::atomic<int> *alive_;
};

const auto once = stent::function_options().retry_policy(stent::retry_policy().max_attempts(1));

struct out_of_ink {};

}  // namespace

TEST_CASE("lambdas are owned, and freed once") {
    std::atomic<int> alive{0};
    {
        place<sqlite> here;
        here.executor.handle("held", [held = counted(alive)](task &) { return held.alive_->load(); });
        CHECK_THROWS_AS(here.executor.handle("held", [held = counted(alive)](task &) {}), stent::conflict);
        const auto worker = here.worker();
        CHECK(here.executor.result<int>(here.executor.dispatch("held"), patience) >= 1);
    }
    wait_for("nothing is left of them", [&] { return alive == 0; });
}

TEST_CASE("whatever a handler throws fails its task, and the host lives") {
    place<sqlite> here;
    here.executor.handle("throws int", [](task &) { throw 7; }, once);
    here.executor.handle("throws class", [](task &) { throw out_of_ink(); }, once);
    here.executor.handle("throws system error", [](task &) {
        throw std::system_error(std::make_error_code(std::errc::no_space_on_device), "spool");
    }, once);
    here.executor.handle("throws library error", [&](task &) { here.executor.state("no uuid"); }, once);
    const auto worker = here.worker();
    CHECK(failure_of(here, "throws int").type() == "int");
    CHECK(failure_of(here, "throws class").type().find("out_of_ink") != std::string::npos);
    CHECK(failure_of(here, "throws system error").type() == "std::system_error");
    const stent::failure library = failure_of(here, "throws library error");
    CHECK(library.type() == "INVALID");
    CHECK(library.message().find("no uuid") != std::string::npos);
    CHECK(failure_of(here, "cpp.add", args("one", 2)).type() == "BadArguments");
    CHECK(failure_of(here, "cpp.add", args(1)).message().find("2 are expected") != std::string::npos);
    CHECK(here.run("hello", args("ada")) == "\"hello, ada\"");
}

// What `catch (const std::exception &)` around a durable call would do to a suspension that were one.
TEST_CASE("a suspension passes by handlers that catch exceptions") {
    place<sqlite> here;
    std::atomic<int> caught{0}, swallowed{0};
    here.executor.handle("careless", [&](task &task) {
        try {
            return task.call<std::string>("cpp.greet", args("ada"));
        } catch (const std::exception &) {
            ++caught;
            return std::string("caught");
        }
    });
    here.executor.handle("swallows", [&](task &task) {
        std::string greeting = "nothing";
        for (int tries = 0; tries < 3 && greeting == "nothing"; ++tries) {
            try {
                greeting = task.call<std::string>("cpp.greet", args("ada"));
            } catch (...) {
                ++swallowed;
            }
        }
        return greeting;
    });
    here.executor.handle("throws another", [&](task &task) {
        try {
            return task.call<std::string>("cpp.greet", args("ada"));
        } catch (const std::exception &) {
            throw;
        } catch (...) {
            throw std::runtime_error("in place of the suspension");
        }
    });
    std::atomic<int> warned{0};
    stent::set_log_handler([&](stent::level, const json &line) {
        if (line["message"].get<std::string>().find("rethrow") != std::string::npos) ++warned;
    }, stent::log_options().level("warn"));
    {
        const auto worker = here.worker();
        for (const char *function : {"careless", "swallows", "throws another"}) {
            CHECK(here.executor.result<std::string>(here.executor.dispatch(function), patience) == "hello, ada");
        }
        CHECK(caught == 0);
        CHECK(swallowed == 3);
        wait_for("the log tells who swallows", [&] { return warned == 1; });
    }
    stent::set_log_handler(nullptr);
}

TEST_CASE("destructors run when a handler is suspended, and objects are made anew") {
    place<sqlite> here;
    std::atomic<int> alive{0}, made{0};
    here.executor.handle("guarded", [&](task &task) {
        const counted guard(alive);
        ++made;
        task.sleep(1ms);
        task.sleep(1ms);
    });
    const auto worker = here.worker();
    here.executor.result(here.executor.dispatch("guarded"), patience);
    CHECK(alive == 0);
    CHECK(made == 3);
}

TEST_CASE("a step runs once, and its failure is recorded when it is final") {
    place<sqlite> here;
    std::atomic<int> ran{0}, failed{0}, tries{0};
    here.executor.handle("steps", [&](task &task) {
        const int n = task.step("count", [&] { return ++ran; });
        std::string type = "none";
        try {
            task.step("refused", [&] { ++failed; throw stent::failure("Refused", "no").retryable(false); });
        } catch (const stent::failed &why) {
            type = why.failure().type();
        }
        task.step("shaky", [&] { if (++tries < 3) throw std::runtime_error("not yet"); });
        task.sleep(1ms);
        return json::array({n, type});
    }, stent::function_options().retry_policy(stent::retry_policy().initial_delay(1ms)));
    const auto worker = here.worker();
    CHECK(tight(here.executor.result(here.executor.dispatch("steps"), patience).text()) == R"([1,"Refused"])");
    CHECK(ran == 1);
    CHECK(failed == 1);
    CHECK(tries == 3);
}

TEST_CASE("another thread may end a task") {
    place<sqlite> here;
    std::promise<stent::deferred> kept;
    here.executor.handle("deferred", [&](task &task) { kept.set_value(task.defer()); });
    here.executor.handle("dropped", [&](task &task) { task.defer(); }, once);
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("deferred");
    std::thread([later = kept.get_future().get()]() mutable {
        later.run([](task &task) { return task.function() + " and done"; });
    }).join();
    CHECK(here.executor.result<std::string>(id, patience) == "deferred and done");
    CHECK(failure_of(here, "dropped").type() == "NoOutcome");
}

TEST_CASE("a task starts over with new arguments") {
    place<sqlite> here;
    here.executor.handle("countdown", [](task &task, int n) {
        task.sleep(1ms);
        if (n > 0) task.continue_as(args(n - 1));
        return n;
    });
    const auto worker = here.worker();
    CHECK(here.executor.result<int>(here.executor.dispatch("countdown", args(3)), patience) == 0);
}

TEST_CASE("what is the same in every replay") {
    place<sqlite> here;
    std::vector<std::string> seen;
    here.executor.handle("same", [&](task &task) {
        seen.push_back(json::array({task.random(), task.uuid(), task.now()}).text());
        task.sleep(1ms);
        const std::vector<int> sums = task.map<int>("cpp.add", {args(1, 2), args(3, 4)});
        const auto signal = task.spawn_wait_signal("never", stent::wait_signal_options().timeout(1h));
        task.cancel(signal);
        return sums;
    });
    const auto worker = here.worker();
    const auto id = here.executor.dispatch("same");
    CHECK(here.executor.result<std::vector<int>>(id, patience) == std::vector<int>{3, 7});
    CHECK(seen.size() == 3);
    CHECK(seen[0] == seen[1]);
    CHECK(seen[1] == seen[2]);
}

TEST_CASE("a store of one's own is a function") {
    std::atomic<int> asked{0};
    stent::backend inner(":memory:");
    stent::backend store = stent::custom_backend([&](const std::string &operation, const json &request) {
        ++asked;
        if (operation == "count_dead_tasks") throw std::runtime_error("the shelf is locked");
        for (int i = 0; i < static_cast<int>(std::size(stent::operation_names)); ++i) {
            if (operation == stent::operation_names[i]) return inner.call(static_cast<stent::operation>(i), request);
        }
        throw std::runtime_error("no such operation: " + operation);
    }, stent::custom_options().timeout(20s));
    stent::executor executor(store);
    functions::add_all(executor);
    const stent::worker worker = executor.start_worker();
    CHECK(executor.result<std::string>(executor.dispatch("cpp.hello", args("ada")), patience) == "hello, ada");
    CHECK(asked > 0);
    CHECK_THROWS_AS(store.call(stent::operation::get_task, json::object({{"task_id", "none"}})), stent::error);
    try {
        store.call(stent::operation::count_dead_tasks);
        FAIL("the store was in trouble");
    } catch (const stent::error &why) {
        CHECK(why.status() == stent::status::backend);
        CHECK(std::string(why.what()).find("the shelf is locked") != std::string::npos);
    }
}

TEST_CASE("a store is checked, and what the suite came to is a report") {
    stent::backend store(":memory:");
    const json report = store.check(stent::check_options().only({"records/an_existing_id", "fences/"}).timeout(30s));
    CHECK(report["level"].get<std::string>() == "engine");
    CHECK(report["failed"].get<int>() == 0);
    const auto cases = report["cases"].elements();
    CHECK(report["passed"].get<std::size_t>() == cases.size());
    CHECK(cases.at(0)["name"].get<std::string>() == "records/an_existing_id_is_a_conflict");
    for (const json &each : cases) CHECK(each["outcome"].get<std::string>() == "passed");
    CHECK_THROWS_AS(store.check(stent::check_options().only({"nonsense"})), stent::error);
}

TEST_CASE("a store in use is copied") {
    const house::folder here;
    const std::string copy = here.file("copy.db");
    stent::backend store(":memory:");
    store.backup(copy);
    CHECK_THROWS_AS(store.backup(copy), stent::conflict);
    CHECK(stent::backend(copy).call(stent::operation::count_executions).get<int>() == 0);
}

TEST_CASE("a queue starts no more often than its rate says") {
    place<sqlite> here;
    const auto mail = [](std::optional<stent::rate> rate) { return stent::worker_options().queue_rates({{"mail", rate}}); };
    const auto send = [&] { return here.executor.dispatch("cpp.greet", args("ada"), stent::dispatch_options().queue("mail")); };
    const auto worker = here.worker(mail(stent::rate().limit(1).period(std::chrono::hours(1)).burst(2)));
    const std::vector<std::string> ids{send(), send(), send()};
    for (int i = 0; i < 2; ++i) CHECK(here.executor.result<std::string>(ids.at(i), patience) == "hello, ada");
    CHECK_THROWS_AS(here.executor.result(ids.at(2), 200ms), stent::timeout);
    const auto other = here.worker(mail(std::nullopt));
    CHECK(here.executor.result<std::string>(ids.at(2), patience) == "hello, ada");
}

TEST_CASE("the client's side: many dispatches, lists, statistics, dead letters, errors with details") {
    place<sqlite> here;
    {
        const auto worker = here.worker();
        const auto ids = here.executor.dispatch_many(
            {stent::dispatch_request("cpp.greet").args(args("ada")),
             stent::dispatch_request("cpp.greet").args(args("bo")).options(stent::dispatch_options().priority(3))});
        CHECK(here.executor.result<std::string>(ids.at(1), patience) == "hello, bo");
        CHECK(here.executor.list(stent::execution_filter().function("cpp.greet")).size() == 2);
        here.executor.pause(stent::pause_options().queue("mail").reason("the relay is down"));
        const std::string waits = here.executor.dispatch("cpp.greet", args("cy"), stent::dispatch_options().queue("mail"));
        const auto pauses = here.executor.pauses();
        CHECK(pauses.size() == 1);
        CHECK(pauses.at(0)["reason"].get<std::string>() == "the relay is down");
        CHECK(here.executor.state(waits)["state"].get<std::string>() == "pending");
        here.executor.unpause(stent::unpause_options().queue("mail"));
        CHECK(here.executor.result<std::string>(waits, patience) == "hello, cy");
        CHECK_THROWS_AS(here.executor.unpause(stent::unpause_options().queue("mail")), stent::not_found);
        failure_of(here, "cpp.throws");
        const std::string dead = here.executor.dead_letters().at(0)["task"]["id"].get<std::string>();
        const json replayed = here.executor.replay_dead_letter(dead);
        CHECK_THROWS_AS(here.executor.result(replayed["execution_id"].get<std::string>(), patience), stent::failed);
        here.executor.discard_dead_letter(here.executor.dead_letters().at(0)["task"]["id"].get<std::string>());
        CHECK(here.executor.dead_letters().empty());
        CHECK(here.executor.cleanup(stent::cleanup_options().older_than(0s))["executions"].get<int>() >= 2);
        CHECK(here.executor.stats(stent::stats_options().format("prometheus")).find("stent_claimed_total") != std::string::npos);
        CHECK_THROWS_AS(here.store.close(), stent::conflict);
    }
    try {
        here.executor.start_worker(json::object({{"max_concurency", 3}}));
        FAIL("an unknown option was taken");
    } catch (const stent::error &why) {
        CHECK(why.status() == stent::status::invalid);
        CHECK(std::string(why.status_name()) == "INVALID");
        CHECK_FALSE(why.retryable());
        CHECK(why.details()["key"].get<std::string>() == "max_concurency");
    }
    CHECK_THROWS_AS(here.executor.state("01a210df-9a02-7182-a63d-008935dcabca"), stent::not_found);
    const std::string slow = here.executor.dispatch("cpp.inbox", args(1));
    CHECK_THROWS_AS(here.executor.result(slow, 1ms), stent::timeout);
    CHECK_THROWS_AS(here.executor.resume(slow), stent::error);
}
