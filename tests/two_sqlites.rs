//! Two copies of SQLite in one process, and another process, on one file: no committed row may be lost. The second copy
//! is the system's `libsqlite3.so.0`, as a host's own (Python's `sqlite3`, say) would be. It opens and closes the file
//! all the time, and each close would drop this process's POSIX locks.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::{Child, Command};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libloading::{Library, Symbol};
use stent::backend::Backend as _;
use stent::backend::sqlite::{Sqlite, SqliteOptions};
use stent::backend::{Request, Response};
use stent::model::Payload;

/// Set for the child: the file that it writes to.
const CHILD: &str = "STENT_TEST_TWO_SQLITES_FILE";
const CHILD_OPENINGS: usize = 20;
const CHILD_ROWS: usize = 10;
const OWN_ROWS: usize = 500;

/// The host's SQLite, with no more than this test needs.
struct Host {
    library: Library,
}

impl Host {
    fn load() -> Self {
        // SAFETY: SQLite's initialisers have no requirements; its symbols stay its own (RTLD_LOCAL).
        let library = unsafe { Library::new("libsqlite3.so.0") };
        let library = library.unwrap_or_else(|why| {
            panic!("this test needs a second SQLite: install the package libsqlite3-0 (apt-get install libsqlite3-0): {why}")
        });
        let host = Self { library };
        // SAFETY: takes nothing, gives a static string.
        let version = unsafe {
            let version: Symbol<unsafe extern "C" fn() -> *const c_char> =
                host.library.get(b"sqlite3_libversion").unwrap();
            CStr::from_ptr(version()).to_str().unwrap().to_owned()
        };
        println!("the host's SQLite is {version}");
        host
    }

    /// Opens the file, runs the statements, closes it. The first column of the last row, if there is one.
    fn run(&self, path: &Path, sql: &str) -> Result<Option<String>, String> {
        let db = self.open(path);
        let answer = self.say(db, sql);
        self.close(db);
        answer
    }

    fn open(&self, path: &Path) -> *mut c_void {
        type Open = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
        type Timeout = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

        let path = CString::new(path.to_str().unwrap()).unwrap();
        let mut db = null_mut();
        // SAFETY: the functions have these types in every SQLite 3; the path outlives the call.
        unsafe {
            let open: Symbol<Open> = self.library.get(b"sqlite3_open").unwrap();
            let timeout: Symbol<Timeout> = self.library.get(b"sqlite3_busy_timeout").unwrap();
            assert_eq!(open(path.as_ptr(), &mut db), 0);
            timeout(db, 20_000);
        }
        db
    }

    fn say(&self, db: *mut c_void, sql: &str) -> Result<Option<String>, String> {
        type Callback = unsafe extern "C" fn(*mut c_void, c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
        type Exec = unsafe extern "C" fn(*mut c_void, *const c_char, Callback, *mut c_void, *mut *mut c_char) -> c_int;

        unsafe extern "C" fn first(
            to: *mut c_void,
            _count: c_int,
            values: *mut *mut c_char,
            _: *mut *mut c_char,
        ) -> c_int {
            // SAFETY: `to` is the Option below; SQLite gives at least one column of NUL-terminated text.
            unsafe { *to.cast::<Option<String>>() = Some(CStr::from_ptr(*values).to_string_lossy().into_owned()) };
            0
        }

        let sql = CString::new(sql).unwrap();
        let mut answer: Option<String> = None;
        // SAFETY: the function has this type in every SQLite 3; the text outlives the call, and `open` gave the handle.
        let status = unsafe {
            let exec: Symbol<Exec> = self.library.get(b"sqlite3_exec").unwrap();
            exec(db, sql.as_ptr(), first, (&raw mut answer).cast(), null_mut())
        };
        if status == 0 { Ok(answer) } else { Err(format!("SQLite code {status}")) }
    }

    fn close(&self, db: *mut c_void) {
        // SAFETY: the function has this type in every SQLite 3; `open` gave the handle, and nobody uses it after this.
        unsafe {
            let close: Symbol<unsafe extern "C" fn(*mut c_void) -> c_int> = self.library.get(b"sqlite3_close").unwrap();
            assert_eq!(close(db), 0);
        }
    }
}

async fn open(path: &Path) -> Arc<Sqlite> {
    Sqlite::open(path.to_str().unwrap(), SqliteOptions::default()).await.unwrap()
}

async fn keep(store: &Sqlite, key: String) {
    let value = Payload::from("1");
    assert_eq!(store.call(Request::SetCachedResult { key, value, ttl: None }).await, Ok(Response::Nothing));
}

/// What the child process does: opens the file, commits a few rows, closes it, again and again.
async fn be_the_child(path: &Path) {
    for opening in 0..CHILD_OPENINGS {
        let store = open(path).await;
        for row in 0..CHILD_ROWS {
            keep(&store, format!("child-{opening}-{row}")).await;
        }
        store.call(Request::Close {}).await.unwrap();
    }
}

fn start_child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_committed_row_is_lost", "--nocapture"])
        .env(CHILD, path)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_committed_row_is_lost() {
    if let Some(path) = std::env::var_os(CHILD) {
        return be_the_child(Path::new(&path)).await;
    }
    let host = Host::load();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let store = open(&path).await;
    host.run(&path, "CREATE TABLE host_rows (n INTEGER)").unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let hosting = std::thread::spawn({
        let (stop, path) = (stop.clone(), path.clone());
        move || {
            let mut rows = 0;
            while !stop.load(Ordering::Relaxed) {
                host.run(&path, "INSERT INTO host_rows VALUES (1)").unwrap();
                host.run(&path, "SELECT count(*) FROM host_rows").unwrap();
                rows += 1;
            }
            (host, rows)
        }
    });
    let mut child = start_child(&path);
    let mut own_rows = 0;
    while own_rows < OWN_ROWS || child.try_wait().unwrap().is_none() {
        keep(&store, format!("own-{own_rows}")).await;
        own_rows += 1;
    }
    assert!(child.wait().unwrap().success(), "the child process failed");
    stop.store(true, Ordering::Relaxed);
    let (host, host_rows) = hosting.join().unwrap();
    store.call(Request::Close {}).await.unwrap();

    // From outside: what the file holds now that everybody has closed it.
    println!("committed: {own_rows} here, {} by the child, {host_rows} by the host", CHILD_OPENINGS * CHILD_ROWS);
    let count = |sql: &str| host.run(&path, sql).unwrap().unwrap();
    assert_eq!(count("SELECT group_concat(integrity_check) FROM pragma_integrity_check"), "ok");
    let kept = |prefix: &str| count(&format!("SELECT count(*) FROM cache WHERE key LIKE '{prefix}-%'"));
    assert_eq!(kept("own"), own_rows.to_string(), "rows committed here are lost");
    assert_eq!(kept("child"), (CHILD_OPENINGS * CHILD_ROWS).to_string(), "rows committed by the child are lost");
    assert_eq!(count("SELECT count(*) FROM host_rows"), host_rows.to_string(), "rows of the host are lost");
}

/// The store is closed, and its last user is the host: the log stays, and the host's connections, old and new, read on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_keeps_the_file_open_reads_what_is_committed() {
    const ROUNDS: usize = 6;
    let host = Host::load();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stent.db");
    let mut kept = Vec::new();
    for round in 1..=ROUNDS {
        let store = open(&path).await;
        keep(&store, format!("own-{round}")).await;
        kept.push(host.open(&path));
        for db in &kept {
            let count = host.say(*db, "SELECT count(*) FROM cache");
            assert_eq!(count.unwrap().unwrap(), round.to_string(), "in round {round}");
        }
        store.call(Request::Close {}).await.unwrap();
        for db in &kept {
            let sound = host.say(*db, "SELECT group_concat(integrity_check) FROM pragma_integrity_check");
            assert_eq!(sound.unwrap().unwrap(), "ok", "in round {round}");
        }
    }
    kept.into_iter().for_each(|db| host.close(db));
}
