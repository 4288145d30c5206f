//! The cases' stores on PostgreSQL. A new schema, its connections and their plans cost several times what a case costs
//! itself, so a store that a case has left in order is emptied, and is the next one's.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::runtime::Runtime;

use crate::house::{SOON, Store};
use crate::lent::{beside, empty_open, name_of};
use crate::places::{Boxed, at, in_time, runtime};
use crate::postgres::fresh_url;

static EMPTY: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// A store with nothing in it.
struct Kept {
    store: Store,
    schema: String,
    /// Beside the store.
    conn: PgConnection,
    /// What goes on while nothing is done.
    tasks: usize,
    runtime: Runtime,
}

/// Runs a case on a store of which it is the only user. A case that fails takes its store with it.
pub fn run(case: Boxed<'_>) {
    let empty = EMPTY.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut kept = empty.unwrap_or_else(Kept::new);
    kept.runtime.block_on(in_time(&kept.store, case));
    kept.empty();
    EMPTY.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
}

impl Kept {
    fn new() -> Self {
        let runtime = runtime();
        let url = fresh_url("");
        let schema = name_of(&url).to_owned();
        let (store, conn) = runtime.block_on(async { (at(&url).await, beside().await) });
        let tasks = runtime.metrics().num_alive_tasks();
        Self { store, schema, conn, tasks, runtime }
    }

    /// As it was when it was new.
    fn empty(&mut self) {
        let begin = Instant::now();
        while self.runtime.metrics().num_alive_tasks() > self.tasks {
            assert!(begin.elapsed() < SOON, "something goes on after the case's end");
            std::thread::sleep(Duration::from_millis(1));
        }
        let Self { store, schema, conn, .. } = self;
        self.runtime.block_on(empty_open(&store.backend, conn, schema));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use sqlx::{AssertSqlSafe, Executor as _, Row as _};
    use stent::model::Status;

    use super::*;
    use crate::house::{LEASE, claim, dead, is_status, spawns};

    #[test]
    fn nothing_of_a_case_is_left_to_the_next_one() {
        let mut kept = Kept::new();
        let store = kept.store.clone();
        kept.runtime.block_on(async {
            store.worker("w", &["root", "child"]).await;
            store.hold(&store.root("root").await, spawns([])).await;
            store.record(&store.root("child").await, spawns([]), dead("over")).await;
            store.start("root").await;
        });
        kept.empty();
        let Kept { store, schema, conn, runtime, .. } = &mut kept;
        runtime.block_on(async {
            let counts = ["executions", "tasks", "dead_letters", "workers", "functions", "routes"]
                .map(|table| format!("(SELECT count(*) FROM {schema}.{table})"));
            let sql = format!("SELECT {}", counts.join(" + "));
            let left: i64 = conn.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap().get(0);
            assert_eq!(left, 0);
            // Nor in the process.
            let gone = store.backend.advance(Vec::new(), Some(claim("w", 1, LEASE))).await;
            is_status(gone, Status::NotFound, "w");
            store.worker("w", &["root"]).await;
            store.idle().await;
        });
    }

    #[test]
    fn a_case_that_fails_takes_its_store_with_it() {
        let failed = Mutex::new(String::new());
        let case = async |store: Store| {
            *failed.lock().unwrap() = store.path().to_owned();
            panic!("found");
        };
        let unwound = catch_unwind(AssertUnwindSafe(|| run(Box::new(|store| Box::pin(case(store))))));
        assert_eq!(*unwound.unwrap_err().downcast::<&str>().unwrap(), "found");
        let failed = failed.into_inner().unwrap();
        assert!(!failed.is_empty());
        assert!(EMPTY.lock().unwrap().iter().all(|kept| kept.store.path() != failed));
    }
}
