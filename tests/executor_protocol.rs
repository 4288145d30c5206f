//! The executor on a custom backend that answers the protocol's operations alone: the tests of `executor/` that such a
//! store can pass.

#[path = "common/around.rs"]
mod around;
#[path = "executor/cleanup_kills.rs"]
mod cleanup_kills;
#[path = "executor/cleanups.rs"]
mod cleanups;
#[path = "executor/deaths.rs"]
mod deaths;
#[path = "executor/doubts.rs"]
mod doubts;
#[path = "executor/ends.rs"]
mod ends;
#[path = "executor/fallback.rs"]
mod fallback;
#[path = "executor/house.rs"]
mod house;
#[path = "executor/options.rs"]
mod options;
#[path = "executor/order.rs"]
mod order;
#[path = "executor/replays.rs"]
mod replays;
#[path = "executor/retries.rs"]
mod retries;
#[path = "executor/waits.rs"]
mod waits;
#[path = "executor/workers.rs"]
mod workers;

const KIND: house::Kind = house::Kind::Protocol(|store| around::around(store, false));
