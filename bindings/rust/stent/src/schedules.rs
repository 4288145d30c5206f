//! Schedules: functions that are started at times.

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{ask, call, decode, json, text};
use crate::error::Result;
use crate::executor::Executor;
use crate::options::{BackfillOptions, DeclareOptions, Schedule, ScheduleFilter, SchedulePauseOptions, TriggerOptions};
use crate::records::{KeptSchedule, Tick};

type Asked = unsafe extern "C" fn(
    *mut sys::stent_executor,
    *const std::ffi::c_char,
    *const std::ffi::c_char,
    *mut *mut std::ffi::c_char,
    *mut *mut sys::stent_error,
) -> sys::stent_status;

impl Executor {
    /// Puts a schedule into the store, in place of one of the same name.
    pub fn put_schedule(&self, schedule: &Schedule) -> Result<()> {
        let schedule = json(schedule)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_schedule_put(self.handle(), schedule.as_ptr(), why) }).map(|_| ())
    }

    /// Workers that are started from now on put an owner's schedules when they start.
    pub fn declare_schedules(&self, owner: &str, schedules: &[Schedule], options: &DeclareOptions) -> Result<()> {
        let (owner, schedules, options) = (text(owner)?, json(&schedules)?, json(options)?);
        // SAFETY: the handle lives, and the texts for the call.
        call(|why| unsafe {
            let (owner, schedules, options) = (owner.as_ptr(), schedules.as_ptr(), options.as_ptr());
            sys::stent_executor_schedules_declare(self.handle(), owner, schedules, options, why)
        })
        .map(|_| ())
    }

    /// The schedules that a filter admits, by name.
    pub fn schedules(&self, filter: &ScheduleFilter) -> Result<Vec<KeptSchedule>> {
        let filter = json(filter)?;
        // SAFETY: the handle lives, and the text for the call.
        decode(&ask(|out, why| unsafe { sys::stent_executor_schedule_list(self.handle(), filter.as_ptr(), out, why) })?)
    }

    /// Deletes a schedule; what it has started goes on.
    pub fn delete_schedule(&self, name: &str) -> Result<()> {
        let name = text(name)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_schedule_delete(self.handle(), name.as_ptr(), why) }).map(|_| ())
    }

    /// It starts nothing by its times until it is resumed.
    pub fn pause_schedule(&self, name: &str, options: &SchedulePauseOptions) -> Result<()> {
        let (name, options) = (text(name)?, json(options)?);
        // SAFETY: the handle lives, and the texts for the call.
        call(|why| unsafe { sys::stent_executor_schedule_pause(self.handle(), name.as_ptr(), options.as_ptr(), why) })
            .map(|_| ())
    }

    /// It goes on from now.
    pub fn resume_schedule(&self, name: &str) -> Result<()> {
        let name = text(name)?;
        // SAFETY: the handle lives, and the text for the call.
        call(|why| unsafe { sys::stent_executor_schedule_resume(self.handle(), name.as_ptr(), why) }).map(|_| ())
    }

    /// Makes a tick now, and tells what became of it.
    pub fn trigger_schedule(&self, name: &str, options: &TriggerOptions) -> Result<Vec<Tick>> {
        self.about_schedule(name, options, sys::stent_executor_schedule_trigger)
    }

    /// Makes the ticks of a time that is over, but for those that were started.
    pub fn backfill_schedule(&self, name: &str, options: &BackfillOptions) -> Result<Vec<Tick>> {
        self.about_schedule(name, options, sys::stent_executor_schedule_backfill)
    }

    fn about_schedule<R: DeserializeOwned>(&self, name: &str, options: &impl Serialize, asked: Asked) -> Result<R> {
        let (name, options) = (text(name)?, json(options)?);
        // SAFETY: the handle lives, and the texts for the call.
        decode(&ask(|out, why| unsafe { asked(self.handle(), name.as_ptr(), options.as_ptr(), out, why) })?)
    }
}
