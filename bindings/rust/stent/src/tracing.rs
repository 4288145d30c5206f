//! Where the program uses OpenTelemetry, spans of its handlers hang below those that the library tells of their runs.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, ContextGuard};

use crate::task::Task;

/// Makes the task's trace context the current one of this thread, until what is returned is dropped.
pub(crate) fn enter(task: &Task) -> Option<ContextGuard> {
    let remote = context_of(&task.traceparent()?)?;
    Some(Context::current().with_remote_span_context(remote).attach())
}

/// The library gives none that is not well-formed.
fn context_of(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
}
