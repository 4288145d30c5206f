//! What a statement is: a name, its parameters and columns, and a text for each database.

/// What a column or a parameter holds. Each dialect knows how it stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Kind {
    Id,
    Int,
    Real,
    Flag,
    Time,
    /// An instant by the clock that leases are judged by, which nobody can set. PostgreSQL has one clock: the time itself.
    /// SQLite: three parameters, the wall time, the number of the boot and the microseconds since it.
    Lease,
    /// An instant that something waits for: the end of a duration, or a date. PostgreSQL has one clock: the time itself.
    /// SQLite: two parameters, the wall time for the record, and what is waited for (`sqlite/clock.rs`); a column has the
    /// second.
    Due,
    /// The store's clock when the statement runs. PostgreSQL has it: no parameter. SQLite: three, as of [`Kind::Lease`].
    Clock,
    Text,
    Bytes,
    /// A list as one parameter: an array on PostgreSQL, a JSON array on SQLite.
    Ints,
    /// As [`Kind::Ints`].
    Texts,
}

/// A named column or parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// The text of a statement in one of the databases.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) enum Text {
    Sql(&'static str),
    /// This database has nothing to do, for the given reason: the statement is not sent, and answers nothing.
    Nothing(#[cfg_attr(not(test), expect(dead_code, reason = "for whoever reads it, and for its test"))] &'static str),
}

#[derive(Debug)]
pub(in crate::backend) struct Statement {
    /// The files' name in both dialects.
    pub name: &'static str,
    /// What it does, for error messages.
    pub doing: &'static str,
    /// The columns of its batch; empty if it takes no batch.
    pub rows: &'static [Column],
    /// Its single parameters.
    pub parameters: &'static [Column],
    /// The columns of its answer.
    pub columns: &'static [Column],
    pub sqlite: Text,
    pub postgres: Text,
}

impl Statement {
    /// The declared kind of the value at `place`, in a call with `rows` rows.
    pub fn kind_at(&self, rows: usize, place: usize) -> Option<Kind> {
        let in_batch = rows * self.rows.len();
        let column = match place.checked_sub(in_batch) {
            None => &self.rows[place % self.rows.len()],
            Some(parameter) => self.parameters.get(parameter)?,
        };
        Some(column.kind)
    }
}
