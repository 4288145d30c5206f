// An order: a fan-out over its lines, a charge with a key for the gateway, an approval that may take days.
#include <iostream>
#include <stent.hpp>

using namespace std::chrono_literals;

struct line {
    std::string item;
    int count;
};

// A type of one's own on its way through JSON.
template <>
struct stent::codec<line> {
    static std::string encode(const line &value) {
        return json::object({{"item", value.item}, {"count", value.count}}).text();
    }
    static line decode(std::string_view text) {
        const auto value = json::raw(std::string(text));
        return {value["item"].get<std::string>(), value["count"].get<int>()};
    }
};

int main() {
    stent::backend store(":memory:");
    stent::executor executor(store);

    executor.handle("reserve", [](stent::task &, line wanted) {
        if (wanted.count > 100) {
            throw stent::failure("NoStock", "there are not so many: " + wanted.item).retryable(false);
        }
        return wanted.count * 5;
    });
    executor.handle("charge", [](stent::task &task, int amount) {
        // The task's id is the same in every attempt: a key that the gateway can tell doubles by.
        return "receipt " + std::to_string(amount) + " " + std::to_string(task.id().size());
    }, stent::function_options().timeout(30s).retry_policy(stent::retry_policy().max_attempts(10).max_delay(5min)));

    executor.handle("order", [](stent::task &task, std::vector<line> lines) -> std::string {
        std::vector<stent::op<int>> reservations;
        for (const line &each : lines) reservations.push_back(task.spawn<int>("reserve", stent::args(each)));
        int total = 0;
        try {
            for (const int price : task.wait_all(reservations)) total += price;
        } catch (const stent::failed &why) {
            return "refused: " + why.failure().message();
        }
        const auto approval = task.spawn_wait_signal<bool>("approval");
        const auto limit = task.spawn_sleep(48h);
        if (task.wait_any({approval, limit}) == 1) return "nobody approved it";
        task.cancel(limit);
        return task.result(approval) ? task.call<std::string>("charge", stent::args(total)) : "not approved";
    });

    const stent::worker worker = executor.start_worker();
    const auto place = [&](const line &wanted) {
        return executor.dispatch("order", stent::args(std::vector<line>{wanted, {"ink", 2}}));
    };
    const std::string good = place({"paper", 3}), bad = place({"gold", 1000});
    executor.signal(good, "approval", true);
    std::cout << executor.result<std::string>(good, 10s) << '\n' << executor.result<std::string>(bad, 10s) << '\n';
}
