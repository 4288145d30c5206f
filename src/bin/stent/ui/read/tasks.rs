//! A page of tasks of the whole store, the last id first.

use serde::Serialize;
use stent::backend::TaskFilter;
use stent::model::{Id, Task};

use crate::ui::app::App;
use crate::ui::page::WantedTasks;
use crate::ui::refusal::Answer;

#[derive(Serialize)]
pub struct TasksView {
    pub tasks: Vec<Task>,
    pub next: Option<Id>,
    #[serde(skip)]
    pub wanted: WantedTasks,
}

pub async fn read(app: &App, wanted: &WantedTasks) -> Answer<TasksView> {
    let filter = TaskFilter {
        state: wanted.state,
        function: wanted.function.clone(),
        queue: wanted.queue.clone(),
        after: wanted.after,
        limit: wanted.limit.saturating_add(1),
    };
    let mut tasks = app.backend.tasks(filter).await?;
    let more = tasks.len() > wanted.limit as usize;
    tasks.truncate(wanted.limit as usize);
    let next = tasks.last().filter(|_| more).map(|task| task.id);
    Ok(TasksView { tasks, next, wanted: wanted.clone() })
}
