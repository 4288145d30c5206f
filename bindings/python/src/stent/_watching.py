"""What is new of an execution, from one look at it to the next."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Literal, TypedDict

from ._described import ProgressRecord
from ._requests import ExecutionState

INTERVAL = 0.25
"""Seconds between two looks. The end is told at once."""

_OVER = frozenset(("completed", "failed", "cancelled", "timed_out"))


class ExecutionEvent(TypedDict):
    """Something that was told of an execution."""

    type: Literal["state", "progress", "counter", "value"]
    name: str | None
    "Of the counter or the value; of progress the step's."
    value: Any
    "The state, the progress's record, or what the counter or the value is now."


class Watch:
    """What one watcher has seen of it."""

    def __init__(self) -> None:
        self._state: str | None = None
        self._lines: Counter[str] = Counter()
        self._counters: dict[str, float] = {}
        self._values: dict[str, Any] = {}

    @property
    def is_over(self) -> bool:
        return self._state in _OVER

    def news(self, now: ExecutionState) -> list[ExecutionEvent]:
        """What is new: first what was said, then the state that followed from it."""
        events = [event("progress", line["step"], line) for line in self._new_lines(now["progress"])]
        events += _changed("counter", self._counters, now["counters"])
        events += _changed("value", self._values, now["state_values"])
        if now["state"] != self._state:
            events.append(event("state", None, now["state"]))
        self._state, self._counters, self._values = now["state"], now["counters"], now["state_values"]
        return events

    def _new_lines(self, lines: list[ProgressRecord]) -> list[ProgressRecord]:
        """A line may say the same as another; and one that goes on to say more is new."""
        before, self._lines = self._lines, Counter()
        new = []
        for line in lines:
            text = json.dumps(line, sort_keys=True, default=repr)
            self._lines[text] += 1
            if self._lines[text] > before[text]:
                new.append(line)
        return new


def event(type: Literal["state", "progress", "counter", "value"], name: str | None, value: Any) -> ExecutionEvent:
    return {"type": type, "name": name, "value": value}


def _changed(
    type: Literal["counter", "value"], before: dict[str, Any], now: dict[str, Any]
) -> list[ExecutionEvent]:
    return [event(type, name, value) for name, value in now.items() if name not in before or before[name] != value]
