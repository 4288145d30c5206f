"""A run, looked up from all sides: what the rules of the checker have in common. Nothing here judges."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .history import Line, Run
from .plan import Item
from .programs import Outcome, outcome

HANDLED = ("orchestrator", "activity")


@dataclass(frozen=True)
class Problem:
    """`rule`: the name of the one that is broken."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass
class Body:
    """One time that a handler's body ran, or began to."""

    task: str
    execution: str
    function: str
    fence: int
    worker: str
    began: float
    attempt: int
    # It waits in memory, and may go on under newer fences than the one it tells.
    coroutine: bool
    # How it ended, by its own word: "complete", "fail", "leave", "continue", "cancelled"; "" if it was cut off.
    end: str = ""
    ended: float = 0
    value: Any = None


class View:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.items = run.plan.items
        self.executions = run.executions
        self.moved_clocks = any(line["fault"] == "clock" for line in run.faults)

    # ---- what the clients asked for ----

    @cached_property
    def answers(self) -> dict[str, Line]:
        """The answer to each request that has one."""
        return {line["request"]: line for line in self.run.client if line["say"] in ("ack", "over")}

    @cached_property
    def asked(self) -> set[str]:
        return {line["request"] for line in self.run.client}

    @cached_property
    def many(self) -> dict[int, str]:
        """The numbers of items that came in requests for two, and the request."""
        pairs = [request for request in self.asked if request.startswith("many:")]
        return {int(number): request for request in pairs for number in request.split(":")[1:]}

    def id(self, item: Item) -> str | None:
        """The execution that an item was answered to be; None: there was no answer."""
        request = self.many.get(item.number, f"dispatch:{item.number}")
        if request not in self.answers:
            return None
        return str(self.answers[request]["answer"]) if item.how == "key" else item.id

    @cached_property
    def known(self) -> list[tuple[Item, str, Line]]:
        """Items whose dispatch was acknowledged, and that are there."""
        pairs = [(item, self.id(item)) for item in self.items]
        return [(item, id, self.executions[id]) for item, id in pairs if id in self.executions]

    @cached_property
    def expected(self) -> dict[str, Outcome]:
        """By the number of the item, as text."""
        made = {}
        for item in self.items:
            if not item.cancel and not item.expires:
                made[str(item.number)] = outcome(item.program, item.signals)
        return made

    @cached_property
    def forks(self) -> dict[str, list[Line]]:
        """Executions that are replays, by the execution that they repeat."""
        found: dict[str, list[Line]] = defaultdict(list)
        for execution in self.executions.values():
            if execution.get("replay_of"):
                found[execution["replay_of"]].append(execution)
        return found

    @cached_property
    def compensations(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for id, execution in self.executions.items():
            if execution["root_function"] == "undo":
                found[execution["args"][0]["execution_id"]].append(id)
        return found

    # ---- what the workers did ----

    @cached_property
    def tasks(self) -> dict[str, Line]:
        return {task["id"]: task for tasks in self.run.tasks.values() for task in tasks}

    @cached_property
    def bodies(self) -> list[Body]:
        found: list[Body] = []
        open: dict[tuple[str, int, str], Body] = {}
        for line in self.run.bodies:
            key = (line["task"], line["fence"], line["worker"])
            if line["event"] == "begin":
                where = (line["task"], line["execution"], line["function"], line["fence"], line["worker"])
                body = Body(*where, line["at"], line["attempt"], line.get("coroutine", False))
                found.append(body)
                open[key] = body
            elif line["event"] != "step" and key in open:
                body = open[key]
                body.end, body.ended = line["event"], line["at"]
                body.value = line.get("result", line.get("failure", line.get("status")))
        return found

    @cached_property
    def bodies_of(self) -> dict[str, list[Body]]:
        """By the task."""
        found: dict[str, list[Body]] = defaultdict(list)
        for body in self.bodies:
            found[body.task].append(body)
        return found

    @cached_property
    def absences(self) -> dict[str, list[tuple[float, float]]]:
        """When a worker did not run: frozen, and after its death for ever."""
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for line in self.run.faults:
            worker, at = line.get("worker", ""), line["at"]
            match line["fault"]:
                case "freeze" | "kill" | "ended":
                    found[worker].append((at, float("inf")))
                case "thaw":
                    found[worker][-1] = (found[worker][-1][0], at)
        return found

    def awake(self, worker: str, start: float, end: float) -> float:
        """How long the worker ran between two moments."""
        away = sum(max(0, min(until, end) - max(since, start)) for since, until in self.absences.get(worker, []))
        return end - start - away

    def leaves(self, worker: str, start: float) -> float:
        """The first moment from then on at which it does not run."""
        return min((since for since, until in self.absences.get(worker, []) if until > start), default=float("inf"))
