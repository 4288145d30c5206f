"""Power cuts: a SQLite file as it is when the machine loses its power, made from the shim's trace of writes.

What was synced is there. What was not is not, or any part of it is, as a disk likes. Whatever was acknowledged before the
cut must be there in both cases, in a file without a fault: with synchronous=FULL nothing may be missing.
"""

from __future__ import annotations

import random
import sqlite3
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from stent import sync

from .history import Line, Run, mark
from .view import Problem, View

# As in shim.c: operation, file, thread, offset, length; the data of a write follow.
RECORD = struct.Struct("=iiqqq")
WRITE, SYNC_BEGINS, SYNC_ENDS, TRUNCATE, UNLINK, MARK = range(1, 7)
NAMES = ("soak.db", "soak.db-wal")


@dataclass
class File:
    # What is on the disk for certain.
    safe: bytearray = field(default_factory=bytearray)
    # What was written and not synced: place in the trace, operation, offset, data.
    loose: list[tuple[int, int, int, bytes]] = field(default_factory=list)


def write(data: bytearray, operation: int, offset: int, piece: bytes) -> None:
    if operation == TRUNCATE:
        del data[offset:]
        data.extend(bytes(offset - len(data)))
        return
    data.extend(bytes(max(0, offset + len(piece) - len(data))))
    data[offset : offset + len(piece)] = piece


class Disk:
    """Two files, the trace played so far, and the marks that it has passed."""

    def __init__(self) -> None:
        self.files = (File(), File())
        self.syncs: dict[tuple[int, int], int] = {}
        self.marks: set[int] = set()

    def play(self, place: int, operation: int, number: int, thread: int, offset: int, data: bytes) -> None:
        if operation == MARK:
            self.marks.add(offset)
            return
        file = self.files[number]
        match operation:
            case 1 | 4:  # WRITE, TRUNCATE
                file.loose.append((place, operation, offset, data))
            case 2:  # SYNC_BEGINS
                self.syncs[thread, number] = place
            case 3:  # SYNC_ENDS
                until = self.syncs.pop((thread, number))
                for _, kind, at, piece in [one for one in file.loose if one[0] < until]:
                    write(file.safe, kind, at, piece)
                file.loose = [one for one in file.loose if one[0] >= until]
            case 5:  # UNLINK
                file.safe.clear()
                file.loose.clear()

    def cut(self, folder: Path, chance: random.Random | None) -> Path:
        """Makes the files in a folder. `chance`: which of what is loose has got there all the same; None: nothing."""
        folder.mkdir(parents=True)
        for name, file in zip(NAMES, self.files, strict=True):
            data = bytearray(file.safe)
            for _, kind, at, piece in file.loose:
                if chance and chance.random() < 0.5:
                    write(data, kind, at, piece)
            if data:
                (folder / name).write_bytes(data)
        return folder / NAMES[0]


def records(trace: Path, until: int) -> Iterator[tuple[int, int, int, int, int, bytes]]:
    with trace.open("rb") as file:
        while file.tell() < until:
            place = file.tell()
            operation, number, thread, offset, length = RECORD.unpack(file.read(RECORD.size))
            yield place, operation, number, thread, offset, file.read(length) if operation == WRITE else b""


def check(run: Run, trace: Path, until: int, folder: Path, cuts: int) -> list[Problem]:
    """Cuts the power at `cuts` moments: as often as can be just behind an acknowledgement. `until`: so much of the trace."""
    chance = random.Random(run.plan.seed)
    places = [(record[0], record[1]) for record in records(trace, until)]
    marks = [place for place, operation in places if operation == MARK]
    chosen = set(chance.sample(marks, min(len(marks), cuts * 2 // 3)))
    chosen |= set(chance.sample([place for place, _ in places], min(len(places), cuts - len(chosen))))
    disk, found = Disk(), []
    for record in records(trace, until):
        disk.play(*record)
        if record[0] in chosen:
            for name, luck in (("none", None), ("some", chance)):
                found += missing(run, disk.cut(folder / f"{record[0]}-{name}", luck), disk.marks)
    return found


def missing(run: Run, path: Path, marks: set[int]) -> list[Problem]:
    """What is wrong with a file of which all this was acknowledged."""
    lines = {line["request"]: line for line in run.client if line["say"] == "ack" and mark(line["at"]) in marks}
    where = path.parent.name
    if not path.exists():
        return [Problem("power", f"{where}: there is no file, and {len(lines)} acknowledgements")] if lines else []
    try:
        with sqlite3.connect(path) as database:
            verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            signals = defaultdict(set)
            if lines:
                for id, signal in database.execute("SELECT execution_id, id FROM signals"):
                    signals[str(UUID(bytes=id))].add(signal)
        database.close()
        if verdict != "ok":
            return [Problem("power", f"{where}: {verdict}")]
        with sync.Executor(path) as executor:
            return [Problem("power", f"{where}: {what}") for what in unkept(View(run), lines, executor, signals)]
    except (sqlite3.Error, OSError) as error:
        return [Problem("power", f"{where}: {error}")]


def unkept(view: View, lines: dict[str, Line], executor: sync.Executor, signals: dict[str, set[str]]) -> Iterator[str]:
    sums: dict[str, int] = defaultdict(int)
    ids = {str(item.number): view.id(item) or "" for item in view.items}
    there: dict[str, Any] = {}
    for request, line in lines.items():
        what, number, *rest = request.split(":")
        if what in ("dispatch", "many"):
            for one in [number] if what == "dispatch" else [number, *rest]:
                try:
                    there[one] = executor.execution(ids[one]).state()
                except LookupError:
                    yield f"{request} is lost"
    for request, line in lines.items():
        what, number, *rest = request.split(":")
        if number not in there:
            continue
        state = there[number]["state"]
        match what:
            case "signal" if f"s{rest[0]}" not in signals[ids[number]]:
                # One that starts over forgets those that it took.
                if view.items[int(number)].kind != "continues":
                    yield f"{request} is lost"
            case "cancel" if state not in ("cancelling", "cancelled"):
                yield f"{request} is lost: the execution is {state}"
            case "wait" if state != line["answer"]["state"]:
                yield f"{ids[number]} was {line['answer']['state']}, and is {state}"
            case "add":
                sums[number] += line["amount"]
    for number, amount in sums.items():
        counted = there[number]["counters"].get("client", 0) if number in there else 0
        if counted < amount:
            yield f"of {amount} added to {ids[number]} {counted} are there"
