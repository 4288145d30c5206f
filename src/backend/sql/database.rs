//! What the flow needs of a database, beside the [`Session`] in which statements run: how transactions are opened.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use super::catalog::SharedCatalog;
use super::session::Session;
use super::tx::Tx;
use crate::backend::Notice;
use crate::model::{Error, Result};

/// Why a transaction did not answer.
#[derive(Debug)]
pub(in crate::backend) struct Failed<R> {
    pub why: Error,
    /// Its commit was sent, and the answer is lost: it may be recorded.
    pub in_doubt: Option<Doubt<R>>,
}

/// What a transaction that may be recorded would have answered.
#[derive(Debug)]
pub(in crate::backend) struct Doubt<R> {
    pub result: R,
    pub notices: Vec<Notice>,
}

impl<R> From<Error> for Failed<R> {
    fn from(why: Error) -> Self {
        Self { why, in_doubt: None }
    }
}

/// A database with the store's tables. What is decided is decided by the flow.
pub(in crate::backend) trait Database: Send + Sync + 'static {
    /// For messages and metrics.
    const NAME: &'static str;

    /// Hints from now on.
    fn notices(&self) -> broadcast::Receiver<Notice>;

    /// Hands hints to whoever listens, here and elsewhere.
    fn tell(&self, notices: Vec<Notice>);

    /// A number that grows with whatever is heard of others.
    fn heard(&self) -> u64;

    /// As [`crate::backend::Backend::unheard_for`].
    fn unheard_for(&self) -> Option<Duration>;

    fn catalog(&self) -> &SharedCatalog;

    /// How long a call goes on when connections are cut.
    fn patience(&self) -> Duration;

    /// A transaction that writes: commits, tells its hints, and answers. `work` may be called again, as long as nothing
    /// is committed: after a collision, for a route that is new, on a connection that was cut before `until`.
    fn write_once<R, Q, F>(
        &self,
        until: Instant,
        request: Arc<Q>,
        work: Arc<F>,
    ) -> impl Future<Output = std::result::Result<R, Failed<R>>> + Send
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Work<Q, R>;

    /// Reads. `together`: all statements see one state of the store; else each sees one.
    fn read_once<R, Q, F>(&self, together: bool, request: Q, work: F) -> impl Future<Output = Result<R>> + Send
    where
        R: Send + 'static,
        Q: Send + Sync + 'static,
        F: Look<Q, R>;

    /// A newer library may have raised the schema since it was opened.
    fn check_schema(&self) -> impl Future<Output = Result<()>> + Send;

    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What is done in a transaction.
pub(in crate::backend) trait Work<Q, R>:
    for<'t, 'c> Fn(&'t mut Tx<'c>, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}

impl<Q, R, F> Work<Q, R> for F where
    F: for<'t, 'c> Fn(&'t mut Tx<'c>, Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}

/// What is looked at.
pub(in crate::backend) trait Look<Q, R>:
    for<'t> Fn(&'t mut (dyn Session + 't), Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}

impl<Q, R, F> Look<Q, R> for F where
    F: for<'t> Fn(&'t mut (dyn Session + 't), Arc<Q>) -> BoxFuture<'t, Result<R>> + Send + Sync + 'static
{
}
