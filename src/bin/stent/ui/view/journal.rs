//! An execution's journal, and its tasks as a tree.

use maud::{Markup, html};
use stent::model::Id;

use super::ctx::{Ctx, Shown};
use super::execution::tabs;
use super::parts::{empty, execution, failure, folded, heads, some_time, state, task};
use crate::ui::page::Page;
use crate::ui::read::{JournalView, TreeView};
use crate::words::{self, number, several, visible};

fn pages(ctx: &Ctx<'_>, before: Option<String>, next: Option<String>) -> Markup {
    html! {
        nav.pages aria-label="Pages of the list" {
            @if let Some(before) = before { a.button rel="prev" href=(ctx.to(&before)) { "Before" } }
            @if let Some(next) = next { a.button rel="next" href=(ctx.to(&next)) { "Next" } }
        }
    }
}

fn title(ctx: &Ctx<'_>, what: &str, id: Id) -> Markup {
    html! { h1 { (what) } p.lead { "Of the execution " (execution(ctx, id)) } }
}

pub fn show(ctx: &Ctx<'_>, view: &JournalView) -> Shown {
    let at = |from| Page::Journal { execution: view.execution, task: Some(view.task_id), from }.link();
    let body = html! {
        section.card aria-label="Journal" {
            (tabs(ctx, view.execution, "Journal"))
            p {
                "What " (task(ctx, view.execution, view.task_id, &view.function)) " has asked for, in order: "
                (several(view.operations as u64, "operation")) ". A replay gives the code these results again."
            }
            @if view.entries.is_empty() {
                (empty("No operations.", html! { "A task that calls, sleeps, waits or runs steps has a journal." }))
            } @else {
                table {
                    caption.visually-hidden { "Operations" }
                    (heads(&["No.", "Operation", "Kind", "State", "Arrival", "Ended", "In and out"]))
                    tbody {
                        @for entry in &view.entries {
                            @let from = format!("/executions/{}/tasks/{}", view.execution, entry.task_id);
                            tr id={ "o-" (entry.operation) } {
                                td.number { (entry.operation) }
                                th scope="row" { (task(ctx, view.execution, entry.task_id, &entry.key)) }
                                td { (entry.kind) }
                                td { (state(entry.state)) }
                                td.number { @if let Some(arrival) = entry.arrival { (number(arrival)) } @else { "–" } }
                                td { (some_time(entry.completed_at)) }
                                td.wide {
                                    (folded(ctx, &from, "args", &entry.args, true))
                                    @if entry.kwargs.as_bytes() != b"{}" { (folded(ctx, &from, "kwargs", &entry.kwargs, true)) }
                                    @if let Some(result) = &entry.result { (folded(ctx, &from, "result", result, true)) }
                                    @if let Some(error) = &entry.error { (failure(ctx, &from, error)) }
                                }
                            }
                        }
                    }
                }
            }
            (pages(ctx, view.before().map(at), view.next().map(at)))
        }
    };
    Shown::new("Journal", vec![("head", title(ctx, "Journal", view.execution)), ("journal", body)])
}

pub fn tree(ctx: &Ctx<'_>, view: &TreeView) -> Shown {
    let at = |from| Page::Tree { execution: view.execution, from }.link();
    // The script of the timeline shifts each name by its level, which is said here.
    let body = html! {
        section.card aria-label="Tree" {
            (tabs(ctx, view.execution, "Tree"))
            p { (several(view.tasks as u64, "task")) ", each below the one that called it." }
            ol.tree {
                @for branch in &view.rows {
                    li class={ "l" (branch.level.min(12)) } {
                        span.visually-hidden { "Level " (branch.level) ": " }
                        (task(ctx, view.execution, branch.row.id, branch.row.key.as_deref().unwrap_or(&branch.row.name)))
                        " " span.kind { (branch.row.kind) } " "
                        (state(if branch.row.parked { "parked" } else { branch.row.state }))
                        @if branch.row.retries > 0 { " " span.tag { (several(u64::from(branch.row.retries) + 1, "attempt")) } }
                        @if let (Some(started), Some(completed)) = (branch.row.started, branch.row.completed) {
                            " " span.took { (words::duration(std::time::Duration::from_micros(u64::try_from(completed - started).unwrap_or(0)))) }
                        }
                        @if let Some(error) = &branch.row.error { " " span.bad { (visible(error)) } }
                    }
                }
            }
            (pages(ctx, view.before().map(at), view.next().map(at)))
        }
    };
    Shown::new("Tree", vec![("head", title(ctx, "Tree", view.execution)), ("tree", body)])
}
