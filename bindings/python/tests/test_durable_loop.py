"""What asyncio has, in durable functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

import stent

from .hosts import PATIENCE, lines, until

ONCE: stent.FunctionOptions = {"retry_policy": {"max_attempts": 1}}


@stent.activity
async def double(n: int) -> int:
    return 2 * n


@stent.activity
async def later(value: Any, seconds: float) -> Any:
    await asyncio.sleep(seconds)
    return value


@stent.activity(**ONCE)
async def fails(message: str) -> None:
    raise ValueError(message)


async def run(store: str, function: stent.Handler[..., Any], *args: Any, **options: Any) -> Any:
    async with stent.Executor(store) as executor:
        async with executor.worker(function, double, later, fails, **options):
            return await (await executor.dispatch(function, *args)).result(PATIENCE)


# What asyncio has works in a durable function, and means the same in every run. `evicting` lets no coroutine wait in
# memory: each is run again from the top for whatever arrives.

EVICTING = pytest.mark.parametrize("options", [{}, {"max_coroutines": 0}], ids=["kept", "evicted"])


@EVICTING
async def test_gather(store: str, options: dict[str, Any]) -> None:
    @stent.durable
    async def workflow(ctx: stent.Context) -> list[Any]:
        async def pair(n: int) -> list[int]:
            return [await ctx.call(double, n), await ctx.call(double, -n)]

        parts: list[Awaitable[Any]] = [*(pair(n) for n in range(5)), ctx.call(fails, "no")]
        results = await asyncio.gather(*parts, return_exceptions=True)
        return [str(result) if isinstance(result, BaseException) else result for result in results]

    *pairs, failed = await run(store, workflow, **options)
    assert pairs == [[2 * n, -2 * n] for n in range(5)]
    assert "no" in failed


@EVICTING
async def test_wait_and_as_completed_are_in_the_order_of_arrival(store: str, options: dict[str, Any]) -> None:
    orders = []

    @stent.durable
    async def workflow(ctx: stent.Context) -> list[str]:
        order = []
        calls = [ctx.call(later, name, seconds) for name, seconds in (("c", 0.3), ("a", 0.02), ("b", 0.15))]
        done, pending = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(pending)) == (1, 2)
        for call in asyncio.as_completed(calls):
            order.append(await call)
            orders.append(list(order))
        await ctx.sleep(0.01)
        return order

    assert await run(store, workflow, **options) == ["a", "b", "c"]
    assert all(order == ["a", "b", "c"][: len(order)] for order in orders)


@EVICTING
async def test_time_outs_are_durable_and_cancel(store: str, tmp_path: Path, options: dict[str, Any]) -> None:
    file = tmp_path / "ends"

    @stent.activity
    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            file.open("a").write("cancelled\n")

    @stent.durable
    async def workflow(ctx: stent.Context) -> list[Any]:
        said: list[Any] = []
        for _ in range(2):
            try:
                # Long enough for it to begin.
                async with asyncio.timeout(1):
                    await ctx.call(endless)
            except TimeoutError:
                said.append("timeout")
        try:
            await asyncio.wait_for(ctx.wait_signal("never"), 0.05)
        except TimeoutError:
            said.append("no signal")
        async with asyncio.timeout(60):
            said.append(await ctx.call(double, 4))
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.25)
        said.append(asyncio.get_running_loop().time() - began >= 0.25)
        return said

    async with stent.Executor(store) as executor, executor.worker(workflow, endless, double, **options):
        execution = await executor.dispatch(workflow)
        assert await execution.result(PATIENCE) == ["timeout", "timeout", "no signal", 8, True]
        await until(lambda: lines(file) == ["cancelled", "cancelled"])


@EVICTING
async def test_a_task_group_and_its_own_tasks(store: str, options: dict[str, Any]) -> None:
    @stent.durable
    async def workflow(ctx: stent.Context) -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue()

        async def produce(n: int) -> None:
            queue.put_nowait(await ctx.call(double, n))

        async with asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(produce(n))
        got = [queue.get_nowait() for _ in range(4)]
        await ctx.sleep("10ms")
        return got

    assert sorted(await run(store, workflow, **options)) == [0, 2, 4, 6]


@EVICTING
async def test_values_are_the_same_in_every_run(store: str, options: dict[str, Any]) -> None:
    runs: list[tuple[Any, ...]] = []

    @stent.durable
    async def workflow(ctx: stent.Context) -> int:
        values = (ctx.uuid(), ctx.random().random(), ctx.now())
        assert await ctx.map(double, [1, 2, 3]) == [2, 4, 6]
        await ctx.sleep(0.02)
        runs.append((*values, ctx.uuid(), ctx.now()))
        return len(runs)

    await run(store, workflow, **options)
    assert len(set(runs)) == 1


@EVICTING
async def test_steps_run_once_outside(store: str, options: dict[str, Any]) -> None:
    ran: list[str] = []
    outside = asyncio.get_running_loop()

    @stent.durable
    async def workflow(ctx: stent.Context) -> list[Any]:
        async def on_the_loop() -> str:
            await asyncio.sleep(0.01)
            assert asyncio.get_running_loop() is outside
            ran.append("loop")
            return "loop"

        def on_a_thread() -> tuple[int, int]:
            assert threading.current_thread() is not threading.main_thread()
            ran.append("thread")
            return (1, 2)

        def breaks() -> None:
            ran.append("breaks")
            raise KeyError("k")

        first, second = await asyncio.gather(ctx.step("first", on_the_loop), ctx.step("second", on_a_thread))
        try:
            await ctx.step("third", breaks)
        except stent.FailedError as error:
            third = error.type
        await ctx.sleep(0.01)
        return [first, second, third]

    assert await run(store, workflow, **options) == ["loop", (1, 2), "KeyError"]
    assert sorted(ran) == ["breaks", "loop", "thread"]


@EVICTING
async def test_it_continues_with_new_arguments(store: str, options: dict[str, Any]) -> None:
    @stent.durable
    async def countdown(ctx: stent.Context, n: int) -> str:
        await ctx.sleep(0.001)
        if n > 0:
            ctx.continue_with(n - 1)
        return "liftoff"

    assert await run(store, countdown, 3, **options) == "liftoff"
