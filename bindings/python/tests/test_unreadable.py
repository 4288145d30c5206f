"""What Python can't read, or did not come to run: it is told, and nothing hangs for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import stent
from stent import sync

from .hosts import PATIENCE, Host

ONCE: stent.FunctionOptions = {"retry_policy": {"max_attempts": 1}}

DIGITS = "7" * 5_000
"""More than Python makes a number of."""
DEEP = "[" * 3_000 + "]" * 3_000
UNREADABLE = {"digits": f'{{"n":{DIGITS}}}', "levels": DEEP}


class Raw(str):
    """JSON as it is, where a value is expected."""


@pytest.fixture(params=UNREADABLE, ids=str)
def unreadable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Raw:
    """A value that is sent as this text."""
    from stent import _json

    dumps = _json.dumps
    text = Raw(UNREADABLE[request.param])

    def raw(value: Any, *more: Any) -> str:
        if isinstance(value, Raw):
            return str(value)
        if isinstance(value, list | tuple) and any(isinstance(item, Raw) for item in value):
            return f"[{','.join(raw(item) for item in value)}]"
        if isinstance(value, dict) and any(isinstance(item, Raw) for item in value.values()):
            return "{" + ",".join(f"{dumps(key)}:{raw(item)}" for key, item in value.items()) + "}"
        return dumps(value, *more)

    monkeypatch.setattr(_json, "dumps", raw)
    return text


@stent.activity(**ONCE, name="takes")
async def takes(value: Any) -> str:
    return "it was read"


@stent.activity(**ONCE, name="takes")
def takes_in_thread(value: Any) -> str:
    return "it was read"


@stent.durable(**ONCE, name="waits")
async def waits(ctx: stent.Context) -> str:
    try:
        await ctx.wait_signal("go")
    except stent.InvalidError as error:
        return f"told: {error}"
    return "it was read"


@stent.durable(**ONCE, name="waits")
def waits_in_thread(ctx: sync.Context) -> str:
    try:
        ctx.wait_signal("go")
    except stent.InvalidError as error:
        return f"told: {error}"
    return "it was read"


async def test_an_argument(host: Host, unreadable: Raw) -> None:
    async with host.running(takes if host.kind == "asyncio" else takes_in_thread) as (executor, _):
        execution = await executor.dispatch("takes", unreadable)
        with pytest.raises(stent.FailedError, match="can't be read") as raised:
            await execution.result(PATIENCE)
        assert raised.value.failure["retryable"] is False


async def test_a_signal(host: Host, unreadable: Raw) -> None:
    async with host.running(waits if host.kind == "asyncio" else waits_in_thread) as (executor, _):
        execution = await executor.dispatch("waits")
        await execution.signal("go", unreadable)
        assert "can't be read" in await execution.result(PATIENCE)


async def test_a_result_and_pages_of_them(host: Host, unreadable: Raw) -> None:
    def give() -> Any:
        return unreadable

    async def give_async() -> Any:
        return unreadable

    gives = stent.activity(**ONCE, name="gives")(give_async if host.kind == "asyncio" else give)
    async with host.running(gives) as (executor, _):
        execution = await executor.dispatch("gives")
        with pytest.raises(stent.InvalidError, match="can't be read"):
            await execution.result(PATIENCE)
        # Who looks at records gets all of them.
        state = await execution.state()
        assert state["state"] == "completed"
        if unreadable == DEEP:
            depth, value = 0, state["result"]
            while value:
                depth, value = depth + 1, value[0]
            assert depth == 2_999
        else:
            assert str(state["result"]["n"]) == DIGITS
        assert [record["id"] for record in await executor.list()] == [execution.id]


# Cancelled before its first step.


async def test_an_activity_that_never_came_to_run_gives_its_slot_back(store: str) -> None:
    @stent.activity(timeout=0, retry_policy={"max_attempts": 1})
    async def late() -> None:
        await asyncio.sleep(0)

    @stent.activity(**ONCE)
    async def good() -> str:
        return "there is a slot"

    async with stent.Executor(store) as executor, executor.worker(late, good, max_concurrency=2):
        for _ in range(8):
            execution = await executor.dispatch(late)
            assert (await execution.wait(PATIENCE))["state"] in ("failed", "completed")
        assert await (await executor.dispatch(good)).result(PATIENCE) == "there is a slot"


async def test_a_task_whose_run_can_not_begin_fails(store: str) -> None:
    @stent.activity(**ONCE)
    def good() -> str:
        return "good"

    async with stent.Executor(store) as executor:
        worker = executor.worker(good)
        async with worker:
            worker._pool.shutdown()
            execution = await executor.dispatch(good)
            with pytest.raises(stent.FailedError, match="shutdown"):
                await execution.result(PATIENCE)
            assert (await worker.status())["running"] == 0


async def test_a_step_that_is_cancelled_before_it_begins_ends(store: str) -> None:
    @stent.durable(**ONCE)
    async def workflow(ctx: stent.Context) -> str:
        async def body() -> str:
            return "it ran"

        step = ctx.step("step", body)
        step.cancel()
        try:
            return str(await step)
        except asyncio.CancelledError:
            await ctx.sleep(0.01)
            return "cancelled"

    async with stent.Executor(store) as executor, executor.worker(workflow):
        assert await (await executor.dispatch(workflow)).result(PATIENCE) == "cancelled"


# Dropped is closed, whatever it is made of.


async def test_an_eviction_runs_the_finally_of_async_generators(store: str) -> None:
    said: list[str] = []

    @stent.durable
    async def workflow(ctx: stent.Context) -> str:
        async def waits_inside() -> Any:
            try:
                for n in range(3):
                    await ctx.sleep(0.01)
                    yield n
            finally:
                said.append("inside")

        async def holds() -> Any:
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0)
                said.append("holds")

        async for _ in holds():
            async for n in waits_inside():
                pass
        return "done"

    async with stent.Executor(store) as executor, executor.worker(workflow, max_coroutines=0):
        assert await (await executor.dispatch(workflow)).result(PATIENCE) == "done"
    # Six sleeps, so six evictions, each with one generator that waits and one around it; and the ends.
    assert said.count("inside") >= 8 and said.count("holds") >= 1
