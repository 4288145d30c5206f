//! Workers, functions, queues, and the store's health.

use maud::{Markup, html};
use stent::backend::{AtHand, RegisteredWorker};

use super::ctx::{Ctx, Shown};
use super::hand;
use super::parts::{empty, heads, name, paused, seconds, tags, time};
use crate::ui::act::{Act, Of};
use crate::ui::fields::link;
use crate::ui::read::{FunctionView, FunctionsView, HealthView, QueueView, QueuesView, WorkersView};
use crate::verdict::{Finding, Mark, SILENT};
use crate::words::{self, number, visible};

pub fn workers(ctx: &Ctx<'_>, view: &WorkersView) -> Shown {
    let body = html! {
        h1 { "Workers" }
        section.card aria-label="Workers" { (worker_table(&view.workers)) }
    };
    let held = html! {
        @for worker in &view.workers {
            @let tasks: Vec<AtHand> = view.running.tasks.iter().filter(|one| one.worker_id.as_ref() == Some(&worker.worker_id)).cloned().collect();
            @if !tasks.is_empty() {
                section.card { h2 { "Held by " (visible(&worker.worker_id)) } (hand::running(ctx, &tasks)) }
            }
        }
        @if view.running.is_cut { p.help { "There are more; the first 1,000 running tasks are looked at." } }
    };
    Shown::new("Workers", vec![("workers", body), ("held", held)])
}

pub fn worker_table(workers: &[RegisteredWorker]) -> Markup {
    html! {
        @if workers.is_empty() {
            (empty("No workers.", html! { "Nothing runs until one is started: by " code { "stent_executor_start_worker" } ", or what your language calls it." }))
        } @else {
            table {
                caption.visually-hidden { "Workers" }
                (heads(&["Worker", "Holds", "Last sign", "Started", "Queues", "Tags"]))
                tbody {
                    @for worker in workers {
                        tr {
                            th scope="row" { (visible(&worker.worker_id)) }
                            td.number { (number(worker.running)) }
                            td { (time(worker.seen_at)) @if words::now().since(worker.seen_at) > SILENT { " " span.tag.bad { "silent" } } }
                            td { (time(worker.started_at)) }
                            td { @if worker.queues.is_empty() { "all" } @else { (tags(&worker.queues)) } }
                            td { @if worker.tags.is_empty() { "all" } @else { (tags(&worker.tags)) } }
                        }
                    }
                }
            }
        }
    }
}

pub fn functions(ctx: &Ctx<'_>, view: &FunctionsView) -> Shown {
    let row = |FunctionView { function, ready }: &FunctionView| {
        let attempts = function.retry_policy.as_ref().map(|policy| number(policy.max_attempts.into()));
        let list = link("/executions", [("function", Some(function.name.as_str().into()))]);
        let new = link("/dispatch", [("function", Some(function.name.as_str().into()))]);
        html! {
            tr {
                th scope="row" { a href=(ctx.to(&list)) { (name(&function.name)) } @if let Some(pause) = &function.paused { " " (paused(pause)) } }
                td { (visible(function.version.as_deref().unwrap_or("–"))) }
                td { (visible(function.queue.as_deref().unwrap_or("–"))) }
                td { (tags(&function.tags)) }
                td.number { (number(*ready)) }
                td.number { (attempts.as_deref().unwrap_or("–")) }
                td { (function.timeout_seconds.map_or_else(|| "–".to_owned(), seconds)) }
                td.number { (function.max_concurrent.map_or_else(|| "–".to_owned(), |most| number(most.into()))) }
                td.number { (function.max_concurrent_per_key.map_or_else(|| "–".to_owned(), |most| number(most.into()))) }
                td { (function.rate.as_ref().map_or_else(|| "–".to_owned(), words::rate)) }
                td { (function.rate_per_key.as_ref().map_or_else(|| "–".to_owned(), words::rate)) }
                @if ctx.acts() { td.acts { a.button href=(ctx.to(&new)) { "Dispatch" span.visually-hidden { " " (visible(&function.name)) } } " " (hold(ctx, Of::Function, &function.name, function.paused.is_some())) } }
            }
        }
    };
    let mut columns = vec![
        "Function",
        "Version",
        "Queue",
        "Tags",
        "Ready",
        "Attempts",
        "Time-out",
        "At once",
        "Per key",
        "Rate",
        "Rate per key",
    ];
    columns.extend(ctx.acts().then_some("Act"));
    let body = html! {
        h1 { "Functions" }
        section.card aria-label="Functions" {
            @if view.functions.is_empty() {
                (empty("No functions.", html! { "A worker declares those that it can run when it starts." }))
            } @else {
                table { caption.visually-hidden { "Functions" } (heads(&columns)) tbody { @for function in &view.functions { (row(function)) } } }
            }
        }
        @if !view.paused_unknown.is_empty() {
            section.card { h2 { "Paused, but declared by no worker" }
                ul { @for pause in &view.paused_unknown {
                    @let function = pause.function.as_deref().unwrap_or_default();
                    li { code { (visible(function)) } " " (paused(pause)) " " @if ctx.acts() { (hold(ctx, Of::Function, function, true)) } }
                } } }
        }
        @if !view.unknown.is_empty() {
            section.card.problem { h2 { "Called, but declared by no worker" }
                p { @for unknown in &view.unknown { code { (visible(unknown)) } " " } }
                p.help { "Their tasks wait until a worker that has the function is started. Look at the spelling, too." } }
        }
    };
    Shown::new("Functions", vec![("functions", body)])
}

/// The button that pauses it, or lets it go on.
fn hold(ctx: &Ctx<'_>, of: Of, name: &str, is_paused: bool) -> Markup {
    let (act, word) = if is_paused { (Act::Unpause(of), "Resume") } else { (Act::Pause(of), "Pause") };
    let to = link(&act.link(), [("name", Some(name.into()))]);
    html! { a.button href=(ctx.to(&to)) { (word) span.visually-hidden { " " (visible(name)) } } }
}

pub fn queues(ctx: &Ctx<'_>, view: &QueuesView) -> Shown {
    let body = html! { h1 { "Queues" } section.card aria-label="Queues" { (queue_table(ctx, &view.queues)) } };
    Shown::new("Queues", vec![("queues", body)])
}

pub fn queue_table(ctx: &Ctx<'_>, queues: &[QueueView]) -> Markup {
    let mut columns = vec!["Queue", "Ready", "Oldest", "Workers", "Functions", "Rate"];
    columns.extend(ctx.acts().then_some("Act"));
    html! {
        @if queues.is_empty() {
            (empty("No queues.", html! { "They come with functions, workers and what is dispatched." }))
        } @else {
            table {
                caption.visually-hidden { "Queues" }
                (heads(&columns))
                tbody {
                    @for queue in queues {
                        tr {
                            th scope="row" {
                                @match &queue.queue {
                                    Some(queue) => a href=(ctx.to(&link("/executions", [("queue", Some(queue.as_str().into()))]))) { (name(queue)) },
                                    None => span.none { "no queue" },
                                }
                                @if let Some(pause) = &queue.paused { " " (paused(pause)) }
                            }
                            td.number { (number(queue.ready)) }
                            td { @if queue.ready > 0 { (seconds(queue.oldest_seconds.floor())) } @else { "–" } }
                            td.number {
                                (queue.workers.len())
                                @if queue.workers.is_empty() && queue.ready > 0 { " " span.tag.bad { "nobody serves it" } }
                            }
                            td { (visible(&words::cut(&queue.functions.join(", "), 120))) }
                            td { (queue.rate.as_ref().map_or_else(|| "–".to_owned(), words::rate)) }
                            @if ctx.acts() { td { @if let Some(queue_name) = &queue.queue { (hold(ctx, Of::Queue, queue_name, queue.paused.is_some())) } } }
                        }
                    }
                }
            }
        }
    }
}

pub fn health(_ctx: &Ctx<'_>, view: &HealthView) -> Shown {
    let mark = |finding: &Finding| match finding.mark {
        Mark::Good => html! { span.state.s-completed { "good" } },
        Mark::Watch => html! { span.state.s-waiting { "watch" } },
        Mark::Bad => html! { span.state.s-failed { "bad" } },
    };
    let body = html! {
        h1 { "Health of the store" }
        p.lead {
            @if view.well { "All is well." } @else { "Something is to be done." }
            " It is what " code { "stent check" } " says."
        }
        section.card aria-label="Findings" {
            table {
                caption.visually-hidden { "Findings" }
                (heads(&["What", "Is", "Found", "To do"]))
                tbody {
                    @for finding in &view.findings {
                        tr {
                            th scope="row" { (finding.subject) }
                            td { (mark(finding)) }
                            td { (finding.found) }
                            td { (finding.todo) }
                        }
                    }
                }
            }
        }
    };
    Shown::new("Health", vec![("health", body)])
}
