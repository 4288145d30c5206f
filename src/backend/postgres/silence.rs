//! Time limits for answers. If the peer vanishes, the server is stopped or the network drops packets, a connection is
//! not closed by itself: it just says nothing. So every answer has a time limit, and a connection that exceeds it is
//! dropped, without closing it politely, which could take as long again.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::BoxStream;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::time::Sleep;

/// A connection that was idle for this long is pinged before it is used: a router on the way may have forgotten it.
const PROBED_AFTER: Duration = Duration::from_secs(10);

/// The shortest limit for answers that take no time if the server is there.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For statements and commits, including waits for locks.
    pub call: Duration,
    /// For begin, rollback and ping, which wait for no locks.
    pub short: Duration,
}

impl Limits {
    /// The short limit is half of the time to connect, so that there is time to open another connection instead of a
    /// dead one.
    pub fn new(call_timeout: Duration, connect_timeout: Duration) -> Self {
        Self { call: call_timeout, short: (connect_timeout / 2).max(SHORTEST).min(call_timeout) }
    }

    /// The limit for the server, a little shorter than ours: it aborts a statement before the caller stops waiting. So
    /// no lock outlives the call, and a repeated call does not wait for its predecessor.
    pub fn of_server(&self) -> Duration {
        (self.call - self.call / 10).max(Duration::from_millis(1))
    }
}

/// The error for an answer that did not come in time.
pub(super) fn silence(limit: Duration) -> sqlx::Error {
    let what = format!("it has said nothing for {} s", limit.as_secs_f64());
    sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, what))
}

/// Waits for an answer up to a limit.
pub(super) async fn in_time<T>(limit: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(silence(limit)))
}

/// When did a connection of the pool last fail to answer? Connections that have been idle since before may be dead too.
#[derive(Debug, Default)]
pub(super) struct Silences(Mutex<Option<Instant>>);

impl Silences {
    fn last(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has not answered since then.
    pub fn since(&self, begin: Instant) {
        let mut last = self.last();
        *last = (*last).max(Some(begin));
    }

    /// Checks an idle connection before it is used. An error: it is dead.
    pub async fn check(&self, conn: &mut PgConnection, idle: Duration, limits: Limits) -> sqlx::Result<bool> {
        let doubtful = self.last().is_some_and(|begin| begin.elapsed() < idle);
        if doubtful {
            return Err(silence(idle));
        }
        if idle < PROBED_AFTER {
            return Ok(true);
        }
        let begin = Instant::now();
        let alive = in_time(limits.short, conn.ping()).await;
        if matches!(&alive, Err(sqlx::Error::Io(why)) if why.kind() == ErrorKind::TimedOut) {
            self.since(begin);
        }
        alive.map(|()| true)
    }
}

/// A stream of answers that must all arrive within one time limit.
pub(super) struct Timed<'e, T, F> {
    answers: BoxStream<'e, sqlx::Result<T>>,
    limit: Duration,
    time: Pin<Box<Sleep>>,
    /// Called when the limit is exceeded.
    silent: F,
}

impl<'e, T, F: FnMut() + Unpin> Timed<'e, T, F> {
    pub fn new(answers: BoxStream<'e, sqlx::Result<T>>, limit: Duration, silent: F) -> Self {
        Self { answers, limit, time: Box::pin(tokio::time::sleep(limit)), silent }
    }
}

impl<T, F: FnMut() + Unpin> Stream for Timed<'_, T, F> {
    type Item = sqlx::Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = self.answers.as_mut().poll_next(cx);
        if answer.is_pending() && self.time.as_mut().poll(cx).is_ready() {
            (self.silent)();
            return Poll::Ready(Some(Err(silence(self.limit))));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_begin_has_less_time_than_a_connection_and_a_call() {
        let seconds = Duration::from_secs;
        let short = |call, connect| Limits::new(seconds(call), seconds(connect)).short;
        assert_eq!([short(30, 10), short(3, 10), short(30, 1)], [5, 3, 1].map(seconds));
        assert_eq!(Limits::new(seconds(30), seconds(10)).of_server(), seconds(27));
    }
}
