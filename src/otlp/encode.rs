//! Spans as OTLP's messages.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Message, Status};
use prost::Message as _;

use crate::executor::{Span, SpanTrouble, SpanValue};
use crate::model::{Failure, Timestamp};

/// The bytes of one request.
pub fn encode(spans: &[Span], resource: &[(String, String)]) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: "stent".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans { scope: Some(scope), spans: spans.iter().map(message).collect(), ..ScopeSpans::default() };
    let attributes = resource.iter().map(|(name, value)| text(name, value)).collect();
    let resource = ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec()
}

fn message(span: &Span) -> Message {
    let kind = if span.consumes { SpanKind::Consumer } else { SpanKind::Internal };
    Message {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        // It is sampled.
        flags: 1,
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end),
        attributes: span.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        events: span.trouble.iter().filter_map(|trouble| exception(trouble, span.end)).collect(),
        status: span.trouble.as_ref().map(status),
        ..Message::default()
    }
}

fn status(trouble: &SpanTrouble) -> Status {
    let message = match trouble {
        SpanTrouble::Failed(failure) => format!("{}: {}", failure.kind, failure.message),
        SpanTrouble::Other(what) => (*what).to_owned(),
    };
    Status { message, code: StatusCode::Error.into() }
}

/// As OpenTelemetry's conventions name it.
fn exception(trouble: &SpanTrouble, at: Timestamp) -> Option<Event> {
    let SpanTrouble::Failed(failure) = trouble else { return None };
    let Failure { kind, message, stack, .. } = failure;
    let mut attributes = vec![text("exception.type", kind), text("exception.message", message)];
    attributes.extend(stack.as_ref().map(|stack| text("exception.stacktrace", stack)));
    Some(Event { time_unix_nano: nanos(at), name: "exception".to_owned(), attributes, ..Event::default() })
}

fn attribute(name: &str, value: &SpanValue) -> KeyValue {
    match value {
        SpanValue::Text(value) => text(name, value),
        SpanValue::Integer(value) => pair(name, Value::IntValue(*value)),
    }
}

fn text(name: &str, value: &str) -> KeyValue {
    pair(name, Value::StringValue(value.to_owned()))
}

fn pair(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.micros()).unwrap_or(0).saturating_mul(1_000)
}
