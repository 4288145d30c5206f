//! Values that are the same in every replay (time, random numbers), and what a handler reports (progress, counters,
//! values, heartbeats, log lines).

use uuid::Uuid;

use super::Task;
use super::core::TaskCore;
use crate::executor::log::LogRecord;
use crate::executor::sync::wall_clock;
use crate::model::{
    Error, Hold, HoldOf, Level, Number, Payload, ProgressEntry, ProgressStatus, Result, RetryAfter, Status, Timestamp,
    check_size,
};

impl Task {
    /// The time of the last operation that was delivered, else of the task's creation: the same in every replay.
    pub fn now(&self) -> Result<Timestamp> {
        let core = self.core();
        let now = core.own_turn().map(|mut state| state.machine(&core.claimed).now());
        core.noted(now)
    }

    /// The next random number: the same in every replay.
    pub fn random(&self) -> Result<u64> {
        let core = self.core();
        let random = core.own_turn().map(|mut state| state.machine(&core.claimed).random());
        core.noted(random)
    }

    /// The next UUID: the same in every replay.
    pub fn uuid(&self) -> Result<Uuid> {
        let core = self.core();
        let uuid = core.own_turn().map(|mut state| state.machine(&core.claimed).uuid());
        core.noted(uuid)
    }

    /// Adds a line to the execution's progress. It is recorded soon, or with the task's next commit: once for all
    /// replays of the same journal, but again in each attempt that has no journal yet.
    pub fn progress(&self, detail: Payload) -> Result<()> {
        let core = self.core();
        let entry = ProgressEntry {
            step: core.claimed.task.step_name.clone(),
            status: ProgressStatus::Running,
            started_at: Some(core.store_time()),
            completed_at: None,
            detail: Some(detail),
        };
        let said = check_size("detail", entry.detail.as_ref().unwrap_or(&Payload::null())).and_then(|()| {
            let mut state = core.own_turn()?;
            state.machine(&core.claimed).progress(entry)?;
            core.flush_soon(&mut state);
            Ok(())
        });
        core.noted(said)
    }

    /// Adds to a counter of the execution. Recorded as progress is, so at least once while there is no journal.
    pub fn counter_add(&self, name: &str, amount: Number) -> Result<()> {
        let core = self.core();
        let said = core.own_turn().and_then(|mut state| {
            state.machine(&core.claimed).counter(name, amount)?;
            core.flush_soon(&mut state);
            Ok(())
        });
        core.noted(said)
    }

    /// Sets a named value of the execution. Recorded as progress is; the last one stands.
    pub fn state_set(&self, key: &str, value: Payload) -> Result<()> {
        let core = self.core();
        let said = check_size("value", &value).and_then(|()| {
            let mut state = core.own_turn()?;
            state.machine(&core.claimed).state(key, value)?;
            core.flush_soon(&mut state);
            Ok(())
        });
        core.noted(said)
    }

    /// Records details for the next attempt; the last ones count. Leases are renewed without it.
    pub fn heartbeat(&self, details: Option<Payload>) -> Result<()> {
        let core = self.core();
        let said = details.as_ref().map_or(Ok(()), |details| check_size("details", details)).and_then(|()| {
            let mut state = core.going()?;
            if let Some(details) = details {
                state.machine(&core.claimed).heartbeat(details)?;
                core.flush_soon(&mut state);
            }
            Ok(())
        });
        core.noted(said)
    }

    /// The other side wants nobody to ask for this time: no other task of the key, or of the function, starts before it is over.
    /// It is recorded with what this attempt comes to, whatever that is. Not in a replay: it was said before.
    ///
    /// # Errors
    /// See [`Task`]. `UNSUPPORTED`: a user-written store that keeps no rates.
    pub fn hold(&self, of: HoldOf, time: RetryAfter) -> Result<()> {
        if self.is_replaying() {
            return Ok(());
        }
        let held = self.core().hold_others(of, time);
        self.core().noted(held)
    }

    /// Keeps the error of a call that was refused before it reached the task, as the reason if the handler returns its
    /// status.
    pub fn note_error(&self, error: &Error) {
        self.core().note(error);
    }

    /// The handler of its batch has returned.
    pub(in crate::executor) fn returned_in_batch(&self, status: Status) {
        self.core().returned_in_batch(status);
    }

    /// Writes a line to the log, with the ids of execution and task; not again in a replay.
    pub fn log(&self, level: Level, message: &str) {
        if self.is_replaying() {
            return;
        }
        self.core().log(level, "stent.task", || message.to_owned());
    }
}

impl TaskCore {
    /// Until the attempt's outcome is recorded; the longer one of two stands. What can't be read does not count: it is a
    /// stranger's word.
    fn hold_others(&self, of: HoldOf, time: RetryAfter) -> Result<()> {
        let backend = &self.holder.core().backend;
        if !backend.holds() {
            let told = format!(
                "holding others needs a store that keeps rates, and this one, of kind {}, does not",
                backend.name()
            );
            return Err(Error::new(Status::Unsupported, told));
        }
        let (time, odd) = time.resolve("the time of a hold", wall_clock());
        if let Some(odd) = odd {
            self.log_record(Level::Warn, || LogRecord::new("stent.worker", odd));
        }
        let mut state = self.going()?;
        if let Some(RetryAfter::For(delay)) = time
            && !delay.is_zero()
        {
            let shorter = |held: &Hold| held.of == of && held.delay < delay;
            match state.holds.iter_mut().find(|held| held.of == of) {
                Some(held) if shorter(held) => held.delay = delay,
                Some(_) => {}
                None => state.holds.push(Hold { of, delay }),
            }
        }
        Ok(())
    }
}
