// JSON as text: enough to read what the library answers and to write what it is asked, without another library.
#ifndef STENT_JSON_HPP
#define STENT_JSON_HPP

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace stent {

// A text that is not the JSON that was asked for: the message says what is there and what would be right.
class bad_json : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

// How a type is written as JSON and read back. Specialize it for types of your own:
//
//   template <> struct stent::codec<order> {
//       static std::string encode(const order &value);
//       static order decode(std::string_view text);
//   };
template <class T, class = void>
struct codec;

namespace detail {

// Can such a value be written as JSON, and read?
template <class T, class = void>
struct has_encode : std::false_type {};
template <class T>
struct has_encode<T, std::void_t<decltype(codec<T>::encode(std::declval<const T &>()))>> : std::true_type {};

template <class T, class = void>
struct has_decode : std::false_type {};
template <class T>
struct has_decode<T, std::enable_if_t<std::is_convertible_v<decltype(codec<T>::decode(std::string_view())), T>>> : std::true_type {};

}  // namespace detail

// A JSON value. Made from a C++ value it is that value's JSON; json::raw takes text that is JSON already, which is
// kept as it is written, so that no number loses a digit.
class json {
public:
    json() : text_("null") {}

    template <class T, class = decltype(codec<std::decay_t<T>>::encode(std::declval<const std::decay_t<T> &>()))>
    json(const T &value) : text_(codec<std::decay_t<T>>::encode(value)) {}

    static json raw(std::string text) {
        json value;
        value.text_ = std::move(text);
        return value;
    }

    // {"name": value, …}
    static json object(const std::vector<std::pair<std::string, json>> &members);

    // [value, …]
    static json array(const std::vector<json> &elements);

    const std::string &text() const { return text_; }

    bool is_null() const { return text_ == "null"; }

    // The value as a C++ value. Throws bad_json.
    template <class T>
    T get() const {
        return codec<T>::decode(text_);
    }

    // A member of an object. Throws bad_json if there is none.
    json operator[](std::string_view name) const;

    // Has the object such a member?
    bool has(std::string_view name) const;

    // The members of an object, in the order in which they are written.
    std::vector<std::pair<std::string, json>> members() const;

    // The elements of an array.
    std::vector<json> elements() const;

private:
    std::string text_;
};

namespace detail {

// A text as a JSON string.
inline std::string quoted(std::string_view text) {
    static const char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += "\\u00";
            out += digits[(c >> 4) & 15];
            out += digits[c & 15];
        } else {
            out += c;
        }
    }
    return out += '"';
}

// Reads one JSON text from left to right.
class reader {
public:
    explicit reader(std::string_view text) : text_(text) { blanks(); }

    // The next value, as it is written.
    std::string_view value() {
        const std::size_t begin = at_;
        if (peek() == '{' || peek() == '[') {
            nested();
        } else if (peek() == '"') {
            skip_string();
        } else {
            while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
        }
        if (at_ == begin) fail("a value");
        const std::string_view found = text_.substr(begin, at_ - begin);
        blanks();
        return found;
    }

    // The next value, a string, without its quotes and escapes.
    std::string string() {
        if (peek() != '"') fail("a string");
        const std::size_t begin = at_ + 1;
        skip_string();
        std::string out;
        for (std::size_t i = begin; i + 1 < at_; ++i) {
            if (text_[i] == '\\') {
                i = unescape(i + 1, out);
            } else {
                out += text_[i];
            }
        }
        blanks();
        return out;
    }

    // Is this the next character? Then it is passed over.
    bool take(char c) {
        if (peek() != c) return false;
        ++at_;
        blanks();
        return true;
    }

    void expect(char c, const char *what) {
        if (!take(c)) fail(what);
    }

    void end() {
        if (at_ != text_.size()) fail("the end");
    }

    [[noreturn]] void fail(const char *expected) const {
        throw bad_json(std::string("JSON: expected ") + expected + " at byte " + std::to_string(at_) + " of " +
                       std::string(text_.substr(0, 200)));
    }

private:
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void blanks() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r' || text_[at_] == '\n')) ++at_;
    }

    void skip_string() {
        for (++at_; peek() != '"'; ++at_) {
            if (peek() == '\\') ++at_;
            if (at_ >= text_.size()) fail("the end of a string");
        }
        ++at_;
    }

    void nested() {
        int depth = 0;
        do {
            if (at_ >= text_.size()) fail("the end of an object or array");
            if (peek() == '"') {
                skip_string();
                continue;
            }
            if (peek() == '{' || peek() == '[') ++depth;
            if (peek() == '}' || peek() == ']') --depth;
            ++at_;
        } while (depth > 0);
    }

    // Four hexadecimal digits.
    std::uint32_t hex(std::size_t at) const {
        std::uint32_t code = 0;
        for (std::size_t i = at; i < at + 4; ++i) {
            const char c = i < text_.size() ? text_[i] : '\0';
            const bool digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'f', upper = c >= 'A' && c <= 'F';
            if (!digit && !lower && !upper) fail("four hexadecimal digits");
            code = code * 16 + static_cast<std::uint32_t>(digit ? c - '0' : lower ? c - 'a' + 10 : c - 'A' + 10);
        }
        return code;
    }

    // What stands after a backslash; gives the place of its last character.
    std::size_t unescape(std::size_t at, std::string &out) const {
        static const std::string_view short_forms = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        const std::size_t index = short_forms.find(text_[at]);
        if (index != std::string_view::npos) {
            out += meanings[index];
            return at;
        }
        if (text_[at] != 'u') fail("an escape that JSON knows");
        std::uint32_t code = hex(at + 1);
        at += 4;
        if (code >= 0xd800 && code < 0xe000) {
            // Half a character, which UTF-8 does not have: the other half must follow.
            const bool more = code < 0xdc00 && text_.substr(at + 1, 2) == "\\u";
            const std::uint32_t low = more ? hex(at + 3) : 0;
            if (low < 0xdc00 || low >= 0xe000) fail("both halves of a character");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
        append_utf8(code, out);
        return at;
    }

    static void append_utf8(std::uint32_t code, std::string &out) {
        const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
        if (code < 0x80) {
            out += static_cast<char>(code);
        } else if (code < 0x800) {
            out += static_cast<char>(0xc0 | (code >> 6));
            tail(0);
        } else if (code < 0x10000) {
            out += static_cast<char>(0xe0 | (code >> 12));
            tail(6), tail(0);
        } else {
            out += static_cast<char>(0xf0 | (code >> 18));
            tail(12), tail(6), tail(0);
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

// Calls take(reader) for each element of an array.
template <class Take>
void each_element(std::string_view text, Take take) {
    reader in(text);
    in.expect('[', "an array");
    if (!in.take(']')) {
        do {
            take(in);
        } while (in.take(','));
        in.expect(']', "']' or ','");
    }
    in.end();
}

// Calls take(name, reader) for each member of an object.
template <class Take>
void each_member(std::string_view text, Take take) {
    reader in(text);
    in.expect('{', "an object");
    if (!in.take('}')) {
        do {
            const std::string name = in.string();
            in.expect(':', "':'");
            take(name, in);
        } while (in.take(','));
        in.expect('}', "'}' or ','");
    }
    in.end();
}

}  // namespace detail

inline json json::object(const std::vector<std::pair<std::string, json>> &members) {
    std::string text = "{";
    for (const auto &[name, value] : members) {
        if (text.size() > 1) text += ',';
        text += detail::quoted(name) + ':' + value.text();
    }
    return raw(text + '}');
}

inline json json::array(const std::vector<json> &elements) {
    std::string text = "[";
    for (const json &element : elements) {
        if (text.size() > 1) text += ',';
        text += element.text();
    }
    return raw(text + ']');
}

inline std::vector<std::pair<std::string, json>> json::members() const {
    std::vector<std::pair<std::string, json>> found;
    detail::each_member(text_, [&](const std::string &name, detail::reader &in) {
        found.emplace_back(name, raw(std::string(in.value())));
    });
    return found;
}

inline std::vector<json> json::elements() const {
    std::vector<json> found;
    detail::each_element(text_, [&](detail::reader &in) { found.push_back(raw(std::string(in.value()))); });
    return found;
}

inline bool json::has(std::string_view name) const {
    for (const auto &member : members()) {
        if (member.first == name) return true;
    }
    return false;
}

inline json json::operator[](std::string_view name) const {
    for (auto &member : members()) {
        if (member.first == name) return member.second;
    }
    throw bad_json("JSON: there is no member " + detail::quoted(name) + " in " + text_.substr(0, 200));
}

}  // namespace stent

#endif
