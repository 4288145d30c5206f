// The functions of bindings/scenarios.md, in C++.
#ifndef STENT_TESTS_FUNCTIONS_HPP
#define STENT_TESTS_FUNCTIONS_HPP

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <stent.hpp>
#include <system_error>
#include <thread>

namespace functions {

using stent::args;
using stent::json;
using stent::task;
using namespace std::chrono_literals;

// One write in append mode, so that lines of several processes don't mix.
inline void append_line(const std::string &file, const std::string &line) {
    const int out = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (out < 0) throw std::system_error(errno, std::generic_category(), file);
    const std::string whole = line + '\n';
    const ssize_t written = write(out, whole.data(), whole.size());
    close(out);
    if (written != static_cast<ssize_t>(whole.size())) throw std::runtime_error(file + ": the line was cut");
}

inline std::vector<std::string> lines_of(const std::string &file) {
    std::ifstream in(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

inline bool exists(const std::string &file) {
    struct stat ignored;
    return stat(file.c_str(), &ignored) == 0;
}

inline void add_activities(stent::executor &executor) {
    executor.handle("cpp.greet", [](task &, std::string name) { return "hello, " + name; });
    executor.handle("cpp.add", [](task &, std::int64_t a, std::int64_t b) { return a + b; });
    executor.handle("cpp.square", [](task &, std::int64_t n) { return n * n; });
    executor.handle(
        "cpp.flaky",
        [](task &task, int times) {
            const int attempt = task.attempt();
            if (attempt <= times) throw stent::failure("Flaky", "attempt " + std::to_string(attempt));
            return attempt;
        },
        stent::function_options().retry_policy(stent::retry_policy().max_attempts(5).initial_delay(20ms).jitter(0)));
    executor.handle(
        "cpp.patient",
        [](task &task) -> std::vector<int> {
            if (task.snoozes() == 0) {
                task.snooze(20ms);
                return {};
            }
            if (task.attempt() == 1) throw stent::failure("Busy", "come back later").retry_after("1");
            return {task.snoozes(), task.attempt()};
        },
        stent::function_options().retry_policy(
            stent::retry_policy().max_attempts(5).delays({20ms}).max_elapsed(1h).jitter(0)));
    executor.handle("cpp.charge", [](task &, std::string card) {
        throw stent::failure("CardDeclined", "the card " + card + " was declined")
            .code("card_declined")
            .details(json::object({{"card", card}}))
            .retryable(false);
    });
    executor.handle("cpp.append", [](task &, std::string file, std::string line) {
        append_line(file, line);
        return lines_of(file).size();
    });
    executor.handle("cpp.mark", [](task &task, std::string file, int n) {
        append_line(file, std::to_string(n));
        while (n == 3 && !exists(file + ".go") && !task.is_cancelled()) std::this_thread::sleep_for(10ms);
        return n;
    });
    executor.handle("cpp.until_cancelled", [](task &task, std::string file) {
        append_line(file, "started");
        while (!task.is_cancelled()) std::this_thread::sleep_for(10ms);
        append_line(file, "cancelled");
        task.heartbeat();  // throws stent::cancelled
    });
}

inline json race(task &task, const std::string &function, const json &arguments, const std::string &duration) {
    const auto call = task.spawn("cpp." + function, stent::arguments::raw(arguments.text()));
    const auto sleep = task.spawn_sleep(duration);
    if (task.wait_any({call, sleep}) == 0) {
        task.cancel(sleep);
        return json::object({{"winner", "call"}, {"result", task.result(call)}});
    }
    task.cancel(call);
    return json::object({{"winner", "sleep"}});
}

inline json purchase(task &task, const std::string &card, bool caught) {
    try {
        return task.call("cpp.charge", args(card));
    } catch (const stent::failed &why) {
        if (!caught) throw;
        const stent::failure failure = why.failure();
        return json::object({{"type", failure.type()},
                             {"message", failure.message()},
                             {"code", failure.code()},
                             {"details", failure.details()}});
    }
}

inline void add_orchestrators(stent::executor &executor) {
    executor.handle("cpp.hello", [](task &task, std::string name) { return task.call("cpp.greet", args(name)); });
    executor.handle("cpp.sequence", [](task &task, std::int64_t n) {
        for (int i = 1; i <= 5; ++i) n = task.call<std::int64_t>("cpp.add", args(n, i));
        return n;
    });
    executor.handle("cpp.fan_out", [](task &task, int n) {
        std::vector<stent::op<std::int64_t>> squares;
        for (int i = 1; i <= n; ++i) squares.push_back(task.spawn<std::int64_t>("cpp.square", args(i)));
        std::int64_t sum = 0;
        for (const std::int64_t square : task.wait_all(squares)) sum += square;
        return sum;
    });
    executor.handle("cpp.race", [](task &task, std::string function, json arguments, std::string duration) {
        return race(task, function, arguments, duration);
    });
    executor.handle("cpp.sleeper", [](task &task, std::string duration) {
        const stent::time_point began = task.now();
        task.sleep(duration);
        return json::object({{"began", began}, {"woke", task.now()}});
    });
    executor.handle("cpp.inbox", [](task &task, int n) {
        std::vector<json> payloads;
        while (n-- > 0) payloads.push_back(task.wait_signal("message"));
        return payloads;
    });
    executor.handle("cpp.retried", [](task &task, int times) { return task.call<int>("cpp.flaky", args(times)); });
    executor.handle("cpp.put_off", [](task &task) {
        if (task.snoozes() == 0) {
            task.snooze("20ms");
            return json();
        }
        return json(std::vector<json>{task.snoozes(), task.call("cpp.patient", args())});
    });
    executor.handle("cpp.purchase",
                    [](task &task, std::string card, bool caught) { return purchase(task, card, caught); });
    executor.handle(
        "cpp.throws", [](task &) { throw std::runtime_error("out of paper"); },
        stent::function_options().retry_policy(stent::retry_policy().max_attempts(1)));
    executor.handle("cpp.holder",
                    [](task &task, std::string file) { return task.call("cpp.until_cancelled", args(file)); });
    executor.handle("cpp.marks", [](task &task, std::string file, int n) {
        std::vector<int> results;
        for (int i = 1; i <= n; ++i) results.push_back(task.call<int>("cpp.mark", args(file, i)));
        return results;
    });
    executor.handle("cpp.once", [](task &task, std::string file) {
        std::vector<int> results;
        for (int i = 0; i < 2; ++i) {
            const auto key = stent::call_options().idempotency_key(file);
            results.push_back(task.call<int>("cpp.append", args(file, "paid"), key));
        }
        return results;
    });
    executor.handle("cpp.ledger", [](task &task, int n) {
        for (int i = 1; i <= n; ++i) {
            const json line = json::object({{"i", i}});
            task.counter_add("items");
            task.counter_add("total", i);
            task.state_set("last", line);
            task.progress(line);
            task.call("cpp.add", args(i, 0));
        }
    });
    executor.handle("cpp.reversed", [](task &, std::vector<std::byte> given) {
        return std::vector<std::byte>(given.rbegin(), given.rend());
    });
    executor.handle("cpp.relay", [](task &task, std::vector<std::tuple<std::string, json>> steps) {
        std::vector<json> results;
        for (const auto &[function, arguments] : steps) {
            results.push_back(task.call(function, stent::arguments::raw(arguments.text())));
        }
        return results;
    });
}

inline void add_all(stent::executor &executor) {
    add_activities(executor);
    add_orchestrators(executor);
}

}  // namespace functions

#endif
