//! Rows of an answer, copied out of SQLite.

use std::ffi::c_int;
use std::sync::Arc;

use libsqlite3_sys as sqlite;

use super::api::Api;
use crate::model::{Error, Id, Result};

#[derive(Clone, Copy, Debug)]
enum Cell {
    Null,
    Int(i64),
    Real(f64),
    /// A text or a blob: where it is in the table's bytes.
    Bytes {
        start: usize,
        length: usize,
    },
}

/// Rows of an answer, in two pieces of memory for all of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    cells: Vec<Cell>,
    bytes: Vec<u8>,
    width: usize,
}

impl Table {
    /// # Safety
    /// The statement stands at a row, of so many columns.
    pub unsafe fn add(&mut self, api: &Api, statement: *mut sqlite::sqlite3_stmt, columns: usize) {
        self.width = columns;
        self.cells.reserve(columns);
        for column in 0..columns as c_int {
            // SAFETY: by this function's contract; a value's bytes are valid until the next step, and are copied here.
            let cell = unsafe {
                match (api.sqlite3_column_type)(statement, column) {
                    sqlite::SQLITE_INTEGER => Cell::Int((api.sqlite3_column_int64)(statement, column)),
                    sqlite::SQLITE_FLOAT => Cell::Real((api.sqlite3_column_double)(statement, column)),
                    kind @ (sqlite::SQLITE_TEXT | sqlite::SQLITE_BLOB) => {
                        let begin = match kind {
                            sqlite::SQLITE_TEXT => (api.sqlite3_column_text)(statement, column),
                            _ => (api.sqlite3_column_blob)(statement, column).cast::<u8>(),
                        };
                        let length = usize::try_from((api.sqlite3_column_bytes)(statement, column)).unwrap_or(0);
                        let start = self.bytes.len();
                        if !begin.is_null() {
                            self.bytes.extend_from_slice(std::slice::from_raw_parts(begin, length));
                        }
                        Cell::Bytes { start, length: self.bytes.len() - start }
                    }
                    _ => Cell::Null,
                }
            };
            self.cells.push(cell);
        }
    }

    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    fn cell(&self, place: usize) -> Result<Cell> {
        self.cells.get(place).copied().ok_or_else(|| Error::backend("a row has fewer columns than were asked for"))
    }

    /// What is too large for 64 bits, which SQLite then keeps as a real number, is as large as they can be.
    pub fn int(&self, place: usize) -> Result<Option<i64>> {
        match self.cell(place)? {
            Cell::Null => Ok(None),
            Cell::Int(int) => Ok(Some(int)),
            Cell::Real(real) => Ok(Some(real as i64)),
            Cell::Bytes { .. } => Err(Error::backend("a stored number is a text or a blob")),
        }
    }

    pub fn real(&self, place: usize) -> Result<Option<f64>> {
        match self.cell(place)? {
            Cell::Null => Ok(None),
            Cell::Int(int) => Ok(Some(int as f64)),
            Cell::Real(real) => Ok(Some(real)),
            Cell::Bytes { .. } => Err(Error::backend("a stored number is a text or a blob")),
        }
    }

    pub fn bytes(&self, place: usize) -> Result<Option<&[u8]>> {
        match self.cell(place)? {
            Cell::Null => Ok(None),
            Cell::Bytes { start, length } => Ok(Some(&self.bytes[start..start + length])),
            Cell::Int(_) | Cell::Real(_) => Err(Error::backend("a stored text or blob is a number")),
        }
    }

    pub fn text(&self, place: usize) -> Result<Option<&str>> {
        let Some(bytes) = self.bytes(place)? else { return Ok(None) };
        std::str::from_utf8(bytes).map(Some).map_err(|why| Error::backend(format!("a stored text is not UTF-8: {why}")))
    }

    pub fn id(&self, place: usize) -> Result<Option<Id>> {
        let Some(bytes) = self.bytes(place)? else { return Ok(None) };
        let wrong = |_| Error::backend(format!("a stored id has {} bytes instead of 16", bytes.len()));
        Id::from_slice(bytes).map(Some).map_err(wrong)
    }

    /// Its rows: where the cells of each begin.
    pub fn shared(self) -> (Arc<Self>, impl Iterator<Item = usize>) {
        let (width, rows) = (self.width, self.rows());
        (Arc::new(self), (0..rows).map(move |row| row * width))
    }
}
