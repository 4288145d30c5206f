//! The states and kinds of executions and tasks, and their names.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The words for [`Self::ALL`].
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::model::Error;

            fn from_str(word: &str) -> crate::model::Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    other => Err(crate::model::Error::invalid(format!(
                        "'{other}' is not {}: it is one of {}", $what, [$($word),*].join(", ")
                    ))),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(in crate::model) use words;

words! {
    /// Where an execution stands. Terminal states never change again.
    ExecutionState, "an execution's state" {
        Pending = "pending",
        Running = "running",
        Completed = "completed",
        Failed = "failed",
        TimedOut = "timed_out",
        /// To be ended: nothing of its tree may be claimed or recorded any more.
        Cancelling = "cancelling",
        Cancelled = "cancelled",
    }
}

words! {
    /// Where a task stands. Terminal states never change again.
    TaskState, "a task's state" {
        Pending = "pending",
        Running = "running",
        /// Suspended: rows only, no thread, no slot, no lease.
        Waiting = "waiting",
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

words! {
    /// What a task is. Only orchestrators and activities are run by workers.
    TaskKind, "a task's kind" {
        Orchestrator = "orchestrator",
        Activity = "activity",
        Signal = "signal",
        Step = "step",
        Timer = "timer",
    }
}

impl ExecutionState {
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled => true,
            Self::Pending | Self::Running | Self::Cancelling => false,
        }
    }
}

impl TaskState {
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Pending | Self::Running | Self::Waiting => false,
        }
    }
}

impl TaskKind {
    /// Taken by a worker and run by a handler.
    pub const fn is_run(self) -> bool {
        match self {
            Self::Orchestrator | Self::Activity => true,
            Self::Signal | Self::Step | Self::Timer => false,
        }
    }
}
