//! The stores against each other and against a plain model: the same random operations on all of them, and every answer
//! and all that can be read afterwards must be equal but for the values of times.
//!
//! What is asked for is drawn in two ways: by hand what workers and tools say, and at the operations' door whatever
//! `stent_describe` says that there is, valid, broken and extreme. Whatever a run has left behind comes to rest.
//!
//! `STENT_SEED=7` runs one seed again, `STENT_STEPS=200` makes runs longer, `STENT_SEEDS=1000` makes more of them, from
//! `STENT_SEED` on if both are given.

mod door;
mod driver;
mod generate;
#[path = "../common/lent.rs"]
mod lent;
mod model;
mod operation;
mod picture;
#[path = "../common/postgres.rs"]
mod postgres;
mod protocol;
mod rest;
mod stores;
mod transitions;
mod world;

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

/// Seeds run without a word from outside: enough to meet every operation many times, and short.
const SEEDS: u64 = 20;

const STEPS: usize = 60;

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is '{text}'; it must be a number"),
    }
}

#[test]
fn all_stores_answer_alike() {
    run("all_stores_answer_alike", world::World::next_operation);
}

#[test]
fn all_stores_answer_alike_whatever_is_asked_for() {
    run("all_stores_answer_alike_whatever_is_asked_for", world::World::next_at_the_door);
}

/// Where the tests run, and what they hand on to each other.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

fn run(name: &str, draw: fn(&mut world::World) -> operation::Operation) {
    let steps = number("STENT_STEPS").unwrap_or(STEPS);
    let first = number("STENT_SEED");
    let count = number("STENT_SEEDS").unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let first = first.unwrap_or(1);
    for seed in first..first + count {
        println!("seed {seed}, {steps} steps");
        if let Err(difference) = RUNTIME.block_on(driver::run(seed, steps, draw)) {
            let again =
                format!("STENT_SEED={seed} STENT_STEPS={steps} cargo test --test differential -- --exact {name}");
            panic!("{difference}\nagain: {again}");
        }
    }
}
