//! Schedules: what the client does with them, and those that this executor's workers declare when they start.

use super::Executor;
use crate::backend::{KeptSchedule, PutSchedules, ScheduleChange, ScheduleFilter, Tick};
use crate::model::{Error, Result, Schedule, check_name};

impl Executor {
    /// Puts a schedule, which replaces one of the same name and keeps its pause.
    ///
    /// # Errors
    /// `INVALID`; `UNSUPPORTED` for a store that keeps none; `BACKEND`.
    pub async fn put_schedule(&self, schedule: Schedule) -> Result<()> {
        schedule.check()?;
        let put = PutSchedules { schedules: vec![schedule], only_of: None };
        self.0.core.backend.put_schedules(put).await.map_err(|error| error.doing("put schedule"))
    }

    /// Workers that are started from now on put these schedules when they start, in place of those that were declared here
    /// for this owner before.
    ///
    /// # Errors
    /// `INVALID` for names that are there twice, and schedules that make no sense or are another owner's.
    pub fn declare_schedules(&self, owner: &str, put: PutSchedules) -> Result<()> {
        check_name("owner", owner)?;
        let mut names = std::collections::BTreeSet::new();
        for schedule in &put.schedules {
            schedule.check()?;
            let told = match schedule.owner.as_deref() {
                Some(other) if other == owner && names.insert(&schedule.name) => continue,
                Some(other) if other == owner => "is there twice".to_owned(),
                other => format!("is of the owner '{}', not of '{owner}'", other.unwrap_or_default()),
            };
            return Err(Error::invalid(format!("schedules: '{}' {told}", schedule.name)).with("key", "name"));
        }
        self.0.core.schedules.set(owner.to_owned(), put);
        Ok(())
    }

    /// By name.
    pub async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        self.0.core.backend.schedules(filter).await
    }

    /// Pauses, resumes or deletes a schedule, or makes ticks by hand and tells what became of them. `NOT_FOUND`.
    pub async fn change_schedule(&self, name: &str, change: ScheduleChange) -> Result<Vec<Tick>> {
        self.0.core.backend.change_schedule(name, change).await
    }
}
