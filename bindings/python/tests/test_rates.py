"""Rates: the example of docs/rates.md, and the moments at which attempts start with real workers."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

import stent
from stent import sync

from .hosts import wait_for


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


@stent.activity(queue="mail")
def send(customer: str) -> str:
    return f"sent to {customer}"


def serve(executor: sync.Executor) -> sync.Worker:
    return executor.worker(send, queue_rates={"mail": {"limit": 10, "period": "1h", "burst": 10}})


def test_a_queue_starts_no_more_often_than_its_rate_says(store: str) -> None:
    @stent.activity(queue="mail")
    def remind(customer: str) -> str:
        return f"reminded {customer}"

    with sync.Executor(store) as executor:
        with serve(executor):
            assert executor.dispatch(send, "c").result(30) == "sent to c"
        with executor.worker(send, remind):
            handles = [executor.dispatch(send if number % 2 else remind, f"c{number}") for number in range(11)]
            assert [handle.result(30) for handle in handles[:9]][7:] == ["sent to c7", "reminded c8"]
            for late in handles[9:]:
                with pytest.raises(stent.TimeoutError, match="waits for a token of the queue 'mail': the next comes at 2"):
                    late.result(0.3)
                assert late.state()["state"] == "pending"
        # It is the queue's, whoever serves it, until somebody takes it away.
        with executor.worker(send, remind, queue_rates={"mail": None}):
            assert [handle.result(30) for handle in handles[9:]] == ["sent to c9", "reminded c10"]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_what_is_dispatched_in_plain_sql_waits_for_the_queues_rate(store: str) -> None:
    server, _, options = store.partition("?")
    schema = options.partition("schema=")[2].partition("&")[0]
    into = """{"queue": "mail"}"""
    with sync.Executor(store) as executor, serve(executor) as worker:
        worker.wait("ready")
        with psycopg.connect(server) as database:
            dispatch = f"SELECT {schema}.dispatch('send', '[\"ada\"]', '{into}')"
            ids = [str(database.execute(dispatch).fetchone()[0]) for _ in range(11)]  # type: ignore[index]
        handles = [executor.execution(id) for id in ids]
        assert [handle.result(30) for handle in handles[:10]] == ["sent to ada"] * 10
        with pytest.raises(stent.TimeoutError, match="waits for a token of the queue 'mail'"):
            handles[10].result(0.3)


def test_what_is_wrong_of_a_queues_rate_is_told(store: str) -> None:
    with sync.Executor(store) as executor:
        with pytest.raises(stent.InvalidError, match="queue_rates.limit is 0"):
            executor.worker(send, queue_rates={"mail": {"limit": 0}}).__enter__()


WORKER = """
import sys, time
import stent
from stent import sync

store, notes = sys.argv[1:]

@stent.activity(
    name="killed", rate={"limit": 20, "period": 1, "burst": 3}, retry_policy={"max_deaths": 1000, "initial_delay": 0}
)
def killed(number: int) -> int:
    with open(notes, "a") as file:
        file.write(f"{time.time()}\\n")
    time.sleep(0.05)
    return number

with sync.Executor(store) as executor, executor.worker(killed, lease_duration=0.5, poll_interval=0.1, poll_interval_max=0.2):
    sys.stdin.read()
"""


def test_a_rate_holds_over_workers_that_are_killed(store: str, tmp_path: Path) -> None:
    notes = tmp_path / "starts"

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WORKER, store, str(notes)], stdin=subprocess.PIPE)

    workers = [started() for _ in range(3)]
    try:
        with sync.Executor(store) as executor:
            handles = [executor.dispatch("killed", number) for number in range(50)]
            wait_for(notes.exists)
            kills = 0
            while not all(handle.state()["state"] == "completed" for handle in handles):
                if kills < 6:
                    victim = workers.pop(0)
                    victim.kill()
                    victim.wait()
                    kills += 1
                    workers.append(started())
                time.sleep(0.3)
            assert [handle.result(30) for handle in handles] == list(range(50))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    times = sorted(float(line) for line in notes.read_text().split())
    assert len(times) >= 50 and kills == 6
    # A handler is called some time after its start is recorded: by so much the times may be nearer to one another.
    late = 0.3
    for first, begin in enumerate(times):
        for last in range(first, len(times)):
            count, most = last - first + 1, 3 + (times[last] - begin + late) * 20
            assert count <= most, f"{count} in {times[last] - begin} s"


class Answer:
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers, self.text = status, headers, "an answer"


class Client:
    """A server that has too much to do, once for each customer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def get(self, customer: str) -> Answer:
        first = all(customer != before for before, _ in self.asked)
        self.asked.append((customer, time.monotonic()))
        return Answer(429, {"Retry-After": "1"}) if first else Answer(200, {})


client = Client()


@stent.activity
def ask(customer: str) -> str:
    answer = client.get(customer)
    if answer.status == 429:
        wait = answer.headers["Retry-After"]
        stent.current().hold("key", wait)
        raise stent.Snooze(wait)
    return answer.text


def test_a_handler_holds_the_others_of_its_key(store: str) -> None:
    client.asked.clear()
    with sync.Executor(store) as executor, executor.worker(ask):
        first = executor.dispatch(ask.options(concurrency_key="ada"), "ada")
        wait_for(lambda: executor.stats()["store"]["scheduled"] == 1)
        second = executor.dispatch(ask.options(concurrency_key="ada"), "ada")
        other = executor.dispatch(ask.options(concurrency_key="bob"), "bob")
        for handle in (first, second, other):
            assert handle.result(30) == "an answer"
    told, *later = [at for customer, at in client.asked if customer == "ada"]
    assert len(later) == 2 and min(later) - told >= 1, client.asked
    assert min(at for customer, at in client.asked if customer == "bob") - told < 1, client.asked
