// A service: it works until SIGTERM or SIGINT, lets what runs come to its end, and goes. What waits goes on with the next
// start, here or elsewhere.
//
//   service [<store url>]
#include <iostream>
#include <stent.hpp>

using namespace std::chrono_literals;

namespace {

const stent::function<int(std::string)> price("price");
const stent::function<std::string(std::string)> order("order");
const stent::signal<bool> paid("paid");

int run(const std::string &url) {
    // Before the first handler may run, so that no signal is lost.
    stent::stop_signals ends;
    stent::backend store(url);
    stent::executor executor(store);
    executor.handle(price, [](stent::task &, const std::string &item) { return 100 * static_cast<int>(item.size()); });
    executor.handle(order, [](stent::task &task, const std::string &item) {
        const int cost = task.call(price(item));
        if (!task.wait_signal(paid)) throw stent::failure("Unpaid", item).retryable(false);
        return item + " for " + std::to_string(cost);
    });
    stent::worker worker = executor.start_worker();

    // A real service has its requests here. A key starts it once, however often the service starts.
    const auto ordered = executor.dispatch(order("ink"), stent::dispatch_options().idempotency_key("the first order"));
    try {
        executor.send(ordered.id(), paid, true, stent::signal_options().id("the payment"));
    } catch (const stent::conflict &) {
        // An earlier start has seen it through.
    }
    std::cout << ordered.result(30s) << std::endl;

    const int signal = stent::run_until_signal(worker, 20s, ends);
    std::cout << "ended by signal " << signal << std::endl;
    stent::shutdown(10s);
    return 0;
}

}  // namespace

int main(int count, char **arguments) {
    try {
        return run(count > 1 ? arguments[1] : "service.db");
    } catch (const std::exception &why) {
        std::cerr << "service: " << why.what() << '\n';
        return 1;
    }
}
