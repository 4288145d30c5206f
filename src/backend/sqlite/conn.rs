//! Where SQLite's C interface is spoken: a connection, the statements that it keeps prepared for its life, and the rows that
//! they answer. A connection belongs to one thread at a time, and so takes no locks of its own. It is of the library's own
//! SQLite, or lent by a host that has another one (`api`).

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use libsqlite3_sys as sqlite;

use super::api::{Api, OWN};
use super::busy::Busy;
use super::error::{self, Refused};
pub(super) use super::table::Table;
use crate::model::{Error, Result};

pub(super) struct Connection {
    api: &'static Api,
    db: NonNull<sqlite::sqlite3>,
    /// How it waits for locks. `None`: it is lent, and its owner has said that.
    busy: Option<NonNull<Busy>>,
    /// By the address of their text, which is a constant of the program.
    kept: HashMap<usize, Kept>,
}

// SAFETY: SQLite is compiled to be used by many threads, and a connection that takes no locks (SQLITE_OPEN_NOMUTEX) may
// be handed from one to another. It is not `Sync`, and what is borrowed from it is not `Send`. One that is lent stays on its
// thread.
unsafe impl Send for Connection {}

/// A text, prepared. One of two statements asks for rows, and changes each: so it costs half of what RETURNING does. The
/// last column that the first one answers, `number`, is the second one's parameter `@number`, and no part of the answer.
#[derive(Clone, Copy)]
struct Kept {
    asks: Prepared,
    columns: usize,
    takes_sets: bool,
    /// With the place of the parameter.
    changes: Option<(Prepared, c_int)>,
}

#[derive(Clone, Copy)]
struct Prepared {
    api: &'static Api,
    statement: NonNull<sqlite::sqlite3_stmt>,
    parameters: usize,
}

impl Prepared {
    fn of(api: &'static Api, statement: NonNull<sqlite::sqlite3_stmt>) -> Self {
        // SAFETY: it is prepared.
        let parameters = unsafe { (api.sqlite3_bind_parameter_count)(statement.as_ptr()) };
        Self { api, statement, parameters: usize::try_from(parameters).unwrap_or(0) }
    }

    /// Ends what it does, so that it holds no lock.
    fn reset(self) {
        // SAFETY: it is prepared. That it says again what went wrong was told already.
        unsafe { (self.api.sqlite3_reset)(self.statement.as_ptr()) };
    }
}

impl Kept {
    fn all(&self) -> impl Iterator<Item = Prepared> + use<> {
        let changes = self.changes.map(|(changes, _)| changes);
        [Some(self.asks), changes].into_iter().flatten()
    }
}

/// What is done with a file that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Refuse,
}

fn is_ok(code: c_int) -> bool {
    code == sqlite::SQLITE_OK
}

/// SQLite's callback; `busy` is the connection's, and is used by nobody else while a statement runs.
unsafe extern "C" fn wait(busy: *mut c_void, tries: c_int) -> c_int {
    // SAFETY: as above.
    c_int::from(unsafe { &mut *busy.cast::<Busy>() }.wait(tries))
}

impl Connection {
    /// Nothing here makes SQLite look into the file.
    pub fn open(path: &CStr, missing: Missing, patience: Duration) -> Result<Self> {
        let create = if missing == Missing::Create { sqlite::SQLITE_OPEN_CREATE } else { 0 };
        let flags = sqlite::SQLITE_OPEN_READWRITE
            | create
            | sqlite::SQLITE_OPEN_NOMUTEX
            | sqlite::SQLITE_OPEN_URI
            | sqlite::SQLITE_OPEN_EXRESCODE;
        let mut db = ptr::null_mut();
        // SAFETY: the path ends with a NUL, and `db` is a place for the answer.
        let code = unsafe { sqlite::sqlite3_open_v2(path.as_ptr(), &raw mut db, flags, ptr::null()) };
        let Some(db) = NonNull::new(db) else { return Err(error::of(Refused::of_code(code))) };
        // From here on it is closed when this is dropped, also when opening has failed.
        let busy = NonNull::from(Box::leak(Box::new(Busy::new())));
        let mut conn = Self { api: &OWN, db, busy: Some(busy), kept: HashMap::new() };
        if !is_ok(code) {
            return Err(conn.refused());
        }
        // SAFETY: the connection is open. What waits lives until it is closed.
        unsafe { sqlite::sqlite3_busy_handler(db.as_ptr(), Some(wait), busy.as_ptr().cast()) };
        conn.busy_timeout(patience);
        conn.execute("PRAGMA foreign_keys = OFF")?;
        Ok(conn)
    }

    /// A connection of somebody else's, for as long as this is used. Its statements are gone when this is dropped.
    ///
    /// # Safety
    /// The connection is open, and of this copy of SQLite; this is used on the thread that runs a function of it.
    pub unsafe fn lent(api: &'static Api, db: NonNull<sqlite::sqlite3>) -> Self {
        Self { api, db, busy: None, kept: HashMap::new() }
    }

    /// How long a statement waits for a lock.
    pub fn busy_timeout(&mut self, patience: Duration) {
        if let Some(busy) = &mut self.busy {
            // SAFETY: it is there until the connection is closed, and SQLite uses it only while a statement runs.
            unsafe { busy.as_mut() }.set_patience(patience);
        }
    }

    /// The connection's last error.
    fn refused(&self) -> Error {
        // SAFETY: the connection is open; the message is valid until it is used again, and is copied here.
        let refused = unsafe {
            let said = CStr::from_ptr((self.api.sqlite3_errmsg)(self.db.as_ptr()));
            let code = (self.api.sqlite3_extended_errcode)(self.db.as_ptr());
            Refused { code, message: said.to_string_lossy().into_owned() }
        };
        error::of(refused)
    }

    /// Runs all statements of a text, which take no values. What they answer is left.
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        let mut rest = sql;
        while !rest.trim().is_empty() {
            let (statement, tail) = self.prepare(rest, 0)?;
            rest = tail;
            let Some(statement) = statement else { continue };
            // SAFETY: prepared above, and finalized once.
            let code = unsafe {
                while (self.api.sqlite3_step)(statement.as_ptr()) == sqlite::SQLITE_ROW {}
                (self.api.sqlite3_finalize)(statement.as_ptr())
            };
            if !is_ok(code) {
                return Err(self.refused());
            }
        }
        Ok(())
    }

    /// Prepares the first statement of a text. `None`: it begins with what is none, as comments.
    fn prepare<'s>(&self, sql: &'s str, flags: u32) -> Result<(Option<NonNull<sqlite::sqlite3_stmt>>, &'s str)> {
        let length = c_int::try_from(sql.len()).map_err(|_| Error::backend("a statement is too long"))?;
        let (mut statement, mut tail) = (ptr::null_mut(), ptr::null());
        let begin = sql.as_ptr().cast::<c_char>();
        // SAFETY: the text is `length` bytes long, and the places for the answers are there. The tail points into it.
        let (code, used) = unsafe {
            let code = (self.api.sqlite3_prepare_v3)(
                self.db.as_ptr(),
                begin,
                length,
                flags,
                &raw mut statement,
                &raw mut tail,
            );
            (code, if tail.is_null() { sql.len() } else { tail.offset_from_unsigned(begin) })
        };
        if !is_ok(code) {
            return Err(self.refused());
        }
        Ok((NonNull::new(statement), sql.get(used..).unwrap_or("")))
    }

    fn kept(&mut self, sql: &'static str) -> Result<Kept> {
        let address = sql.as_ptr().addr();
        if let Some(kept) = self.kept.get(&address) {
            return Ok(*kept);
        }
        let spelled = self.api.spelled(sql);
        let (asks, rest) = self.keep(spelled.as_deref().unwrap_or(sql))?;
        // SAFETY: prepared above.
        let columns = unsafe { (self.api.sqlite3_column_count)(asks.statement.as_ptr()) };
        let mut kept = Kept {
            asks,
            columns: usize::try_from(columns).unwrap_or(0),
            takes_sets: sql.contains("jsonb_each(?1)"),
            changes: None,
        };
        self.kept.insert(address, kept);
        if !rest.trim().is_empty() {
            let (changes, _) = self.keep(rest)?;
            // SAFETY: prepared above; the name ends with a NUL.
            let number =
                unsafe { (self.api.sqlite3_bind_parameter_index)(changes.statement.as_ptr(), c"@number".as_ptr()) };
            kept.changes = Some((changes, number));
            kept.columns = kept.columns.saturating_sub(1);
            self.kept.insert(address, kept);
        }
        Ok(kept)
    }

    fn keep<'s>(&self, sql: &'s str) -> Result<(Prepared, &'s str)> {
        let (statement, rest) = self.prepare(sql, sqlite::SQLITE_PREPARE_PERSISTENT)?;
        let statement = statement.ok_or_else(|| Error::backend("a statement's text is empty"))?;
        Ok((Prepared::of(self.api, statement), rest))
    }

    /// A statement that can be given values, which live for `'v`. It is prepared the first time.
    pub fn statement<'v>(&mut self, sql: &'static str) -> Result<Statement<'_, 'v>> {
        let kept = self.kept(sql)?;
        for prepared in kept.all() {
            prepared.reset();
            // SAFETY: prepared, and this connection's. What it was given before is forgotten before it can be read again:
            // of that nothing need be there any more.
            unsafe { (self.api.sqlite3_clear_bindings)(prepared.statement.as_ptr()) };
        }
        Ok(Statement { conn: self, kept, values: PhantomData })
    }

    /// Runs a statement that takes no values, or these numbers, and returns the rows.
    pub fn query(&mut self, sql: &'static str, numbers: &[i64]) -> Result<Table> {
        let mut table = Table::default();
        let mut statement = self.statement(sql)?;
        for (place, number) in (1..).zip(numbers) {
            statement.int(place, *number)?;
        }
        statement.run(Some(&mut table))?;
        Ok(table)
    }

    /// The first column of the first row, if it is a number.
    pub fn number(&mut self, sql: &'static str) -> Result<Option<i64>> {
        let table = self.query(sql, &[])?;
        if table.rows() == 0 { Ok(None) } else { table.int(0) }
    }

    /// The number of the row that was inserted last.
    pub fn last_row(&self) -> i64 {
        // SAFETY: the connection is open.
        unsafe { (self.api.sqlite3_last_insert_rowid)(self.db.as_ptr()) }
    }

    pub fn set_last_row(&mut self, row: i64) {
        // SAFETY: as above.
        unsafe { (self.api.sqlite3_set_last_insert_rowid)(self.db.as_ptr(), row) };
    }

    /// No transaction was begun: a statement that writes is committed with its end.
    pub fn commits_each(&self) -> bool {
        // SAFETY: as above.
        unsafe { (self.api.sqlite3_get_autocommit)(self.db.as_ptr()) != 0 }
    }

    /// As dropping it, and tells what went wrong.
    pub fn close(mut self) -> Result<()> {
        self.finalize();
        // SAFETY: all statements are finalized. On an error the connection is still open, and dropped below.
        let code = unsafe { sqlite::sqlite3_close(self.db.as_ptr()) };
        if !is_ok(code) {
            return Err(self.refused());
        }
        self.wait_no_more();
        std::mem::forget(self);
        Ok(())
    }

    /// After it is closed.
    fn wait_no_more(&mut self) {
        if let Some(busy) = self.busy.take() {
            // SAFETY: it was made by a box, and nobody calls it any more.
            drop(unsafe { Box::from_raw(busy.as_ptr()) });
        }
    }

    fn finalize(&mut self) {
        for prepared in std::mem::take(&mut self.kept).values().flat_map(Kept::all) {
            // SAFETY: each was prepared once, and nobody has it any more.
            unsafe { (self.api.sqlite3_finalize)(prepared.statement.as_ptr()) };
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.finalize();
        if self.busy.is_some() {
            // SAFETY: its statements are finalized, so nothing keeps it open, and it is not used again.
            unsafe { sqlite::sqlite3_close(self.db.as_ptr()) };
            self.wait_no_more();
        }
    }
}

/// A kept statement, while it is given values and run.
pub(super) struct Statement<'c, 'v> {
    conn: &'c mut Connection,
    kept: Kept,
    /// SQLite reads them where they are.
    values: PhantomData<&'v [u8]>,
}

impl<'v> Statement<'_, 'v> {
    /// It takes its batch as a set; else it is run for each row.
    pub fn takes_sets(&self) -> bool {
        self.kept.takes_sets
    }

    /// Gives a value, if the text has a parameter there or later: of a lease, say, it may use a part.
    fn give(&self, place: usize, bind: impl Fn(*mut sqlite::sqlite3_stmt, c_int) -> c_int) -> Result<()> {
        for Prepared { statement, parameters, .. } in self.kept.all() {
            if place <= parameters && !is_ok(bind(statement.as_ptr(), c_int::try_from(place).unwrap_or(0))) {
                return Err(self.conn.refused());
            }
        }
        Ok(())
    }

    pub fn null(&mut self, place: usize) -> Result<()> {
        // SAFETY: the statement is prepared, and is not running.
        self.give(place, |statement, place| unsafe { (self.conn.api.sqlite3_bind_null)(statement, place) })
    }

    pub fn int(&mut self, place: usize, value: i64) -> Result<()> {
        // SAFETY: as above.
        self.give(place, |statement, place| unsafe { (self.conn.api.sqlite3_bind_int64)(statement, place, value) })
    }

    pub fn real(&mut self, place: usize, value: f64) -> Result<()> {
        // SAFETY: as above.
        self.give(place, |statement, place| unsafe { (self.conn.api.sqlite3_bind_double)(statement, place, value) })
    }

    pub fn text(&mut self, place: usize, value: &'v str) -> Result<()> {
        self.bind_text(place, value, sqlite::SQLITE_STATIC())
    }

    /// A text that does not live so long: SQLite copies it.
    pub fn made(&mut self, place: usize, value: &str) -> Result<()> {
        self.bind_text(place, value, sqlite::SQLITE_TRANSIENT())
    }

    fn bind_text(&mut self, place: usize, value: &str, keeps: sqlite::sqlite3_destructor_type) -> Result<()> {
        let bytes = value.as_ptr().cast::<c_char>();
        let (length, encoding) = (value.len() as u64, sqlite::SQLITE_UTF8 as u8);
        // SAFETY: as above. The text is copied, or lives for `'v` and is forgotten before the statement is used again after
        // that. It is never NULL, which an empty one must not be.
        self.give(place, |statement, place| unsafe {
            (self.conn.api.sqlite3_bind_text64)(statement, place, bytes, length, keeps, encoding)
        })
    }

    pub fn bytes(&mut self, place: usize, value: &'v [u8]) -> Result<()> {
        // SAFETY: as above.
        self.give(place, |statement, place| unsafe {
            let (bytes, length) = (value.as_ptr().cast(), value.len() as u64);
            (self.conn.api.sqlite3_bind_blob64)(statement, place, bytes, length, sqlite::SQLITE_STATIC())
        })
    }

    /// A pointer, which only a function that asks for one of this type can see. It is there until the statement has run.
    pub fn pointer<T>(&mut self, place: usize, value: *mut T, kind: &'static CStr) -> Result<()> {
        // SAFETY: as above; the type's name is a constant.
        self.give(place, |statement, place| unsafe {
            (self.conn.api.sqlite3_bind_pointer)(statement, place, value.cast(), kind.as_ptr(), None)
        })
    }

    /// Runs it to its end, adds its rows to the table, and returns how many it has changed. It can then be given other
    /// values; what is not given anew stays.
    pub fn run(&mut self, mut table: Option<&mut Table>) -> Result<u64> {
        let (api, columns) = (self.conn.api, self.kept.columns);
        let Some((changes, place)) = self.kept.changes else {
            self.step(self.kept.asks, |statement| {
                if let Some(table) = table.as_deref_mut() {
                    // SAFETY: it stands at a row, of so many columns.
                    unsafe { table.add(api, statement, columns) };
                }
            })?;
            return Ok(self.changed());
        };
        let mut numbers = Vec::new();
        self.step(self.kept.asks, |statement| {
            // SAFETY: as above, and the number comes after them.
            unsafe {
                if let Some(table) = table.as_deref_mut() {
                    table.add(api, statement, columns);
                }
                numbers.push((api.sqlite3_column_int64)(statement, c_int::try_from(columns).unwrap_or(0)));
            }
        })?;
        let mut changed = 0;
        for number in numbers {
            // SAFETY: it is prepared, and is not running.
            if !is_ok(unsafe { (self.conn.api.sqlite3_bind_int64)(changes.statement.as_ptr(), place, number) }) {
                return Err(self.conn.refused());
            }
            self.step(changes, |_| {})?;
            changed += self.changed();
        }
        Ok(changed)
    }

    fn step(&mut self, prepared: Prepared, mut row: impl FnMut(*mut sqlite::sqlite3_stmt)) -> Result<()> {
        loop {
            // SAFETY: it is prepared, its values live for `'v`, and this connection is used by nobody else.
            match unsafe { (self.conn.api.sqlite3_step)(prepared.statement.as_ptr()) } {
                sqlite::SQLITE_ROW => row(prepared.statement.as_ptr()),
                sqlite::SQLITE_DONE => break,
                _ => {
                    let why = self.conn.refused();
                    prepared.reset();
                    return Err(why);
                }
            }
        }
        prepared.reset();
        Ok(())
    }

    fn changed(&self) -> u64 {
        // SAFETY: the connection is open.
        let changed = unsafe { (self.conn.api.sqlite3_changes64)(self.conn.db.as_ptr()) };
        u64::try_from(changed).unwrap_or(0)
    }
}

impl Drop for Statement<'_, '_> {
    fn drop(&mut self) {
        self.kept.all().for_each(Prepared::reset);
    }
}

/// As SQLite takes it.
pub(super) fn path(path: &std::path::Path) -> Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    // A name that begins as a URI, or as one in memory, is still that of a file.
    let bytes = path.as_os_str().as_bytes();
    let plain = if path.is_absolute() { bytes.to_vec() } else { [b"./", bytes].concat() };
    CString::new(plain).map_err(|_| Error::invalid("the path of the SQLite file has a NUL in it"))
}
