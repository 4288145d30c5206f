// C++ values as JSON and back.
#include <stent/nlohmann.hpp>

#include "house.hpp"

using namespace house;

namespace {

struct point {
    int x, y;
};

template <class T>
void comes_back(const T &value, const std::string &text) {
    CHECK(json(value).text() == text);
    CHECK(json::raw(text).get<T>() == value);
}

}  // namespace

template <>
struct stent::codec<point> {
    static std::string encode(const point &p) { return json::array({p.x, p.y}).text(); }
    static point decode(std::string_view text) {
        const auto [x, y] = stent::codec<std::tuple<int, int>>::decode(text);
        return {x, y};
    }
};

TEST_CASE("values come back as they were") {
    comes_back(true, "true");
    comes_back(-7, "-7");
    comes_back(std::numeric_limits<std::uint64_t>::max(), "18446744073709551615");
    comes_back(0.1, "0.10000000000000001");
    comes_back(std::string("a\"b\\c\n\x01 ü"), R"("a\"b\\c\u000a\u0001 ü")");
    comes_back(std::optional<int>(), "null");
    comes_back(std::optional<int>(3), "3");
    comes_back(std::vector<std::string>{"a", "]"}, R"(["a","]"])");
    comes_back(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}}, R"({"a":[1],"b":[]})");
    comes_back(std::tuple<int, std::string>(1, "x"), R"([1,"x"])");
    CHECK(json::raw(R"("\u00fc\ud83d\ude00\/")").get<std::string>() == "ü😀/");
    CHECK(json::raw("[[1,2],[3,4]]").get<std::vector<point>>().at(1).y == 4);
    CHECK(args("ada", 1, nullptr, 1500ms).text() == R"(["ada",1,null,1.500000])");
    CHECK(json(1us).text() == "0.000001");
}

TEST_CASE("bytes are base64") {
    using bytes = std::vector<std::uint8_t>;
    comes_back(bytes{}, R"({"$base64":""})");
    comes_back(bytes{0xff}, R"({"$base64":"/w=="})");
    comes_back(bytes{0xff, 0}, R"({"$base64":"/wA="})");
    comes_back(bytes{'1', '2', '3'}, R"({"$base64":"MTIz"})");
    comes_back(bytes{0xfb, 0xff, 0xfe, 0x01}, R"({"$base64":"+//+AQ=="})");
    comes_back(std::vector<std::byte>{std::byte{'1'}}, R"({"$base64":"MQ=="})");
    CHECK(json::raw("[1,255]").get<bytes>() == bytes{1, 255});
    for (const char *bad : {R"({"$base64":"%%%%"})", R"({"$base64":"MQ"})", R"({"$base64":"MQ==MQ=="})", "[256]", "{}"}) {
        CHECK_THROWS_AS(json::raw(bad).get<bytes>(), stent::bad_json);
    }
}

TEST_CASE("times come back to the microsecond") {
    for (const char *text : {"1970-01-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z", "2000-03-01T00:00:00.000001Z",
                             "1969-12-31T23:59:59.500000Z", "2100-12-31T12:00:00.000000Z", "1904-02-29T01:02:03.000004Z"}) {
        CHECK(json(json(text).get<stent::time_point>()).get<std::string>() == text);
    }
    CHECK(json("2001-09-09T01:46:40.000000Z").get<stent::time_point>().time_since_epoch() == 1000000000s);
    CHECK_THROWS_AS(json("yesterday").get<stent::time_point>(), stent::bad_json);
}

TEST_CASE("what is not there is said") {
    CHECK_THROWS_AS(json::raw("1.5").get<int>(), stent::bad_json);
    CHECK_THROWS_AS(json::raw("300").get<std::uint8_t>(), stent::bad_json);
    CHECK_THROWS_AS(json::raw("\"x\"").get<double>(), stent::bad_json);
    CHECK_THROWS_AS(json::raw("1").get<std::string>(), stent::bad_json);
    for (const char *half : {R"("\ud83d")", R"("\ud83d\u0041")", R"("\ude00")", R"("\ud83d\ud83d\ude00")", R"("\ud83d\)"}) {
        CHECK_THROWS_AS(json::raw(half).get<std::string>(), stent::bad_json);
    }
    CHECK_THROWS_AS(json::raw("[1").elements(), stent::bad_json);
    CHECK_THROWS_AS(json::raw("{\"a\":1}")["b"], stent::bad_json);
    CHECK_THROWS_AS(json(std::numeric_limits<double>::infinity()), stent::bad_json);
    CHECK_THROWS_AS(json(-1s), stent::bad_json);
    CHECK(json::raw("{\"a\" : [1, {\"b\":2}] , \"c\":3}")["a"].elements().at(1)["b"].get<int>() == 2);
}

TEST_CASE("nlohmann's values are values") {
    const nlohmann::json value = {{"a", {1, 2}}};
    comes_back(value, R"({"a":[1,2]})");
    comes_back(nlohmann::ordered_json{{"b", 1}, {"a", 2}}, R"({"b":1,"a":2})");
    CHECK_THROWS_AS(json::raw("{").get<nlohmann::json>(), stent::bad_json);
    CHECK_THROWS_AS(json::raw("{").get<nlohmann::ordered_json>(), stent::bad_json);
}
