// For programs that make spans by opentelemetry-cpp: while a handler runs, its task's trace context is the current one of its
// thread, so that spans which it makes hang below its run's. Including this file in one source of the program is all; it needs
// the headers of OpenTelemetry's API, and nothing to be linked.
#ifndef STENT_OPENTELEMETRY_HPP
#define STENT_OPENTELEMETRY_HPP

#include <opentelemetry/context/propagation/text_map_propagator.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>

#include "run.hpp"

namespace stent {

namespace detail {

// The headers of a request, as a propagator reads them.
class traceparent_carrier : public ::opentelemetry::context::propagation::TextMapCarrier {
public:
    explicit traceparent_carrier(const char *traceparent) : traceparent_(traceparent) {}
    ::opentelemetry::nostd::string_view Get(::opentelemetry::nostd::string_view key) const noexcept override {
        return key == "traceparent" ? traceparent_ : "";
    }
    void Set(::opentelemetry::nostd::string_view, ::opentelemetry::nostd::string_view) noexcept override {}

private:
    const char *traceparent_;
};

inline std::shared_ptr<void> enter_trace(const char *traceparent) {
    namespace context = ::opentelemetry::context;
    if (traceparent == nullptr) return nullptr;
    auto current = context::RuntimeContext::GetCurrent();
    const traceparent_carrier carrier(traceparent);
    auto parent = ::opentelemetry::trace::propagation::HttpTraceContext().Extract(carrier, current);
    auto attached = context::RuntimeContext::Attach(parent);
    return std::make_shared<decltype(attached)>(std::move(attached));
}

inline const bool follows_traces = (surrounds.store(&enter_trace, std::memory_order_release), true);

}  // namespace detail

}  // namespace stent

#endif
