//! Sets of rows as two parameters of one statement: rows of integers, and one blob that holds every text and payload.
//!
//! The statement reads `jsonb_each(?1)`; integers are `value ->> n`, blobs `substr(?2, value ->> n, value ->> n+1)`.
//! Payloads are never escaped, and one crossing to SQLite's thread carries any number of rows.

use std::fmt::Write as _;

use crate::model::Id;

#[derive(Default)]
pub(super) struct Batch {
    rows: String,
    arena: Vec<u8>,
    count: usize,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a row; its columns follow.
    pub fn row(&mut self) -> Row<'_> {
        self.rows.push_str(if self.count == 0 { "[[" } else { ",[" });
        self.count += 1;
        Row { batch: self, first: true }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// The two parameters.
    pub fn into_parameters(mut self) -> (String, Vec<u8>) {
        self.rows.push_str(if self.count == 0 { "[]" } else { "]" });
        (self.rows, self.arena)
    }

    /// One column of ids.
    pub fn of_ids(ids: impl IntoIterator<Item = Id>) -> Self {
        let mut batch = Self::new();
        for id in ids {
            batch.row().id(id);
        }
        batch
    }
}

/// A row in the making; closed when it is dropped.
pub(super) struct Row<'a> {
    batch: &'a mut Batch,
    first: bool,
}

impl Row<'_> {
    /// One column.
    pub fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        if !self.first {
            self.batch.rows.push(',');
        }
        self.first = false;
        let _infallible = match value.into() {
            Some(value) => write!(self.batch.rows, "{value}"),
            None => write!(self.batch.rows, "null"),
        };
        self
    }

    /// Two columns: where the bytes begin (from 1) and how many they are.
    pub fn bytes<'b>(&mut self, value: impl Into<Option<&'b [u8]>>) -> &mut Self {
        match value.into() {
            Some(bytes) => {
                let start = self.batch.arena.len() as i64 + 1;
                self.batch.arena.extend_from_slice(bytes);
                self.int(start).int(bytes.len() as i64)
            }
            None => self.int(None).int(None),
        }
    }

    /// Two columns, as [`Row::bytes`].
    pub fn text<'b>(&mut self, value: impl Into<Option<&'b str>>) -> &mut Self {
        self.bytes(value.into().map(str::as_bytes))
    }

    /// One column: where the 16 bytes begin.
    pub fn id(&mut self, id: impl Into<Option<Id>>) -> &mut Self {
        match id.into() {
            Some(id) => {
                let start = self.batch.arena.len() as i64 + 1;
                self.batch.arena.extend_from_slice(id.as_bytes());
                self.int(start)
            }
            None => self.int(None),
        }
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        self.batch.rows.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_integers_and_the_arena_holds_the_bytes() {
        let mut batch = Batch::new();
        batch.row().int(7).text("abc").int(None);
        batch.row().int(-1).bytes(None).id(Id::nil());
        let (rows, arena) = batch.into_parameters();
        assert_eq!(rows, "[[7,1,3,null],[-1,null,null,4]]");
        assert_eq!(arena.len(), 19);
        assert_eq!(Batch::new().into_parameters().0, "[]");
    }
}
