//! Opens the store that is named. None is created or migrated by the way: only who asks for that gets it.

use std::sync::Arc;

use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::backend::{Request, SchemaVersion, SharedBackend};
use stent::codec::CanonicalJson;
use stent::executor::{Executor, Silent};
use stent::model::{Error, SqliteOptions, StoreKind, store_kind};

use crate::trouble::Trouble;

/// An open store.
pub struct Place {
    /// The version of its schema.
    pub schema: i64,
    pub backend: SharedBackend,
    pub executor: Executor,
}

impl Place {
    /// Finishes what is under way.
    pub async fn close(self) -> Result<(), Trouble> {
        self.backend.call(Request::Close {}).await?;
        Ok(())
    }
}

/// Opens a store that is there, and of this command's version.
pub async fn open(db: Option<&str>) -> Result<Place, Trouble> {
    let db = named(db)?;
    let SchemaVersion { found, known } = look(db).await?;
    if found == 0 {
        return Err(missing(db));
    }
    if found < known {
        return Err(Trouble::no_store(Error::backend(format!(
            "the store's schema has version {found}, and this command needs version {known}; nothing was changed"
        )))
        .hint("stent migrate brings it up to date, and stent migrate --dry-run says what that means"));
    }
    connect(db, known).await
}

/// The version of the schema of the store that is named.
pub async fn schema(db: Option<&str>) -> Result<SchemaVersion, Trouble> {
    look(named(db)?).await
}

/// Opens the store that is named, created or migrated where that is needed.
pub async fn make(db: Option<&str>) -> Result<Place, Trouble> {
    let db = named(db)?;
    let known = look(db).await?.known;
    connect(db, known).await
}

pub fn missing(db: &str) -> Trouble {
    let what = match store_kind(db) {
        Ok(StoreKind::Postgres) => {
            "the server is there, but its database has no store of Stent's in this schema".into()
        }
        _ => format!("there is no store at '{db}'; nothing was created"),
    };
    Trouble::no_store(Error::not_found(what))
        .hint("look at the name given by --db or STENT_DB; a new store is made by: stent init")
}

/// What was given, or what to give.
pub fn named(db: Option<&str>) -> Result<&str, Trouble> {
    let db = db.filter(|db| !db.trim().is_empty()).ok_or_else(|| {
        Trouble::usage("no store is named")
            .hint("give one by --db or STENT_DB: a file, as workflow.db, or postgresql://user@host/database")
    })?;
    let kind = store_kind(db).map_err(Trouble::no_store)?;
    if kind == StoreKind::Sqlite && db.ends_with(":memory:") {
        return Err(Trouble::usage("a store in memory ends with the program that opens it").hint("name a file"));
    }
    if kind == StoreKind::Sqlite && std::path::Path::new(db).is_dir() {
        return Err(Trouble::no_store(Error::not_found(format!("'{db}' is a folder, and a store is a file")))
            .hint("name the file by --db or STENT_DB"));
    }
    Ok(db)
}

async fn look(db: &str) -> Result<SchemaVersion, Trouble> {
    let found = match store_kind(db)? {
        StoreKind::Sqlite => Sqlite::schema(db, SqliteOptions::default()).await,
        StoreKind::Postgres => Postgres::schema(&modest(db)).await,
    };
    found.map_err(Trouble::no_store)
}

/// `known`: the version of the schema that it has from then on.
async fn connect(db: &str, known: i64) -> Result<Place, Trouble> {
    let opened: Result<SharedBackend, Error> = match store_kind(db)? {
        StoreKind::Sqlite => Sqlite::open(db, SqliteOptions::default()).await.map(|store| store as SharedBackend),
        StoreKind::Postgres => Postgres::open(&modest(db)).await.map(|store| store as SharedBackend),
    };
    let backend = opened.map_err(Trouble::no_store)?;
    let runtime = tokio::runtime::Handle::current();
    let executor = Executor::new(Arc::clone(&backend), Arc::new(CanonicalJson), runtime, Arc::new(Silent));
    Ok(Place { schema: known, backend, executor })
}

/// A command needs few connections, and no worker should miss them.
fn modest(dsn: &str) -> String {
    let few = [("min_size", "0"), ("max_size", "4")].into_iter().filter(|(name, _)| !dsn.contains(name));
    let few: Vec<String> = few.map(|(name, value)| format!("{name}={value}")).collect();
    if few.is_empty() {
        return dsn.to_owned();
    }
    let (joint, between) = match (dsn.contains("://"), dsn.contains('?')) {
        (true, true) => ("&", "&"),
        (true, false) => ("?", "&"),
        (false, _) => (" ", " "),
    };
    format!("{dsn}{joint}{}", few.join(between))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_connections_are_asked_for_unless_somebody_says_how_many() {
        assert_eq!(modest("postgresql://h/d"), "postgresql://h/d?min_size=0&max_size=4");
        assert_eq!(modest("postgresql://h/d?schema=s&max_size=1"), "postgresql://h/d?schema=s&max_size=1&min_size=0");
        assert_eq!(modest("host=h dbname=d"), "host=h dbname=d min_size=0 max_size=4");
    }

    #[test]
    fn no_name_and_a_store_in_memory_are_refused() {
        for db in [None, Some(""), Some(":memory:"), Some("sqlite::memory:"), Some("redis://h")] {
            assert!(named(db).is_err(), "{db:?}");
        }
        assert_eq!(named(Some("a.db")).unwrap(), "a.db");
    }
}
