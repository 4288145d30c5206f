"""Both kinds of host under one roof: `stent.Executor`, and `stent.sync.Executor` with its calls in threads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import stent
from scenarios import coroutines, threads
from stent import sync

ROOT = Path(__file__).resolve().parents[1]
WORKER = ROOT / "scenario-worker"

# A test that waits longer than this, in seconds, waits for something that does not come.
PATIENCE = 60.0


class InThreads:
    """An object whose blocking methods are called in threads."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found):
            return found

        async def called(*args: Any, **kwargs: Any) -> Any:
            result = await asyncio.to_thread(found, *args, **kwargs)
            if isinstance(result, list):
                return [in_threads(element) for element in result]
            return in_threads(result)

        return called


def in_threads(result: Any) -> Any:
    return InThreads(result) if isinstance(result, sync.Execution) else result


class Host:
    def __init__(self, kind: str, store: str) -> None:
        self.kind = kind
        self.store = store

    @property
    def handlers(self) -> tuple[stent.Handler[..., Any], ...]:
        return coroutines.HANDLERS if self.kind == "asyncio" else threads.HANDLERS

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """An executor without a worker."""
        if self.kind == "asyncio":
            async with stent.Executor(self.store) as executor:
                yield executor
        else:
            blocking = await asyncio.to_thread(lambda: sync.Executor(self.store))
            yield InThreads(blocking)
            await asyncio.to_thread(blocking.close)

    @contextlib.asynccontextmanager
    async def running(
        self, *handlers: stent.Handler[..., Any], **options: Any
    ) -> AsyncIterator[tuple[Any, Any]]:
        """An executor, and a worker of it."""
        async with self.client() as executor, self.working(executor, *handlers, **options) as worker:
            yield executor, worker

    @contextlib.asynccontextmanager
    async def working(
        self, executor: Any, *handlers: stent.Handler[..., Any], **options: Any
    ) -> AsyncIterator[Any]:
        """A worker of an executor."""
        handlers = handlers or self.handlers
        if self.kind == "asyncio":
            async with executor.worker(*handlers, **options) as worker:
                yield worker
        else:
            worker = executor.inner.worker(*handlers, **options)
            await asyncio.to_thread(worker.start)
            yield InThreads(worker)
            await asyncio.to_thread(worker.stop)

    @contextlib.asynccontextmanager
    async def process(self) -> AsyncIterator[WorkerProcess]:
        """A scenario worker as a process of its own. It does not outlive the test."""
        options = json.dumps({"lease_duration": "4s"})
        started = await asyncio.create_subprocess_exec(
            WORKER,
            self.store,
            options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"STENT_SCENARIO_HOST": self.kind, "STENT_SCENARIO_PYTHON": sys.executable},
        )
        worker = WorkerProcess(started)
        try:
            await worker.says("ready")
            yield worker
        finally:
            with contextlib.suppress(ProcessLookupError):
                started.kill()
            await started.wait()


class WorkerProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, line: str) -> None:
        assert self.process.stdout is not None
        said = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        assert said.decode() == f"{line}\n"

    async def ends(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until it holds, on a thread."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.01)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
