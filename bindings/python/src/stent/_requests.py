"""What both executors ask the library for, and what they make of its answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NotRequired, TypedDict, Unpack

from . import _json
from ._described import ExecutionRecord, ScheduleOptions
from ._functions import Function, Request, request


class ExecutionState(ExecutionRecord):
    """An execution as it is now."""

    counters: dict[str, float]
    "What handlers counted."
    state_values: dict[str, Any]
    "What handlers set."
    replay_of: str | None
    "The execution that this one is the replay of."
    cancel_reason: str | None
    "Why it was cancelled."


class Tick(TypedDict):
    """What a tick of a schedule became."""

    at: str
    "Its time, which with the schedule's name is its identity."
    kind: str
    "scheduled, triggered or backfilled."
    state: str
    "started, waiting, skipped or missed."
    execution_id: str | None
    decided_at: str


class KeptSchedule(TypedDict):
    """A schedule as the store has it; one of `cron`, `every` and `times` is there."""

    name: str
    function: str
    args: list[Any]
    options: dict[str, Any]
    cron: NotRequired[str]
    every: NotRequired[float]
    times: NotRequired[list[str]]
    time_zone: str
    start: str | None
    end: str | None
    jitter: float
    overlap: str
    catch_up: float
    owner: str | None
    time_argument: str | None
    created_at: str
    updated_at: str
    paused_at: str | None
    pause_note: str | None
    next_at: str | None
    due_at: str | None
    last_execution_id: str | None
    running: bool
    waiting: int
    trouble: str | None
    next: list[str]
    "Ticks to come."
    last: list[Tick]
    "Ticks that were, the newest first."


class Schedule:
    """What is started at which times: `stent.Schedule("nightly", report.bind("all"), cron="0 3 * * *")`."""

    def __init__(
        self, name: str, what: Request[Any] | Function[..., Any] | str, **times: Unpack[ScheduleOptions]
    ) -> None:
        self.name = name
        self.request = what if isinstance(what, Request) else request(what, (), {})
        self.times = times

    @property
    def text(self) -> str:
        """As the library reads it."""
        times = _json.dumps_options(self.times)
        more = f",{times[1:]}" if self.times else "}"
        return f'{{"name":{_json.dumps(self.name)},{self.request.text[1:-1]}{more}'


def backfill(start: str | datetime, end: str | datetime, overlap: str | None) -> str:
    return _json.dumps_options({"from": start, "to": end, "overlap": overlap})


class CleanupReport(TypedDict):
    """How much was removed."""

    executions: int
    dead_letters: int


class PauseRecord(TypedDict):
    """A queue or a function of which nothing is claimed; the other one is None."""

    queue: str | None
    function: str | None
    since: str
    reason: str | None
    by: str | None
    running: int
    "Tasks of it that workers still hold."


class WorkerStatus(TypedDict):
    """What a worker is doing."""

    worker_id: str
    state: str
    "starting, ready, draining or stopped."
    slots: int
    "Handlers that may run at once."
    running: int
    "Handlers that run."
    prefetched: int
    "Tasks that were taken and have not begun."
    held: int
    "Leases."
    queues: list[str]
    tags: list[str]
    functions: list[str]
    coroutines: int
    "Durable functions that wait in memory, on an event loop."
    trouble: str | None
    "Why its last call to the store failed, or what else is wrong, while that is so."


class TaskInfo(TypedDict):
    """What is known of a task."""

    task_id: str
    "The same in every attempt: a good key for what is done in the world outside."
    execution_id: str
    function: str
    attempt: int
    "Begins at 1."
    fence: int
    worker_id: str
    deadline: str | None
    queue: str | None
    tags: list[str]
    priority: int
    kind: str
    parent_task_id: str | None
    step_key: str | None
    traceparent: str | None
    heartbeat: Any
    "What the last attempt said."
    run: int
    snoozes: int
    "How often it was put off by Snooze."
    created_at: str
    cleanup: bool
    "Its execution was cancelled or timed out, and this run is to clean up."
    apart: bool
    "A worker may have died of it, so it runs apart from others; of a batch it is the only one."


def many(requests: Iterable[Request[Any]]) -> str:
    return f"[{','.join(request.text for request in requests)}]"
