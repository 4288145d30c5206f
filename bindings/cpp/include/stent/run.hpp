// How a handler is run, and what becomes of its task. No exception gets past this file.
#ifndef STENT_RUN_HPP
#define STENT_RUN_HPP

#include <atomic>
#include <functional>
#include <memory>

#include "signature.hpp"

namespace stent {

namespace detail {

inline stent_status fail(stent_task *handle, const failure &why) {
    return stent_task_fail(handle, why.text().c_str(), nullptr);
}

// The status that a handler returns whose body has left by the exception that is being handled.
inline stent_status status_of_exception(stent_task *handle, const run_state &state) {
    try {
        throw;
    } catch (const failed &thrown) {
        // As it came, to the letter: then the library knows it as a child's.
        return stent_task_fail(handle, thrown.as_json()["failure"].text().c_str(), nullptr);
    } catch (const error &thrown) {
        const auto status = static_cast<stent_status>(thrown.status());
        // Of an error that came from the task the library knows more than we can tell.
        return status == state.raised && status != STENT_E_INVALID ? status : fail(handle, failure_of_exception());
    } catch (...) {
        return fail(handle, failure_of_exception());
    }
}

// What each run of a handler is surrounded with, given its trace context or null; it is dropped when the run is over. Set by
// opentelemetry.hpp, where a program includes it.
inline std::atomic<std::shared_ptr<void> (*)(const char *traceparent)> surrounds{nullptr};

// Runs body(task), which gives the result as JSON text.
template <class Body>
stent_status run(stent_task *handle, run_state &state, const Body &body) noexcept {
    try {
        stent_status left = STENT_OK;
        std::string result;
        try {
            task lent(handle, &state);
            const auto surround = surrounds.load(std::memory_order_acquire);
            const std::shared_ptr<void> around = surround == nullptr ? nullptr : surround(stent_task_traceparent(handle));
            result = body(lent);
            if (state.suspended || state.broken) {
                lent.log(level::warn, "the handler has caught what was to suspend it; rethrow what `catch (...)` gets");
            }
        } catch (const unwinding &) {
            left = STENT_SUSPEND;
        } catch (...) {
            if (!state.suspended && !state.broken) return status_of_exception(handle, state);
        }
        if (state.suspended || (left == STENT_SUSPEND && !state.broken)) return STENT_SUSPEND;
        if (state.broken) return fail(handle, *state.broken);
        if (state.deferred) return STENT_PENDING;
        if (state.ended) return STENT_OK;
        return stent_task_complete(handle, result.c_str(), nullptr);
    } catch (...) {
        // No memory is left even for the failure.
        return STENT_E_PANIC;
    }
}

using handler = std::function<std::string(task &)>;

// A task's arguments as C++ values.
template <class Arguments>
Arguments read_arguments(const json &given) {
    try {
        return given.get<Arguments>();
    } catch (const bad_json &why) {
        throw failure("BadArguments", why.what()).retryable(false);
    }
}

// Calls with the task's arguments as C++ values. One that takes the task alone reads them by task.args().
template <class Callable>
std::string invoke(const Callable &callable, task &task) {
    if constexpr (check_handler<Callable>()) {
        using told = shape_of<Callable>;
        typename takes_the_task<typename told::parameters>::arguments args{};
        if constexpr (std::tuple_size_v<decltype(args)> > 0) args = read_arguments<decltype(args)>(task.args());
        const auto call = [&](auto &...values) { return callable(task, std::move(values)...); };
        if constexpr (std::is_void_v<typename told::result>) {
            std::apply(call, args);
            return "null";
        } else {
            return json(std::apply(call, args)).text();
        }
    } else {
        return {};
    }
}

}  // namespace detail

// A task that another thread ends. It may outlive the handler's call; one that is dropped before it was ended has
// failed with type "NoOutcome".
class deferred {
public:
    explicit deferred(stent_task *reference) : handle_(reference) {}

    bool is_cancelled() const { return stent_task_is_cancelled(handle_.get()) != 0; }

    // Ends the task as a handler's body does: with what it returns, or with what it throws. Call it once.
    template <class Body>
    void run(const Body &body) {
        detail::run_state state;
        const stent_status status =
            detail::run(handle_.get(), state, [&](task &lent) { return detail::invoke(body, lent); });
        detail::problem why;
        if (status == STENT_SUSPEND) why.check(stent_task_suspend(handle_.get(), why));
        if (status < 0) why.check(detail::fail(handle_.get(), failure(stent_status_name(status), "the task was not ended")));
    }

    void complete(const json &result) {
        detail::problem why;
        why.check(stent_task_complete(handle_.get(), result.text().c_str(), why));
    }

    void fail(const failure &failed) {
        detail::problem why;
        why.check(stent_task_fail(handle_.get(), failed.text().c_str(), why));
    }

private:
    struct give_back {
        void operator()(stent_task *reference) const { stent_task_free(reference); }
    };
    std::unique_ptr<stent_task, give_back> handle_;
};

inline deferred task::defer() {
    state_->deferred = true;
    return deferred(stent_task_ref(handle_));
}

}  // namespace stent

#endif
