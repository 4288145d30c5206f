//! The command `stent`, as a person and as a script use it, on both stores.

mod acts;
mod alone;
mod documents;
mod house;
#[path = "../common/postgres.rs"]
mod postgres;
mod reads;
mod terminal;
mod upkeep;
