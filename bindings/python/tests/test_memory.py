"""Memory: over many activities, and with many orchestrators that wait. What is measured is printed."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

import stent

from .fans import BLOCK, Say, amount, run, with_fans
from .hosts import PATIENCE, Host

BLOCKS, FIRST = 10, 2
SIZE = amount(BLOCK)
WAITING = amount(10_000)


def resident() -> int:
    """The memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_memory_over_activities(host: Host, say: Say) -> None:
    async with with_fans(host) as executor:
        for _ in range(FIRST):
            await run(executor, SIZE)
        first = resident()
        for _ in range(BLOCKS - FIRST):
            await run(executor, SIZE)
        grown = resident() / first - 1
    say(f"{host.kind}: {grown:+.1%} memory after {BLOCKS * SIZE:,} activities ({first >> 20} MiB at {FIRST * SIZE:,})")
    assert grown <= 0.25


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_orchestrators_that_wait(host: Host, say: Say) -> None:
    async with host.running(max_concurrency=256) as (executor, worker):
        began = time.monotonic()
        inbox = stent.Function[[int], list[Any]]("python.inbox")
        started = await executor.dispatch_many([inbox.bind(1) for _ in range(WAITING)])
        async with asyncio.timeout(4 * PATIENCE):
            while await asyncio.to_thread(executor.backend.call, "count_tasks", state="waiting") < 2 * WAITING:
                await asyncio.sleep(0.1)
        say(f"{host.kind}: {WAITING:,} orchestrators wait after {time.monotonic() - began:.1f} s, {resident() >> 20} MiB")
        assert (await worker.status())["running"] == 0
        await asyncio.gather(*(execution.signal("message", n) for n, execution in enumerate(started)))
        results = await asyncio.gather(*(execution.result(4 * PATIENCE) for execution in started))
        assert results == [[n] for n in range(WAITING)]
    say(f"{host.kind}: all have ended after {time.monotonic() - began:.1f} s")
