"""Is a run as it must be? A pure function of what was written down: `check(run)` gives all that is wrong, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import rules_bodies, rules_records
from .history import Run
from .view import Problem, View

RULES: list[Callable[[View], Iterator[Problem]]] = [
    rules_records.lost,
    rules_records.answers,
    rules_records.strays,
    rules_records.ends,
    rules_records.results,
    rules_records.once,
    rules_records.open_tasks,
    rules_records.counters,
    rules_records.told,
    rules_records.letters,
    rules_records.compensation,
    rules_records.deadlines,
    rules_records.keys,
    rules_records.observed,
    rules_records.outcries,
    rules_bodies.cancels,
    rules_bodies.leases,
    rules_bodies.fences,
    rules_bodies.ran,
    rules_bodies.attempts,
    rules_bodies.limits,
    rules_bodies.owners,
    rules_bodies.caches,
    rules_bodies.sleeps,
]


def check(run: Run) -> list[list[Problem]]:
    """For each rule what breaks it; nothing is as it should be."""
    view = View(run)
    return [list(rule(view)) for rule in RULES]


def problems(run: Run) -> list[Problem]:
    return [problem for found in check(run) for problem in found]
