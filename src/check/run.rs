//! Runs the cases one after the other and reports the results.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde::Serialize;

use super::broken::Broken;
use super::case::Case;
use super::cases::{ALL, Level};
use super::house::Store;
use super::scoped::Scoped;
use crate::backend::SharedBackend;
use crate::model::{CheckOptions, Error, Result};

/// What a store without the engine's operations can't guarantee.
const GIVEN_UP: &[&str] = &[
    "Fence: the lease is asked for before each write and not in it; a worker that is frozen in between for longer than \
     its lease may overwrite its successor.",
    "One transition, one transaction: a crash between two writes of a transition leaves it half done until it is \
     claimed or swept again; counters and progress of it may then be recorded twice.",
    "Waiting costs nothing: a waiting task is looked at every few seconds, and reads its execution's tasks each time.",
    "Limits are exact: as exact as claim_next_task's own counting, and only for workers that register the function.",
    "Workers take only what they can run: what a worker has no function for is claimed and given back a second later.",
    "Cleanups are told: get_execution and list_executions say of an execution that is to clean up, or does, that it is \
     running, with the cancel as its error; all else says that it is cancelling.",
    "Dead-letter replays leave signals behind that nobody has taken; a cancelled wait does not give back a signal that \
     it took.",
    "Limits by key: there are none, and a worker with a function that has one is told so.",
    "Schedules: there are none, and who puts one is told so. A tick, its schedule's next time and its execution are one \
     transaction, which the protocol has not.",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    /// It needs an operation that the store does not answer.
    NotOffered,
}

/// The result of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    pub name: String,
    pub outcome: Outcome,
    pub seconds: f64,
    pub expected: Option<String>,
    pub got: Option<String>,
    /// Where in the suite; or the operation that is not offered.
    pub place: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub backend: &'static str,
    /// `engine` or `protocol`.
    pub level: &'static str,
    pub passed: usize,
    pub failed: usize,
    pub not_offered: usize,
    /// Guarantees that a store of this level does not have.
    pub given_up: &'static [&'static str],
    pub cases: Vec<Told>,
}

/// Runs the suite against a store: it leaves ended executions and dead letters behind, and takes ended executions away.
/// Must be called on a tokio runtime.
///
/// # Errors
/// `INVALID`: `only` names no case. Whatever a case finds is in the report.
pub async fn check(backend: SharedBackend, options: &CheckOptions) -> Result<Report> {
    let engine = backend.offers("advance");
    let mut report = Report {
        backend: backend.name(),
        level: if engine { "engine" } else { "protocol" },
        passed: 0,
        failed: 0,
        not_offered: 0,
        given_up: if engine { &[] } else { GIVEN_UP },
        cases: Vec::new(),
    };
    for (file, level, cases) in ALL {
        for case in *cases {
            let name = format!("{file}/{}", case.name);
            if !options.only.is_empty() && !options.only.iter().any(|only| name.starts_with(only.as_str())) {
                continue;
            }
            let told = if *level == Level::Engine && !engine {
                not_offered(name, "advance")
            } else {
                run(&backend, name, case, report.cases.len(), engine, options.timeout).await
            };
            match told.outcome {
                Outcome::Passed => report.passed += 1,
                Outcome::Failed => report.failed += 1,
                Outcome::NotOffered => report.not_offered += 1,
            }
            report.cases.push(told);
        }
    }
    if report.cases.is_empty() {
        return Err(Error::invalid(format!("check: no case's name begins with one of {:?}", options.only)));
    }
    Ok(report)
}

fn not_offered(name: String, operation: &str) -> Told {
    let place = Some(operation.to_owned());
    Told { name, outcome: Outcome::NotOffered, seconds: 0.0, expected: None, got: None, place }
}

async fn run(
    backend: &SharedBackend,
    name: String,
    case: &Case,
    number: usize,
    engine: bool,
    timeout: Duration,
) -> Told {
    let start = Instant::now();
    let scoped = Arc::new(Scoped::new(Arc::clone(backend), number, engine).await);
    let store = Store { backend: Arc::clone(&scoped) as SharedBackend, twin: None, url: None };
    let running = AssertUnwindSafe((case.run)(store)).catch_unwind();
    let ended = match tokio::time::timeout(timeout, running).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(unwound)) => Err(what_was_found(unwound)),
        Err(_) => {
            let (expected, got) = (format!("an end within {} s", timeout.as_secs_f64()), "the case hangs".to_owned());
            Err(Broken { expected, got, place: name.clone() })
        }
    };
    // If nothing can be ended in this store, the following cases will show it.
    drop(tokio::time::timeout(timeout, scoped.clean_up(engine)).await);
    if let Some(operation) = scoped.not_offered() {
        return not_offered(name, &operation);
    }
    let seconds = start.elapsed().as_secs_f64();
    match ended {
        Ok(()) => Told { name, outcome: Outcome::Passed, seconds, expected: None, got: None, place: None },
        Err(Broken { expected, got, place }) => Told {
            name,
            outcome: Outcome::Failed,
            seconds,
            expected: Some(expected),
            got: Some(got),
            place: Some(place),
        },
    }
}

fn what_was_found(unwound: Box<dyn Any + Send>) -> Broken {
    unwound.downcast::<Broken>().map_or_else(
        |other| {
            let text = other.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| other.downcast_ref::<&str>().copied()).unwrap_or("no message");
            let expected = "an answer that the case can go on with".to_owned();
            Broken { expected, got: text.to_owned(), place: String::new() }
        },
        |broken| *broken,
    )
}
