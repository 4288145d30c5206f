//! What the form of an act shows of what it would act upon.

use stent::backend::{KeptSchedule, Pause};
use stent::model::{DeadLetter, Execution};

use super::asked::Which;
use super::kind::Act;
use crate::ui::app::App;
use crate::ui::fields::Fields;
use crate::ui::read::{Parked, Waiting, execution_of, letter, parked_tasks, schedule, waiting_tasks};
use crate::ui::refusal::{Answer, Refusal};

/// Letters that are named.
const SHOWN: usize = 20;

#[derive(Default)]
pub struct Preview {
    pub functions: Vec<String>,
    pub execution: Option<Execution>,
    pub parked: Vec<Parked>,
    pub waiting: Vec<Waiting>,
    pub letters: Vec<DeadLetter>,
    /// Of what is paused or resumed.
    pub name: String,
    pub pauses: Vec<Pause>,
    pub schedule: Option<KeptSchedule>,
    /// There are more letters than these.
    pub more: bool,
}

pub async fn preview(app: &App, act: Act, fields: &Fields) -> Answer<Preview> {
    let mut preview = Preview::default();
    match act {
        Act::Dispatch => {
            preview.functions = app.backend.registered().await?.functions.into_iter().map(|(name, _)| name).collect();
        }
        Act::Signal(id) | Act::Cancel(id) => preview.execution = Some(execution_of(app, id).await?),
        Act::Resume(id) => {
            preview.execution = Some(execution_of(app, id).await?);
            preview.parked = parked_tasks(app, id).await?;
        }
        Act::Hasten(id) => {
            preview.execution = Some(execution_of(app, id).await?);
            preview.waiting = waiting_tasks(app, id).await?;
        }
        Act::Retry(id) => {
            preview.execution = Some(execution_of(app, id).await?);
            letters(app, &Which { execution: Some(id), ..Which::default() }, &mut preview).await?;
        }
        Act::Pause(_) | Act::Unpause(_) => {
            preview.name = fields.text("name").unwrap_or_default();
            preview.pauses = app.backend.pauses().await?;
        }
        Act::PauseSchedule | Act::ResumeSchedule | Act::TriggerSchedule => {
            let name = fields.text("name").ok_or_else(|| Refusal::invalid("No schedule is named."))?;
            preview.schedule = Some(schedule(app, &name).await?);
        }
        Act::Replay | Act::Discard => letters(app, &Which::read(fields)?, &mut preview).await?,
    }
    Ok(preview)
}

async fn letters(app: &App, which: &Which, preview: &mut Preview) -> Answer<()> {
    if which.tasks.is_empty() {
        preview.letters = app.backend.dead_letters(which.filter(SHOWN as u32 + 1, 0)).await?;
    } else {
        for task in which.tasks.iter().take(SHOWN + 1) {
            preview.letters.push(letter(app, *task).await?);
        }
    }
    preview.more = preview.letters.len() > SHOWN;
    preview.letters.truncate(SHOWN);
    Ok(())
}
