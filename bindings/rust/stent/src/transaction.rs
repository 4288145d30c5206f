//! A step in a transaction of the handler's own: its record is written by the same connection, in the same commit.

use std::collections::hash_map::RandomState;
use std::error::Error as StdError;
use std::hash::{BuildHasher as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use std::{ptr, thread};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stent_sys as sys;

use crate::call::{borrowed, encode, json, text};
use crate::error::Result;
use crate::handler::{HandlerError, HandlerResult};
use crate::options::StepOptions;
use crate::task::Task;

/// A connection of the program's own to the store's database, by whatever driver.
pub trait Connection {
    /// Runs a statement, whose parameters are texts, and drops what it answers. `BEGIN` and its like have no parameters.
    ///
    /// # Errors
    /// The driver's.
    fn run(&mut self, sql: &str, parameters: &[&str]) -> HandlerResult<()>;

    /// Has the database refused the transaction for others' sake, so that the same one may come through when it is begun
    /// again? A driver knows by the code: `40001` and `40P01` of PostgreSQL, `SQLITE_BUSY` and `SQLITE_LOCKED` of SQLite. As it
    /// stands here it is known by what these say in English.
    fn is_conflict(&self, why: &HandlerError) -> bool {
        let mut at: Option<&(dyn StdError + 'static)> = Some(why.get());
        while let Some(error) = at {
            let told = error.to_string();
            if ["could not serialize access", "deadlock detected", "database is locked", "database table is locked"]
                .iter()
                .any(|one| told.contains(one))
            {
                return true;
            }
            at = error.source();
        }
        false
    }
}

const ATTEMPTS: u32 = 5;

/// Each pause is twice as long as the one before, and up to a half shorter, so that two don't meet again.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// How a step runs in a transaction of the handler's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionOptions {
    step: StepOptions,
    schema: Option<String>,
    sqlite: bool,
    attempts: Option<u32>,
}

impl TransactionOptions {
    /// Nothing is said yet: the store is PostgreSQL's schema `stent`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The operation's own key in the journal, in place of name and number.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.step = self.step.key(key);
        self
    }

    /// Where the store is on PostgreSQL.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// The database is the store's SQLite file, and the connection has the extension.
    pub fn sqlite(mut self) -> Self {
        self.sqlite = true;
        self
    }

    /// So often it is begun in all where the database refuses it for others' sake, by [`Connection::is_conflict`]: 5 times, if
    /// nothing else is said. 0 is 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    fn begin(&self) -> &'static str {
        // The write lock from the beginning: who takes it later may be refused it.
        if self.sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" }
    }

    fn record(&self) -> String {
        if self.sqlite {
            return "SELECT stent_record_step(?1, ?2)".to_owned();
        }
        let schema = self.schema.as_deref().unwrap_or("stent").replace('"', "\"\"");
        // The work has been done in the transaction, which was seen just before; some work is to look at nothing.
        format!("SELECT \"{schema}\".record_step($1, $2) FROM txid_current()")
    }

    fn run<C: Connection, R: Serialize>(
        &self,
        connection: &mut C,
        token: &str,
        mut body: impl FnMut(&mut C) -> HandlerResult<R>,
    ) -> HandlerResult<()> {
        let mut left = self.attempts.unwrap_or(ATTEMPTS);
        let mut pause = PAUSE_FIRST;
        loop {
            left = left.saturating_sub(1);
            match self.attempt(connection, token, &mut body) {
                Err(why) if left > 0 && connection.is_conflict(&why) => {
                    thread::sleep(pause.mul_f64(0.5 + spread() / 2.0));
                    pause = (2 * pause).min(PAUSE_LONGEST);
                }
                done => return done,
            }
        }
    }

    /// A server says that there is no such schema, or no such function in it.
    fn missed(&self, why: HandlerError) -> HandlerError {
        if self.sqlite || !why.to_string().contains("does not exist") {
            return why;
        }
        let schema = self.schema.as_deref().unwrap_or("stent");
        let told = format!(
            "there is no store in the schema \"{schema}\" of this connection's database ({why}): give the schema of the store's \
             URL to TransactionOptions, and a connection to the same database"
        );
        why.saying(told)
    }

    /// Begins, runs the body, records its result and commits; rolls back whatever goes wrong.
    fn attempt<C: Connection, R: Serialize>(
        &self,
        connection: &mut C,
        token: &str,
        body: &mut impl FnMut(&mut C) -> HandlerResult<R>,
    ) -> HandlerResult<()> {
        connection.run(self.begin(), &[])?;
        let done = catch_unwind(AssertUnwindSafe(|| {
            // Where the body has ended the transaction its savepoint is gone, and nothing is recorded without it.
            connection.run("SAVEPOINT stent_step", &[])?;
            let result = encode(&body(connection)?)?;
            connection.run("RELEASE SAVEPOINT stent_step", &[])?;
            connection.run(&self.record(), &[token, &result]).map_err(|why| self.missed(why))?;
            connection.run("COMMIT", &[])
        }));
        if !matches!(done, Ok(Ok(()))) {
            // Fails where the transaction is over already, and with the connection: nothing is left to be undone then.
            drop(connection.run("ROLLBACK", &[]));
        }
        done.unwrap_or_else(|panicked| resume_unwind(panicked))
    }
}

/// 0 to 1, at random.
fn spread() -> f64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u8(0);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

impl Task {
    /// Runs a function in a transaction of this connection to the store's own database, once: the transaction has the step's
    /// record too, so what the function does there is done exactly once. It neither commits nor rolls back. What the database
    /// refuses for others' sake is rolled back and begun again, so the function may run more than once.
    ///
    /// An error, of the function, the record or the commit, rolls back, and is recorded as the step's failure, whatever its
    /// type: [`Status::Failed`](crate::Status::Failed), in this and every later run. So that one whose commit may have come
    /// through, as the connection was lost, is known: where the store has the record, the step has its result. A panic fails
    /// this attempt of the task.
    pub fn transaction<C: Connection, R>(
        &self,
        name: &str,
        connection: &mut C,
        body: impl FnMut(&mut C) -> HandlerResult<R>,
    ) -> Result<R>
    where
        R: Serialize + DeserializeOwned,
    {
        self.transaction_with(name, &TransactionOptions::new(), connection, body)
    }

    /// As [`Task::transaction`], with options.
    pub fn transaction_with<C: Connection, R>(
        &self,
        name: &str,
        options: &TransactionOptions,
        connection: &mut C,
        body: impl FnMut(&mut C) -> HandlerResult<R>,
    ) -> Result<R>
    where
        R: Serialize + DeserializeOwned,
    {
        let (op, token) = self.begin_transaction(name, &options.step)?;
        if let Some(token) = token {
            let done = options.run(connection, &token, body);
            self.end_transaction(op, done.err())?;
        }
        self.ended(op)
    }

    /// Without a token it is recorded.
    fn begin_transaction(&self, name: &str, options: &StepOptions) -> Result<(u32, Option<String>)> {
        let (name, options) = (text(name)?, json(options)?);
        let (mut op, mut token) = (0, ptr::null_mut());
        // SAFETY: the task is lent, and the texts and places live for the call.
        self.make(|why| unsafe {
            sys::stent_task_transaction_begin(self.handle(), name.as_ptr(), options.as_ptr(), &mut op, &mut token, why)
        })?;
        if token.is_null() {
            return Ok((op, None));
        }
        // SAFETY: it is a text of ours, which is freed once.
        unsafe {
            let told = borrowed(token);
            sys::stent_free(token.cast());
            Ok((op, Some(told)))
        }
    }

    fn end_transaction(&self, op: u32, failed: Option<HandlerError>) -> Result<()> {
        let failure = failed.map(|why| text(&why.failure()?)).transpose()?;
        let failure = failure.as_ref().map_or(ptr::null(), |failure| failure.as_ptr());
        // SAFETY: the task is lent, and the text lives for the call.
        self.make(|why| unsafe { sys::stent_task_transaction_end(self.handle(), op, failure, why) }).map(|_| ())
    }
}
