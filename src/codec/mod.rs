//! Converts records to and from JSON. No other code does: the C functions, user-written stores and the JSON columns of
//! the SQL stores use this.

mod bytes;
mod canonical;
mod columns;
mod describe;
pub mod engine;
mod engine_checks;
mod fault;
mod input;
pub mod operations;
pub mod options;
mod output;
mod payload;
mod reader;
mod schedules;
mod submissions;
mod tables;

pub use canonical::CanonicalJson;
pub use columns::*;
pub use describe::{describe, option_fields};
pub use engine::is_retryable;
pub use input::{
    args_from_text, args_list_from_text, duration_from_text, failure_from_text, from_json, id_from_text,
    kwargs_from_text, number_from_text, value_from_text,
};
pub use output::{error_json, log_json, to_json};
pub use schedules::{
    backfill, kept_schedules, pause_schedule, put_schedules, schedule, schedule_filter, schedule_from_column,
    schedule_to_column, schedules, trigger, with_time,
};
pub use submissions::{Submission, submission};

pub use tables::urls::POSTGRES_OPTIONS;

#[cfg(test)]
mod tests;
