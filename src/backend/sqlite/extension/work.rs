//! What a function does, below the statement that called it.
//!
//! It takes several statements, of which all must be undone when one of them fails; but a savepoint can't be opened while
//! a statement of the host's writes, and outside of a transaction each statement would be committed by itself. So they run
//! below one statement of the extension's own (`sql/apply.sql`), which writes nothing and calls `stent_apply`: SQLite undoes a
//! statement that fails with all that ran below it, and commits, where it is to commit, when that one ends.

use std::cell::Cell;
use std::ffi::CStr;

use super::call::Call;
use super::store;
use crate::backend::sql::catalog::{Catalog, SharedCatalog};
use crate::backend::sql::guest::{self, Asked};
use crate::backend::sql::tx::Tx;
use crate::backend::sqlite::clock::{Clock, Reading};
use crate::backend::sqlite::conn::Connection;
use crate::backend::sqlite::connect;
use crate::backend::sqlite::session::{Statements, Time};
use crate::backend::sqlite::transaction::at_once;
use crate::model::{Error, Id, Result};

/// The type of the pointer that `stent_apply` is called with: nobody else can make one.
const KIND: &CStr = c"stent_work";

/// A trigger on one of the store's own tables may dispatch, which fires it again: so deep, and not until the stack is full.
const DEEPEST: u32 = 8;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A call below another one.
struct Deeper;

impl Deeper {
    fn enter() -> Result<Self> {
        if DEPTH.get() >= DEEPEST {
            return Err(Error::conflict(format!(
                "{DEEPEST} of these calls run below each other: what they write fires a trigger that calls again; give it a \
                 condition (nothing was changed)"
            )));
        }
        DEPTH.set(DEPTH.get() + 1);
        Ok(Self)
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

struct Work<'w> {
    asked: &'w Asked,
    done: Option<Result<Option<Id>>>,
}

/// Does what is asked for, in the transaction that the host has begun or in one of its own.
///
/// # Errors
/// Nothing is done then.
pub fn run(call: &Call<'_>, asked: &Asked) -> Result<Option<Id>> {
    let _deeper = Deeper::enter()?;
    let conn = &mut call.connection()?;
    if matches!(asked, Asked::Record(..)) && conn.commits_each() {
        return Err(Error::invalid(
            "record_step: no transaction is open, so the step would be recorded without its work; BEGIN IMMEDIATE, do the work, \
             record it as the last of that transaction, and COMMIT",
        ));
    }
    let mut work = Work { asked, done: None };
    let row = conn.last_row();
    let applied = apply_below(conn, &mut work);
    // What the host has inserted last is its own.
    conn.set_last_row(row);
    match (work.done, applied) {
        // The statement has failed because its work has.
        (Some(Err(why)), _) | (_, Err(why)) => Err(why),
        (Some(Ok(id)), Ok(())) => Ok(id),
        (None, Ok(())) => Err(Error::backend("SQLite has run a statement without its function")),
    }
}

fn apply_below(conn: &mut Connection, work: &mut Work<'_>) -> Result<()> {
    const SQL: &str = include_str!("../sql/apply.sql");
    // Where there is no store there is no table for the statement either.
    if let Some(why) = conn.statement(SQL).err() {
        return Err(store::check(conn).err().unwrap_or(why));
    }
    let mut statement = conn.statement(SQL)?;
    statement.pointer(1, std::ptr::from_mut(work), KIND)?;
    statement.run(None).map(drop)
}

/// The body of `stent_apply`, which [`run`] alone can call.
pub(super) fn apply(call: &Call<'_>) -> Result<Option<String>> {
    let work = call.pointer(KIND).cast::<Work<'_>>();
    // SAFETY: it is of this type, or NULL; `run` waits for it, and does not touch it meanwhile.
    let Some(work) = (unsafe { work.as_mut() }) else {
        let instead = "call stent_dispatch, stent_signal, stent_cancel or stent_record_step";
        return Err(Error::invalid(format!("stent_apply is the extension's own; {instead}")));
    };
    let outcome = call.connection().and_then(|mut conn| write(&mut conn, work.asked));
    let failed = outcome.as_ref().err().cloned();
    work.done = Some(outcome);
    failed.map_or(Ok(None), Err)
}

/// As one job of a writer, with the write lock held.
fn write(conn: &mut Connection, asked: &Asked) -> Result<Option<Id>> {
    let clock = Clock::default();
    let boot = store::check(conn).and_then(|()| connect::this_boot(conn, &clock))?;
    let Some(version) = conn.number(include_str!("../sql/catalog_version.sql"))? else {
        return Err(Error::backend("the table 'catalog' has lost its row"));
    };
    let now = clock.read().wall;
    let reading = Reading { wall: now, boottime: now.micros() - boot.began };
    let mut session = Statements { conn, time: Time { clock, boot: boot.number, reading: Some(reading) } };
    // Never kept: what this transaction has changed may be rolled back, and its version given again to something else.
    let catalog = at_once(Catalog::load(&mut session, version))?;
    let shared = SharedCatalog::default();
    let mut tx = Tx::new(&mut session, now, catalog.into(), &shared);
    at_once(guest::run(&mut tx, asked))
}
