//! The file is locked from outside: every caller has a time of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

use super::{Payload, Request, Response, Sqlite, SqliteOptions, Status, is};
use crate::backend::Backend as _;
use crate::model::Result;

const PATIENCE: Duration = Duration::from_millis(600);
const CALLERS: usize = 10;

async fn open(path: &Path) -> Result<Arc<Sqlite>> {
    let options = SqliteOptions { busy_timeout: PATIENCE, ..SqliteOptions::default() };
    Sqlite::open(path.to_str().unwrap(), options).await
}

async fn store() -> (TempDir, Arc<Sqlite>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("stent.db")).await.unwrap();
    (folder, store)
}

/// Somebody else's program, which has the lock for writing until it is told to let go.
async fn locker(folder: &TempDir) -> SqliteConnection {
    let path = folder.path().join("stent.db");
    let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    conn.execute("BEGIN IMMEDIATE").await.unwrap();
    conn
}

async fn keep(store: &Sqlite, n: usize) -> Result<Response> {
    store.call(Request::SetCachedResult { key: format!("k{n}"), value: Payload::from("1"), ttl: None }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_do_not_queue_for_each_others_time() {
    let (folder, store) = store().await;
    let mut other = locker(&folder).await;
    let told = join_all((0..CALLERS).map(|n| {
        let store = store.clone();
        // They come one after the other, as callers do.
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE / 20 * n as u32).await;
            let begun = Instant::now();
            (keep(&store, n).await, begun.elapsed())
        })
    }));
    let told: Vec<_> = told.await.into_iter().map(std::result::Result::unwrap).collect();
    for (n, (answer, took)) in told.iter().enumerate() {
        let why = answer.as_ref().unwrap_err();
        is(why, Status::Backend, "locked by another process for longer than busy_timeout");
        assert!(why.is_retryable());
        assert!(*took >= PATIENCE, "{n}: {took:?}");
        assert!(*took < PATIENCE * 3, "{n} waited for others: {took:?}");
    }
    other.execute("COMMIT").await.unwrap();
    keep(&store, 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_time_left_is_served_when_the_lock_is_let_go() {
    let (folder, store) = store().await;
    let mut other = locker(&folder).await;
    let early = tokio::spawn({
        let store = store.clone();
        async move { keep(&store, 0).await }
    });
    early.await.unwrap().unwrap_err();
    let late = tokio::spawn({
        let store = store.clone();
        async move { keep(&store, 1).await }
    });
    other.execute("COMMIT").await.unwrap();
    late.await.unwrap().unwrap();
    // What was refused was not written, however late it was found.
    let kept = async |n| store.call(Request::GetCachedResult { key: format!("k{n}") }).await.unwrap();
    assert_eq!(kept(0).await, Response::Payload(None));
    assert_eq!(kept(1).await, Response::Payload(Some(Payload::from("1"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openings_do_not_queue_for_each_others_time() {
    let (folder, store) = store().await;
    store.call(Request::Close {}).await.unwrap();
    let mut other = locker(&folder).await;
    // Another boot has to be written down: only a file in which all is there is opened without the lock.
    for sql in ["UPDATE boots SET boot_id = 'another'", "COMMIT", "BEGIN IMMEDIATE"] {
        other.execute(sql).await.unwrap();
    }
    let path = folder.path().join("stent.db");
    let told = join_all((0..CALLERS).map(|_| {
        let path = path.clone();
        tokio::spawn(async move {
            let begun = Instant::now();
            (open(&path).await.map(drop), begun.elapsed())
        })
    }));
    for told in told.await {
        let (answer, took) = told.unwrap();
        is(&answer.unwrap_err(), Status::Backend, "locked by another process for longer than busy_timeout");
        assert!(took < PATIENCE * 3, "it waited for others: {took:?}");
    }
    other.execute("COMMIT").await.unwrap();
    open(&path).await.unwrap();
}
