//! The executor on PostgreSQL: the tests of `executor/`, on another store.

#[path = "executor/batches.rs"]
mod batches;
#[path = "executor/cleanup_kills.rs"]
mod cleanup_kills;
#[path = "executor/cleanups.rs"]
mod cleanups;
#[path = "executor/deadlines.rs"]
mod deadlines;
#[path = "executor/deaths.rs"]
mod deaths;
#[path = "executor/doubts.rs"]
mod doubts;
#[path = "executor/ends.rs"]
mod ends;
#[path = "executor/flaky.rs"]
mod flaky;
#[path = "executor/flights.rs"]
mod flights;
#[path = "executor/house.rs"]
mod house;
#[path = "common/lent.rs"]
mod lent;
#[path = "executor/looks.rs"]
mod looks;
#[path = "executor/old_stores.rs"]
mod old_stores;
#[path = "executor/options.rs"]
mod options;
#[path = "executor/order.rs"]
mod order;
#[path = "common/postgres.rs"]
mod postgres;
#[path = "executor/replays.rs"]
mod replays;
#[path = "executor/retries.rs"]
mod retries;
#[path = "executor/schedules.rs"]
mod schedules;
#[path = "executor/transactions.rs"]
mod transactions;
#[path = "executor/troubles.rs"]
mod troubles;
#[path = "executor/unique.rs"]
mod unique;
#[path = "executor/waits.rs"]
mod waits;
#[path = "executor/workers.rs"]
mod workers;

const KIND: house::Kind = house::Kind::Postgres { fresh_url: || postgres::fresh_url(""), lend: lent::lend };
