"""Rates: the example of docs/rates.md, and the moments at which attempts start with real workers."""

from __future__ import annotations

import threading
import time
from typing import Any

import stent
from stent import sync


@stent.activity(rate={"limit": 100, "period": "1m", "burst": 10})
def tell(customer: str) -> str:
    return f"told {customer}"


@stent.activity(rate_per_key={"limit": 1, "period": "200ms"}, max_concurrent_per_key=1)
def import_of(customer: str, number: int) -> int:
    return number


class Starts:
    """When attempts have begun, by this process's clock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        with self.lock:
            self.at.append((name, time.monotonic()))

    def between(self, name: str) -> list[float]:
        times = sorted(at for of, at in self.at if of == name)
        return [later - before for before, later in zip(times, times[1:])]


def test_a_burst_starts_at_once(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(tell):
        handles = [executor.dispatch(tell, f"c{number}") for number in range(12)]
        assert [handle.result(30) for handle in handles[:11]] == [f"told c{number}" for number in range(11)]
        # The last one's token comes 1.2 s after the first start.
        state = handles[11].state()["state"]
        assert handles[11].result(30) == "told c11" and state in ("pending", "completed")


def test_each_key_starts_one_by_one_and_at_its_moment(store: str) -> None:
    starts = Starts()

    @stent.activity(name="import_of", rate_per_key={"limit": 1, "period": "200ms"})
    def noted(customer: str, number: int) -> int:
        starts.note(customer)
        return number

    with sync.Executor(store) as executor, executor.worker(noted, worker_id="one"), executor.worker(noted, worker_id="two"):
        handles = [
            executor.dispatch(noted.options(concurrency_key=customer), customer, number)
            for number in range(4)
            for customer in ("ada", "bob")
        ]
        assert [handle.result(30) for handle in handles] == [number for number in range(4) for _ in range(2)]
    for customer in ("ada", "bob"):
        between = starts.between(customer)
        assert len(between) == 3
        # Of the store's clock it is exact: here, by when the handlers were called, as they are told.
        assert min(between) > 0.1, between
        # The handlers are idle: each starts as soon as it may.
        assert sorted(between)[1] < 0.3, between


def test_a_retry_waits_for_its_token(store: str) -> None:
    starts = Starts()

    @stent.activity(rate={"limit": 1, "period": 0.3}, retry_policy={"max_attempts": 3, "initial_delay": 0})
    def fails_twice(given: Any) -> int:
        starts.note("fails")
        if len(starts.at) < 3:
            raise stent.Failure("Broken", "not yet")
        return len(starts.at)

    with sync.Executor(store) as executor, executor.worker(fails_twice):
        assert executor.dispatch(fails_twice, None).result(30) == 3
    assert min(starts.between("fails")) > 0.2
