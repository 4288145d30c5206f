// A store of your own: one function that answers the backend protocol.
#ifndef STENT_CUSTOM_HPP
#define STENT_CUSTOM_HPP

#include "executor.hpp"

namespace stent {

// Is given an operation ("get_task") and its request, and gives the response. It throws a stent::error of another store
// as it is, stent::conflict_in_store and stent::missing_in_store for what is there already and what is not; whatever
// else it throws is a store in trouble. Called on threads of the library, several at once.
using store_function = std::function<json(const std::string &operation, const json &request)>;

class conflict_in_store : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class missing_in_store : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

inline void answer(const store_function &function, const char *operation, const char *request, stent_reply *reply) {
    try {
        stent_reply_ok(reply, function(operation, json::raw(request)).text().c_str());
    } catch (const error &why) {
        stent_reply_error(reply, static_cast<stent_status>(why.status()), why.what(), why.details().text().c_str());
    } catch (const conflict_in_store &why) {
        stent_reply_error(reply, STENT_E_CONFLICT, why.what(), nullptr);
    } catch (const missing_in_store &why) {
        stent_reply_error(reply, STENT_E_NOT_FOUND, why.what(), nullptr);
    } catch (...) {
        stent_reply_error(reply, STENT_E_BACKEND, failure_of_exception().what(), nullptr);
    }
}

}  // namespace detail

}  // namespace stent

extern "C" {
inline void stent_cpp_store(void *user_data, const char *operation, const char *request, stent_reply *reply) noexcept {
    try {
        stent::detail::answer(*static_cast<const stent::store_function *>(user_data), operation, request, reply);
    } catch (...) {
        // No memory is left for the error's text.
        stent_reply_error(reply, STENT_E_BACKEND, nullptr, nullptr);
    }
}

inline void stent_cpp_free_store(void *user_data) noexcept { delete static_cast<stent::store_function *>(user_data); }
}

namespace stent {

// Makes a store of a function. It answers the protocol's operations, or those that are named.
inline backend custom_backend(store_function function, const custom_options &options = {}, const strings &operations = {}) {
    if (!function) throw std::invalid_argument("stent: the function of a custom store is empty");
    detail::log_from_the_start();
    auto owned = std::make_unique<store_function>(std::move(function));
    const std::string options_text = options.text(), operations_text = json(operations).text();
    stent_backend_vtable table{};
    table.struct_size = sizeof table;
    table.call = stent_cpp_store;
    table.operations = operations.empty() ? nullptr : operations_text.c_str();
    table.options = options_text.c_str();
    detail::problem why;
    stent_backend *made = nullptr;
    why.check(stent_backend_custom(&table, owned.release(), stent_cpp_free_store, &made, why));
    return backend(made);
}

}  // namespace stent

#endif
