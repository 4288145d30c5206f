"""A loop that is held up: what it had goes on elsewhere, and it is told who holds it up."""

from __future__ import annotations

import asyncio
import threading
import time

import stent

from .hosts import PATIENCE, until


async def test_a_handler_that_blocks_the_loop_is_named_and_the_others_go_on_elsewhere(store: str) -> None:
    blocked, free = threading.Event(), threading.Event()
    ids: list[str] = []
    workers: list[stent.Worker] = []

    @stent.activity
    async def blocks() -> str:
        blocked.set()
        while not free.is_set():
            time.sleep(0.01)
        return "at last"

    @stent.activity
    async def waits() -> str:
        await asyncio.sleep(2 * PATIENCE)
        return "here"

    @stent.activity(name="waits")
    async def goes_on() -> str:
        return "elsewhere"

    async def host() -> str:
        async with stent.Executor(store) as executor, executor.worker(blocks, waits, host_timeout=2) as worker:
            workers.append(worker)
            ids.append((await executor.dispatch(waits)).id)
            while (await worker.status())["running"] == 0:
                await asyncio.sleep(0.01)
            return await (await executor.dispatch(blocks)).result(PATIENCE)

    hosted = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(host())))
    try:
        await until(blocked.is_set)
        async with stent.Executor(store) as executor, executor.worker(goes_on):
            assert await executor.execution(ids[0]).result(PATIENCE) == "elsewhere"
        trouble = (await workers[0].status())["trouble"] or ""
        assert trouble.startswith("host: has taken no events for 2s") and "newest first: blocks (task " in trouble
    finally:
        free.set()
    assert await hosted == "at last"
