//! The third opinion: a store of maps and lists, without SQL, batches, indexes or transactions. It says what the
//! operations mean; where a store says something else, one of the two is wrong.
//!
//! An operation is a function of the state; one that fails leaves the state as it was. Errors are compared by their
//! status alone: their words are the stores' business.

mod advance;
mod claims;
mod cleanups;
mod commands;
mod ends;
mod limits;
mod pauses;
mod reading;
mod records;
mod restart;
mod signals;
mod state;
mod time;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stent::backend::{
    Backend, Claim, Claimed, DeadLetterFilter, ExecutionFilter, JournalEntry, JournalRequest, NewExecution, NewPause,
    NewSignal, NewWorker, Notice, Pausable, Pause, Renew, Renewed, Replayed, Request, Response, Snapshot, StoreStats,
    Swept, Transition, Verdict,
};
use stent::model::{DeadLetter, Error, Execution, ExecutionState, Id, Number, Payload, Result};
use tokio::sync::broadcast;

use state::State;

#[derive(Default)]
pub struct Model(Mutex<State>);

impl Model {
    pub fn open() -> Arc<Self> {
        Arc::default()
    }

    /// All or nothing.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.0.lock().unwrap();
        state.begin();
        let before = state.clone();
        let answer = change(&mut state);
        if answer.is_err() {
            *state = before;
        }
        answer
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T> {
        let mut state = self.0.lock().unwrap();
        state.begin();
        Ok(look(&state))
    }
}

#[async_trait]
impl Backend for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn call(&self, request: Request) -> Result<Response> {
        limits::check(&request)?;
        self.change(|state| state.call(request))
    }

    /// It says nothing by itself: nobody waits for it.
    fn notices(&self) -> broadcast::Receiver<Notice> {
        broadcast::channel(1).1
    }

    async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>> {
        self.change(|state| state.dispatch(&executions))
    }

    async fn register_worker(&self, worker: NewWorker) -> Result<()> {
        self.change(|state| {
            state.register(&worker);
            Ok(())
        })
    }

    async fn remove_worker(&self, worker_id: &str) -> Result<()> {
        self.change(|state| {
            state.remove(worker_id);
            Ok(())
        })
    }

    async fn advance(
        &self,
        transitions: Vec<Transition>,
        claim: Option<Claim>,
    ) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        self.change(|state| {
            let verdicts = state.apply(&transitions);
            let infinite = |number: &Number| matches!(number, Number::Real(real) if !real.is_finite());
            if state.executions.values().any(|run| run.counters.values().any(infinite)) {
                return Err(Error::invalid("a counter would leave its range"));
            }
            let claimed = claim.map_or(Ok(Vec::new()), |claim| state.claim(&claim))?;
            Ok((verdicts, claimed))
        })
    }

    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        self.look(|state| requests.iter().map(|request| state.journal(request)).collect())
    }

    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>> {
        self.look(|state| keys.iter().map(|key| state.cached(key)).collect())
    }

    async fn renew(&self, renew: Renew) -> Result<Renewed> {
        self.change(|state| Ok(state.renew(&renew)))
    }

    async fn sweep(&self, worker_id: &str) -> Result<Swept> {
        self.change(|state| Ok(Swept { changed: state.sweep(worker_id), ..Swept::default() }))
    }

    async fn cancel(&self, execution: Id, reason: Option<String>) -> Result<()> {
        self.change(|state| state.cancel(execution, reason))
    }

    async fn signal(&self, signal: NewSignal) -> Result<()> {
        self.change(|state| state.signal(&signal))
    }

    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.look(|state| executions.into_iter().filter(|id| state.over(*id, ExecutionState::is_terminal)).collect())
    }

    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>> {
        self.look(|state| executions.into_iter().filter(|id| !state.goes_on(*id)).collect())
    }

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>> {
        self.look(|state| state.snapshot(execution))
    }

    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        self.look(|state| state.list(&filter))
    }

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        self.look(|state| state.dead_letters(&filter))
    }

    async fn replay_dead_letter(&self, task: Id, new_execution: Id) -> Result<Replayed> {
        self.change(|state| state.replay(task, new_execution))
    }

    async fn resume(&self, task: Id) -> Result<()> {
        self.change(|state| state.resume(task))
    }

    async fn pause(&self, pause: NewPause) -> Result<()> {
        self.change(|state| {
            state.pause(pause);
            Ok(())
        })
    }

    async fn unpause(&self, what: Pausable) -> Result<()> {
        self.change(|state| state.unpause(&what))
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.look(State::paused)
    }

    async fn stats(&self) -> Result<StoreStats> {
        self.look(State::stats)
    }
}
