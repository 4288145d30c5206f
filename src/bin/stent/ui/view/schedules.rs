//! Schedules: all of them, or one with its ticks.

use maud::{Markup, html};
use stent::backend::{KeptSchedule, Tick};
use stent::model::{Schedule, When, format_duration};

use super::ctx::{Ctx, Shown};
use super::executions::field;
use super::parts::{date, empty, execution, fact, heads, payload, some_time, state, time};
use crate::ui::fields::link;
use crate::ui::page::WantedSchedules;
use crate::ui::read::SchedulesView;
use crate::words::{number, several, visible};

pub fn show(ctx: &Ctx<'_>, view: &SchedulesView) -> Shown {
    match (&view.wanted.name, view.schedules.as_slice()) {
        (Some(_), [kept]) => one(ctx, kept),
        _ => all(ctx, view),
    }
}

fn all(ctx: &Ctx<'_>, view: &SchedulesView) -> Shown {
    let wanted = &view.wanted;
    let filter = html! {
        h1 { "Schedules" }
        p.lead { "What is started at which times, by whatever worker is there." }
        form.card.filter action=(ctx.to("/schedules")) method="get" aria-label="Filter" {
            (field("function", "Function", wanted.function.as_deref(), "", None))
            div.acts { button.primary type="submit" { "Filter" } a.button href=(ctx.to("/schedules")) { "Clear" } }
        }
    };
    let list = html! {
        section.card aria-label="Schedules" {
            @if view.schedules.is_empty() {
                (empty("No schedules.", html! { "They are declared in code, or put: " code { "stent schedules put" } "." }))
            } @else {
                table.sortable {
                    caption.visually-hidden { "Schedules, by name" }
                    (heads(&["Schedule", "Function", "When", "State", "Next", "Last"]))
                    tbody { @for kept in &view.schedules { (row(ctx, kept)) } }
                }
            }
            nav.pages aria-label="Pages of the list" {
                @if wanted.after.is_some() { a.button href=(ctx.to(&WantedSchedules { after: None, ..wanted.clone() }.link())) { "First" } }
                @if let Some(next) = &view.next {
                    a.button rel="next" href=(ctx.to(&WantedSchedules { after: Some(next.clone()), ..wanted.clone() }.link())) { "More" }
                }
            }
        }
    };
    Shown::new("Schedules", vec![("filter", filter), ("list", list)])
}

fn row(ctx: &Ctx<'_>, kept: &KeptSchedule) -> Markup {
    let schedule = &kept.schedule;
    html! {
        tr {
            th scope="row" { a href=(ctx.to(&WantedSchedules::one(&schedule.name).link())) { (visible(&schedule.name)) } }
            td { (visible(&schedule.function)) }
            td { (when(schedule)) }
            td { (state(standing(kept))) }
            td { (some_time(kept.next_at)) }
            td { @if let Some(tick) = kept.last.first() { (state(tick.state.as_str())) " " (time(tick.at)) } @else { span.none { "–" } } }
        }
    }
}

fn standing(kept: &KeptSchedule) -> &'static str {
    match kept {
        KeptSchedule { trouble: Some(_), .. } => "broken",
        KeptSchedule { paused_at: Some(_), .. } => "paused",
        KeptSchedule { running: true, .. } => "running",
        KeptSchedule { next_at: None, .. } => "over",
        _ => "active",
    }
}

fn when(schedule: &Schedule) -> Markup {
    html! {
        @match &schedule.when {
            When::Cron(pattern) => { code { (visible(pattern)) } " " (visible(&schedule.time_zone)) }
            When::Every(every) => { "every " (format_duration(*every)) }
            When::Times(times) => (several(times.len() as u64, "time")),
        }
    }
}

fn one(ctx: &Ctx<'_>, kept: &KeptSchedule) -> Shown {
    let schedule = &kept.schedule;
    let name = visible(&schedule.name);
    let act = |act: &str| ctx.to(&link(&format!("/schedules/{act}"), [("name", Some(schedule.name.as_str().into()))]));
    let head = html! {
        div.title {
            h1 { (name) " " (state(standing(kept))) }
            @if ctx.acts() {
                div.acts {
                    a.button.primary href=(act("trigger")) { "Trigger" }
                    @if kept.paused_at.is_some() { a.button href=(act("resume")) { "Resume" } } @else { a.button href=(act("pause")) { "Pause" } }
                }
            }
        }
        section.card aria-label="Facts" {
            dl.facts {
                (fact("Function", html! { (visible(&schedule.function)) }))
                (fact("When", when(schedule)))
                (fact("While another runs", html! { (schedule.overlap.as_str().replace('_', " ")) }))
                (fact("Catches up", html! { (format_duration(schedule.catch_up)) }))
                @if !schedule.jitter.is_zero() { (fact("Jitter", html! { (format_duration(schedule.jitter)) })) }
                @if schedule.start.is_some() { (fact("Start", some_time(schedule.start))) }
                @if schedule.end.is_some() { (fact("End", some_time(schedule.end))) }
                @if let Some(owner) = &schedule.owner { (fact("Owner", html! { (visible(owner)) })) }
                (fact("Put", time(kept.updated_at)))
                @if let Some(at) = kept.paused_at {
                    (fact("Paused", html! { (time(at)) @if let Some(note) = &kept.pause_note { ": " (visible(note)) } }))
                }
                @if let (Some(id), true) = (kept.last_execution_id, kept.running) { (fact("Runs now", execution(ctx, id))) }
                @if kept.waiting > 0 { (fact("Waiting", html! { (number(kept.waiting.into())) })) }
            }
            @if let Some(trouble) = &kept.trouble { p.bad { (visible(trouble)) } }
        }
        section.card aria-label="Arguments" { h2 { "Arguments" } (payload(ctx, "", "args", &schedule.args)) }
    };
    let ticks = html! {
        section.card aria-label="To come" {
            h2 { "To come" }
            @if kept.next.is_empty() { p { "Nothing." } } @else { ul.dates { @for at in &kept.next { li { (date(*at)) } } } }
        }
        section.card aria-label="Ticks" {
            h2 { "Ticks" }
            @if kept.last.is_empty() { p { "None yet." } } @else {
                table {
                    caption.visually-hidden { "Ticks, newest first" }
                    (heads(&["Time", "Kind", "State", "Execution"]))
                    tbody { @for tick in &kept.last { (tick_row(ctx, tick)) } }
                }
            }
        }
    };
    Shown::new(format!("Schedule {name}"), vec![("schedule", head), ("ticks", ticks)])
}

fn tick_row(ctx: &Ctx<'_>, tick: &Tick) -> Markup {
    html! {
        tr {
            th scope="row" { (time(tick.at)) }
            td { (tick.kind.as_str()) }
            td { (state(tick.state.as_str())) }
            td { @if let Some(id) = tick.execution_id { (execution(ctx, id)) } @else { span.none { "–" } } }
        }
    }
}
