//! Where the file is and how it is opened.

use std::path::PathBuf;

use crate::model::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    Memory,
    File(PathBuf),
}

/// `workflow.db`, `/var/lib/app.db`, `sqlite:workflow.db`, `sqlite:///var/lib/app.db`, `:memory:`.
pub(super) fn locate(url: &str) -> Result<Location> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path == ":memory:" {
        return Ok(Location::Memory);
    }
    if path.is_empty() {
        return Err(Error::invalid("the path of the SQLite file is empty; give a path, or \":memory:\""));
    }
    if path.contains('\0') || path.contains('?') {
        return Err(Error::invalid(format!(
            "the path {path:?} has a '?' or a NUL in it; options go into the options object, not into the path"
        )));
    }
    Ok(Location::File(PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_urls_and_memory_are_told_apart() {
        let file = |path: &str| Location::File(PathBuf::from(path));
        assert_eq!(locate("workflow.db").unwrap(), file("workflow.db"));
        assert_eq!(locate("sqlite:workflow.db").unwrap(), file("workflow.db"));
        assert_eq!(locate("sqlite:///var/a b.db").unwrap(), file("/var/a b.db"));
        assert_eq!(locate(":memory:").unwrap(), Location::Memory);
        assert_eq!(locate("sqlite::memory:").unwrap(), Location::Memory);
        assert!(locate("").is_err() && locate("a.db?mode=ro").is_err());
    }
}
