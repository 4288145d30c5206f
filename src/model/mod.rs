//! Records, states, options and rules. Pure: no I/O (but for the files of time zones, see `schedule`), no async, no clock, no
//! JSON text. Whatever depends on time, ids or chance takes these as arguments.

mod canonical;
pub mod counts;
mod duration;
mod error;
mod failure;
mod hold;
mod ids;
mod limits;
mod nearest;
mod ops;
mod options;
mod payload;
mod place;
mod rate;
mod records;
mod retry;
mod retry_after;
mod retry_header;
mod schedule;
mod secrets;
mod state;
mod step_token;
mod time;
mod wire;

pub use canonical::Canonical;
pub use duration::{format_duration, from_seconds as duration_from_seconds, optional_seconds, parse_duration, seconds};
pub use error::{Detail, Error, Result, Status};
pub use failure::{Failure, deserialize_error_text, error_text};
pub use hold::{Hold, HoldOf};
pub use ids::{Id, child_id, execution_id};
pub use limits::*;
pub use nearest::nearest;
pub use ops::{Op, OpSet, Wait, WaitMode};
pub use options::*;
pub use payload::Payload;
pub use place::{StoreKind, store_kind};
pub use rate::Rate;
pub use records::{DeadLetter, Execution, Number, ProgressEntry, ProgressStatus, Signal, Task};
pub use retry::{ANY_COMPANY, AfterDeath, AfterFailure, RetryPolicy, Tried, after_death, after_failure};
pub use retry_after::{RETRY_AFTER_MAX, RetryAfter};
pub use schedule::{
    BACKFILL_MAX, Overlap, Schedule, TIMES_MAX, TickKind, TickState, Timetable, When, may_be_tick, tick_id,
};
pub use secrets::{brief, masked, shown};
pub use state::{ExecutionState, TaskKind, TaskState};
pub use step_token::StepToken;
pub use time::Timestamp;
pub use wire::{digest, ended};
