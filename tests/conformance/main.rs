//! What every backend must do, case by case, on the trait alone: no executor, no handlers. A case is an
//! `async fn(Store)` that stands in its file's `cases!` list; it runs on every store of `stores!`.

/// The stores. Another line here, and every case runs on another store.
macro_rules! stores {
    ($case:path) => {
        #[test]
        fn sqlite_in_memory() {
            crate::house::run(crate::house::Place::SqliteMemory, $case);
        }

        #[test]
        fn sqlite_on_a_file() {
            crate::house::run(crate::house::Place::SqliteFile, $case);
        }

        #[test]
        fn custom() {
            crate::house::run(crate::house::Place::Custom, $case);
        }

        #[test]
        fn postgres() {
            crate::house::run(crate::house::Place::Postgres, $case);
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

#[path = "../common/around.rs"]
mod around;
mod arrivals;
mod atomic;
mod cancels;
mod cleanup;
mod continues;
mod crashes;
mod crowds;
mod ends;
mod fences;
mod forks;
mod house;
mod keys;
mod lanes;
mod limits;
mod options;
mod parking;
mod plans;
#[path = "../common/postgres.rs"]
mod postgres;
mod raw;
mod retries;
mod routes;
mod said;
mod server;
mod signals;
mod sqlite;
mod times;
mod waits;
