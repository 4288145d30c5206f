// Programs that work until they are told to end: by a signal, or by a std::stop_token.
#ifndef STENT_SERVICE_HPP
#define STENT_SERVICE_HPP

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

#include "executor.hpp"

namespace stent::detail {

// Where the signal's handler writes; -1: nobody waits for signals.
inline std::atomic<int> signal_pipe{-1};

}  // namespace stent::detail

extern "C" {
// A signal's handler may do next to nothing: it writes the signal's number to a pipe.
inline void stent_cpp_signal(int number) {
    const int before = errno;
    const auto byte = static_cast<unsigned char>(number);
    // A pipe that is full has signals enough.
    if (write(stent::detail::signal_pipe.load(), &byte, 1) < 0) errno = 0;
    errno = before;
}
}

namespace stent {

// Catches signals from its construction on, on whatever thread they arrive, until it is destroyed: make it before the
// worker, so that none is lost. One at a time.
class stop_signals {
public:
    explicit stop_signals(const std::vector<int> &numbers = {SIGTERM, SIGINT}) {
        if (detail::signal_pipe.load() != -1) throw std::logic_error("stent: there is a stent::stop_signals already");
        if (pipe(ends_) != 0) throw std::system_error(errno, std::generic_category(), "stent::stop_signals");
        for (const int end : ends_) {
            fcntl(end, F_SETFD, FD_CLOEXEC);
            fcntl(end, F_SETFL, O_NONBLOCK);
        }
        detail::signal_pipe = ends_[1];
        struct sigaction handler {};
        handler.sa_handler = stent_cpp_signal;
        handler.sa_flags = SA_RESTART;
        for (const int number : numbers) {
            before_.emplace_back(number, handler);
            sigaction(number, &handler, &before_.back().second);
        }
    }
    stop_signals(const stop_signals &) = delete;
    stop_signals &operator=(const stop_signals &) = delete;
    ~stop_signals() {
        for (const auto &[number, handler] : before_) sigaction(number, &handler, nullptr);
        detail::signal_pipe = -1;
        for (const int end : ends_) close(end);
    }

    // Waits for the next one: its number, or 0 when there was none in time.
    int wait(timeout_ms timeout = forever) {
        const auto until = std::chrono::steady_clock::now() + timeout;
        pollfd ready{ends_[0], POLLIN, 0};
        for (;;) {
            const auto left = std::chrono::ceil<timeout_ms>(until - std::chrono::steady_clock::now()).count();
            const int told = poll(&ready, 1, timeout.count() < 0 ? -1 : static_cast<int>(std::max<std::int64_t>(left, 0)));
            unsigned char number = 0;
            if (told > 0 && read(ends_[0], &number, 1) == 1) return number;
            if (told == 0) return 0;
            if (told < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "stent::stop_signals");
        }
    }

private:
    int ends_[2] = {-1, -1};
    std::vector<std::pair<int, struct sigaction>> before_;
};

namespace detail {

inline bool has_stopped(const worker &running) { return stent_worker_wait(running.handle(), "stopped", 0, nullptr) >= 0; }

}  // namespace detail

// Lets the worker work until a signal comes, then drains it. Throws stent::timeout when handlers were still running after
// `drain`: other workers take their tasks. Returns the signal, or 0 when the worker has stopped by itself.
inline int run_until_signal(worker &running, timeout_ms drain, stop_signals &caught) {
    int number = 0;
    while (number == 0 && !detail::has_stopped(running)) number = caught.wait(detail::slice);
    running.stop(drain);
    return number;
}

// The same for SIGTERM and SIGINT, caught from now on.
inline int run_until_signal(worker &running, timeout_ms drain) {
    stop_signals caught;
    return run_until_signal(running, drain, caught);
}

// Starts a worker and lets it work until SIGTERM or SIGINT, as run_until_signal does.
inline int serve(executor &of, timeout_ms drain, const worker_options &options = {}) {
    stop_signals caught;
    worker started = of.start_worker(options);
    return run_until_signal(started, drain, caught);
}

#ifdef STENT_STOP_TOKEN
// Starts a worker and lets it work until a stop is asked for, then drains it as run_until_signal does.
inline void serve(executor &of, std::stop_token stop, timeout_ms drain, const worker_options &options = {}) {
    worker started = of.start_worker(options);
    while (!stop.stop_requested() && stent_worker_wait(started.handle(), "stopped", detail::slice.count(), nullptr) < 0) {}
    started.stop(drain);
}
#endif

}  // namespace stent

#endif
