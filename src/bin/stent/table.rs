//! Columns, as wide as what is in them.

use unicode_width::UnicodeWidthStr as _;

use crate::screen::{Colour, Screen};
use crate::words::cut;

/// Between columns.
const GAP: &str = "  ";

/// The last column is left out where it would be narrower.
const LEAST: usize = 10;

#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    colour: Option<Colour>,
    right: bool,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, colour: None, right: false }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Cell {
    pub fn number(number: u64) -> Self {
        Self { text: crate::words::number(number), colour: None, right: true }
    }

    #[must_use]
    pub fn in_colour(mut self, colour: Option<Colour>) -> Self {
        self.colour = colour;
        self
    }
}

/// Writes rows below their heads. The last column is cut to what is left of the terminal's width. No heads: none are
/// written. A row of one cell among others is a remark, and makes no column wider.
pub fn write(screen: &mut Screen, heads: &[&str], rows: &[Vec<Cell>]) {
    let heads: Vec<Cell> = heads.iter().map(|head| Cell::from(*head).in_colour(Some(Colour::Head))).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(heads.len());
    let all = || Some(&heads).filter(|heads| !heads.is_empty()).into_iter().chain(rows);
    let counted = |row: &&Vec<Cell>| row.len() > 1 || columns == 1;
    let width_of =
        |column: usize| all().filter(counted).filter_map(|row| row.get(column)).map(|cell| cell.text.width()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or(0)).collect();
    let rights: Vec<bool> =
        (0..columns).map(|column| rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.right))).collect();
    let before: usize = widths.iter().rev().skip(1).map(|width| width + GAP.len()).sum();
    let left = screen.width().saturating_sub(before);
    let shown = if left < LEAST && columns > 2 { columns - 1 } else { columns };
    let mut lines = Vec::new();
    for row in all() {
        let mut line = String::new();
        for (column, cell) in row.iter().take(shown).enumerate() {
            let text = if column + 1 == columns { cut(&cell.text, left.max(LEAST)) } else { cell.text.clone() };
            let room = " ".repeat(widths[column].saturating_sub(text.width()));
            let painted = cell.colour.map_or_else(|| text.clone(), |colour| screen.paint(colour, &text));
            match (rights[column], column + 1 == shown) {
                (true, _) => line += &format!("{room}{painted}"),
                (false, true) => line += &painted,
                (false, false) => line += &format!("{painted}{room}"),
            }
            if column + 1 < shown {
                line += GAP;
            }
        }
        lines.push(line);
    }
    lines.iter().for_each(|line| screen.line(line));
}
