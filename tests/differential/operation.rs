//! What is done to every store, and what it answers.

use std::fmt::{self, Debug};

use stent::backend::{
    Claim, Claimed, DeadLetterFilter, ExecutionFilter, NewExecution, NewSignal, NewWorker, Outcome, Renew, Request,
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
    /// The same without the words of an error, which are the stores' own.
    pub meaning: String,
    pub verdicts: Vec<Verdict>,
    pub claimed: Vec<Claimed>,
}

impl Operation {
    /// What time has made claimable is found by these.
    pub fn looks_for_due(&self) -> bool {
        match self {
            Self::Sweep(_) => true,
            Self::Call(request) => matches!(**request, Request::ClaimNextTask { .. }),
            _ => false,
        }
    }

    pub async fn run(&self, store: &SharedBackend) -> Reply {
        match self {
            Self::Dispatch(executions) => said(store.dispatch(executions.clone()).await),
            Self::Register(worker) => said(store.register_worker(worker.clone()).await),
            Self::Remove(worker) => said(store.remove_worker(worker).await),
            Self::Advance(transitions, claim) => advanced(store, transitions, claim.clone()).await,
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
        }
    }
}

async fn advanced(store: &SharedBackend, transitions: &[Transition], claim: Option<Claim>) -> Reply {
    let answer = store.advance(transitions.to_vec(), claim).await;
    let mut told = answer.clone();
    for (transition, verdict) in transitions.iter().zip(told.iter_mut().flat_map(|told| &mut told.0)) {
        if let Verdict::Recorded { arrivals, latest } = verdict {
            // They are a set.
            arrivals.sort_by_key(|(_, number)| *number);
            if !matches!(transition.outcome, Outcome::Hold | Outcome::Suspend { .. }) {
                // It is for one who has a journal to go on with.
                *latest = 0;
            }
        }
    }
    let (verdicts, claimed) = answer.unwrap_or_default();
    Reply { verdicts, claimed, ..said(told) }
}

fn sorted(ids: Result<Vec<Id>>) -> Result<Vec<Id>> {
    ids.map(|mut ids| {
        ids.sort_unstable();
        ids
    })
}

fn said<T: Debug>(answer: Result<T>) -> Reply {
    let (text, meaning) = match answer {
        Ok(answer) => (text(&answer), text(&answer)),
        Err(error) => {
            let again = if error.is_retryable() { "may be tried again" } else { "for good" };
            (format!("{error}, {again}"), format!("{}, {again}", error.status().name()))
        }
    };
    Reply { text, meaning, ..Reply::default() }
}

/// Without the values of times, and without the numbers of signals, which have gaps where a transaction came to nothing:
/// those are each store's own.
pub fn text(value: &impl Debug) -> String {
    const OWN: [&str; 2] = ["Timestamp(", "sequence: "];
    let mut text = format!("{value:?}");
    for before in OWN {
        let parts: Vec<&str> = text.split(before).collect();
        let without = |part: &&str| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
        let rest: Vec<String> = parts[1..].iter().map(without).collect();
        text = [parts[0].to_owned()].into_iter().chain(rest).collect::<Vec<_>>().join(before);
    }
    text
}
