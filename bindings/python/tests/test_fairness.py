"""Shares of a queue and priorities that age: the examples of docs/fairness.md, with real workers."""

from __future__ import annotations

import threading
from typing import Any

import stent
from stent import sync


@stent.activity(queue="imports")
def import_of(customer: str, number: int) -> int:
    return number


def start(executor: sync.Executor, customer: str, numbers: list[int], weight: float = 1) -> list[Any]:
    mine = import_of.options(fairness_key=customer, fairness_weight=weight)
    return [executor.dispatch(mine, customer, number) for number in numbers]


@stent.activity(queue="mail", priority_ageing="10m")
def mail(to: str) -> str:
    return f"to {to}"


def mail_all(executor: sync.Executor) -> list[Any]:
    newsletter = [executor.dispatch(mail, f"reader {number}") for number in range(20)]
    return [executor.dispatch(mail.options(priority=3), "who has lost a password"), *newsletter]


class Order:
    """Who has begun, one after the other."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.names: list[str] = []

    def note(self, name: str) -> None:
        with self.lock:
            self.names.append(name)


def test_a_backlog_delays_nobody_and_weights_count(store: str) -> None:
    order = Order()

    @stent.activity(name="import_of", queue="imports")
    def noted(customer: str, number: int) -> int:
        order.note(customer)
        return number

    with sync.Executor(store) as executor:
        handles = start(executor, "large", list(range(60)))
        handles += start(executor, "heavy", list(range(60)), 3)
        handles += start(executor, "small", [1])
        with executor.worker(noted, max_concurrency=1, prefetch=0):
            for handle in handles:
                handle.result(60)
    assert order.names.index("small") < 5, order.names
    first = order.names[:41]
    assert 9 <= first.count("large") <= 11, order.names


def test_a_higher_priority_that_ages_is_first_and_shown_as_given(store: str) -> None:
    order = Order()

    @stent.activity(name="mail", queue="mail", priority_ageing="10m")
    def noted(to: str) -> str:
        order.note(to)
        return f"to {to}"

    with sync.Executor(store) as executor:
        # The function's options are known from a worker on.
        with executor.worker(noted):
            pass
        handles = mail_all(executor)
        assert handles[0].state()["priority"] == 3
        with executor.worker(noted, max_concurrency=1, prefetch=0):
            assert [handle.result(60) for handle in handles][0] == "to who has lost a password"
    assert order.names[0] == "who has lost a password"
    assert order.names[1:] == [f"reader {number}" for number in range(20)]
