"""Stent: durable execution on a SQLite file or PostgreSQL. Workflows are plain functions that survive crashes.

`stent.Executor` is for asyncio, `stent.sync.Executor` for threads; `@stent.durable` and `@stent.activity` make
functions known to both.
"""

from __future__ import annotations

from . import sync, testing
from ._activity import current, current_batch
from ._batch import Batch, batch
from ._backend import Backend, CheckedCase, CheckReport
from ._codec import Codec, codec, use_codec
from ._context import Context
from ._custom import custom_backend
from ._described import (
    BatchOptions,
    CheckOptions,
    CleanupOptions,
    ConfigureOptions,
    CustomOptions,
    DeadLetterFilter,
    DeadLetterRecord,
    Duration,
    ExecutionFilter,
    ExecutionRecord,
    FunctionOptions,
    PauseOptions,
    ProgressRecord,
    Rate,
    RetryPolicy,
    ScheduleFilter,
    ScheduleOptions,
    SignalRecord,
    SqliteOptions,
    TaskRecord,
    UnpauseOptions,
    WorkerOptions,
)
from ._errors import (
    BackendError,
    CancelledError,
    ClosedError,
    ConflictError,
    Error,
    FailedError,
    Failure,
    FailureRecord,
    ForkedError,
    InvalidError,
    LeaseLostError,
    NondeterminismError,
    NotFoundError,
    PanicError,
    Snooze,
    TimeoutError,
    UnsupportedError,
    UnwritableError,
    WrongThreadError,
)
from ._executor import Execution, Executor
from ._functions import Activity, Durable, Function, Handler, Request, UseOptions, activity, durable
from ._library import configure, describe, version
from ._requests import CleanupReport, ExecutionState, KeptSchedule, PauseRecord, Schedule, TaskInfo, Tick, WorkerStatus
from ._shutdown import shutdown
from ._task import Suspended, TaskContext
from ._watching import ExecutionEvent
from ._worker import Worker

__version__ = version()

__all__ = [
    "Activity",
    "activity",
    "Backend",
    "BackendError",
    "Batch",
    "batch",
    "BatchOptions",
    "CancelledError",
    "CheckedCase",
    "CheckOptions",
    "CheckReport",
    "CleanupOptions",
    "CleanupReport",
    "ClosedError",
    "Codec",
    "codec",
    "configure",
    "ConfigureOptions",
    "ConflictError",
    "Context",
    "current",
    "current_batch",
    "custom_backend",
    "CustomOptions",
    "DeadLetterFilter",
    "DeadLetterRecord",
    "describe",
    "Durable",
    "durable",
    "Duration",
    "Error",
    "Execution",
    "ExecutionEvent",
    "ExecutionFilter",
    "ExecutionRecord",
    "ExecutionState",
    "Executor",
    "FailedError",
    "Failure",
    "FailureRecord",
    "ForkedError",
    "Function",
    "FunctionOptions",
    "Handler",
    "InvalidError",
    "KeptSchedule",
    "LeaseLostError",
    "NondeterminismError",
    "NotFoundError",
    "PanicError",
    "PauseOptions",
    "PauseRecord",
    "ProgressRecord",
    "Request",
    "Rate",
    "RetryPolicy",
    "Schedule",
    "ScheduleFilter",
    "ScheduleOptions",
    "shutdown",
    "SignalRecord",
    "Snooze",
    "SqliteOptions",
    "Suspended",
    "sync",
    "TaskContext",
    "TaskInfo",
    "TaskRecord",
    "testing",
    "Tick",
    "TimeoutError",
    "UnpauseOptions",
    "UnsupportedError",
    "UnwritableError",
    "use_codec",
    "UseOptions",
    "version",
    "Worker",
    "WorkerOptions",
    "WorkerStatus",
    "WrongThreadError",
]
