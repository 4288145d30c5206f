//! The list of executions, and what it is filtered by.

use maud::{Markup, html};
use stent::model::{Execution, ExecutionState};

use super::ctx::{Ctx, Shown};
use super::parts::{empty, execution, execution_state, heads, name, outcome, tags, time, took};
use crate::ui::page::Wanted;
use crate::ui::read::ExecutionsView;
use crate::words::visible;

pub fn show(ctx: &Ctx<'_>, view: &ExecutionsView) -> Shown {
    let regions = vec![("filter", filter(ctx, &view.wanted)), ("list", list(ctx, view))];
    Shown::new("Executions", regions)
}

pub fn field(name: &str, label: &str, value: Option<&str>, hint: &str, list: Option<&str>) -> Markup {
    html! {
        div.field {
            label for={ "f-" (name) } { (label) }
            input id={ "f-" (name) } type="text" name=(name) value=[value] placeholder=[(!hint.is_empty()).then_some(hint)]
                list=[list] autocomplete="off" spellcheck="false";
        }
    }
}

pub fn states(words: &[&str], chosen: Option<&str>) -> Markup {
    html! {
        div.field {
            label for="f-state" { "State" }
            select #f-state name="state" {
                option value="" selected[chosen.is_none()] { "any" }
                @for word in words { option value=(word) selected[chosen == Some(*word)] { (word.replace('_', " ")) } }
            }
        }
    }
}

fn filter(ctx: &Ctx<'_>, wanted: &Wanted) -> Markup {
    html! {
        h1 { "Executions" }
        form.card.filter action=(ctx.to("/executions")) method="get" aria-label="Filter" {
            (states(ExecutionState::WORDS, wanted.state.map(ExecutionState::as_str)))
            (field("function", "Function", wanted.function.as_deref(), "", None))
            (field("queue", "Queue", wanted.queue.as_deref(), "", None))
            (field("tag", "Tag", wanted.tag.as_deref(), "", None))
            (field("since", "Created since", wanted.since.as_deref(), "2h, 2026-01-31", Some("ages")))
            (field("until", "Created until", wanted.until.as_deref(), "1d, 2026-01-31", Some("ages")))
            (field("id", "Id begins with", wanted.id.as_deref(), "019ac8…", None))
            datalist #ages { @for age in ["15m", "1h", "6h", "1d", "7d", "30d"] { option value=(age) {} } }
            div.acts {
                button.primary type="submit" { "Filter" }
                @if wanted.is_filtered() { a.button href=(ctx.to("/executions")) { "Clear" } }
            }
        }
    }
}

fn list(ctx: &Ctx<'_>, view: &ExecutionsView) -> Markup {
    let wanted = &view.wanted;
    let next = view.next.as_deref().and_then(|next| next.rsplit_once('+')).and_then(|(at, passed)| {
        let after = crate::ui::page::Cursor { at: at.parse().ok()?, passed: passed.parse().ok()? };
        Some(Wanted { after: Some(after), ..wanted.clone() }.link())
    });
    // Of a part of the list sorting would tell of that part alone.
    let whole = next.is_none() && wanted.after.is_none() && view.searched_to.is_none();
    html! {
        section.card aria-label="Executions" {
            @if view.executions.is_empty() {
                @if let Some(to) = view.searched_to {
                    (empty("None found yet.", html! { "All that was created since " (time(to)) " has been looked at." }))
                } @else if wanted.is_filtered() {
                    (empty("No such executions.", html! { a href=(ctx.to("/executions")) { "Clear the filter" } " to see all of them." }))
                } @else {
                    (empty("No executions.", html! { "What is dispatched is listed here."
                        @if ctx.acts() { " " a href=(ctx.to("/dispatch")) { "Dispatch one" } "." } }))
                }
            } @else {
                table.sortable[whole] {
                    caption.visually-hidden { "Executions, newest first" }
                    (heads(&["Id", "Function", "State", "Created", "Took", "Queue", "Tags", "Outcome"]))
                    tbody { @for one in &view.executions { (row(ctx, one)) } }
                }
                @if let Some(to) = view.searched_to { p.help { "All that was created since " (time(to)) " has been looked at." } }
            }
            @if wanted.id.is_some() && view.executions.len() >= wanted.limit as usize {
                p.help { "These are the newest whose ids begin so; type more of it to find others." }
            }
            nav.pages aria-label="Pages of the list" {
                @if wanted.after.is_some() { a.button href=(ctx.to(&Wanted { after: None, ..wanted.clone() }.link())) { "Newest" } }
                @if let Some(next) = next {
                    a.button rel="next" href=(ctx.to(&next)) { @if view.searched_to.is_some() { "Look further back" } @else { "Older" } }
                }
            }
        }
    }
}

fn row(ctx: &Ctx<'_>, one: &Execution) -> Markup {
    html! {
        tr id={ "e-" (one.id) } {
            th scope="row" { (execution(ctx, one.id)) }
            td { (name(&one.root_function)) }
            td { (execution_state(one.state)) }
            td { (time(one.created_at)) }
            td { (took(one.started_at, one.completed_at)) }
            td { (visible(one.queue.as_deref().unwrap_or("–"))) }
            td { (tags(&one.tags)) }
            td { (outcome(one.error.as_ref(), one.result.as_ref())) }
        }
    }
}
