"""Orders: take the goods from the stock, charge the card, let somebody approve what is expensive, ship. A worker is killed
with SIGKILL in the middle of a charge; another one goes on, and no card is charged twice.

    python order_workflow.py            on a SQLite file
    python order_workflow.py redis      on the backend of redis_backend.py, with a Redis server of its own
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import redis_backend
import stent

ORDERS: list[dict[str, Any]] = [
    {"id": "SO-1", "item": "lamp", "cents": 4900},
    {"id": "SO-2", "item": "chair", "cents": 12900},
    {"id": "SO-3", "item": "sofa", "cents": 149900},
]
DIES = "SO-2"
"""The order in whose charge the worker is killed."""

APPROVAL_FROM_CENTS = 100000
PATIENCE = 60.0

# What the world outside is made of: each body that runs leaves a line, and the payment gateway a file for each payment.
world = Path(os.environ.get("ORDERS_WORLD", "."))


def note(what: str) -> None:
    with (world / "bodies").open("a") as file:
        file.write(f"{what}\n")


@stent.activity
async def reserve(order: dict[str, Any]) -> str:
    note(f"reserve {order['id']}")
    return f"{order['item']} from shelf 7"


@stent.activity
async def charge(order: dict[str, Any]) -> str:
    """The gateway knows a payment by its key, and the task's id is the same in every attempt: so it is taken once."""
    note(f"charge {order['id']}")
    payment = world / f"payment-{stent.current().task_id}"
    with contextlib.suppress(FileExistsError):
        payment.open("x").write(json.dumps(order))
    if order["id"] == DIES and (world / "gateway-is-slow").exists():
        # The money is taken, and the answer is on its way; it does not reach this process alive.
        await asyncio.sleep(PATIENCE)
    return f"receipt for {order['cents'] / 100:.2f}"


@stent.activity
async def ship(order: dict[str, Any]) -> str:
    note(f"ship {order['id']}")
    return f"parcel {order['id']}"


@stent.durable
async def process(ctx: stent.Context, order: dict[str, Any]) -> dict[str, Any]:
    """After a crash it goes on from what is recorded."""
    goods = await ctx.call(reserve, order)
    if order["cents"] >= APPROVAL_FROM_CENTS and not await ctx.wait_signal("approval", timeout="1h"):
        return {"order": order["id"], "refused": True}
    receipt = await ctx.call(charge, order)
    await ctx.sleep("200ms")
    return {"order": order["id"], "goods": goods, "receipt": receipt, "parcel": await ctx.call(ship, order)}


def open_store(url: str) -> stent.Backend:
    return redis_backend.open_backend(url) if url.startswith("unix:") else stent.Backend(url)


async def work(url: str) -> None:
    """A worker's process."""
    async with (
        stent.Executor(open_store(url)) as executor,
        executor.worker(reserve, charge, ship, process, lease_duration="1s") as worker,
    ):
        await worker.serve()


@contextlib.asynccontextmanager
async def worker(url: str, world: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker as a process of its own. It does not outlive us."""
    environment = os.environ | {"ORDERS_WORLD": str(world)}
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, "work", url, env=environment)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def has_line(file: Path, line: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not file.exists() or line not in file.read_text().splitlines():
            await asyncio.sleep(0.01)


async def demo(url: str, world: Path) -> int:
    bodies = world / "bodies"
    slow = world / "gateway-is-slow"
    slow.touch()
    async with stent.Executor(open_store(url)) as executor:
        running = [await executor.dispatch(process.options(idempotency_key=order["id"]), order) for order in ORDERS]
        async with worker(url, world) as first:
            await has_line(bodies, f"charge {DIES}")
            first.kill()
            print(f"kill -9 {first.pid}, in the middle of the charge of {DIES}")
        slow.unlink()
        async with worker(url, world):
            await running[-1].signal("approval", True)
            for execution in running:
                print(json.dumps(await execution.result(timeout=PATIENCE)))
        again = await executor.dispatch(process.options(idempotency_key="SO-1"), ORDERS[0])
        failed = promise(again.id == running[0].id, "the same order again is the same execution")
    lines = bodies.read_text().splitlines()
    payments = list(world.glob("payment-*"))
    failed += promise(lines.count(f"charge {DIES}") == 2, f"the charge of {DIES} ran again, because its worker had died")
    failed += promise(len(payments) == len(ORDERS), "every card was charged once")
    failed += promise(lines.count(f"reserve {DIES}") == 1, "what was recorded did not run again")
    failed += promise(all(lines.count(f"ship {order['id']}") == 1 for order in ORDERS), "every order was shipped once")
    return failed


def promise(holds: bool, text: str) -> int:
    print(f"  {'yes' if holds else 'NO '}   {text}")
    return 0 if holds else 1


def main(mode: str = "sqlite", url: str = "") -> int:
    if mode == "work":
        asyncio.run(work(url))
        return 0
    with tempfile.TemporaryDirectory(prefix="stent-orders.") as folder, contextlib.ExitStack() as stack:
        url = stack.enter_context(redis_backend.server()) if mode == "redis" else f"{folder}/orders.db"
        return asyncio.run(demo(url, Path(folder)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
