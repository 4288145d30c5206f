"""What flows can do, and what must come of it.

A program is a JSON array of instructions, run from top to bottom by `flow` in worker.c and worker.py. Each adds one value
to the flow's result:

    ["call", function, args, options?]   the result of an activity, or of another flow
    ["try", function, args, options?]    the same; a failure becomes {"failed": its type}
    ["map", function, args_list]         the results, all called at once; "try_map" catches the first failure
    ["spawn", function, args]            null; ["join"] gives the results of all that was spawned
    ["race", function, args, duration]   "call" or "sleep": who was first; the other one is cancelled
    ["sleep", duration]                  null
    ["signal", name, options?]           the payload; a time-out becomes {"failed": "SignalTimeout"}
    ["step", name, n]                    n + 1, made in place
    ["stable"]                           true: a UUID that was drawn is the same in every run
    ["counter", name, amount], ["state", key, value], ["progress", value]     null

["continue", program] starts over with another program, ["fail", type] fails.

`outcome` is the same thing without any of it: no crash, no store, no time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Program = list[Any]

ACTIVITIES = "double echo flaky declined broken poison slow limited cached once tally stamp undo".split()
LIMIT = 3


def options(attempts: int, deaths: int = 6, **more: Any) -> dict[str, Any]:
    """What does not fail has one attempt: nothing that happens to workers and stores is charged to it. Deaths have a limit
    of their own, which killing at random is not to reach: they count only where a task ran alone."""
    policy = {"max_attempts": attempts, "max_deaths": deaths, "initial_delay": "30ms", "max_delay": "200ms", "jitter": 0}
    return {"retry_policy": policy, **more}


FUNCTIONS: dict[str, dict[str, Any]] = {
    "flow": options(1),
    **{name: options(1) for name in ACTIVITIES},
    "flaky": options(4),
    "broken": options(2),
    "poison": options(1, deaths=1),
    "limited": options(1, max_concurrent=LIMIT),
    "cached": options(1, cached=True),
}


class Anything:
    """A value that the model does not know: who ran it, say."""

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "(anything)"


ANYTHING = Anything()


class Failed(Exception):
    """The flow ends with a failure of this type."""


@dataclass
class Outcome:
    """What must be there when a flow has ended."""

    state: str = "completed"
    # Of a flow that completed: its values. `signals` are the places in it that came from signals.
    result: list[Any] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)
    # Of one that failed.
    failure: str = ""
    counters: Counter[str] = field(default_factory=Counter)
    states: dict[str, Any] = field(default_factory=dict)
    progress: list[Any] = field(default_factory=list)
    # How often each function was called, and other operations by their kind.
    tasks: Counter[str] = field(default_factory=Counter)
    # It can't be quicker.
    seconds: float = 0


def outcome(program: Program, signals: list[Any], repaired: bool = False) -> Outcome:
    """What comes of a program, given the payloads that are sent to it in their order. `repaired`: "broken" is not."""
    made = Outcome()
    try:
        made.result = _run(program, list(signals), repaired, made)
    except Failed as failed:
        made.state, made.failure = "failed", str(failed)
    return made


def seconds(duration: str) -> float:
    return float(duration.removesuffix("ms")) / 1000


def _activity(function: str, args: list[Any], repaired: bool, made: Outcome) -> Any:
    made.tasks[function] += 1
    match function:
        case "flow":
            inner = Outcome()
            try:
                # Signals belong to the execution, not to a flow within it: programs of children wait for none.
                return _run(args[0], [], repaired, inner)
            finally:
                made.counters += inner.counters
                made.tasks += inner.tasks
                made.seconds += inner.seconds
        case "declined":
            raise Failed("Declined")
        case "broken" if not repaired:
            raise Failed("Broken")
        case "poison" if not repaired:
            raise Failed("WorkerDied")
        case "double":
            return 2 * args[0]
        case "cached":
            return args[0] + 1
        case "stamp":
            return ANYTHING
        case "tally":
            made.counters["tallied"] += 1
    return args[0]


def _run(program: Program, signals: list[Any], repaired: bool, made: Outcome) -> list[Any]:
    values: list[Any] = []
    spawned: list[Any] = []
    for what, *rest in program:
        value: Any = None
        match what:
            case "call":
                value = _activity(rest[0], rest[1], repaired, made)
            case "map":
                value = [_activity(rest[0], args, repaired, made) for args in rest[1]]
            case "try" | "try_map":
                value = _try(rest[0], [rest[1]] if what == "try" else rest[1], repaired, made)
                value = value[0] if what == "try" and isinstance(value, list) else value
            case "spawn":
                spawned.append(_activity(rest[0], rest[1], repaired, made))
            case "join":
                value, spawned = spawned, []
            case "race":
                # Races are made so that the sleep wins.
                made.tasks[rest[0]] += 1
                made.tasks["timer"] += 1
                made.seconds += seconds(rest[2])
                value = "sleep"
            case "sleep":
                made.tasks["timer"] += 1
                made.seconds += seconds(rest[0])
            case "signal":
                made.tasks["signal"] += 1
                made.signals.append(len(values))
                value = {"failed": "SignalTimeout"}
                if rest[0] == "s":
                    value = signals.pop(0)
                else:
                    made.seconds += seconds(rest[1]["timeout"])
            case "step":
                made.tasks["step"] += 1
                value = rest[1] + 1
            case "stable":
                made.tasks["echo"] += 1
                value = True
            case "counter":
                made.counters[rest[0]] += rest[1]
            case "state":
                made.states[rest[0]] = rest[1]
            case "progress":
                made.progress.append(rest[0])
            case "continue":
                # The journal is emptied, and counts from here.
                made.tasks.clear()
                made.signals.clear()
                return _run(rest[0], signals, repaired, made)
            case "fail":
                raise Failed(rest[0])
            case _:
                raise AssertionError(what)
        values.append(value)
    return values


def _try(function: str, args_list: list[list[Any]], repaired: bool, made: Outcome) -> Any:
    """All of them are called, whichever fails."""
    values, failure = [], None
    for args in args_list:
        try:
            values.append(_activity(function, args, repaired, made))
        except Failed as failed:
            failure = failure or {"failed": str(failed)}
    return failure or values
