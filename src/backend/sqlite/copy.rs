//! A copy of the store as it is at one moment, made while it is in use.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::conn::Connection;
use super::connect;
use crate::model::{Error, Id, Result, shown};

/// The file in the making, beside where it is to be. It goes when this is dropped.
pub(super) struct Copy {
    target: PathBuf,
    partial: PathBuf,
}

impl Drop for Copy {
    fn drop(&mut self) {
        // When all went well it is not there any more.
        let _gone = fs::remove_file(&self.partial);
        let _none = fs::remove_file(connect::beside(&self.partial, "-journal"));
    }
}

impl Copy {
    /// An empty file that nobody else can read.
    pub fn begin(target: &Path) -> Result<Self> {
        if target.as_os_str().is_empty() {
            return Err(Error::invalid("the path of the copy is empty"));
        }
        if fs::symlink_metadata(target).is_ok() {
            return Err(exists(target));
        }
        let partial = connect::beside(target, &format!(".partial-{}", Id::new_v4().simple()));
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        opened.map_err(|why| failed(&partial, &why))?;
        Ok(Self { target: target.to_owned(), partial })
    }

    /// One reading transaction: others go on writing, and what they write from here on is not in it.
    pub fn fill(&self, conn: &mut Connection) -> Result<()> {
        let mut filled = || {
            let mut statement = conn.statement(include_str!("sql/copy_into.sql"))?;
            statement.made(1, &uri(&self.partial))?;
            statement.run(None)
        };
        filled().map(drop).map_err(|why| why.doing("copy the database"))
    }

    /// On the disk, under its name, or not at all.
    pub async fn finish(self) -> Result<()> {
        let finished = tokio::task::spawn_blocking(move || self.keep());
        finished.await.map_err(|why| Error::backend(format!("the copy broke off: {why}")))?
    }

    fn keep(&self) -> Result<()> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all()).map_err(|why| failed(path, &why));
        if fs::metadata(&self.partial).is_ok_and(|copy| copy.len() == 0) {
            return Err(Error::backend("SQLite has written nothing into the copy"));
        }
        sync(&self.partial)?;
        match rustix::fs::renameat_with(CWD, &self.partial, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(exists(&self.target)),
            // A file system that can't promise it.
            Err(_) => fs::rename(&self.partial, &self.target).map_err(|why| failed(&self.target, &why))?,
        }
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync(folder)
    }
}

/// As SQLite reads it. With a mode of its own: a database in memory would take the copy for one in memory too.
fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            _ => {
                let _infallible = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?mode=rw");
    uri
}

fn exists(target: &Path) -> Error {
    let target = target.to_string_lossy();
    Error::conflict(format!("{} exists already; give the path of a file that is to be made", shown(&target)))
}

fn failed(path: &Path, why: &io::Error) -> Error {
    let path = path.to_string_lossy();
    Error::backend(format!("{} can't be written: {why}; the folder must exist and be writable", shown(&path)))
}
