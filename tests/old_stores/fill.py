"""Fills a new store with work in every state in flight, for the test of migrations: `fill.py URL FILE`, with a new file.

It runs with the Python binding and the library of the version that the store is to be of; `make` beside it calls it so.
It asks for nothing that the first version had not. What the Rust test (`tests/executor/old_stores.rs`) expects of each
execution stands there, under the same number.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stent
from stent import sync

LEASE = "1s"


def number(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012d}"


@stent.activity
def echo(value: Any) -> Any:
    return value


@stent.activity
def child(value: Any) -> Any:
    return value


@stent.activity(cached=True)
def cached(value: Any) -> Any:
    return ["the first", value]


@stent.activity(max_concurrent=1, queue="limited")
def limited(value: Any) -> Any:
    return value


@stent.activity(retry_policy={"max_attempts": 1})
def fails() -> None:
    raise ValueError("it fails")


@stent.activity(retry_policy={"max_attempts": 5, "initial_delay": 5, "jitter": 0})
def flaky() -> None:
    raise ValueError("once more")


@stent.activity
def counts() -> str:
    task = stent.current()
    task.counter_add("files", 3)
    task.progress("half")
    return "counted"


@stent.durable
def parent(ctx: sync.Context, value: Any) -> Any:
    return [ctx.call(echo, 1), ctx.call(child.options(queue="later"), value)]


@stent.durable
def fan(ctx: sync.Context) -> Any:
    first = [ctx.spawn(echo, n) for n in range(5)]
    second = [ctx.spawn(child.options(queue="later"), n) for n in range(5, 10)]
    return [each.result() for each in first + second]


@stent.durable
def steps(ctx: sync.Context) -> Any:
    made = ctx.step("make", lambda: "made by the old version")
    return [made, ctx.wait_signal("go")]


@stent.durable
def listens(ctx: sync.Context) -> Any:
    return [ctx.wait_signal("early"), ctx.wait_signal("late")]


@stent.durable
def sleeps(ctx: sync.Context) -> Any:
    ctx.sleep("5s")
    return "slept"


@stent.durable
def changed(ctx: sync.Context) -> Any:
    return [ctx.call(echo.options(key="first"), "before"), ctx.wait_signal("go")]


@stent.durable(name="changed")
def changed_since(ctx: sync.Context) -> Any:
    return ctx.call(child.options(key="first"), "after")


def until(what: str, condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"still not: {what}")
        time.sleep(0.01)


def fill(store: stent.Backend) -> None:
    functions = [echo, cached, fails, flaky, counts, parent, fan, steps, listens, sleeps, changed]
    executor = sync.Executor(store)

    def dispatch(n: int, function: Any, *args: Any, **options: Any) -> sync.Execution[Any]:
        return executor.dispatch(function.options(id=number(n), **options), *args)

    def task(n: int) -> Any:
        """The root of an execution."""
        tasks = store.call("list_tasks_for_execution", execution_id=number(n))
        return next(task for task in tasks if task["parent_task_id"] is None)

    with executor.worker(*functions, queues=["first"], lease_duration=LEASE) as worker:
        for done in [dispatch(1, echo, {"a": 1}), dispatch(2, counts), dispatch(3, cached, 7)]:
            done.result(20)
        assert dispatch(4, fails).wait(20)["state"] == "failed"
        dispatch(5, parent, "later")
        dispatch(6, fan)
        dispatch(7, steps)
        dispatch(8, listens).signal("early", "bird")
        dispatch(9, sleeps)
        dispatch(10, flaky)
        dispatch(11, changed)
        dispatch(12, echo, "never", queue="later").cancel("nobody wants it")
        dispatch(13, echo, "keyed", idempotency_key="order-7").result(20)
        # They wait for children, signals and a time, of which each is a task too.
        until("all of them wait", lambda: store.call("count_tasks", state="waiting") == 6 + 4)
        until("it has failed once", lambda: task(10)["retries"] == 1)
        until("nothing is held", lambda: worker.status()["held"] == 0)
    with sync.Executor(store) as other, other.worker(changed_since, queues=["first"], lease_duration=LEASE) as worker:
        other.execution(number(11)).signal("go", 11)
        until("it is parked", lambda: worker.status()["held"] == 0 and other.stats()["store"]["parked"] == 1)
    dispatch(14, echo, "pending", queue="later")
    dispatch(15, echo, "delayed", queue="later", delay="5s")
    dispatch(16, echo, "expires", queue="nobody", expiry="5s")
    dispatch(17, limited, "held")
    dispatch(18, limited, "next")
    dispatch(19, echo, "keyed too", queue="later", idempotency_key="order-8")


def hold(url: str, begun: str) -> None:
    """Has one task when it is killed."""

    @stent.activity(max_concurrent=1, queue="limited")
    def limited(value: Any) -> None:
        Path(begun).touch()
        threading.Event().wait()

    with sync.Executor(url) as executor, executor.worker(limited, queues=["limited"], lease_duration=LEASE) as worker:
        worker.wait("stopped")


def main() -> None:
    url, begun = sys.argv[1:3]
    if len(sys.argv) == 4:
        hold(url, begun)
        return
    store = stent.Backend(url)
    fill(store)
    holder = subprocess.Popen([sys.executable, *sys.argv, "hold"])
    until("it runs", Path(begun).exists)
    holder.kill()
    holder.wait()
    store.close()


main()
