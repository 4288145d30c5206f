"""anyio's structured concurrency in durable functions: it asks asyncio for its loop, its task and its futures."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import stent

from .hosts import PATIENCE

EVICTING = pytest.mark.parametrize("options", [{}, {"max_coroutines": 0}], ids=["kept", "evicted"])


@stent.activity
async def double(n: int) -> int:
    return 2 * n


@stent.activity(retry_policy={"max_attempts": 1})
async def fails(message: str) -> None:
    raise ValueError(message)


async def run(store: str, function: stent.Handler[..., Any], **options: Any) -> Any:
    async with stent.Executor(store) as executor, executor.worker(function, double, fails, **options):
        return await (await executor.dispatch(function)).result(PATIENCE)


@EVICTING
async def test_a_task_group(store: str, options: dict[str, Any]) -> None:
    @stent.durable
    async def workflow(ctx: stent.Context) -> list[int]:
        results: list[int] = []

        async def one(n: int) -> None:
            await anyio.sleep(0.01)
            results.append(await ctx.call(double, n))

        async with anyio.create_task_group() as group:
            for n in range(3):
                group.start_soon(one, n)
        return sorted(results)

    assert await run(store, workflow, **options) == [0, 2, 4]


@EVICTING
async def test_a_failure_in_a_group_cancels_the_others(store: str, options: dict[str, Any]) -> None:
    @stent.durable
    async def workflow(ctx: stent.Context) -> list[str]:
        said: list[str] = []

        async def waits() -> None:
            try:
                await ctx.wait_signal("never")
            except anyio.get_cancelled_exc_class():
                said.append("cancelled")
                raise

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(waits)
                await ctx.call(fails, "no")
        except* stent.FailedError as failed:
            said.extend(error.type for error in failed.exceptions if isinstance(error, stent.FailedError))
        return said

    assert await run(store, workflow, **options) == ["cancelled", "ValueError"]


@EVICTING
async def test_a_time_out(store: str, options: dict[str, Any]) -> None:
    @stent.durable
    async def workflow(ctx: stent.Context) -> str:
        with anyio.move_on_after(0.05) as scope:
            await ctx.wait_signal("never")
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.05):
                await ctx.wait_signal("never")
        event = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(event.wait)
            await ctx.sleep(0.01)
            event.set()
        return "moved on"

    assert await run(store, workflow, **options) == "moved on"
