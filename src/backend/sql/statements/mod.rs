//! Declares every statement: its name, its parameters, the columns of its answer, and where its two texts are. These
//! stand in `sqlite/sql/` and `postgres/sql/`, under the same name. Tests compare each text with its declaration, on
//! both databases.
//!
//! A statement that does nothing on one database gives the reason, and has no text there.

use super::statement::{Column, Kind, Statement, Text};

/// Declares statements: `NAME "file" "what is being done" [rows (column: Kind, …)] [with (parameter: Kind, …)]
/// [gives (column: Kind, …)] [sqlite needs not "why" | postgres needs not "why"];`, and `ALL` of the file for the tests.
macro_rules! statements {
    ($(
        $(#[$doc:meta])*
        $name:ident $file:literal $doing:literal
        $(rows ($($row:tt)*))?
        $(with ($($parameter:tt)*))?
        $(gives ($($column:tt)*))?
        $(sqlite needs not $sqlite:literal)?
        $(postgres needs not $postgres:literal)?
        ;
    )*) => {
        $(
            $(#[$doc])*
            pub(in crate::backend) static $name: super::Statement = super::Statement {
                name: $file,
                doing: $doing,
                rows: columns!($($($row)*)?),
                parameters: columns!($($($parameter)*)?),
                columns: columns!($($($column)*)?),
                sqlite: text!("sqlite", $file $(, $sqlite)?),
                postgres: text!("postgres", $file $(, $postgres)?),
            };
        )*

        #[cfg(test)]
        pub(super) const ALL: &[&super::Statement] = &[$(&$name),*];
    };
}

/// `name: Kind, …`. In the list `..task` and `..execution` stand for the columns of such a record.
macro_rules! columns {
    ($($first:ident: $first_kind:ident,)* ..task $(, $more:ident: $more_kind:ident)* $(,)?) => {
        columns!(
            $($first: $first_kind,)* id: Id, execution_id: Id, step_name: Text, kind: Text, parent_task_id: Id,
            state: Text, args: Bytes, kwargs: Bytes, retries: Int, created_at: Time, tags: Text, priority: Int,
            queue: Text, retry_policy: Text, result: Bytes, error: Bytes, started_at: Time, completed_at: Time,
            worker_id: Text, lease_expires_at: Time, idempotency_key: Text, scheduled_for: Time, fence: Int,
            step_key: Text $(, $more: $more_kind)*
        )
    };
    ($($first:ident: $first_kind:ident,)* ..execution $(, $more:ident: $more_kind:ident)* $(,)?) => {
        columns!(
            $($first: $first_kind,)* id: Id, root_function: Text, state: Text, args: Bytes, kwargs: Bytes, retries: Int,
            created_at: Time, started_at: Time, completed_at: Time, expiry_at: Time, tags: Text, priority: Int,
            queue: Text, result: Bytes, error: Bytes $(, $more: $more_kind)*
        )
    };
    ($($name:ident: $kind:ident),* $(,)?) => {
        &[$(super::Column { name: stringify!($name), kind: super::Kind::$kind }),*]
    };
}

macro_rules! text {
    ($dialect:literal, $file:literal) => {
        super::Text::Sql(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/backend/",
            $dialect,
            "/sql/",
            $file,
            ".sql"
        )))
    };
    ($dialect:literal, $file:literal, $why:literal) => {
        super::Text::Nothing($why)
    };
}

/// Declares the submodules and re-exports their statements; `all` lists them for the tests.
macro_rules! files {
    ($($file:ident)*) => {
        $(
            mod $file;
            pub(in crate::backend) use $file::*;
        )*

        #[cfg(test)]
        pub(in crate::backend) fn all() -> impl Iterator<Item = &'static Statement> {
            [$($file::ALL),*].into_iter().flatten().copied()
        }
    };
}

files! {
    catalog claims cleanup cleanups counts doubts due executions forks keys letters looks marks moves reads records
    requests schedules signals transitions trees values waits
}

#[cfg(test)]
pub(in crate::backend) mod tests;
