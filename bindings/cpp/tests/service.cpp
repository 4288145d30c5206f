// Programs that end in good order, waits that are left, executions that are followed.
#include <sstream>
#include <stent/testing.hpp>

#include "house.hpp"

using namespace house;

// The example as a process: SIGTERM ends it when it has drained, and the next start finds what was done.
TEST_CASE("the example of a service drains when it is told to end") {
    const folder place;
    for (int start = 0; start < 2; ++start) {
        process service("service", place.file("store.db"));
        service.expect("ink for 300");
        service.tell(SIGTERM);
        service.expect("ended by signal 15");
        CHECK(service.wait() == 0);
    }
}

TEST_CASE("a worker works until a signal comes, and what runs comes to its end") {
    std::atomic<bool> begun{false}, may_end{false};
    place<sqlite> here;
    here.executor.handle("slow", [&](task &) {
        begun = true;
        wait_for("it may end", [&] { return may_end.load(); });
        return std::string("done");
    });
    stent::stop_signals caught{{SIGUSR1}};
    CHECK_THROWS_AS(stent::stop_signals(), std::logic_error);
    CHECK(caught.wait(1ms) == 0);
    auto worker = here.worker();
    const std::string id = here.executor.dispatch("slow");
    wait_for("the handler runs", [&] { return begun.load(); });
    kill(getpid(), SIGUSR1);
    std::thread ends([&] {
        worker.wait("draining", patience);
        may_end = true;
    });
    CHECK(stent::run_until_signal(worker, patience, caught) == SIGUSR1);
    ends.join();
    CHECK(worker.status()["state"].get<std::string>() == "stopped");
    CHECK(here.executor.result<std::string>(id, patience) == "done");
    // One that has stopped by itself is not waited for.
    CHECK(stent::run_until_signal(worker, patience, caught) == 0);
}

TEST_CASE_TEMPLATE("progress and changes are followed", Store, sqlite, postgres) {
    place<Store> here;
    here.executor.handle("steps", [](task &task) {
        for (int i = 1; i <= 3; ++i) {
            task.progress(i);
            task.wait_signal("on");
        }
        task.state_set("last", 3);
    });
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("steps");
    std::string seen;
    for (const json &line : stent::progress(here.executor, id)) {
        if (line["detail"].is_null()) continue;
        seen += line["detail"].text();
        here.executor.signal(id, "on");
    }
    CHECK(seen == "123");

    // What is over is told once.
    std::vector<std::string> states;
    for (const json &now : stent::watch(here.executor, id)) {
        states.push_back(now["state"].template get<std::string>());
        CHECK(now["state_values"]["last"].template get<int>() == 3);
    }
    CHECK(states == std::vector<std::string>{"completed"});
    const std::string expired = here.executor.dispatch("steps", {}, stent::dispatch_options().expiry(50ms));
    std::string last;
    for (const json &now : stent::watch(here.executor, expired)) last = now["state"].template get<std::string>();
    CHECK(last == "timed_out");
    auto unknown = stent::watch(here.executor, "01a210df-9a02-7182-a63d-008935dcabca");
    CHECK_THROWS_AS(unknown.begin(), stent::not_found);
}

TEST_CASE("warnings and errors go to std::clog from the start") {
    const folder place;
    // Of a process that has said nothing of its log.
    std::ofstream(place.file("logs.cpp")) << R"(
        #include <stent.hpp>
        int main() {
            stent::configure(stent::configure_options().runtime_threads(1));
            stent::backend store(":memory:");
            stent::executor executor(store);
            executor.handle("prints", [](stent::task &task) {
                task.log(stent::level::info, "hidden");
                throw stent::failure("Empty", "no ink").retryable(false);
            });
            stent::worker worker = executor.start_worker();
            try {
                executor.result(executor.dispatch("prints"), std::chrono::seconds(30));
            } catch (const stent::failed &) {
                stent::shutdown(std::chrono::seconds(30));
                return 0;
            }
            return 1;
        }
    )";
    const char *flags = std::getenv("STENT_CXX_FLAGS");
    REQUIRE(flags != nullptr);
    const std::string run = "g++ -std=c++17 " + place.file("logs.cpp") + " -o " + place.file("logs") + " " + flags + " && " +
                            place.file("logs") + " 2>" + place.file("said");
    REQUIRE(std::system(run.c_str()) == 0);
    const auto said = lines_of(place.file("said"));
    REQUIRE(said.size() == 1);
    CHECK(said[0].rfind("stent: error: the task is dead-lettered: Empty: no ink (", 0) == 0);
    CHECK(said[0].find("function=prints ") != std::string::npos);
    CHECK(said[0].back() == ')');
}

TEST_CASE("a store's shutdown leaves the others") {
    place<sqlite> here, other;
    const auto worker = other.worker();
    auto own = here.worker();
    CHECK(here.run("hello", args("ada")) == "\"hello, ada\"");
    here.store.shutdown(patience);
    CHECK_THROWS_AS(here.executor.dispatch("cpp.hello", args("ada")), stent::error);
    CHECK(other.run("hello", args("ada")) == "\"hello, ada\"");
}

#ifdef STENT_STOP_TOKEN
TEST_CASE("a stop ends every wait, and a worker that serves") {
    place<sqlite> here;
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("cpp.inbox", args(1));
    std::stop_source over;
    std::thread later([&] {
        std::this_thread::sleep_for(20ms);
        over.request_stop();
    });
    CHECK_THROWS_AS(here.executor.wait(id, over.get_token()), stent::stopped);
    later.join();
    CHECK_THROWS_AS(here.executor.result(id, over.get_token()), stent::stopped);
    CHECK_THROWS_AS(worker.wait("stopped", over.get_token()), stent::stopped);
    for (const json &now : stent::watch(here.executor, id, over.get_token())) FAIL(now.text());
    for (const json &line : stent::progress(here.executor, id, over.get_token())) FAIL(line.text());
    stent::serve(here.executor, over.get_token(), patience);
    here.executor.signal(id, "message", 7);
    CHECK(here.executor.result(id, std::stop_source().get_token()).text() == "[7]");
}
#endif
