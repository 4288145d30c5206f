//! The system's SQLite, as a host's own: loaded into this process beside the library's.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::ptr::null_mut;
use std::sync::OnceLock;

use libloading::{Library, Symbol};
use tempfile::TempDir;

use crate::api::Api;
use crate::c_programs::library;

pub const ENTRY: &str = "stent_sqlite_init";
pub const BUSY: c_int = 5;

/// What a statement that fails says: SQLite's code, and the message.
pub type Refused = (c_int, String);

fn sqlite() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // SAFETY: SQLite's initialisers have no requirements; its symbols stay its own (RTLD_LOCAL).
        let library = unsafe { Library::new("libsqlite3.so.0") };
        library.unwrap_or_else(|why| {
            panic!("this test needs a second SQLite: install the package libsqlite3-0 (apt-get install libsqlite3-0): {why}")
        })
    })
}

macro_rules! call {
    ($name:ident($($kind:ty),*) -> $answer:ty, $($argument:expr),*) => {{
        // SAFETY: the function has this type in every SQLite 3.
        unsafe {
            let function: Symbol<unsafe extern "C" fn($($kind),*) -> $answer> =
                sqlite().get(concat!("sqlite3_", stringify!($name)).as_bytes()).unwrap();
            function($($argument),*)
        }
    }};
}

/// A connection of the host's.
pub struct Host(*mut c_void);

/// The library, as a host is told of it.
pub fn extension() -> String {
    library().to_str().unwrap().to_owned()
}

unsafe extern "C" fn row(to: *mut c_void, count: c_int, values: *mut *mut c_char, _: *mut *mut c_char) -> c_int {
    // SAFETY: `to` is the list below; SQLite gives so many values, each NULL or text.
    unsafe {
        let values = std::slice::from_raw_parts(values, count as usize).iter();
        let texts = values.map(|value| match value.is_null() {
            true => "NULL".to_owned(),
            false => CStr::from_ptr(*value).to_string_lossy().into_owned(),
        });
        (*to.cast::<Vec<Vec<String>>>()).push(texts.collect());
    }
    0
}

impl Host {
    pub fn plain(path: &Path) -> Self {
        let mut db = null_mut();
        let path = CString::new(path.to_str().unwrap()).unwrap();
        assert_eq!(call!(open(*const c_char, *mut *mut c_void) -> c_int, path.as_ptr(), &mut db), 0);
        Self(db)
    }

    /// With the extension.
    pub fn open(path: &Path) -> Self {
        let host = Self::plain(path);
        host.load().unwrap();
        host
    }

    pub fn load(&self) -> Result<(), String> {
        call!(enable_load_extension(*mut c_void, c_int) -> c_int, self.0, 1);
        let (file, entry) = (CString::new(extension()).unwrap(), CString::new(ENTRY).unwrap());
        let mut message = null_mut::<c_char>();
        type Text = *const c_char;
        let code = call!(
            load_extension(*mut c_void, Text, Text, *mut *mut c_char) -> c_int,
            self.0,
            file.as_ptr(),
            entry.as_ptr(),
            &mut message
        );
        // SAFETY: NULL or text.
        if code == 0 { Ok(()) } else { Err(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()) }
    }

    /// Runs statements; the rows of all of them.
    pub fn try_rows(&self, sql: &str) -> Result<Vec<Vec<String>>, Refused> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let sql = CString::new(sql).unwrap();
        type Row = unsafe extern "C" fn(*mut c_void, c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
        let code = call!(
            exec(*mut c_void, *const c_char, Row, *mut c_void, *mut *mut c_char) -> c_int,
            self.0,
            sql.as_ptr(),
            row,
            (&raw mut rows).cast(),
            null_mut()
        );
        if code == 0 {
            return Ok(rows);
        }
        let said = call!(errmsg(*mut c_void) -> *const c_char, self.0);
        // SAFETY: a text of SQLite's, until the connection is used again.
        Err((code, unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned()))
    }

    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_rows(sql).unwrap_or_else(|why| panic!("{sql}: {why:?}"))
    }

    /// The first value of the last row.
    pub fn one(&self, sql: &str) -> String {
        self.rows(sql).pop().unwrap_or_else(|| panic!("{sql}: no row")).swap_remove(0)
    }

    pub fn refused(&self, sql: &str) -> Refused {
        match self.try_rows(sql) {
            Err(why) => why,
            Ok(rows) => panic!("{sql}: it is not refused: {rows:?}"),
        }
    }

    /// For as long as another connection has the lock.
    pub fn wait_for_locks(&self, ms: c_int) {
        call!(busy_timeout(*mut c_void, c_int) -> c_int, self.0, ms);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Not sqlite3_close_v2: it says when a statement of the extension's is still there.
        let code = call!(close(*mut c_void) -> c_int, self.0);
        if !std::thread::panicking() {
            assert_eq!(code, 0, "something keeps the connection open");
        }
    }
}

/// A new store in a folder of its own.
pub struct Store {
    pub path: PathBuf,
    folder: TempDir,
}

impl Store {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        drop(Api::open(&path));
        Self { path, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The `sqlite3` shell, in a process of its own, on this file.
pub fn shell(path: &Path, script: &str) -> Output {
    let mut shell = Command::new("sqlite3");
    shell.arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell =
        shell.spawn().unwrap_or_else(|why| panic!("install the package sqlite3 (apt-get install sqlite3): {why}"));
    // One that has been killed reads no more.
    drop(shell.stdin.take().unwrap().write_all(script.as_bytes()));
    shell.wait_with_output().unwrap()
}

/// What it says, on both ways.
pub fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned()).concat()
}
