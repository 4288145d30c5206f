//! What is told of a task to a tracer, when the store has said what became of its lease: the handler's run; and, if the
//! task is over, the task itself and what it waited for.

use super::core::{State, TaskCore};
use crate::backend::Outcome;
use crate::executor::replay::{OpOutcome, Waited};
use crate::executor::trace::{Span, SpanTrouble, SpanValue, Trace, Tracer, hex, span_of, span_of_run};
use crate::model::Timestamp;

const CANCELLED: (&str, Option<SpanTrouble>) = ("cancelled", Some(SpanTrouble::Other("cancelled, or out of time")));

/// What became of an end that was sent to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::executor) enum Ended {
    Recorded,
    LeaseLost,
    Cancelled,
}

impl TaskCore {
    fn trace(&self) -> Trace {
        Trace::of(self.held.execution, self.claimed.traceparent.as_deref())
    }

    /// The span under which the handler's own belong: its run's, where that is told; else the dispatch's.
    pub(in crate::executor) fn traceparent(&self) -> Option<String> {
        match self.holder.core().tracer {
            Some(_) => Some(self.trace().traceparent(span_of_run(self.held.task, self.held.fence))),
            None => self.claimed.traceparent.clone(),
        }
    }

    /// By which a line of the log is found with its run's span.
    pub(super) fn span_ids(&self) -> Option<[(&'static str, String); 2]> {
        self.holder.core().tracer.as_ref()?;
        let run = span_of_run(self.held.task, self.held.fence);
        Some([("trace_id", hex(&self.trace().id)), ("span_id", hex(&run))])
    }

    pub(in crate::executor) fn tell_tracer(&self, outcome: &Outcome, ended: Ended) {
        let Some(tracer) = &self.holder.core().tracer else { return };
        let trace = self.trace();
        if !trace.sampled {
            return;
        }
        let (word, trouble) = match ended {
            Ended::Recorded => name_of(outcome),
            Ended::LeaseLost => ("lease_lost", Some(SpanTrouble::Other("another worker has the task"))),
            Ended::Cancelled => CANCELLED,
        };
        let mut state = self.state();
        let end = self.tell_run(&**tracer, trace, &mut state, word, trouble.clone());
        let over = match ended {
            Ended::Recorded => is_over(outcome),
            Ended::LeaseLost => false,
            Ended::Cancelled => !self.cleans_up_later(),
        };
        if over {
            // However its cleanup ended, the execution was cancelled.
            let (word, trouble) = if self.cleans_up() { CANCELLED } else { (word, trouble) };
            self.tell_task(&**tracer, trace, end, word, trouble);
        }
        // A task that starts over has another journal.
        if over || matches!((ended, outcome), (Ended::Recorded, Outcome::Continue { .. })) {
            let waits = state.machine.iter().flat_map(|machine| machine.waits());
            waits.for_each(|wait| tracer.finish(self.waited(trace, &wait)));
        }
    }

    /// The run, if the handler had begun. When it was over.
    fn tell_run(
        &self,
        tracer: &dyn Tracer,
        trace: Trace,
        state: &mut State,
        word: &'static str,
        trouble: Option<SpanTrouble>,
    ) -> Timestamp {
        let Some(started) = state.started else { return self.store_time() };
        let start = self.claimed.claimed_at.after(started.duration_since(self.claimed_at));
        let end = start.after(state.ran.unwrap_or_else(|| started.elapsed()));
        // A handler may return long after its lease was over.
        if std::mem::replace(&mut state.run_told, true) {
            return end;
        }
        let task = &self.claimed.task;
        let mut attributes = self.attributes();
        attributes.extend([
            ("stent.worker_id", self.holder.worker_id().into()),
            ("stent.attempt", self.claimed.attempt().into()),
            ("stent.outcome", word.into()),
        ]);
        tracer.finish(Span {
            trace: trace.id,
            id: span_of_run(task.id, task.fence),
            parent: Some(span_of(task.id)),
            name: format!("run {}", task.step_name),
            consumes: true,
            start,
            end,
            trouble,
            attributes,
        });
        end
    }

    fn tell_task(
        &self,
        tracer: &dyn Tracer,
        trace: Trace,
        end: Timestamp,
        word: &'static str,
        trouble: Option<SpanTrouble>,
    ) {
        let task = &self.claimed.task;
        let (what, parent) = match task.parent_task_id {
            Some(parent) => ("task", Some(span_of(parent))),
            None => ("execution", trace.parent),
        };
        let mut attributes = self.attributes();
        attributes.push(("stent.outcome", word.into()));
        tracer.finish(Span {
            trace: trace.id,
            id: span_of(task.id),
            parent,
            name: format!("{what} {}", task.step_name),
            consumes: false,
            start: task.created_at,
            end: end.max(task.created_at),
            trouble,
            attributes,
        });
    }

    fn waited(&self, trace: Trace, wait: &Waited<'_>) -> Span {
        let (word, trouble) = match wait.outcome {
            OpOutcome::Completed(_) => ("completed", None),
            OpOutcome::Failed(failure) => ("failed", Some(SpanTrouble::Failed(failure.clone()))),
            OpOutcome::Cancelled => ("cancelled", None),
        };
        Span {
            trace: trace.id,
            id: span_of(wait.id),
            parent: Some(span_of(self.held.task)),
            name: format!("wait {}", wait.name),
            consumes: false,
            start: wait.asked.min(wait.ended),
            end: wait.ended,
            trouble,
            attributes: vec![
                ("stent.execution_id", self.held.execution.into()),
                ("stent.task_id", wait.id.into()),
                ("stent.kind", wait.kind.as_str().into()),
                ("stent.step_key", wait.key.into()),
                ("stent.outcome", word.into()),
            ],
        }
    }

    fn attributes(&self) -> Vec<(&'static str, SpanValue)> {
        let task = &self.claimed.task;
        let mut attributes = vec![
            ("stent.execution_id", task.execution_id.into()),
            ("stent.task_id", task.id.into()),
            ("stent.function", task.step_name.as_str().into()),
        ];
        attributes.extend(task.queue.as_deref().map(|queue| ("stent.queue", queue.into())));
        attributes.extend(task.step_key.as_deref().map(|key| ("stent.step_key", key.into())));
        attributes
    }
}

/// Is the task over with it?
fn is_over(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. } => true,
        Outcome::Hold
        | Outcome::Retry { .. }
        | Outcome::Snooze { .. }
        | Outcome::Suspend { .. }
        | Outcome::Release
        | Outcome::Park { .. }
        | Outcome::Continue { .. } => false,
    }
}

fn name_of(outcome: &Outcome) -> (&'static str, Option<SpanTrouble>) {
    let failed = |failure: &crate::model::Failure| Some(SpanTrouble::Failed(failure.clone()));
    match outcome {
        Outcome::Hold => ("held", None),
        Outcome::Complete { .. } => ("completed", None),
        Outcome::Retry { failure, .. } => ("retried", failed(failure)),
        Outcome::Snooze { .. } => ("snoozed", None),
        Outcome::DeadLetter { failure, .. } => ("dead_lettered", failed(failure)),
        Outcome::PassUp { failure } => ("passed_up", failed(failure)),
        Outcome::Suspend { .. } => ("suspended", None),
        Outcome::Release => ("released", None),
        Outcome::Park { failure, .. } => ("parked", failed(failure)),
        Outcome::Continue { .. } => ("continued", None),
    }
}
