//! Which store a caller's text names: by its scheme, case aside. What looks like another store's name is no file's.

use super::{Error, Result, Status, shown};

/// A store of this library that has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A file, or memory.
    Sqlite,
    /// A URL, or a connection string of words and values.
    Postgres,
}

/// The store that this text names.
///
/// # Errors
///
/// `Unsupported`: a URL of another store. `Invalid`: a path that could be read as something else.
pub fn store_kind(url: &str) -> Result<StoreKind> {
    if let Some(scheme) = scheme(url) {
        if scheme.eq_ignore_ascii_case("sqlite") {
            return Ok(StoreKind::Sqlite);
        }
        if scheme.eq_ignore_ascii_case("postgresql") || scheme.eq_ignore_ascii_case("postgres") {
            return Ok(StoreKind::Postgres);
        }
        return Err(unknown(&format!("by '{}:'", shown(scheme))));
    }
    if is_key_value(url) {
        return Ok(StoreKind::Postgres);
    }
    if url.contains("://") { Err(unknown("like this")) } else { Ok(StoreKind::Sqlite) }
}

/// What stands before a `:` and could be the name of a protocol. One letter is none.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.trim_start().split_once(':')?;
    let is_one = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_one.then_some(scheme)
}

/// `host=… dbname=…`, as libpq reads it.
fn is_key_value(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim();
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn unknown(how: &str) -> Error {
    Error::new(
        Status::Unsupported,
        format!(
            "no store is named {how}; give postgresql://user:password@host:port/database, the path of a SQLite file, \
             or :memory:; a path with a ':' that looks like a URL is written with sqlite: before it"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_told_by_their_scheme() {
        for (url, kind) in [
            ("workflow.db", StoreKind::Sqlite),
            (":memory:", StoreKind::Sqlite),
            ("./a:b.db", StoreKind::Sqlite),
            ("SQLite:host=h", StoreKind::Sqlite),
            ("sqlite:mysql://h", StoreKind::Sqlite),
            ("", StoreKind::Sqlite),
            ("PostgreSQL://h/d", StoreKind::Postgres),
            ("postgres:h", StoreKind::Postgres),
            (" dbname = d", StoreKind::Postgres),
        ] {
            assert_eq!(store_kind(url).unwrap(), kind, "{url}");
        }
    }

    #[test]
    fn other_stores_are_refused_without_their_passwords() {
        for url in
            ["mysql://u:sesam@h", "redis:h", "postgress://u:sesam@h", "u_x://v:sesam@h", "me:sesam@h/d", "file:a.db"]
        {
            let why = store_kind(url).unwrap_err();
            assert_eq!(why.status(), Status::Unsupported, "{url}");
            assert!(!why.message().contains("sesam"), "{why}");
        }
    }
}
