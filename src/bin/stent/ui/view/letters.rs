//! Dead letters.

use maud::{Markup, html};
use stent::model::DeadLetter;

use super::ctx::{Ctx, Shown};
use super::executions::field;
use super::parts::{empty, execution, fact, failure, heads, payload, task, task_path, time};
use crate::ui::fields::link;
use crate::ui::page::WantedLetters;
use crate::ui::read::{LetterView, LettersView};
use crate::words::{self, number, visible};

pub fn show(ctx: &Ctx<'_>, view: &LettersView) -> Shown {
    let wanted = &view.wanted;
    let execution = wanted.execution.map(|id| id.to_string());
    let filter = html! {
        h1 { "Dead letters" }
        p.lead { "A task that has used up its attempts leaves a letter. Replayed, its execution starts anew, and only the failed path runs again." }
        form.card.filter action=(ctx.to("/dead-letters")) method="get" aria-label="Filter" {
            (field("function", "Function", wanted.function.as_deref(), "", None))
            (field("execution", "Execution", execution.as_deref(), "", None))
            div.acts { button.primary type="submit" { "Filter" } a.button href=(ctx.to("/dead-letters")) { "Clear" } }
        }
    };
    Shown::new("Dead letters", vec![("filter", filter), ("list", list(ctx, view))])
}

fn list(ctx: &Ctx<'_>, view: &LettersView) -> Markup {
    let wanted = &view.wanted;
    let all = |act: &str| {
        let everything = wanted.filter().iter().all(|(_, value)| value.is_none());
        link(
            &format!("/dead-letters/{act}"),
            wanted.filter().into_iter().chain([("all", everything.then(|| "yes".into()))]),
        )
    };
    let mut columns = vec!["Function", "Died", "Attempts", "Why", "Execution"];
    if ctx.acts() {
        columns.insert(0, "Choose");
    }
    html! {
        section.card aria-label="Letters" {
            @if view.dead_letters.is_empty() {
                (empty("No dead letters.", html! { "When a task has used up its attempts, it is listed here with its error." }))
            } @else {
                form action=(ctx.to("/dead-letters/choose")) method="get" {
                    table.choosable.sortable[view.next.is_none() && wanted.offset == 0] {
                        caption.visually-hidden { "Dead letters, newest first" }
                        (heads(&columns))
                        tbody { @for letter in &view.dead_letters { (row(ctx, letter)) } }
                    }
                    @if ctx.acts() {
                        div.acts {
                            button type="submit" name="act" value="replay" { "Replay the chosen" }
                            button.danger type="submit" name="act" value="discard" { "Discard the chosen" }
                            span.spring {}
                            a.button href=(ctx.to(&all("replay"))) { "Replay all of this filter" }
                            a.button.danger href=(ctx.to(&all("discard"))) { "Discard all of this filter" }
                        }
                    }
                }
            }
            nav.pages aria-label="Pages of the list" {
                @if wanted.offset > 0 { a.button href=(ctx.to(&WantedLetters { offset: 0, ..wanted.clone() }.link())) { "Newest" } }
                @if let Some(offset) = view.next { a.button rel="next" href=(ctx.to(&WantedLetters { offset, ..wanted.clone() }.link())) { "Older" } }
            }
        }
    }
}

fn row(ctx: &Ctx<'_>, letter: &DeadLetter) -> Markup {
    let one = &letter.task;
    html! {
        tr id={ "d-" (one.id) } {
            @if ctx.acts() {
                td { input type="checkbox" name="task" value=(one.id) aria-label={ "Choose the letter of " (visible(&one.step_name)) " " (one.id) }; }
            }
            th scope="row" { a href=(ctx.to(&format!("/dead-letters/{}", one.id))) { (visible(&one.step_name)) } }
            td { (time(letter.moved_at)) }
            td.number { (number(u64::from(one.retries) + 1)) }
            td { (words::cut(&visible(&letter.reason), 160)) }
            td { (execution(ctx, one.execution_id)) }
        }
    }
}

pub fn one(ctx: &Ctx<'_>, view: &LetterView) -> Shown {
    let letter = &view.dead_letter;
    let one = &letter.task;
    let from = task_path(one);
    let act = |act: &str| ctx.to(&link(&format!("/dead-letters/{act}"), [("task", Some(one.id.to_string().into()))]));
    let body = html! {
        div.title {
            h1 { "Dead letter of " (visible(&one.step_name)) }
            @if ctx.acts() {
                div.acts { a.button.primary href=(act("replay")) { "Replay" } a.button.danger href=(act("discard")) { "Discard" } }
            }
        }
        section.card aria-label="Facts" {
            dl.facts {
                (fact("Task", task(ctx, one.execution_id, one.id, &one.id.to_string())))
                (fact("Execution", execution(ctx, one.execution_id)))
                (fact("Died", time(letter.moved_at)))
                (fact("Attempts", html! { (number(u64::from(one.retries) + 1)) }))
                (fact("Why", html! { (visible(&letter.reason)) }))
            }
        }
        @if let Some(error) = &one.error { section.card.problem aria-label="Error" { h2 { "Error" } (failure(ctx, &from, error)) } }
        section.card aria-label="Arguments" {
            h2 { "Arguments" }
            (payload(ctx, &from, "args", &one.args))
            @if one.kwargs.as_bytes() != b"{}" { (payload(ctx, &from, "kwargs", &one.kwargs)) }
        }
    };
    Shown::new(format!("Dead letter of {}", visible(&one.step_name)), vec![("letter", body)])
}
