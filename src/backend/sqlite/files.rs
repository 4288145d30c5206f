//! New files, with the permissions that they are to have from their first moment on. What SQLite keeps beside a file has
//! the file's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;

use crate::model::{Error, FileMode, Result};

/// As many links as Linux follows.
const LINKS_MAX: usize = 40;

/// Makes an empty file where there is none; one that is there stays as it is. Nothing is opened: closing it would drop
/// the locks that another copy of SQLite in this process holds on it by then.
pub(super) fn create(path: &Path, mode: FileMode) -> Result<()> {
    let path = target(path);
    match mknodat(CWD, &path, FileType::RegularFile, Mode::from_bits_truncate(mode.bits()), 0) {
        Ok(()) => allow(&path, mode),
        // There is one. Or the file system makes files only by opening them: SQLite does.
        Err(Errno::EXIST | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(why) => Err(Error::backend(format!("the file can't be created: {why}"))),
    }
}

/// What the process's umask has taken away.
fn allow(path: &Path, mode: FileMode) -> Result<()> {
    let changed = fs::set_permissions(path, fs::Permissions::from_mode(mode.bits()));
    changed.map_err(|why| Error::backend(format!("the new file can't be given the mode {mode}: {why}")))
}

/// Where SQLite makes the file: a link may lead to one that is not there yet.
fn target(path: &Path) -> PathBuf {
    let mut at = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(to) = fs::read_link(&at) else { break };
        at = at.parent().map_or(to.clone(), |folder| folder.join(&to));
    }
    at
}
