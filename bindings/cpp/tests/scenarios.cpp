// The lines of bindings/scenarios.md, each on both stores.
#include "house.hpp"

using namespace house;

TEST_CASE_TEMPLATE("scenario_hello", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    CHECK(here.run("hello", args("ada")) == "\"hello, ada\"");
}

TEST_CASE_TEMPLATE("scenario_sequence", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("cpp.sequence", args(100));
    CHECK(here.executor.template result<int>(id, patience) == 115);
    const auto tasks =
        here.store.call(stent::operation::list_tasks_for_execution, json::object({{"execution_id", id}})).elements();
    CHECK(tasks.size() == 6);
    for (const json &task : tasks) CHECK(task["state"].get<std::string>() == "completed");
}

TEST_CASE_TEMPLATE("scenario_fan_out", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    CHECK(here.run("fan_out", args(50)) == "42925");
}

TEST_CASE_TEMPLATE("scenario_race", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const std::string file = here.folder.file("race");
    CHECK(here.run("race", args("greet", std::vector<std::string>{"ada"}, "1h")) ==
          R"({"winner":"call","result":"hello, ada"})");
    CHECK(here.run("race", args("until_cancelled", std::vector<std::string>{file}, "3s")) == R"({"winner":"sleep"})");
    wait_for("the loser is cancelled", [&] { return lines_of(file) == stent::strings{"started", "cancelled"}; });
}

TEST_CASE_TEMPLATE("scenario_sleep", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("cpp.sleeper", args("3s"));
    wait_for("it sleeps, and nothing runs", [&] {
        return here.executor.state(id)["state"].template get<std::string>() == "running" &&
               worker.status()["running"].template get<int>() == 0;
    });
    const json result = here.executor.result(id, patience);
    CHECK(result["woke"].get<stent::time_point>() - result["began"].get<stent::time_point>() >= 3s);
}

TEST_CASE_TEMPLATE("scenario_signals", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("cpp.inbox", args(3));
    const auto send = [&](int n, const stent::signal_options &options) {
        here.executor.signal(id, "message", json::object({{"n", n}}), options);
    };
    send(1, stent::signal_options().id("a"));
    send(2, stent::signal_options().id("b"));
    send(2, stent::signal_options().id("b"));
    send(3, {});
    CHECK(tight(here.executor.result(id, patience).text()) == R"([{"n":1},{"n":2},{"n":3}])");
}

TEST_CASE_TEMPLATE("scenario_retry", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    CHECK(here.run("retried", args(2)) == "3");
}

TEST_CASE_TEMPLATE("scenario_snooze", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const auto began = std::chrono::steady_clock::now();
    CHECK(tight(here.run("put_off", args())) == "[1,[1,2]]");
    CHECK(std::chrono::steady_clock::now() - began >= 1s);
}

TEST_CASE_TEMPLATE("scenario_failure", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const auto failure_of = [&](const std::string &function, const stent::arguments &arguments) {
        try {
            here.run(function, arguments);
        } catch (const stent::failed &why) {
            CHECK(why.status() == stent::status::failed);
            return why.failure();
        }
        FAIL(function, " did not fail");
        return stent::failure("", "");
    };
    CHECK(here.run("purchase", args("42", true)) ==
          R"({"type":"CardDeclined","message":"the card 42 was declined","code":"card_declined","details":{"card":"42"}})");

    const stent::failure declined = failure_of("purchase", args("42", false));
    CHECK(declined.type() == "CardDeclined");
    CHECK(declined.message() == "the card 42 was declined");
    CHECK(declined.code() == "card_declined");
    CHECK(declined.details()["card"].get<std::string>() == "42");
    CHECK_FALSE(declined.retryable());

    const stent::failure thrown = failure_of("throws", args());
    CHECK(thrown.type() == "std::runtime_error");
    CHECK(thrown.message() == "out of paper");
    CHECK(here.executor.dead_letters(stent::dead_letter_filter().function("cpp.throws")).size() == 1);
    CHECK(here.run("hello", args("ada")) == "\"hello, ada\"");
}

TEST_CASE("schedules_are_declared") {
    place<sqlite> here;
    auto &executor = here.executor;
    executor.handle("hello", [](stent::task &, std::string name) { return "hello, " + name; });
    const auto hourly = stent::schedule("hourly", "hello").args(stent::args("ada")).cron("0 * * * *").time_zone("Europe/Berlin");
    executor.declare_schedules("billing", {hourly}, stent::declare_options().remove_others(true));
    const auto worker = here.worker();
    const json tick = executor.trigger_schedule("hourly").at(0);
    CHECK(executor.result<std::string>(tick["execution_id"].get<std::string>(), patience) == "hello, ada");
}

TEST_CASE_TEMPLATE("scenario_schedule", Store, sqlite, postgres) {
    place<Store> here;
    const auto hourly = [](const std::string &name) {
        return stent::schedule(name, "cpp.hello").args(args("ada")).cron("0 * * * *").time_zone("Europe/Berlin").owner("scenarios");
    };
    here.executor.put_schedule(hourly("old"));
    here.executor.declare_schedules("scenarios", {hourly("greeting")}, stent::declare_options().remove_others(true));
    const auto worker = here.worker();
    const auto kept = [&] {
        const auto all = here.executor.schedules(stent::schedule_filter().next(2));
        REQUIRE(all.size() == 1);
        return all.at(0);
    };
    const json first = kept();
    CHECK(first["name"].template get<std::string>() == "greeting");
    CHECK(first["owner"].template get<std::string>() == "scenarios");
    CHECK(first["time_zone"].template get<std::string>() == "Europe/Berlin");
    CHECK(first["next"].elements().size() == 2);
    const auto result_of = [&](const json &tick) {
        return tight(here.executor.result(tick["execution_id"].template get<std::string>(), patience).text());
    };
    const json tick = here.executor.trigger_schedule("greeting").at(0);
    CHECK(tick["state"].template get<std::string>() == "started");
    CHECK(result_of(tick) == "\"hello, ada\"");

    here.executor.pause_schedule("greeting", stent::schedule_pause_options().note("enough"));
    CHECK(kept()["pause_note"].template get<std::string>() == "enough");
    CHECK(kept()["next"].elements().empty());
    here.executor.resume_schedule("greeting");
    CHECK(kept()["next"].elements().size() == 2);

    const auto at = tick["at"].template get<stent::time_point>();
    const auto text = [](stent::time_point time) { return json(time).template get<std::string>(); };
    const auto ticks = here.executor.backfill_schedule(
        "greeting", stent::backfill_options().from(text(at - 3h)).to(text(at)).overlap("allow"));
    CHECK(ticks.size() == 3);
    for (const json &each : ticks) {
        CHECK(result_of(each) == "\"hello, ada\"");
    }
    here.executor.delete_schedule("greeting");
    CHECK_THROWS_AS(here.executor.delete_schedule("greeting"), stent::not_found);
}

TEST_CASE_TEMPLATE("scenario_cancel", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const std::string file = here.folder.file("held");
    const std::string id = here.executor.dispatch("cpp.holder", args(file));
    wait_for("it has started", [&] { return lines_of(file) == stent::strings{"started"}; });
    here.executor.cancel(id, "enough");
    const json execution = here.executor.wait(id, patience);
    CHECK(execution["state"].get<std::string>() == "cancelled");
    CHECK(execution["cancel_reason"].get<std::string>() == "enough");
    CHECK_THROWS_AS(here.executor.result(id, patience), stent::cancelled);
    CHECK(lines_of(file) == stent::strings{"started", "cancelled"});
}

// It waits as rows only: the handler has left, and runs again when there is news.
TEST_CASE_TEMPLATE("a cancelled function cleans up", Store, sqlite, postgres) {
    place<Store> here;
    const std::string file = here.folder.file("said");
    here.executor.handle("refund", [&](task &) { functions::append_line(file, "refund"); });
    here.executor.handle("order", [&](task &task) {
        try {
            task.wait_signal<json>("never");
        } catch (const stent::cancelled &) {
            task.call<json>("refund");
            functions::append_line(file, "refunded");
            throw;
        }
    }, stent::function_options().cleanup(300s));
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("order");
    wait_for("it waits", [&] {
        const json waiting = here.store.call(stent::operation::count_tasks, json::object({{"state", "waiting"}}));
        return waiting.template get<int>() == 2;
    });
    here.executor.cancel(id, "enough");
    const json execution = here.executor.wait(id, patience);
    CHECK(execution["state"].template get<std::string>() == "cancelled");
    CHECK(lines_of(file) == stent::strings{"refund", "refunded"});
}

TEST_CASE_TEMPLATE("scenario_crash", Store, sqlite, postgres) {
    place<Store> here;
    const std::string file = here.folder.file("marks");
    process first(here.url);
    first.expect("ready");
    const std::string id = here.executor.dispatch("cpp.marks", args(file, 5));
    wait_for("the third line", [&] { return lines_of(file) == stent::strings{"1", "2", "3"}; });
    CHECK(first.end(SIGKILL) == -SIGKILL);
    functions::append_line(file + ".go", "");

    process second(here.url);
    second.expect("ready");
    CHECK(here.executor.template result<std::vector<int>>(id, patience) == std::vector<int>{1, 2, 3, 4, 5});
    CHECK(lines_of(file) == stent::strings{"1", "2", "3", "3", "4", "5"});
    CHECK(second.end(SIGTERM) == 0);
}

TEST_CASE_TEMPLATE("scenario_idempotent", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const std::string file = here.folder.file("paid");
    const auto key = stent::dispatch_options().idempotency_key("k");
    const std::string id = here.executor.dispatch("cpp.once", args(file), key);
    CHECK(here.executor.dispatch("cpp.once", args(file), key) == id);
    CHECK_THROWS_AS(here.executor.dispatch("cpp.once", args(here.folder.file("other")), key), stent::conflict);
    CHECK(here.executor.template result<std::vector<int>>(id, patience) == std::vector<int>{1, 1});
    CHECK(lines_of(file) == stent::strings{"paid"});
}

TEST_CASE_TEMPLATE("scenario_counters", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("cpp.ledger", args(4));
    const json execution = here.executor.wait(id, patience);
    CHECK(execution["result"].is_null());
    CHECK(execution["counters"].get<std::map<std::string, int>>() == std::map<std::string, int>{{"items", 4}, {"total", 10}});
    CHECK(tight(execution["state_values"].text()) == R"({"last":{"i":4}})");
    stent::strings details;
    for (const json &line : execution["progress"].elements()) {
        if (!line["detail"].is_null()) details.push_back(tight(line["detail"].text()));
    }
    CHECK(details == stent::strings{R"({"i":1})", R"({"i":2})", R"({"i":3})", R"({"i":4})"});
}

TEST_CASE_TEMPLATE("scenario_bytes", Store, sqlite, postgres) {
    place<Store> here;
    const auto worker = here.worker();
    const auto bytes = [](std::string_view text) { return std::vector<std::uint8_t>(text.begin(), text.end()); };
    using steps = std::vector<std::pair<std::string, json>>;
    const auto reversed = [&](std::string_view text) {
        return std::pair<std::string, json>("cpp.reversed", json::raw(args(bytes(text)).text()));
    };
    const std::string id = here.executor.dispatch("cpp.relay", args(steps{reversed("321"), reversed({"\0\xff", 2})}));
    const auto results = here.executor.template result<std::vector<std::vector<std::uint8_t>>>(id, patience);
    CHECK(results == std::vector<std::vector<std::uint8_t>>{bytes("123"), {0xff, 0}});
    const std::string alone = here.executor.dispatch("cpp.reversed", args(bytes("}1:\"a\"{")));
    CHECK(here.executor.template result<std::vector<std::uint8_t>>(alone, patience) == bytes("{\"a\":1}"));
}

TEST_CASE_TEMPLATE("scenario_drain", Store, sqlite, postgres) {
    place<Store> here;
    const std::string file = here.folder.file("marks");
    process first(here.url);
    first.expect("ready");
    const std::string id = here.executor.dispatch("cpp.marks", args(file, 5));
    wait_for("the third line", [&] { return lines_of(file) == stent::strings{"1", "2", "3"}; });
    first.tell(SIGTERM);
    first.expect("draining");
    functions::append_line(file + ".go", "");
    first.expect("stopped");
    CHECK(first.wait() == 0);
    CHECK(lines_of(file) == stent::strings{"1", "2", "3"});

    process second(here.url);
    second.expect("ready");
    CHECK(here.executor.template result<std::vector<int>>(id, patience) == std::vector<int>{1, 2, 3, 4, 5});
    CHECK(lines_of(file) == stent::strings{"1", "2", "3", "4", "5"});
    const auto tasks =
        here.store.call(stent::operation::list_tasks_for_execution, json::object({{"execution_id", id}})).elements();
    CHECK(tasks.size() == 6);
    for (const json &task : tasks) CHECK(task["retries"].get<int>() == 0);
    CHECK(second.end(SIGTERM) == 0);
}

// Lines of a log, by what they say.
class said {
public:
    void add(stent::level level, const json &line) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lines_.emplace_back(level, line);
    }
    std::vector<std::pair<stent::level, json>> with(const std::string &message) {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<std::pair<stent::level, json>> found;
        for (const auto &line : lines_) {
            if (line.second["message"].get<std::string>().rfind(message, 0) == 0) found.push_back(line);
        }
        return found;
    }

private:
    std::mutex mutex_;
    std::vector<std::pair<stent::level, json>> lines_;
};

TEST_CASE_TEMPLATE("scenario_logging", Store, sqlite, postgres) {
    said log;
    place<Store> here;
    here.executor.set_log_handler([&](stent::level level, const json &line) { log.add(level, line); });
    here.executor.handle("talks", [](task &task) {
        task.log(stent::level::info, "begun");
        task.log(stent::level::debug, "hidden");
        task.sleep(1ms);
        task.log(stent::level::warn, "slept");
    });
    const auto worker = here.worker();
    const std::string id = here.executor.dispatch("talks");
    here.executor.result(id, patience);
    CHECK(failure_of(here, "cpp.charge", args("42")).type() == "CardDeclined");
    wait_for("the lines have come", [&] {
        return log.with("slept").size() == 1 && log.with("the task is dead-lettered").size() == 1;
    });
    CHECK(log.with("begun").size() == 1);
    CHECK(log.with("hidden").empty());
    const auto [level, line] = log.with("slept").at(0);
    CHECK(level == stent::level::warn);
    CHECK(line["target"].get<std::string>() == "stent.task");
    CHECK(line["fields"]["function"].get<std::string>() == "talks");
    CHECK(line["fields"]["execution"].get<std::string>() == id);
    CHECK(line["fields"]["attempt"].get<std::string>() == "1");
    CHECK(log.with("the task is dead-lettered").at(0).first == stent::level::error);
    here.executor.set_log_handler(nullptr);
}

// The compiler has refused the rest: tests/wrong.cpp.
TEST_CASE_TEMPLATE("scenario_wrong_types", Store, sqlite, postgres) {
    place<Store> here;
    here.executor.handle("asks for a number", [](task &task) { return task.call<int>("cpp.greet", args("ada")); }, hasty);
    const auto worker = here.worker();
    CHECK_FALSE(failure_of(here, "cpp.add", args("one", 2)).retryable());
    CHECK_FALSE(failure_of(here, "cpp.add", args(1)).retryable());
    const stent::failure read = failure_of(here, "asks for a number");
    CHECK(read.type() == "stent::bad_json");
    CHECK_FALSE(read.retryable());
    for (const json &letter : here.executor.dead_letters()) CHECK(letter["task"]["retries"].template get<int>() <= 1);
    CHECK(here.executor.dead_letters().size() == 3);
    CHECK_THROWS_AS(here.executor.template result<int>(here.executor.dispatch("cpp.greet", args("ada")), patience), stent::bad_json);
}

// An exception of whatever kind ends its handler's thread as little as its process.
TEST_CASE_TEMPLATE("scenario_dies", Store, sqlite, postgres) {
    place<Store> here;
    here.executor.handle("throws", [](task &task) {
        if (task.attempt() == 1) throw 7;
        return task.attempt();
    }, hasty);
    here.executor.handle("drops", [](task &task) {
        // A thread that is to end the task, and dies.
        if (task.attempt() == 1) std::thread([later = std::make_shared<stent::deferred>(task.defer())] {}).join();
        return task.attempt();
    }, hasty);
    const auto worker = here.worker();
    for (const char *function : {"throws", "drops"}) {
        CHECK(here.executor.template result<int>(here.executor.dispatch(function), patience) == 2);
    }
    CHECK(here.run("hello", args("ada")) == "\"hello, ada\"");
}
