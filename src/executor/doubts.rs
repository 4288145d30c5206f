//! What is known of functions that are called, and that no worker has registered.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::sync::lock;
use crate::backend::{Pause, SharedBackend, Unserved};
use crate::model::nearest;

/// What the store has said holds for so long, and for a multiple of the time that it took to say it.
const BELIEVED: Duration = Duration::from_secs(1);
const BELIEVED_FACTOR: u32 = 20;

/// The log says the same again after this.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// Names in a message.
const NAMES_MAX: usize = 20;

#[derive(Default)]
pub(super) struct Doubts {
    /// What the store said last, and until when it is believed. One caller asks, the others wait for the answer.
    heard: tokio::sync::Mutex<Option<(Instant, Arc<Unserved>)>>,
    said: Mutex<HashMap<String, Instant>>,
}

impl Doubts {
    /// None: the store does not say.
    pub(super) async fn unserved(&self, backend: &SharedBackend) -> Option<Arc<Unserved>> {
        let mut heard = self.heard.lock().await;
        if let Some((until, unserved)) = heard.as_ref()
            && Instant::now() < *until
        {
            return Some(Arc::clone(unserved));
        }
        let begun = Instant::now();
        let unserved = Arc::new(backend.unserved().await.ok()?);
        let until = Instant::now() + BELIEVED.max(begun.elapsed() * BELIEVED_FACTOR);
        *heard = Some((until, Arc::clone(&unserved)));
        Some(unserved)
    }

    /// What was heard is not so any more.
    pub(super) async fn forget(&self) {
        *self.heard.lock().await = None;
    }

    /// Has the log not had it for a while?
    pub(super) fn is_news(&self, function: &str) -> bool {
        let now = Instant::now();
        let mut said = lock(&self.said);
        said.retain(|_, at| now.duration_since(*at) < SAID_AGAIN);
        if said.contains_key(function) {
            return false;
        }
        said.insert(function.to_owned(), now);
        true
    }
}

pub(super) fn nobody_has(function: &str, unserved: &Unserved) -> String {
    let mut told = format!("no worker has registered '{function}'");
    let registered = &unserved.registered;
    let none_runs = unserved.workers == Some(0);
    if registered.is_empty() {
        told.push_str(if none_runs { ", nor any other function, and none is running" } else { "" });
        return told;
    }
    let these = match nearest(function, registered.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean '{near}'? These"),
        None => "; these".to_owned(),
    };
    let shown = registered.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let _infallible = write!(told, "{these} have been registered: {shown}");
    if registered.len() > NAMES_MAX {
        let _infallible = write!(told, " and {} more", registered.len() - NAMES_MAX);
    }
    if none_runs {
        told.push_str("; no worker is running");
    }
    told
}

pub(super) fn is_paused(pause: &Pause) -> String {
    let what = pause.what().map(|what| what.to_string()).unwrap_or_default();
    let mut told = format!("{what} is paused since {}", pause.since);
    if let Some(by) = &pause.by {
        let _infallible = write!(told, " by {by}");
    }
    if let Some(reason) = &pause.reason {
        let _infallible = write!(told, ": {reason}");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_told_and_the_nearest_first() {
        let told = |registered: &[&str], workers| {
            let registered = registered.iter().map(|name| (*name).to_owned()).collect();
            nobody_has(
                "chrage",
                &Unserved { functions: vec!["chrage".into()], registered, workers: Some(workers), paused: Vec::new() },
            )
        };
        assert_eq!(told(&[], 0), "no worker has registered 'chrage', nor any other function, and none is running");
        assert_eq!(
            told(&["charge", "refund"], 1),
            "no worker has registered 'chrage'; did you mean 'charge'? These have been registered: charge, refund"
        );
        let many: Vec<String> = (0..25).map(|number| format!("function_{number:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(told(&many, 0).ends_with("function_19 and 5 more; no worker is running"));
    }

    #[test]
    fn the_log_says_it_once_in_a_while() {
        let doubts = Doubts::default();
        assert_eq!([doubts.is_news("a"), doubts.is_news("b"), doubts.is_news("a")], [true, true, false]);
    }
}
