// What a handler is given: durable operations, ways to end, and what the outside sees.
#ifndef STENT_TASK_HPP
#define STENT_TASK_HPP

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <random>
#include <stdexcept>
#include <thread>

#include "error.hpp"
#include "function.hpp"
#include "options.hpp"
#include "time.hpp"

namespace stent {

class deferred;
class task;

// A started operation of a task, whose result is an R.
template <class R>
struct op {
    std::uint32_t number;
};

// A started operation of whatever result.
struct any_op {
    template <class R>
    any_op(op<R> from) : number(from.number) {}
    std::uint32_t number;
};

enum class level : std::int32_t {
    error = STENT_LOG_ERROR,
    warn = STENT_LOG_WARN,
    info = STENT_LOG_INFO,
    debug = STENT_LOG_DEBUG,
};

namespace detail {

// What has happened to a run so far; it outlives whatever the handler catches.
struct run_state {
    bool suspended = false;            // a call has answered STENT_SUSPEND
    bool ended = false;                // ended by task::continue_as
    bool deferred = false;             // another thread ends it
    std::optional<failure> broken;     // a step failed in a way that is not recorded: so has the run
    stent_status raised = STENT_OK;    // of the last error that a call on the task threw
};

template <class Body>
stent_status run(stent_task *handle, run_state &state, const Body &body) noexcept;

}  // namespace detail

// One run of a function. A handler borrows it for the time of its call.
//
// A durable call whose result is not there yet leaves the handler by an exception that is no std::exception, and the
// handler is run again from the top when it is there. Destructors run; `catch (...)` must rethrow what is none of its
// business. If it does not, every further call leaves the same way, and the task is suspended all the same.
class task {
public:
    task(const task &) = delete;
    task &operator=(const task &) = delete;

    // What is known of the task: "task_id", "attempt" and more, as in stent_task_info.
    json info() const { return json::raw(stent_task_info(handle_)); }

    // The same in every attempt, and after every crash: a key for the world outside.
    std::string id() const { return info()["task_id"].get<std::string>(); }
    std::string execution_id() const { return info()["execution_id"].get<std::string>(); }
    std::string function() const { return info()["function"].get<std::string>(); }
    int attempt() const { return info()["attempt"].get<int>(); }

    // How often it was put off by snooze().
    int snoozes() const { return info()["snoozes"].get<int>(); }

    // The W3C Trace Context below which spans of the handler's own belong: its run's, where the library exports spans
    // (docs/tracing.md), else the dispatch's; empty where there is none.
    std::string traceparent() const {
        const char *given = stent_task_traceparent(handle_);
        return given == nullptr ? std::string() : std::string(given);
    }

    // The arguments as a JSON array, for handlers that take the task only; and the named ones, an object.
    json args() const { return json::raw(stent_task_args(handle_)); }
    json kwargs() const { return json::raw(stent_task_kwargs(handle_)); }

    // The handler should come to its end: nothing of it will be taken. Costs nothing.
    bool is_cancelled() const { return stent_task_is_cancelled(handle_) != 0; }

    // Durable calls are answered from what earlier runs recorded.
    bool is_replaying() const { return stent_task_is_replaying(handle_) != 0; }

    // The C handle, for what is not here.
    stent_task *handle() const { return handle_; }

    // Calls a function, of whatever language, and gives its result. Throws stent::failed when it failed for good.
    template <class R = json>
    R call(const std::string &function, const arguments &args = {}, const call_options &options = {}) {
        detail::owned_text result;
        ask([&](stent_error **why) {
            return stent_task_call(handle_, function.c_str(), args.text().c_str(), options.text().c_str(), result, why);
        });
        return result.as<R>();
    }

    // The same of a function with types: task.call(greet("ada")).
    template <class R>
    R call(const request<R> &made, const call_options &options = {}) {
        return call<R>(made.function, made.args, options);
    }

    // Calls a function of one argument once for each element, all at once.
    template <class R, class A>
    std::vector<R> map(const stent::function<R(A)> &function, const std::vector<A> &list, const call_options &options = {}) {
        std::vector<arguments> arrays;
        for (const A &each : list) arrays.push_back(stent::args(each));
        return map<R>(function.name(), arrays, options);
    }

    // Calls a function once for each element, all at once; the results are in the same order.
    template <class R = json>
    std::vector<R> map(const std::string &function, const std::vector<arguments> &list, const call_options &options = {}) {
        std::vector<json> arrays;
        for (const arguments &each : list) arrays.push_back(json::raw(each.text()));
        detail::owned_text results;
        ask([&](stent_error **why) {
            return stent_task_map(handle_, function.c_str(), json::array(arrays).text().c_str(), options.text().c_str(),
                                  results, why);
        });
        return results.as<std::vector<R>>();
    }

    // Sleeps without a thread or a slot; wakes at the time that was fixed when it was first reached.
    // Text is a duration in words, such as "1h30m".
    void sleep(duration time) { sleep(json(time).text()); }
    void sleep(const std::string &time) {
        ask([&](stent_error **why) { return stent_task_sleep(handle_, time.c_str(), why); });
    }

    // Waits for a signal and takes it. Throws stent::failed with type "SignalTimeout" when the time is up.
    template <class R = json>
    R wait_signal(const std::string &name, const wait_signal_options &options = {}) {
        detail::owned_text payload;
        ask([&](stent_error **why) {
            return stent_task_wait_signal(handle_, name.c_str(), options.text().c_str(), payload, why);
        });
        return payload.as<R>();
    }

    template <class P>
    P wait_signal(const signal<P> &of, const wait_signal_options &options = {}) {
        return wait_signal<P>(of.name(), options);
    }

    // Runs `body` here, and records its result: later runs get that. What the body throws:
    // a stent::failure that is not retryable is recorded, and thrown as stent::failed in this and every later run;
    // anything else fails this attempt of the task, and the next one runs the step again.
    template <class Body>
    auto step(const std::string &name, const Body &body, const step_options &options = {}) -> decltype(body()) {
        using R = decltype(body());
        static_assert(std::is_void_v<R> || detail::has_encode<R>::value,
                      "stent: the result of the step can't be written as JSON: specialize stent::codec for its type");
        std::uint32_t number = 0;
        std::int32_t recorded = 0;
        ask([&](stent_error **why) {
            return stent_task_step_begin(handle_, name.c_str(), options.text().c_str(), &number, &recorded, why);
        });
        if (recorded) return ended(op<R>{number});
        try {
            if constexpr (std::is_void_v<R>) {
                body();
                end_step(number, "null", nullptr);
            } else if constexpr (detail::has_encode<R>::value) {
                R result = body();
                end_step(number, json(result).text().c_str(), nullptr);
                return result;
            }
        } catch (const detail::unwinding &) {
            throw;
        } catch (...) {
            step_failed(number);
        }
    }

    // Runs `body` in a transaction on the store's own database, once: the transaction has the step's record too, so what the
    // body does there is done exactly once. It neither commits nor rolls back. What the database refuses for others' sake is rolled
    // back and begun again, so the body may run more than once. `run(sql, parameters)` runs a statement on the
    // program's connection, by whatever driver, and throws where it fails; its parameters are a std::vector<std::string>, which
    // is empty for BEGIN and its like, and what it answers is dropped.
    //
    // What is thrown, by the body, the record or the commit, rolls back, and is recorded as the step's failure, whatever its type: it
    // is thrown as stent::failed, in this and every later run. So that a commit which may have come through, as the
    // connection was lost, is known: where the store has the record, the step has its result.
    template <class Run, class Body>
    auto transaction(const std::string &name, const Run &run, const Body &body, const transaction_options &options = {})
        -> decltype(body()) {
        using R = decltype(body());
        static_assert(std::is_void_v<R> || detail::has_encode<R>::value,
                      "stent: the result of the step can't be written as JSON: specialize stent::codec for its type");
        std::uint32_t number = 0;
        detail::owned_text token;
        ask([&](stent_error **why) {
            return stent_task_transaction_begin(handle_, name.c_str(), options.step_.text().c_str(), &number, token, why);
        });
        if (!token.empty()) {
            const std::optional<failure> failed = in_transaction(run, body, token.string(), options);
            const std::string told = failed ? failed->text() : "";
            ask([&](stent_error **why) {
                return stent_task_transaction_end(handle_, number, failed ? told.c_str() : nullptr, why);
            });
        }
        return ended(op<R>{number});
    }

    // Starts a call without waiting. What is started is committed together, at the next wait.
    template <class R = json>
    op<R> spawn(const std::string &function, const arguments &args = {}, const call_options &options = {}) {
        op<R> started{};
        ask([&](stent_error **why) {
            return stent_task_spawn_call(handle_, function.c_str(), args.text().c_str(), options.text().c_str(),
                                         &started.number, why);
        });
        return started;
    }

    template <class R>
    op<R> spawn(const request<R> &made, const call_options &options = {}) {
        return spawn<R>(made.function, made.args, options);
    }

    op<void> spawn_sleep(duration time) { return spawn_sleep(json(time).text()); }
    op<void> spawn_sleep(const std::string &time) {
        op<void> started{};
        ask([&](stent_error **why) { return stent_task_spawn_sleep(handle_, time.c_str(), &started.number, why); });
        return started;
    }

    template <class R = json>
    op<R> spawn_wait_signal(const std::string &name, const wait_signal_options &options = {}) {
        op<R> started{};
        ask([&](stent_error **why) {
            return stent_task_spawn_wait_signal(handle_, name.c_str(), options.text().c_str(), &started.number, why);
        });
        return started;
    }

    template <class P>
    op<P> spawn_wait_signal(const signal<P> &of, const wait_signal_options &options = {}) {
        return spawn_wait_signal<P>(of.name(), options);
    }

    // Waits until one of the operations has ended, in whatever way: the index of the first.
    std::size_t wait_any(std::initializer_list<any_op> ops) {
        std::vector<std::uint32_t> numbers;
        for (const any_op &each : ops) numbers.push_back(each.number);
        const std::uint32_t first = await(numbers, STENT_WAIT_ANY);
        std::size_t index = 0;
        while (numbers[index] != first) ++index;
        return index;
    }

    // Waits for all, and gives their results in order. Throws what the first of them in the list failed with.
    template <class R>
    auto wait_all(const std::vector<op<R>> &ops) {
        std::vector<std::uint32_t> numbers;
        for (const op<R> &each : ops) numbers.push_back(each.number);
        if (!numbers.empty()) await(numbers, STENT_WAIT_ALL);
        if constexpr (std::is_void_v<R>) {
            for (const op<R> &each : ops) ended(each);
        } else {
            std::vector<R> results;
            for (const op<R> &each : ops) results.push_back(ended(each));
            return results;
        }
    }

    // Waits for one, and gives its result. Throws stent::failed or stent::cancelled.
    template <class R>
    R result(op<R> of) {
        await({of.number}, STENT_WAIT_ALL);
        return ended(of);
    }

    // Cancels what is not awaited any more, such as the loser of a race.
    void cancel(any_op of) {
        ask([&](stent_error **why) { return stent_task_cancel_op(handle_, of.number, why); });
    }

    // The same in every replay.
    time_point now() {
        detail::owned_text text;
        ask([&](stent_error **why) { return stent_task_now(handle_, text, why); });
        return detail::read_time(text.string());
    }

    std::uint64_t random() {
        std::uint64_t value = 0;
        ask([&](stent_error **why) { return stent_task_random(handle_, &value, why); });
        return value;
    }

    std::string uuid() {
        detail::owned_text text;
        ask([&](stent_error **why) { return stent_task_uuid(handle_, text, why); });
        return text.string();
    }

    // What the outside sees, recorded with the task's next transition, once.
    void progress(const json &detail) {
        ask([&](stent_error **why) { return stent_task_progress(handle_, detail.text().c_str(), why); });
    }

    void counter_add(const std::string &name, const json &amount = 1) {
        ask([&](stent_error **why) { return stent_task_counter_add(handle_, name.c_str(), amount.text().c_str(), why); });
    }

    void state_set(const std::string &key, const json &value) {
        ask([&](stent_error **why) { return stent_task_state_set(handle_, key.c_str(), value.text().c_str(), why); });
    }

    // For the next attempt, which finds the last one in info()["heartbeat"]. The lease needs none.
    void heartbeat(const json &details = {}) {
        ask([&](stent_error **why) { return stent_task_heartbeat(handle_, details.text().c_str(), why); });
    }

    // The other side wants nobody to ask for a while (429 with Retry-After): no other task of this one's concurrency_key
    // ("key"), or of its function ("function"), starts in that time. Recorded with whatever the attempt comes to; a longer
    // hold stands. As text the time may be that header's, as it came.
    void hold(const std::string &what, duration time) { hold(what, json(time).text()); }
    void hold(const std::string &what, const std::string &time) {
        ask([&](stent_error **why) { return stent_task_hold(handle_, what.c_str(), time.c_str(), why); });
    }

    // A line in the library's log, unless the task is replaying.
    void log(stent::level level, const std::string &message) {
        detail::problem why;
        why.check(stent_task_log(handle_, static_cast<std::int32_t>(level), message.c_str(), why));
    }

    // Starts the task over with new arguments and an empty journal. Return after it; what is returned is not used.
    void continue_as(const arguments &args) {
        ask([&](stent_error **why) { return stent_task_continue(handle_, args.text().c_str(), why); });
        state_->ended = true;
    }

    // Not now: the task runs again after this time, from the top and with its journal, and no attempt is charged. Return
    // after it; what is returned is not used. snoozes() tells how often it was so.
    void snooze(duration time) { snooze(json(time).text()); }
    void snooze(const std::string &time) {
        ask([&](stent_error **why) { return stent_task_snooze(handle_, time.c_str(), why); });
        state_->ended = true;
    }

    // Another thread will end the task. Return after it; what is returned is not used.
    deferred defer();  // defined in run.hpp, beside the deferred task

private:
    friend class deferred;
    template <class Body>
    friend stent_status detail::run(stent_task *, detail::run_state &, const Body &) noexcept;

    task(stent_task *handle, detail::run_state *state) : handle_(handle), state_(state) {}

    // One durable call: what it answers is remembered, whatever the handler makes of the exception.
    template <class Ask>
    stent_status ask(const Ask &ask) {
        if (state_->broken) throw detail::unwinding{};
        detail::problem why;
        const stent_status status = ask(why);
        if (status == STENT_SUSPEND) {
            state_->suspended = true;
            throw detail::unwinding{};
        }
        if (status < 0) state_->raised = status;
        why.check(status);
        return status;
    }

    std::uint32_t await(const std::vector<std::uint32_t> &numbers, std::uint32_t mode) {
        std::uint32_t first = 0;
        ask([&](stent_error **why) {
            return stent_task_await(handle_, numbers.data(), numbers.size(), mode, -1, &first, why);
        });
        return first;
    }

    template <class R>
    R ended(op<R> of) {
        detail::owned_text result;
        ask([&](stent_error **why) { return stent_task_result(handle_, of.number, result, why); });
        return result.as<R>();
    }

    void end_step(std::uint32_t number, const char *result, const char *failure) {
        ask([&](stent_error **why) { return stent_task_step_end(handle_, number, result, failure, why); });
    }

    template <class Run, class Body>
    static std::optional<failure> in_transaction(const Run &run, const Body &body, const std::string &token,
                                                 const transaction_options &options) {
        // Each pause is twice as long as the one before, and up to a half shorter, so that two don't meet again.
        std::chrono::milliseconds pause{10}, longest{1000};
        for (int left = options.attempts_ - 1;; left--) {
            bool again = false;
            std::optional<failure> why = attempt(run, body, token, options, again);
            if (!again || left <= 0) return why;
            std::minstd_rand random(std::random_device{}());
            std::this_thread::sleep_for(pause * std::uniform_int_distribution<int>(50, 100)(random) / 100);
            pause = std::min(2 * pause, longest);
        }
    }

    // Begins, runs the body, records its result and commits; rolls back whatever goes wrong, and says what it was, and whether it
    // is to be done `again`.
    template <class Run, class Body>
    static std::optional<failure> attempt(const Run &run, const Body &body, const std::string &token,
                                          const transaction_options &options, bool &again) {
        const std::vector<std::string> none;
        const auto roll_back = [&] {
            // Fails where the transaction is over already, and with the connection: nothing is left to be undone then.
            try {
                run("ROLLBACK", none);
            } catch (const std::exception &) {
            }
        };
        bool is_begun = false;
        try {
            run(options.begin(), none);
            is_begun = true;
            // Where the body has ended the transaction its savepoint is gone, and nothing is recorded without it.
            run("SAVEPOINT stent_step", none);
            std::string result = "null";
            if constexpr (std::is_void_v<decltype(body())>) body();
            else result = json(body()).text();
            run("RELEASE SAVEPOINT stent_step", none);
            record(run, options, {token, result});
            run("COMMIT", none);
            return std::nullopt;
        } catch (const detail::unwinding &) {
            roll_back();
            throw;
        } catch (...) {
            failure why = detail::failure_of_exception();
            try {
                throw;
            } catch (const std::exception &thrown) {
                again = options.is_conflict_(thrown);
            } catch (...) {
            }
            if (is_begun) roll_back();
            return why;
        }
    }

    template <class Run>
    static void record(const Run &run, const transaction_options &options, const std::vector<std::string> &parameters) {
        try {
            run(options.record(), parameters);
        } catch (const std::exception &why) {
            // A server says that there is no such schema, or no such function in it.
            const std::string told = why.what();
            if (options.sqlite_ || told.find("does not exist") == std::string::npos) throw;
            throw std::runtime_error("there is no store in the schema \"" + options.schema_ + "\" of this connection's database (" +
                                     told + "): give the schema of the store's URL to transaction_options, and a connection to "
                                            "the same database");
        }
    }

    [[noreturn]] void step_failed(std::uint32_t number) {
        const failure why = detail::failure_of_exception();
        if (why.retryable()) {
            state_->broken = why;
            throw detail::unwinding{};
        }
        end_step(number, nullptr, why.text().c_str());
        ended(op<json>{number});
        throw detail::unwinding{};
    }

    stent_task *handle_;
    detail::run_state *state_;
};

}  // namespace stent

#endif
