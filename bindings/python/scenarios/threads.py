"""The orchestrators of ../scenarios.md for threads."""

from __future__ import annotations

from typing import Any

import stent
from stent.sync import Context

from .activities import ACTIVITIES, add, append, charge, flaky, greet, mark, patient, square, until_cancelled


@stent.durable(name="python.hello")
def hello(ctx: Context, name: str) -> str:
    return ctx.call(greet, name)


@stent.durable(name="python.sequence")
def sequence(ctx: Context, n: int) -> int:
    for i in range(1, 6):
        n = ctx.call(add, n, i)
    return n


@stent.durable(name="python.fan_out")
def fan_out(ctx: Context, n: int) -> int:
    return sum(ctx.map(square, range(1, n + 1)))


@stent.durable(name="python.race")
def race(ctx: Context, function: str, args: list[Any], duration: str) -> dict[str, Any]:
    call, sleep = ctx.spawn(f"python.{function}", *args), ctx.spawn_sleep(duration)
    if ctx.wait_any(call, sleep) is call:
        sleep.cancel()
        return {"winner": "call", "result": call.result()}
    call.cancel()
    return {"winner": "sleep"}


@stent.durable(name="python.sleeper")
def sleeper(ctx: Context, duration: str) -> dict[str, str]:
    began = ctx.now()
    ctx.sleep(duration)
    return {"began": began.isoformat(), "woke": ctx.now().isoformat()}


@stent.durable(name="python.inbox")
def inbox(ctx: Context, n: int) -> list[Any]:
    return [ctx.wait_signal("message") for _ in range(n)]


@stent.durable(name="python.retried")
def retried(ctx: Context, times: int) -> int:
    return ctx.call(flaky, times)


@stent.durable(name="python.put_off")
def put_off(ctx: Context) -> list[Any]:
    if ctx.snoozes == 0:
        raise stent.Snooze(0.02)
    return [ctx.snoozes, ctx.call(patient)]


@stent.durable(name="python.purchase")
def purchase(ctx: Context, card: str, caught: bool) -> dict[str, Any]:
    try:
        ctx.call(charge, card)
    except stent.FailedError as error:
        if not caught:
            raise
        failure = error.failure
        return {key: failure.get(key) for key in ("type", "message", "code", "details")}
    return {}


@stent.durable(name="python.throws", retry_policy={"max_attempts": 1})
def throws(ctx: Context) -> None:
    raise ValueError("out of paper")


@stent.durable(name="python.holder")
def holder(ctx: Context, file: str) -> None:
    ctx.call(until_cancelled, file)


@stent.durable(name="python.marks")
def marks(ctx: Context, file: str, n: int) -> list[int]:
    return [ctx.call(mark, file, i) for i in range(1, n + 1)]


@stent.durable(name="python.once")
def once(ctx: Context, file: str) -> list[int]:
    pay = append.options(idempotency_key=file)
    return [ctx.call(pay, file, "paid"), ctx.call(pay, file, "paid")]


@stent.durable(name="python.ledger")
def ledger(ctx: Context, n: int) -> None:
    for i in range(1, n + 1):
        ctx.counter_add("items")
        ctx.counter_add("total", i)
        ctx.state_set("last", {"i": i})
        ctx.progress({"i": i})
        ctx.call(add, i, 0)


@stent.durable(name="python.relay")
def relay(ctx: Context, steps: list[tuple[str, list[Any]]]) -> list[Any]:
    return [ctx.call(function, *args) for function, args in steps]


HANDLERS = (
    *ACTIVITIES,
    hello,
    sequence,
    fan_out,
    race,
    sleeper,
    inbox,
    retried,
    put_off,
    purchase,
    throws,
    holder,
    marks,
    once,
    ledger,
    relay,
)
