//! The executor on a SQLite file: what a user of functions, workers and tasks can rely on.

mod backups;
mod cleanup_kills;
mod cleanups;
mod deadlines;
mod deaths;
mod ends;
mod flaky;
mod flights;
mod house;
mod locked;
mod looks;
mod options;
mod order;
mod replays;
mod strays;
mod troubles;
mod waits;
mod workers;

const KIND: house::Kind = house::Kind::Sqlite;
