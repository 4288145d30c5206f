// For programs that use nlohmann/json: its values as arguments and results, and every type that has to_json and from_json
// for it (NLOHMANN_DEFINE_TYPE_INTRUSIVE and its like make them).
#ifndef STENT_NLOHMANN_HPP
#define STENT_NLOHMANN_HPP

#include <cmath>
#include <nlohmann/json.hpp>

#include "library_codec.hpp"

namespace stent {

namespace detail {

template <class Json>
struct nlohmann_library {
    static std::string dump(const Json &value) {
        check(value);
        return value.dump();
    }
    static Json parse(std::string_view text) { return Json::parse(text); }
    template <class T>
    static Json from(const T &value) {
        return Json(value);
    }
    template <class T>
    static T to(const Json &value) {
        return value.template get<T>();
    }

private:
    // It would be written as null.
    static void check(const Json &value) {
        if (value.is_number_float() && !std::isfinite(value.template get<double>())) {
            throw bad_json("JSON has no infinity and no NaN; send null or a text instead");
        }
        if (value.is_structured()) {
            for (const Json &element : value) check(element);
        }
    }
};

}  // namespace detail

template <>
struct json_library<nlohmann::json> : detail::nlohmann_library<nlohmann::json> {};

template <>
struct json_library<nlohmann::ordered_json> : detail::nlohmann_library<nlohmann::ordered_json> {};

template <class T, class Json = nlohmann::json>
using nlohmann_codec = library_codec<T, Json>;

template <>
struct codec<nlohmann::json> : nlohmann_codec<nlohmann::json> {};

template <>
struct codec<nlohmann::ordered_json> : nlohmann_codec<nlohmann::ordered_json, nlohmann::ordered_json> {};

// Found beside the type, as nlohmann/json finds them. One of your own goes before it.
template <class T>
struct codec<T, std::void_t<decltype(to_json(std::declval<nlohmann::json &>(), std::declval<const T &>())),
                            decltype(from_json(std::declval<const nlohmann::json &>(), std::declval<T &>()))>>
    : nlohmann_codec<T> {};

}  // namespace stent

#endif
