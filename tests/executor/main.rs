//! The executor on a SQLite file: what a user of functions, workers and tasks can rely on.

#[path = "../common/around.rs"]
mod around;
mod backups;
mod batches;
mod cleanup_kills;
mod cleanups;
mod deadlines;
mod deaths;
mod doubts;
mod ends;
mod engine_level;
mod flaky;
mod flights;
mod house;
mod locked;
mod logs;
mod looks;
mod old_stores;
mod options;
mod order;
mod replays;
mod retries;
mod schedules;
mod spans;
mod strays;
mod suspects;
mod transactions;
mod troubles;
mod unique;
mod waits;
mod workers;

const KIND: house::Kind = house::Kind::Sqlite;
