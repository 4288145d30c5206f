//! Tasks at hand: those that run, are due, or are parked.

use maud::{Markup, html};
use stent::backend::AtHand;

use super::ctx::Ctx;
use super::parts::{heads, some_time, task, time, took};
use crate::words;

pub fn running(ctx: &Ctx<'_>, tasks: &[AtHand]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Tasks that run" }
            (heads(&["Task", "Worker", "For", "Attempt"]))
            tbody {
                @for one in tasks {
                    tr {
                        th scope="row" { (task(ctx, one.execution, one.task, &one.function)) }
                        td { (words::visible(one.worker_id.as_deref().unwrap_or("–"))) }
                        td { (took(one.started_at, None)) }
                        td.number { (u64::from(one.retries) + 1) }
                    }
                }
            }
        }
    }
}

pub fn due(ctx: &Ctx<'_>, tasks: &[AtHand]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "What is due next" }
            (heads(&["Task", "Is", "When"]))
            tbody {
                @for one in tasks {
                    tr {
                        th scope="row" { (task(ctx, one.execution, one.task, &one.function)) }
                        td { (what(one)) }
                        td { (some_time(one.due)) }
                    }
                }
            }
        }
    }
}

/// What happens when it is due.
fn what(one: &AtHand) -> &'static str {
    match one.kind.as_str() {
        "timer" => "a sleep that ends",
        "signal" => "a wait for a signal that runs out",
        _ if one.retries > 0 => "another attempt",
        _ => "a start, or a time-out",
    }
}

pub fn parked(ctx: &Ctx<'_>, tasks: &[AtHand]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Parked tasks" }
            (heads(&["Task", "Created"]))
            tbody {
                @for one in tasks {
                    tr {
                        th scope="row" { (task(ctx, one.execution, one.task, &one.function)) }
                        td { (time(one.created_at)) }
                    }
                }
            }
        }
    }
}
