//! What a host's connection must be on before anything is written there: nothing is migrated, and nothing mended, in a
//! transaction of the host's.

use crate::backend::sqlite::conn::Connection;
use crate::backend::sqlite::connect::{self, MIGRATIONS};
use crate::backend::sqlite::error;
use crate::model::{Error, Result};

/// The tables that the migrations make; a test compares.
const TABLES: [&str; 31] = [
    "boots",
    "cache",
    "catalog",
    "dead_letters",
    "execution_counters",
    "execution_progress",
    "execution_state",
    "executions",
    "functions",
    "holds",
    "idempotency",
    "key_rates",
    "moves",
    "pauses",
    "rates",
    "routes",
    "schedule_ticks",
    "schedules",
    "signals",
    "slots_to_count",
    "slots_to_fill",
    "slots_to_give",
    "slots_to_share",
    "stent_schema",
    "tasks",
    "tasks_to_share",
    "unfinished_trees",
    "unique_earlier",
    "unique_keys",
    "waits",
    "workers",
];

/// Checks that the connection is on a store of this library's version, that workers will hear of its commit, and that nothing
/// else is taken for the store's tables.
pub(super) fn check(conn: &mut Connection) -> Result<()> {
    let temporary = conn.query(include_str!("../sql/shadows.sql"), &[])?;
    for row in 0..temporary.rows() {
        let name = temporary.text(row)?.unwrap_or_default();
        if TABLES.contains(&name) {
            return Err(Error::conflict(format!(
                "the connection has a temporary table or view '{name}', which hides the store's table of that name; drop it, \
                 or give it another name (nothing was changed)"
            )));
        }
    }
    let (found, known) = (version(conn)?, MIGRATIONS.len() as i64);
    if found < known {
        return Err(Error::backend(format!(
            "the store has schema version {found}, and this library writes version {known}; `stent migrate`, or a worker \
             with this library, brings it up to date (nothing was changed)"
        ))
        .with("schema_version", found)
        .with("known_version", known));
    }
    let mode = conn.query("PRAGMA main.journal_mode", &[])?;
    match mode.text(0)?.unwrap_or_default() {
        "wal" => Ok(()),
        mode => Err(Error::backend(format!(
            "the store's journal_mode is '{mode}', and workers look at its write-ahead log for what is new; set PRAGMA \
             journal_mode = WAL (nothing was changed)"
        ))),
    }
}

fn version(conn: &mut Connection) -> Result<i64> {
    let what = match connect::schema_version(conn) {
        Ok(0) => "the main database of this connection is empty",
        Ok(found) => return Ok(found),
        // It has tables, and none of them is Stent's.
        Err(why) if error::code(&why).is_none() && why.details().contains_key("tables") => {
            "the main database of this connection is no store of Stent's"
        }
        Err(why) => return Err(why),
    };
    Err(Error::backend(format!(
        "{what}; open the connection on the store's file, which `stent init` or the first worker makes, and attach a database \
         of your own to it, if there is one (nothing was changed)"
    )))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::sqlite::conn::Missing;

    #[test]
    fn all_tables_are_known() {
        let mut conn = Connection::open(c":memory:", Missing::Create, Duration::ZERO).unwrap();
        conn.execute(include_str!("../sql/schema_create.sql")).unwrap();
        MIGRATIONS.iter().for_each(|migration| conn.execute(migration).unwrap());
        let found = conn.query(include_str!("../sql/schema_tables.sql"), &[]).unwrap();
        let names: Vec<&str> = (0..found.rows()).map(|row| found.text(row).unwrap().unwrap()).collect();
        assert_eq!(names, TABLES);
    }
}
