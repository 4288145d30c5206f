//! A copy of SQLite, as the table of its functions: the library's own, or the one of a host that has loaded the library as
//! an extension. What runs statements (`conn`) is compiled once, for both.

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};

use libsqlite3_sys as sqlite;
use sqlite::{sqlite3, sqlite3_context, sqlite3_stmt, sqlite3_value};

use crate::model::{Error, Result, Status};

pub(super) type Destructor = Option<unsafe extern "C" fn(*mut c_void)>;
pub(super) type Function = unsafe extern "C" fn(*mut sqlite3_context, c_int, *mut *mut sqlite3_value);
type Step = Option<Function>;
type Final = Option<unsafe extern "C" fn(*mut sqlite3_context)>;

/// Any function, as a host's table has it.
type Entry = Option<unsafe extern "C" fn()>;

/// The first version that has all that the statements say: `->` and `->>`, and JSON in every build.
const OLDEST: c_int = 3_038_000;

/// The first that has `jsonb_each`.
const JSONB_EACH: c_int = 3_051_000;

/// Functions by their names in C, each with its place in the table that SQLite hands to an extension, where no place ever
/// changes.
macro_rules! functions {
    ($($name:ident = $place:literal: fn($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        pub(super) struct Api {
            version: c_int,
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)*
        }

        /// The library's own.
        pub(super) static OWN: Api = Api { version: sqlite::SQLITE_VERSION_NUMBER, $($name: sqlite::$name,)* };

        impl Api {
            /// # Safety
            /// `table` is what a SQLite of this version has handed to an extension.
            unsafe fn of(version: c_int, table: *const Entry) -> Result<Self> {
                Ok(Self {
                    version,
                    $($name: {
                        // SAFETY: the table of a SQLite that is not older has this place.
                        let entry = unsafe { table.add($place).read() };
                        let entry = entry.ok_or_else(|| lacks(stringify!($name)))?;
                        // SAFETY: it is the function of this name, whose type is part of SQLite's interface.
                        unsafe {
                            std::mem::transmute::<
                                unsafe extern "C" fn(),
                                unsafe extern "C" fn($($argument),*) $(-> $answer)?,
                            >(entry)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    sqlite3_bind_blob64 = 193: fn(*mut sqlite3_stmt, c_int, *const c_void, u64, Destructor) -> c_int;
    sqlite3_bind_double = 3: fn(*mut sqlite3_stmt, c_int, f64) -> c_int;
    sqlite3_bind_int64 = 5: fn(*mut sqlite3_stmt, c_int, i64) -> c_int;
    sqlite3_bind_null = 6: fn(*mut sqlite3_stmt, c_int) -> c_int;
    sqlite3_bind_parameter_count = 7: fn(*mut sqlite3_stmt) -> c_int;
    sqlite3_bind_parameter_index = 8: fn(*mut sqlite3_stmt, *const c_char) -> c_int;
    sqlite3_bind_pointer = 219: fn(*mut sqlite3_stmt, c_int, *mut c_void, *const c_char, Destructor) -> c_int;
    sqlite3_bind_text64 = 194: fn(*mut sqlite3_stmt, c_int, *const c_char, u64, Destructor, c_uchar) -> c_int;
    sqlite3_changes64 = 253: fn(*mut sqlite3) -> i64;
    sqlite3_clear_bindings = 118: fn(*mut sqlite3_stmt) -> c_int;
    sqlite3_column_blob = 19: fn(*mut sqlite3_stmt, c_int) -> *const c_void;
    sqlite3_column_bytes = 20: fn(*mut sqlite3_stmt, c_int) -> c_int;
    sqlite3_column_count = 22: fn(*mut sqlite3_stmt) -> c_int;
    sqlite3_column_double = 27: fn(*mut sqlite3_stmt, c_int) -> f64;
    sqlite3_column_int64 = 29: fn(*mut sqlite3_stmt, c_int) -> i64;
    sqlite3_column_text = 36: fn(*mut sqlite3_stmt, c_int) -> *const c_uchar;
    sqlite3_column_type = 38: fn(*mut sqlite3_stmt, c_int) -> c_int;
    sqlite3_context_db_handle = 149: fn(*mut sqlite3_context) -> *mut sqlite3;
    sqlite3_create_function_v2 = 162: fn(
        *mut sqlite3, *const c_char, c_int, c_int, *mut c_void, Step, Step, Final, Destructor
    ) -> c_int;
    sqlite3_errmsg = 53: fn(*mut sqlite3) -> *const c_char;
    sqlite3_extended_errcode = 166: fn(*mut sqlite3) -> c_int;
    sqlite3_finalize = 57: fn(*mut sqlite3_stmt) -> c_int;
    sqlite3_get_autocommit = 60: fn(*mut sqlite3) -> c_int;
    sqlite3_last_insert_rowid = 65: fn(*mut sqlite3) -> i64;
    sqlite3_prepare_v3 = 217: fn(
        *mut sqlite3, *const c_char, c_int, c_uint, *mut *mut sqlite3_stmt, *mut *const c_char
    ) -> c_int;
    sqlite3_reset = 77: fn(*mut sqlite3_stmt) -> c_int;
    sqlite3_result_error = 80: fn(*mut sqlite3_context, *const c_char, c_int);
    sqlite3_result_error_code = 146: fn(*mut sqlite3_context, c_int);
    sqlite3_result_null = 84: fn(*mut sqlite3_context);
    sqlite3_result_text64 = 202: fn(*mut sqlite3_context, *const c_char, u64, Destructor, c_uchar);
    sqlite3_set_last_insert_rowid = 216: fn(*mut sqlite3, i64);
    sqlite3_step = 94: fn(*mut sqlite3_stmt) -> c_int;
    sqlite3_user_data = 101: fn(*mut sqlite3_context) -> *mut c_void;
    sqlite3_value_bytes = 103: fn(*mut sqlite3_value) -> c_int;
    sqlite3_value_pointer = 221: fn(*mut sqlite3_value, *const c_char) -> *mut c_void;
    sqlite3_value_text = 109: fn(*mut sqlite3_value) -> *const c_uchar;
    sqlite3_value_type = 113: fn(*mut sqlite3_value) -> c_int;
}

/// Where the table of every version has `sqlite3_libversion_number` and `sqlite3_malloc`.
const VERSION_NUMBER: usize = 67;
const MALLOC: usize = 68;

fn lacks(function: &str) -> Error {
    Error::new(
        Status::Unsupported,
        format!("the host's SQLite was built without {function}, which this extension needs"),
    )
}

impl Api {
    /// A host's SQLite.
    ///
    /// # Safety
    /// `table` is what a SQLite has handed to an extension.
    pub unsafe fn of_host(table: *const c_void) -> Result<Self> {
        let table = table.cast::<Entry>();
        // SAFETY: every version has this place.
        let entry = unsafe { table.add(VERSION_NUMBER).read() }.ok_or_else(|| lacks("sqlite3_libversion_number"))?;
        // SAFETY: by its place it is this function.
        let version =
            unsafe { std::mem::transmute::<unsafe extern "C" fn(), unsafe extern "C" fn() -> c_int>(entry)() };
        if version < OLDEST {
            return Err(Error::new(
                Status::Unsupported,
                format!(
                    "the host has SQLite {}, and this extension needs {} or newer",
                    number(version),
                    number(OLDEST)
                ),
            ));
        }
        // SAFETY: as above, and not older than all these functions.
        unsafe { Self::of(version, table) }
    }

    /// The text of a statement as this version of SQLite knows it. `jsonb_each` is the faster `json_each`.
    pub fn spelled(&self, sql: &str) -> Option<String> {
        let renames = self.version < JSONB_EACH && sql.contains("jsonb_each(");
        renames.then(|| sql.replace("jsonb_each(", "json_each("))
    }
}

/// A copy of a text in the memory of a host's SQLite, whatever its version, which frees it. NULL if there is none.
///
/// # Safety
/// As [`Api::of_host`].
pub(super) unsafe fn text(table: *const c_void, text: &str) -> *mut c_char {
    type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
    let Ok(length) = c_int::try_from(text.len() + 1) else { return std::ptr::null_mut() };
    // SAFETY: every version has this place, and it is this function; there is room for the text and its end.
    unsafe {
        let entry = table.cast::<Entry>().add(MALLOC).read();
        let Some(malloc) = entry.map(|entry| std::mem::transmute::<unsafe extern "C" fn(), Malloc>(entry)) else {
            return std::ptr::null_mut();
        };
        let memory = malloc(length).cast::<u8>();
        if !memory.is_null() {
            memory.copy_from_nonoverlapping(text.as_ptr(), text.len());
            memory.add(text.len()).write(0);
        }
        memory.cast()
    }
}

/// As people write it.
fn number(version: c_int) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_sqlite_is_told_what_it_knows() {
        assert_eq!(OWN.spelled("SELECT 1 FROM jsonb_each(?1)"), None);
        let old = Api { version: 3_040_001, ..OWN };
        assert_eq!(old.spelled("SELECT 1 FROM jsonb_each(?1)").as_deref(), Some("SELECT 1 FROM json_each(?1)"));
        assert_eq!(old.spelled("SELECT 1"), None);
        assert_eq!(number(OLDEST), "3.38.0");
    }

    #[test]
    fn a_host_that_is_too_old_is_not_asked_for_more() {
        unsafe extern "C" fn old() -> c_int {
            3_037_002
        }
        // The table ends where that version's may end.
        let mut table: Vec<Entry> = vec![None; VERSION_NUMBER + 1];
        // SAFETY: it is read as what it is.
        table[VERSION_NUMBER] =
            Some(unsafe { std::mem::transmute::<unsafe extern "C" fn() -> c_int, unsafe extern "C" fn()>(old) });
        // SAFETY: as far as it is read, it is such a table.
        let refused = unsafe { Api::of_host(table.as_ptr().cast()) }.err().unwrap();
        assert!(refused.message().contains("SQLite 3.37.2") && refused.message().contains("3.38.0"), "{refused}");
    }
}
