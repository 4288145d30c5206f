//! Exports spans as OTLP over HTTP, as the host or the environment that OpenTelemetry's own SDKs read says: a queue, and a thread that
//! sends what is in it. A collector that is away costs the queue's room, one line of the log, and, in the end, spans.

mod encode;
mod exporter;
mod settings;

pub use exporter::{Exporter, Waiter};
pub use settings::Settings;
