"""What both executors ask the library for, and what they make of its answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypedDict

from . import _json
from ._described import ExecutionRecord
from ._functions import Request


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
    created_at: str
    cleanup: bool
    "Its execution was cancelled or timed out, and this run is to clean up."


def many(requests: Iterable[Request[Any]]) -> str:
    return f"[{','.join(request.text for request in requests)}]"
