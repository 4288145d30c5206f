//! What is asked for, by a form or as JSON.

use serde::Deserialize;
use stent::backend::{DeadLetterFilter, NewPause, Pausable, ScheduleChange};
use stent::codec;
use stent::model::{DispatchRequest, Id, Payload};

use super::dispatch;
use super::kind::Act;
use crate::ui::fields::Fields;
use crate::ui::refusal::{Answer, Refusal};

#[derive(Debug)]
pub enum Asked {
    Dispatch(Box<DispatchRequest>),
    Signal { execution: Id, name: String, payload: Payload, id: Option<String> },
    Cancel { execution: Id, reason: Option<String> },
    Resume(Id),
    Retry(Id),
    Hasten(Id),
    Replay(Which),
    Discard(Which),
    Pause(NewPause),
    Unpause(Pausable),
    Schedule { name: String, change: ScheduleChange },
}

/// Letters: these, or all that the filter admits; without either, none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    #[serde(default)]
    pub tasks: Vec<Id>,
    #[serde(default)]
    pub function: Option<String>,
    #[serde(default)]
    pub execution: Option<Id>,
    #[serde(default)]
    pub all: bool,
}

impl Which {
    pub fn read(fields: &Fields) -> Answer<Self> {
        let tasks = fields.all("task").map(|task| codec::id_from_text("task", task)).collect::<Result<_, _>>()?;
        let which = Self {
            tasks,
            function: fields.text("function"),
            execution: fields.one("execution").map(|id| codec::id_from_text("execution", id)).transpose()?,
            all: fields.one("all") == Some("yes"),
        };
        which.check()
    }

    fn check(self) -> Answer<Self> {
        if self.tasks.is_empty() && self.function.is_none() && self.execution.is_none() && !self.all {
            return Err(Refusal::invalid("No letter is chosen.").hint("Choose some in the list of dead letters first."));
        }
        Ok(self)
    }

    fn of(&self) -> String {
        match (self.tasks.as_slice(), &self.function, self.execution) {
            ([], Some(function), _) => format!("dead letters of function {function}"),
            ([], None, Some(execution)) => format!("dead letters of execution {execution}"),
            ([], None, None) => "all dead letters".to_owned(),
            ([task], ..) => format!("dead letter {task}"),
            (tasks, ..) => format!("{} dead letters", tasks.len()),
        }
    }

    pub fn filter(&self, limit: u32, offset: u32) -> DeadLetterFilter {
        DeadLetterFilter { task: None, execution: self.execution, function: self.function.clone(), limit, offset }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalBody {
    name: String,
    #[serde(default = "Payload::null")]
    payload: Payload,
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    name: String,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    name: String,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Asked {
    pub fn of_form(act: Act, fields: &Fields) -> Answer<Self> {
        Ok(match act {
            Act::Dispatch => Self::Dispatch(Box::new(dispatch::of_form(fields)?)),
            Act::Signal(execution) => Self::Signal {
                execution,
                name: fields.text("name").ok_or_else(|| Refusal::invalid("The signal has no name."))?,
                payload: codec::value_from_text("payload", fields.one("payload").unwrap_or("null"))?,
                id: fields.text("id"),
            },
            Act::Cancel(execution) => Self::Cancel { execution, reason: fields.text("reason") },
            Act::Resume(execution) => Self::Resume(execution),
            Act::Retry(execution) => Self::Retry(execution),
            Act::Hasten(execution) => Self::Hasten(execution),
            Act::Replay => Self::Replay(Which::read(fields)?),
            Act::Discard => Self::Discard(Which::read(fields)?),
            Act::Pause(of) => Self::Pause(pause(of.named(named(fields)?), fields.text("reason"))),
            Act::Unpause(of) => Self::Unpause(of.named(named(fields)?)),
            Act::PauseSchedule | Act::ResumeSchedule | Act::TriggerSchedule => {
                let name = fields.text("name").ok_or_else(|| Refusal::invalid("No schedule is named."))?;
                schedule(act, ScheduleBody { name, note: fields.text("note") })
            }
        })
    }

    pub fn of_json(act: Act, text: &str) -> Answer<Self> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        Ok(match act {
            Act::Dispatch => Self::Dispatch(Box::new(dispatch::of_json(text)?)),
            Act::Signal(execution) => {
                let SignalBody { name, payload, id } = codec::from_json("the body", text)?;
                Self::Signal { execution, name, payload, id }
            }
            Act::Cancel(execution) => {
                let CancelBody { reason } = codec::from_json("the body", text)?;
                Self::Cancel { execution, reason }
            }
            Act::Resume(execution) => nothing(text).map(|()| Self::Resume(execution))?,
            Act::Retry(execution) => nothing(text).map(|()| Self::Retry(execution))?,
            Act::Hasten(execution) => nothing(text).map(|()| Self::Hasten(execution))?,
            Act::Replay => Self::Replay(codec::from_json::<Which>("the body", text)?.check()?),
            Act::Discard => Self::Discard(codec::from_json::<Which>("the body", text)?.check()?),
            Act::Pause(of) => {
                let PauseBody { name, reason } = codec::from_json("the body", text)?;
                Self::Pause(pause(of.named(name), reason))
            }
            Act::Unpause(of) => {
                let NameBody { name } = codec::from_json("the body", text)?;
                Self::Unpause(of.named(name))
            }
            Act::PauseSchedule | Act::ResumeSchedule | Act::TriggerSchedule => {
                schedule(act, codec::from_json("the body", text)?)
            }
        })
    }

    /// What the audit log names, where the act has not told of others.
    pub fn ids(&self) -> Vec<String> {
        match self {
            Self::Dispatch(dispatch) => dispatch.options.id.iter().map(ToString::to_string).collect(),
            Self::Signal { execution, .. }
            | Self::Cancel { execution, .. }
            | Self::Resume(execution)
            | Self::Retry(execution)
            | Self::Hasten(execution) => {
                vec![execution.to_string()]
            }
            Self::Replay(which) | Self::Discard(which) => which.tasks.iter().map(ToString::to_string).collect(),
            Self::Pause(_) | Self::Unpause(_) | Self::Schedule { .. } => Vec::new(),
        }
    }

    /// What it is done to, as the audit log has it.
    pub fn of(&self) -> String {
        match self {
            Self::Dispatch(dispatch) => format!("function {}", dispatch.function),
            Self::Signal { execution, .. }
            | Self::Cancel { execution, .. }
            | Self::Resume(execution)
            | Self::Retry(execution)
            | Self::Hasten(execution) => format!("execution {execution}"),
            Self::Replay(which) | Self::Discard(which) => which.of(),
            Self::Pause(NewPause { what, .. }) | Self::Unpause(what) => format!("{} {}", what.kind(), what.name()),
            Self::Schedule { name, .. } => format!("schedule {name}"),
        }
    }
}

/// Whoever is at the page has no name here.
const BY: &str = "stent ui";

fn pause(what: Pausable, reason: Option<String>) -> NewPause {
    NewPause { what, reason, by: Some(BY.to_owned()) }
}

fn named(fields: &Fields) -> Answer<String> {
    fields.text("name").ok_or_else(|| Refusal::invalid("It is not named which."))
}

fn schedule(act: Act, ScheduleBody { name, note }: ScheduleBody) -> Asked {
    let change = match act {
        Act::PauseSchedule => ScheduleChange::Pause { note },
        Act::TriggerSchedule => ScheduleChange::Trigger { overlap: None },
        _ => ScheduleChange::Resume,
    };
    Asked::Schedule { name, change }
}

fn nothing(text: &str) -> Answer<()> {
    let Nothing {} = codec::from_json("the body", text)?;
    Ok(())
}
