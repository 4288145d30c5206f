// Bytes as JSON: {"$base64": "…"}. They come out as bytes in every language, whatever they spell.
#ifndef STENT_BYTES_HPP
#define STENT_BYTES_HPP

#include <cstddef>

#include "values.hpp"

namespace stent {

namespace detail {

inline constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

template <class Byte>
std::string to_base64(const std::vector<Byte> &bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto at = [&](std::size_t k) { return k < bytes.size() ? static_cast<std::uint32_t>(bytes[k]) : 0u; };
        const std::uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        for (int k = 0; k < 4; ++k) {
            const bool there = i + static_cast<std::size_t>(k) <= bytes.size();
            out += there ? base64_digits[group >> (18 - 6 * k) & 63] : '=';
        }
    }
    return out;
}

template <class Byte>
std::vector<Byte> from_base64(const std::string &text) {
    if (text.size() % 4 != 0) reader(text).fail("base64");
    std::vector<Byte> bytes;
    for (std::size_t i = 0; i < text.size(); i += 4) {
        const std::size_t filled = text[i + 3] != '=' ? 4 : text[i + 2] != '=' ? 3 : 2;
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            const std::size_t digit = k < filled ? base64_digits.find(text[i + k]) : 0;
            if (digit == std::string_view::npos || (filled < 4 && i + 4 != text.size())) reader(text).fail("base64");
            group = group << 6 | static_cast<std::uint32_t>(digit);
        }
        for (std::size_t k = 0; k + 1 < filled; ++k) bytes.push_back(static_cast<Byte>(group >> (16 - 8 * k) & 255));
    }
    return bytes;
}

// A vector of bytes. An array of numbers is read as well.
template <class Byte>
struct bytes_codec {
    static std::string encode(const std::vector<Byte> &bytes) { return "{\"$base64\":\"" + to_base64(bytes) + "\"}"; }
    static std::vector<Byte> decode(std::string_view text) {
        if (!text.empty() && text.front() == '{') return from_base64<Byte>(json::raw(std::string(text))["$base64"].get<std::string>());
        std::vector<Byte> bytes;
        each_element(text, [&](reader &in) { bytes.push_back(static_cast<Byte>(codec<std::uint8_t>::decode(in.value()))); });
        return bytes;
    }
};

}  // namespace detail

template <>
struct codec<std::vector<std::byte>> : detail::bytes_codec<std::byte> {};

template <>
struct codec<std::vector<std::uint8_t>> : detail::bytes_codec<std::uint8_t> {};

}  // namespace stent

#endif
