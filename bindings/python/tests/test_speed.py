"""How well: the numbers of ../../scenarios.md, measured and printed. They hold for the release build of the library; of
another a tenth of them is asked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stent
from stent import sync

from .hosts import PATIENCE, Host

RELEASE = not os.environ["STENT_LIB_DIR"].endswith("debug")
RATE = 2_000 if RELEASE else 200
FAN_OUT = 1_000
FAN_OUTS, FIRST = 100, 20
WAITING = 10_000


@stent.activity
def nothing(n: int) -> None: ...


@stent.activity(name="nothing")
async def nothing_async(n: int) -> None: ...


@stent.durable(name="fan_out")
def fan_out_on_threads(ctx: sync.Context, n: int) -> None:
    ctx.map(nothing, range(n))


@stent.durable(name="fan_out")
async def fan_out(ctx: stent.Context, n: int) -> None:
    await ctx.map(nothing_async, range(n))


HANDLERS: dict[str, tuple[stent.Handler[..., Any], ...]] = {
    "asyncio": (fan_out, nothing_async),
    "threads": (fan_out_on_threads, nothing),
}


def resident() -> int:
    """The memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


Say = Callable[[str], None]


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Say:
    """Prints what was measured, whether the test passes or not."""

    def said(line: str) -> None:
        with capfd.disabled():
            print(f"\n{line}", flush=True)

    return said


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_activities_a_second_and_memory(host: Host, say: Say) -> None:
    async with host.running(*HANDLERS[host.kind], max_concurrency=256) as (executor, _):

        async def run(count: int) -> None:
            for _ in range(count):
                execution = await executor.dispatch("fan_out", FAN_OUT)
                await execution.result(4 * PATIENCE)
                # As a worker's retention does, sooner: SQLite keeps up to 64 MiB of the file in memory.
                await executor.cleanup(older_than=0)

        began = time.monotonic()
        await run(FIRST)
        first = resident()
        await run(FAN_OUTS - FIRST)
        rate = FAN_OUTS * FAN_OUT / (time.monotonic() - began)
        grown = resident() / first - 1
    say(f"{host.kind}: {rate:,.0f} activities/s; after 100,000 of them {grown:+.1%} memory ({first >> 20} MiB at 20,000)")
    assert rate >= RATE
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
