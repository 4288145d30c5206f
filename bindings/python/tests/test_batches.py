"""Handlers that take many calls at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

import stent
from stent import sync

from .hosts import PATIENCE

ONCE: stent.FunctionOptions = {"retry_policy": {"max_attempts": 1}}
LONG = timedelta(hours=1)


def failure_of(execution: sync.Execution[Any]) -> stent.FailureRecord:
    with pytest.raises(stent.FailedError) as raised:
        execution.result(PATIENCE)
    return raised.value.failure


def outcomes(numbers: list[int]) -> list[Any]:
    found: dict[int, Any] = {1: ValueError("one"), 2: stent.Failure("Refused", "two", retryable=False)}
    return [found.get(number, 10 * number) for number in numbers]


def check(executor: sync.Executor, function: stent.Handler[..., Any], seen: list[list[int]]) -> None:
    executions = executor.dispatch_many(function.bind(number) for number in range(4))
    assert executions[0].result(PATIENCE) == 0 and executions[3].result(PATIENCE) == 30
    assert failure_of(executions[1])["type"] == "ValueError"
    assert failure_of(executions[2])["type"] == "Refused"
    assert [sorted(numbers) for numbers in seen] == [[0, 1, 2, 3]]


def test_each_call_has_an_outcome_of_its_own_on_threads(store: str) -> None:
    seen: list[list[int]] = []

    @stent.batch(size=4, wait=LONG, **ONCE)
    def many(numbers: list[int]) -> Sequence[int | BaseException]:
        seen.append(numbers)
        return outcomes(numbers)

    with sync.Executor(store) as executor, executor.worker(many, max_concurrency=8):
        check(executor, many, seen)
    assert many([3]) == [30]


@pytest.mark.parametrize("is_async", [True, False])
async def test_each_call_has_an_outcome_of_its_own_on_a_loop(store: str, is_async: bool) -> None:
    seen: list[list[int]] = []

    @stent.batch(size=4, wait=LONG, name="many", **ONCE)
    async def many(numbers: list[int]) -> Sequence[int | BaseException]:
        seen.append(numbers)
        await asyncio.sleep(0)
        return outcomes(numbers)

    @stent.batch(size=4, wait=LONG, name="many", **ONCE)
    def on_a_thread(numbers: list[int]) -> Sequence[int | BaseException]:
        seen.append(numbers)
        return outcomes(numbers)

    function: stent.Handler[..., Any] = many if is_async else on_a_thread
    async with stent.Executor(store) as executor, executor.worker(function, max_concurrency=8):
        with sync.Executor(store) as beside:
            await asyncio.to_thread(check, beside, function, seen)


async def test_a_batch_on_a_loop_begins_when_its_time_has_come_or_no_slot_is_left(store: str) -> None:
    @stent.batch(size=100, wait=0.05)
    async def soon(numbers: list[int]) -> list[int]:
        return [len(numbers)] * len(numbers)

    @stent.batch(size=100, wait=LONG)
    async def full(numbers: list[int]) -> list[int]:
        return [len(numbers)] * len(numbers)

    async with stent.Executor(store) as executor, executor.worker(soon, full, max_concurrency=3):
        assert await (await executor.dispatch(soon, 1)).result(PATIENCE) == 1
        executions = await executor.dispatch_many(full.bind(number) for number in range(3))
        assert [await execution.result(PATIENCE) for execution in executions] == [3, 3, 3]


@pytest.mark.parametrize("on_a_loop", [True, False])
async def test_a_batch_begins_beside_one_that_does_not_end(store: str, on_a_loop: bool) -> None:
    go = threading.Event()

    @stent.batch(size=2, wait=LONG)
    def many(numbers: list[int]) -> list[int]:
        if len(numbers) == 2:
            go.wait(PATIENCE)
        return numbers

    async with contextlib.AsyncExitStack() as stack:
        beside = stack.enter_context(sync.Executor(store))
        if on_a_loop:
            executor = await stack.enter_async_context(stent.Executor(store))
            worker: Any = await stack.enter_async_context(executor.worker(many, max_concurrency=3))
        else:
            worker = stack.enter_context(beside.worker(many, max_concurrency=3))
        held = beside.dispatch_many(many.bind(number) for number in range(2))
        while (await worker.status() if on_a_loop else worker.status())["running"] < 2:
            await asyncio.sleep(0.001)
        # It takes the last slot.
        assert await asyncio.to_thread(beside.dispatch(many, 7).result, PATIENCE) == 7
        go.set()
        assert [await asyncio.to_thread(execution.result, PATIENCE) for execution in held] == [0, 1]


async def test_a_batch_on_a_loop_begins_when_a_durable_function_that_goes_on_has_taken_the_last_slot(store: str) -> None:
    go = asyncio.Event()

    @stent.batch(size=9, wait=LONG)
    async def many(numbers: list[int]) -> list[int]:
        return numbers

    @stent.durable
    async def workflow(ctx: stent.Context) -> None:
        await ctx.wait_signal("go")
        await ctx.step("long", go.wait)

    async with stent.Executor(store) as executor, executor.worker(many, workflow, max_concurrency=2) as worker:
        waits = await executor.dispatch(workflow)
        while (status := await worker.status())["running"] > 0 or status["coroutines"] < 1:
            await asyncio.sleep(0.001)
        gathered = await executor.dispatch(many, 7)
        while (await worker.status())["running"] < 1:
            await asyncio.sleep(0.001)
        await waits.signal("go")
        assert await gathered.result(PATIENCE) == 7
        go.set()
        await waits.result(PATIENCE)


async def test_what_comes_to_a_worker_that_stops_waits_for_no_others(store: str) -> None:
    @stent.batch(size=1000, wait=LONG)
    async def many(numbers: list[int]) -> list[int]:
        return numbers

    async with stent.Executor(store) as executor:
        for size in range(1, 11):
            worker = executor.worker(many, max_concurrency=64)
            await worker.start()
            await executor.dispatch_many(many.bind(number) for number in range(60))
            # Some are gathered, and others on their way to this loop.
            while (await worker.status())["running"] < size:
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                await worker.stop()


@pytest.mark.parametrize("on_a_loop", [True, False])
async def test_what_the_handler_raises_counts_for_all_and_so_does_a_wrong_answer(store: str, on_a_loop: bool) -> None:
    @stent.batch(size=2, wait=LONG, **ONCE)
    def raises(numbers: list[int]) -> list[int]:
        raise OSError("no printer")

    @stent.batch(size=2, wait=LONG, **ONCE)
    def too_few(numbers: list[int]) -> list[int]:
        return numbers[1:]

    @stent.batch(size=2, wait=LONG, **ONCE)
    def nothing(numbers: list[int]) -> Any:
        return None

    async with contextlib.AsyncExitStack() as stack:
        beside = stack.enter_context(sync.Executor(store))
        if on_a_loop:
            executor = await stack.enter_async_context(stent.Executor(store))
            await stack.enter_async_context(executor.worker(raises, too_few, nothing, max_concurrency=9))
        else:
            stack.enter_context(beside.worker(raises, too_few, nothing, max_concurrency=9))
        for function, told in (
            (raises, "no printer"),
            (too_few, "too_few returned 1 outcomes for 2 items: it must be a list with one for each"),
            (nothing, "nothing returned a NoneType for 2 items"),
        ):
            executions = beside.dispatch_many(function.bind(number) for number in range(2))
            for execution in executions:
                assert told in (await asyncio.to_thread(failure_of, execution))["message"]


@pytest.mark.parametrize("on_a_loop", [True, False])
async def test_a_call_without_an_item_fails_alone_and_one_may_say_later(store: str, on_a_loop: bool) -> None:
    tries: list[int] = []

    @stent.batch(size=2, wait=0.05)
    def many(numbers: list[int]) -> list[Any]:
        tries.extend(numbers)
        return [stent.Snooze(0.01) if tries.count(number) == 1 else number for number in numbers]

    async with contextlib.AsyncExitStack() as stack:
        beside = stack.enter_context(sync.Executor(store))
        if on_a_loop:
            executor = await stack.enter_async_context(stent.Executor(store))
            await stack.enter_async_context(executor.worker(many))
        else:
            stack.enter_context(beside.worker(many))
        wrong, right = beside.dispatch("many", 1, 2), beside.dispatch("many", 7)
        failure = await asyncio.to_thread(failure_of, wrong)
        assert "many takes one argument, since it is a batch; it got 2 arguments" in failure["message"]
        assert await asyncio.to_thread(right.result, PATIENCE) == 7


async def test_one_that_is_cancelled_while_it_waits_does_not_come_to_the_handler(store: str) -> None:
    seen: list[list[int]] = []

    @stent.batch(size=3, wait=LONG)
    async def many(numbers: list[int]) -> list[int]:
        seen.append(sorted(numbers))
        return numbers

    async with stent.Executor(store) as executor, executor.worker(many, max_concurrency=8) as worker:
        first, cancelled = [await executor.dispatch(many, number) for number in (1, 2)]
        while (await worker.status())["running"] < 2:
            await asyncio.sleep(0.001)
        await cancelled.cancel()
        with pytest.raises(stent.CancelledError):
            await cancelled.result(PATIENCE)
        await executor.dispatch_many(many.bind(number) for number in (3, 4))
        assert await first.result(PATIENCE) == 1
    assert seen == [[1, 3, 4]]


async def test_what_is_gathered_is_done_or_given_back_when_the_worker_stops(store: str) -> None:
    seen: list[int] = []

    @stent.batch(size=9, wait=LONG)
    async def many(numbers: list[int]) -> list[int]:
        seen.extend(numbers)
        return numbers

    async with stent.Executor(store) as executor:
        async with executor.worker(many) as worker:
            execution = await executor.dispatch(many, 1)
            while (await worker.status())["running"] < 1:
                await asyncio.sleep(0.001)
        async with executor.worker(many, max_concurrency=1):
            assert await execution.result(PATIENCE) == 1
    assert seen == [1]


def test_options_that_make_no_sense_are_told() -> None:
    with pytest.raises(stent.InvalidError, match="size is 0"):
        stent.batch(size=0)
    with pytest.raises(stent.InvalidError, match="size is '3'; it must be a whole number"):
        stent.batch(size="3")  # type: ignore[arg-type]
    for wait in (-1.0, float("nan"), "1s", None):
        with pytest.raises(stent.InvalidError, match=f"wait is {wait!r}; it must be a number of seconds"):
            stent.batch(wait=wait)  # type: ignore[arg-type]


DIES = """
import os, signal, sys
import stent
from stent import sync

@stent.batch(size=2, wait=60)
def many(numbers):
    os.kill(os.getpid(), signal.SIGKILL)

with sync.Executor(sys.argv[1]) as executor, executor.worker(many, lease_duration="1s"):
    signal.pause()
"""


@pytest.mark.parametrize("on_a_loop", [True, False])
async def test_what_may_have_killed_its_worker_is_a_batch_of_its_own_at_once(store: str, on_a_loop: bool) -> None:
    seen: list[tuple[list[int], list[tuple[int, bool]]]] = []

    @stent.batch(size=9, wait=LONG)
    def many(numbers: list[int]) -> list[int]:
        tasks = stent.current_batch()
        seen.append((numbers, [(task.attempt, task.info["apart"]) for task in tasks]))
        return numbers

    async with contextlib.AsyncExitStack() as stack:
        beside = stack.enter_context(sync.Executor(store))
        executions = beside.dispatch_many(many.bind(number) for number in range(2))
        dies = [sys.executable, "-c", DIES, store]
        assert (await asyncio.to_thread(subprocess.run, dies, timeout=PATIENCE)).returncode == -signal.SIGKILL
        if on_a_loop:
            executor = await stack.enter_async_context(stent.Executor(store))
            await stack.enter_async_context(executor.worker(many, max_concurrency=20))
        else:
            stack.enter_context(beside.worker(many, max_concurrency=20))
        for number, execution in enumerate(executions):
            assert await asyncio.to_thread(execution.result, PATIENCE) == number
    assert sorted(seen) == [([0], [(2, True)]), ([1], [(2, True)])]


@pytest.mark.parametrize("on_a_loop", [True, False])
async def test_a_batch_knows_its_tasks_in_the_order_of_its_items(store: str, on_a_loop: bool) -> None:
    told: list[str] = []

    @stent.batch(size=3, wait=LONG)
    def many(numbers: list[int]) -> list[str]:
        with pytest.raises(RuntimeError, match="a batch is, whose tasks stent.current_batch") as raised:
            stent.current()
        told.append(str(raised.value))
        tasks = stent.current_batch()
        assert [task.info["apart"] for task in tasks] == [False] * 3
        return [f"{number} {task.execution_id}" for number, task in zip(numbers, tasks, strict=True)]

    async with contextlib.AsyncExitStack() as stack:
        beside = stack.enter_context(sync.Executor(store))
        if on_a_loop:
            executor = await stack.enter_async_context(stent.Executor(store))
            await stack.enter_async_context(executor.worker(many, max_concurrency=9))
        else:
            stack.enter_context(beside.worker(many, max_concurrency=9))
        executions = beside.dispatch_many(many.bind(number) for number in range(3))
        for number, execution in enumerate(executions):
            assert await asyncio.to_thread(execution.result, PATIENCE) == f"{number} {execution.id}"
    assert len(told) == 1
    with pytest.raises(RuntimeError, match="no batch of Stent is running here"):
        stent.current_batch()
