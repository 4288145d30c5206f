// What the tests share: stores that nobody has used yet, and waiting for conditions.
#ifndef STENT_TESTS_HOUSE_HPP
#define STENT_TESTS_HOUSE_HPP

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "functions.hpp"

namespace house {

using namespace std::chrono_literals;
using functions::args;
using functions::json;
using functions::lines_of;
using stent::task;

// A condition that has not come true by then never will.
inline constexpr auto patience = 60s;

template <class Condition>
void wait_for(const std::string &what, const Condition &condition) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) FAIL("never came true: ", what);
        std::this_thread::sleep_for(2ms);
    }
}

// Has JSON the value that the text says? Compared without white space, which is all that two writers differ in here.
inline std::string tight(const std::string &text) {
    std::string out;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) in_string = !in_string;
        if (in_string || std::string(" \t\r\n").find(text[i]) == std::string::npos) out += text[i];
    }
    return out;
}

// A folder for a test's files, gone with it.
class folder {
public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "stent-cpp-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    folder(const folder &) = delete;
    // A store that was just let go takes its own files away meanwhile, and what is not there any more is an error here.
    ~folder() {
        std::error_code error;
        const auto until = std::chrono::steady_clock::now() + patience;
        do std::filesystem::remove_all(path_, error);
        while (error && std::chrono::steady_clock::now() < until);
        CHECK_FALSE(error);
    }
    std::string file(const std::string &name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

struct sqlite {
    static std::string url(const folder &place) { return place.file("store.db"); }
};

struct postgres {
    static std::string url(const folder &) {
        const char *server = std::getenv("STENT_TEST_POSTGRES");
        REQUIRE_MESSAGE(server != nullptr, "STENT_TEST_POSTGRES is not set; run the tests by scripts/with-postgres");
        static std::atomic<int> schemas{0};
        const std::string url = server;
        return url + (url.find('?') == std::string::npos ? "?" : "&") + "schema=test_cpp_" + std::to_string(getpid()) +
               "_" + std::to_string(schemas++) + "&min_size=0&max_size=6";
    }
};

// Tried again at once, so that a test sees in no time what would be tried again.
inline const auto hasty = stent::function_options().retry_policy(stent::retry_policy().max_attempts(3).initial_delay(1ms).jitter(0));

// A store with the functions on it; a worker when asked for.
template <class Store>
struct place {
    house::folder folder;
    std::string url = Store::url(folder);
    stent::backend store{url};
    stent::executor executor{store};

    place() { functions::add_all(executor); }

    stent::worker worker(const stent::worker_options &options = {}) {
        stent::worker started = executor.start_worker(options);
        started.wait("ready", patience);
        return started;
    }

    // The result of a function of ours, as JSON without white space.
    std::string run(const std::string &function, const stent::arguments &arguments) {
        return tight(executor.result(executor.dispatch("cpp." + function, arguments), patience).text());
    }
};

template <class Place>
stent::failure failure_of(Place &here, const std::string &function, const stent::arguments &arguments = {}) {
    try {
        here.executor.result(here.executor.dispatch(function, arguments), patience);
    } catch (const stent::failed &why) {
        return why.failure();
    }
    FAIL(function, " did not fail");
    return stent::failure("", "");
}

// A program as a process; the scenario worker if none is named.
class process {
public:
    explicit process(const std::string &url) : process(worker(), url, "{\"lease_duration\": \"4s\"}") {}

    // One of those that the Makefile builds beside it.
    process(const std::string &name, const std::string &argument)
        : process((std::filesystem::path(worker()).parent_path() / name).string(), argument, nullptr) {}

    process(const std::string &program, const std::string &first, const char *second) {
        int in[2], out[2];
        REQUIRE((pipe(in) == 0 && pipe(out) == 0));
        pid_ = fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            dup2(in[0], STDIN_FILENO);
            dup2(out[1], STDOUT_FILENO);
            for (const int fd : {in[0], in[1], out[0], out[1]}) close(fd);
            execl(program.c_str(), program.c_str(), first.c_str(), second, nullptr);
            _exit(127);
        }
        close(in[0]), close(out[1]);
        input_ = in[1];
        output_ = fdopen(out[0], "r");
    }
    process(const process &) = delete;
    ~process() {
        if (pid_ > 0) end(SIGKILL);
        close(input_);
        fclose(output_);
    }

    void expect(const std::string &line) {
        char said[128] = "";
        REQUIRE(fgets(said, sizeof said, output_) != nullptr);
        CHECK(said == line + "\n");
    }

    void tell(int signal) { REQUIRE(kill(pid_, signal) == 0); }

    // Waits for the end: the code, or minus the signal.
    int wait() {
        int how = 0;
        REQUIRE(waitpid(pid_, &how, 0) == pid_);
        pid_ = 0;
        return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
    }

    int end(int signal) {
        tell(signal);
        return wait();
    }

private:
    static std::string worker() {
        const char *program = std::getenv("STENT_SCENARIO_WORKER");
        REQUIRE_MESSAGE(program != nullptr, "STENT_SCENARIO_WORKER names the program; make cpp sets it");
        return program;
    }

    pid_t pid_ = 0;
    int input_ = -1;
    FILE *output_ = nullptr;
};

}  // namespace house

#endif
