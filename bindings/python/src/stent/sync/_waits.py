"""Waiting in C without being deaf for Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .._errors import TimeoutError
from .._library import milliseconds

T = TypeVar("T")

# Python looks for signals when a call comes back from C: at least this often, in seconds.
LOOK = 0.5


def wait_in_slices(wait: Callable[[int], T], timeout: float | None) -> T:
    """Calls `wait` with a time-out in milliseconds, again and again until `timeout` (seconds, None: for ever) is over."""
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = LOOK if until is None else min(LOOK, until - time.monotonic())
        try:
            return wait(milliseconds(left))
        except TimeoutError as error:
            over = isinstance(error.details, dict) and error.details.get("state") == "timed_out"
            if over or left < LOOK:
                raise
