"""Steps whose COMMIT is recorded and whose answer gets lost, every one of them: each is what it is, at once.

A round finds this by chance only; it was found by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import stent
from stent import sync

from .plan import LEASE
from .stores import Postgres
from .view import Problem

STEPS = 12


def check(store: Postgres) -> Iterator[Problem]:
    @stent.durable(name="lost_steps", retry_policy={"max_attempts": 1})
    def lost_steps(context: sync.Context) -> list[int]:
        def body(number: int) -> int:
            store.proxy.lose_commits(1)
            return number

        return [context.step("lost", lambda: body(number)) for number in range(STEPS)]

    options: dict[str, Any] = json.loads(store.options)
    with sync.Executor(f"{store.url}&schema=lost", **options) as executor, executor.worker(lost_steps, lease_duration=10 * LEASE):
        execution = executor.dispatch(lost_steps)
        try:
            result = execution.result(60)
        except stent.Error as error:
            yield Problem("lost_steps", f"{type(error).__name__}: {error}")
        else:
            if result != list(range(STEPS)):
                yield Problem("lost_steps", f"the steps gave {result}")
        store.heal()
