"""A loop that is held up, or has ended: what it had goes on elsewhere, and it is told who holds it up."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

import stent

from .hosts import PATIENCE, until

blocked, free = threading.Event(), threading.Event()


@stent.activity
async def blocks() -> str:
    blocked.set()
    while not free.is_set():
        time.sleep(0.01)
    return "at last"


@stent.durable
async def spins(ctx: stent.Context) -> str:
    blocked.set()
    while not free.is_set():
        await asyncio.sleep(0)
    return "at last"


@stent.activity
async def waits() -> str:
    await asyncio.sleep(2 * PATIENCE)
    return "here"


@stent.activity(name="waits")
async def goes_on() -> str:
    return "elsewhere"


async def until_it_runs(worker: stent.Worker) -> None:
    while (await worker.status())["running"] == 0:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("blocker", [blocks, spins], ids=["blocks", "spins"])
async def test_a_handler_that_blocks_the_loop_is_named_and_the_others_go_on_elsewhere(
    store: str, blocker: stent.Handler[[], str]
) -> None:
    ids: list[str] = []
    workers: list[stent.Worker] = []
    blocked.clear()
    free.clear()

    async def host() -> str:
        async with stent.Executor(store) as executor, executor.worker(blocker, waits, host_timeout=2) as worker:
            workers.append(worker)
            ids.append((await executor.dispatch(waits)).id)
            await until_it_runs(worker)
            return await (await executor.dispatch(blocker)).result(PATIENCE)

    hosted = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(host())))
    try:
        await until(blocked.is_set)
        async with stent.Executor(store) as executor, executor.worker(goes_on):
            assert await executor.execution(ids[0]).result(PATIENCE) == "elsewhere"
        trouble = (await workers[0].status())["trouble"] or ""
        assert trouble.startswith("host: has taken no events for 2s"), trouble
        assert f"newest first: {blocker.name} (task " in trouble, trouble
    finally:
        free.set()
    assert await hosted == "at last"


@pytest.mark.parametrize("blocker", [blocks, spins], ids=["blocks", "spins"])
async def test_a_handler_that_always_blocks_its_loop_ends_as_a_dead_letter(
    store: str, blocker: stent.Handler[[], str]
) -> None:
    """It would go from loop to loop for ever."""
    over = threading.Event()
    started: list[threading.Thread] = []

    async def host() -> None:
        async with stent.Executor(store) as executor, executor.worker(blocker, host_timeout=1, lease_duration=2):
            while not over.is_set():
                await asyncio.sleep(0.01)

    blocked.clear()
    free.clear()
    async with stent.Executor(store) as executor:
        execution = await executor.dispatch(blocker)
        try:
            state = "pending"
            while state in ("pending", "running"):
                if not started or blocked.is_set():
                    # The last one stands still: another takes what it had.
                    blocked.clear()
                    started.append(threading.Thread(target=lambda: asyncio.run(host())))
                    started[-1].start()
                await asyncio.sleep(0.05)
                state = (await execution.state())["state"]
                assert len(started) < 20
            with pytest.raises(stent.FailedError, match="its event loop stood still"):
                await execution.result(PATIENCE)
            [letter] = await executor.dead_letters()
            assert "died 3 times in a row" in letter["reason"]
        finally:
            over.set()
            free.set()
            for thread in started:
                await asyncio.to_thread(thread.join)


async def test_a_loop_that_ended_with_its_worker_keeps_no_tasks(store: str) -> None:
    left: list[contextlib.AsyncExitStack] = []

    async def host() -> str:
        stack = contextlib.AsyncExitStack()
        executor = await stack.enter_async_context(stent.Executor(store))
        worker = await stack.enter_async_context(executor.worker(waits, host_timeout=2))
        left.append(stack)
        execution = await executor.dispatch(waits)
        await until_it_runs(worker)
        return execution.id

    loop = asyncio.new_event_loop()
    held = await asyncio.to_thread(loop.run_until_complete, host())
    async with stent.Executor(store) as executor:
        new = await executor.dispatch(waits)
        async with executor.worker(goes_on):
            for execution in (executor.execution(held), new):
                assert await execution.result(PATIENCE) == "elsewhere"
    # It goes round again, to close what is left.
    await asyncio.to_thread(loop.run_until_complete, left.pop().aclose())
    loop.close()
