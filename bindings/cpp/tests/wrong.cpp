// What must not compile, and what is said of it: tests/wrong/calls.cpp.
#include <regex>
#include <sstream>

#include "house.hpp"

using namespace house;

TEST_CASE("handlers and calls of wrong types do not compile, and one sentence says why") {
    const folder place;
    const std::string sample = "tests/wrong/calls.cpp", said = place.file("said");
    const char *flags = std::getenv("STENT_CXX_FLAGS");
    REQUIRE_MESSAGE(flags != nullptr, "STENT_CXX_FLAGS has what a program is compiled with; make cpp sets it");
    const std::string compile = "LC_ALL=C g++ -std=c++17 -fsyntax-only -fmax-errors=0 " + sample + " " + flags + " 2>" + said;
    REQUIRE(std::system(compile.c_str()) != 0);

    // An error in a header belongs to the line that asked for it, which the compiler names before.
    std::map<std::size_t, std::string> told;
    std::size_t line = 0;
    const std::regex error(".*: error: (.*)"), asks(sample + ":([0-9]+):[0-9]+:.*(required from here|error: .*)");
    for (const std::string &text : lines_of(said)) {
        std::smatch found;
        if (std::regex_match(text, found, asks)) {
            line = std::stoul(found[1]);
        }
        if (std::regex_match(text, found, error)) told[line] += found[1].str() + "\n";
    }
    std::size_t number = 0;
    for (const std::string &text : lines_of(sample)) {
        const std::string begin = "// wrong: ";
        const std::size_t at = text.find(begin);
        const std::string got = told[++number];
        CAPTURE(number);
        CAPTURE(text);
        if (at == std::string::npos) {
            CHECK(got == "");
        } else {
            CHECK(got.find(text.substr(at + begin.size())) != std::string::npos);
            // A page of the template's insides helps nobody.
            CHECK(std::count(got.begin(), got.end(), '\n') <= 2);
        }
    }
    CHECK(number > 20);
}
