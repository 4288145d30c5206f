//! Tasks that somebody may want to look at now: found by indexes, however large the store is.

use serde::Serialize;
use stent::backend::AtHand;

use crate::ui::app::App;
use crate::ui::refusal::Answer;

/// Of each kind; more are told as more.
const MOST: u32 = 50;

#[derive(Serialize)]
pub struct HandView {
    pub running: Vec<AtHand>,
    pub due: Vec<AtHand>,
    pub parked: Vec<AtHand>,
}

/// What a worker runs.
#[derive(Serialize)]
pub struct Running {
    pub tasks: Vec<AtHand>,
    pub is_cut: bool,
}

pub async fn read(app: &App) -> Answer<HandView> {
    let mut view = HandView { running: Vec::new(), due: Vec::new(), parked: Vec::new() };
    for one in app.backend.at_hand(MOST).await? {
        match one.part.as_str() {
            "running" => view.running.push(one),
            "due" => view.due.push(one),
            _ => view.parked.push(one),
        }
    }
    Ok(view)
}

/// So many of all workers' tasks are looked at.
const HELD: u32 = 1_000;

pub async fn running(app: &App) -> Answer<Running> {
    let mut tasks = app.backend.at_hand(HELD).await?;
    tasks.retain(|one| one.part == "running");
    let is_cut = tasks.len() >= HELD as usize;
    Ok(Running { tasks, is_cut })
}
