//! Dead letters.

use serde::Serialize;
use stent::backend::DeadLetterFilter;
use stent::model::{DeadLetter, Id};

use crate::ui::app::App;
use crate::ui::page::WantedLetters;
use crate::ui::refusal::{Answer, Refusal};

/// Letters in one look at the store, where all are wanted.
pub const PAGE: u32 = 100;

#[derive(Serialize)]
pub struct LettersView {
    pub dead_letters: Vec<DeadLetter>,
    /// How many the next page passes over.
    pub next: Option<u32>,
    #[serde(skip)]
    pub wanted: WantedLetters,
}

#[derive(Serialize)]
pub struct LetterView {
    pub dead_letter: DeadLetter,
}

pub async fn read(app: &App, wanted: &WantedLetters) -> Answer<LettersView> {
    let filter = DeadLetterFilter {
        task: None,
        execution: wanted.execution,
        function: wanted.function.clone(),
        limit: wanted.limit.saturating_add(1),
        offset: wanted.offset,
    };
    let mut dead_letters = app.backend.dead_letters(filter).await?;
    let more = dead_letters.len() > wanted.limit as usize;
    dead_letters.truncate(wanted.limit as usize);
    let next = more.then(|| wanted.offset.saturating_add(wanted.limit));
    Ok(LettersView { dead_letters, next, wanted: wanted.clone() })
}

pub async fn letter(app: &App, task: Id) -> Answer<DeadLetter> {
    let filter = DeadLetterFilter { task: Some(task), limit: 1, ..DeadLetterFilter::default() };
    app.backend.dead_letters(filter).await?.pop().ok_or_else(|| {
        Refusal::missing(format!("There is no dead letter of the task {task}."))
            .hint("It may have been replayed or discarded.")
    })
}
