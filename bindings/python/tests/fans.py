"""The load of what measures: fan-outs of a thousand activities that do nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import stent
from stent import sync

from .hosts import PATIENCE, Host

RELEASE = not os.environ.get("STENT_LIB_DIR", "").endswith("debug")
FAN_OUT = 1_000
BLOCK = 10 * FAN_OUT
# What is measured over many is measured over a fifth, where not all are asked for.
STRESS = bool(os.environ.get("STENT_STRESS"))


def amount(of_all: int) -> int:
    return of_all if STRESS else of_all // 5


Say: TypeAlias = Callable[[str], None]


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


@contextlib.asynccontextmanager
async def with_fans(host: Host) -> AsyncIterator[Any]:
    """An executor with a worker of many slots."""
    async with host.running(*HANDLERS[host.kind], max_concurrency=256) as (executor, _):
        yield executor


async def run(executor: Any, activities: int = BLOCK) -> None:
    """A block of activities, a fan-out after the other."""
    for _ in range(activities // FAN_OUT):
        execution = await executor.dispatch("fan_out", FAN_OUT)
        await execution.result(4 * PATIENCE)
        # As a worker's retention does, sooner: SQLite keeps up to 64 MiB of the file in memory.
        await executor.cleanup(older_than=0)
