"""The backend on Redis, as two processes share it: each has its own connection, and no lock of the other's."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest
import redis_backend
import stent
from stent import sync

TIME = "2026-01-01T00:00:00.000000Z"
EXECUTION = "01a21212-0000-7000-8000-000000000000"


@pytest.fixture
def two() -> Iterator[tuple[stent.Backend, stent.Backend]]:
    with redis_backend.server() as url, redis_backend.open_backend(url) as one, redis_backend.open_backend(url) as other:
        yield one, other


def in_threads(work: Callable[[stent.Backend], None], backends: tuple[stent.Backend, ...]) -> None:
    failed: list[BaseException] = []

    def run(backend: stent.Backend) -> None:
        try:
            work(backend)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(backend,)) for backend in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def create_execution(backend: stent.Backend) -> None:
    execution = {"id": EXECUTION, "root_function": "f", "state": "running", "created_at": TIME}
    backend.call("create_execution", execution=execution)


def test_what_both_add_is_added(two: tuple[stent.Backend, stent.Backend]) -> None:
    create_execution(two[0])

    def add(backend: stent.Backend) -> None:
        for amount in range(1, 51):
            backend.call("increment_execution_counter", execution_id=EXECUTION, name="n", amount=amount)

    in_threads(add, two)
    assert two[1].call("get_execution_counters", execution_id=EXECUTION) == {"n": 50 * 51}


def test_they_never_claim_the_same_task(two: tuple[stent.Backend, stent.Backend]) -> None:
    create_execution(two[0])
    ids = [f"01a21212-0000-8000-8000-{number:012}" for number in range(60)]
    fields = {"execution_id": EXECUTION, "step_name": "g", "kind": "activity", "state": "pending", "created_at": TIME}
    two[0].call("create_tasks", tasks=[{"id": id, **fields} for id in ids])
    taken: list[str] = []
    names = itertools.count()

    def claim(backend: stent.Backend) -> None:
        worker = f"worker-{next(names)}"
        while task := backend.call("claim_next_task", worker_id=worker):
            assert task["worker_id"] == worker
            taken.append(task["id"])

    in_threads(claim, two)
    assert sorted(taken) == ids


@stent.activity
def double(n: int) -> int:
    return 2 * n


@stent.durable
def doubled(ctx: sync.Context, n: int) -> int:
    return ctx.call(double, n)


def test_one_dispatches_and_the_other_works(two: tuple[stent.Backend, stent.Backend]) -> None:
    # Hints go from one to the other: nobody waits for a poll.
    slow: stent.WorkerOptions = {"poll_interval": "60s", "poll_interval_max": "60s"}
    with sync.Executor(two[0]) as client, sync.Executor(two[1]) as host, host.worker(double, doubled, **slow):
        for n in range(5):
            assert client.dispatch(doubled, n).result(timeout=30) == 2 * n
