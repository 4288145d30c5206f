//! Silence is an answer. A peer that is gone without a word, a server that is stopped, a wire that swallows what is sent:
//! none of them ends a connection by itself. So every answer has its time. A connection that says nothing for that long is
//! dropped, and is not even told so: to close it politely could take as long again.

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

/// One that has not been used for so long is asked before it is used: a router on the way forgets connections that say
/// nothing.
const PROBED_AFTER: Duration = Duration::from_secs(10);

/// What takes no time where there is a server gets this at least.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// That of a statement or a commit, its waits for locks among it.
    pub call: Duration,
    /// That of a begin, a rollback, a sign of life: nobody is in the way of these.
    pub short: Duration,
}

impl Limits {
    /// A connection that turns out to be silent leaves time to make another one.
    pub fn new(call_timeout: Duration, connect_timeout: Duration) -> Self {
        Self { call: call_timeout, short: (connect_timeout / 2).max(SHORTEST).min(call_timeout) }
    }

    /// The server gives up what it is asked a little before nobody waits for it any more. So no lock outlives the call,
    /// and what is asked again finds no one in its way.
    pub fn of_server(&self) -> Duration {
        (self.call - self.call / 10).max(Duration::from_millis(1))
    }
}

/// No answer came in time.
pub(super) fn silence(limit: Duration) -> sqlx::Error {
    let what = format!("it has said nothing for {} s", limit.as_secs_f64());
    sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, what))
}

/// No answer in time is an error.
pub(super) async fn in_time<T>(limit: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(silence(limit)))
}

/// What follows for the others of a pool when one of its connections says nothing: what was idle since before may be as
/// dead.
#[derive(Debug, Default)]
pub(super) struct Silences(Mutex<Option<Instant>>);

impl Silences {
    fn last(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has said nothing since then.
    pub fn since(&self, begin: Instant) {
        let mut last = self.last();
        *last = (*last).max(Some(begin));
    }

    /// Before an idle connection is used again. An error: it is not.
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

/// Answers that come in time, or an end with an error.
pub(super) struct Timed<'e, T, F> {
    answers: BoxStream<'e, sqlx::Result<T>>,
    limit: Duration,
    time: Pin<Box<Sleep>>,
    /// Told of the silence.
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
