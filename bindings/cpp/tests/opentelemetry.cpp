// Spans of the handlers' own hang below those that the library tells: opentelemetry.hpp, where OpenTelemetry's headers are
// installed (Debian 13 and newer: opentelemetry-cpp-dev).
#if __has_include(<opentelemetry/context/runtime_context.h>)

#include <stent.hpp>
#include <stent/opentelemetry.hpp>
#include <stent/testing.hpp>

#include "house.hpp"

using namespace house;

namespace {

// Trace and span, as any library that traces sees them.
std::string here() {
    const auto span = opentelemetry::trace::GetSpan(opentelemetry::context::RuntimeContext::GetCurrent())->GetContext();
    if (!span.IsValid()) return "nowhere";
    char trace_id[32], span_id[16];
    span.trace_id().ToLowerBase16(trace_id);
    span.span_id().ToLowerBase16(span_id);
    return std::string(trace_id, 32) + " " + std::string(span_id, 16) + (span.IsSampled() ? " sampled" : "");
}

}  // namespace

TEST_CASE("a task's trace is the current one while its handler runs") {
    const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736", span = "00f067aa0ba902b7";
    const stent::function<std::string()> child("child");
    const stent::function<stent::strings()> parent("parent");
    stent::testing::host host([&](stent::executor &executor) {
        executor.handle(child, [](task &) { return here(); });
        executor.handle(parent, [&](task &task) {
            const std::string before = here(), inside = task.step("inside", [] { return here(); });
            return stent::strings{before, inside, task.call(child()), here()};
        });
    });
    const std::string expected = trace + " " + span + " sampled";
    CHECK(host.run(parent(), stent::dispatch_options().traceparent("00-" + trace + "-" + span + "-01")) == stent::strings(4, expected));
    // A thread that has run one, and that has left it by a suspension, is as it was.
    CHECK(host.run(parent()) == stent::strings(4, "nowhere"));
    CHECK(here() == "nowhere");
}

#endif
