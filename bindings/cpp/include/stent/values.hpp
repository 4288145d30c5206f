// C++ values as JSON: numbers, text, optional, vectors, maps, tuples.
#ifndef STENT_VALUES_HPP
#define STENT_VALUES_HPP

#include <charconv>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <limits>
#include <locale>
#include <map>
#include <optional>
#include <sstream>
#include <tuple>
#include <type_traits>

#include "json.hpp"

namespace stent {

template <>
struct codec<json> {
    static std::string encode(const json &value) { return value.text(); }
    static json decode(std::string_view text) { return json::raw(std::string(text)); }
};

template <>
struct codec<std::nullptr_t> {
    static std::string encode(std::nullptr_t) { return "null"; }
};

template <>
struct codec<bool> {
    static std::string encode(bool value) { return value ? "true" : "false"; }
    static bool decode(std::string_view text) {
        if (text != "true" && text != "false") detail::reader(text).fail("true or false");
        return text == "true";
    }
};

template <class T>
struct codec<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>>> {
    static std::string encode(T value) { return std::to_string(value); }
    static T decode(std::string_view text) {
        T value{};
        const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (why != std::errc() || end != text.data() + text.size()) detail::reader(text).fail("a whole number in range");
        return value;
    }
};

// By streams: they can be told to write a point, whatever the program's locale.
template <class T>
struct codec<T, std::enable_if_t<std::is_floating_point_v<T>>> {
    static std::string encode(T value) {
        if (!std::isfinite(value)) throw bad_json("JSON has no infinity and no NaN; send null or a text instead");
        std::ostringstream out;
        out.imbue(std::locale::classic());
        out << std::setprecision(std::numeric_limits<T>::max_digits10) << value;
        return out.str();
    }
    static T decode(std::string_view text) {
        std::istringstream in{std::string(text)};
        in.imbue(std::locale::classic());
        T value{};
        if (!(in >> value) || in.peek() != std::istringstream::traits_type::eof()) detail::reader(text).fail("a number");
        return value;
    }
};

template <>
struct codec<std::string> {
    static std::string encode(const std::string &value) { return detail::quoted(value); }
    static std::string decode(std::string_view text) {
        detail::reader in(text);
        std::string value = in.string();
        in.end();
        return value;
    }
};

template <>
struct codec<std::string_view> {
    static std::string encode(std::string_view value) { return detail::quoted(value); }
};

template <>
struct codec<const char *> {
    static std::string encode(const char *value) { return detail::quoted(value); }
};

template <>
struct codec<char *> : codec<const char *> {};

// Text, such as "1.500000": seconds, to the microsecond.
template <class Rep, class Period>
struct codec<std::chrono::duration<Rep, Period>> {
    static std::string encode(std::chrono::duration<Rep, Period> value) {
        const auto all = std::chrono::ceil<std::chrono::microseconds>(value).count();
        if (all < 0) throw bad_json("a duration of " + std::to_string(all) + " microseconds; it must not be negative");
        const std::string part = std::to_string(all % 1000000);
        return std::to_string(all / 1000000) + '.' + std::string(6 - part.size(), '0') + part;
    }
};

template <class T>
struct codec<std::optional<T>> {
    static std::string encode(const std::optional<T> &value) { return value ? codec<T>::encode(*value) : "null"; }
    static std::optional<T> decode(std::string_view text) {
        if (text == "null") return std::nullopt;
        return codec<T>::decode(text);
    }
};

template <class T>
struct codec<std::vector<T>> {
    static std::string encode(const std::vector<T> &values) {
        std::string text = "[";
        for (const auto &value : values) {
            if (text.size() > 1) text += ',';
            text += codec<T>::encode(value);
        }
        return text + ']';
    }
    static std::vector<T> decode(std::string_view text) {
        std::vector<T> values;
        detail::each_element(text, [&](detail::reader &in) { values.push_back(codec<T>::decode(in.value())); });
        return values;
    }
};

template <class T>
struct codec<std::map<std::string, T>> {
    static std::string encode(const std::map<std::string, T> &values) {
        std::string text = "{";
        for (const auto &[name, value] : values) {
            if (text.size() > 1) text += ',';
            text += detail::quoted(name) + ':' + codec<T>::encode(value);
        }
        return text + '}';
    }
    static std::map<std::string, T> decode(std::string_view text) {
        std::map<std::string, T> values;
        detail::each_member(text, [&](const std::string &name, detail::reader &in) {
            values[name] = codec<T>::decode(in.value());
        });
        return values;
    }
};

// An array of a fixed length, each element with a type of its own.
template <class... T>
struct codec<std::tuple<T...>> {
    static std::string encode(const std::tuple<T...> &values) {
        return std::apply([](const T &...value) { return json::array({json(value)...}).text(); }, values);
    }
    static std::tuple<T...> decode(std::string_view text) { return decode(text, std::index_sequence_for<T...>()); }

private:
    template <std::size_t... I>
    static std::tuple<T...> decode(std::string_view text, std::index_sequence<I...>) {
        const std::vector<json> elements = json::raw(std::string(text)).elements();
        if (elements.size() != sizeof...(T)) {
            throw bad_json("an array of " + std::to_string(elements.size()) + " elements; " +
                           std::to_string(sizeof...(T)) + " are expected: " + std::string(text.substr(0, 200)));
        }
        return std::tuple<T...>{elements[I].template get<T>()...};
    }
};

template <class A, class B>
struct codec<std::pair<A, B>> {
    static std::string encode(const std::pair<A, B> &pair) { return json::array({json(pair.first), json(pair.second)}).text(); }
};

// The arguments of a function: args("ada", 42) is ["ada",42].
class arguments {
public:
    arguments() : text_("[]") {}

    // Arguments that are a JSON array already.
    static arguments raw(std::string array) {
        arguments made;
        made.text_ = std::move(array);
        return made;
    }

    const std::string &text() const { return text_; }

private:
    std::string text_;
};

template <class... T>
arguments args(const T &...values) {
    return arguments::raw(json::array({json(values)...}).text());
}

}  // namespace stent

#endif
