//! The write-ahead log under a long reader.

use std::fs;
use std::time::Instant;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};

use super::super::log::LARGE;
use super::*;

/// Nothing here takes so long.
const SOON: Duration = Duration::from_secs(30);

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < SOON, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_log_that_a_reader_made_grow_is_cut_when_he_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let options = SqliteOptions { synchronous: crate::model::Synchronous::Off, ..SqliteOptions::default() };
    let sqlite = Sqlite::open(path.to_str().unwrap(), options).await.unwrap();
    let store = Store { sqlite, folder: None };
    let count = std::cell::Cell::new(0_u8);
    let keep = async |n: usize| {
        // Each is another: what is there already is not written again.
        count.set(count.get() % 9 + 1);
        let value = Payload::from(vec![b'0' + count.get(); 1 << 20]);
        store.ok(Request::SetCachedResult { key: format!("k{}", n % 4), value, ttl: None }).await;
    };
    keep(0).await;
    let mut reader = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    reader.fetch_one("SELECT count(*) FROM cache").await.unwrap();
    let bytes = || fs::metadata(folder.path().join("stent.db-wal")).unwrap().len();
    for n in 0..=(LARGE >> 20) as usize {
        keep(n).await;
    }
    assert!(bytes() > LARGE);
    until("it is told that the log can't be cut", async || {
        keep(0).await;
        !store.sqlite.log_size().unwrap().blocked.is_zero()
    })
    .await;
    assert_eq!(store.sqlite.log_size().unwrap().bytes, bytes());

    reader.execute("COMMIT").await.unwrap();
    // Nobody writes any more.
    until("the log is cut, and told so", async || bytes() == 0 && store.sqlite.log_size().unwrap().blocked.is_zero())
        .await;
    keep(1).await;
}

#[tokio::test]
async fn a_copy_is_of_one_moment_and_takes_no_name_that_is_taken() {
    on_both(async |store| {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy #1 %.db");
        let keep = |key: &str| Request::SetCachedResult { key: key.into(), value: Payload::from("1"), ttl: None };
        store.ok(keep("before")).await;
        store.sqlite.backup(copy.to_str().unwrap()).await.unwrap();
        store.ok(keep("after")).await;
        let why = store.sqlite.backup(copy.to_str().unwrap()).await.unwrap_err();
        is(&why, Status::Conflict, "exists already; give the path of a file that is to be made");
        let why = store.sqlite.backup(folder.path().join("no/such/copy.db").to_str().unwrap()).await.unwrap_err();
        is(&why, Status::Backend, "the folder must exist and be writable");
        is(&store.sqlite.backup("").await.unwrap_err(), Status::Invalid, "is empty");

        let sqlite = Sqlite::open(copy.to_str().unwrap(), SqliteOptions::default()).await.unwrap();
        let copied = Store { sqlite, folder: None };
        let get = async |key: &str| copied.call(Request::GetCachedResult { key: key.into() }).await.unwrap();
        assert_eq!(get("before").await, Response::Payload(Some(Payload::from("1"))));
        assert_eq!(get("after").await, Response::Payload(None));
        copied.ok(Request::Close {}).await;
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["copy #1 %.db"]);
    })
    .await;
}
