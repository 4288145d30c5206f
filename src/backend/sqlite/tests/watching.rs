use super::*;
use crate::backend::Notice;
use std::path::Path;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

async fn open(path: &Path) -> Store {
    let sqlite = Sqlite::open(path.to_str().unwrap(), SqliteOptions::default()).await.unwrap();
    Store { sqlite, folder: None }
}

async fn commit(store: &Store) {
    store.ok(Request::CreateExecution { execution: execution(ExecutionState::Running) }).await;
}

async fn foreign(notices: &mut Receiver<Notice>) {
    while notices.recv().await.unwrap() != Notice::Foreign {}
}

/// Another handle has a connection of its own: to this one it is another process.
#[tokio::test]
async fn the_commits_of_others_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let (here, there) = (open(&path).await, open(&path).await);
    let mut notices = here.sqlite.notices();
    for n in 0..20 {
        commit(&there).await;
        let heard = timeout(5 * SECOND, foreign(&mut notices)).await;
        assert!(heard.is_ok(), "no notice of commit {n} by another connection");
    }
    // Also while this one is at work itself.
    let busy = here.sqlite.clone();
    let work = tokio::spawn(async move {
        let here = Store { sqlite: busy, folder: None };
        loop {
            commit(&here).await;
        }
    });
    for _ in 0..20 {
        commit(&there).await;
        timeout(5 * SECOND, foreign(&mut notices)).await.expect("no notice while this connection writes as well");
    }
    work.abort();
}

#[tokio::test]
async fn own_commits_are_not_noticed_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let here = open(&folder.path().join("stent.db")).await;
    let mut notices = here.sqlite.notices();
    for _ in 0..50 {
        commit(&here).await;
    }
    assert!(timeout(SECOND / 2, foreign(&mut notices)).await.is_err());
}

#[tokio::test]
async fn the_watch_ends_with_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let here = open(&path).await;
    let mut notices = here.sqlite.notices();
    drop(here);
    // The sender is gone when nobody watches or writes any more.
    let closed = async { while notices.recv().await.is_ok() {} };
    timeout(5 * SECOND, closed).await.expect("the watch or the writer outlives its store");
}
