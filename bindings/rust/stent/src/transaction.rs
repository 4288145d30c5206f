//! A step in a transaction of the handler's own: its record is written by the same connection, in the same commit.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

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
}

/// How a step runs in a transaction of the handler's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionOptions {
    step: StepOptions,
    schema: Option<String>,
    sqlite: bool,
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

    fn begin(&self) -> &'static str {
        // The write lock from the beginning: who takes it later may be refused it.
        if self.sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" }
    }

    fn record(&self) -> String {
        if self.sqlite {
            return "SELECT stent_record_step(?1, ?2)".to_owned();
        }
        let schema = self.schema.as_deref().unwrap_or("stent").replace('"', "\"\"");
        format!("SELECT \"{schema}\".record_step($1, $2)")
    }

    /// Begins, runs the body, records its result and commits; rolls back whatever goes wrong.
    fn run<C: Connection, R: Serialize>(
        &self,
        connection: &mut C,
        token: &str,
        body: impl FnOnce(&mut C) -> HandlerResult<R>,
    ) -> HandlerResult<()> {
        connection.run(self.begin(), &[])?;
        let done = catch_unwind(AssertUnwindSafe(|| {
            // Where the body has ended the transaction its savepoint is gone, and nothing is recorded without it.
            connection.run("SAVEPOINT stent_step", &[])?;
            let result = encode(&body(connection)?)?;
            connection.run("RELEASE SAVEPOINT stent_step", &[])?;
            connection.run(&self.record(), &[token, &result])?;
            connection.run("COMMIT", &[])
        }));
        if !matches!(done, Ok(Ok(()))) {
            // Fails where the transaction is over already, and with the connection: nothing is left to be undone then.
            drop(connection.run("ROLLBACK", &[]));
        }
        done.unwrap_or_else(|panicked| resume_unwind(panicked))
    }
}

impl Task {
    /// Runs a function in a transaction of this connection to the store's own database, once: the transaction has the step's
    /// record too, so what the function does there is done exactly once. It neither commits nor rolls back.
    ///
    /// An error, of the function, the record or the commit, rolls back, and is recorded as the step's failure, whatever its
    /// type: [`Status::Failed`](crate::Status::Failed), in this and every later run. So that one whose commit may have come
    /// through, as the connection was lost, is known: where the store has the record, the step has its result. A panic fails
    /// this attempt of the task.
    pub fn transaction<C: Connection, R>(
        &self,
        name: &str,
        connection: &mut C,
        body: impl FnOnce(&mut C) -> HandlerResult<R>,
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
        body: impl FnOnce(&mut C) -> HandlerResult<R>,
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
