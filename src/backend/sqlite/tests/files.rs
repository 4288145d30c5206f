//! Files that are not as they should be: each is refused with what is wrong and what would be right, and is left as it
//! was. Files that many open at once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::*;
use crate::model::FileMode;

/// What a child process is to do, and with which file.
const CHILD: &str = "STENT_TEST_FILES_CHILD";
const ROWS: usize = 20;
const NOBODY: u32 = 65_534;

async fn open(path: &Path) -> Result<Store> {
    let sqlite = Sqlite::open(path.to_str().unwrap(), SqliteOptions::default()).await?;
    Ok(Store { sqlite, folder: None })
}

async fn refused(path: &Path) -> Error {
    match open(path).await {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(why) => why,
    }
}

fn keep(key: String, length: usize) -> Request {
    Request::SetCachedResult { key, value: Payload::from(vec![b'1'; length]), ttl: None }
}

/// A file with rows in it, closed.
async fn sound(path: &Path) {
    let store = open(path).await.unwrap();
    for n in 0..ROWS {
        store.ok(keep(format!("k{n}"), 5_000)).await;
    }
    store.ok(Request::Close {}).await;
}

async fn query(path: &Path, sql: &'static str) -> i64 {
    let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let found: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    found
}

/// Every file of the folder with its bytes.
fn all_bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Opening fails with these words and leaves every byte of the folder as it was.
async fn refused_untouched(path: &Path, says: &str) {
    let folder = path.parent().unwrap();
    let before = all_bytes(folder);
    let why = refused(path).await;
    is(&why, Status::Backend, says);
    assert!(why.message().starts_with(&format!("open the SQLite file {}: ", path.display())), "{why}");
    assert!(!why.is_retryable(), "{why}");
    assert!(all_bytes(folder) == before, "the folder has changed: {why}");
}

#[tokio::test]
async fn a_file_that_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    sound(&path).await;
    let whole = fs::read(&path).unwrap();
    for (length, says) in [
        (whole.len() / 2, "damaged or cut off"),
        (whole.len() - 4096, "damaged or cut off"),
        (4096, "damaged or cut off"),
        (1000, "damaged or cut off"),
        (300, "not a SQLite database"),
        (20, "not a SQLite database"),
    ] {
        fs::write(&path, &whole[..length]).unwrap();
        println!("{length} of {} bytes", whole.len());
        refused_untouched(&path, says).await;
    }
}

#[tokio::test]
async fn an_empty_file_beside_a_log_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let copy = folder.path().join("copy.db");
    let store = open(&path).await.unwrap();
    store.ok(keep("k".into(), 10)).await;
    fs::copy(folder.path().join("stent.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    store.ok(Request::Close {}).await;
    refused_untouched(&copy, "has been cut off or moved away from its log").await;
    fs::write(&copy, b"").unwrap();
    refused_untouched(&copy, "has been cut off or moved away from its log").await;
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    refused_untouched(&path, "not a SQLite database").await;
    fs::write(&path, "x").unwrap();
    refused_untouched(&path, "not a SQLite database").await;
    let why = refused(folder.path()).await;
    is(&why, Status::Backend, "it is a folder; give the path of a file");
    let why = refused(&folder.path().join("no/such/stent.db")).await;
    is(&why, Status::Backend, "does not exist, or is no folder; create it first");
}

#[tokio::test]
async fn another_programs_database() {
    for name in ["users", "tasks"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let mut conn = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
        let create = format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY); INSERT INTO {name} VALUES (1)");
        conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(create))).await.unwrap();
        conn.close().await.unwrap();
        refused_untouched(&path, &format!("it has tables of its own ('{name}') and none of Stent's")).await;
    }
}

#[tokio::test]
async fn a_newer_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    sound(&path).await;
    let added = "INSERT INTO stent_schema (version, applied_at) VALUES (99, '') RETURNING version";
    assert_eq!(query(&path, added).await, 99);
    refused_untouched(&path, "the file has schema version 99, and this library knows versions up to").await;

    // Raised by a newer library while this one has the file open.
    query(&path, "DELETE FROM stent_schema WHERE version = 99 RETURNING version").await;
    let store = open(&path).await.unwrap();
    query(&path, added).await;
    is(&store.refused(Request::InitDb {}).await, Status::Backend, "use a newer library");
}

/// Runs the test `name` of this file in a process of its own, for which [`CHILD`] is set.
fn child(name: &str, path: &Path, uid: Option<u32>) -> Command {
    // Through /proc: another user may not be able to walk to the test's own path.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", &format!("backend::sqlite::tests::files::{name}"), "--nocapture"]).env(CHILD, path);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid).current_dir("/");
    }
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Root may write everywhere, so a process of another user tries.
#[tokio::test]
async fn read_only_files_and_folders() {
    if let Some(path) = std::env::var_os(CHILD) {
        println!("{}", refused(Path::new(&path)).await);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let uid = rustix::process::geteuid().is_root().then_some(NOBODY);
    for (what, folder_mode, file_mode, exists) in
        [("the file", 0o777, 0o444, true), ("the folder", 0o555, 0o666, true), ("the folder", 0o555, 0o666, false)]
    {
        mode(folder.path(), 0o777);
        let path = folder.path().join(if exists { "stent.db" } else { "new.db" });
        if exists {
            sound(&path).await;
            mode(&path, file_mode);
        }
        mode(folder.path(), folder_mode);
        let before = all_bytes(folder.path());
        let output = child("read_only_files_and_folders", &path, uid).output().unwrap();
        let told = told(&output);
        assert!(output.status.success(), "{told}");
        let expected = format!("BACKEND: open the SQLite file {}: {what}", path.display());
        assert!(told.contains(&expected), "'{expected}' is not in: {told}");
        assert!(told.contains("give it access to both the file and its folder"), "{told}");
        assert!(all_bytes(folder.path()) == before, "{told}");
        mode(folder.path(), 0o777);
        if exists {
            mode(&path, 0o666);
            assert_eq!(query(&path, "SELECT count(*) FROM cache").await, ROWS as i64);
        }
    }
}

/// A disk of 4 MB, where this process may mount one.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        disk.run("size=4m").then_some(disk)
    }

    fn run(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.folder.path());
        mount.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A disk that was not mounted can't be unmounted: then there is nothing to do.
        let _unmounted = Command::new("umount").arg(self.folder.path()).output();
    }
}

/// Without a disk to fill, SQLite is told how large the file may be: the same error, from one level higher.
#[tokio::test]
async fn a_full_disk() {
    let disk = SmallDisk::mount();
    let folder = tempfile::tempdir().unwrap();
    let path = disk.as_ref().map_or(folder.path(), |disk| disk.folder.path()).join("stent.db");
    let store = open(&path).await.unwrap();
    static SMALL: Statement = statement("PRAGMA max_page_count = 500", &[]);
    if disk.is_none() {
        store.run(&SMALL).await;
    }
    let mut kept = 0;
    let why = loop {
        match store.call(keep(format!("k{kept}"), 50_000)).await {
            Ok(_) => kept += 1,
            Err(why) => break why,
        }
        assert!(kept < 1_000, "the disk is never full");
    };
    println!("a real disk: {}; {kept} rows, then {why}", disk.is_some());
    is(&why, Status::Backend, "the disk is full; nothing was written");
    assert!(kept > 10 && why.is_retryable(), "{why}");
    let get = async |n: usize| store.call(Request::GetCachedResult { key: format!("k{n}") }).await;
    for n in 0..kept {
        assert_eq!(get(n).await, Ok(Response::Payload(Some(Payload::from(vec![b'1'; 50_000])))));
    }
    assert_eq!(get(kept).await, Ok(Response::Payload(None)));

    match &disk {
        Some(disk) => assert!(disk.run("remount,size=64m")),
        None => {
            static LARGE: Statement = statement("PRAGMA max_page_count = 100000", &[]);
            store.run(&LARGE).await;
        }
    }
    store.ok(keep(format!("k{kept}"), 50_000)).await;
    store.ok(Request::Close {}).await;
    assert_eq!(query(&path, "SELECT count(*) FROM cache").await, kept as i64 + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_new_file_at_once() {
    const PROCESSES: usize = 5;
    const HANDLES: usize = 4;
    async fn work(path: &Path, name: &str) {
        let store = open(path).await.unwrap();
        for n in 0..ROWS {
            store.ok(keep(format!("{name}-{n}"), 100)).await;
        }
        store.ok(Request::Close {}).await;
    }
    if let Some(path) = std::env::var_os(CHILD) {
        return work(Path::new(&path), &std::process::id().to_string()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let spawn = |_| child("many_open_a_new_file_at_once", &path, None).stdout(std::process::Stdio::null()).spawn();
    let children: Vec<_> = (0..PROCESSES).map(|n| spawn(n).unwrap()).collect();
    let handles: Vec<_> = (0..HANDLES)
        .map(|n| {
            let path = path.clone();
            tokio::spawn(async move { work(&path, &format!("handle{n}")).await })
        })
        .collect();
    for handle in handles {
        handle.await.unwrap();
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(query(&path, "SELECT count(*) FROM cache").await, ((PROCESSES + HANDLES) * ROWS) as i64);
    assert_eq!(query(&path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'").await, 1);
    // Each step of the schema was taken once.
    assert_eq!(query(&path, "SELECT max(version) - count(*) FROM stent_schema").await, 0);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_new_file_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let store = open(&path).await.unwrap();
    store.ok(keep("k".to_owned(), 5_000)).await;
    for file in
        [path.clone(), super::super::connect::beside(&path, "-wal"), super::super::connect::beside(&path, "-shm")]
    {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    store.ok(Request::Close {}).await;

    let shared = folder.path().join("shared.db");
    let options = SqliteOptions { file_mode: FileMode::Group, ..SqliteOptions::default() };
    Sqlite::open(shared.to_str().unwrap(), options).await.unwrap().call(Request::Close {}).await.unwrap();
    assert_eq!(mode(&shared), 0o660);

    // One that is there stays as it is, and where a link leads to nothing yet the file is made there.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    open(&path).await.unwrap().ok(Request::Close {}).await;
    assert_eq!(mode(&path), 0o644);
    let (link, real) = (folder.path().join("link"), folder.path().join("real.db"));
    std::os::unix::fs::symlink("real.db", &link).unwrap();
    open(&link).await.unwrap().ok(Request::Close {}).await;
    assert_eq!(mode(&real), 0o600);
}

#[tokio::test]
async fn a_patience_of_months() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let busy_timeout = 25 * 24 * 3600 * SECOND;
    let options = SqliteOptions { busy_timeout, ..SqliteOptions::default() };
    let store = Sqlite::open(path.to_str().unwrap(), options).await.unwrap();
    store.call(Request::SetCachedResult { key: "k".into(), value: "1".into(), ttl: None }).await.unwrap();
}

#[tokio::test]
async fn what_is_no_file() {
    is(&refused(Path::new("/dev/null")).await, Status::Backend, "no file but a device");
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    is(&refused(&pipe).await, Status::Backend, "no file but a device");
}
