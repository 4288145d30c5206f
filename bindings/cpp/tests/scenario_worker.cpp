// The scenario worker of bindings/scenarios.md: hosts the functions until it is told to stop.
#include <pthread.h>
#include <signal.h>

#include <iostream>

#include "functions.hpp"

int main(int count, char **arguments) {
    if (count < 2 || count > 3) {
        std::cerr << "usage: scenario-worker <store url> [<worker options as a JSON object>]\n";
        return 2;
    }
    // Blocked before there is another thread, so that only sigwait takes it.
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    try {
        stent::backend store(arguments[1]);
        stent::executor executor(store);
        functions::add_all(executor);
        stent::worker worker = executor.start_worker(stent::json::raw(count == 3 ? arguments[2] : "{}"));
        worker.wait("ready");
        std::cout << "ready" << std::endl;

        // The end of the standard input counts as SIGTERM.
        std::thread([] {
            char ignored[256];
            while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {}
            kill(getpid(), SIGTERM);
        }).detach();
        int signal = 0;
        sigwait(&stop, &signal);
        worker.drain();
        std::cout << "draining" << std::endl;
        worker.wait("stopped");
        stent::shutdown();
        std::cout << "stopped" << std::endl;
        return 0;
    } catch (const std::exception &why) {
        std::cerr << "scenario-worker: " << why.what() << '\n';
        return 1;
    }
}
