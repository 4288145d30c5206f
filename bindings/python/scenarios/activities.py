"""The activities of ../scenarios.md, for both hosts: plain functions, on threads."""

from __future__ import annotations

import os
import time
from pathlib import Path

import stent

# How often is looked for a file, or for a cancellation.
LOOK = 0.01


def add_line(file: str, line: str) -> None:
    """In one write, so that lines of several processes don't mix."""
    with open(file, "ab", buffering=0) as opened:
        opened.write(f"{line}\n".encode())


@stent.activity(name="python.greet")
def greet(name: str) -> str:
    return "hello, " + name


@stent.activity(name="python.add")
def add(a: int, b: int) -> int:
    return a + b


@stent.activity(name="python.square")
def square(n: int) -> int:
    return n * n


class Flaky(Exception):
    pass


@stent.activity(name="python.flaky", retry_policy={"max_attempts": 5, "initial_delay": "20ms", "jitter": 0})
def flaky(times: int) -> int:
    attempt = stent.current().attempt
    if attempt <= times:
        raise Flaky(f"attempt {attempt}")
    return attempt


@stent.activity(
    name="python.patient", retry_policy={"max_attempts": 5, "delays": ["20ms"], "max_elapsed": "1h", "jitter": 0}
)
def patient() -> list[int]:
    here = stent.current()
    if here.snoozes == 0:
        raise stent.Snooze("20ms")
    if here.attempt == 1:
        raise stent.Failure("Busy", "come back later", retry_after="1")
    return [here.snoozes, here.attempt]


@stent.activity(name="python.charge")
def charge(card: str) -> None:
    raise stent.Failure(
        "CardDeclined",
        f"the card {card} was declined",
        code="card_declined",
        retryable=False,
        details={"card": card},
    )


@stent.activity(name="python.append")
def append(file: str, line: str) -> int:
    add_line(file, line)
    return len(Path(file).read_text().splitlines())


@stent.activity(name="python.mark")
def mark(file: str, n: int) -> int:
    add_line(file, str(n))
    while n == 3 and not os.path.exists(f"{file}.go"):
        time.sleep(LOOK)
    return n


@stent.activity(name="python.until_cancelled")
def until_cancelled(file: str) -> None:
    task = stent.current()
    add_line(file, "started")
    while not task.is_cancelled:
        time.sleep(LOOK)
    add_line(file, "cancelled")
    task.heartbeat()  # raises, for the task is cancelled


@stent.activity(name="python.reversed")
def reverse(given: bytes) -> bytes:
    assert isinstance(given, bytes)
    return given[::-1]


ACTIVITIES = (greet, add, square, flaky, patient, charge, append, mark, until_cancelled, reverse)
