"""A worker of the soak in Python: the same as worker.c, whose arguments it takes. It hosts its functions on threads."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import stent
from stent import sync
from stent._task import TaskContext

HISTORY = -1
WORKER = ""


def note(info: dict[str, Any], event: str, **more: Any) -> None:
    line = {
        "event": event,
        "task": info["task_id"],
        "execution": info["execution_id"],
        "function": info["function"],
        "attempt": info["attempt"],
        "fence": info["fence"],
        "worker": WORKER,
        "at": round(time.monotonic(), 6),
        **more,
    }
    os.write(HISTORY, json.dumps(line).encode() + b"\n")


# ---- activities ----


def lasts(context: TaskContext, milliseconds: int) -> bool:
    end = time.monotonic() + milliseconds / 1000
    while time.monotonic() < end:
        if context.is_cancelled:
            return True
        time.sleep(0.005)
    return False


def work(context: TaskContext, info: dict[str, Any], args: list[Any]) -> Any:
    match info["function"]:
        case "double":
            return 2 * args[0]
        case "cached":
            return args[0] + 1
        case "stamp":
            return {"fence": info["fence"], "worker": WORKER}
        case "declined":
            raise stent.Failure("Declined", "as it was asked to", retryable=False)
        case "flaky" if info["attempt"] <= args[1]:
            raise stent.Failure("Flaky", "as it was asked to")
        case "broken" if not os.path.exists(args[1]):
            raise stent.Failure("Broken", "as it was asked to")
        case "poison" if not os.path.exists(args[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        case "tally":
            context.counter_add("tallied", 1)
        case "slow" | "limited" if lasts(context, args[1]):
            note(info, "cancelled")
            context.heartbeat()
    return args[0]


def activity(name: str, options: dict[str, Any]) -> stent.Activity[..., Any]:
    def body(*args: Any) -> Any:
        context: Any = stent.current()
        info = context.info
        note(info, "begin", args=list(args))
        try:
            result = work(context, info, list(args))
        except stent.Failure as failure:
            note(info, "fail", failure={"type": failure.type})
            raise
        note(info, "complete", result=result)
        return result

    return stent.activity(name=name, **options)(body)


# ---- the flow ----


def caught(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except stent.FailedError as error:
        return {"failed": error.type}


def instruction(context: sync.Context, at: list[Any], spawned: list[Any]) -> Any:
    what, *rest = at
    function: Any = rest[0] if rest else None
    if what in ("call", "try") and len(rest) > 2:
        function = stent.Function(function).options(**rest[2])
    match what:
        case "call":
            return context.call(function, *rest[1])
        case "try":
            return caught(lambda: context.call(function, *rest[1]))
        case "map":
            return each(context, function, rest[1])
        case "try_map":
            return caught(lambda: each(context, function, rest[1]))
        case "spawn":
            spawned.append(context.spawn(function, *rest[1]))
        case "join":
            context.wait_all(*spawned)
            values = [operation.result() for operation in spawned]
            spawned.clear()
            return values
        case "race":
            call, sleep = context.spawn(function, *rest[1]), context.spawn_sleep(rest[2])
            first = context.wait_any(call, sleep)
            (sleep if first is call else call).cancel()
            return "call" if first is call else "sleep"
        case "sleep":
            context.sleep(rest[0])
        case "signal":
            timeout = rest[1].get("timeout") if len(rest) > 1 else None
            return caught(lambda: context.wait_signal(rest[0], timeout=timeout))
        case "step":
            return context.step(rest[0], lambda: in_place(context, rest[0], rest[1]))
        case "stable":
            uuid = str(context.uuid())
            return context.call("echo", uuid) == uuid
        case "counter":
            context.counter_add(rest[0], rest[1])
        case "state":
            context.state_set(rest[0], rest[1])
        case "progress":
            context.progress(rest[0])
        case _:
            raise ValueError(what)
    return None


def in_place(context: Any, name: str, n: int) -> int:
    note(context.info, "step", name=name)
    return n + 1


def each(context: sync.Context, function: str, args_list: list[list[Any]]) -> list[Any]:
    started = [context.spawn(function, *args) for args in args_list]
    context.wait_all(*started)
    return [operation.result() for operation in started]


def run_flow(context: Any, program: list[list[Any]]) -> list[Any]:
    note(context.info, "begin", replaying=context.is_replaying)
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
            values.append(instruction(context, at, spawned))
    except stent.Error as error:
        note(context.info, "leave", status=error.status)
        raise
    note(context.info, "complete", result=values)
    return values


# ---- the program ----


def begin(options: str, history: str) -> None:
    global HISTORY, WORKER
    HISTORY = os.open(history, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    WORKER = json.loads(options)["worker_id"]


def main() -> None:
    url, backend, options, functions, history = sys.argv[1:]
    begin(options, history)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: told.set())
    handlers: list[Any] = []
    for name, given in json.loads(functions).items():
        handlers.append(stent.durable(name=name, **given)(run_flow) if name == "flow" else activity(name, given))
    try:
        with sync.Executor(url, **json.loads(backend)) as executor:
            worker = executor.worker(*handlers, **json.loads(options))
            worker.start()
            told.wait()
            worker.stop(5)
    except stent.Error as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
