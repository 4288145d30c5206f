//! What the shared code needs of a database, besides the [`Session`] in which statements run: transactions, reads,
//! hints.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use super::call::Call;
use super::catalog::SharedCatalog;
use super::row::Row;
use super::session::Session;
use super::tx::Tx;
use crate::backend::{LogSize, Notice};
use crate::model::{Error, Result};

/// What a transaction or a read answers. Its type is known to whoever asks ([`typed`]), and not to a database, whose ways
/// to write and to read are compiled once instead of once for each operation: they were a third of the library's code.
pub(in crate::backend) type Answered = Box<dyn Any + Send>;

/// The body of a transaction, with its request. It may be called again as long as nothing is committed.
pub(in crate::backend) type Body =
    Arc<dyn for<'t, 'c> Fn(&'t mut Tx<'c>) -> BoxFuture<'t, Result<Answered>> + Send + Sync>;

/// The body of a read, with its request. It may be called again.
pub(in crate::backend) type Looking =
    Arc<dyn for<'t> Fn(&'t mut (dyn Session + 't)) -> BoxFuture<'t, Result<Answered>> + Send + Sync>;

/// Why a transaction failed.
#[derive(Debug)]
pub(in crate::backend) struct Failed {
    pub why: Error,
    /// The commit was sent and its answer was lost: the transaction may be recorded or not.
    pub in_doubt: Option<Doubt>,
}

/// The result and hints of a transaction of which nobody knows whether it is recorded.
#[derive(Debug)]
pub(in crate::backend) struct Doubt {
    pub result: Answered,
    pub notices: Vec<Notice>,
}

impl From<Error> for Failed {
    fn from(why: Error) -> Self {
        Self { why, in_doubt: None }
    }
}

/// A database that has the store's tables.
pub(in crate::backend) trait Database: Send + Sync + 'static {
    /// For messages and metrics.
    const NAME: &'static str;

    /// The texts that made its tables, in order.
    const MIGRATIONS: &'static [&'static str];

    /// Each statement is a journey to a server: what is one statement is cheaper than what is more.
    const HAS_JOURNEYS: bool = false;

    /// Subscribes to hints.
    fn notices(&self) -> broadcast::Receiver<Notice>;

    /// Sends hints to the listeners in this process and in others.
    fn tell(&self, notices: Vec<Notice>);

    /// Grows with every hint, own or from other processes.
    fn heard(&self) -> u64;

    /// As [`crate::backend::Backend::unheard_for`].
    fn unheard_for(&self) -> Option<Duration>;

    /// As [`crate::backend::Backend::writers`].
    fn writers(&self) -> usize {
        1
    }

    fn catalog(&self) -> &SharedCatalog;

    /// For how long a call is tried again when its connections are cut.
    fn patience(&self) -> Duration;

    /// Runs `work` in a transaction, commits, sends the hints and returns the result. `work` may be called again as
    /// long as nothing is committed: after a conflict with another transaction, when a new route had to be created
    /// first, or until `until` when the connection was cut.
    fn write_once(
        &self,
        until: Instant,
        work: Body,
    ) -> impl Future<Output = std::result::Result<Answered, Failed>> + Send;

    /// Runs `look` without writing. `together`: all its statements see the same snapshot of the store; else each has
    /// its own.
    fn read_once(&self, together: bool, look: Looking) -> impl Future<Output = Result<Answered>> + Send;

    /// Runs one statement as a transaction of its own, in one journey. `None`: it can't just now, and nothing was sent.
    /// If the connection is cut, it may be recorded or not.
    fn at_once(&self, _call: &Call<'_>) -> impl Future<Output = Result<Option<Vec<Row>>>> + Send {
        async { Ok(None) }
    }

    /// Checks the schema's version, which a newer library may have raised since the store was opened.
    fn check_schema(&self) -> impl Future<Output = Result<()>> + Send;

    /// As [`crate::backend::Backend::log_size`].
    fn log_size(&self) -> Option<LogSize> {
        None
    }

    /// As [`crate::backend::Backend::backup`].
    fn backup(&self, path: &str) -> impl Future<Output = Result<()>> + Send;

    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What an operation does in a transaction.
pub(in crate::backend) trait Work<Q, R>:
    for<'t, 'c> Fn(&'t mut Tx<'c>, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}

impl<Q, R, F> Work<Q, R> for F where
    F: for<'t, 'c> Fn(&'t mut Tx<'c>, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}

/// What an operation reads.
pub(in crate::backend) trait Look<Q, R>:
    for<'t> Fn(&'t mut (dyn Session + 't), Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}

impl<Q, R, F> Look<Q, R> for F where
    F: for<'t> Fn(&'t mut (dyn Session + 't), Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}

/// For a database: an operation with its request.
pub(in crate::backend) fn body<R, Q, F>(request: Arc<Q>, work: Arc<F>) -> Body
where
    R: Send + 'static,
    Q: Send + Sync + 'static,
    F: Work<Q, R>,
{
    Arc::new(for_all(move |tx: &mut Tx<'_>| answered(work(tx, request.clone()))))
}

/// As [`body`], for a read.
pub(in crate::backend) fn looking<R, Q, F>(request: Q, look: F) -> Looking
where
    R: Send + 'static,
    Q: Send + Sync + 'static,
    F: Look<Q, R>,
{
    let request = Arc::new(request);
    Arc::new(for_all_sessions(move |session| answered(look(session, request.clone()))))
}

fn answered<'t, R: Send + 'static>(work: BoxFuture<'t, Result<R>>) -> BoxFuture<'t, Result<Answered>> {
    Box::pin(async move { work.await.map(|result| Box::new(result) as Answered) })
}

/// What [`body`] or [`looking`] of an operation has answered, as its own type again.
pub(in crate::backend) fn typed<R: 'static>(answered: Answered) -> Result<R> {
    let result = answered.downcast::<R>();
    result.map(|result| *result).map_err(|_| Error::backend("an operation's answer is of another operation's type"))
}

/// A closure's lifetimes are those that this asks for.
fn for_all<F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> BoxFuture<'t, Result<Answered>>>(body: F) -> F {
    body
}

/// Likewise.
fn for_all_sessions<F>(look: F) -> F
where
    F: for<'t> Fn(&'t mut (dyn Session + 't)) -> BoxFuture<'t, Result<Answered>>,
{
    look
}
