//! What is done to every store, and what it answers.

use std::fmt::{self, Debug};

use stent::backend::{
    Claim, Claimed, DeadLetterFilter, ExecutionFilter, NewExecution, NewSignal, NewWorker, Renew, Request,
    SharedBackend, Transition, Verdict,
};
use stent::model::{Id, Result};

/// Whole in itself, so that it can be done again on new stores, with others left out.
#[derive(Clone, Debug)]
pub enum Operation {
    Dispatch(Vec<NewExecution>),
    Register(NewWorker),
    Remove(String),
    Advance(Vec<Transition>, Option<Claim>),
    Signal(NewSignal),
    Cancel(Id, Option<String>),
    Resume(Id),
    Renew(Renew),
    Sweep(String),
    ReplayDeadLetter { letter: Id, execution: Id },
    Cached(Vec<String>),
    List(ExecutionFilter),
    DeadLetters(DeadLetterFilter),
    EndedAmong(Vec<Id>),
    CancelledAmong(Vec<Id>),
    Call(Box<Request>),
}

/// In one line, without what says nothing.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = text(self);
        let tells = |field: &&str| !field.ends_with(": None") && !field.bytes().all(|byte| byte.is_ascii_digit());
        f.write_str(&full.split(", ").filter(tells).collect::<Vec<_>>().join(", "))
    }
}

/// What a store answered: as text for the comparison, and what the next operations are made of.
#[derive(Default)]
pub struct Reply {
    pub text: String,
    pub verdicts: Vec<Verdict>,
    pub claimed: Vec<Claimed>,
}

impl Operation {
    pub async fn run(&self, store: &SharedBackend) -> Reply {
        let text = match self {
            Self::Dispatch(executions) => said(store.dispatch(executions.clone()).await),
            Self::Register(worker) => said(store.register_worker(worker.clone()).await),
            Self::Remove(worker) => said(store.remove_worker(worker).await),
            Self::Advance(transitions, claim) => {
                let answer = store.advance(transitions.clone(), claim.clone()).await;
                let text = said(answer.clone());
                let (verdicts, claimed) = answer.unwrap_or_default();
                return Reply { text, verdicts, claimed };
            }
            Self::Signal(signal) => said(store.signal(signal.clone()).await),
            Self::Cancel(execution, reason) => said(store.cancel(*execution, reason.clone()).await),
            Self::Resume(task) => said(store.resume(*task).await),
            Self::Renew(renew) => said(store.renew(renew.clone()).await),
            Self::Sweep(worker) => said(store.sweep(worker).await.map(|swept| (swept.changed, swept.more))),
            Self::ReplayDeadLetter { letter, execution } => said(store.replay_dead_letter(*letter, *execution).await),
            Self::Cached(keys) => said(store.cached(keys.clone()).await),
            Self::List(filter) => said(store.list(filter.clone()).await),
            Self::DeadLetters(filter) => said(store.dead_letters(filter.clone()).await),
            Self::EndedAmong(executions) => said(sorted(store.ended_among(executions.clone()).await)),
            Self::CancelledAmong(executions) => said(sorted(store.cancelled_among(executions.clone()).await)),
            Self::Call(request) => said(store.call((**request).clone()).await),
        };
        Reply { text, ..Reply::default() }
    }
}

fn sorted(ids: Result<Vec<Id>>) -> Result<Vec<Id>> {
    ids.map(|mut ids| {
        ids.sort_unstable();
        ids
    })
}

fn said<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(answer) => text(&answer),
        Err(error) => format!("{error}, {}", if error.is_retryable() { "may be tried again" } else { "for good" }),
    }
}

/// Without the values of times, which are each store's own.
pub fn text(value: &impl Debug) -> String {
    const TIME: &str = "Timestamp(";
    let full = format!("{value:?}");
    let mut text = String::with_capacity(full.len());
    let mut rest = full.as_str();
    while let Some(found) = rest.find(TIME) {
        let (before, time) = rest.split_at(found + TIME.len());
        text.push_str(before);
        rest = time.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
    }
    text.push_str(rest);
    text
}
