// The README's first example and the other programs compile without a warning as C++17 and C++20, and run; so do its lines for
// a shell, and its other blocks, which stand here as there.
#include <sstream>
#include <stent/testing.hpp>

#include "house.hpp"

using namespace house;

namespace {

std::string text_of(const std::string &file) {
    std::ifstream in(file);
    REQUIRE_MESSAGE(in.good(), file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// Compiles a source and runs the program in the folder: what it printed.
std::string run(const std::string &compiler, const std::string &standard, const std::string &source, const folder &place) {
    const char *flags = std::getenv("STENT_CXX_FLAGS");
    REQUIRE_MESSAGE(flags != nullptr, "STENT_CXX_FLAGS has what a program is compiled with; make cpp sets it");
    const std::string program = place.file("program");
    const std::string build = compiler + " -std=" + standard + " -Wall -Wextra -Werror -pedantic " + source + " -o " + program + " " + flags;
    REQUIRE_MESSAGE(std::system(build.c_str()) == 0, build);
    const std::string command = "cd " + place.file("") + " && ./program >said";
    REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
    return text_of(place.file("said"));
}

// Those that are on this machine; g++ must be.
stent::strings compilers() {
    stent::strings found{"g++"};
    if (std::system("clang++ --version >/dev/null 2>&1") == 0) found.push_back("clang++");
    return found;
}

}  // namespace

TEST_CASE("the README's first example is the file that it names, and runs as printed") {
    const std::string readme = text_of("README.md"), begin = "```cpp\n";
    const std::size_t from = readme.find(begin) + begin.size();
    const std::string example = readme.substr(from, readme.find("```", from) - from);
    CHECK(example == text_of("examples/hello.cpp"));
    const folder place;
    std::ofstream(place.file("hello.cpp")) << example;
    for (const std::string &compiler : compilers()) {
        for (const char *standard : {"c++17", "c++20"}) {
            CHECK(run(compiler, standard, place.file("hello.cpp"), place) == "hello, world!\n");
        }
    }
    CHECK(functions::exists(place.file("hello.db")));
}

TEST_CASE("the README's lines build and run the example") {
    const std::string readme = text_of("README.md"), begin = "```sh\n";
    const char *library = std::getenv("STENT_LIB_DIR");
    REQUIRE(library != nullptr);
    // In a folder with the repository's, and the library where `make lib` puts it.
    const folder place;
    for (const char *each : {"bindings", "include"}) {
        std::filesystem::create_directory_symlink(std::filesystem::absolute("../..") / each, place.file(each));
    }
    std::filesystem::create_directory(place.file("target"));
    std::filesystem::create_directory_symlink(library, place.file("target/release"));
    std::size_t blocks = 0;
    for (std::size_t at = readme.find(begin); at != std::string::npos; at = readme.find(begin, at + 1), ++blocks) {
        const std::size_t from = at + begin.size();
        std::ofstream(place.file("lines")) << readme.substr(from, readme.find("```", from) - from);
        REQUIRE(std::system(("cd " + place.file("") + " && sh -e lines >said").c_str()) == 0);
        CHECK(text_of(place.file("said")) == "hello, world!\n");
    }
    CHECK(blocks == 1);
}

TEST_CASE("functions with types are as the README has them") {
    stent::backend store(":memory:");
    stent::executor executor(store);

    const stent::function<std::string(std::string)> greet("greet"), welcome("welcome");
    const stent::signal<bool> approved("approved");

    executor.handle(greet, [](stent::task &, const std::string &name) { return "hello, " + name; });
    executor.handle(welcome, [&](stent::task &task, const std::string &name) {
        const std::string greeting = task.call(greet(name));    // spawn(greet(name)) and map(greet, names) too
        return task.wait_signal(approved) ? greeting : "go away";
    });

    const stent::worker worker = executor.start_worker();

    const auto started = executor.dispatch(welcome("ada"));     // from outside
    executor.send(started.id(), approved, true);
    const std::string greeting = started.result(10s);

    CHECK(greeting == "hello, ada");
}

namespace {

const stent::function<std::string(std::string)> greet("greet");

std::string say_hello(stent::task &, std::string name) { return "hello, " + name; }

}  // namespace

TEST_CASE("a test of one's own is as the README has it") {
    stent::testing::host here([](stent::executor &executor) { executor.handle(greet, say_hello); });
    CHECK(here.run(greet("ada")) == "hello, ada");
}

TEST_CASE("a batch is as the README has it") {
    stent::backend store(":memory:");
    stent::executor executor(store);

    executor.handle_batch("store", [&](const stent::items<std::string, int> &items) {
        stent::outcomes<int> told;
        for (const auto &each : items) {
            const auto &[name, count] = each.args();
            if (count > 0) {
                told.push_back(count);
            } else {
                told.push_back(stent::failure("Refused", "no " + name).retryable(false));
            }
        }
        return told;
    }, stent::batch_options().size(500).wait(50ms));

    const auto request = [](const std::string &name, int count) { return stent::dispatch_request("store").args(args(name, count)); };
    const auto ids = executor.dispatch_many({request("ink", 3), request("gold", 0)});
    const stent::worker worker = executor.start_worker();
    CHECK(executor.result<int>(ids[0], patience) == 3);
    CHECK_THROWS_WITH(executor.result<int>(ids[1], patience), doctest::Contains("no gold"));
}

TEST_CASE("the example of an order does what it says") {
    const folder place;
    const std::string source = std::filesystem::absolute("examples/order.cpp").string();
    CHECK(run("g++", "c++17", source, place) == "receipt 25 36\nrefused: there are not so many: gold\n");
}
