// Options, one class for each object that the library takes; each method is an option of that name. What is not set is
// left to the library's default. stent_describe() tells all of them with their meaning.
#ifndef STENT_OPTIONS_HPP
#define STENT_OPTIONS_HPP

#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "values.hpp"

namespace stent {

namespace detail {

// What the classes below share: members of an object, in the order in which they were set.
template <class Self>
class options {
public:
    // The JSON object.
    std::string text() const { return members_.empty() ? "{}" : json::object(members_).text(); }

    operator json() const { return json::raw(text()); }

protected:
    Self &set(const char *name, json value) {
        members_.emplace_back(name, std::move(value));
        return static_cast<Self &>(*this);
    }

private:
    std::vector<std::pair<std::string, json>> members_;
};

}  // namespace detail

using duration = std::chrono::microseconds;
using strings = std::vector<std::string>;

#define STENT_OPTION(self, name, type) \
    self &name(const type &value) { return set(#name, value); }

struct retry_policy : detail::options<retry_policy> {
    STENT_OPTION(retry_policy, max_attempts, int)
    STENT_OPTION(retry_policy, max_deaths, int)
    STENT_OPTION(retry_policy, backoff_factor, double)
    STENT_OPTION(retry_policy, initial_delay, duration)
    STENT_OPTION(retry_policy, max_delay, duration)
    STENT_OPTION(retry_policy, delays, std::vector<duration>)
    STENT_OPTION(retry_policy, jitter, double)
    STENT_OPTION(retry_policy, max_elapsed, duration)
    STENT_OPTION(retry_policy, retry_for, strings)
    STENT_OPTION(retry_policy, no_retry_for, strings)
    STENT_OPTION(retry_policy, retry_children, bool)
};

// A bucket of tokens, of which each start takes one.
struct rate : detail::options<rate> {
    STENT_OPTION(rate, limit, int)
    STENT_OPTION(rate, period, duration)
    STENT_OPTION(rate, burst, int)
};

struct dispatch_options : detail::options<dispatch_options> {
    STENT_OPTION(dispatch_options, id, std::string)
    STENT_OPTION(dispatch_options, kwargs, json)
    STENT_OPTION(dispatch_options, delay, duration)
    STENT_OPTION(dispatch_options, expiry, duration)
    STENT_OPTION(dispatch_options, max_duration, duration)
    STENT_OPTION(dispatch_options, idempotency_key, std::string)
    STENT_OPTION(dispatch_options, idempotency_reuse, std::string)
    STENT_OPTION(dispatch_options, unique_key, std::string)
    STENT_OPTION(dispatch_options, unique_for, duration)
    STENT_OPTION(dispatch_options, unique_while, std::string)
    STENT_OPTION(dispatch_options, unique_existing, std::string)
    STENT_OPTION(dispatch_options, debounce, duration)
    STENT_OPTION(dispatch_options, debounce_max, duration)
    STENT_OPTION(dispatch_options, on_cancel, std::string)
    STENT_OPTION(dispatch_options, traceparent, std::string)
    STENT_OPTION(dispatch_options, queue, std::string)
    STENT_OPTION(dispatch_options, tags, strings)
    STENT_OPTION(dispatch_options, priority, int)
    STENT_OPTION(dispatch_options, priority_ageing, duration)
    STENT_OPTION(dispatch_options, retry_policy, stent::retry_policy)
    STENT_OPTION(dispatch_options, timeout, duration)
    STENT_OPTION(dispatch_options, cached, bool)
    STENT_OPTION(dispatch_options, cache_ttl, duration)
    STENT_OPTION(dispatch_options, concurrency_key, std::string)
    STENT_OPTION(dispatch_options, fairness_key, std::string)
    STENT_OPTION(dispatch_options, fairness_weight, double)
};

// One of many dispatches.
struct dispatch_request : detail::options<dispatch_request> {
    explicit dispatch_request(const std::string &function) { set("function", function); }
    dispatch_request &args(const arguments &value) { return set("args", json::raw(value.text())); }
    STENT_OPTION(dispatch_request, options, dispatch_options)
};

struct call_options : detail::options<call_options> {
    STENT_OPTION(call_options, key, std::string)
    STENT_OPTION(call_options, kwargs, json)
    STENT_OPTION(call_options, delay, duration)
    STENT_OPTION(call_options, idempotency_key, std::string)
    STENT_OPTION(call_options, cache_key, std::string)
    STENT_OPTION(call_options, queue, std::string)
    STENT_OPTION(call_options, tags, strings)
    STENT_OPTION(call_options, priority, int)
    STENT_OPTION(call_options, priority_ageing, duration)
    STENT_OPTION(call_options, retry_policy, stent::retry_policy)
    STENT_OPTION(call_options, timeout, duration)
    STENT_OPTION(call_options, cached, bool)
    STENT_OPTION(call_options, cache_ttl, duration)
    STENT_OPTION(call_options, concurrency_key, std::string)
    STENT_OPTION(call_options, fairness_key, std::string)
    STENT_OPTION(call_options, fairness_weight, double)
};

struct function_options : detail::options<function_options> {
    STENT_OPTION(function_options, queue, std::string)
    STENT_OPTION(function_options, tags, strings)
    STENT_OPTION(function_options, priority, int)
    STENT_OPTION(function_options, priority_ageing, duration)
    STENT_OPTION(function_options, retry_policy, stent::retry_policy)
    STENT_OPTION(function_options, timeout, duration)
    STENT_OPTION(function_options, version, std::string)
    STENT_OPTION(function_options, max_concurrent, int)
    STENT_OPTION(function_options, max_concurrent_per_key, int)
    STENT_OPTION(function_options, rate, stent::rate)
    STENT_OPTION(function_options, rate_per_key, stent::rate)
    STENT_OPTION(function_options, cached, bool)
    STENT_OPTION(function_options, cache_ttl, duration)
    STENT_OPTION(function_options, idempotent, bool)
    STENT_OPTION(function_options, cleanup, duration)
};

// How tasks are gathered for a handler that takes many in one call.
struct batch_options : detail::options<batch_options> {
    STENT_OPTION(batch_options, size, int)
    STENT_OPTION(batch_options, wait, duration)
};

struct worker_options : detail::options<worker_options> {
    STENT_OPTION(worker_options, worker_id, std::string)
    STENT_OPTION(worker_options, queues, strings)
    // nullopt: as often as there are some.
    worker_options &queue_rates(const std::map<std::string, std::optional<stent::rate>> &value) {
        std::vector<std::pair<std::string, json>> members;
        for (const auto &[queue, rate] : value) members.emplace_back(queue, json::raw(rate ? rate->text() : "null"));
        return set("queue_rates", json::object(members));
    }
    STENT_OPTION(worker_options, tags, strings)
    STENT_OPTION(worker_options, max_concurrency, int)
    STENT_OPTION(worker_options, prefetch, int)
    STENT_OPTION(worker_options, lease_duration, duration)
    STENT_OPTION(worker_options, heartbeat_interval, duration)
    STENT_OPTION(worker_options, poll_interval, duration)
    STENT_OPTION(worker_options, poll_interval_max, duration)
    // nullopt: never.
    STENT_OPTION(worker_options, cleanup_interval, std::optional<duration>)
    STENT_OPTION(worker_options, retention_period, duration)
    STENT_OPTION(worker_options, hold, duration)
    STENT_OPTION(worker_options, max_coroutines, int)
    STENT_OPTION(worker_options, host_timeout, duration)
};

struct sqlite_options : detail::options<sqlite_options> {
    STENT_OPTION(sqlite_options, synchronous, std::string)
    STENT_OPTION(sqlite_options, busy_timeout, duration)
    STENT_OPTION(sqlite_options, readers, int)
    STENT_OPTION(sqlite_options, file_mode, std::string)
};

// How a store of your own is spoken to.
struct custom_options : detail::options<custom_options> {
    STENT_OPTION(custom_options, timeout, duration)
    // What it keeps beside the engine's operations.
    STENT_OPTION(custom_options, features, strings)
};

// How the conformance suite is run against a store.
struct check_options : detail::options<check_options> {
    STENT_OPTION(check_options, only, strings)
    STENT_OPTION(check_options, timeout, duration)
};

struct wait_signal_options : detail::options<wait_signal_options> {
    STENT_OPTION(wait_signal_options, timeout, duration)
    STENT_OPTION(wait_signal_options, key, std::string)
};

struct step_options : detail::options<step_options> {
    STENT_OPTION(step_options, key, std::string)
};

// How a step runs in a transaction of the handler's own; the library knows none of it but the key.
class transaction_options {
public:
    transaction_options &key(const std::string &value) { return step_.key(value), *this; }

    // Where the store is on PostgreSQL, if it is not the schema "stent".
    transaction_options &schema(const std::string &value) { return schema_ = value, *this; }

    // The database is the store's SQLite file, and the connection has the extension.
    transaction_options &sqlite() { return sqlite_ = true, *this; }

    // So often it is begun in all where the database refuses it for others' sake: 5 times, if nothing else is said.
    transaction_options &attempts(int value) { return attempts_ = value, *this; }

    // Whether an exception of `run` tells of that, by the driver's code: 40001 and 40P01 of PostgreSQL, SQLITE_BUSY and
    // SQLITE_LOCKED of SQLite. If nothing else is said it is known by what these say in English.
    transaction_options &is_conflict(std::function<bool(const std::exception &)> value) {
        return is_conflict_ = std::move(value), *this;
    }

private:
    friend class task;

    static bool says_conflict(const std::exception &why) {
        const std::string told = why.what();
        for (const char *one : {"could not serialize access", "deadlock detected", "database is locked", "database table is locked"})
            if (told.find(one) != std::string::npos) return true;
        return false;
    }

    // The write lock from the beginning: who takes it later may be refused it.
    std::string begin() const { return sqlite_ ? "BEGIN IMMEDIATE" : "BEGIN"; }

    std::string record() const {
        if (sqlite_) return "SELECT stent_record_step(?1, ?2)";
        std::string quoted;
        for (const char each : schema_) quoted += each == '"' ? "\"\"" : std::string(1, each);
        // The work has been done in the transaction, which was seen just before; some work is to look at nothing.
        return "SELECT \"" + quoted + "\".record_step($1, $2) FROM txid_current()";
    }

    step_options step_;
    std::string schema_ = "stent";
    bool sqlite_ = false;
    int attempts_ = 5;
    std::function<bool(const std::exception &)> is_conflict_ = says_conflict;
};

struct signal_options : detail::options<signal_options> {
    STENT_OPTION(signal_options, id, std::string)
};

struct execution_filter : detail::options<execution_filter> {
    STENT_OPTION(execution_filter, state, std::string)
    STENT_OPTION(execution_filter, function, std::string)
    STENT_OPTION(execution_filter, queue, std::string)
    STENT_OPTION(execution_filter, tag, std::string)
    STENT_OPTION(execution_filter, created_after, std::string)
    STENT_OPTION(execution_filter, created_before, std::string)
    STENT_OPTION(execution_filter, limit, std::int64_t)
    STENT_OPTION(execution_filter, offset, std::int64_t)
};

struct dead_letter_filter : detail::options<dead_letter_filter> {
    STENT_OPTION(dead_letter_filter, task_id, std::string)
    STENT_OPTION(dead_letter_filter, execution_id, std::string)
    STENT_OPTION(dead_letter_filter, function, std::string)
    STENT_OPTION(dead_letter_filter, limit, std::int64_t)
    STENT_OPTION(dead_letter_filter, offset, std::int64_t)
};

// Name a queue or a function.
struct pause_options : detail::options<pause_options> {
    STENT_OPTION(pause_options, queue, std::string)
    STENT_OPTION(pause_options, function, std::string)
    STENT_OPTION(pause_options, reason, std::string)
    STENT_OPTION(pause_options, by, std::string)
};

struct unpause_options : detail::options<unpause_options> {
    STENT_OPTION(unpause_options, queue, std::string)
    STENT_OPTION(unpause_options, function, std::string)
};

// What is started at which times; one of cron, every and times is given. Times are RFC 3339.
struct schedule : detail::options<schedule> {
    schedule(const std::string &name, const std::string &function) {
        set("name", name);
        set("function", function);
    }
    schedule &args(const arguments &value) { return set("args", json::raw(value.text())); }
    STENT_OPTION(schedule, options, dispatch_options)
    STENT_OPTION(schedule, cron, std::string)
    STENT_OPTION(schedule, every, duration)
    STENT_OPTION(schedule, times, strings)
    STENT_OPTION(schedule, time_zone, std::string)
    STENT_OPTION(schedule, start, std::string)
    STENT_OPTION(schedule, end, std::string)
    STENT_OPTION(schedule, jitter, duration)
    STENT_OPTION(schedule, overlap, std::string)
    STENT_OPTION(schedule, catch_up, duration)
    STENT_OPTION(schedule, owner, std::string)
    STENT_OPTION(schedule, time_argument, std::string)
};

struct schedule_filter : detail::options<schedule_filter> {
    STENT_OPTION(schedule_filter, name, std::string)
    STENT_OPTION(schedule_filter, owner, std::string)
    STENT_OPTION(schedule_filter, function, std::string)
    STENT_OPTION(schedule_filter, after, std::string)
    STENT_OPTION(schedule_filter, limit, std::int64_t)
    STENT_OPTION(schedule_filter, next, std::int64_t)
    STENT_OPTION(schedule_filter, last, std::int64_t)
};

struct declare_options : detail::options<declare_options> {
    STENT_OPTION(declare_options, remove_others, bool)
};

struct schedule_pause_options : detail::options<schedule_pause_options> {
    STENT_OPTION(schedule_pause_options, note, std::string)
};

struct trigger_options : detail::options<trigger_options> {
    STENT_OPTION(trigger_options, overlap, std::string)
};

struct backfill_options : detail::options<backfill_options> {
    STENT_OPTION(backfill_options, from, std::string)
    STENT_OPTION(backfill_options, to, std::string)
    STENT_OPTION(backfill_options, overlap, std::string)
};

struct cleanup_options : detail::options<cleanup_options> {
    STENT_OPTION(cleanup_options, older_than, duration)
    STENT_OPTION(cleanup_options, dead_letters, duration)
};

struct stats_options : detail::options<stats_options> {
    STENT_OPTION(stats_options, format, std::string)
};

struct configure_options : detail::options<configure_options> {
    STENT_OPTION(configure_options, runtime_threads, int)
    STENT_OPTION(configure_options, handler_stack_size, int)
    STENT_OPTION(configure_options, otlp_endpoint, std::string)
};

struct log_options : detail::options<log_options> {
    STENT_OPTION(log_options, level, std::string)
};

#undef STENT_OPTION

}  // namespace stent

#endif
