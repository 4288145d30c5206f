//! Locks that another copy of SQLite in this process can't drop.

use crate::model::Result;

pub(super) fn install() -> Result<()> {
    Ok(())
}
