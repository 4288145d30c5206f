//! How it all stands, on one page.

use maud::{Markup, html};
use stent::backend::StoreStats;
use stent::model::{DeadLetter, ExecutionState, TaskState};

use super::chart::{Line, chart};
use super::ctx::{Ctx, Shown};
use super::parts::{empty, heads, seconds, state, task, time};
use super::{hand, places};
use crate::ui::fields::link;
use crate::ui::read::{OverviewView, Share};
use crate::ui::series::Point;
use crate::words::{self, number};

pub fn show(ctx: &Ctx<'_>, view: &OverviewView) -> Shown {
    let regions = vec![
        ("counts", counts(ctx, view)),
        ("charts", charts(view)),
        ("queues", card("Queues", "/queues", ctx, places::queue_table(ctx, &view.queues))),
        ("workers", card("Workers", "/workers", ctx, places::worker_table(&view.workers))),
        ("running", card("Running now", "/tasks?state=running", ctx, running(ctx, view))),
        ("due", section("Due next", due(ctx, view))),
        ("failures", card("Failures by function", "/executions?state=failed", ctx, failures(ctx, &view.failures))),
        ("parked", section("Parked", parked(ctx, view))),
        ("letters", card("Dead letters", "/dead-letters", ctx, letters(ctx, &view.dead_letters))),
    ];
    Shown::new("Overview", regions)
}

fn section(title: &str, body: Markup) -> Markup {
    html! { section.card aria-label=(title) { h2 { (title) } (body) } }
}

fn card(title: &str, all: &str, ctx: &Ctx<'_>, body: Markup) -> Markup {
    html! {
        section.card aria-label=(title) {
            h2 { (title) a.all href=(ctx.to(all)) aria-label={ "All: " (title) } { "all" } }
            (body)
        }
    }
}

fn counts(ctx: &Ctx<'_>, view: &OverviewView) -> Markup {
    let StoreStats { executions, tasks, scheduled, dead_letters, parked, workers, .. } = &view.stats;
    let ready: u64 = view.stats.ready.iter().map(|depth| depth.count).sum();
    let one = |path: &str, name: &str, count: u64, class: &str| {
        html! { li { a class={ "count " (class) } href=(ctx.to(path)) { strong { (number(count)) } " " span { (name) } } } }
    };
    let bad = |count: u64| if count > 0 { "alarm" } else { "" };
    html! {
        h1 { "Overview" }
        section.card.numbers aria-label="Counts" {
            h2 { "Executions" }
            ul.counts {
                @for word in ExecutionState::WORDS {
                    @let count = executions.get(word).copied().unwrap_or(0);
                    li { a.count href=(ctx.to(&format!("/executions?state={word}"))) { strong { (number(count)) } " " (state(word)) } }
                }
            }
            h2 { "Tasks" }
            ul.counts {
                @for word in TaskState::WORDS {
                    @let count = tasks.get(word).copied().unwrap_or(0);
                    li { a.count href=(ctx.to(&format!("/tasks?state={word}"))) { strong { (number(count)) } " " (state(word)) } }
                }
                (one("/queues", "ready now", ready, ""))
                (one("/tasks?state=pending", "scheduled for later", *scheduled, ""))
                (one("/workers", "workers", *workers, if *workers == 0 { "alarm" } else { "" }))
                (one("/dead-letters", "dead letters", *dead_letters, bad(*dead_letters)))
                (one("/tasks?state=waiting", "parked", *parked, bad(*parked)))
            }
        }
    }
}

fn charts(view: &OverviewView) -> Markup {
    let rate = |value: f64| format!("{value:.1}/s");
    let plain = |value: f64| number(value as u64);
    let rates = [
        Line { class: "a", name: "started", value: &|point: &Point| Some(point.started) },
        Line { class: "b", name: "ended", value: &|point: &Point| Some(point.ended) },
        Line { class: "c", name: "failed", value: &|point: &Point| Some(point.failed) },
    ];
    let times = [
        Line { class: "a", name: "wait", value: &|point: &Point| point.wait_seconds },
        Line { class: "b", name: "run", value: &|point: &Point| point.run_seconds },
    ];
    let ready = [Line { class: "a", name: "ready", value: &|point: &Point| Some(point.ready as f64) }];
    let spread = |middle: Option<f64>, most: Option<f64>| match (middle, most) {
        (Some(middle), Some(most)) => format!("{} in the middle, {} for 95 of 100", seconds(middle), seconds(most)),
        _ => "not known yet".to_owned(),
    };
    let latency = &view.latency;
    html! {
        section.card aria-label="Charts" {
            h2 { "The last minutes" }
            div.row {
                (chart("Executions", &view.minutes, &rates, &rate, ""))
                (chart("Ready tasks", &view.minutes, &ready, &plain, ""))
                (chart("Latency", &view.minutes, &times, &seconds, "Nothing has ended yet."))
            }
            details #hours.hours {
                summary { "The last hours" }
                div.row {
                    (chart("Executions", &view.hours, &rates, &rate, ""))
                    (chart("Ready tasks", &view.hours, &ready, &plain, ""))
                    (chart("Latency", &view.hours, &times, &seconds, "Nothing has ended yet."))
                }
            }
            p.help {
                "Of the newest " (latency.measured) " executions that have ended: they waited "
                (spread(latency.wait_middle, latency.wait_most)) ", and took " (spread(latency.run_middle, latency.run_most))
                ". The charts have what this program has seen since " (time(view.since))
                "; it looks only while somebody has this page open."
            }
        }
    }
}

fn running(ctx: &Ctx<'_>, view: &OverviewView) -> Markup {
    html! {
        @if view.at_hand.running.is_empty() {
            (empty("Nothing runs at this moment.", html! { "What is ready is taken by a worker that has its function." }))
        } @else { (hand::running(ctx, short(&view.at_hand.running))) }
    }
}

/// So many on this page.
fn short<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(10)]
}

fn due(ctx: &Ctx<'_>, view: &OverviewView) -> Markup {
    html! {
        @if view.at_hand.due.is_empty() {
            (empty("Nothing is due later.", html! { "Sleeps, delays, retries and time-outs are listed here." }))
        } @else { (hand::due(ctx, short(&view.at_hand.due))) }
    }
}

fn parked(ctx: &Ctx<'_>, view: &OverviewView) -> Markup {
    html! {
        @if view.at_hand.parked.is_empty() {
            (empty("Nothing is parked.", html! { "A task is parked when its code asks for something else than its journal has." }))
        } @else { (hand::parked(ctx, short(&view.at_hand.parked))) }
    }
}

fn failures(ctx: &Ctx<'_>, shares: &[Share]) -> Markup {
    html! {
        @if shares.is_empty() {
            (empty("None of the newest executions failed.", html! { "The newest 200 are looked at." }))
        } @else {
            table {
                caption.visually-hidden { "Failures by function, of the newest 200 executions" }
                (heads(&["Function", "Failed", "Of", "Share"]))
                tbody {
                    @for share in shares {
                        @let path = link("/executions", [("state", Some("failed".into())), ("function", Some(share.function.as_str().into()))]);
                        tr {
                            th scope="row" { a href=(ctx.to(&path)) { (words::visible(&share.function)) } }
                            td.number { (number(share.failed)) }
                            td.number { (number(share.executions)) }
                            td { meter min="0" max=(share.executions) value=(share.failed) aria-label="Share that failed" {} }
                        }
                    }
                }
            }
        }
    }
}

fn letters(ctx: &Ctx<'_>, letters: &[DeadLetter]) -> Markup {
    html! {
        @if letters.is_empty() {
            (empty("No dead letters.", html! { "A task that has used up its attempts leaves one." }))
        } @else {
            table {
                caption.visually-hidden { "The newest dead letters" }
                (heads(&["Function", "Died", "Why"]))
                tbody {
                    @for letter in letters {
                        tr {
                            th scope="row" { a href=(ctx.to(&format!("/dead-letters/{}", letter.task.id))) { (words::visible(&letter.task.step_name)) } }
                            td { (time(letter.moved_at)) }
                            td { (words::cut(&words::visible(&letter.reason), 80)) }
                        }
                    }
                }
            }
        }
        @if let Some(letter) = letters.first() {
            p.help { "The newest one is of " (task(ctx, letter.task.execution_id, letter.task.id, &letter.task.step_name)) "." }
        }
    }
}
