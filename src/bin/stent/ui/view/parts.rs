//! What stands on many pages: states, times, ids, payloads, tables' heads.

use std::time::Duration;

use maud::{Markup, html};
use stent::backend::Pause;
use stent::model::{ExecutionState, Failure, Id, Payload, Task, TaskState, Timestamp};

use super::ctx::Ctx;
use super::json;
use crate::ui::read::Mismatch;
use crate::words;

/// More of a payload is not on a page.
const SHOWN: usize = 16_000;

/// A payload that is smaller is open from the start.
const SMALL: usize = 600;

/// Of a payload, in a table.
const GLANCE: usize = 100;

/// Its lines, with what would turn the text around as what it is.
pub fn lines(text: &str) -> String {
    text.lines().map(words::visible).collect::<Vec<_>>().join("\n")
}

/// The exact time is what the script makes ages and the viewer's zone of.
pub fn time(time: Timestamp) -> Markup {
    html! { time datetime=(time) title=(time) { (words::date(time)) } }
}

/// As a date, also by the script.
pub fn date(time: Timestamp) -> Markup {
    html! { time.date datetime=(time) title=(time) { (words::date(time)) } }
}

pub fn some_time(at: Option<Timestamp>) -> Markup {
    html! { @if let Some(at) = at { (time(at)) } @else { span.none { "–" } } }
}

/// From then until now, which the script counts: here it would be another text each time.
pub fn since(time: Timestamp) -> Markup {
    html! { time.since datetime=(time) title=(time) { "since " (words::date(time)) } }
}

pub fn took(started: Option<Timestamp>, completed: Option<Timestamp>) -> Markup {
    html! {
        @match (started, completed) {
            (Some(started), Some(completed)) => span.took { (words::duration(completed.since(started))) },
            (Some(started), None) => (since(started)),
            _ => span.none { "–" },
        }
    }
}

pub fn seconds(seconds: f64) -> String {
    words::duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

pub fn state(word: &str) -> Markup {
    html! { span class={ "state s-" (word) } { (word.replace('_', " ")) } }
}

pub fn execution_state(found: ExecutionState) -> Markup {
    state(found.as_str())
}

pub fn task_state(found: TaskState, parked: bool) -> Markup {
    state(if parked { "parked" } else { found.as_str() })
}

pub fn execution(ctx: &Ctx<'_>, id: Id) -> Markup {
    html! { a.id href=(ctx.to(&format!("/executions/{id}"))) { (id) } }
}

pub fn task(ctx: &Ctx<'_>, execution: Id, id: Id, name: &str) -> Markup {
    html! { a href=(ctx.to(&format!("/executions/{execution}/tasks/{id}"))) { (words::visible(name)) } }
}

pub fn task_path(task: &Task) -> String {
    format!("/executions/{}/tasks/{}", task.execution_id, task.id)
}

/// What matters of an outcome, on one line.
pub fn outcome(error: Option<&Failure>, result: Option<&Payload>) -> Markup {
    html! {
        @match (error, result) {
            (Some(failure), _) => span.outcome.bad { (words::cut(&words::failure(failure), GLANCE)) },
            (None, Some(result)) => code.outcome { (glance(result)) },
            (None, None) => span.none { "–" },
        }
    }
}

pub fn glance(payload: &Payload) -> String {
    match std::str::from_utf8(payload.as_bytes()) {
        Ok(text) => words::cut(&words::visible(words_of(text, GLANCE * 2)), GLANCE),
        Err(_) => words::payload(payload),
    }
}

/// The first so many bytes, or a few less.
fn words_of(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Folded, highlighted; a large one is cut, and can be had as it is. `from`: the record that it belongs to, as
/// `/executions/ID`, and `what` of it; none of a form, which can't be downloaded.
pub fn payload(ctx: &Ctx<'_>, from: &str, what: &str, payload: &Payload) -> Markup {
    folded(ctx, from, what, payload, payload.len() > SMALL)
}

/// The same, folded or not.
pub fn folded(ctx: &Ctx<'_>, from: &str, what: &str, payload: &Payload, is_folded: bool) -> Markup {
    let bytes = payload.as_bytes();
    let text = std::str::from_utf8(bytes).ok();
    let link = (!from.is_empty()).then(|| ctx.to(&format!("/api{from}/payload?of={}", encoded(what))));
    html! {
        details.payload id={ "p-" (encoded(&format!("{from}-{what}")).replace(['/', '%'], "-")) } open[!is_folded] {
            summary { span.what { (words::visible(what)) } " " span.size { (words::bytes(bytes.len() as u64)) }
                code.glance { (glance(payload)) } }
            @match text {
                Some(text) if text.len() <= SHOWN => (json::pretty(text)),
                Some(text) => {
                    (json::pretty(words_of(text, SHOWN)))
                    p.help { "The first " (words::bytes(SHOWN as u64)) " of " (words::bytes(bytes.len() as u64)) "." }
                }
                None => p.help { "Bytes that are no text." },
            }
            @if let Some(link) = link { a.download href=(link) download { "Download" } }
        }
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub fn failure(ctx: &Ctx<'_>, from: &str, failure: &Failure) -> Markup {
    html! {
        div.failure {
            p { strong { (words::visible(&failure.kind)) } @if !failure.message.is_empty() { ": " span.message { (lines(&failure.message)) } } }
            dl.facts {
                @if let Some(code) = &failure.code { (fact("Code", html! { code { (words::visible(code)) } })) }
                (fact("May be tried again", html! { @if failure.retryable { "if attempts are left" } @else { "never" } }))
            }
            @if let Some(details) = &failure.details { (payload(ctx, from, "details", details)) }
            @if let Some(stack) = &failure.stack {
                details.stack id={ "s-" (from.replace('/', "-")) } { summary { "Stack" } pre { (lines(stack)) } }
            }
        }
    }
}

/// A long one is cut where it would widen a list; the whole is shown on hover.
pub fn name(text: &str) -> Markup {
    let text = words::visible(text);
    html! { span.name title=(text) { (text) } }
}

pub fn fact(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

pub fn mismatch(mismatch: &Mismatch) -> Markup {
    html! {
        p { "The code asks for something else than its journal has, at the operation " code { (words::visible(&mismatch.key)) }
            ". The task goes on with code that fits, or when it is resumed." }
        div.sides {
            figure { figcaption { "Recorded" } pre { (lines(&mismatch.recorded)) } }
            figure { figcaption { "Requested now" } pre { (lines(&mismatch.requested)) } }
        }
    }
}

/// The heads of columns.
pub fn heads(names: &[&str]) -> Markup {
    html! { thead { tr { @for name in names { th scope="col" { (name) } } } } }
}

/// Nothing is there, and what to do.
pub fn empty(what: &str, todo: Markup) -> Markup {
    html! { div.empty { p { strong { (what) } } p { (todo) } } }
}

/// A mark, with since when, by whom and why.
pub fn paused(pause: &Pause) -> Markup {
    html! {
        span.tag.bad { "paused" } " " (since(pause.since))
        @if let Some(reason) = &pause.reason { " " span.reason { (words::cut(&words::visible(reason), GLANCE)) } }
        @if pause.running > 0 { " " span.tag { (words::number(pause.running)) " still running" } }
    }
}

pub fn tags(tags: &[String]) -> Markup {
    html! { @for tag in tags { span.tag { (words::visible(tag)) } " " } }
}
