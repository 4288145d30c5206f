//! The executor on a SQLite file: what a user of functions, workers and tasks can rely on.

mod ends;
mod flaky;
mod house;
mod looks;
mod options;
mod order;
mod replays;
mod troubles;
mod waits;
mod workers;

const KIND: house::Kind = house::Kind::Sqlite;
