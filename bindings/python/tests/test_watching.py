"""What becomes of an execution, as it comes; and ends that are given a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any

import pytest

import stent
from stent import sync
from stent.testing import worker

from .hosts import PATIENCE, Host


@stent.activity
def count(n: int) -> int:
    task = stent.current()
    task.counter_add("items", n)
    task.progress({"n": n})
    return n


@stent.durable
async def counting(ctx: stent.Context) -> int:
    ctx.state_set("stage", "begun")
    total = sum([await ctx.call(count, n) for n in (1, 2)])
    await ctx.wait_signal("go")
    ctx.state_set("stage", "over")
    return total


@stent.durable(name="counting")
def counting_too(ctx: sync.Context) -> int:
    ctx.state_set("stage", "begun")
    total = sum([ctx.call(count, n) for n in (1, 2)])
    ctx.wait_signal("go")
    ctx.state_set("stage", "over")
    return total


async def watched(host: Host, execution: Any) -> tuple[list[stent.ExecutionEvent], list[stent.ProgressRecord]]:
    """What both iterators gave until it was over, after it has been told to go on in the midst."""
    events: list[stent.ExecutionEvent] = []
    going = False

    async def heard(event: stent.ExecutionEvent) -> None:
        nonlocal going
        events.append(event)
        counted = event["type"] == "counter" and event["value"] == 3
        if counted and not going:
            going = True
            await execution.signal("go")

    if host.kind == "asyncio":
        async for event in execution.events(interval=0.01):
            await heard(event)
        return events, [line async for line in execution.progress()]
    iterator = execution.inner.events(interval=0.01)
    while (event := await asyncio.to_thread(next, iterator, None)) is not None:
        await heard(event)
    return events, await asyncio.to_thread(lambda: list(execution.inner.progress()))


async def test_events_and_progress(host: Host) -> None:
    durable = counting if host.kind == "asyncio" else counting_too
    async with host.running(durable, count) as (executor, _):
        execution = await executor.dispatch("counting")
        events, lines = await asyncio.wait_for(watched(host, execution), PATIENCE)
    assert events[-1] == {"type": "state", "name": None, "value": "completed"}
    ends = {(event["type"], event["name"]): event["value"] for event in events}
    assert ends["value", "stage"] == "over" and ends["counter", "items"] == 3
    # Each line once, though the store was looked at many times.
    said = [event["value"]["detail"] for event in events if event["type"] == "progress" and event["value"]["detail"]]
    assert [detail for detail in said if isinstance(detail, dict) and "n" in detail] == [{"n": 1}, {"n": 2}]
    assert [line["detail"] for line in lines if line["step"] == "count" and line["detail"]] == [{"n": 1}, {"n": 2}]


async def test_a_watcher_may_go_away(store: str) -> None:
    async with stent.Executor(store) as executor:
        execution = await executor.dispatch(counting)
        async for event in execution.events():
            if event["type"] == "state":
                assert event["value"] == "pending"
                break


async def test_serve_gives_handlers_so_much_time(store: str) -> None:
    """One that does not end is cancelled then; without a time it would be waited for."""
    started, given_up = asyncio.Event(), asyncio.Event()

    @stent.activity
    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    async with stent.Executor(store) as executor:
        await executor.dispatch(endless)
        serving = executor.worker(endless)
        await serving.start()
        async with asyncio.TaskGroup() as tasks:

            async def told() -> None:
                await started.wait()
                os.kill(os.getpid(), signal.SIGUSR1)

            tasks.create_task(told())
            try:
                await asyncio.wait_for(serving.serve([signal.SIGUSR1], timeout=0.05), PATIENCE)
            except stent.TimeoutError:
                # The library has not heard in time that the coroutine has ended. The store closes when it has.
                await serving.stop(PATIENCE)
            assert given_up.is_set()


async def test_a_backend_in_an_async_with(store: str) -> None:
    async with await stent.Backend.open(store) as backend:
        async with worker(count, store=backend) as executor:
            assert await (await executor.dispatch(count, 3)).result(PATIENCE) == 3
        assert backend.call("count_executions") == 1
    with pytest.raises(stent.ClosedError):
        backend.call("count_executions")
