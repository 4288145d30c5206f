#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <stent.hpp>

int main(int count, char **arguments) {
    doctest::Context context(count, arguments);
    const int failed = context.run();
    if (!context.shouldExit()) stent::shutdown(std::chrono::seconds(60));
    return failed;
}
