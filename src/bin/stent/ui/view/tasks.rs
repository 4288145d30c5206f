//! Tasks: a list of them, and one.

use maud::{Markup, html};
use stent::backend::Attempt;
use stent::model::{Task, TaskState};

use super::ctx::{Ctx, Shown};
use super::executions::{field, states};
use super::parts::{
    empty, execution, fact, failure, heads, mismatch, outcome, payload, some_time, tags, task as task_link, task_path,
    task_state, time, took,
};
use crate::ui::page::{Page, WantedTasks};
use crate::ui::read::{TaskView, TasksView, is_parked};
use crate::words::{number, visible};

pub fn show(ctx: &Ctx<'_>, view: &TasksView) -> Shown {
    let wanted = &view.wanted;
    let filter = html! {
        h1 { "Tasks" }
        form.card.filter action=(ctx.to("/tasks")) method="get" aria-label="Filter" {
            (states(TaskState::WORDS, wanted.state.map(TaskState::as_str)))
            (field("function", "Function", wanted.function.as_deref(), "", None))
            (field("queue", "Queue", wanted.queue.as_deref(), "", None))
            div.acts { button.primary type="submit" { "Filter" } a.button href=(ctx.to("/tasks")) { "Clear" } }
        }
    };
    let next = view.next.map(|after| WantedTasks { after: Some(after), ..wanted.clone() }.link());
    let list = html! {
        section.card aria-label="Tasks" {
            @if view.tasks.is_empty() {
                (empty("No such tasks.", html! { "Each call, sleep, wait and step of an execution is a task." }))
            } @else {
                table.sortable[view.next.is_none() && wanted.after.is_none()] {
                    caption.visually-hidden { "Tasks, the last id first" }
                    (heads(&["Task", "Kind", "State", "Created", "Took", "Attempt", "Queue", "Execution", "Outcome"]))
                    tbody { @for task in &view.tasks { (row(ctx, task)) } }
                }
            }
            nav.pages aria-label="Pages of the list" {
                @if wanted.after.is_some() { a.button href=(ctx.to(&WantedTasks { after: None, ..wanted.clone() }.link())) { "First" } }
                @if let Some(next) = next { a.button rel="next" href=(ctx.to(&next)) { "Next" } }
            }
        }
    };
    Shown::new("Tasks", vec![("filter", filter), ("list", list)])
}

fn row(ctx: &Ctx<'_>, task: &Task) -> Markup {
    html! {
        tr id={ "t-" (task.id) } {
            th scope="row" { span.name title=(visible(&task.step_name)) { (task_link(ctx, task.execution_id, task.id, &task.step_name)) } }
            td { (task.kind) }
            td { (task_state(task.state, is_parked(task))) }
            td { (time(task.created_at)) }
            td { (took(task.started_at, task.completed_at)) }
            td.number { (number(u64::from(task.retries) + 1)) }
            td { (visible(task.queue.as_deref().unwrap_or("–"))) }
            td { (execution(ctx, task.execution_id)) }
            td { (outcome(task.error.as_ref(), task.result.as_ref())) }
        }
    }
}

fn attempts(all: &[Attempt]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Earlier attempts, the last one first" }
            (heads(&["Ended", "Took", "Worker", "Error"]))
            tbody {
                @for one in all {
                    tr {
                        td { (time(one.ended_at)) }
                        td { (took(one.started_at, Some(one.ended_at))) }
                        td { (visible(one.worker_id.as_deref().unwrap_or("–"))) }
                        td { span.bad { (visible(&one.kind)) } @if !one.message.is_empty() { ": " (visible(&one.message)) } }
                    }
                }
            }
        }
    }
}

pub fn one(ctx: &Ctx<'_>, view: &TaskView) -> Shown {
    let task = &view.task;
    let from = task_path(task);
    let journal = Page::Journal { execution: task.execution_id, task: Some(task.id), from: 0 }.link();
    let head = html! {
        div.title { h1 { (visible(&task.step_name)) " " (task_state(task.state, is_parked(task))) } }
        p.lead { "A task of the execution " (execution(ctx, task.execution_id)) }
        section.card aria-label="Facts" {
            dl.facts {
                (fact("Task", html! { code.copy { (task.id) } }))
                (fact("Kind", html! { (task.kind) }))
                @if let Some(key) = &task.step_key { (fact("Operation", html! { code { (visible(key)) } })) }
                @if let (Some(parent), Some(name)) = (task.parent_task_id, &view.parent) {
                    (fact("Called by", task_link(ctx, task.execution_id, parent, name)))
                }
                (fact("Created", time(task.created_at)))
                (fact("Started", some_time(task.started_at)))
                (fact("Ended", some_time(task.completed_at)))
                (fact("Took", took(task.started_at, task.completed_at)))
                @if let Some(due) = view.due { (fact("Due", time(due))) }
                (fact("Attempts that failed", html! { (number(u64::from(task.retries))) }))
                @if let Some(policy) = &task.retry_policy { (fact("Attempts at most", html! { (number(u64::from(policy.max_attempts))) })) }
                @if let Some(worker) = &task.worker_id { (fact("Worker", html! { (visible(worker)) })) }
                @if let Some(lease) = task.lease_expires_at.filter(|_| task.state == TaskState::Running) { (fact("Lease ends", time(lease))) }
                @if let Some(queue) = &task.queue { (fact("Queue", html! { (visible(queue)) })) }
                @if !task.tags.is_empty() { (fact("Tags", tags(&task.tags))) }
                @if task.priority != 0 { (fact("Priority", html! { (task.priority) })) }
                @if let Some(key) = &task.idempotency_key { (fact("Idempotency key", html! { code { (visible(key)) } })) }
                @if task.kind.is_run() { (fact("Journal", html! { a href=(ctx.to(&journal)) { "Its operations" } })) }
                @if view.has_letter { (fact("Dead letter", html! { a href=(ctx.to(&format!("/dead-letters/{}", task.id))) { "It left one" } })) }
            }
        }
    };
    let body = html! {
        @if let Some(found) = &view.mismatch { section.card.problem aria-label="Parked" { h2 { "Parked" } (mismatch(found)) } }
        @if let Some(error) = &task.error { section.card.problem aria-label="Error" { h2 { "The last error" } (failure(ctx, &from, error)) } }
        @if !view.attempts.is_empty() {
            section.card aria-label="Earlier attempts" {
                h2 { "Earlier attempts" }
                (attempts(&view.attempts))
                @if view.attempts.iter().filter(|one| one.kind != Attempt::SNOOZED).count() < task.retries as usize { p.help { "Older ones are not kept." } }
            }
        }
        section.card aria-label="Arguments and result" {
            h2 { "Arguments and result" }
            (payload(ctx, &from, "args", &task.args))
            @if task.kwargs.as_bytes() != b"{}" { (payload(ctx, &from, "kwargs", &task.kwargs)) }
            @if let Some(result) = &task.result { (payload(ctx, &from, "result", result)) } @else { p.help { "There is no result." } }
        }
    };
    Shown::new(format!("{} {}", visible(&task.step_name), task.id), vec![("head", head), ("body", body)])
}
