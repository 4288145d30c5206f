"""What was asked, done and found in one round: plain lines of JSON in files, and one record of them all for the checker."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .plan import Plan

Line = dict[str, Any]


class Journal:
    """A file of which nothing is ever taken away. Each line is written at once, and all processes share one clock."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.lock = threading.Lock()

    def write(self, **line: Any) -> float:
        """Gives the line's "at"."""
        at = round(time.monotonic(), 6)
        text = json.dumps({"at": at, **line}).encode() + b"\n"
        with self.lock:
            os.write(self.fd, text)
        return at


def mark(at: float) -> int:
    """A line's number in a trace of writes."""
    return round(at * 1e6)


def read(path: Path) -> list[Line]:
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            # Whoever was killed while it wrote has said nothing.
            continue
    return lines


@dataclass
class Run:
    """All that the checker looks at."""

    plan: Plan
    # Of the clients: {"request", "say": "ask", "ack", "error" or "over", "answer", "at"}.
    client: list[Line] = field(default_factory=list)
    # Of the workers' handlers: {"event", "task", "execution", "function", "attempt", "fence", "worker", "at", …}.
    bodies: list[Line] = field(default_factory=list)
    # Of the harness: {"fault", "worker", "at", …}.
    faults: list[Line] = field(default_factory=list)
    # Executions by their id, as `state` tells them; their tasks; dead letters.
    executions: dict[str, Line] = field(default_factory=dict)
    tasks: dict[str, list[Line]] = field(default_factory=dict)
    letters: list[Line] = field(default_factory=list)
    # What did not come to an end in its time.
    unfinished: list[str] = field(default_factory=list)
    # Panics and the like in what processes wrote on their standard error.
    outcries: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> Run:
        records = json.loads((folder / "records.json").read_text())
        client = [line for path in sorted(folder.glob("client-*.jsonl")) for line in read(path)]
        run = cls(Plan.load(folder), client, read(folder / "bodies.jsonl"), read(folder / "faults.jsonl"), **records)
        run.client.sort(key=lambda line: float(line["at"]))
        run.bodies.sort(key=lambda line: float(line["at"]))
        return run
