// Handlers that take many tasks of a function in one call, each with an outcome of its own.
//
//   executor.handle_batch("store", [&](const stent::items<row> &rows) -> stent::outcomes<int> { … },
//                         stent::batch_options().size(500).wait(50ms));
#ifndef STENT_BATCH_HPP
#define STENT_BATCH_HPP

#include <variant>

#include "run.hpp"

namespace stent {

// One task of a batch, whose function takes A... . It is lent, as a stent::task is, until the handler returns.
template <class... A>
class item {
public:
    item(stent_task *lent, std::tuple<A...> given) : handle_(lent), args_(std::move(given)) {}

    // The arguments, and one of them: `each.arg()` is the first.
    const std::tuple<A...> &args() const { return args_; }
    template <std::size_t I = 0>
    const auto &arg() const {
        return std::get<I>(args_);
    }

    // The named arguments, an object.
    json kwargs() const { return json::raw(stent_task_kwargs(handle_)); }

    // What is known of the task: "task_id", "attempt" and more, as in stent_task_info.
    json info() const { return json::raw(stent_task_info(handle_)); }

    // The same in every attempt, and after every crash: a key for the world outside.
    std::string id() const { return info()["task_id"].template get<std::string>(); }
    int attempt() const { return info()["attempt"].template get<int>(); }

    // Nothing of it will be taken any more. Costs nothing.
    bool is_cancelled() const { return stent_task_is_cancelled(handle_) != 0; }

    // For the next attempt, which finds the last one in info()["heartbeat"]. The lease needs none.
    void heartbeat(const json &details = {}) const {
        detail::problem why;
        why.check(stent_task_heartbeat(handle_, details.text().c_str(), why));
    }

    // As task::hold.
    void hold(const std::string &what, const std::string &time) const {
        detail::problem why;
        why.check(stent_task_hold(handle_, what.c_str(), time.c_str(), why));
    }
    void hold(const std::string &what, duration time) const { hold(what, json(time).text()); }

    // The C handle, for what is not here.
    stent_task *handle() const { return handle_; }

private:
    stent_task *handle_;
    std::tuple<A...> args_;
};

template <class... A>
using items = std::vector<item<A...>>;

// The outcome "not now": the task runs again after this time, and no attempt is charged. Text is a duration in words, such as
// "1h30m".
class snooze {
public:
    explicit snooze(duration time) : text_(json(time).text()) {}
    explicit snooze(std::string time) : text_(std::move(time)) {}

    const std::string &text() const { return text_; }

private:
    std::string text_;
};

namespace detail {

template <class T>
constexpr bool is_no_result = std::is_same_v<T, failure> || std::is_same_v<T, std::exception_ptr> || std::is_same_v<T, snooze>;

}  // namespace detail

// What became of one task of a batch: its result, an R; or why it has none, which does what a handler's exception does. For R
// void, `outcome<void>()` is the result.
template <class R>
class outcome {
    using value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;
    static_assert(std::is_void_v<R> || detail::has_encode<R>::value,
                  "stent: the result of the handler can't be written as JSON: specialize stent::codec for its type");
    static_assert(!detail::is_no_result<value>, "stent: a failure, an exception or a snooze is an outcome already, and no result");

public:
    template <class T = value, class = std::enable_if_t<std::is_void_v<R> && std::is_same_v<T, std::monostate>>>
    outcome() {}

    template <class T, class = std::enable_if_t<!std::is_void_v<R> && std::is_convertible_v<T &&, value> &&
                                                !detail::is_no_result<std::decay_t<T>> && !std::is_same_v<std::decay_t<T>, outcome>>>
    outcome(T &&result) : told_(std::in_place_index<0>, std::forward<T>(result)) {}

    outcome(failure why) : told_(std::in_place_index<1>, std::move(why)) {}

    // std::current_exception(), or std::make_exception_ptr of any.
    outcome(std::exception_ptr why) : told_(std::in_place_index<2>, std::move(why)) {
        if (!std::get<2>(told_)) throw std::invalid_argument("stent: an outcome of an exception_ptr that has no exception");
    }

    outcome(snooze time) : told_(std::in_place_index<3>, std::move(time)) {}

    // The result as JSON. Throws what stands in its place; a snooze is none of these.
    std::string result() const {
        if (told_.index() == 1) throw std::get<1>(told_);
        if (told_.index() == 2) std::rethrow_exception(std::get<2>(told_));
        if constexpr (std::is_void_v<R>) {
            return "null";
        } else {
            return json(std::get<0>(told_)).text();
        }
    }

    // How long the task is put off, if it is.
    const snooze *put_off() const { return std::get_if<3>(&told_); }

private:
    std::variant<value, failure, std::exception_ptr, snooze> told_;
};

template <class R>
using outcomes = std::vector<outcome<R>>;

namespace detail {

// Ends a task of a batch. One whose end the library does not take has failed by that; one that is over already needs none.
template <class End>
void end_item(stent_task *handle, const End &end) {
    try {
        problem why;
        why.check(end(why));
    } catch (const error &) {
        static_cast<void>(fail(handle, failure_of_exception()));
    }
}

// By the exception that is being handled.
inline void fail_item(stent_task *handle) {
    std::string text;
    try {
        throw;
    } catch (const failed &thrown) {
        text = thrown.as_json()["failure"].text();
    } catch (...) {
        text = failure_of_exception().text();
    }
    end_item(handle, [&](stent_error **why) { return stent_task_fail(handle, text.c_str(), why); });
}

template <class R>
void end_with(stent_task *handle, const outcome<R> &told) {
    try {
        if (const snooze *time = told.put_off()) {
            return end_item(handle, [&](stent_error **why) { return stent_task_snooze(handle, time->text().c_str(), why); });
        }
        const std::string result = told.result();
        end_item(handle, [&](stent_error **why) { return stent_task_complete(handle, result.c_str(), why); });
    } catch (...) {
        fail_item(handle);
    }
}

template <class R, class... A>
struct batch_call {
    // Those whose arguments can't be read have failed alone.
    static items<A...> read(stent_task **tasks, std::size_t count) {
        items<A...> readable;
        readable.reserve(count);
        for (stent_task **each = tasks; each != tasks + count; ++each) {
            try {
                readable.emplace_back(*each, read_arguments<std::tuple<A...>>(json::raw(stent_task_args(*each))));
            } catch (...) {
                fail_item(*each);
            }
        }
        return readable;
    }

    template <class Callable>
    static void run(const Callable &callable, stent_task **tasks, std::size_t count) {
        const items<A...> given = read(tasks, count);
        if (given.empty()) return;
        outcomes<R> told;
        try {
            told = callable(given);
            if (told.size() != given.size()) {
                const std::string gave = std::to_string(told.size()) + " outcomes for " + std::to_string(given.size()) + " tasks";
                throw failure("INVALID", "the handler gave " + gave + "; it must give one for each, in their order").retryable(false);
            }
        } catch (...) {
            for (const auto &each : given) fail_item(each.handle());
            return;
        }
        for (std::size_t i = 0; i < given.size(); ++i) end_with(given[i].handle(), told[i]);
    }
};

// Of what a batch's handler takes and gives: the call of it.
template <class Parameters, class Result>
struct takes_items : std::false_type {};
template <class R, class... A>
struct takes_items<std::tuple<const items<A...> &>, outcomes<R>> : std::true_type {
    using call = batch_call<R, A...>;
    static constexpr bool readable = (has_decode<A>::value && ...);
};

// Whether a callable can be the handler of a batch, as check_handler.
template <class Callable>
constexpr bool check_batch_handler() {
    using told = shape_of<Callable>;
    static_assert(is_called<Callable>(), "stent: a handler must be callable: a function, or an object with an operator()");
    static_assert(!is_called<Callable>() || told::is_known,
                  "stent: a handler must have one operator() that is no template: a lambda without `auto` parameters");
    if constexpr (told::is_known) {
        using takes = takes_items<typename told::parameters, typename told::result>;
        static_assert(told::is_const, "stent: a handler is called by several threads at once: leave `mutable` out, or make its operator() const");
        static_assert(takes::value, "stent: a batch's handler takes `const stent::items<…> &` and gives `stent::outcomes<…>`");
        if constexpr (takes::value) {
            static_assert(takes::readable, "stent: an argument of the handler can't be read from JSON: specialize stent::codec for its type");
            return told::is_const && takes::readable;
        }
    }
    return false;
}

// The same of a function<R(A...)>.
template <class Callable, class R, class... A>
constexpr bool check_typed_batch_handler() {
    using told = shape_of<Callable>;
    static_assert(is_called<Callable>(), "stent: a handler must be callable: a function, or an object with an operator()");
    static_assert(told::is_const, "stent: a handler is called by several threads at once: leave `mutable` out, or make its operator() const");
    if constexpr (is_called<Callable>() && told::is_const) {
        constexpr bool fits = std::is_invocable_r_v<outcomes<R>, const Callable &, const items<A...> &>;
        static_assert(fits, "stent: a batch's handler takes `const stent::items<…> &` of the types that the function is declared to take, and gives `stent::outcomes<…>` of the one that it gives");
        return fits;
    }
    return false;
}

using batch_handler = std::function<void(stent_task **tasks, std::size_t count)>;

}  // namespace detail

}  // namespace stent

// What the library calls: C's linkage, and no exception.
extern "C" {
inline stent_status stent_cpp_batch(void *user_data, stent_task **tasks, std::size_t count) noexcept {
    try {
        (*static_cast<const stent::detail::batch_handler *>(user_data))(tasks, count);
        return STENT_OK;
    } catch (...) {
        // No memory is left even for a failure.
        return STENT_E_PANIC;
    }
}

inline void stent_cpp_free_batch(void *user_data) noexcept { delete static_cast<stent::detail::batch_handler *>(user_data); }
}

#endif
