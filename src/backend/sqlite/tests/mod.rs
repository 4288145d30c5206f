//! Every operation of the protocol, in memory and on a file; and what becomes of files that are not as they should be.

mod claims;
mod clock;
mod direct;
mod executions;
mod files;
mod locked;
mod log;
mod records;
mod statements;
mod tasks;
mod views;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Sqlite, SqliteOptions};
use crate::backend::sql::row::Row;
use crate::backend::sql::statement::{Column, Statement, Text};
use crate::backend::{Backend as _, Request, Response};
use crate::model::{
    Error, Execution, ExecutionState, Failure, Id, Payload, Result, Status, Task, TaskKind, TaskState, Timestamp,
};

/// A statement of a test's own.
pub(super) const fn statement(sql: &'static str, columns: &'static [Column]) -> Statement {
    Statement {
        name: "test",
        doing: "test",
        rows: &[],
        parameters: &[],
        columns,
        sqlite: Text::Sql(sql),
        postgres: Text::Nothing("a test of SQLite"),
    }
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A store under test; the folder goes with it.
pub(super) struct Store {
    pub sqlite: Arc<Sqlite>,
    folder: Option<TempDir>,
}

impl Store {
    pub async fn call(&self, request: Request) -> Result<Response> {
        self.sqlite.call(request).await
    }

    pub async fn ok(&self, request: Request) {
        let answer = self.call(request).await;
        assert_eq!(answer, Ok(Response::Nothing));
    }

    pub async fn refused(&self, request: Request) -> Error {
        self.call(request).await.unwrap_err()
    }

    /// Runs a statement of the test's own in a transaction.
    pub async fn run(&self, statement: &'static Statement) -> Vec<Row> {
        self.sqlite.write((), move |tx, _| Box::pin(async move { tx.fetch(&statement.call()).await })).await.unwrap()
    }

    pub async fn execution(&self, id: Id) -> Option<Execution> {
        match self.call(Request::GetExecution { execution_id: id }).await.unwrap() {
            Response::Execution(found) => found.map(|execution| *execution),
            other => panic!("{other:?}"),
        }
    }

    pub async fn task(&self, id: Id) -> Option<Task> {
        match self.call(Request::GetTask { task_id: id }).await.unwrap() {
            Response::Task(found) => found.map(|task| *task),
            other => panic!("{other:?}"),
        }
    }

    pub async fn claim(&self, claim: Claim<'_>) -> Option<Task> {
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let request = Request::ClaimNextTask {
            worker_id: claim.worker.to_owned(),
            queues: claim.queues.map(strings),
            tags: claim.tags.map(strings),
            now: claim.now,
            lease_duration: 30.0,
            concurrency_limits: claim.limits.iter().map(|(name, max)| ((*name).to_owned(), *max)).collect(),
        };
        match self.call(request).await.unwrap() {
            Response::Task(found) => found.map(|task| *task),
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub worker: &'a str,
    pub queues: Option<&'a [&'a str]>,
    pub tags: Option<&'a [&'a str]>,
    pub now: Option<Timestamp>,
    pub limits: &'a [(&'a str, u32)],
}

pub(super) const ANY: Claim<'static> = Claim { worker: "w", queues: None, tags: None, now: None, limits: &[] };

/// Runs a test on a database in memory and on a file.
pub(super) async fn on_both<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    let memory = Sqlite::open(":memory:", SqliteOptions::default()).await.unwrap();
    test(Store { sqlite: memory, folder: None }).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let file = Sqlite::open(path.to_str().unwrap(), SqliteOptions::default()).await.unwrap();
    let store = Store { sqlite: file, folder: Some(folder) };
    test(store).await;
}

pub(super) fn id() -> Id {
    Id::now_v7()
}

/// Microseconds are what the store keeps.
pub(super) fn now() -> Timestamp {
    super::clock::Clock::default().read().wall
}

pub(super) fn execution(state: ExecutionState) -> Execution {
    Execution {
        id: id(),
        root_function: "order".to_owned(),
        state,
        args: Payload::empty_array(),
        kwargs: Payload::empty_object(),
        retries: 0,
        created_at: now(),
        started_at: None,
        completed_at: None,
        expiry_at: None,
        progress: Vec::new(),
        tags: Vec::new(),
        priority: 0,
        queue: None,
        result: None,
        error: None,
    }
}

pub(super) fn task(execution: Id) -> Task {
    Task { args: Payload::from("[1]"), ..Task::new(id(), execution, TaskKind::Activity, "charge", now()) }
}

pub(super) fn failure() -> Failure {
    Failure::new("CardDeclined", "no funds")
}

pub(super) fn is(error: &Error, status: Status, says: &str) {
    assert_eq!(error.status(), status, "{error}");
    assert!(error.message().contains(says), "'{says}' is not in: {error}");
}
