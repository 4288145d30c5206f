#include <iostream>
#include <stent.hpp>

using namespace std::chrono_literals;

int main() {
    stent::backend store("hello.db");
    stent::executor executor(store);

    // An activity: does one thing, and its result is recorded once. Arguments and results are JSON on the way.
    executor.handle("greet", [](stent::task &, std::string name) { return "hello, " + name; });

    // A workflow: calls and waits. After a crash it runs again from the top and reads what is recorded.
    executor.handle("welcome", [](stent::task &task, std::string name) {
        const auto greeting = task.call<std::string>("greet", stent::args(name));
        task.sleep(500ms);
        return greeting + "!";
    });

    const stent::worker worker = executor.start_worker();
    const std::string id = executor.dispatch("welcome", stent::args("world"));
    std::cout << executor.result<std::string>(id, 10s) << '\n';
}
