// Functions and signals with types, values by other JSON libraries, and mistakes, which no other attempt mends.
#include <limits>
#include <stent/nlohmann.hpp>
#include <stent/testing.hpp>

#include "house.hpp"

using namespace house;

namespace shop {

struct item {
    std::string name;
    int count = 0;
    NLOHMANN_DEFINE_TYPE_INTRUSIVE(item, name, count)
};

// Of another library of JSON, which knows two words.
struct words {
    std::string text;
};

struct money {
    int cents = 0;
};

}  // namespace shop

template <>
struct stent::json_library<shop::words> {
    static std::string dump(const shop::words &value) { return '"' + value.text + '"'; }
    static shop::words parse(std::string_view text) { return {std::string(text.substr(1, text.size() - 2))}; }
    template <class T>
    static shop::words from(const T &value) {
        if (value.cents < 0) throw std::range_error("there is no such money");
        return {std::to_string(value.cents) + " cents"};
    }
    template <class T>
    static T to(const shop::words &value) {
        return {std::stoi(value.text)};
    }
};

template <>
struct stent::codec<shop::money> : stent::library_codec<shop::money, shop::words> {};

namespace {

const stent::function<int(shop::item)> price("price");
const stent::function<std::map<std::string, int>(std::vector<shop::item>, int)> total("total");
const stent::function<void()> nothing("nothing");
const stent::signal<shop::item> more("more");

}  // namespace

TEST_CASE_TEMPLATE("functions and signals with types", Store, sqlite, postgres) {
    place<Store> here;
    here.executor.handle(price, [](task &, const shop::item &one) { return one.count * static_cast<int>(one.name.size()); });
    here.executor.handle(total, [](task &task, const std::vector<shop::item> &items, int extra) {
        int sum = extra;
        for (const int each : task.map(price, items)) sum += each;
        const auto last = task.spawn(price(task.wait_signal(more)));
        task.call(nothing());
        return std::map<std::string, int>{{"sum", sum + task.result(last)}};
    });
    here.executor.handle(nothing, [](task &) {});
    const auto worker = here.worker();
    const auto started = here.executor.dispatch(total(std::vector<shop::item>{{"ink", 2}, {"paper", 1}}, 100));
    here.executor.send(started.id(), more, shop::item{"glue", 1});
    CHECK(started.result(patience) == std::map<std::string, int>{{"sum", 115}});
}

TEST_CASE_TEMPLATE("scenario_codec", Store, sqlite, postgres) {
    const stent::function<shop::money(shop::money)> twice("twice");
    place<Store> here;
    here.executor.handle(twice, [](task &task, shop::money given) {
        const shop::money stepped = task.step("step", [&] { return given; });
        task.state_set("given", stepped);
        return shop::money{2 * stepped.cents};
    }, hasty);
    std::atomic<int> tries{0};
    const auto mistake = [&](const std::string &name, auto body) {
        here.executor.handle(name, [&tries, body](task &lent) {
            ++tries;
            return body(lent);
        }, hasty);
    };
    mistake("debt", [](task &) { return shop::money{-1}; });
    mistake("nan in a value", [](task &) { return nlohmann::json{{"a", {1.5, std::nan("")}}}; });
    mistake("no utf-8 in a value", [](task &) { return nlohmann::json("\xff"); });
    mistake("nan", [](task &) { return std::nan(""); });
    mistake("nan in a step", [](task &task) { return task.step("step", [] { return std::nan(""); }); });
    mistake("sends nan", [](task &task) { return task.call<double>("cpp.square", args(std::nan(""))); });
    mistake("bad key", [](task &task) { return task.call("cpp.greet", args("ada"), stent::call_options().key("a#b")); });
    mistake("no utf-8", [](task &task) { return task.call("cpp.greet", args("\xff")); });
    const auto worker = here.worker();
    const auto started = here.executor.dispatch(twice(shop::money{1250}));
    CHECK(started.result(patience).cents == 2500);
    const json state = here.executor.state(started.id());
    CHECK(tight(state["args"].text()) == R"(["1250 cents"])");
    CHECK(state["state_values"]["given"].text() == R"("1250 cents")");

    for (const std::string name : {"debt", "nan in a value", "no utf-8 in a value", "nan", "nan in a step", "sends nan", "bad key", "no utf-8"}) {
        CAPTURE(name);
        tries = 0;
        CHECK_FALSE(failure_of(here, name).retryable());
        CHECK(tries == 1);
    }
    CHECK_THROWS_AS(here.executor.dispatch("cpp.square", args(std::numeric_limits<double>::infinity())), stent::bad_json);
}

TEST_CASE("handlers that are empty are refused at once") {
    stent::backend store(":memory:");
    stent::executor executor(store);
    CHECK_THROWS_AS(executor.handle("empty", std::function<int(task &)>()), std::invalid_argument);
    CHECK_THROWS_AS(executor.handle(nothing, static_cast<void (*)(task &)>(nullptr)), std::invalid_argument);
    CHECK_THROWS_AS(stent::custom_backend(nullptr), std::invalid_argument);
}

TEST_CASE("a function is taken back, and a task has its trace") {
    const stent::function<std::string()> where("where");
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    stent::testing::host here([&](stent::executor &executor) {
        executor.handle(where, [](task &) { return std::string("old"); });
        executor.unregister(where);
        CHECK_THROWS_AS(executor.unregister("where"), stent::not_found);
        executor.handle(where, [](task &task) { return task.traceparent(); });
    });
    CHECK(here.run(where(), stent::dispatch_options().traceparent(trace)) == trace);
    CHECK(here.run(where()).empty());
}

TEST_CASE("a test has a worker in one line") {
    stent::testing::host here([](stent::executor &executor) {
        executor.handle(price, [](task &, const shop::item &one) { return one.count; });
    });
    CHECK(here.run(price(shop::item{"ink", 7})) == 7);
}
