//! Commits whose answer was lost: recorded or not, nobody knows until the server is asked again. What has an identity is
//! said again, and finds itself there; of the rest the server is asked by the transaction's number what became of it;
//! what was to be claimed is kept here for the worker's next claim, which finds out whether it has it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::batch::Batch;
use super::conn::Conn;
use super::rows::Columns;
use super::tx::Tx;
use super::{advance, error};
use crate::backend::{Claimed, Commands, Held, Notice, Outcome, Transition};
use crate::model::{Error, Result};

/// Why a transaction failed.
pub(super) struct Failed<R> {
    pub why: Error,
    /// The answer to its commit was lost.
    pub in_doubt: Option<Doubt<R>>,
}

/// What holds if the commit was recorded.
pub(super) struct Doubt<R> {
    pub result: R,
    pub notices: Vec<Notice>,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Recorded,
    Nothing,
    /// It may still be at it.
    Open,
    /// It is too long ago, or the server is another one.
    Unknown,
}

impl<R> From<Error> for Failed<R> {
    fn from(why: Error) -> Self {
        Self { why, in_doubt: None }
    }
}

impl<R> Failed<R> {
    /// A commit that brought no good answer.
    pub fn commit(why: Error, doubt: Doubt<R>) -> Self {
        if error::is_cut(&why) { Self { why: error::in_doubt(why), in_doubt: Some(doubt) } } else { why.into() }
    }
}

/// The number of this transaction, if it has written something.
pub(super) async fn number(tx: &mut Tx) -> Result<Option<i64>> {
    let row = sqlx::query(include_str!("sql/transaction_number.sql"))
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("number a transaction"))?;
    Columns(&row).get("number")
}

/// What became of the transaction of this number.
pub(super) async fn fate(conn: &mut Conn, number: i64) -> Result<Fate> {
    let row = sqlx::query(include_str!("sql/transaction_status.sql"))
        .bind(number)
        .fetch_one(conn)
        .await
        .map_err(error::map("ask what became of a transaction"))?;
    Ok(match Columns(&row).get("status")? {
        Some("committed") => Fate::Recorded,
        Some("aborted") => Fate::Nothing,
        Some("in progress") => Fate::Open,
        _ => Fate::Unknown,
    })
}

/// Claims in doubt, by worker. A worker claims once at a time.
#[derive(Default)]
pub(super) struct Doubts(Mutex<HashMap<String, Vec<Claimed>>>);

impl Doubts {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Vec<Claimed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take(&self, worker_id: &str) -> Vec<Claimed> {
        self.held().remove(worker_id).unwrap_or_default()
    }

    /// Two claims of one task differ in their fences.
    pub fn put(&self, worker_id: &str, claimed: impl IntoIterator<Item = Claimed>) {
        let mut claimed = claimed.into_iter().peekable();
        if claimed.peek().is_none() {
            return;
        }
        let mut held = self.held();
        let known = held.entry(worker_id.to_owned()).or_default();
        for claimed in claimed {
            let same = |other: &Claimed| other.task.id == claimed.task.id && other.task.fence == claimed.task.fence;
            if !known.iter().any(same) {
                known.push(claimed);
            }
        }
    }
}

/// Which of these the worker has, with a new lease from now on. One whose commit is still on its way is waited for.
pub(super) async fn adopt(
    tx: &mut Tx,
    worker_id: &str,
    lease: Duration,
    mut claimed: Vec<Claimed>,
) -> Result<Vec<Claimed>> {
    let mut batch = Batch::new();
    for Claimed { task, .. } in &claimed {
        batch.row().id(task.id).int(task.fence as i64);
    }
    let until = tx.now.after(lease);
    let rows = tx
        .fetch_batch("find claims again", include_str!("sql/tasks_adopt.sql"), batch.by_id(), |query| {
            query.bind(until).bind(worker_id)
        })
        .await?;
    let mut found = HashMap::new();
    for row in &rows {
        let row = Columns(row);
        found.insert(row.id("id")?, row.count::<u64>("fence")?);
    }
    claimed.retain(|claimed| found.get(&claimed.task.id) == Some(&claimed.task.fence));
    for claimed in &mut claimed {
        claimed.task.lease_expires_at = Some(until);
    }
    Ok(claimed)
}

/// A worker that claims no more gives back what it may have.
pub(super) async fn give_back(tx: &mut Tx, worker_id: &str, claimed: Vec<Claimed>) -> Result<()> {
    let adopted = adopt(tx, worker_id, Duration::ZERO, claimed).await?;
    let release = |Claimed { task, .. }: Claimed| Transition {
        held: Held { task: task.id, execution: task.execution_id, parent: task.parent_task_id, fence: task.fence },
        commands: Commands::default(),
        outcome: Outcome::Release,
    };
    let releases: Vec<Transition> = adopted.into_iter().map(release).collect();
    advance::apply(tx, &releases).await.map(drop)
}
