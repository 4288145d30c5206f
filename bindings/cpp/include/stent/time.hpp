// Times: RFC 3339 in JSON, std::chrono here.
#ifndef STENT_TIME_HPP
#define STENT_TIME_HPP

#include <chrono>
#include <cstdio>

#include "values.hpp"

namespace stent {

using time_point = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

namespace detail {

// Days since 1970-01-01 of a date in the Gregorian calendar; years are counted from March, so that the leap day is last.
inline std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) {
    if (month <= 2) --year;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400, in_era = year - era * 400;
    const std::int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

// A time as the library writes it: "2026-01-02T03:04:05.678901Z".
inline time_point read_time(const std::string &text) {
    int year, month, day, hour, minute, second, micros, end = 0;
    if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ%n", &year, &month, &day, &hour, &minute, &second, &micros,
                    &end) != 7 || static_cast<std::size_t>(end) != text.size()) {
        throw bad_json("'" + text + "' is no time in UTC with microseconds, such as 2026-01-02T03:04:05.678901Z");
    }
    const std::int64_t seconds = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return time_point(std::chrono::seconds(seconds) + std::chrono::microseconds(micros));
}

inline std::string write_time(time_point time) {
    const std::int64_t all = time.time_since_epoch().count();
    const std::int64_t micros = (all % 1000000 + 1000000) % 1000000, seconds = (all - micros) / 1000000;
    const std::int64_t in_day = (seconds % 86400 + 86400) % 86400, days = (seconds - in_day) / 86400;
    std::int64_t year = 1970 + days / 366 - 1, month = 1;
    while (days_of(year + 1, 1, 1) <= days) ++year;
    while (month < 12 && days_of(year, month + 1, 1) <= days) ++month;
    const std::int64_t day = days - days_of(year, month, 1) + 1;
    char text[128];
    std::snprintf(text, sizeof text, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%06lldZ", static_cast<long long>(year),
                  static_cast<long long>(month), static_cast<long long>(day), static_cast<long long>(in_day / 3600),
                  static_cast<long long>(in_day / 60 % 60), static_cast<long long>(in_day % 60),
                  static_cast<long long>(micros));
    return text;
}

}  // namespace detail

template <>
struct codec<time_point> {
    static std::string encode(time_point value) { return detail::quoted(detail::write_time(value)); }
    static time_point decode(std::string_view text) { return detail::read_time(codec<std::string>::decode(text)); }
};

}  // namespace stent

#endif
