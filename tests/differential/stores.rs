//! The stores under comparison, opened new for every run, and the model.

use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::backend::{Request, SharedBackend};
use stent::model::{SqliteOptions, Synchronous};
use tempfile::TempDir;

use crate::model::Model;

pub const MODEL: &str = "the model";

pub struct Stores {
    pub all: Vec<(&'static str, SharedBackend)>,
    _folder: TempDir,
}

impl Stores {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.db");
        // Nothing is gained by waiting for the disk.
        let options = SqliteOptions { synchronous: Synchronous::Off, ..SqliteOptions::default() };
        let memory = Sqlite::open(":memory:", options.clone()).await.unwrap();
        let file = Sqlite::open(file.to_str().unwrap(), options).await.unwrap();
        let server = Postgres::open(&crate::postgres::fresh_url("")).await.unwrap();
        let all = vec![
            ("SQLite in memory", memory as SharedBackend),
            ("SQLite on a file", file),
            ("PostgreSQL", server),
            (MODEL, Model::open()),
        ];
        Self { all, _folder: folder }
    }

    pub async fn close(self) {
        for (_, store) in self.all {
            store.call(Request::Close {}).await.unwrap();
        }
    }
}
