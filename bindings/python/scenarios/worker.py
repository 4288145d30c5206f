"""The scenario worker of ../scenarios.md: hosts its functions until it is told to stop.

    worker.py <store url> [<worker options as a JSON object>]

STENT_SCENARIO_HOST says how: "asyncio" (the default) or "threads".
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from typing import Any

import stent
from scenarios import coroutines, threads
from stent import sync


def say(line: str) -> None:
    print(line, flush=True)


def serve_on_threads(url: str, options: dict[str, Any]) -> None:
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: told.set())

    def watch_input() -> None:
        # Not by sys.stdin, whose lock the interpreter wants at its end.
        while os.read(0, 1024):
            pass
        told.set()

    with sync.Executor(url) as executor:
        worker = executor.worker(*threads.HANDLERS, **options)
        worker.start()
        threading.Thread(target=watch_input, daemon=True).start()
        say("ready")
        told.wait()
        worker.drain()
        say("draining")
        worker.stop()
    say("stopped")


async def serve_on_asyncio(url: str, options: dict[str, Any]) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    # Also readable at the end of the input, which is all that comes.
    loop.add_reader(sys.stdin, told.set)
    async with stent.Executor(url) as executor:
        worker = executor.worker(*coroutines.HANDLERS, **options)
        await worker.start()
        say("ready")
        await told.wait()
        loop.remove_reader(sys.stdin)
        worker.drain()
        say("draining")
        await worker.stop()
    say("stopped")


def main() -> None:
    url, options = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    if os.environ.get("STENT_SCENARIO_HOST") == "threads":
        serve_on_threads(url, options)
    else:
        asyncio.run(serve_on_asyncio(url, options))


if __name__ == "__main__":
    main()
