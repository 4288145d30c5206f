//! The command `stent`, as a person and as a script use it, on both stores.

mod acts;
mod alone;
mod documents;
mod exposition;
mod grafana;
mod house;
mod metrics;
mod moves;
mod pauses;
#[path = "../common/postgres.rs"]
mod postgres;
mod reads;
mod shell;
mod terminal;
mod ui;
mod upkeep;
mod watch;
