//! Schedules.

use serde::Serialize;
use stent::backend::{KeptSchedule, ScheduleFilter};

use crate::ui::app::App;
use crate::ui::page::WantedSchedules;
use crate::ui::refusal::{Answer, Refusal};

/// Ticks that are told of one in a list, and of one alone.
const GLANCE: u32 = 1;
const LOOK: u32 = 20;

#[derive(Serialize)]
pub struct SchedulesView {
    pub schedules: Vec<KeptSchedule>,
    /// After which name the next page begins.
    pub next: Option<String>,
    #[serde(skip)]
    pub wanted: WantedSchedules,
}

pub async fn read(app: &App, wanted: &WantedSchedules) -> Answer<SchedulesView> {
    let ticks = if wanted.name.is_some() { LOOK } else { GLANCE };
    let filter = ScheduleFilter {
        name: wanted.name.clone(),
        owner: None,
        function: wanted.function.clone(),
        after: wanted.after.clone(),
        limit: wanted.limit.saturating_add(1),
        next: ticks,
        last: ticks,
    };
    let mut schedules = app.backend.schedules(filter).await?;
    let more = schedules.len() > wanted.limit as usize;
    schedules.truncate(wanted.limit as usize);
    if let (Some(name), true) = (&wanted.name, schedules.is_empty()) {
        return Err(missing(name));
    }
    let next = schedules.last().filter(|_| more).map(|last| last.schedule.name.clone());
    Ok(SchedulesView { schedules, next, wanted: wanted.clone() })
}

fn missing(name: &str) -> Refusal {
    Refusal::missing(format!("There is no schedule '{name}'.")).hint("It may have been deleted.")
}

pub async fn schedule(app: &App, name: &str) -> Answer<KeptSchedule> {
    let found = read(app, &WantedSchedules::one(name)).await?.schedules.pop();
    found.ok_or_else(|| missing(name))
}
