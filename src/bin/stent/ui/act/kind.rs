//! Which acts there are, and their addresses. Pure.

use stent::backend::Pausable;
use stent::codec;
use stent::model::Id;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Dispatch,
    Signal(Id),
    Cancel(Id),
    Resume(Id),
    Retry(Id),
    Hasten(Id),
    Replay,
    Discard,
    Pause(Of),
    Unpause(Of),
    /// Those of schedules are told which by a field.
    PauseSchedule,
    ResumeSchedule,
    TriggerSchedule,
}

/// What is paused; its name is a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Queue,
    Function,
}

impl Of {
    /// Its list.
    pub fn list(self) -> &'static str {
        match self {
            Self::Queue => "/queues",
            Self::Function => "/functions",
        }
    }

    pub fn named(self, name: String) -> Pausable {
        match self {
            Self::Queue => Pausable::Queue(name),
            Self::Function => Pausable::Function(name),
        }
    }
}

/// Every address of the API that acts, as its document has it.
#[cfg(test)]
pub const ACTS: &[&str] = &[
    "/dispatch",
    "/executions/{id}/signal",
    "/executions/{id}/cancel",
    "/executions/{id}/resume",
    "/executions/{id}/retry",
    "/executions/{id}/hasten",
    "/dead-letters/replay",
    "/dead-letters/discard",
    "/queues/pause",
    "/queues/resume",
    "/functions/pause",
    "/functions/resume",
    "/schedules/pause",
    "/schedules/resume",
    "/schedules/trigger",
];

impl Act {
    /// `path`: without the base or `/api`.
    pub fn find(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let of = |id: &str| codec::id_from_text("id", id).ok();
        Some(match parts.as_slice() {
            ["dispatch"] => Self::Dispatch,
            ["executions", id, "signal"] => Self::Signal(of(id)?),
            ["executions", id, "cancel"] => Self::Cancel(of(id)?),
            ["executions", id, "resume"] => Self::Resume(of(id)?),
            ["executions", id, "retry"] => Self::Retry(of(id)?),
            ["executions", id, "hasten"] => Self::Hasten(of(id)?),
            ["dead-letters", "replay"] => Self::Replay,
            ["dead-letters", "discard"] => Self::Discard,
            ["queues", "pause"] => Self::Pause(Of::Queue),
            ["queues", "resume"] => Self::Unpause(Of::Queue),
            ["functions", "pause"] => Self::Pause(Of::Function),
            ["functions", "resume"] => Self::Unpause(Of::Function),
            ["schedules", "pause"] => Self::PauseSchedule,
            ["schedules", "resume"] => Self::ResumeSchedule,
            ["schedules", "trigger"] => Self::TriggerSchedule,
            _ => return None,
        })
    }

    pub fn link(self) -> String {
        match self {
            Self::Dispatch => "/dispatch".to_owned(),
            Self::Signal(id) | Self::Cancel(id) | Self::Resume(id) | Self::Retry(id) | Self::Hasten(id) => {
                format!("/executions/{id}/{}", self.word())
            }
            Self::Replay | Self::Discard => format!("/dead-letters/{}", self.word()),
            Self::Pause(of) | Self::Unpause(of) => format!("{}/{}", of.list(), self.word()),
            Self::PauseSchedule | Self::ResumeSchedule | Self::TriggerSchedule => format!("/schedules/{}", self.word()),
        }
    }

    /// As the audit log has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Signal(_) => "signal",
            Self::Cancel(_) => "cancel",
            Self::Resume(_) | Self::Unpause(_) | Self::ResumeSchedule => "resume",
            Self::Retry(_) => "retry",
            Self::Hasten(_) => "hasten",
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::Pause(_) | Self::PauseSchedule => "pause",
            Self::TriggerSchedule => "trigger",
        }
    }

    pub fn execution(self) -> Option<Id> {
        match self {
            Self::Signal(id) | Self::Cancel(id) | Self::Resume(id) | Self::Retry(id) | Self::Hasten(id) => Some(id),
            _ => None,
        }
    }

    pub fn is_of_schedule(self) -> bool {
        matches!(self, Self::PauseSchedule | Self::ResumeSchedule | Self::TriggerSchedule)
    }

    /// Is there something to fill in, which is shown again before it is done?
    pub fn is_reviewed(self) -> bool {
        matches!(self, Self::Dispatch | Self::Signal(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_leads_to_its_act_and_back() {
        let id = "019ac89a-f000-7000-8000-000000000002";
        for path in ACTS {
            let path = path.replace("{id}", id);
            let act = Act::find(&path).unwrap();
            assert_eq!((act.link(), path.ends_with(act.word())), (path.clone(), true));
        }
        assert_eq!(Act::find("/executions/x/cancel"), None);
        assert_eq!(Act::find("/executions"), None);
    }
}
