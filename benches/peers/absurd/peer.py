"""absurd: a program that benches/peers/run compares. The schema comes with absurdctl, of the same version as the SDK."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from absurd_sdk import AsyncAbsurd
from psycopg import AsyncConnection

URL, SETTINGS, PHASE, COUNT = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
WORKER = {"concurrency": 64} if SETTINGS == "recommended" else {}
# A task may not wait for one of its own queue.
CHILDREN = "children"


async def noop(params, ctx):
    return None


async def calls(params, ctx):
    for number in range(5):

        async def spawn():
            return str((await client.spawn("noop", {}, queue=CHILDREN))["task_id"])

        child = await ctx.step(f"spawn {number}", spawn)
        await ctx.await_task_result(child, queue_name=CHILDREN)


async def steps(params, ctx):
    async def step():
        return None

    for number in range(5):
        await ctx.step(f"step {number}", step)


async def probe(params, ctx):
    started.append(time.monotonic())


async def setup() -> dict:
    subprocess.run([Path(sys.executable).parent / "absurdctl", "init", "-d", URL], check=True, capture_output=True)
    for queue in ("default", CHILDREN):
        await client.create_queue(queue)
    return {"seconds": 1}


async def bulk() -> dict:
    return await timed(spawn_many("noop"))


async def spawn_many(task: str) -> None:
    statement = "SELECT count(*) FROM generate_series(1, %s) AS n, absurd.spawn_task('default', %s, to_jsonb(n))"
    async with await AsyncConnection.connect(URL, autocommit=True) as db:
        await db.execute(statement, [COUNT, task])


async def one() -> dict:
    async def spawn():
        for _ in range(COUNT):
            await client.spawn("noop", {}, queue="default")

    return await timed(spawn())


async def drain() -> dict:
    return await timed(until_done())


async def workflows() -> dict:
    async def all_at_once():
        await spawn_many(PHASE)
        await until_done()

    return await timed(all_at_once())


async def latency() -> dict:
    to_start, to_result = [], []
    for _ in range(COUNT):
        asked = time.monotonic()
        task = await client.spawn("probe", {}, queue="default")
        await client.await_task_result(task["task_id"])
        to_result.append(time.monotonic() - asked)
        to_start.append(started.pop() - asked)
        await asyncio.sleep(0.005)
    return {"start_ms": statistics.median(to_start) * 1e3, "result_ms": statistics.median(to_result) * 1e3}


async def until_done() -> None:
    async with await AsyncConnection.connect(URL, autocommit=True) as db:

        async def ask(question: str):
            return (await (await db.execute("SELECT " + question)).fetchone())[0]

        while await ask("EXISTS (SELECT FROM absurd.t_default WHERE state IN ('pending', 'running', 'sleeping'))"):
            await asyncio.sleep(0.01)
        found = await ask("count(*) FROM absurd.t_default WHERE state = 'completed'")
        assert found == COUNT, f"{found} of {COUNT} have completed"


async def timed(work) -> dict:
    begin = time.monotonic()
    await work
    return {"seconds": time.monotonic() - begin}


async def beside_workers(phase) -> dict:
    """The worker of each queue has a connection of its own, and is stopped in the end."""
    workers = []
    for queue in ("default", CHILDREN):
        worker = AsyncAbsurd(URL, queue_name=queue)
        for handler in (noop, calls, steps, probe):
            worker.register_task(handler.__name__)(handler)
        workers.append((worker, asyncio.create_task(worker.start_worker(**WORKER))))
    answer = await phase()
    for worker, running in workers:
        worker.stop_worker()
        await running
        await worker.close()
    return answer


async def main() -> None:
    alone = {"setup": setup, "bulk": bulk, "one": one}
    beside = {"drain": drain, "calls": workflows, "steps": workflows, "latency": latency}
    answer = await (alone[PHASE]() if PHASE in alone else beside_workers(beside[PHASE]))
    await client.close()
    print(json.dumps(answer))


client = AsyncAbsurd(URL)
started: list[float] = []
asyncio.run(main())
