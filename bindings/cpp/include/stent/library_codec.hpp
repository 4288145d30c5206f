// Values by a JSON library of yours: say once how it reads and writes, and its types are codecs. stent/nlohmann.hpp is
// this for nlohmann/json.
//
//   template <> struct stent::json_library<my::value> {
//       static std::string dump(const my::value &value);           // may throw: then the value can't be carried
//       static my::value parse(std::string_view text);
//       template <class T> static my::value from(const T &value);
//       template <class T> static T to(const my::value &value);
//   };
//
//   template <> struct stent::codec<order> : stent::library_codec<order, my::value> {};
#ifndef STENT_LIBRARY_CODEC_HPP
#define STENT_LIBRARY_CODEC_HPP

#include <exception>

#include "json.hpp"

namespace stent {

template <class Json>
struct json_library;

template <class T, class Json>
struct library_codec {
    static std::string encode(const T &value) {
        return told([&] { return json_library<Json>::dump(json_library<Json>::from(value)); });
    }
    static T decode(std::string_view text) {
        return told([&] { return json_library<Json>::template to<T>(json_library<Json>::parse(text)); });
    }

private:
    // What another library throws of a value, no other attempt would mend.
    template <class Work>
    static auto told(const Work &work) {
        try {
            return work();
        } catch (const bad_json &) {
            throw;
        } catch (const std::exception &why) {
            throw bad_json(why.what());
        }
    }
};

}  // namespace stent

#endif
