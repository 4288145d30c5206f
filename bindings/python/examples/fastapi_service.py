"""A service with FastAPI: orders come by HTTP, and are worked on durably. The worker starts and drains with the server.

    pip install fastapi uvicorn
    STENT_STORE=orders.db uvicorn --app-dir examples fastapi_service:app

    curl -X POST localhost:8000/orders -H 'content-type: application/json' -d '{"id": "42", "cents": 1250}'
    curl localhost:8000/executions/<the id that it gave>
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

import stent

# What still runs so long after the server was told to end is left to another process.
DRAIN = 20.0


class Order(BaseModel):
    id: str
    cents: int


class Receipt(BaseModel):
    order: Order
    charged: str


@stent.activity
def charge(order: Order, key: str) -> str:
    """Would ask a bank, with the key that makes it count once. Here a file tells it to wait."""
    folder = Path(os.environ.get("STENT_EXAMPLE_FOLDER", os.devnull))
    if folder.is_dir():
        (folder / "charging").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
    return f"{order.cents} cents under {key}"


@stent.durable
async def sell(ctx: stent.Context, order: Order) -> Receipt:
    charged = await ctx.call(charge, order, str(ctx.uuid()))
    return Receipt(order=order, charged=charged)


executor = stent.Executor(os.environ.get("STENT_STORE", "orders.db"))


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The server awaits the first half before it takes requests, and the second when it takes none any more."""
    async with executor:
        worker = executor.worker(charge, sell)
        await worker.start()
        try:
            yield
        finally:
            await worker.stop(DRAIN)


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=202)
async def create(order: Order) -> dict[str, str]:
    """The order's number is the idempotency key: who sends it again gets the same execution."""
    execution = await executor.dispatch(sell.options(idempotency_key=order.id), order)
    return {"execution": execution.id}


@app.get("/executions/{id}")
async def look(id: str) -> dict[str, str | Receipt | None]:
    try:
        state = await executor.execution(id).state()
    except stent.NotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except stent.InvalidError as error:
        raise HTTPException(422, str(error)) from None
    return {"state": state["state"], "receipt": state["result"]}
