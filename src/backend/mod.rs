//! The stores. [`Backend`] is the trait that each of them implements; its documentation says what a store must and must
//! not do.

pub mod custom;
mod decide;
mod engine;
mod parcel;
mod pauses;
pub mod postgres;
mod protocol;
mod queries;
mod schedules;
mod sql;
pub mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

pub use engine::*;
pub use parcel::*;
pub use pauses::*;
pub use protocol::{Request, Response};
pub use queries::*;
pub use schedules::*;

use crate::model::{Error, Id, Payload, Result, Signal, Status, Task};

/// A store that answers the backend protocol and the engine's operations.
///
/// Every method may be called concurrently. A method that changes several records does so in one transaction. Times are
/// judged by the store's clock. An error says what was being done and whether the same call may succeed later.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// `sqlite`, `postgres`, `custom`; for messages and metrics.
    fn name(&self) -> &'static str;

    /// Does it answer this operation itself? Stores of this library answer all of them.
    fn offers(&self, _operation: &str) -> bool {
        true
    }

    /// May a handler's own transaction on the same database record a step (`record_step`)?
    fn records_in_transactions(&self) -> bool {
        false
    }

    /// Can it keep what handlers say of others: that nobody of a key or of a function starts before a time?
    fn holds(&self) -> bool {
        false
    }

    /// How many transactions of one worker it works on at once: one, where others would only wait for it.
    fn writers(&self) -> usize {
        1
    }

    /// One operation of the protocol.
    async fn call(&self, request: Request) -> Result<Response>;

    /// The hints that are sent from now on. A receiver that has lagged (`RecvError::Lagged`) has missed some and must
    /// query the store.
    fn notices(&self) -> broadcast::Receiver<Notice>;

    /// Another's cancel may be unheard of here for longer than this: before a body begins, it is asked for
    /// (`cancelled_among`), unless that was done since. `None`: the hints tell of cancels as they are recorded.
    fn unheard_for(&self) -> Option<Duration> {
        None
    }

    /// Starts executions with their root tasks, in one transaction, in order. Where an idempotency key of the same
    /// function is held by another execution's root (going on or completed), that execution's id is the answer.
    async fn dispatch(&self, executions: Vec<NewExecution>) -> Result<Vec<Id>>;

    /// Registers a worker and its functions, and frees tasks that are parked by another version of them. A worker that
    /// is registered already is replaced.
    async fn register_worker(&self, worker: NewWorker) -> Result<()>;

    /// The worker is gone: tasks that only it could claim may be claimed by any worker. An unknown id is no error.
    async fn remove_worker(&self, worker_id: &str) -> Result<()>;

    /// Records transitions, each with its own verdict, and claims: in this order, in one transaction.
    ///
    /// Must not: write anything for a task whose fence is another; claim a task of an execution that is being
    /// cancelled; claim what the registered worker can't run; let what it can't run hide what it can.
    async fn advance(&self, transitions: Vec<Transition>, claim: Option<Claim>)
    -> Result<(Vec<Verdict>, Vec<Claimed>)>;

    /// Journals in the order of the requests; entries by operation number.
    async fn journals(&self, requests: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>>;

    /// Results kept for these cache keys, in order.
    async fn cached(&self, keys: Vec<String>) -> Result<Vec<Option<Payload>>>;

    /// Renews all leases of a worker in one statement.
    async fn renew(&self, renew: Renew) -> Result<Renewed>;

    /// Handles what is due, in bounded batches: timers, delays, ended leases, expiries, cancelled trees. `worker_id` is
    /// the worker that sweeps; it also gets the parked tasks that its versions of the functions may be able to run.
    async fn sweep(&self, worker_id: &str) -> Result<Swept>;

    /// Turns the execution to `cancelling` in one commit. Unknown: not found. Already over: conflict.
    async fn cancel(&self, execution: Id, reason: Option<String>) -> Result<()>;

    /// Appends a signal and hands it to the oldest wait for its name, in one transaction. Unknown execution: not
    /// found. Ended: conflict.
    async fn signal(&self, signal: NewSignal) -> Result<()>;

    /// Which of these executions are over.
    async fn ended_among(&self, executions: Vec<Id>) -> Result<Vec<Id>>;

    /// Which of these executions are being cancelled, or over.
    async fn cancelled_among(&self, executions: Vec<Id>) -> Result<Vec<Id>>;

    async fn snapshot(&self, execution: Id) -> Result<Option<Snapshot>>;

    /// Newest first, ties by id; without progress.
    async fn list(&self, filter: ExecutionFilter) -> Result<Vec<crate::model::Execution>>;

    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<crate::model::DeadLetter>>;

    /// Starts `new_execution` as a fork of the dead letter's execution: the journal up to the failure, without the
    /// failed path from the letter to the root. Takes the letter away.
    async fn replay_dead_letter(&self, task: Id, new_execution: Id) -> Result<Replayed>;

    /// A parked task goes on. Not parked: conflict.
    async fn resume(&self, task: Id) -> Result<()>;

    async fn stats(&self) -> Result<StoreStats>;

    /// When this has returned, nobody claims tasks of this queue or function any more, until it is unpaused; also what was
    /// suspended and is woken waits. What is held goes on, and dispatches do. Again: the reason is replaced.
    async fn pause(&self, _pause: NewPause) -> Result<()> {
        Err(does_not_pause())
    }

    /// Its tasks are claimed again, at once. Not paused: not found.
    async fn unpause(&self, _what: Pausable) -> Result<()> {
        Err(does_not_pause())
    }

    /// What is paused: queues first, by name, then functions.
    async fn pauses(&self) -> Result<Vec<Pause>> {
        Ok(Vec::new())
    }

    /// By id, newest first where ids are the library's own. For people who look into a store, as are the next six.
    async fn tasks(&self, _filter: TaskFilter) -> Result<Vec<Task>> {
        Err(not_looked_into("tasks"))
    }

    /// Those of these that wait for their time, the one of a retry or of a delay, may be claimed at once. Which they are.
    async fn hasten(&self, _tasks: Vec<Id>) -> Result<Vec<Id>> {
        Err(not_looked_into("tasks that wait for their time"))
    }

    /// Of the execution's tasks: the attempts that failed or said "not now" and were followed by another, as far as they are kept; in the order
    /// of tasks, the newest first.
    async fn attempts(&self, _execution: Id) -> Result<Vec<Attempt>> {
        Err(not_looked_into("attempts"))
    }

    /// Which of the execution's tasks wait for a slot of their key: at most so many, the oldest first.
    async fn slot_waits(&self, _execution: Id, _limit: u32) -> Result<Vec<SlotWait>> {
        Ok(Vec::new())
    }

    /// What workers hold, what is due next and what is parked: of each at most so many, found by an index.
    async fn at_hand(&self, _limit: u32) -> Result<Vec<AtHand>> {
        Err(not_looked_into("tasks at hand"))
    }

    /// An execution's signals in the order of sending, at most so many.
    async fn signals(&self, _execution: Id, _limit: u32) -> Result<Vec<Signal>> {
        Err(not_looked_into("signals"))
    }

    async fn registered(&self) -> Result<Registered> {
        Err(not_looked_into("functions and workers"))
    }

    /// What nobody here can run. Cheap: callers whose time is up ask for it.
    async fn unserved(&self) -> Result<Unserved> {
        Err(not_looked_into("functions that nobody has registered"))
    }

    /// What a cleanup would take away.
    async fn old(&self, _filter: OldFilter) -> Result<Old> {
        Err(not_looked_into("what is old"))
    }

    async fn health(&self) -> Result<Health> {
        Err(not_looked_into("its health"))
    }

    /// The write-ahead log, where the store keeps one that this process looks after.
    fn log_size(&self) -> Option<LogSize> {
        None
    }

    /// Deletes those of these executions that have ended, with all that belongs to them, as a cleanup does, but for those
    /// that a dead letter needs. How many.
    async fn forget_executions(&self, _executions: Vec<Id>) -> Result<u64> {
        Err(not_looked_into("executions to forget"))
    }

    /// What workers have declared of these functions counts no more, until one declares it again.
    async fn forget_functions(&self, _names: Vec<String>) -> Result<()> {
        Err(not_looked_into("functions to forget"))
    }

    /// Reads an execution as a line for another store. One that goes on is fenced in the same transaction: this store has
    /// nothing but the line of it from then on, so nothing of it runs here. Again: the same line. `anyway`: also if
    /// a worker holds some of it, whose work is lost. Else, and while it is being cancelled, that is a conflict, with
    /// `later` in its details.
    async fn export(&self, _execution: Id, _anyway: bool) -> Result<Exported> {
        Err(does_not_move())
    }

    /// Takes in what another store has exported. Again: nothing is changed. An execution that is here already, or a
    /// line that is older than what the store knows, is a conflict.
    async fn import(&self, _parcel: Parcel) -> Result<Imported> {
        Err(does_not_move())
    }

    /// What is fenced, from the oldest on, at most so many.
    async fn departed(&self, _limit: u32) -> Result<Vec<Departed>> {
        Err(does_not_move())
    }

    /// What became of one that is fenced. Not fenced: not found, but for what an earlier call has done.
    async fn settle(&self, _execution: Id, _what: Fenced) -> Result<()> {
        Err(does_not_move())
    }

    /// Puts schedules, in one transaction. One that is there already keeps its pause, and its next tick unless its times have
    /// changed.
    async fn put_schedules(&self, _put: PutSchedules) -> Result<()> {
        Err(has_no_schedules())
    }

    /// By name.
    async fn schedules(&self, _filter: ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        Err(has_no_schedules())
    }

    /// What became of the ticks that it has made. Unknown: not found.
    async fn change_schedule(&self, _name: &str, _change: ScheduleChange) -> Result<Vec<Tick>> {
        Err(has_no_schedules())
    }

    /// Copies the store as it is at one moment to a new file, while it is in use.
    async fn backup(&self, _path: &str) -> Result<()> {
        Err(Error::new(
            Status::Unsupported,
            "backup: this store is not one of the library's own; back it up with the tools of whatever it keeps its \
             records in",
        ))
    }
}

fn not_looked_into(what: &str) -> Error {
    Error::new(Status::Unsupported, format!("look for {what}: only the library's own stores are asked for that"))
}

fn does_not_pause() -> Error {
    Error::new(
        Status::Unsupported,
        "pause: this store can't pause queues or functions: it answers none of the operations pause, unpause and pauses; \
         stop the workers that serve the queue instead",
    )
}

fn has_no_schedules() -> Error {
    Error::new(
        Status::Unsupported,
        "schedules: this store keeps none: it answers none of the operations put_schedules, schedules and change_schedule; let \
         another scheduler dispatch into it, with an idempotency key for each time",
    )
}

fn does_not_move() -> Error {
    Error::new(
        Status::Unsupported,
        "export and import: this store is not one of the library's own; executions move between SQLite files and \
         PostgreSQL databases only",
    )
}

/// A backend as the executor holds it.
pub type SharedBackend = Arc<dyn Backend>;
