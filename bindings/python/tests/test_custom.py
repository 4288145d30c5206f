"""Backends that are written in Python: whatever they answer, the caller is told, and the host lives on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
import weakref
from collections.abc import Callable

import pytest

import stent
from stent import sync
from stent._library import ask, lib, utf8

from .hosts import wait_for


class Around:
    """Hands everything on to another store."""

    def __init__(self) -> None:
        self.inner = stent.Backend(":memory:")

    def __call__(self, operation: str, request: str) -> str:
        return ask(lib.stent_backend_call, self.inner.handle, utf8(operation), utf8(request))


def count_of(backend: stent.Backend) -> object:
    return backend.call("count_tasks")


def test_a_store_around_another_passes_what_it_offers() -> None:
    report = stent.custom_backend(Around()).check(timeout="60s")
    assert (report["level"], report["failed"]) == ("protocol", 0)
    assert report["passed"] > 30 and report["not_offered"] > 100 and len(report["given_up"]) > 4
    part = stent.Backend(":memory:").check(only=["records/"])
    assert (part["level"], part["failed"], part["not_offered"]) == ("engine", 0, 0)
    with pytest.raises(stent.InvalidError, match="no such case"):
        stent.Backend(":memory:").check(only=["no such case"])


def test_what_a_method_answers_is_the_answer() -> None:
    class Store:
        def count_tasks(self, request: str) -> str:
            return str(len(json.loads(request)))

        def get_cached_result(self, request: str) -> str:
            return '{"b": 1.10,"a":[ ]}'

        def init_db(self, request: str) -> None:
            return None

    backend = stent.custom_backend(Store())
    assert count_of(backend) == 2
    assert backend.call("get_cached_result", key="k") == {"b": 1.1, "a": []}
    assert backend.call("init_db") is None
    with pytest.raises(stent.UnsupportedError, match="get_task"):
        backend.call("get_task", task_id="018bcfe5-6800-7101-8101-010101010101")
    with pytest.raises(stent.InvalidError, match="no method"):
        stent.custom_backend(object())


WRONG: list[tuple[Callable[[], object], type[stent.Error], str]] = [
    (lambda: raises(stent.ConflictError("it is there")), stent.ConflictError, "it is there"),
    (lambda: raises(stent.NotFoundError("it is not")), stent.NotFoundError, "it is not"),
    (lambda: raises(ZeroDivisionError("by zero")), stent.BackendError, "ZeroDivisionError: by zero"),
    (lambda: raises(SystemExit(3)), stent.BackendError, "SystemExit"),
    (lambda: 7, stent.BackendError, "no int"),
    (lambda: "{oops", stent.BackendError, "breaks the contract"),
    (lambda: '"seven"', stent.BackendError, "breaks the contract"),
    (lambda: "1\0", stent.InvalidError, "NUL"),
]


def raises(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize(("wrong", "kind", "says"), WRONG)
def test_what_is_wrong_is_told_to_the_caller(wrong: Callable[[], object], kind: type[stent.Error], says: str) -> None:
    class Store:
        def count_tasks(self, request: str) -> object:
            return wrong()

    backend = stent.custom_backend(Store())
    for _ in range(2):
        with pytest.raises(kind, match=says):
            count_of(backend)


def test_a_failure_says_whether_it_may_be_tried_again() -> None:
    class Store:
        def count_tasks(self, request: str) -> object:
            raise stent.BackendError("busy", retryable=False)

        def count_executions(self, request: str) -> object:
            raise stent.ConflictError("busy", retryable=True)

    backend = stent.custom_backend(Store())
    with pytest.raises(stent.BackendError) as final:
        count_of(backend)
    with pytest.raises(stent.ConflictError) as passing:
        backend.call("count_executions")
    assert (final.value.retryable, passing.value.retryable) == (False, True)


def test_one_that_does_not_answer_in_time_is_given_up() -> None:
    go_on = threading.Event()

    class Store:
        def count_tasks(self, request: str) -> str:
            go_on.wait(60)
            return "1"

    backend = stent.custom_backend(Store(), timeout="100ms")
    with pytest.raises(stent.TimeoutError, match="has not answered within 0.1 s"):
        count_of(backend)
    go_on.set()

    def answers() -> bool:
        # A busy machine may need longer for a call, too.
        with contextlib.suppress(stent.TimeoutError):
            return count_of(backend) == 1
        return False

    wait_for(answers)


def test_calls_come_at_once() -> None:
    together = threading.Barrier(4, timeout=30)

    class Store:
        def count_tasks(self, request: str) -> str:
            return str(together.wait())

    backend = stent.custom_backend(Store())
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(count_of(backend))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [0, 1, 2, 3]


def test_the_store_goes_with_its_backend() -> None:
    class Store:
        def count_tasks(self, request: str) -> str:
            return "1"

    store = Store()
    gone = weakref.ref(store)
    backend = stent.custom_backend(store)
    assert count_of(backend) == 1
    del store
    gc.collect()
    assert gone() is not None
    backend.close()
    with pytest.raises(stent.ClosedError):
        count_of(backend)
    del backend

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    wait_for(is_gone)


@stent.activity
def double(n: int) -> int:
    return 2 * n


@stent.durable
def doubled(ctx: sync.Context, n: int) -> int:
    return ctx.call(double, n)


def test_an_executor_runs_on_it() -> None:
    with sync.Executor(stent.custom_backend(Around())) as executor, executor.worker(double, doubled):
        assert executor.dispatch(doubled, 21).result(timeout=30) == 42


@stent.durable
async def doubled_later(ctx: stent.Context, n: int) -> int:
    return await ctx.call(double, n)


async def test_an_async_function_answers_on_its_loop() -> None:
    around, loops = Around(), set()

    async def answer(operation: str, request: str) -> str:
        loops.add(asyncio.get_running_loop())
        return await asyncio.to_thread(around, operation, request)

    async with stent.Executor(stent.custom_backend(answer)) as executor, executor.worker(double, doubled_later):
        execution = await executor.dispatch(doubled_later, 21)
        assert await execution.result(timeout=30) == 42
    assert loops == {asyncio.get_running_loop()}


def test_an_async_function_needs_a_loop() -> None:
    async def answer(operation: str, request: str) -> str:
        return "1"

    with pytest.raises(stent.InvalidError, match="event loop"):
        stent.custom_backend(answer)


async def test_a_loop_that_is_over_answers_no_more() -> None:
    class Store:
        async def count_tasks(self, request: str) -> str:
            return "1"

        def count_executions(self, request: str) -> str:
            return "2"

    def in_a_loop_of_its_own() -> stent.Backend:
        async def made() -> stent.Backend:
            backend = stent.custom_backend(Store())
            assert await asyncio.to_thread(count_of, backend) == 1
            assert await asyncio.to_thread(backend.call, "count_executions") == 2
            return backend

        return asyncio.run(made())

    backend = await asyncio.to_thread(in_a_loop_of_its_own)
    with pytest.raises(stent.BackendError, match="closed"):
        await asyncio.to_thread(count_of, backend)


def test_options_and_operations_are_checked() -> None:
    with pytest.raises(stent.InvalidError, match="get_tsak"):
        stent.custom_backend(Around(), ["get_tsak"])
    with pytest.raises(stent.InvalidError, match="journals"):
        stent.custom_backend(Around(), ["advance"])
    with pytest.raises(stent.InvalidError, match="timeuot"):
        stent.custom_backend(Around(), timeuot=1)  # type: ignore[call-arg]
