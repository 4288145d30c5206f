//! One execution.

use maud::{Markup, html};
use stent::codec;
use stent::model::{Execution, Payload, ProgressEntry, Signal};

use super::ctx::{Ctx, Shown};
use super::parts::{
    empty, execution, execution_state, fact, failure, folded, glance, heads, mismatch, payload, some_time, tags, task,
    time, took,
};
use crate::ui::read::ExecutionView;
use crate::words::{self, visible};

pub fn show(ctx: &Ctx<'_>, view: &ExecutionView) -> Shown {
    let one = &view.execution.execution;
    let regions = vec![
        ("head", head(ctx, view)),
        ("problems", problems(ctx, view)),
        ("timeline", timeline(ctx, one)),
        ("payloads", payloads(ctx, one)),
        ("said", said(ctx, view)),
    ];
    let mut shown = Shown::new(format!("{} {}", visible(&one.root_function), one.id), regions);
    shown.timeline = true;
    shown
}

/// The ways to look at an execution.
pub fn tabs(ctx: &Ctx<'_>, id: stent::model::Id, here: &str) -> Markup {
    html! {
        nav.tabs aria-label="Views of the execution" {
            @for (name, path) in [("Timeline", ""), ("Tree", "/tree"), ("Journal", "/journal")] {
                a href=(ctx.to(&format!("/executions/{id}{path}"))) aria-current=[(name == here).then_some("page")] { (name) }
            }
        }
    }
}

fn head(ctx: &Ctx<'_>, view: &ExecutionView) -> Markup {
    let snapshot = &view.execution;
    let one = &snapshot.execution;
    let act = |what: &str, name: &str, class: &str| {
        html! { a class={ "button " (class) } href=(ctx.to(&format!("/executions/{}/{what}", one.id))) { (name) } }
    };
    html! {
        div.title {
            h1 { (visible(&one.root_function)) " " (execution_state(one.state)) }
            @if ctx.acts() {
                div.acts {
                    @if !one.state.is_terminal() { (act("signal", "Send a signal", "")) }
                    @if !view.parked.is_empty() { (act("resume", "Resume", "primary")) }
                    @if !view.dead_letters.is_empty() { (act("retry", "Retry", "primary")) }
                    @if !view.waiting.is_empty() {
                        (act("hasten", if view.waiting.iter().any(|one| one.retries > 0) { "Retry now" } else { "Begin now" }, ""))
                    }
                    @if !one.state.is_terminal() { (act("cancel", "Cancel", "danger")) }
                }
            }
        }
        section.card aria-label="Facts" {
            dl.facts {
                (fact("Id", html! { code.copy { (one.id) } }))
                (fact("Created", time(one.created_at)))
                (fact("Started", some_time(one.started_at)))
                (fact("Ended", some_time(one.completed_at)))
                (fact("Took", took(one.started_at, one.completed_at)))
                @if let Some(expiry) = one.expiry_at.filter(|_| !one.state.is_terminal()) { (fact("Expires", time(expiry))) }
                @if let Some(queue) = &one.queue { (fact("Queue", html! { (visible(queue)) })) }
                @if !one.tags.is_empty() { (fact("Tags", tags(&one.tags))) }
                @if one.priority != 0 { (fact("Priority", html! { (one.priority) })) }
                @if let Some(origin) = snapshot.replay_of { (fact("Replay of", execution(ctx, origin))) }
                @if let Some(why) = &snapshot.cancel_reason { (fact("Cancelled because", html! { (visible(why)) })) }
                @if let Some(root) = view.root_task { (fact("Root task", task(ctx, one.id, root, &one.root_function))) }
            }
        }
    }
}

fn problems(ctx: &Ctx<'_>, view: &ExecutionView) -> Markup {
    let one = &view.execution.execution;
    html! {
        @if let Some(error) = &one.error {
            section.card.problem aria-label="Error" { h2 { "Error" } (failure(ctx, &format!("/executions/{}", one.id), error)) }
        }
        @for parked in &view.parked {
            section.card.problem aria-label="Parked" {
                h2 { "Parked: " (task(ctx, one.id, parked.task_id, &parked.function)) }
                @match (&parked.mismatch, &parked.error) {
                    (Some(found), _) => (mismatch(found)),
                    (None, Some(error)) => p { (words::failure(error)) },
                    (None, None) => p { "It waits for other code." },
                }
            }
        }
        @if !view.dead_letters.is_empty() {
            section.card.problem aria-label="Dead letters" {
                h2 { "Dead letters" }
                ul { @for letter in &view.dead_letters {
                    li { a href=(ctx.to(&format!("/dead-letters/{}", letter.task.id))) { (visible(&letter.task.step_name)) }
                        ": " (visible(&letter.reason)) ", " (time(letter.moved_at)) }
                } }
            }
        }
    }
}

fn timeline(ctx: &Ctx<'_>, one: &Execution) -> Markup {
    html! {
        section.card aria-label="Tasks" {
            (tabs(ctx, one.id, "Timeline"))
            div #timeline data-from=(ctx.to(&format!("/api/executions/{}/timeline", one.id)))
                data-task=(ctx.to(&format!("/executions/{}/tasks/", one.id))) data-keep {
                noscript { p.help { "The timeline needs the page's script. The tree and the journal do without." } }
                p.help.loading { "Reading the tasks…" }
            }
        }
    }
}

fn payloads(ctx: &Ctx<'_>, one: &Execution) -> Markup {
    let from = format!("/executions/{}", one.id);
    html! {
        section.card aria-label="Arguments and result" {
            h2 { "Arguments and result" }
            (payload(ctx, &from, "args", &one.args))
            @if one.kwargs.as_bytes() != b"{}" { (payload(ctx, &from, "kwargs", &one.kwargs)) }
            @if let Some(result) = &one.result { (payload(ctx, &from, "result", result)) }
            @if one.result.is_none() && one.error.is_none() { p.help { "There is no result yet." } }
        }
    }
}

fn said(ctx: &Ctx<'_>, view: &ExecutionView) -> Markup {
    let snapshot = &view.execution;
    let from = format!("/executions/{}", snapshot.execution.id);
    html! {
        div.columns {
            section.card aria-label="Signals" {
                h2 { "Signals" }
                @if view.signals.is_empty() { (empty("No signals.", html! { "What is sent to this execution is listed here." })) }
                @else { (signals(ctx, &from, &view.signals)) }
            }
            section.card aria-label="Counters and state" {
                h2 { "Counters and state" }
                @if snapshot.counters.is_empty() && snapshot.state.is_empty() {
                    (empty("None.", html! { "A handler may count, and keep values that are seen from outside." }))
                }
                dl.facts { @for (name, value) in &snapshot.counters { (fact(&visible(name), html! { (codec::to_json(value)) })) } }
                @for (name, value) in &snapshot.state { (payload(ctx, &from, &format!("state.{name}"), value)) }
            }
            section.card aria-label="Progress" {
                h2 { "Progress" }
                @if snapshot.execution.progress.is_empty() { (empty("Nothing said.", html! { "What handlers say of their progress is listed here." })) }
                @else { (progress(&snapshot.execution.progress)) }
            }
        }
    }
}

fn signals(ctx: &Ctx<'_>, from: &str, signals: &[Signal]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Signals" }
            (heads(&["Signal", "Sent", "Taken", "Payload"]))
            tbody {
                @for signal in signals {
                    tr {
                        th scope="row" { (visible(&signal.name)) }
                        td { (time(signal.created_at)) }
                        td { @match signal.consumed_at { Some(at) => (time(at)), None => @if signal.consumed { "yes" } @else { "not yet" } } }
                        td { (folded(ctx, from, &format!("signal.{}", signal.sequence), &signal.payload, true)) }
                    }
                }
            }
        }
    }
}

fn progress(entries: &[ProgressEntry]) -> Markup {
    let detail = |detail: &Option<Payload>| detail.as_ref().map(glance).unwrap_or_default();
    html! {
        table {
            caption.visually-hidden { "Progress" }
            (heads(&["Step", "Is", "At", "Detail"]))
            tbody {
                @for entry in entries {
                    tr {
                        th scope="row" { (visible(&entry.step)) }
                        td { (entry.status.as_str().replace('_', " ")) }
                        td { (some_time(entry.completed_at.or(entry.started_at))) }
                        td { code { (detail(&entry.detail)) } }
                    }
                }
            }
        }
    }
}
