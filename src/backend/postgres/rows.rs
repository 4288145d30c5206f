//! Rows to records.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::error;
use crate::codec;
use crate::model::{Error, Execution, Failure, Id, Payload, ProgressEntry, Result, Signal, Task, Timestamp};

/// Reads columns by name; a wrong type or a missing column means a damaged or foreign table.
pub(super) struct Columns<'r>(pub &'r PgRow);

impl Columns<'_> {
    pub fn get<'r, T>(&'r self, name: &'static str) -> Result<T>
    where
        T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.0.try_get(name).map_err(error::map("read a row"))
    }

    pub fn id(&self, name: &'static str) -> Result<Id> {
        self.get(name)
    }

    pub fn optional_id(&self, name: &'static str) -> Result<Option<Id>> {
        self.get(name)
    }

    pub fn time(&self, name: &'static str) -> Result<Timestamp> {
        self.get(name)
    }

    pub fn optional_time(&self, name: &'static str) -> Result<Option<Timestamp>> {
        self.get(name)
    }

    pub fn word<T: std::str::FromStr<Err = Error>>(&self, name: &'static str) -> Result<T> {
        self.get::<&str>(name)?.parse()
    }

    pub fn payload(&self, name: &'static str) -> Result<Option<Payload>> {
        Ok(self.get::<Option<Vec<u8>>>(name)?.map(Payload::from))
    }

    pub fn failure(&self, name: &'static str) -> Result<Option<Failure>> {
        self.get::<Option<&[u8]>>(name)?.map(codec::failure_from_column).transpose()
    }

    pub fn tags(&self, name: &'static str) -> Result<Vec<String>> {
        codec::tags_from_column(self.get(name)?)
    }

    pub fn count<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T> {
        let stored: i64 = self.get(name)?;
        T::try_from(stored).map_err(|_| Error::backend(format!("the stored column {name} is out of range: {stored}")))
    }

    pub fn optional_count<T: TryFrom<i64>>(&self, name: &'static str) -> Result<Option<T>> {
        match self.get::<Option<i64>>(name)? {
            None => Ok(None),
            Some(_) => self.count(name).map(Some),
        }
    }
}

pub(super) fn task(row: &PgRow) -> Result<Task> {
    let row = Columns(row);
    let policy: Option<&str> = row.get("retry_policy")?;
    Ok(Task {
        id: row.id("id")?,
        execution_id: row.id("execution_id")?,
        step_name: row.get("step_name")?,
        kind: row.word("kind")?,
        parent_task_id: row.optional_id("parent_task_id")?,
        state: row.word("state")?,
        args: row.payload("args")?.unwrap_or_else(Payload::empty_array),
        kwargs: row.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
        retries: row.count("retries")?,
        created_at: row.time("created_at")?,
        tags: row.tags("tags")?,
        priority: row.get("priority")?,
        queue: row.get("queue")?,
        retry_policy: policy.map(codec::policy_from_column).transpose()?,
        result: row.payload("result")?,
        error: row.failure("error")?,
        started_at: row.optional_time("started_at")?,
        completed_at: row.optional_time("completed_at")?,
        worker_id: row.get("worker_id")?,
        lease_expires_at: row.optional_time("lease_expires_at")?,
        idempotency_key: row.get("idempotency_key")?,
        scheduled_for: row.optional_time("scheduled_for")?,
        fence: row.count("fence")?,
        step_key: row.get("step_key")?,
    })
}

/// Without progress.
pub(super) fn execution(row: &PgRow) -> Result<Execution> {
    let row = Columns(row);
    Ok(Execution {
        id: row.id("id")?,
        root_function: row.get("root_function")?,
        state: row.word("state")?,
        args: row.payload("args")?.unwrap_or_else(Payload::empty_array),
        kwargs: row.payload("kwargs")?.unwrap_or_else(Payload::empty_object),
        retries: row.count("retries")?,
        created_at: row.time("created_at")?,
        started_at: row.optional_time("started_at")?,
        completed_at: row.optional_time("completed_at")?,
        expiry_at: row.optional_time("expiry_at")?,
        progress: Vec::new(),
        tags: row.tags("tags")?,
        priority: row.get("priority")?,
        queue: row.get("queue")?,
        result: row.payload("result")?,
        error: row.failure("error")?,
    })
}

pub(super) fn progress(row: &PgRow) -> Result<ProgressEntry> {
    let row = Columns(row);
    Ok(ProgressEntry {
        step: row.get("step")?,
        status: row.word("status")?,
        started_at: row.optional_time("started_at")?,
        completed_at: row.optional_time("completed_at")?,
        detail: row.payload("detail")?,
    })
}

pub(super) fn signal(row: &PgRow) -> Result<Signal> {
    let row = Columns(row);
    Ok(Signal {
        execution_id: row.id("execution_id")?,
        name: row.get("name")?,
        payload: row.payload("payload")?.unwrap_or_else(Payload::null),
        created_at: row.time("created_at")?,
        consumed: row.get("consumed")?,
        consumed_at: row.optional_time("consumed_at")?,
        id: row.get("id")?,
        sequence: row.count("sequence")?,
    })
}

/// `[]` and NULL are the same; NULL is shorter.
pub(super) fn args_column(args: &Payload) -> Option<&[u8]> {
    Some(args.as_bytes()).filter(|bytes| *bytes != b"[]")
}

pub(super) fn kwargs_column(kwargs: &Payload) -> Option<&[u8]> {
    Some(kwargs.as_bytes()).filter(|bytes| *bytes != b"{}")
}
