"""What the page's tests look at: workflows of all kinds on a store, and a worker that runs them until it is killed.

    worker.py feed STORE FLAG      fills the store, writes the executions' ids as one line of JSON, then works
    worker.py work STORE FLAG ID   works under this id

The file FLAG stands for other code: while it is there, `moody` asks for something else than is recorded.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import stent

HOSTILE = "\"'></script></title></textarea></template><script>window.hit=1</script><img src=x onerror='window.hit=2'>\u202e&amp;{{7*7}}"
ROWS = 100_000
TASKS = 10_000

flag = Path(sys.argv[3])


@stent.activity
async def add(a: int, b: int) -> int:
    return a + b


@stent.activity(retry_policy={"max_attempts": 2, "initial_delay": "10ms", "jitter": 0})
async def shaky(card: str) -> str:
    if stent.current().attempt == 1:
        raise ConnectionError(f"the gateway of {card} did not answer")
    return "paid"


@stent.activity(retry_policy={"max_attempts": 1})
async def bad(what: str) -> None:
    raise ValueError(what)


@stent.activity
async def slow() -> None:
    await asyncio.sleep(600)


@stent.durable
async def order(ctx: stent.Context, item: dict[str, Any]) -> Any:
    ctx.progress({"step": "counted"})
    ctx.counter_add("items", 3)
    ctx.state_set("phase", {"is": "paying", "of": item})
    await ctx.call(shaky, "4711")
    await ctx.sleep("50ms")
    sums = await ctx.map(add_one, list(range(8)))
    approval = await ctx.wait_signal("approval")
    return {"sums": sums, "approval": approval}


@stent.activity
async def add_one(a: int) -> int:
    return a + 1


@stent.durable
async def hostile(ctx: stent.Context, text: str) -> Any:
    ctx.progress({text: text})
    ctx.counter_add(text, 1)
    ctx.state_set(text, {text: text})
    return {text: await ctx.wait_signal(text)}


@stent.durable
async def fails(ctx: stent.Context, text: str) -> Any:
    return await ctx.call(bad, text)


@stent.durable
async def waits(ctx: stent.Context) -> Any:
    return await ctx.wait_signal("go")


@stent.durable
async def runs_slow(ctx: stent.Context) -> None:
    await ctx.call(slow.options(queue="doomed"))


@stent.durable
async def moody(ctx: stent.Context) -> Any:
    if flag.exists():
        await ctx.call(add, 1, 2)
    return await ctx.wait_signal("go")


@stent.durable
async def many(ctx: stent.Context, count: int) -> int:
    return sum(await ctx.map(add_one, list(range(count))))


HANDLERS = [add, add_one, shaky, bad, order, hostile, fails, waits, runs_slow, moody, many]


def bulk(store: str) -> None:
    """So many executions that ended a month ago: written as rows, since nothing has to run for them."""
    first = int(time.time() - 30 * 86400)
    columns = "(id, root_function, state, priority, retries, created_at, started_at, completed_at, args, kwargs, result)"
    if store.startswith("postgres"):
        at = f"to_timestamp({first} + n)"
        rows = f"""SELECT lpad(to_hex({first}::bigint * 1000 + n), 12, '0')::text || '7000' || '8000' || lpad(to_hex(n), 12, '0'),
            n FROM generate_series(1, {ROWS}) AS n"""
        text = f"""INSERT INTO executions {columns} SELECT id::uuid, 'old', 'completed', 0, 0, {at}, {at}, {at},
            '[]'::bytea, '{{}}'::bytea, '1'::bytea FROM ({rows}) AS rows(id, n); ANALYZE executions;"""
        psql = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1]
        subprocess.run([psql, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={store}", f"--command={text}"], check=True)
        return
    at = f"(({first} + n) * 1000000)"
    with sqlite3.connect(store, timeout=60) as database:
        rows = (
            (bytes.fromhex(f"{first * 1000 + n:012x}70008000{n:012x}"), *[(first + n) * 1_000_000] * 3, b"[]", b"{}", b"1")
            for n in range(1, ROWS + 1)
        )
        database.executemany(f"INSERT INTO executions {columns} VALUES (?, 'old', 'completed', 0, 0, ?, ?, ?, ?, ?, ?)", rows)
    database.close()


async def feed(executor: stent.Executor) -> dict[str, str]:
    started = {
        "order": await executor.dispatch(order.options(tags=["shop", "eu"]), {"id": "SO-1", "item": "lamp"}),
        "hostile": await executor.dispatch(hostile.options(tags=[HOSTILE]), HOSTILE),
        "unknown": await executor.dispatch(HOSTILE),
        "failed": await executor.dispatch(fails, "the card is stolen"),
        "hostile_failed": await executor.dispatch(fails, HOSTILE),
        "moody": await executor.dispatch(moody),
        "big": await executor.dispatch(many, TASKS),
        "small": await executor.dispatch(many, 1),
    }
    for index in range(5):
        started[f"failed{index}"] = await executor.dispatch(fails, f"number {index}")
    for index in range(6):
        started[f"waits{index}"] = await executor.dispatch(waits)
    await started["hostile"].signal(HOSTILE, {HOSTILE: [HOSTILE]})
    for name, execution in started.items():
        if name.startswith(("failed", "hostile", "big", "small")):
            await execution.wait(timeout=120)
    return {name: execution.id for name, execution in started.items()}


async def park(executor: stent.Executor, moody_id: str) -> None:
    """Another process's worker, as it were: it has to replay what this one keeps in memory."""
    flag.touch()
    await executor.execution(moody_id).signal("go", 1)
    while (await executor.stats())["store"]["parked"] == 0:
        await asyncio.sleep(0.02)
    flag.unlink()


def worker(executor: stent.Executor, worker_id: str, *handlers: Any) -> stent.Worker:
    queues = ["doomed"] if handlers == (slow,) else ["default"]
    return executor.worker(*handlers, worker_id=worker_id, queues=queues, lease_duration="2s", max_concurrency=16)


async def main(what: str, store: str, _: str, worker_id: str = "steady") -> None:
    handlers = [slow] if what == "work" else HANDLERS
    ids = {}
    if what == "feed":
        async with stent.Executor(store) as executor, worker(executor, worker_id, *handlers):
            ids = await feed(executor)
    async with stent.Executor(store) as executor, worker(executor, worker_id, *handlers) as working:
        if what == "feed":
            await park(executor, ids["moody"])
            await asyncio.to_thread(bulk, store)
        print(json.dumps(ids), flush=True)
        await working.serve()


if __name__ == "__main__":
    # It does not outlive the tests: their end is the end of its standard input.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(main(*sys.argv[1:]))
