"""A worker of the soak whose flows are coroutines on an event loop; its activities are those of worker.py, on threads.

A flow that waits stays here as a coroutine, and goes on under a new fence without being run again, so the fence that its
lines tell is the one that it began with.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any

import stent

from . import worker
from .worker import activity, in_place, note


async def caught(waited: Awaitable[Any]) -> Any:
    try:
        return await waited
    except stent.FailedError as error:
        return {"failed": error.type}


def call(context: stent.Context, function: str, args: list[Any], options: Any = None) -> asyncio.Future[Any]:
    called: Any = stent.Function[..., Any](function).options(**options) if options else function
    return context.call(called, *args)


def each(context: stent.Context, function: str, args_list: list[list[Any]]) -> Awaitable[Any]:
    return asyncio.gather(*[context.call(function, *args) for args in args_list])


async def instruction(context: stent.Context, at: list[Any], spawned: list[Any]) -> Any:
    what, *rest = at
    match what:
        case "call":
            return await call(context, *rest)
        case "try":
            return await caught(call(context, *rest))
        case "map":
            return await each(context, *rest)
        case "try_map":
            return await caught(each(context, *rest))
        case "spawn":
            spawned.append(call(context, *rest))
        case "join":
            values = await asyncio.gather(*spawned)
            spawned.clear()
            return list(values)
        case "race":
            called, sleep = call(context, rest[0], rest[1]), context.sleep(rest[2])
            done, _ = await asyncio.wait((called, sleep), return_when=asyncio.FIRST_COMPLETED)
            (sleep if called in done else called).cancel()
            return "call" if called in done else "sleep"
        case "sleep":
            await context.sleep(rest[0])
        case "signal":
            timeout = rest[1].get("timeout") if len(rest) > 1 else None
            return await caught(context.wait_signal(rest[0], timeout=timeout))
        case "step":
            return await context.step(rest[0], lambda: in_place(context, rest[0], rest[1]))
        case "stable":
            uuid = str(context.uuid())
            return await context.call("echo", uuid) == uuid
        case "counter":
            context.counter_add(rest[0], rest[1])
        case "state":
            context.state_set(rest[0], rest[1])
        case "progress":
            context.progress(rest[0])
        case _:
            raise ValueError(what)
    return None


async def run_flow(context: Any, program: list[list[Any]]) -> list[Any]:
    note(context.info, "begin", replaying=context.is_replaying, coroutine=True)
    values: list[Any] = []
    spawned: list[Any] = []
    try:
        for at in program:
            if at[0] == "continue":
                note(context.info, "continue")
                context.continue_with(at[1])
            if at[0] == "fail":
                note(context.info, "fail", failure={"type": at[1]})
                raise stent.Failure(at[1], "as it was asked to", retryable=False)
            values.append(await instruction(context, at, spawned))
    except stent.Error as error:
        note(context.info, "leave", status=error.status)
        raise
    note(context.info, "complete", result=values)
    return values


async def serve(url: str, backend: str, options: str, functions: str) -> None:
    handlers: list[Any] = []
    for name, given in json.loads(functions).items():
        handlers.append(stent.durable(name=name, **given)(run_flow) if name == "flow" else activity(name, given))
    async with stent.Executor(url, **json.loads(backend)) as executor:
        async with executor.worker(*handlers, **json.loads(options)) as host:
            await host.serve()


def main() -> None:
    url, backend, options, functions, history = sys.argv[1:]
    worker.begin(options, history)
    try:
        asyncio.run(serve(url, backend, options, functions))
    except stent.Error as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
