//! The stores under comparison, opened new for every run, and the model. The one on PostgreSQL costs several times what a
//! run costs: it is emptied after each, and is the next one's.

use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;
use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::backend::{Request, SharedBackend};
use stent::model::{SqliteOptions, Synchronous};
use tempfile::TempDir;

use crate::lent::{beside, empty_open, name_of};
use crate::model::Model;

pub const MODEL: &str = "the model";

const POSTGRES: &str = "PostgreSQL";

pub struct Stores {
    pub all: Vec<(&'static str, SharedBackend)>,
    kept: Kept,
    _folder: TempDir,
}

/// A store with nothing in it.
struct Kept {
    store: SharedBackend,
    schema: String,
    conn: PgConnection,
}

static EMPTY: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

impl Kept {
    async fn take() -> Self {
        let empty = EMPTY.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match empty {
            Some(kept) => kept,
            None => Self::new().await,
        }
    }

    async fn new() -> Self {
        let url = crate::postgres::fresh_url("");
        let store = Postgres::open(&url).await.unwrap();
        Self { store, schema: name_of(&url).to_owned(), conn: beside().await }
    }

    async fn give_back(mut self) {
        empty_open(&self.store, &mut self.conn, &self.schema).await;
        EMPTY.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}

impl Stores {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.db");
        // Nothing is gained by waiting for the disk.
        let options = SqliteOptions { synchronous: Synchronous::Off, ..SqliteOptions::default() };
        let memory = Sqlite::open(":memory:", options.clone()).await.unwrap();
        let file = Sqlite::open(file.to_str().unwrap(), options).await.unwrap();
        let kept = Kept::take().await;
        let all = vec![
            ("SQLite in memory", memory as SharedBackend),
            ("SQLite on a file", file),
            (POSTGRES, kept.store.clone()),
            (MODEL, Model::open()),
        ];
        Self { all, kept, _folder: folder }
    }

    pub async fn close(self) {
        for (_, store) in self.all.iter().filter(|(name, _)| *name != POSTGRES) {
            store.call(Request::Close {}).await.unwrap();
        }
        self.kept.give_back().await;
    }
}
