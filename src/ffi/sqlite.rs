//! The library as an extension of a host's SQLite: its entry point, and the SQL functions, each with the checks of the C
//! function that does the same.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};

use super::plumbing::{counted, guard, null, write};
use crate::backend::NewSignal;
use crate::backend::sqlite::extension::{Asked, Body, Call, Host, message, run};
use crate::codec::{self, CanonicalJson};
use crate::executor::{check_signal, new_execution};
use crate::model::{Error, Id, Payload, Result, check_size, error_text};

/// Adds stent_dispatch, stent_signal, stent_cancel and stent_record_step to a connection of another SQLite than the
/// library's: what loads extensions there calls it, as SELECT load_extension('libstent', 'stent_sqlite_init') does, and a program that links both may
/// give it to sqlite3_auto_extension. The functions run in the connection's own transaction, on a store's file (docs/sql-sqlite.md).
///
/// It is SQLite's kind of function: db is its connection, and routines its table of functions; what is returned is a code of
/// SQLite's, 0 for success, and `*message` belongs to SQLite. Any thread, a forked child's too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stent_sqlite_init(db: *mut c_void, message: *mut *mut c_char, routines: *const c_void) -> i32 {
    const OK: i32 = 0;
    const ERROR: i32 = 1;
    // SAFETY: SQLite calls it with what it gives to extensions.
    match guard::contained(|| unsafe { Host::enter(db, routines) }.and_then(|host| add_functions(&host))) {
        Ok(()) => OK,
        Err(why) => {
            // SAFETY: as above; `message` is NULL or writable.
            unsafe { write(message, self::message(routines, why.message())) };
            ERROR
        }
    }
}

/// Each with the numbers of arguments that it may have: SQLite refuses any other.
const FUNCTIONS: [(&CStr, &[c_int], Body); 4] = [
    (c"stent_dispatch", &[1, 2, 3], |call| contained(call, dispatch)),
    (c"stent_signal", &[2, 3, 4], |call| contained(call, signal)),
    (c"stent_cancel", &[1, 2], |call| contained(call, cancel)),
    (c"stent_record_step", &[1, 2], |call| contained(call, record_step)),
];

fn add_functions(host: &Host) -> Result<()> {
    for (name, counts, body) in FUNCTIONS {
        counts.iter().try_for_each(|count| host.function(name, *count, body))?;
    }
    Ok(())
}

fn contained(call: &Call<'_>, body: fn(&Call<'_>) -> Result<Option<Id>>) -> Result<Option<String>> {
    guard::contained(|| {
        chance()?;
        body(call).map(|id| id.map(|id| id.to_string()))
    })
}

/// A forked child draws other ids than its parent.
fn chance() -> Result<()> {
    thread_local! {
        static PROCESS: Cell<u32> = const { Cell::new(0) };
    }
    let process = std::process::id();
    if PROCESS.get() != process {
        rand::rng().reseed().map_err(|why| Error::backend(format!("the system gives no random numbers: {why}")))?;
        PROCESS.set(process);
    }
    Ok(())
}

fn optional<'c>(call: &Call<'c>, place: usize, name: &'static str) -> Result<Option<&'c str>> {
    let Some(bytes) = call.argument(place, name)? else { return Ok(None) };
    // SAFETY: it is so long.
    unsafe { counted(bytes.as_ptr().cast(), bytes.len(), name) }
}

fn text<'c>(call: &Call<'c>, place: usize, name: &'static str) -> Result<&'c str> {
    optional(call, place, name)?.ok_or_else(|| null(name))
}

fn execution(call: &Call<'_>) -> Result<Id> {
    codec::id_from_text("execution_id", text(call, 0, "execution_id")?)
}

/// `stent_dispatch(function, args, options)`
fn dispatch(call: &Call<'_>) -> Result<Option<Id>> {
    let function = text(call, 0, "function")?;
    let args = codec::args_from_text(optional(call, 1, "args")?)?;
    let options = codec::options::dispatch(optional(call, 2, "options")?)?;
    run(call, &Asked::Dispatch(Box::new(new_execution(function.to_owned(), args, options, &CanonicalJson)?)))
}

/// `stent_signal(execution, name, payload, options)`
fn signal(call: &Call<'_>) -> Result<Option<Id>> {
    let (execution, name) = (execution(call)?, text(call, 1, "name")?);
    let payload = optional(call, 2, "payload")?;
    let payload = payload.map_or_else(|| Ok(Payload::null()), |text| codec::value_from_text("payload", text))?;
    let options = codec::options::signal(optional(call, 3, "options")?)?;
    let signal = NewSignal { execution, name: name.to_owned(), payload, id: options.id };
    check_signal(&signal)?;
    run(call, &Asked::Signal(signal))
}

/// `stent_cancel(execution, reason)`
fn cancel(call: &Call<'_>) -> Result<Option<Id>> {
    let (execution, reason) = (execution(call)?, optional(call, 1, "reason")?);
    run(call, &Asked::Cancel(execution, reason.map(str::to_owned).map(error_text)))
}

/// `stent_record_step(token, result)`
fn record_step(call: &Call<'_>) -> Result<Option<Id>> {
    let (token, result) = (text(call, 0, "token")?.parse()?, optional(call, 1, "result")?);
    let result = result.map_or_else(|| Ok(Payload::null()), |text| codec::value_from_text("result", text))?;
    check_size("result", &result)?;
    run(call, &Asked::Record(Box::new(token), result))
}
