//! Which kind of store a URL or path means, by its scheme in upper or lower case. A text that looks like a URL of an
//! unknown store is never taken for a file name.

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
    if is_misspelt(url) {
        return Err(Error::invalid(
            "the PostgreSQL URL is wrong: a ':' is missing before '//'; it has the form \
             postgresql://user:password@host:port/database; a SQLite file of such a name is written with sqlite: before it",
        ));
    }
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

/// The part before a `:`, if it could be the name of a protocol. A single letter is not one.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.trim_start().split_once(':')?;
    let is_one = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_one.then_some(scheme)
}

/// `postgresql//…`: nobody means a folder by it.
fn is_misspelt(url: &str) -> bool {
    url.trim_start()
        .split_once("//")
        .is_some_and(|(before, _)| before.eq_ignore_ascii_case("postgresql") || before.eq_ignore_ascii_case("postgres"))
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

    #[test]
    fn a_misspelt_url_is_no_file() {
        for url in [
            "postgresql//u:sesam@h/d",
            "postgres//h/d",
            " PostgreSQL//h/d?a=b",
            "postgresql///d",
            "postgres//u:sesam@h",
        ] {
            let why = store_kind(url).unwrap_err();
            assert_eq!(why.status(), Status::Invalid, "{url}");
            assert!(why.message().contains("a ':' is missing before '//'"), "{why}");
            assert!(!why.message().contains("sesam"), "{why}");
        }
        for file in ["postgres/a.db", "sqlite:postgresql//a.db", "my_postgres//a.db"] {
            assert_eq!(store_kind(file).unwrap(), StoreKind::Sqlite, "{file}");
        }
    }
}
