//! Which acts there are, and their addresses. Pure.

use stent::codec;
use stent::model::Id;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Dispatch,
    Signal(Id),
    Cancel(Id),
    Resume(Id),
    Retry(Id),
    Replay,
    Discard,
    /// Those of schedules are told which by a field.
    Pause,
    Unpause,
    Trigger,
}

/// Every address of the API that acts, as its document has it.
#[cfg(test)]
pub const ACTS: &[&str] = &[
    "/dispatch",
    "/executions/{id}/signal",
    "/executions/{id}/cancel",
    "/executions/{id}/resume",
    "/executions/{id}/retry",
    "/dead-letters/replay",
    "/dead-letters/discard",
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
            ["dead-letters", "replay"] => Self::Replay,
            ["dead-letters", "discard"] => Self::Discard,
            ["schedules", "pause"] => Self::Pause,
            ["schedules", "resume"] => Self::Unpause,
            ["schedules", "trigger"] => Self::Trigger,
            _ => return None,
        })
    }

    pub fn link(self) -> String {
        match self {
            Self::Dispatch => "/dispatch".to_owned(),
            Self::Signal(id) | Self::Cancel(id) | Self::Resume(id) | Self::Retry(id) => {
                format!("/executions/{id}/{}", self.word())
            }
            Self::Replay | Self::Discard => format!("/dead-letters/{}", self.word()),
            Self::Pause => "/schedules/pause".to_owned(),
            Self::Unpause => "/schedules/resume".to_owned(),
            Self::Trigger => "/schedules/trigger".to_owned(),
        }
    }

    /// As the audit log has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Signal(_) => "signal",
            Self::Cancel(_) => "cancel",
            Self::Resume(_) => "resume",
            Self::Retry(_) => "retry",
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::Pause => "pause",
            Self::Unpause => "resume",
            Self::Trigger => "trigger",
        }
    }

    pub fn execution(self) -> Option<Id> {
        match self {
            Self::Signal(id) | Self::Cancel(id) | Self::Resume(id) | Self::Retry(id) => Some(id),
            _ => None,
        }
    }

    pub fn is_of_schedule(self) -> bool {
        matches!(self, Self::Pause | Self::Unpause | Self::Trigger)
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
