// The library's log, and what holds for the whole process.
#ifndef STENT_LOG_HPP
#define STENT_LOG_HPP

#include <functional>
#include <iostream>
#include <mutex>

#include "task.hpp"

namespace stent {

// Is given a line of the library's log: {"time", "level", "target", "message", "fields", "lost"}, as in stent.h. Called on
// a thread of its own, one line at a time; what it throws is lost.
using log_handler = std::function<void(level, const json &)>;

}  // namespace stent

extern "C" {
inline void stent_cpp_log(void *user_data, std::int32_t level, const char *line) noexcept {
    try {
        (*static_cast<stent::log_handler *>(user_data))(static_cast<stent::level>(level), stent::json::raw(line));
    } catch (...) {
        // There is nobody to tell: what failed is the log.
    }
}

inline void stent_cpp_free_log(void *user_data) noexcept { delete static_cast<stent::log_handler *>(user_data); }
}

namespace stent {

namespace detail {

// Whether somebody has said where the process's log goes.
struct log_place {
    std::mutex mutex;
    bool is_given = false;
};

inline log_place &process_log() {
    static log_place place;
    return place;
}

inline void give_log(log_handler handler, const log_options &options) {
    problem why;
    if (handler) {
        auto owned = std::make_unique<log_handler>(std::move(handler));
        why.check(stent_set_log_handler(options.text().c_str(), stent_cpp_log, owned.release(), stent_cpp_free_log, why));
    } else {
        why.check(stent_set_log_handler(options.text().c_str(), nullptr, nullptr, nullptr, why));
    }
    process_log().is_given = true;
}

// "stent: warn: what was said (function=greet task=…)"
inline void write_log(level of, const json &line) {
    std::string text = of == level::error ? "stent: error: " : of == level::warn ? "stent: warn: " : "stent: ";
    text += line["message"].get<std::string>();
    const char *joint = " (";
    for (const auto &[name, value] : line["fields"].members()) {
        text += joint + name + '=' + value.get<std::string>();
        joint = " ";
    }
    if (*joint == ' ' && joint[1] == '\0') text += ')';
    std::clog << text + '\n' << std::flush;
}

// Before the first store: warnings and errors are heard from the start.
inline void log_from_the_start() {
    const std::lock_guard<std::mutex> lock(process_log().mutex);
    if (!process_log().is_given) give_log(write_log, log_options().level("warn"));
}

}  // namespace detail

// Hands the library's log to `handler`, one line at a time; an empty one ends that. Until this is called its warnings and
// errors go to std::clog. options: the least level that is wanted.
inline void set_log_handler(log_handler handler, const log_options &options = {}) {
    const std::lock_guard<std::mutex> lock(detail::process_log().mutex);
    detail::give_log(std::move(handler), options);
}

// What holds for the whole process, before the first handle is made.
inline void configure(const configure_options &options) {
    detail::problem why;
    why.check(stent_configure(options.text().c_str(), why));
}

}  // namespace stent

#endif
