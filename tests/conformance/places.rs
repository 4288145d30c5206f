//! Where the cases run.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::backend::{Request, SharedBackend};
use stent::model::{SqliteOptions, Synchronous};

use crate::house::{SOON, Store};
use crate::kept;

#[derive(Clone, Copy)]
pub enum Place {
    SqliteMemory,
    SqliteFile,
    /// SQLite behind a custom backend with the engine's operations: everything goes through JSON.
    Custom,
    Postgres,
}

/// Runs a case on a new store.
pub fn run<'a, F: Future<Output = ()> + 'a>(place: Place, case: impl FnOnce(Store) -> F + 'a) {
    run_boxed(place, Box::new(|store| Box::pin(case(store))));
}

pub type Boxed<'a> = Box<dyn FnOnce(Store) -> LocalBoxFuture<'a, ()> + 'a>;

/// Compiled once, and not for each case.
fn run_boxed(place: Place, case: Boxed<'_>) {
    if matches!(place, Place::Postgres) {
        return kept::run(case);
    }
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = match place {
            Place::Custom => {
                let backend = crate::around::around(open(":memory:").await, true);
                Store { backend, twin: None, url: None }
            }
            Place::SqliteFile => at(folder.path().join("store.db").to_str().unwrap()).await,
            _ => Store { backend: open(":memory:").await, twin: None, url: None },
        };
        in_time(&store, case).await;
        store.backend.call(Request::Close {}).await.unwrap();
    });
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub async fn in_time(store: &Store, case: Boxed<'_>) {
    tokio::time::timeout(10 * SOON, case(store.clone())).await.expect("the case hangs");
}

/// A store that can be opened again.
pub async fn at(url: &str) -> Store {
    let again = url.to_owned();
    let twin = move || -> futures_util::future::BoxFuture<'static, SharedBackend> {
        let url = again.clone();
        Box::pin(async move { open(&url).await })
    };
    Store { backend: open(url).await, twin: Some(Arc::new(twin)), url: Some(url.to_owned()) }
}

/// Cases kill no power: nothing is gained by waiting for the disk.
async fn open(url: &str) -> SharedBackend {
    if url.starts_with("postgresql:") {
        return Postgres::open(url).await.unwrap();
    }
    let options = SqliteOptions { synchronous: Synchronous::Off, ..SqliteOptions::default() };
    Sqlite::open(url, options).await.unwrap()
}
