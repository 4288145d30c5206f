//! Descriptors of files that are not closed, since another copy of SQLite in this process may have locks on the file. Of one
//! file there are never more of them than were open at once. They go with their files; and where they are many, those go on
//! whose files nobody else in this process has a lock.

use std::collections::HashSet;
use std::ffi::{c_char, c_int};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than those of a few stores.
const KEPT_MAX: usize = 256;

struct Kept {
    descriptor: c_int,
    file: (libc::dev_t, libc::ino_t),
    /// For reading, or for writing too.
    access: c_int,
}

/// std Mutex: held for a few calls of the kernel.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
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
    if flags & (libc::O_EXCL | libc::O_TRUNC) == 0 {
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
    let mut kept = all();
    // Nobody finds a file that has no name any more.
    keep_if(&mut kept, |kept| {
        // SAFETY: it is open, and nobody else's.
        status(|to| unsafe { libc::fstat(kept.descriptor, to) }).is_some_and(|status| is_file(&status))
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
    if kept.len() > KEPT_MAX
        && let Some(locked) = locked_here()
    {
        keep_if(&mut kept, |kept| locked.contains(&kept.file.1));
    }
    0
}

fn keep_if(all: &mut Vec<Kept>, keep: impl Fn(&Kept) -> bool) {
    all.retain(|kept| {
        let stays = keep(kept);
        if !stays {
            // SAFETY: it is open, and nobody else's.
            unsafe { libc::close(kept.descriptor) };
        }
        stays
    });
}

/// The inodes on which this process has POSIX locks: not the devices, which some file systems tell in two ways. `None`: it
/// is not known.
fn locked_here() -> Option<HashSet<libc::ino_t>> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let own = std::process::id().to_string();
    // 1: POSIX  ADVISORY  READ  4711 fe:01:123 1073741826 1073742335
    let inode = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "POSIX");
        let (pid, file) = (words.nth(3)?, words.next()?);
        (pid == own).then(|| file.rsplit(':').next()?.parse().ok()).flatten()
    };
    Some(locks.lines().filter_map(inode).collect())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::path::Path;

    use super::*;

    fn open_at(path: &Path) -> c_int {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: a path, and what a file is created with.
        let descriptor = unsafe { open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o600) };
        assert!(descriptor >= 0);
        descriptor
    }

    fn whole(kind: c_int) -> libc::flock {
        // SAFETY: all zeros are a lock of the whole file.
        let mut lock = unsafe { std::mem::zeroed::<libc::flock>() };
        lock.l_type = kind as libc::c_short;
        lock
    }

    /// Descriptors of this process that lead into a folder.
    fn open_in(folder: &Path) -> usize {
        let all = std::fs::read_dir("/proc/self/fd").unwrap();
        all.filter_map(|one| std::fs::read_link(one.ok()?.path()).ok()).filter(|to| to.starts_with(folder)).count()
    }

    #[test]
    fn locks_of_others_here_outlive_a_close_and_descriptors_of_many_files_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared");
        let (others, mut lock) = (std::fs::File::create(&shared).unwrap(), whole(libc::F_WRLCK));
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&others);
        // SAFETY: an open file, and a lock that is there for the call.
        assert_eq!(unsafe { libc::fcntl(descriptor, libc::F_SETLK, &raw mut lock) }, 0);
        // SAFETY: as above.
        let is_locked = |own: c_int| unsafe {
            let mut asked = whole(libc::F_WRLCK);
            assert_eq!(libc::fcntl(own, libc::F_OFD_GETLK, &raw mut asked), 0);
            asked.l_type == libc::F_WRLCK as libc::c_short && asked.l_pid == libc::getpid()
        };
        for number in 0..2 * KEPT_MAX {
            for path in [&shared, &folder.path().join(number.to_string())] {
                // SAFETY: it was opened here.
                unsafe { close(open_at(path)) };
            }
        }
        assert!(open_in(folder.path()) <= KEPT_MAX + 2, "{}", open_in(folder.path()));
        let own = open_at(&shared);
        assert!(is_locked(own));
        // SAFETY: it was opened here. The kernel's own close drops what is not spared.
        unsafe { libc::close(own) };
        let own = open_at(&shared);
        assert!(!is_locked(own));
    }
}
