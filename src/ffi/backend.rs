//! Backends: the stores.

use std::ffi::c_char;
use std::sync::Arc;

use super::library::shut_down;
use super::plumbing::background::Unhurried;
use super::plumbing::handles::{self, Object, Table};
use super::plumbing::store::Store;
use super::plumbing::{
    borrow, counted, guard, optional, registry, required, runtime, text, threads, write, write_counted, write_text,
};
use super::{stent_error, stent_status};
use crate::backend::postgres::Postgres;
use crate::backend::sqlite::Sqlite;
use crate::backend::{Request, SharedBackend};
use crate::codec;
use crate::model::{Result, StoreKind, store_kind};

/// An open store. Made by stent_backend_open, freed by stent_backend_free.
pub struct stent_backend {
    _opaque: [u8; 0],
}

pub(super) struct BackendObject {
    store: Unhurried<Arc<Store>>,
}

impl BackendObject {
    /// A handle of an open store.
    pub(super) fn give(backend: SharedBackend) -> Result<*mut stent_backend> {
        let store = Arc::new(Store::new(backend));
        registry::add_store(&store);
        handles::give(Self { store: Unhurried::new(store) })
    }
}

static BACKENDS: Table<BackendObject> = Table::new();

impl Object for BackendObject {
    type Opaque = stent_backend;
    const NAME: &'static str = "backend";
    const ORIGIN: &'static str = "stent_backend_open makes one";

    fn table() -> &'static Table<Self> {
        &BACKENDS
    }
}

impl BackendObject {
    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }
}

/// Opens a store, and creates or migrates its schema. url: a file ("workflow.db", "sqlite:/var/lib/workflow.db"),
/// ":memory:" for a store that ends with its handle, or a PostgreSQL database
/// ("postgresql://user:password@host:5432/database?schema=stent&max_size=10", or "host=... dbname=... user=..." as libpq
/// reads it). Schemes have no case. A path that looks like a URL or like name=value is written with "sqlite:" before it.
/// A file may be open in several processes, and more than once in this one.
///
/// options: for a file, see stent_describe; for PostgreSQL none, they stand in the url. `*backend` is the caller's, to be freed by stent_backend_free. Any thread.
/// STENT_E_BACKEND: the file can't be opened, is no SQLite database, or not one of Stent's; the server can't be
/// reached; or the schema is newer than this library. STENT_E_UNSUPPORTED: no backend of this build has such URLs.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_backend_open(
    url: *const c_char,
    options: *const c_char,
    backend: *mut *mut stent_backend,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        // SAFETY: text or NULL, by the header's convention.
        let (url, options) = unsafe { (text(url, "url")?, optional(options, "options")?) };
        required(backend, "backend")?;
        runtime::handle()?;
        let handle = BackendObject::give(open(url, options)?)?;
        // SAFETY: writable, by the header's convention.
        unsafe { write(backend, handle) };
        Ok(())
    })
}

/// The backends of this build, by the form of their URLs.
fn open(url: &str, options: Option<&str>) -> Result<SharedBackend> {
    let given = url.to_owned();
    match store_kind(url)? {
        StoreKind::Postgres => {
            codec::options::none(options)?;
            runtime::away(move || Box::pin(async move { Ok(Postgres::open(&given).await? as SharedBackend) }))
        }
        StoreKind::Sqlite => {
            let options = codec::options::sqlite(options)?;
            runtime::away(move || Box::pin(async move { Ok(Sqlite::open(&given, options).await? as SharedBackend) }))
        }
    }
}

/// Creates or migrates the schema, which stent_backend_open has done already; safe from several processes at once,
/// and again and again. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_backend_init_db(
    backend: *mut stent_backend,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let backend = borrow::<BackendObject>(backend)?;
        let store = Arc::clone(backend.store().backend()?);
        runtime::away(move || Box::pin(async move { store.call(Request::InitDb {}).await.map(drop) }))
    })
}

/// One operation of the backend protocol, such as "get_task" with {"task_id": "..."}: the way to look at records and
/// to repair them. `*response` is JSON, to be freed with stent_free. What it writes is not conditional on a worker's
/// lease; update_task takes the task away from whoever holds it. "close" is stent_backend_close. The engine's
/// operations, such as "advance", are answered too: a store around another store needs them.
///
/// Any thread. STENT_E_NOT_FOUND and STENT_E_CONFLICT as the operation says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_backend_call(
    backend: *mut stent_backend,
    operation: *const c_char,
    request: *const c_char,
    response: *mut *mut c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let backend = borrow::<BackendObject>(backend)?;
        // SAFETY: text or NULL, by the header's convention.
        let (operation, request) = unsafe { (text(operation, "operation")?, optional(request, "request")?) };
        let answer = call(&backend, operation, request)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_text(response, &answer) }
    })
}

/// As stent_backend_call; the request needs no NUL at its end, and `*response_length` is without it. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_backend_call_n(
    backend: *mut stent_backend,
    operation: *const c_char,
    request: *const c_char,
    request_length: usize,
    response: *mut *mut c_char,
    response_length: *mut usize,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let backend = borrow::<BackendObject>(backend)?;
        // SAFETY: text or NULL, or of that length, by the header's convention.
        let (operation, request) =
            unsafe { (text(operation, "operation")?, counted(request, request_length, "request")?) };
        let answer = call(&backend, operation, request)?;
        // SAFETY: NULL or writable, by the header's convention.
        unsafe { write_counted(response, response_length, &answer) }
    })
}

fn call(backend: &BackendObject, operation: &str, request: Option<&str>) -> Result<String> {
    if operation == "close" {
        codec::operations::request(operation, request)?;
        close(backend)?;
        return Ok("null".to_owned());
    }
    let store = Arc::clone(backend.store().backend()?);
    let (operation, request) = (operation.to_owned(), request.map(str::to_owned));
    runtime::away(move || {
        Box::pin(async move { codec::operations::call(store.as_ref(), &operation, request.as_deref()).await })
    })
}

/// Copies the store to a new file, as it is at one moment, while workers and callers go on: a backup. When this returns
/// STENT_OK the copy is complete and on the disk; else there is no file of that name. It holds all that was committed
/// before the call, and can be opened as any store; what was running when it was made is run again there. The folder
/// must exist, and path must not: STENT_E_CONFLICT. options: none so far, NULL.
///
/// For SQLite, files and ":memory:". Takes as long as it takes to write the file; the write-ahead log grows meanwhile. Any
/// thread. STENT_E_UNSUPPORTED: a PostgreSQL database (pg_dump, pg_basebackup) and custom stores have tools of their
/// own.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_backend_backup(
    backend: *mut stent_backend,
    path: *const c_char,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let backend = borrow::<BackendObject>(backend)?;
        // SAFETY: text or NULL, by the header's convention.
        let (path, options) = unsafe { (text(path, "path")?.to_owned(), optional(options, "options")?) };
        codec::options::none(options)?;
        let store = Arc::clone(backend.store());
        runtime::away(move || Box::pin(async move { store.backend()?.backup(&path).await }))
    })
}

/// Closes the store: connections, files, locks. Executors made from it answer STENT_E_CLOSED from now on, and so does
/// what is waiting on them. Closing again is nothing. The handle is still to be freed; freeing alone closes as well,
/// a moment after its last executor is gone. A custom backend's function does not run any more when this returns; its
/// calls are waited for as long as one may take to answer, then STENT_E_TIMEOUT.
///
/// Any thread but the library's own. STENT_E_CONFLICT: a worker on it has not been stopped (stent_backend_shutdown stops
/// them too). STENT_E_WRONG_THREAD: called in a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_backend_close(
    backend: *mut stent_backend,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || close(&*borrow::<BackendObject>(backend)?))
}

/// As stent_shutdown, for what was made from this backend alone: drains and stops its workers, closes it, and waits until
/// every freed `user_data` has been given back and the log handlers of its executors have had every line. Other backends
/// of the process, their workers and the process's log handler go on as they were. Again: nothing.
///
/// Any thread but the library's own. Statuses as for stent_shutdown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_backend_shutdown(
    backend: *mut stent_backend,
    timeout_ms: i64,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let backend = borrow::<BackendObject>(backend)?;
        threads::refuse_in_callbacks("stent_backend_shutdown")?;
        shut_down(Some(backend.store()), timeout_ms)
    })
}

fn close(backend: &BackendObject) -> Result<()> {
    threads::refuse_in_callbacks("stent_backend_close")?;
    registry::refuse_while_working(backend.store())?;
    let store = Arc::clone(backend.store());
    runtime::away(move || Box::pin(async move { store.close().await }))
}

/// Frees the handle. NULL is nothing; executors made from the backend keep it open until they are freed too. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_backend_free(backend: *mut stent_backend) {
    guard::free::<BackendObject>(backend);
}
