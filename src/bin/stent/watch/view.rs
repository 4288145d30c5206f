//! What is chosen, and what a key does. Pure.

use stent::model::Id;

use super::look::{List, Seen, Wanted};
use super::terminal::Key;

/// Lines that a page moves.
const PAGE: usize = 10;

/// What a key asks for beside another picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    Nothing,
    Look,
    Quit,
}

pub struct View {
    /// The store, as it was named; without a password.
    pub store: String,
    pub colours: bool,
    pub list: List,
    /// The place in the list.
    pub chosen: usize,
    /// The execution that is looked into, and the first line of it that is shown.
    pub detail: Option<Id>,
    pub from: usize,
    pub seen: Option<Seen>,
    /// Why the last look has seen nothing.
    pub trouble: Option<String>,
    paused: bool,
}

impl View {
    pub fn new(store: &str, colours: bool) -> Self {
        Self {
            store: store.to_owned(),
            colours,
            list: List::default(),
            chosen: 0,
            detail: None,
            from: 0,
            seen: None,
            trouble: None,
            paused: false,
        }
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    pub fn wanted(&self) -> Wanted {
        Wanted { list: self.list, detail: self.detail }
    }

    pub fn take(&mut self, seen: Result<Seen, String>) {
        match seen {
            Err(why) => self.trouble = Some(why),
            Ok(mut seen) => {
                self.trouble = None;
                // The choice stays with the execution, wherever it stands now.
                let before = self.seen.as_ref().and_then(|seen| seen.executions.get(self.chosen));
                let now = before.and_then(|before| seen.executions.iter().position(|one| one.id == before.id));
                self.chosen = now.filter(|_| self.chosen > 0).unwrap_or(self.chosen);
                self.chosen = self.chosen.min(seen.executions.len().saturating_sub(1));
                // It may have been left in the meantime.
                seen.detail = seen.detail.filter(|(id, _)| Some(*id) == self.detail);
                self.seen = Some(seen);
            }
        }
    }

    pub fn press(&mut self, key: Key) -> Todo {
        match key {
            Key::Quit => return Todo::Quit,
            Key::Refresh => return Todo::Look,
            Key::Redraw => {}
            Key::Pause => {
                self.paused = !self.paused;
                return if self.paused { Todo::Nothing } else { Todo::Look };
            }
            Key::Up => self.go(|at| at.saturating_sub(1)),
            Key::Down => self.go(|at| at + 1),
            Key::PageUp => self.go(|at| at.saturating_sub(PAGE)),
            Key::PageDown => self.go(|at| at + PAGE),
            Key::Back => {
                if self.detail.take().is_none() {
                    return Todo::Nothing;
                }
            }
            Key::Enter => {
                let executions = self.seen.as_ref().map(|seen| seen.executions.as_slice()).unwrap_or_default();
                let chosen = executions.get(self.chosen).map(|execution| execution.id);
                if self.detail.is_none() && chosen.is_some() {
                    (self.detail, self.from) = (chosen, 0);
                    return Todo::Look;
                }
            }
            Key::Next => {
                if self.detail.is_none() {
                    self.list = match self.list {
                        List::All => List::Running,
                        List::Running => List::Failed,
                        List::Failed => List::All,
                    };
                    self.chosen = 0;
                    return Todo::Look;
                }
            }
        }
        Todo::Nothing
    }

    fn go(&mut self, to: impl Fn(usize) -> usize) {
        let Some(seen) = &self.seen else { return };
        let (at, many) = match self.detail {
            None => (&mut self.chosen, seen.executions.len()),
            Some(_) => (&mut self.from, seen.detail.as_ref().map_or(0, |(_, lines)| lines.len())),
        };
        *at = to(*at).min(many.saturating_sub(1));
    }
}
