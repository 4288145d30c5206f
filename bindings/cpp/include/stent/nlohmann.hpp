// For programs that use nlohmann/json: its values as arguments and results, and types that have to_json and from_json:
//
//   template <> struct stent::codec<order> : stent::nlohmann_codec<order> {};
#ifndef STENT_NLOHMANN_HPP
#define STENT_NLOHMANN_HPP

#include <nlohmann/json.hpp>

#include "json.hpp"

namespace stent {

template <class T, class Json = nlohmann::json>
struct nlohmann_codec {
    static std::string encode(const T &value) { return Json(value).dump(); }
    static T decode(std::string_view text) {
        try {
            return Json::parse(text).template get<T>();
        } catch (const nlohmann::json::exception &why) {
            throw bad_json(why.what());
        }
    }
};

template <>
struct codec<nlohmann::json> : nlohmann_codec<nlohmann::json> {};

template <>
struct codec<nlohmann::ordered_json> : nlohmann_codec<nlohmann::ordered_json, nlohmann::ordered_json> {};

}  // namespace stent

#endif
