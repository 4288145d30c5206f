//! Forms of acts: to fill in, to confirm.

use maud::{Markup, html};
use stent::model::{DispatchRequest, Execution};

use super::ctx::{Ctx, Shown};
use super::layout::{page, secret};
use super::parts::{execution, execution_state, lines, paused, payload, task, time};
use crate::ui::act::{Act, Asked, Done, OFFERS, Of, Preview};
use crate::ui::fields::Fields;
use crate::ui::page::WantedSchedules;
use crate::ui::refusal::Refusal;
use crate::words::{self, several, visible};

/// `wrong`: why the last try did nothing. `review`: what will be done, once it is confirmed.
pub fn form(
    ctx: &Ctx<'_>,
    act: Act,
    fields: &Fields,
    preview: &Preview,
    wrong: Option<&Refusal>,
    review: Option<&Asked>,
) -> Markup {
    let title = title(act);
    let body = html! {
        h1 { (title) }
        @if let Some(wrong) = wrong {
            div.card.problem role="alert" { p { (lines(&wrong.message)) } @if let Some(hint) = &wrong.hint { p.help { (hint) } } }
        }
        form.card.act action=(ctx.to(&act.link())) method="post" {
            (secret(ctx))
            @match (act, review) {
                (_, Some(asked)) => (reviewed(ctx, act, fields, asked, preview)),
                (Act::Dispatch, None) => (dispatch(fields, preview)),
                (Act::Signal(_), None) => (signal(ctx, fields, preview)),
                (Act::Cancel(_), None) => {
                    (about(ctx, preview.execution.as_ref()))
                    p { "It is cancelled with all that it called. This can't be undone." }
                    (input("reason", "Reason, kept with the execution", fields, ""))
                    (confirm("Cancel it", true))
                }
                (Act::Resume(_), None) => {
                    (about(ctx, preview.execution.as_ref()))
                    p { (several(preview.parked.len() as u64, "parked task")) " can be claimed again. Do it when the code is right by now." }
                    (confirm("Resume", false))
                }
                (Act::Hasten(_), None) => {
                    (about(ctx, preview.execution.as_ref()))
                    p { "What waits for its retry, or for its delay, begins as soon as a worker is free." }
                    ul { @for one in preview.waiting.iter().take(20) {
                        li { (visible(&one.function)) @if let Some(due) = one.due { ", due " (time(due)) } @if one.retries > 0 { ", after " (several(u64::from(one.retries), "failed attempt")) } }
                    } }
                    @if preview.waiting.len() > 20 { p { strong { "And more." } } }
                    @if preview.waiting.is_empty() { p { "Nothing of it waits any more." } }
                    (confirm("Begin now", false))
                }
                (Act::Retry(_), None) => {
                    (about(ctx, preview.execution.as_ref()))
                    p { "A new execution starts, in which only the failed path runs again. The letters go." }
                    (letters(ctx, preview))
                    (confirm("Retry", false))
                }
                (Act::PauseSchedule, None) => {
                    (schedule(preview))
                    p { "It starts nothing by its times until it is resumed. What runs or waits goes on." }
                    (input("note", "Why, for people", fields, ""))
                    (confirm("Pause", false))
                }
                (Act::ResumeSchedule, None) => {
                    (schedule(preview))
                    p { "It goes on from now. What it would have started meanwhile is not caught up." }
                    (confirm("Resume", false))
                }
                (Act::TriggerSchedule, None) => {
                    (schedule(preview))
                    p { "It ticks now, whatever its times. If another run goes on, its own rule says what becomes of this one." }
                    (confirm("Trigger", false))
                }
                (Act::Replay, None) => {
                    p { "Each of these starts a new execution, in which only the failed path runs again. The letters go." }
                    (chosen(fields))
                    (letters(ctx, preview))
                    (confirm("Replay", false))
                }
                (Act::Pause(of), None) => {
                    (held(preview, of))
                    p { "Nothing of it is claimed from now on, by any worker. What runs goes on, and what is dispatched waits." }
                    (input("reason", "Reason, shown to whoever waits", fields, ""))
                    (confirm("Pause it", false))
                }
                (Act::Unpause(of), None) => {
                    (held(preview, of))
                    p { "It is claimed again, at once." }
                    (confirm("Resume it", false))
                }
                (Act::Discard, None) => {
                    p { "These letters are deleted: what failed can't be replayed then. Their executions stay as they ended." }
                    (chosen(fields))
                    (letters(ctx, preview))
                    (confirm("Discard", true))
                }
            }
            a.button href=(ctx.to(&back(act, preview))) { "Back" }
        }
    };
    page(ctx, &Shown::new(title, vec![("act", body)]), false)
}

fn title(act: Act) -> &'static str {
    match act {
        Act::Dispatch => "Dispatch",
        Act::Signal(_) => "Send a signal",
        Act::Cancel(_) => "Cancel this execution?",
        Act::Resume(_) => "Resume this execution?",
        Act::Retry(_) => "Retry this execution?",
        Act::Hasten(_) => "Begin now what waits for its time?",
        Act::Replay => "Replay dead letters?",
        Act::Discard => "Discard dead letters?",
        Act::Pause(Of::Queue) => "Pause this queue?",
        Act::Pause(Of::Function) => "Pause this function?",
        Act::Unpause(Of::Queue) => "Resume this queue?",
        Act::Unpause(Of::Function) => "Resume this function?",
        Act::PauseSchedule => "Pause this schedule?",
        Act::ResumeSchedule => "Resume this schedule?",
        Act::TriggerSchedule => "Trigger this schedule?",
    }
}

fn back(act: Act, preview: &Preview) -> String {
    if let Act::Pause(of) | Act::Unpause(of) = act {
        return of.list().to_owned();
    }
    if act.is_of_schedule() {
        return preview
            .schedule
            .as_ref()
            .map_or_else(|| "/schedules".to_owned(), |kept| WantedSchedules::one(&kept.schedule.name).link());
    }
    match act.execution() {
        Some(id) => format!("/executions/{id}"),
        None if act == Act::Dispatch => "/executions".to_owned(),
        None => "/dead-letters".to_owned(),
    }
}

fn confirm(what: &str, danger: bool) -> Markup {
    html! {
        input type="hidden" name="confirm" value="yes";
        button type="submit" class=(if danger { "danger" } else { "primary" }) { (what) }
    }
}

fn about(ctx: &Ctx<'_>, of: Option<&Execution>) -> Markup {
    html! {
        @if let Some(one) = of {
            p.lead { strong { (visible(&one.root_function)) } " " (execution_state(one.state)) " " (execution(ctx, one.id)) ", created " (time(one.created_at)) }
        }
    }
}

/// What is to be paused or resumed, and how it stands.
fn held(preview: &Preview, of: Of) -> Markup {
    let what = of.named(preview.name.clone());
    let pause = preview.pauses.iter().find(|pause| pause.what().as_ref() == Some(&what));
    html! {
        p.lead { strong { (visible(&preview.name)) } @if let Some(pause) = pause { " " (paused(pause)) } }
        input type="hidden" name="name" value=(preview.name);
    }
}

/// Which schedule is meant.
fn schedule(preview: &Preview) -> Markup {
    html! {
        @if let Some(kept) = &preview.schedule {
            p.lead { strong { (visible(&kept.schedule.name)) } " starts " strong { (visible(&kept.schedule.function)) } }
            input type="hidden" name="name" value=(kept.schedule.name);
        }
    }
}

fn letters(ctx: &Ctx<'_>, preview: &Preview) -> Markup {
    html! {
        @if preview.letters.is_empty() { p { "There is no such dead letter any more." } }
        ul { @for letter in &preview.letters {
            li { (task(ctx, letter.task.execution_id, letter.task.id, &letter.task.step_name)) ": " (words::cut(&visible(&letter.reason), 120)) ", " (time(letter.moved_at)) }
        } }
        @if preview.more { p { strong { "And more." } } }
    }
}

/// Which letters are meant.
fn chosen(fields: &Fields) -> Markup {
    html! {
        @for (name, value) in fields.pairs() {
            @if ["task", "function", "execution", "all"].contains(&name) { input type="hidden" name=(name) value=(value); }
        }
    }
}

fn input(name: &str, label: &str, fields: &Fields, hint: &str) -> Markup {
    html! {
        div.field {
            label for={ "f-" (name) } { (label) }
            input id={ "f-" (name) } type="text" name=(name) value=[fields.one(name)] placeholder=[(!hint.is_empty()).then_some(hint)]
                autocomplete="off" spellcheck="false";
        }
    }
}

fn area(name: &str, label: &str, fields: &Fields, default: &str) -> Markup {
    html! {
        div.field.wide {
            label for={ "f-" (name) } { (label) }
            textarea id={ "f-" (name) } name=(name) rows="5" spellcheck="false" data-json { (fields.one(name).unwrap_or(default)) }
        }
    }
}

fn dispatch(fields: &Fields, preview: &Preview) -> Markup {
    html! {
        div.field.wide {
            label for="f-function" { "Function" }
            input #f-function type="text" name="function" required list="functions" value=[fields.one("function")]
                autocomplete="off" spellcheck="false";
            datalist #functions { @for name in &preview.functions { option value=(name) {} } }
            @if preview.functions.is_empty() { p.help { "No worker has declared a function yet." } }
        }
        (area("args", "Arguments, a JSON list", fields, "[]"))
        (area("kwargs", "Named arguments, a JSON object", fields, ""))
        details.more {
            summary { "More options" }
            div.filter {
                @for offer in OFFERS { (input(offer.name, offer.label, fields, offer.hint)) }
            }
        }
        button.primary type="submit" { "Next: look at it again" }
    }
}

fn signal(ctx: &Ctx<'_>, fields: &Fields, preview: &Preview) -> Markup {
    html! {
        (about(ctx, preview.execution.as_ref()))
        div.field.wide {
            label for="f-name" { "Name" }
            input #f-name type="text" name="name" required value=[fields.one("name")] autocomplete="off" spellcheck="false";
        }
        (area("payload", "Payload, JSON", fields, "null"))
        (input("id", "Id of the signal", fields, ""))
        p.help { "The same id for the same execution and name counts once." }
        button.primary type="submit" { "Next: look at it again" }
    }
}

/// What was filled in, once more.
fn reviewed(ctx: &Ctx<'_>, act: Act, fields: &Fields, asked: &Asked, preview: &Preview) -> Markup {
    let told = match asked {
        Asked::Dispatch(dispatch) => {
            let DispatchRequest { function, args, options } = &**dispatch;
            html! {
                p { "This starts an execution of " strong { (visible(function)) } "." }
                @if !preview.functions.contains(function) {
                    p.bad { "No worker has declared this function: the execution waits for one that does. Look at the spelling." }
                }
                (payload(ctx, "", "args", args))
                @if let Some(kwargs) = &options.kwargs { (payload(ctx, "", "kwargs", kwargs)) }
            }
        }
        Asked::Signal { execution: id, name, payload: sent, .. } => html! {
            p { "This sends the signal " strong { (visible(name)) } " to " (execution(ctx, *id)) "." }
            (payload(ctx, "", "payload", sent))
        },
        _ => html! {},
    };
    html! {
        (told)
        dl.facts {
            @for (name, value) in fields.pairs() {
                @if !["csrf", "confirm", "args", "kwargs", "payload", "function", "name"].contains(&name) && !value.trim().is_empty() {
                    div { dt { (visible(name)) } dd { (visible(value)) } }
                }
            }
        }
        @for (name, value) in fields.pairs() {
            @if name != "csrf" && name != "confirm" { input type="hidden" name=(name) value=(value); }
        }
        (confirm(if act == Act::Dispatch { "Dispatch" } else { "Send" }, false))
    }
}

/// What was done, where there is more to say of it than where it leads.
pub fn done(ctx: &Ctx<'_>, done: &Done) -> Markup {
    let body = html! {
        h1 { "Done" }
        div.card role="status" {
            p { (visible(&done.message)) }
            @if done.to == "/dead-letters" && done.ids.len() <= 50 && done.message.ends_with("started.") {
                ul { @for id in &done.ids { li { a.id href=(ctx.to(&format!("/executions/{id}"))) { (id) } } } }
            }
            @if done.more { p { strong { "There are more. " } "Do it again to go on with them." } }
            @if !done.left.is_empty() {
                h2 { "These stay" }
                ul { @for left in &done.left { li { code { (left.task_id) } ": " (visible(&left.why)) } } }
            }
            p { a.button href=(ctx.to(&done.to)) { "Go on" } }
        }
    };
    page(ctx, &Shown::new("Done", vec![("act", body)]), false)
}
