//! Values that are the same in every replay, and what a handler tells the outside.

use uuid::Uuid;

use super::Task;
use crate::executor::LogRecord;
use crate::executor::client::check_size;
use crate::model::{Error, Level, Number, Payload, ProgressEntry, ProgressStatus, Result, Timestamp};

impl Task {
    /// The time of the last event that was handed over, else of the task's creation: the same in every replay.
    pub fn now(&self) -> Result<Timestamp> {
        let now = self.0.going().map(|mut state| state.machine(&self.0.claimed).now());
        self.0.noted(now)
    }

    /// The next random number: the same in every replay.
    pub fn random(&self) -> Result<u64> {
        let random = self.0.going().map(|mut state| state.machine(&self.0.claimed).random());
        self.0.noted(random)
    }

    /// The next UUID: the same in every replay.
    pub fn uuid(&self) -> Result<Uuid> {
        let uuid = self.0.going().map(|mut state| state.machine(&self.0.claimed).uuid());
        self.0.noted(uuid)
    }

    /// Adds a line to the execution's progress. Recorded once, soon, or with the next commit of the task.
    pub fn progress(&self, detail: Payload) -> Result<()> {
        let entry = ProgressEntry {
            step: self.0.claimed.task.step_name.clone(),
            status: ProgressStatus::Running,
            started_at: Some(self.0.store_time()),
            completed_at: None,
            detail: Some(detail),
        };
        let said = check_size("detail", entry.detail.as_ref().unwrap_or(&Payload::null())).and_then(|()| {
            let mut state = self.0.going()?;
            state.machine(&self.0.claimed).progress(entry)?;
            self.0.flush_soon(&mut state);
            Ok(())
        });
        self.0.noted(said)
    }

    /// Adds to a counter of the execution. Recorded once, as progress is.
    pub fn counter_add(&self, name: &str, amount: Number) -> Result<()> {
        let said = self.0.going().and_then(|mut state| {
            state.machine(&self.0.claimed).counter(name, amount)?;
            self.0.flush_soon(&mut state);
            Ok(())
        });
        self.0.noted(said)
    }

    /// Sets a named value of the execution. Recorded once, as progress is.
    pub fn state_set(&self, key: &str, value: Payload) -> Result<()> {
        let said = check_size("value", &value).and_then(|()| {
            let mut state = self.0.going()?;
            state.machine(&self.0.claimed).state(key, value)?;
            self.0.flush_soon(&mut state);
            Ok(())
        });
        self.0.noted(said)
    }

    /// Says that the handler is alive, and what its next attempt should know; the last details stand. Leases are
    /// renewed without it.
    pub fn heartbeat(&self, details: Option<Payload>) -> Result<()> {
        let said = details.as_ref().map_or(Ok(()), |details| check_size("details", details)).and_then(|()| {
            let mut state = self.0.going()?;
            if let Some(details) = details {
                state.machine(&self.0.claimed).heartbeat(details)?;
                self.0.flush_soon(&mut state);
            }
            Ok(())
        });
        self.0.noted(said)
    }

    /// Keeps the error of a call on this task that was refused before it came here, for the failure that is made of it
    /// when the handler returns its status.
    pub fn note_error(&self, error: &Error) {
        self.0.note(error);
    }

    /// Writes a line to the log, with the task beside it; not again in a replay.
    pub fn log(&self, level: Level, message: &str) {
        if self.is_replaying() {
            return;
        }
        let task = &self.0.claimed.task;
        self.0.shared.log(level, || {
            LogRecord::new("stent.task", message)
                .with("function", &task.step_name)
                .with("task", task.id)
                .with("execution", task.execution_id)
                .with("attempt", task.retries.saturating_add(1))
        });
    }
}
