//! Options of the client's and the handler's calls, other than dispatch and call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DispatchOptions;
use crate::model::Payload;
use crate::model::state::words;

/// One of many dispatches.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatchRequest {
    pub function: String,
    pub args: Payload,
    pub options: DispatchOptions,
}

/// A wait for a signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitSignalOptions {
    /// None: as long as it takes.
    pub timeout: Option<Duration>,
    pub key: Option<String>,
}

/// A step run in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepOptions {
    pub key: Option<String>,
}

/// A signal's sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalOptions {
    /// The same id for the same execution and name counts once.
    pub id: Option<String>,
}

/// What a cleanup takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanupOptions {
    /// Executions that ended longer ago than this.
    pub older_than: Duration,
    /// Dead letters older than this; none given: they are kept.
    pub dead_letters: Option<Duration>,
}

impl Default for CleanupOptions {
    fn default() -> Self {
        Self { older_than: Duration::from_secs(7 * 86_400), dead_letters: None }
    }
}

words! {
    /// The format of statistics.
    StatsFormat, "a format of statistics" {
        Json = "json",
        Prometheus = "prometheus",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsOptions {
    pub format: StatsFormat,
}

impl Default for StatsOptions {
    fn default() -> Self {
        Self { format: StatsFormat::Json }
    }
}

words! {
    /// How much a log record matters.
    Level, "a log level" {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
    }
}

impl Level {
    /// 1 for errors to 4 for debugging: the numbers of the C API.
    pub const fn code(self) -> i32 {
        match self {
            Self::Error => 1,
            Self::Warn => 2,
            Self::Info => 3,
            Self::Debug => 4,
        }
    }

    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|level| level.code() == code)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The least important level that the handler gets.
    pub level: Level,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { level: Level::Info }
    }
}

/// The library's own settings, before the first handle is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigureOptions {
    /// Threads that serve the stores; none given: one for each processor, at most 4.
    pub runtime_threads: Option<usize>,
    /// Bytes of stack of each thread that runs handlers; none given: 1 MiB.
    pub handler_stack_size: Option<usize>,
    /// The collector that gets spans; none given: the environment's, or none.
    pub otlp_endpoint: Option<String>,
}
