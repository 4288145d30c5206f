//! Asks the store: for each page a plain model, which is drawn, sent as JSON, or both. A payload stands in it as it is.

mod at_hand;
mod catalog;
mod execution;
mod executions;
mod health;
mod letters;
mod mismatch;
mod overview;
pub mod payload;
mod schedules;
mod tasks;
mod timeline;
mod tree;

use serde::Serialize;

pub use catalog::{FunctionView, FunctionsView, QueueView, QueuesView, WorkersView, queues};
pub use execution::{ExecutionView, JournalView, Parked, TaskView, Waiting, execution_of, parked_tasks, waiting_tasks};
pub use executions::ExecutionsView;
pub use health::HealthView;
pub use letters::{LetterView, LettersView, PAGE as LETTERS_PAGE, letter};
pub use mismatch::Mismatch;
pub use overview::{OverviewView, Share};
pub use schedules::{SchedulesView, schedule};
pub use tasks::TasksView;
pub use timeline::{Row, Timeline, digest, is_parked};
pub use tree::TreeView;

use super::app::App;
use super::page::Page;
use super::refusal::Answer;

/// What is on a page.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Model {
    Overview(Box<OverviewView>),
    Executions(ExecutionsView),
    Execution(Box<ExecutionView>),
    Tree(TreeView),
    Journal(JournalView),
    Task(Box<TaskView>),
    Tasks(TasksView),
    Letters(LettersView),
    Letter(Box<LetterView>),
    Schedules(SchedulesView),
    Workers(WorkersView),
    Functions(FunctionsView),
    Queues(QueuesView),
    Health(HealthView),
}

pub async fn read(app: &App, page: &Page) -> Answer<Model> {
    Ok(match page {
        Page::Overview => Model::Overview(Box::new(overview::read(app).await?)),
        Page::Executions(wanted) => Model::Executions(executions::read(app, wanted).await?),
        Page::Execution(id) => Model::Execution(Box::new(execution::read(app, *id).await?)),
        Page::Tree { execution, from } => Model::Tree(tree::read(app, *execution, *from).await?),
        Page::Journal { execution, task, from } => {
            Model::Journal(execution::journal(app, *execution, *task, *from).await?)
        }
        Page::Task { execution, task } => Model::Task(Box::new(execution::task(app, *execution, *task).await?)),
        Page::Tasks(wanted) => Model::Tasks(tasks::read(app, wanted).await?),
        Page::Letters(wanted) => Model::Letters(letters::read(app, wanted).await?),
        Page::Letter(task) => Model::Letter(Box::new(LetterView { dead_letter: letter(app, *task).await? })),
        Page::Schedules(wanted) => Model::Schedules(schedules::read(app, wanted).await?),
        Page::Workers => Model::Workers(catalog::workers(app).await?),
        Page::Functions => Model::Functions(catalog::functions(app).await?),
        Page::Queues => Model::Queues(queues(app).await?),
        Page::Health => Model::Health(health::read(app).await?),
    })
}
