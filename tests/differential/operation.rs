//! What is done to every store, and what it answers.

use std::fmt::{self, Debug};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use stent::backend::{
    Claim, Claimed, DeadLetterFilter, ExecutionFilter, NewExecution, NewPause, NewSignal, NewWorker, Outcome, Pausable,
    Renew, Request, SharedBackend, Transition, Verdict,
};
use stent::codec::operations;
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
    Pause(NewPause),
    Unpause(Pausable),
    Pauses,
    Renew(Renew),
    Sweep(String),
    ReplayDeadLetter {
        letter: Id,
        execution: Id,
    },
    Cached(Vec<String>),
    List(ExecutionFilter),
    DeadLetters(DeadLetterFilter),
    EndedAmong(Vec<Id>),
    CancelledAmong(Vec<Id>),
    Call(Box<Request>),
    /// A request as text, whatever it is.
    Door(String, Option<String>),
}

/// In one line, without what says nothing.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Door(name, request) = self {
            return write!(f, "{name:?} {}", brief(request.as_deref().unwrap_or("(nothing)")));
        }
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
    /// The store panicked, or does not come to an end: it is not to be asked again.
    pub lost: bool,
}

/// No operation of a run takes so long, but one that has no end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of what is there for its length alone both ends are enough.
fn brief(text: &str) -> String {
    const SHOWN_MAX: usize = 1500;
    if text.chars().count() <= 2 * SHOWN_MAX {
        return text.to_owned();
    }
    let all: Vec<char> = text.chars().collect();
    let part = |chars: &[char]| chars.iter().collect::<String>();
    let left_out = all.len() - 2 * SHOWN_MAX;
    format!("{}…({left_out})…{}", part(&all[..SHOWN_MAX]), part(&all[all.len() - SHOWN_MAX..]))
}

impl Operation {
    /// Whatever is asked for, there is an answer.
    pub async fn run(&self, name: &str, store: &SharedBackend) -> Reply {
        let answer = tokio::time::timeout(PATIENCE, AssertUnwindSafe(self.answer(store)).catch_unwind()).await;
        let instead = match answer {
            Ok(Ok(reply)) => return reply,
            Ok(Err(_)) => format!("{name} panicked"),
            Err(_) => format!("{name} gave no answer in {} s", PATIENCE.as_secs()),
        };
        Reply { text: instead.clone(), meaning: instead, lost: true, ..Reply::default() }
    }

    /// What time has made claimable is found by these.
    pub fn looks_for_due(&self) -> bool {
        match self {
            Self::Sweep(_) => true,
            Self::Call(request) => matches!(**request, Request::ClaimNextTask { .. }),
            Self::Door(name, _) => name == "sweep" || name == "claim_next_task",
            _ => false,
        }
    }

    async fn answer(&self, store: &SharedBackend) -> Reply {
        match self {
            Self::Dispatch(executions) => said(store.dispatch(executions.clone()).await),
            Self::Register(worker) => said(store.register_worker(worker.clone()).await),
            Self::Remove(worker) => said(store.remove_worker(worker).await),
            Self::Advance(transitions, claim) => advanced(store, transitions, claim.clone()).await,
            Self::Signal(signal) => said(store.signal(signal.clone()).await),
            Self::Cancel(execution, reason) => said(store.cancel(*execution, reason.clone()).await),
            Self::Resume(task) => said(store.resume(*task).await),
            Self::Pause(pause) => said(store.pause(pause.clone()).await),
            Self::Unpause(what) => said(store.unpause(what.clone()).await),
            Self::Pauses => said(store.pauses().await),
            Self::Renew(renew) => said(store.renew(renew.clone()).await),
            Self::Sweep(worker) => said(store.sweep(worker).await.map(|swept| (swept.changed, swept.more))),
            Self::ReplayDeadLetter { letter, execution } => said(store.replay_dead_letter(*letter, *execution).await),
            Self::Cached(keys) => said(store.cached(keys.clone()).await),
            Self::List(filter) => said(store.list(filter.clone()).await),
            Self::DeadLetters(filter) => said(store.dead_letters(filter.clone()).await),
            Self::EndedAmong(executions) => said(sorted(store.ended_among(executions.clone()).await)),
            Self::CancelledAmong(executions) => said(sorted(store.cancelled_among(executions.clone()).await)),
            Self::Call(request) => said(store.call((**request).clone()).await),
            Self::Door(name, request) => {
                let answer = operations::call(store.as_ref(), name, request.as_deref()).await;
                said(answer.map(|answer| plain(name, &answer)))
            }
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

/// Answers that are sets, in whose lists the order says nothing.
const SETS: [&str; 4] = ["ended_among", "cancelled_among", "stats", "advance"];

/// An answer's text without times, and without what is each store's own.
fn plain(operation: &str, answer: &str) -> String {
    const OWN: [&str; 5] = ["sequence", "next_due", "oldest", "latest", "claimed_at"];
    let mut parts: Vec<String> = Vec::new();
    for part in answer.split_inclusive([',', '{', '}', '[', ']']) {
        let (key, value) = part.split_once(':').unwrap_or(("", part));
        let own = OWN.iter().any(|own| key.trim_matches('"') == *own);
        let is_time = value.starts_with('"') && value.get(5..6) == Some("-") && value.get(11..12) == Some("T");
        let end = value.trim_start_matches(|c| !",{}[]".contains(c));
        parts.push(if own || is_time && value.contains("Z\"") { format!("{key}:…{end}") } else { part.to_owned() });
    }
    if SETS.contains(&operation) {
        parts.iter_mut().for_each(|part| *part = part.trim_matches([',', '[', ']', '{', '}']).to_owned());
        parts.sort_unstable();
    }
    parts.concat()
}
