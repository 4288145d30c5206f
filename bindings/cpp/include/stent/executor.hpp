// The client's and the worker's side: stores, executors, workers, and the library as a whole.
#ifndef STENT_EXECUTOR_HPP
#define STENT_EXECUTOR_HPP

#include "batch.hpp"
#include "log.hpp"
#include "operations.hpp"
#include "run.hpp"

// The tokens of C++20, where the compiler has them.
#if __cplusplus >= 202002L && __has_include(<stop_token>)
#include <stop_token>
#define STENT_STOP_TOKEN
#endif

// What the library calls: C's linkage, and no exception.
extern "C" {
inline stent_status stent_cpp_handler(void *user_data, stent_task *task) noexcept {
    stent::detail::run_state state;
    return stent::detail::run(task, state, *static_cast<const stent::detail::handler *>(user_data));
}

inline void stent_cpp_free_handler(void *user_data) noexcept { delete static_cast<stent::detail::handler *>(user_data); }
}

namespace stent {

using timeout_ms = std::chrono::milliseconds;

// As long as it takes.
inline constexpr timeout_ms forever{-1};

namespace detail {

// How long one wait is that is made again and again, to see whether it is still wanted.
inline constexpr timeout_ms slice{100};

// Has an execution come to its end within a slice?
inline bool waited(stent_executor *executor, const std::string &id) {
    problem why;
    owned_text execution;
    const stent_status status = stent_executor_wait(executor, id.c_str(), slice.count(), execution, why);
    if (status != STENT_E_TIMEOUT) why.check(status);
    return status >= 0;
}

template <class T, void (*free)(T *)>
struct freed_by {
    void operator()(T *handle) const { free(handle); }
};

template <class T, void (*free)(T *)>
using handle = std::unique_ptr<T, freed_by<T, free>>;

template <class T>
struct same_type {
    using type = T;
};

// T, which is not read off an argument.
template <class T>
using same = typename same_type<T>::type;

// A std::function or a pointer that is empty would be called all the same.
template <class Callable>
void refuse_empty(const Callable &callable, const std::string &function) {
    if constexpr (std::is_constructible_v<bool, const Callable &>) {
        if (!static_cast<bool>(callable)) throw std::invalid_argument("stent: the handler of '" + function + "' is empty");
    }
}

}  // namespace detail

#ifdef STENT_STOP_TOKEN
// A wait was left because a stop was asked for.
class stopped : public std::runtime_error {
public:
    stopped() : std::runtime_error("stent: a stop was asked for") {}
};

namespace detail {

template <class Waited>
void wait_for(const std::stop_token &stop, const Waited &waited) {
    while (!waited()) {
        if (stop.stop_requested()) throw stopped();
    }
}

}  // namespace detail
#endif

// An open store: a file ("workflow.db"), ":memory:", or a PostgreSQL database ("postgresql://user@host/database").
class backend {
public:
    explicit backend(const std::string &url) { open(url, nullptr); }
    backend(const std::string &url, const sqlite_options &options) { open(url, options.text().c_str()); }

    // Takes over a handle of the C API.
    explicit backend(stent_backend *opened) : handle_(opened) {}

    // One operation of the backend protocol: the way to look at records and to repair them.
    json call(operation what, const json &request = json::object({})) {
        detail::problem why;
        detail::owned_text response;
        why.check(stent_backend_call(handle_.get(), name_of(what), request.text().c_str(), response, why));
        return response.value();
    }

    // Runs the conformance suite against this store, whoever wrote it, and gives the report of stent_backend_check:
    // "level", "passed", "failed", "not_offered", "given_up", "cases". It wants a store of its own, without a worker.
    json check(const check_options &options = {}) {
        detail::problem why;
        detail::owned_text report;
        why.check(stent_backend_check(handle_.get(), options.text().c_str(), report, why));
        return report.value();
    }

    // Copies the store to a new file, as it is at one moment, while workers go on. For SQLite; other stores have tools of
    // their own: throws a stent::error of status unsupported.
    void backup(const std::string &path) {
        detail::problem why;
        why.check(stent_backend_backup(handle_.get(), path.c_str(), nullptr, why));
    }

    // Connections, files and locks go now. Not in a handler. Throws stent::conflict while a worker runs on it.
    void close() {
        detail::problem why;
        why.check(stent_backend_close(handle_.get(), why));
    }

    // stent::shutdown for what was made from this store: for a library in a program that has stores of its own.
    void shutdown(timeout_ms timeout = forever) {
        detail::problem why;
        why.check(stent_backend_shutdown(handle_.get(), timeout.count(), why));
    }

    stent_backend *handle() const { return handle_.get(); }

private:
    void open(const std::string &url, const char *options) {
        detail::log_from_the_start();
        detail::problem why;
        stent_backend *opened = nullptr;
        why.check(stent_backend_open(url.c_str(), options, &opened, why));
        handle_.reset(opened);
    }

    detail::handle<stent_backend, stent_backend_free> handle_;
};

// Runs the handlers of an executor's functions. Its destructor stops it and waits until no handler runs any more, as
// std::jthread's does; in a handler it drains only.
class worker {
public:
    explicit worker(stent_worker *started) : handle_(started) {}
    worker(worker &&) = default;
    worker &operator=(worker &&other) {
        finish();
        handle_ = std::move(other.handle_);
        return *this;
    }
    ~worker() { finish(); }

    // What it is doing: "state", "running", "slots" and more, as in stent_worker_status.
    json status() const {
        detail::problem why;
        detail::owned_text text;
        why.check(stent_worker_status(handle_.get(), text, why));
        return text.value();
    }

    // Waits for "ready", "draining" or "stopped". Throws stent::timeout.
    void wait(const std::string &state, timeout_ms timeout = forever) const {
        detail::problem why;
        why.check(stent_worker_wait(handle_.get(), state.c_str(), timeout.count(), why));
    }

#ifdef STENT_STOP_TOKEN
    // The same until a stop is asked for: then it throws stent::stopped.
    void wait(const std::string &state, const std::stop_token &stop) const {
        detail::wait_for(stop, [&] {
            detail::problem why;
            const stent_status status = stent_worker_wait(handle_.get(), state.c_str(), detail::slice.count(), why);
            if (status != STENT_E_TIMEOUT) why.check(status);
            return status >= 0;
        });
    }
#endif

    // Takes nothing new from now on; what runs comes to its end, and then it is "stopped".
    void drain() {
        detail::problem why;
        why.check(stent_worker_drain(handle_.get(), why));
    }

    // Drains and waits. Throws stent::timeout when handlers were still running: other workers take their tasks.
    void stop(timeout_ms timeout = forever) {
        detail::problem why;
        why.check(stent_worker_stop(handle_.get(), timeout.count(), why));
    }

    stent_worker *handle() const { return handle_.get(); }

private:
    // Where it can't be waited for, or is stopped already, freeing drains it.
    void finish() noexcept {
        if (handle_) static_cast<void>(stent_worker_stop(handle_.get(), -1, nullptr));
    }

    detail::handle<stent_worker, stent_worker_free> handle_;
};

class executor;

// An execution whose result is an R. It must not outlive its executor.
template <class R>
class started {
public:
    started(executor &of, std::string id) : executor_(&of), id_(std::move(id)) {}

    const std::string &id() const { return id_; }

    // Waits for the result. Throws stent::failed, stent::cancelled or stent::timeout.
    R result(timeout_ms timeout = forever) const;

private:
    executor *executor_;
    std::string id_;
};

// Registers functions, starts and watches executions, starts workers.
class executor {
public:
    explicit executor(const backend &store) {
        detail::problem why;
        stent_executor *made = nullptr;
        why.check(stent_executor_new(store.handle(), nullptr, &made, why));
        handle_.reset(made);
    }

    // The handler of a function: a callable that takes `stent::task &` and then the arguments as C++ values, or the
    // task alone and reads them by task.args(). It is owned by the library, called on the library's threads, several at
    // once, and destroyed when the executor and its workers are gone.
    template <class Callable>
    void handle(const std::string &function, Callable callable, const function_options &options = {}) {
        if constexpr (detail::check_handler<Callable>()) {
            detail::refuse_empty(callable, function);
            own(function, [callable = std::move(callable)](task &lent) { return detail::invoke(callable, lent); }, options);
        }
    }

    // The same of a function with types, which the handler's must be.
    template <class R, class... A, class Callable>
    void handle(const stent::function<R(A...)> &function, Callable callable, const function_options &options = {}) {
        if constexpr (detail::check_typed_handler<Callable, R, A...>()) {
            detail::refuse_empty(callable, function.name());
            const auto typed = [callable = std::move(callable)](task &lent, A... args) -> R {
                return callable(lent, std::move(args)...);
            };
            own(function.name(), [typed](task &lent) { return detail::invoke(typed, lent); }, options);
        }
    }

    // A handler that takes many tasks of a function in one call, for what costs as much for a hundred rows as for one: a
    // callable that takes `const stent::items<…> &`, with the types of the function's arguments, and gives
    // `stent::outcomes<…>` of its result, one for each item in their order. Each task has its own retries, time-out and cancel.
    // What the handler throws counts for all of them. Owned, called and destroyed as by handle().
    template <class Callable>
    void handle_batch(const std::string &function, Callable callable, const batch_options &batch = {}, const function_options &options = {}) {
        if constexpr (detail::check_batch_handler<Callable>()) {
            using told = detail::shape_of<Callable>;
            own_batch<typename detail::takes_items<typename told::parameters, typename told::result>::call>(
                function, std::move(callable), batch, options);
        }
    }

    // The same of a function with types, which the handler's must be.
    template <class R, class... A, class Callable>
    void handle_batch(const stent::function<R(A...)> &function, Callable callable, const batch_options &batch = {},
                      const function_options &options = {}) {
        if constexpr (detail::check_typed_batch_handler<Callable, R, A...>()) {
            own_batch<detail::batch_call<R, A...>>(function.name(), std::move(callable), batch, options);
        }
    }

    // Takes a function's handler back: workers that are started from now on don't have it, those that run keep it. The name
    // may be registered anew. Throws stent::not_found when it is not registered here.
    void unregister(const std::string &function) {
        detail::problem why;
        why.check(stent_executor_unregister(handle_.get(), function.c_str(), why));
    }

    template <class R, class... A>
    void unregister(const stent::function<R(A...)> &function) {
        unregister(function.name());
    }

    // A worker for the functions that are registered by now.
    stent::worker start_worker(const worker_options &options = {}) { return start_worker(json(options)); }

    // The same, with options that are JSON already.
    stent::worker start_worker(const json &options) {
        detail::problem why;
        stent_worker *started = nullptr;
        why.check(stent_worker_start(handle_.get(), options.text().c_str(), nullptr, &started, why));
        return stent::worker(started);
    }

    // Starts an execution, and returns its id when that is durable.
    std::string dispatch(const std::string &function, const arguments &args = {}, const dispatch_options &options = {}) {
        detail::problem why;
        detail::owned_text id;
        why.check(stent_executor_dispatch(handle_.get(), function.c_str(), args.text().c_str(), options.text().c_str(), id,
                                          why));
        return id.string();
    }

    // The same of a function with types: executor.dispatch(greet("ada")).result(10s).
    template <class R>
    started<R> dispatch(const request<R> &made, const dispatch_options &options = {}) {
        return {*this, dispatch(made.function, made.args, options)};
    }

    std::vector<std::string> dispatch_many(const std::vector<dispatch_request> &requests) {
        const std::vector<json> list(requests.begin(), requests.end());
        detail::problem why;
        detail::owned_text ids;
        why.check(stent_executor_dispatch_many(handle_.get(), json::array(list).text().c_str(), ids, why));
        return ids.as<std::vector<std::string>>();
    }

    // Waits until it is over: the execution as state() gives it. Throws stent::timeout.
    json wait(const std::string &id, timeout_ms timeout = forever) {
        detail::problem why;
        detail::owned_text execution;
        why.check(stent_executor_wait(handle_.get(), id.c_str(), timeout.count(), execution, why));
        return execution.value();
    }

    // Waits for the result. Throws stent::failed, stent::cancelled or stent::timeout.
    template <class R = json>
    R result(const std::string &id, timeout_ms timeout = forever) {
        detail::problem why;
        detail::owned_text text;
        why.check(stent_executor_result(handle_.get(), id.c_str(), timeout.count(), text, why));
        return text.as<R>();
    }

#ifdef STENT_STOP_TOKEN
    // The same until a stop is asked for: then they throw stent::stopped.
    json wait(const std::string &id, const std::stop_token &stop) {
        detail::wait_for(stop, [&] { return detail::waited(handle_.get(), id); });
        return wait(id);
    }

    template <class R = json>
    R result(const std::string &id, const std::stop_token &stop) {
        detail::wait_for(stop, [&] { return detail::waited(handle_.get(), id); });
        return result<R>(id);
    }
#endif

    // The execution as it is now, with progress, counters and state values.
    json state(const std::string &id) {
        detail::problem why;
        detail::owned_text execution;
        why.check(stent_executor_state(handle_.get(), id.c_str(), execution, why));
        return execution.value();
    }

    std::vector<json> list(const execution_filter &filter = {}) {
        detail::problem why;
        detail::owned_text executions;
        why.check(stent_executor_list(handle_.get(), filter.text().c_str(), executions, why));
        return executions.value().elements();
    }

    void signal(const std::string &id, const std::string &name, const json &payload = {}, const signal_options &options = {}) {
        detail::problem why;
        why.check(stent_executor_signal(handle_.get(), id.c_str(), name.c_str(), payload.text().c_str(),
                                        options.text().c_str(), why));
    }

    // The same of a signal with a type.
    template <class P>
    void send(const std::string &id, const stent::signal<P> &of, const detail::same<P> &payload, const signal_options &options = {}) {
        signal(id, of.name(), json(payload), options);
    }

    void cancel(const std::string &id, const std::string &reason = {}) {
        detail::problem why;
        why.check(stent_executor_cancel(handle_.get(), id.c_str(), reason.empty() ? nullptr : reason.c_str(), why));
    }

    // JSON, or with stats_options().format("prometheus") its text format.
    std::string stats(const stats_options &options = {}) {
        detail::problem why;
        detail::owned_text stats;
        why.check(stent_executor_stats(handle_.get(), options.text().c_str(), stats, why));
        return stats.string();
    }

    std::vector<json> dead_letters(const dead_letter_filter &filter = {}) {
        detail::problem why;
        detail::owned_text letters;
        why.check(stent_executor_dead_letters(handle_.get(), filter.text().c_str(), letters, why));
        return letters.value().elements();
    }

    // A new execution from a dead letter: {"execution_id", "replay_of"}.
    json replay_dead_letter(const std::string &task_id) {
        detail::problem why;
        detail::owned_text ids;
        why.check(stent_executor_replay_dead_letter(handle_.get(), task_id.c_str(), nullptr, ids, why));
        return ids.value();
    }

    void discard_dead_letter(const std::string &task_id) {
        detail::problem why;
        why.check(stent_executor_discard_dead_letter(handle_.get(), task_id.c_str(), why));
    }

    // Lets a parked task go on.
    void resume(const std::string &task_id) {
        detail::problem why;
        why.check(stent_executor_resume(handle_.get(), task_id.c_str(), nullptr, why));
    }

    // Pauses a queue or a function: when this has returned, no worker claims a task of it any more.
    void pause(const pause_options &options) {
        detail::problem why;
        why.check(stent_executor_pause(handle_.get(), options.text().c_str(), why));
    }

    // Its tasks are claimed again.
    void unpause(const unpause_options &options) {
        detail::problem why;
        why.check(stent_executor_unpause(handle_.get(), options.text().c_str(), why));
    }

    // What is paused: {"queue", "function", "since", "reason", "by", "running"} each; running: what workers still hold of it.
    std::vector<json> pauses() {
        detail::problem why;
        detail::owned_text pauses;
        why.check(stent_executor_pauses(handle_.get(), pauses, why));
        return pauses.value().elements();
    }

    // Removes what ended long ago: {"executions", "dead_letters"}.
    json cleanup(const cleanup_options &options = {}) {
        detail::problem why;
        detail::owned_text report;
        why.check(stent_executor_cleanup(handle_.get(), options.text().c_str(), report, why));
        return report.value();
    }

    // Puts a schedule into the store, in place of one of the same name.
    void put_schedule(const schedule &wanted) {
        detail::problem why;
        why.check(stent_executor_schedule_put(handle_.get(), wanted.text().c_str(), why));
    }

    // Workers that are started from now on put an owner's schedules when they start.
    void declare_schedules(const std::string &owner, const std::vector<schedule> &schedules, const declare_options &options = {}) {
        const std::vector<json> all(schedules.begin(), schedules.end());
        detail::problem why;
        why.check(stent_executor_schedules_declare(handle_.get(), owner.c_str(), json::array(all).text().c_str(),
                                                   options.text().c_str(), why));
    }

    // By name, each with what comes next and what was.
    std::vector<json> schedules(const schedule_filter &filter = {}) {
        detail::problem why;
        detail::owned_text found;
        why.check(stent_executor_schedule_list(handle_.get(), filter.text().c_str(), found, why));
        return found.value().elements();
    }

    void delete_schedule(const std::string &name) {
        detail::problem why;
        why.check(stent_executor_schedule_delete(handle_.get(), name.c_str(), why));
    }

    void pause_schedule(const std::string &name, const schedule_pause_options &options = {}) {
        detail::problem why;
        why.check(stent_executor_schedule_pause(handle_.get(), name.c_str(), options.text().c_str(), why));
    }

    void resume_schedule(const std::string &name) {
        detail::problem why;
        why.check(stent_executor_schedule_resume(handle_.get(), name.c_str(), why));
    }

    // A tick now, and what became of it: {"at", "kind", "state", "execution_id", "decided_at"}.
    std::vector<json> trigger_schedule(const std::string &name, const trigger_options &options = {}) {
        detail::problem why;
        detail::owned_text ticks;
        why.check(stent_executor_schedule_trigger(handle_.get(), name.c_str(), options.text().c_str(), ticks, why));
        return ticks.value().elements();
    }

    // The ticks of a time that is over, but for those that were started.
    std::vector<json> backfill_schedule(const std::string &name, const backfill_options &options) {
        detail::problem why;
        detail::owned_text ticks;
        why.check(stent_executor_schedule_backfill(handle_.get(), name.c_str(), options.text().c_str(), ticks, why));
        return ticks.value().elements();
    }

    // Hands what this executor, its workers and their tasks have to say to a handler of its own; an empty one ends that.
    void set_log_handler(log_handler handler, const log_options &options = {}) {
        detail::problem why;
        if (!handler) {
            return why.check(stent_executor_set_log_handler(handle_.get(), options.text().c_str(), nullptr, nullptr, nullptr, why));
        }
        auto owned = std::make_unique<log_handler>(std::move(handler));
        why.check(stent_executor_set_log_handler(handle_.get(), options.text().c_str(), stent_cpp_log, owned.release(),
                                                 stent_cpp_free_log, why));
    }

    stent_executor *handle() const { return handle_.get(); }

private:
    void own(const std::string &function, detail::handler handler, const function_options &options) {
        auto owned = std::make_unique<detail::handler>(std::move(handler));
        detail::problem why;
        why.check(stent_executor_register(handle_.get(), function.c_str(), options.text().c_str(), stent_cpp_handler,
                                          owned.release(), stent_cpp_free_handler, why));
    }

    template <class Call, class Callable>
    void own_batch(const std::string &function, Callable callable, const batch_options &batch, const function_options &options) {
        detail::refuse_empty(callable, function);
        auto owned = std::make_unique<detail::batch_handler>([callable = std::move(callable)](stent_task **tasks, std::size_t count) {
            Call::run(callable, tasks, count);
        });
        detail::problem why;
        why.check(stent_executor_register_batch(handle_.get(), function.c_str(), options.text().c_str(), batch.text().c_str(),
                                                stent_cpp_batch, owned.release(), stent_cpp_free_batch, why));
    }

    detail::handle<stent_executor, stent_executor_free> handle_;
};

template <class R>
R started<R>::result(timeout_ms timeout) const {
    return executor_->template result<R>(id_, timeout);
}

// Stops every worker, closes every store, and waits for what the library still calls. Not in a handler.
inline void shutdown(timeout_ms timeout = forever) {
    detail::problem why;
    why.check(stent_shutdown(timeout.count(), why));
}

// The library's version, and all that it can do, as in stent_describe.
inline std::string version() { return stent_version(); }
inline json describe() { return json::raw(stent_describe()); }

}  // namespace stent

#endif
