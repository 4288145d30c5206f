//! Descriptors of files that are not closed, since another copy of SQLite in this process may have locks on the file. There
//! are never more of them than were open at once; they go with their files.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Kept {
    descriptor: c_int,
    file: (libc::dev_t, libc::ino_t),
    /// For reading, or for writing too.
    access: c_int,
}

static SPARES: AtomicBool = AtomicBool::new(false);
/// std Mutex: held for a few calls of the kernel.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on no locks of others are dropped.
pub fn spare_others() {
    SPARES.store(true, Ordering::Relaxed);
}

/// What is known of a file, by one of the ways to ask for it.
fn status(ask: impl FnOnce(*mut libc::stat) -> c_int) -> Option<libc::stat> {
    let mut status = std::mem::MaybeUninit::uninit();
    // SAFETY: where it was asked for with success it is filled.
    (ask(status.as_mut_ptr()) == 0).then(|| unsafe { status.assume_init() })
}

fn is_file(status: &libc::stat) -> bool {
    status.st_mode & libc::S_IFMT == libc::S_IFREG && status.st_nlink > 0
}

/// As `open(2)`.
///
/// # Safety
/// As `open(2)`.
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    if SPARES.load(Ordering::Relaxed) && flags & (libc::O_EXCL | libc::O_TRUNC) == 0 {
        let mut kept = all();
        // SAFETY: the caller's promise is ours.
        let found = if kept.is_empty() { None } else { status(|to| unsafe { libc::lstat(path, to) }) };
        let place = found.and_then(|found| {
            let same =
                |kept: &Kept| (kept.file, kept.access) == ((found.st_dev, found.st_ino), flags & libc::O_ACCMODE);
            kept.iter().position(same)
        });
        if let Some(place) = place {
            return kept.swap_remove(place).descriptor;
        }
    }
    // SAFETY: the caller's promise is ours.
    unsafe { libc::open(path, flags, mode) }
}

/// As `close(2)`.
///
/// # Safety
/// As `close(2)`.
pub unsafe extern "C" fn close(descriptor: c_int) -> c_int {
    if !SPARES.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise is ours.
        return unsafe { libc::close(descriptor) };
    }
    let mut kept = all();
    // Nobody finds a file that has no name any more.
    kept.retain(|kept| {
        // SAFETY: it is open, and nobody else's.
        let there = status(|to| unsafe { libc::fstat(kept.descriptor, to) }).is_some_and(|status| is_file(&status));
        if !there {
            // SAFETY: as above.
            unsafe { libc::close(kept.descriptor) };
        }
        there
    });
    // SAFETY: the caller's promise is ours.
    let found = status(|to| unsafe { libc::fstat(descriptor, to) });
    let Some(found) = found.filter(is_file) else {
        // SAFETY: as above.
        return unsafe { libc::close(descriptor) };
    };
    // SAFETY: all zeros are a lock of the whole file.
    let mut lock = unsafe { std::mem::zeroed::<libc::flock>() };
    lock.l_type = libc::F_UNLCK as libc::c_short;
    // SAFETY: as above; the lock is there for the call.
    let access = unsafe {
        libc::fcntl(descriptor, libc::F_OFD_SETLK, &raw mut lock);
        libc::fcntl(descriptor, libc::F_GETFL) & libc::O_ACCMODE
    };
    kept.push(Kept { descriptor, file: (found.st_dev, found.st_ino), access });
    0
}
