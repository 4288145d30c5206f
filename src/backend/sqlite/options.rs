//! Where the file is and how it is opened.

use std::path::PathBuf;

use crate::model::{Error, Result, StoreKind, shown, store_kind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    Memory,
    File(PathBuf),
}

/// `workflow.db`, `/var/lib/app.db`, `sqlite:workflow.db`, `sqlite:///var/lib/app.db`, `:memory:`. What looks like another
/// store's name is a file only behind `sqlite:`.
pub(super) fn locate(url: &str) -> Result<Location> {
    if store_kind(url)? == StoreKind::Postgres {
        return Err(Error::invalid(
            "it names a PostgreSQL database; a file of such a name is written with sqlite: before it",
        ));
    }
    let rest = match url.trim_start().split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sqlite") => rest,
        _ => url,
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path == ":memory:" {
        return Ok(Location::Memory);
    }
    if path.is_empty() {
        return Err(Error::invalid("the path of the SQLite file is empty; give a path, or \":memory:\""));
    }
    if path.contains('\0') || path.contains('?') {
        return Err(Error::invalid(format!(
            "the path {:?} has a '?' or a NUL in it; options go into the options object, not into the path",
            shown(path)
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
        assert_eq!(locate("SQLite:workflow.db").unwrap(), file("workflow.db"));
        assert!(locate("").is_err() && locate("a.db?mode=ro").is_err());
    }

    #[test]
    fn what_looks_like_another_stores_name_makes_no_file() {
        for url in [
            "mysql://u:sesam@h/d",
            "redis://h",
            "Postgresql://h/d",
            "redis:h",
            "file:a.db",
            "host=h dbname=d",
            "d b://x",
        ] {
            let refused = locate(url);
            assert!(refused.as_ref().is_err_and(|why| !why.message().contains("sesam")), "{url}: {refused:?}");
            assert_eq!(locate(&format!("sqlite:{url}")).unwrap(), Location::File(PathBuf::from(url)));
        }
        for path in ["./host=h", "a/b:c.db", "/var/a=b.db", "12:30.db"] {
            assert_eq!(locate(path).unwrap(), Location::File(PathBuf::from(path)));
        }
    }
}
