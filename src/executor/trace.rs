//! Spans, in the terms of OpenTelemetry: what is told of executions, of tasks with their runs, and of waits.
//!
//! Every id follows from an execution, a task or a lease. So what one process tells hangs below what another one does,
//! and nothing has to be kept for it, nor handed on, but the `traceparent` of the dispatch.

use crate::model::{Failure, Id, Timestamp, child_id};

/// Takes spans that are over. Called on the worker's loop: it must not block.
pub trait Tracer: Send + Sync {
    fn finish(&self, span: Span);
}

pub type TraceId = [u8; 16];
pub type SpanId = [u8; 8];

/// Something that took its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub name: String,
    /// A handler's run: it takes up what somebody else has asked for.
    pub consumes: bool,
    pub start: Timestamp,
    pub end: Timestamp,
    /// What went wrong.
    pub trouble: Option<SpanTrouble>,
    pub attributes: Vec<(&'static str, SpanValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanTrouble {
    Failed(Failure),
    /// Without a failure of the handler's.
    Other(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanValue {
    Text(String),
    Integer(i64),
}

impl From<&str> for SpanValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Id> for SpanValue {
    fn from(id: Id) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<u32> for SpanValue {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// The trace that an execution belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    /// The span that dispatched it.
    pub(super) parent: Option<SpanId>,
    pub(super) sampled: bool,
}

impl Trace {
    /// As the dispatch said (W3C Trace Context; what is none of these counts as nothing); else one of its own, whose id is
    /// the execution's.
    pub(super) fn of(execution: Id, traceparent: Option<&str>) -> Self {
        traceparent.and_then(parse).unwrap_or(Self { id: *execution.as_bytes(), parent: None, sampled: true })
    }

    /// For what hangs below this span.
    pub(super) fn traceparent(&self, span: SpanId) -> String {
        format!("00-{}-{}-{}", hex(&self.id), hex(&span), if self.sampled { "01" } else { "00" })
    }
}

/// Of a task, from its creation to its end; of a root task it is the execution's.
pub(super) fn span_of(task: Id) -> SpanId {
    let [.., a, b, c, d, e, f, g, h] = *task.as_bytes();
    // Zeros mean that there is no span.
    if [a, b, c, d, e, f, g, h] == [0; 8] { [1; 8] } else { [a, b, c, d, e, f, g, h] }
}

/// Of a handler's run under one lease. The key is none that an operation of the task can have.
pub(super) fn span_of_run(task: Id, fence: u64) -> SpanId {
    span_of(child_id(task, 0, &format!("#lease:{fence}")))
}

fn parse(text: &str) -> Option<Trace> {
    let bytes = text.as_bytes();
    let version = bytes.get(..2).and_then(unhex::<1>)?[0];
    // A later version may have more after what is known.
    let fits = if version == 0 { bytes.len() == 55 } else { bytes.len() == 55 || bytes.get(55) == Some(&b'-') };
    if version == 0xff || !fits || [2, 35, 52].iter().any(|at| bytes.get(*at) != Some(&b'-')) {
        return None;
    }
    let id = unhex::<16>(bytes.get(3..35)?)?;
    let parent = unhex::<8>(bytes.get(36..52)?)?;
    let [flags] = unhex::<1>(bytes.get(53..55)?)?;
    (id != [0; 16] && parent != [0; 8]).then_some(Trace { id, parent: Some(parent), sampled: flags & 1 == 1 })
}

/// Small letters only, as the standard has it.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (text.len() == 2 * N).then_some(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_comes_back() {
        let execution = Id::from_u128(7);
        let trace = Trace::of(execution, Some(GIVEN));
        assert_eq!(trace.traceparent(trace.parent.unwrap()), GIVEN);
        let not_sampled = GIVEN.replace("-01", "-00");
        assert!(!Trace::of(execution, Some(&not_sampled)).sampled);
        let later = GIVEN.replacen("00-", "01-", 1) + "-more";
        assert_eq!(Trace::of(execution, Some(&later)), trace);
    }

    #[test]
    fn what_is_no_traceparent_counts_as_none() {
        let execution = Id::from_u128(7);
        let own = Trace { id: *execution.as_bytes(), parent: None, sampled: true };
        let upper = GIVEN.to_uppercase();
        let version = GIVEN.replacen("00-", "ff-", 1);
        let longer = format!("{GIVEN}-more");
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let no_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        for given in ["", "00-trace", "é", &upper, &version, &longer, zeros, no_span, &GIVEN[..54]] {
            assert_eq!(Trace::of(execution, Some(given)), own, "{given}");
        }
        assert_eq!(Trace::of(execution, None), own);
    }

    #[test]
    fn spans_of_tasks_and_runs_are_stable_and_distinct() {
        let (one, other) = (Id::from_u128(0x11 << 64 | 5), Id::from_u128(0x11 << 64 | 6));
        assert_eq!(span_of(one), [0, 0, 0, 0, 0, 0, 0, 5]);
        assert_ne!(span_of_run(one, 1), span_of_run(one, 2));
        assert_ne!(span_of_run(one, 1), span_of_run(other, 1));
        assert_eq!(span_of_run(one, 1), span_of_run(one, 1));
        assert_ne!(span_of(Id::nil()), [0; 8]);
    }
}
