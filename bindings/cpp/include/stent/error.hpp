// What goes wrong: errors that the library's calls throw, and failures that handlers throw to end their task.
#ifndef STENT_ERROR_HPP
#define STENT_ERROR_HPP

#include <stent.h>

#include <exception>
#include <memory>
#include <string>
#if __has_include(<cxxabi.h>)
#include <cxxabi.h>

#include <cstdlib>
#endif

#include "bytes.hpp"
#include "values.hpp"

namespace stent {

// What a call answers, as in stent.h.
enum class status : std::int32_t {
    ok = STENT_OK,
    pending = STENT_PENDING,
    suspend = STENT_SUSPEND,
    invalid = STENT_E_INVALID,
    not_found = STENT_E_NOT_FOUND,
    conflict = STENT_E_CONFLICT,
    timeout = STENT_E_TIMEOUT,
    cancelled = STENT_E_CANCELLED,
    closed = STENT_E_CLOSED,
    lease_lost = STENT_E_LEASE_LOST,
    nondeterminism = STENT_E_NONDETERMINISM,
    failed = STENT_E_FAILED,
    backend = STENT_E_BACKEND,
    unsupported = STENT_E_UNSUPPORTED,
    wrong_thread = STENT_E_WRONG_THREAD,
    forked = STENT_E_FORKED,
    panic = STENT_E_PANIC,
};

// Why a task failed, in the shape that all languages share. A handler throws one to fail its task:
//
//   throw stent::failure("CardDeclined", "the card was declined").code("51").retryable(false);
class failure : public std::exception {
public:
    failure(std::string type, std::string message) : type_(std::move(type)), message_(std::move(message)) {}

    // From its JSON.
    explicit failure(const json &from) : failure(from["type"].get<std::string>(), "") {
        for (const auto &[name, value] : from.members()) {
            if (value.is_null()) continue;
            if (name == "message") message_ = value.get<std::string>();
            if (name == "code") code_ = value.get<std::string>();
            if (name == "retryable") retryable_ = value.get<bool>();
            if (name == "retry_after") retry_after_ = value;
            if (name == "details") details_ = value;
            if (name == "stack") stack_ = value.get<std::string>();
        }
    }

    const char *what() const noexcept override { return message_.c_str(); }
    const std::string &type() const { return type_; }
    const std::string &message() const { return message_; }
    const std::optional<std::string> &code() const { return code_; }
    bool retryable() const { return retryable_; }
    const json &retry_after() const { return retry_after_; }
    const json &details() const { return details_; }
    const std::optional<std::string> &stack() const { return stack_; }

    failure &code(std::string value) { return code_ = std::move(value), *this; }
    failure &retryable(bool value) { return retryable_ = value, *this; }
    // No attempt sooner than in so many seconds; or the text of an HTTP header Retry-After, as it came.
    failure &retry_after(json value) { return retry_after_ = std::move(value), *this; }
    failure &details(json value) { return details_ = std::move(value), *this; }
    failure &stack(std::string value) { return stack_ = std::move(value), *this; }

    std::string text() const {
        return json::object({{"type", type_},
                             {"message", message_},
                             {"code", code_},
                             {"retryable", retryable_},
                             {"retry_after", retry_after_},
                             {"details", details_},
                             {"stack", stack_}})
            .text();
    }

private:
    std::string type_, message_;
    std::optional<std::string> code_, stack_;
    bool retryable_ = true;
    json retry_after_, details_;
};

// A call that failed: its status, a message for people, and the rest as JSON. The classes below are for those that a
// caller tells apart.
class error : public std::runtime_error {
public:
    error(stent::status status, const std::string &json_text, const std::string &message)
        : std::runtime_error(message), status_(status), json_(json::raw(json_text)) {}

    stent::status status() const { return status_; }

    // "NOT_FOUND", and so on.
    const char *status_name() const { return stent_status_name(static_cast<stent_status>(status_)); }

    // The same call may succeed later.
    bool retryable() const { return json_["retryable"].get<bool>(); }

    // Facts for programs, such as the option that was unknown and those that are known.
    json details() const { return json_["details"]; }

    // The whole error, as stent_error_json gives it.
    const json &as_json() const { return json_; }

private:
    stent::status status_;
    json json_;
};

struct not_found : error {
    using error::error;
};

struct conflict : error {
    using error::error;
};

struct timeout : error {
    using error::error;
};

struct cancelled : error {
    using error::error;
};

struct lease_lost : error {
    using error::error;
};

// A child or an execution failed: its failure is here.
struct failed : error {
    using error::error;

    stent::failure failure() const { return stent::failure(as_json()["failure"]); }
};

namespace detail {

// Leaves the handler by the shortest way, for a suspension and for what else ends a run before its end. It is no
// std::exception, so that a handler's `catch (const std::exception &)` lets it pass.
struct unwinding {};

[[noreturn]] inline void raise(stent_status code, const std::string &text, const std::string &message) {
    const auto status = static_cast<stent::status>(code);
    switch (status) {
        case status::not_found: throw not_found(status, text, message);
        case status::conflict: throw conflict(status, text, message);
        case status::timeout: throw timeout(status, text, message);
        case status::cancelled: throw cancelled(status, text, message);
        case status::lease_lost: throw lease_lost(status, text, message);
        case status::failed: throw failed(status, text, message);
        default: throw error(status, text, message);
    }
}

// The last parameter of a call: `problem why; why.check(stent_…(…, why));`
class problem {
public:
    problem() = default;
    problem(const problem &) = delete;
    problem &operator=(const problem &) = delete;
    ~problem() { stent_error_free(error_); }

    operator stent_error **() { return &error_; }

    void check(stent_status status) const {
        if (status >= 0) return;
        raise(status, stent_error_json(error_), stent_error_message(error_));
    }

private:
    stent_error *error_ = nullptr;
};

// A text that the library gave: freed with its owner.
class owned_text {
public:
    owned_text() = default;
    owned_text(const owned_text &) = delete;
    owned_text &operator=(const owned_text &) = delete;
    ~owned_text() { stent_free(text_); }

    operator char **() { return &text_; }

    bool empty() const { return text_ == nullptr; }
    std::string string() const { return text_ ? text_ : "null"; }
    json value() const { return json::raw(string()); }

    template <class T>
    T as() const {
        if constexpr (!std::is_void_v<T>) return codec<T>::decode(string());
    }

private:
    char *text_ = nullptr;
};

// The type of the exception that is being handled, as its author wrote it.
inline std::string type_of_exception() {
#if __has_include(<cxxabi.h>)
    if (const std::type_info *type = abi::__cxa_current_exception_type()) {
        int status = 0;
        const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(type->name(), nullptr, nullptr, &status),
                                                               &std::free);
        return name ? name.get() : type->name();
    }
#endif
    return "exception";
}

// The exception that is being handled as a task's failure.
inline failure failure_of_exception() {
    try {
        throw;
    } catch (const failure &thrown) {
        return thrown;
    } catch (const failed &thrown) {
        return thrown.failure();
    } catch (const error &thrown) {
        // A mistake of the handler's, which it makes again.
        const bool is_mistake = thrown.status() == status::invalid;
        return failure(thrown.status_name(), thrown.what()).retryable(!is_mistake).details(thrown.as_json());
    } catch (const bad_json &thrown) {
        // What can't be carried, or is of another type than was asked for, is so in the next attempt too.
        return failure(type_of_exception(), thrown.what()).retryable(false);
    } catch (const std::exception &thrown) {
        return failure(type_of_exception(), thrown.what());
    } catch (...) {
        return failure(type_of_exception(), "an exception that is no std::exception");
    }
}

}  // namespace detail

}  // namespace stent

#endif
