//! Transactions on their way to the store. There is one that records what is ready and claims; where a store works on
//! two at once, and enough tasks have ended meanwhile, a second one records those ends. So one is carried out while the
//! other commits.
//!
//! What goes on is recorded by the first alone: a task that suspends may be claimed again by the very next claim, and
//! what this worker keeps of it must be at its place by then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::outbox::Message;
use super::shared::Shared;
use crate::backend::{Claim, Claimed, Outcome, Verdict};
use crate::executor::metrics::count;
use crate::executor::sync::{Moment, jittered};
use crate::executor::task::LeaseHolder as _;
use crate::model::{Error, Result, Status};

/// Pauses between tries while the store does not answer.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(50);
pub(super) const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Tries after a stop has timed out; then the leases are left to run out.
pub(super) const LAST_TRIES: u32 = 3;

pub(super) const RECORD: &str = "record and claim";

/// A transaction: what it records, and what it claims.
pub(super) struct Flight {
    pub(super) shared: Arc<Shared>,
    pub(super) batch: Vec<Message>,
    pub(super) claim: Option<Claim>,
    /// It records ends beside the one that also claims.
    pub(super) beside: bool,
}

/// A transaction that is over.
pub(super) struct Landing {
    pub(super) batch: Vec<Message>,
    pub(super) claim: Option<Claim>,
    pub(super) beside: bool,
    pub(super) outcome: Landed,
}

pub(super) enum Landed {
    /// `asked`: from then on the leases last, at the least.
    Answered { verdicts: Vec<Verdict>, claimed: Vec<Claimed>, asked: Moment },
    /// The store is closed.
    Closed,
    /// The store did not answer until the end.
    GivenUp,
    /// The store refuses something in it.
    Refused,
}

impl Flight {
    /// Runs the transaction, and repeats it unchanged until the store answers; no handler runs again because of that.
    pub(super) async fn run(self) -> Landing {
        let outcome = self.outcome().await;
        let Self { batch, claim, beside, .. } = self;
        Landing { batch, claim, beside, outcome }
    }

    async fn outcome(&self) -> Landed {
        tokio::select! {
            biased;
            landed = self.answer() => landed,
            () = self.shared.no_patience(|| leases_hold(&self.batch)) => Landed::GivenUp,
        }
    }

    async fn answer(&self) -> Landed {
        let shared = &self.shared;
        let mut wait = RETRY_FIRST;
        let mut last_tries = LAST_TRIES;
        loop {
            let asked = Moment::now();
            match call(shared, &self.batch, self.claim.clone()).await {
                Ok((verdicts, claimed)) => {
                    shared.no_trouble(RECORD);
                    return Landed::Answered { verdicts, claimed, asked };
                }
                Err(error) if error.status() == Status::Closed => {
                    shared.trouble(RECORD, &error);
                    return Landed::Closed;
                }
                Err(error) if error.is_retryable() => {
                    shared.trouble(RECORD, &error);
                    last_tries -= u32::from(shared.abandoned());
                    if last_tries == 0 || (self.batch.is_empty() && shared.draining()) {
                        return Landed::GivenUp;
                    }
                    pause(shared, wait).await;
                    wait = (wait * 2).min(RETRY_LONGEST);
                }
                Err(error) => {
                    shared.trouble(RECORD, &error);
                    return Landed::Refused;
                }
            }
        }
    }
}

pub(super) fn leases_hold(batch: &[Message]) -> bool {
    batch.iter().any(|message| message.task.lease_holds())
}

/// One try.
pub(super) async fn call(
    shared: &Shared,
    batch: &[Message],
    claim: Option<Claim>,
) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
    count(&shared.core.metrics.counters.advances);
    let transitions: Vec<_> = batch.iter().map(|message| message.transition.clone()).collect();
    let (verdicts, claimed) = shared.core.backend.advance(transitions, claim).await?;
    if verdicts.len() != batch.len() {
        return Err(Error::backend(format!(
            "advance: the store gave {} verdicts on {} transitions",
            verdicts.len(),
            batch.len()
        )));
    }
    if !batch.is_empty() {
        shared.core.metrics.commit_transitions.observe(batch.len() as u64);
    }
    Ok((verdicts, claimed))
}

/// Waits, but not long once the worker has been told to stop.
pub(super) async fn pause(shared: &Shared, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(jittered(pause)) => {}
        // Told to stop: try again soon, a few times.
        () = shared.patience.when_abandoned() => tokio::time::sleep(RETRY_FIRST).await,
    }
}

/// After this nobody holds the task's lease, and no claim of this worker brings it back.
pub(super) fn is_end(message: &Message) -> bool {
    matches!(message.transition.outcome, Outcome::Complete { .. } | Outcome::DeadLetter { .. } | Outcome::PassUp { .. })
}

/// Those that are on their way: at most one that claims, and one beside it.
#[derive(Default)]
pub(super) struct Flights {
    set: JoinSet<Landing>,
    claims: bool,
    beside: bool,
}

impl Flights {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Is the one that claims on its way?
    pub(super) fn claims(&self) -> bool {
        self.claims
    }

    pub(super) fn beside(&self) -> bool {
        self.beside
    }

    pub(super) fn start(&mut self, flight: Flight) {
        let place = if flight.beside { &mut self.beside } else { &mut self.claims };
        *place = true;
        self.set.spawn(flight.run().boxed());
    }

    /// The next one that is over; none ever, if none is on its way.
    pub(super) async fn next(&mut self) -> Landing {
        match self.set.join_next().await {
            Some(Ok(landing)) => {
                let place = if landing.beside { &mut self.beside } else { &mut self.claims };
                *place = false;
                landing
            }
            Some(Err(why)) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
            // The runtime shuts down.
            Some(Err(_)) | None => std::future::pending().await,
        }
    }
}
