"""What an activity may know of the task that it runs for."""

from __future__ import annotations

from contextvars import ContextVar

from ._task import TaskContext


running: ContextVar[TaskContext] = ContextVar("stent.running")


def current() -> TaskContext:
    """The task of the activity that is running here: its ids, its attempt, heartbeats, progress, counters."""
    try:
        return running.get()
    except LookupError:
        raise RuntimeError("no activity of Stent is running here") from None
