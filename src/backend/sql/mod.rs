//! What both SQL stores have in common: which statements run for an operation, in which order, and what follows from
//! the answers. Statements are known by name ([`statements`]), and the database runs them ([`database`]).
//!
//! Begin with [`engine`], which lists the trait's operations, each with the function that does it. The modules
//! `dispatch`, `claim`, `advance` and `ends` follow a task through its life.

mod advance;
mod at_once;
mod attempts;
mod below;
pub(super) mod call;
mod cancel;
pub(super) mod catalog;
mod claim;
mod cleanups;
pub(super) mod database;
mod dead_letters;
mod dispatch;
mod doubt;
mod ended;
mod ends;
mod engine;
mod fairness;
mod fork;
pub(super) mod guest;
mod hints;
mod holds;
mod idempotency;
mod idle;
mod insert;
mod journal;
mod list;
pub(super) mod listeners;
pub(super) mod lock;
mod look;
mod moved;
mod moves;
mod parked;
pub(super) mod patience;
mod pauses;
mod places;
mod protocol;
mod rates;
mod register;
mod requests;
mod restart;
mod rooms;
pub(super) mod routes;
pub(super) mod row;
mod rows;
mod schedules;
pub(super) mod session;
mod signals;
mod snapshot;
mod spawn;
pub(super) mod statement;
pub(super) mod statements;
mod stats;
mod store;
mod sweep;
mod ticks;
mod tides;
pub(super) mod tx;
mod unique;
mod waits;

pub use store::Sql;
