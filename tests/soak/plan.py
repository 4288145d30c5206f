"""What one round asks for, and what is done to it meanwhile: drawn from a seed, and nothing else."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .programs import Program

CLIENTS = 2
THREADS = 3
CLIENT_THREADS = CLIENTS * THREADS
# Leases of the workers, in seconds.
LEASE = 1.5
NEVER = 600_000


@dataclass
class Item:
    """One execution that a client starts, and what it does to it."""

    number: int
    kind: str
    id: str
    program: Program
    options: dict[str, Any] = field(default_factory=dict)
    # How it is started: "dispatch", "many" (in one request with another one), or "key" (by an idempotency key, twice).
    how: str = "dispatch"
    signals: list[Any] = field(default_factory=list)
    # Signals with these numbers are sent twice, as by a sender that has no answer.
    twice: list[int] = field(default_factory=list)
    cancel: bool = False
    # The deadline passes.
    expires: bool = False
    # Its dead letter is repaired and replayed.
    replay: bool = False
    # So many additions to the counter "client".
    additions: int = 0
    # How it ends is looked at by the client, too.
    watch: bool = False
    pause: float = 0


@dataclass
class Fault:
    after: float
    kind: str
    target: int = 0
    amount: float = 0


@dataclass
class Plan:
    seed: int
    store: str
    folder: str
    items: list[Item]
    faults: list[Fault]

    def save(self) -> None:
        (Path(self.folder) / "plan.json").write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Plan:
        raw = json.loads((folder / "plan.json").read_text())
        items, faults = [Item(**item) for item in raw["items"]], [Fault(**fault) for fault in raw["faults"]]
        return cls(raw["seed"], raw["store"], raw["folder"], items, faults)


class Maker:
    def __init__(self, seed: int, folder: str) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.folder = folder
        self.items: list[Item] = []
        self.breaks = 0

    def n(self) -> int:
        return self.random.randrange(1000)

    def item(self, kind: str, program: Program, **more: Any) -> Item:
        made = Item(len(self.items), kind, str(uuid.UUID(int=self.random.getrandbits(128), version=4)), program, **more)
        made.watch = made.watch or self.random.random() < 0.25
        self.items.append(made)
        return made

    # ---- the kinds ----

    def sequence(self) -> None:
        self.item("sequence", [["call", "double", [self.n()]] for _ in range(4)], how="many")

    def fan_out(self) -> None:
        self.item("fan_out", [["map", "double", [[self.n()] for _ in range(12)]], ["call", "echo", ["over"]]])

    def nested(self) -> None:
        program: Program = [["call", "double", [self.n()]], ["step", "deep", 3]]
        for _ in range(3):
            program = [["call", "echo", [self.n()]], ["call", "flow", [program]], ["call", "double", [self.n()]]]
        self.item("nested", program)

    def sleeps(self) -> None:
        options = {"delay": "200ms"} if self.random.random() < 0.5 else {}
        self.item("sleeps", [["sleep", "200ms"], ["call", "double", [self.n()]], ["sleep", "300ms"]], options=options)

    def inbox(self) -> None:
        payloads = [{"number": number, "text": "é\n"} for number in range(5)]
        take = ["signal", "s"]
        program = [take, take, ["call", "echo", [1]], take, take, take]
        self.item("inbox", program, signals=payloads, twice=[0, 3])

    def late_signal(self) -> None:
        program = [["signal", "never", {"timeout": "300ms"}], ["signal", "s", {"timeout": "600000ms"}]]
        self.item("late_signal", program, signals=["late"])

    def flaky(self) -> None:
        self.item("flaky", [["call", "flaky", [self.n(), 3]], ["call", "flaky", [self.n(), 1]]])

    def broken(self) -> None:
        path = f"{self.folder}/repaired-{len(self.items)}"
        program = [["call", "double", [self.n()]], ["call", "broken", [self.n(), path]], ["call", "double", [self.n()]]]
        self.item("broken", program, replay=self.breaks % 2 == 0, watch=True)
        self.breaks += 1

    def poison(self) -> None:
        path = f"{self.folder}/repaired-{len(self.items)}"
        program = [["call", "double", [self.n()]], ["call", "poison", [self.n(), path]], ["call", "double", [self.n()]]]
        self.item("poison", program, replay=self.breaks % 2 == 0, watch=True)

    def caught(self) -> None:
        inner = [["call", "double", [1]], ["fail", "Inner"]]
        program = [["try", "declined", [self.n()]], ["try", "flow", [inner]], ["try", "double", [self.n()]]]
        self.item("caught", program)

    def fails(self) -> None:
        self.item("fails", [["call", "double", [self.n()]], ["call", "declined", [self.n()]], ["call", "double", [1]]])

    def once(self) -> None:
        key = f"once-{self.seed}-{len(self.items)}"
        call = ["call", "once", [key], {"idempotency_key": key}]
        for _ in range(2):
            self.item("once", [call, ["call", "double", [self.n()]], call])

    def key(self) -> None:
        options = {"idempotency_key": f"key-{self.seed}-{len(self.items)}"}
        self.item("key", [["call", "double", [self.n()]]], options=options, how="key")

    def cached(self) -> None:
        n = self.seed % 100_000 * 1000 + len(self.items)
        self.item("cached", [["call", "cached", [n]], ["call", "cached", [n]]])

    def books(self) -> None:
        program: Program = [["call", "echo", [1]]]
        for number in range(3):
            program += [
                ["counter", "lines", 1],
                ["counter", "total", self.n()],
                ["state", "last", {"number": number}],
                ["progress", {"soak": number}],
                ["call", "tally", [number]],
            ]
        self.item("books", program, additions=4)

    def cancelled(self) -> None:
        program = [["call", "double", [1]], ["map", "slow", [[n, 400] for n in range(6)]], ["signal", "s"]]
        self.item("cancelled", program, options={"on_cancel": "undo"}, cancel=True)

    def keeps(self) -> None:
        last = [["signal", "s"], ["call", "double", [self.n()]]]
        program = [["signal", "s"], ["continue", [["call", "echo", [2]], ["signal", "s"], ["continue", last]]]]
        self.item("continues", program, signals=[1, 2, 3])

    def limited(self) -> None:
        self.item("limited", [["map", "limited", [[n, 40] for n in range(5)]]])

    def deadline(self) -> None:
        program = [["call", "double", [1]], ["signal", "s"]]
        self.item("deadline", program, options={"expiry": "700ms", "on_cancel": "undo"}, expires=True)

    def first_failure(self) -> None:
        calls = [[self.n(), 3] for _ in range(4)]
        program = [["try_map", "declined", calls], ["call", "double", [self.n()]]]
        self.item("first_failure", program)

    def spawned(self) -> None:
        program: Program = [["spawn", "double", [self.n()]] for _ in range(3)]
        program += [["sleep", "100ms"], ["spawn", "stamp", [1]], ["join"], ["spawn", "echo", [5]], ["join"]]
        self.item("spawned", program)

    def steps(self) -> None:
        program = [["step", "a", self.n()], ["step", "b", self.n()], ["sleep", "100ms"], ["step", "a", self.n()]]
        self.item("steps", program)

    def race(self) -> None:
        self.item("race", [["race", "slow", [1, NEVER], "150ms"], ["call", "double", [self.n()]]])

    def stable(self) -> None:
        self.item("stable", [["stable"], ["sleep", "50ms"], ["stable"], ["call", "stamp", [0]]])

    def keeper(self) -> None:
        self.item("keeper", [["call", "echo", [0]], ["signal", "s"]], signals=["close"], additions=12)


KINDS: list[Callable[[Maker], None]] = [
    Maker.sequence,
    Maker.fan_out,
    Maker.nested,
    Maker.sleeps,
    Maker.inbox,
    Maker.late_signal,
    Maker.flaky,
    Maker.broken,
    Maker.poison,
    Maker.caught,
    Maker.fails,
    Maker.once,
    Maker.key,
    Maker.cached,
    Maker.books,
    Maker.cancelled,
    Maker.keeps,
    Maker.limited,
    Maker.deadline,
    Maker.first_failure,
    Maker.spawned,
    Maker.steps,
    Maker.race,
    Maker.stable,
    Maker.keeper,
]

# What happens to each store, and how often beside the others.
WORKERS = {"kill": 5, "freeze": 3, "drain": 2, "kill_client": 1}
SQLITE = WORKERS | {"full": 1, "fail_sync": 2, "fail_write": 2, "clock": 2}
POSTGRES = WORKERS | {"lose_commit": 3, "cut": 1, "swallow_commit": 1, "stall": 1, "delay": 1, "restart": 1, "crash": 2}


def make(seed: int, store: str, folder: str, copies: int, faults: int) -> Plan:
    maker = Maker(seed, folder)
    kinds = KINDS * copies
    maker.random.shuffle(kinds)
    for kind in kinds:
        kind(maker)
    weights = {"sqlite": SQLITE, "postgres": POSTGRES}[store]
    drawn = list(weights) + maker.random.choices(list(weights), list(weights.values()), k=max(0, faults - len(weights)))
    maker.random.shuffle(drawn)
    chance = maker.random
    made = [Fault(round(chance.uniform(0.1, 0.7), 3), kind, chance.randrange(100), chance.random()) for kind in drawn]
    if store == "postgres":
        made.append(Fault(0.5, "failover"))
    return paced(Plan(seed, store, folder, maker.items, made))


def paced(plan: Plan) -> Plan:
    """The work is spread over the time of the faults: so long a client's thread waits before each of its items."""
    pause = sum(fault.after for fault in plan.faults) * CLIENT_THREADS / len(plan.items)
    chance = random.Random(plan.seed)
    for item in plan.items:
        item.pause = round(chance.uniform(0, 2 * pause), 3)
    return plan
