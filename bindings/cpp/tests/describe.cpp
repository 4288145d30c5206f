// The binding knows all that the library knows: statuses, operations, options.
#include <algorithm>

#include "house.hpp"

using namespace house;

namespace {

stent::strings names_of(const json &list) {
    stent::strings names;
    for (const json &each : list.elements()) names.push_back(each["name"].get<std::string>());
    std::sort(names.begin(), names.end());
    return names;
}

stent::strings keys_of(const json &object) {
    stent::strings names;
    for (const auto &member : object.members()) names.push_back(member.first);
    std::sort(names.begin(), names.end());
    return names;
}

// Every option set, by name of the object: as the methods are, so are the names.
std::map<std::string, json> all_options() {
    const stent::strings some{"x"};
    return {
        {"rate", stent::rate().limit(1).period(1s).burst(1)},
        {"retry_policy", stent::retry_policy().max_attempts(1).max_deaths(1).backoff_factor(1).initial_delay(1s)
                             .max_delay(1s).delays({1s}).jitter(0).max_elapsed(1s).retry_for(some).no_retry_for(some).retry_children(true)},
        {"dispatch", stent::dispatch_options().id("x").kwargs(json::object({})).delay(1s).expiry(1s).max_duration(1s)
                         .idempotency_key("x").idempotency_reuse("never").unique_key("x").unique_for(1s).unique_while("pending").unique_existing("refuse").debounce(1s).debounce_max(1s).on_cancel("x").traceparent("x").queue("x").tags(some).priority(1).priority_ageing(1s)
                         .retry_policy({}).timeout(1s).cached(true).cache_ttl(1s).concurrency_key("x").fairness_key("x").fairness_weight(1.5)},
        {"dispatch_request", stent::dispatch_request("x").args(args(1)).options({})},
        {"call", stent::call_options().key("x").kwargs(json::object({})).delay(1s).idempotency_key("x").cache_key("x")
                     .queue("x").tags(some).priority(1).priority_ageing(1s).retry_policy({}).timeout(1s).cached(true).cache_ttl(1s).concurrency_key("x").fairness_key("x").fairness_weight(1.5)},
        {"function", stent::function_options().queue("x").tags(some).priority(1).priority_ageing(1s).retry_policy({}).timeout(1s).version("x")
                         .max_concurrent(1).max_concurrent_per_key(1).rate({}).rate_per_key({}).cached(true).cache_ttl(1s).idempotent(true).cleanup(1s)},
        {"batch", stent::batch_options().size(1).wait(1s)},
        {"worker", stent::worker_options().worker_id("x").queues(some).queue_rates({{"x", stent::rate()}}).tags(some).max_concurrency(1).prefetch(1)
                       .lease_duration(1s).heartbeat_interval(1s).poll_interval(1s).poll_interval_max(1s)
                       .cleanup_interval(1s).retention_period(1s).hold(1s).max_coroutines(1).host_timeout(1s)},
        {"sqlite", stent::sqlite_options().synchronous("off").busy_timeout(1s).readers(1).file_mode("0600")},
        {"custom", stent::custom_options().timeout(1s).features(some)},
        {"check", stent::check_options().only(some).timeout(1s)},
        {"executor", json::object({})},
        {"wait_signal", stent::wait_signal_options().timeout(1s).key("x")},
        {"step", stent::step_options().key("x")},
        {"signal", stent::signal_options().id("x")},
        {"execution_filter", stent::execution_filter().state("x").function("x").queue("x").tag("x").created_after("x")
                                 .created_before("x").limit(1).offset(1)},
        {"dead_letter_filter", stent::dead_letter_filter().task_id("x").execution_id("x").function("x").limit(1).offset(1)},
        {"replay_dead_letter", json::object({})},
        {"resume", json::object({})},
        {"pause", stent::pause_options().queue("x").function("x").reason("x").by("x")},
        {"unpause", stent::unpause_options().queue("x").function("x")},
        {"cleanup", stent::cleanup_options().older_than(1s).dead_letters(1s)},
        {"stats", stent::stats_options().format("json")},
        {"configure", stent::configure_options().runtime_threads(1).handler_stack_size(1 << 20).otlp_endpoint("x")},
        {"schedule", stent::schedule("x", "x").args(args(1)).options({}).cron("x").every(1s).times(some).time_zone("x").start("x")
                         .end("x").jitter(1s).overlap("skip").catch_up(1s).owner("x").time_argument("x")},
        {"schedule_filter", stent::schedule_filter().name("x").owner("x").function("x").after("x").limit(1).next(1).last(1)},
        {"declare_schedules", stent::declare_options().remove_others(true)},
        {"pause_schedule", stent::schedule_pause_options().note("x")},
        {"trigger_schedule", stent::trigger_options().overlap("skip")},
        {"backfill_schedule", stent::backfill_options().from("x").to("x").overlap("skip")},
        {"log_handler", stent::log_options().level("info")},
    };
}

}  // namespace

TEST_CASE("every status of the library is one of stent::status") {
    using stent::status;
    const std::map<std::string, status> known{
        {"OK", status::ok}, {"PENDING", status::pending}, {"SUSPEND", status::suspend}, {"INVALID", status::invalid},
        {"NOT_FOUND", status::not_found}, {"CONFLICT", status::conflict}, {"TIMEOUT", status::timeout},
        {"CANCELLED", status::cancelled}, {"CLOSED", status::closed}, {"LEASE_LOST", status::lease_lost},
        {"NONDETERMINISM", status::nondeterminism}, {"FAILED", status::failed}, {"BACKEND", status::backend},
        {"UNSUPPORTED", status::unsupported}, {"WRONG_THREAD", status::wrong_thread}, {"FORKED", status::forked},
        {"PANIC", status::panic}};
    const auto statuses = stent::describe()["statuses"].elements();
    CHECK(statuses.size() == known.size());
    for (const json &each : statuses) {
        const auto name = each["name"].get<std::string>();
        REQUIRE_MESSAGE(known.count(name) == 1, "stent::status has no ", name);
        CHECK(static_cast<int>(known.at(name)) == each["code"].get<int>());
    }
}

TEST_CASE("every operation of the library is one of stent::operation") {
    stent::strings known(std::begin(stent::operation_names), std::end(stent::operation_names));
    known.push_back("close");
    std::sort(known.begin(), known.end());
    CHECK(names_of(stent::describe()["operations"]) == known);
}

TEST_CASE("every option of the library is a method") {
    const auto known = all_options();
    const auto described = stent::describe()["options"].elements();
    CHECK(described.size() == known.size());
    for (const json &each : described) {
        const auto name = each["name"].get<std::string>();
        REQUIRE_MESSAGE(known.count(name) == 1, "the binding has no class for the options \"", name, "\"");
        CHECK_MESSAGE(keys_of(known.at(name)) == names_of(each["fields"]), "options \"", name, "\"");
    }
}

TEST_CASE("the binary interface is the header's") {
    CHECK(stent_abi_version() == 0);
    CHECK(stent::version() == stent_version());
}
