"""What an activity, or a batch, may know of the tasks that it runs for."""

from __future__ import annotations

from contextvars import ContextVar

from ._task import TaskContext


running: ContextVar[TaskContext] = ContextVar("stent.running")
gathered: ContextVar[list[TaskContext]] = ContextVar("stent.gathered")


def current() -> TaskContext:
    """The task of the activity that is running here: its ids, its attempt, heartbeats, progress, counters."""
    try:
        return running.get()
    except LookupError:
        batch = "; a batch is, whose tasks stent.current_batch() gives" if gathered.get(None) is not None else ""
        raise RuntimeError(f"no activity of Stent is running here{batch}") from None


def current_batch() -> list[TaskContext]:
    """The tasks of the batch that is running here, one for each item, in their order: their ids, attempts, heartbeats, holds."""
    try:
        return list(gathered.get())
    except LookupError:
        raise RuntimeError("no batch of Stent is running here") from None
