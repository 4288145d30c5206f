//! What has gone to another store is not begun here a second time.

use super::statements::MOVED;
use super::tx::Tx;
use crate::backend::decide;
use crate::model::{Id, Result};

/// Of executions that were inserted: an insert waits for an export of the same id, and does not see what that has noted.
///
/// # Errors
/// `CONFLICT` if one of these has left, and has not come back.
pub(super) async fn refuse(tx: &mut Tx<'_>, executions: impl Iterator<Item = Id>) -> Result<()> {
    match tx.fetch(&MOVED.call().ids(executions)).await?.first() {
        Some(row) => Err(decide::has_moved(row.id("execution_id")?, row.word("place")?)),
        None => Ok(()),
    }
}
