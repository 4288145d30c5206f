//! Draws models. Whatever comes from the store is escaped: all of it goes through `html!`, and `json`, which is tested.

mod actions;
mod chart;
mod ctx;
mod execution;
mod executions;
mod hand;
mod journal;
mod json;
mod layout;
mod letters;
mod overview;
mod parts;
mod places;
mod schedules;
mod tasks;

pub use actions::{done, form};
pub use ctx::{Ctx, Shown};
pub use layout::{bare, page, refusal};

use super::read::Model;

pub fn show(ctx: &Ctx<'_>, model: &Model) -> Shown {
    match model {
        Model::Overview(view) => overview::show(ctx, view),
        Model::Executions(view) => executions::show(ctx, view),
        Model::Execution(view) => execution::show(ctx, view),
        Model::Tree(view) => journal::tree(ctx, view),
        Model::Journal(view) => journal::show(ctx, view),
        Model::Task(view) => tasks::one(ctx, view),
        Model::Tasks(view) => tasks::show(ctx, view),
        Model::Letters(view) => letters::show(ctx, view),
        Model::Letter(view) => letters::one(ctx, view),
        Model::Schedules(view) => schedules::show(ctx, view),
        Model::Workers(view) => places::workers(ctx, view),
        Model::Functions(view) => places::functions(ctx, view),
        Model::Queues(view) => places::queues(ctx, view),
        Model::Health(view) => places::health(ctx, view),
    }
}
