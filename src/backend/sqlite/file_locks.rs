//! File locks that another copy of SQLite in the same process can't drop, and that drop none of its own.
//!
//! POSIX locks belong to the process: when the host's own SQLite (Python's `sqlite3`, say) closes the file, the kernel
//! also drops the locks of this library. Another process may then believe that it is the last user and delete the
//! write-ahead log, and committed data is lost. Locks of an open file description (Linux 3.15) belong to the descriptor
//! that took them, and still exclude the POSIX locks of others. So SQLite's `fcntl` is replaced before the first open.
//!
//! The other copy's are POSIX locks still, and the kernel drops them when this library closes the file. It would then take
//! itself for the last user, and delete the log under the other copy's hands, which reads what was and then nonsense. So no
//! descriptor of a file is closed while the file is there: it is kept, without locks, for the next opening (`kept`).
//!
//! The drawback: a child that is forked without exec shares the descriptions, and so the locks, until it exits.

mod kept;

use std::ffi::{c_char, c_int};

use once_cell::sync::OnceCell;

use crate::model::{Error, Result};

/// The first version in which a corruption of the write-ahead log is fixed.
const OLDEST: c_int = 3_051_003;

/// Done once for the process; later calls return the first result.
pub(super) fn install() -> Result<()> {
    static INSTALLED: OnceCell<Result<()>> = OnceCell::new();
    INSTALLED.get_or_init(replace).clone()
}

fn replace() -> Result<()> {
    // SAFETY: returns a constant.
    let version = unsafe { libsqlite3_sys::sqlite3_libversion_number() };
    if version < OLDEST {
        return Err(Error::backend(format!(
            "this build has SQLite {version}, and older than {OLDEST} (3.51.3) a commit may be lost; build with the \
             bundled SQLite"
        )));
    }
    let fcntl = fcntl as unsafe extern "C" fn(c_int, c_int, usize) -> c_int;
    let open = kept::open as unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
    let close = kept::close as unsafe extern "C" fn(c_int) -> c_int;
    // SAFETY: SQLite calls them as `int(*)(int, int, ...)`, `int(*)(const char *, int, int)` and `int(*)(int)`. `fcntl` below
    // takes three arguments and is not variadic; SQLite always gives three, the last an int or a pointer, and in the C ABI of
    // Linux on x86-64 and AArch64 those of a variadic call travel in the same registers as those of any other.
    let calls = unsafe {
        [
            (c"fcntl", std::mem::transmute::<unsafe extern "C" fn(c_int, c_int, usize) -> c_int, SystemCall>(fcntl)),
            (
                c"open",
                std::mem::transmute::<unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int, SystemCall>(open),
            ),
            (c"close", std::mem::transmute::<unsafe extern "C" fn(c_int) -> c_int, SystemCall>(close)),
        ]
    };
    for (name, ours) in calls {
        // SAFETY: the default VFS lives as long as the process. `xSetSystemCall` takes a NUL-terminated name and a function
        // of the type above.
        let status = unsafe {
            let vfs = libsqlite3_sys::sqlite3_vfs_find(std::ptr::null());
            match vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) {
                Some(set) => set(vfs, name.as_ptr(), Some(ours)),
                None => libsqlite3_sys::SQLITE_NOTFOUND,
            }
        };
        if status != libsqlite3_sys::SQLITE_OK {
            return Err(Error::backend(format!(
                "SQLite's file locks can't be replaced (code {status}): its default VFS is not the one for Unix; without \
                 them a second copy of SQLite in this process would lose commits"
            )));
        }
    }
    Ok(())
}

/// How SQLite passes a system call around.
type SystemCall = unsafe extern "C" fn();

/// As `fcntl(2)`, with locks that belong to the open file description.
///
/// # Safety
/// As `fcntl(2)`: for the commands on locks, `argument` points to a `struct flock`.
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
    let command = match command {
        libc::F_SETLK => libc::F_OFD_SETLK,
        libc::F_SETLKW => libc::F_OFD_SETLKW,
        libc::F_GETLK => libc::F_OFD_GETLK,
        // SAFETY: passed on as it came.
        other => return unsafe { libc::fcntl(fd, other, argument) },
    };
    let lock = std::ptr::with_exposed_provenance_mut::<libc::flock>(argument);
    // SAFETY: SQLite's own `struct flock`, valid for the call. The kernel wants 0 in `l_pid` for these commands.
    unsafe {
        (*lock).l_pid = 0;
        libc::fcntl(fd, command, lock)
    }
}
