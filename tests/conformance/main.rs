//! What every backend must do, case by case, on the trait alone: no executor, no handlers. The cases are those of
//! `stent_backend_check` (`src/check/cases/`), here each by itself, on every store of `stores!`; and what only one of
//! the stores shows.

/// The stores. Another line here, and every case runs on another store.
macro_rules! stores {
    ($case:path) => {
        #[test]
        fn sqlite_in_memory() {
            crate::places::run(crate::places::Place::SqliteMemory, $case);
        }

        #[test]
        fn sqlite_on_a_file() {
            crate::places::run(crate::places::Place::SqliteFile, $case);
        }

        #[test]
        fn custom() {
            crate::places::run(crate::places::Place::Custom, $case);
        }

        #[test]
        fn postgres() {
            crate::places::run(crate::places::Place::Postgres, $case);
        }
    };
}

/// Declares a file's cases. One that is not listed is dead code, which the lints refuse.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod on {
            $(mod $case {
                stores!(super::super::$case);
            })*
        }
    };
}

#[path = "../../src/check/cases/ageing.rs"]
mod ageing;
#[path = "../common/around.rs"]
mod around;
#[path = "../../src/check/cases/arrivals.rs"]
mod arrivals;
#[path = "../../src/check/cases/atomic.rs"]
mod atomic;
#[path = "../../src/check/cases/cancels.rs"]
mod cancels;
#[path = "../../src/check/cases/claiming.rs"]
mod claiming;
#[path = "../../src/check/cases/cleanup.rs"]
mod cleanup;
#[path = "../../src/check/cases/cleanups.rs"]
mod cleanups;
#[path = "../../src/check/cases/continues.rs"]
mod continues;
#[path = "../../src/check/cases/crashes.rs"]
mod crashes;
#[path = "../../src/check/cases/crowds.rs"]
mod crowds;
#[path = "../../src/check/cases/debounces.rs"]
mod debounces;
#[path = "../../src/check/cases/ends.rs"]
mod ends;
#[path = "../../src/check/cases/fairness.rs"]
mod fairness;
#[path = "../../src/check/cases/fences.rs"]
mod fences;
#[path = "../../src/check/cases/forks.rs"]
mod forks;
#[path = "../../src/check/cases/holds.rs"]
mod holds;
#[path = "../../src/check/house.rs"]
mod house;
#[path = "../../src/check/cases/keeping.rs"]
mod keeping;
mod kept;
#[path = "../../src/check/cases/keys.rs"]
mod keys;
#[path = "../../src/check/cases/lanes.rs"]
mod lanes;
#[path = "../common/lent.rs"]
mod lent;
#[path = "../../src/check/cases/limits.rs"]
mod limits;
#[path = "../../src/check/cases/looks.rs"]
mod looks;
#[path = "../../src/check/cases/moves.rs"]
mod moves;
#[path = "../../src/check/must.rs"]
mod must;
mod old_snapshots;
#[path = "../../src/check/cases/options.rs"]
mod options;
#[path = "../../src/check/cases/parking.rs"]
mod parking;
#[path = "../../src/check/cases/pauses.rs"]
mod pauses;
mod places;
mod plans;
#[path = "../common/postgres.rs"]
mod postgres;
#[path = "../../src/check/cases/queue_rates.rs"]
mod queue_rates;
#[path = "../../src/check/cases/rates.rs"]
mod rates;
#[path = "../../src/check/cases/raw.rs"]
mod raw;
#[path = "../../src/check/cases/records.rs"]
mod records;
#[path = "../../src/check/cases/retries.rs"]
mod retries;
#[path = "../../src/check/cases/routes.rs"]
mod routes;
#[path = "../../src/check/cases/said.rs"]
mod said;
#[path = "../../src/check/cases/schedules.rs"]
mod schedules;
mod server;
#[path = "../../src/check/cases/signals.rs"]
mod signals;
#[path = "../../src/check/cases/slot_limits.rs"]
mod slot_limits;
#[path = "../../src/check/cases/slots.rs"]
mod slots;
#[path = "../../src/check/cases/snoozes.rs"]
mod snoozes;
mod sqlite;
mod starts;
mod ticks;
#[path = "../../src/check/cases/times.rs"]
mod times;
#[path = "../../src/check/cases/unique.rs"]
mod unique;
#[path = "../../src/check/cases/waits.rs"]
mod waits;
#[path = "../../src/check/words.rs"]
mod words;
