"""Workers whose handlers run on an event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Literal
from uuid import uuid4

from . import _json
from ._batch import Batch
from ._described import Submission, WorkerOptions
from ._errors import ClosedError, InvalidError
from ._functions import Durable, Handler
from ._gathering import Gathering
from ._hosting import ActivityRun, DurableRun
from ._library import NULL, ask, call, lib, make, utf8
from ._poller import Poller, fail_and_free
from ._requests import WorkerStatus

# As the library has it, for the threads of activities that are no coroutines.
MAX_CONCURRENCY = 10


def register(executor: Any, handler: Handler[..., Any]) -> None:
    if isinstance(handler, Durable) and not handler.is_async:
        raise InvalidError(
            f"{handler.name} is durable and no async function, which an event loop can't run: use stent.sync.Executor"
        )
    options = utf8(_json.dumps_options(handler.registration)) if handler.registration else NULL
    call(lib.stent_executor_register, executor, utf8(handler.name), options, NULL, NULL, NULL)


class Worker:
    """Runs handlers on the event loop: between `async with executor.worker(…):` and its end, or `start` and `stop`."""

    def __init__(
        self, executor: Any, poller: Poller, handlers: Mapping[str, Handler[..., Any]], options: WorkerOptions
    ) -> None:
        self._executor = executor
        self._poller = poller
        self._handlers = handlers
        self._options: WorkerOptions = {**options, "worker_id": options.get("worker_id") or str(uuid4())}
        self._handle: Any = None
        self._slots = options.get("max_concurrency") or MAX_CONCURRENCY
        self._gatherings: dict[str, Gathering] = {}
        self._looks = False
        self._drains = False
        self._pool = concurrent.futures.ThreadPoolExecutor(self._slots, thread_name_prefix="stent")

    @property
    def worker_id(self) -> str:
        return str(self._options["worker_id"])

    async def start(self) -> None:
        """Starts it, and waits until the store knows it."""
        text = utf8(_json.dumps_options(self._options))
        self._poller.hosts[self.worker_id] = self
        self._handle = make(lib.stent_worker_start, "stent_worker", self._executor, text, self._poller.handle)
        await self.wait("ready")

    async def status(self) -> WorkerStatus:
        """Its state, its slots, what runs, and what troubles it."""
        status: WorkerStatus = _json.loads(ask(lib.stent_worker_status, self._started()))
        return status

    async def wait(self, state: Literal["ready", "draining", "stopped"], timeout: float | None = None) -> None:
        """Waits until it has come to a state or past it."""
        await self._submit("wait_worker", {"state": state, "timeout": timeout})

    def drain(self) -> None:
        """Tells it to take nothing new, and returns at once. Activities finish, durable functions give way, and then it
        is stopped.
        """
        call(lib.stent_worker_drain, self._started())
        self.drains()

    async def stop(self, timeout: float | None = None) -> None:
        """Drains it and waits until it has stopped. What runs longer than `timeout` is given up: another worker may
        take it at once, no attempt is charged, and `TimeoutError` is raised.
        """
        self.drains()
        await self._submit("stop_worker", {"timeout": timeout})
        self._pool.shutdown(wait=False)
        self._poller.hosts.pop(self.worker_id, None)

    async def serve(
        self, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT), timeout: float | None = None
    ) -> None:
        """Waits for one of the signals, and then stops, as `stop(timeout)` does: the whole of a worker program."""
        told = asyncio.Event()
        watched = tuple(signals)
        for number in watched:
            self._poller.loop.add_signal_handler(number, told.set)
        try:
            await told.wait()
            await self.stop(timeout)
        finally:
            for number in watched:
                self._poller.loop.remove_signal_handler(number)

    def begin(self, tag: int, task: Any, told: dict[str, Any]) -> None:
        """A task of this worker has come."""
        args, kwargs = told.pop("args"), told.pop("kwargs")
        self._look_later()
        handler = self._handlers[told["function"]]
        if isinstance(handler, Batch):
            return self._gathering(handler).add(tag, task, told, args, kwargs)
        if isinstance(handler, Durable):
            DurableRun(self._poller, self._pool, tag, task, told, self._goes_on).begin(handler, args, kwargs)
            return
        try:
            ActivityRun(self._poller, tag, task, told).begin(handler, self._pool, args, kwargs)
        except RuntimeError as error:  # its pool of threads is shut down: the program's, or the interpreter's, end
            fail_and_free(task, error)

    def _gathering(self, handler: Batch[Any, Any]) -> Gathering:
        found = self._gatherings.get(handler.name)
        if found is None:
            found = self._gatherings[handler.name] = Gathering(self._poller, handler, self._slots, self._pool)
        return found

    def drains(self) -> None:
        """Nothing waits for others any more, nor do those that are on their way yet."""
        self._drains = True
        self._begin_gathered()

    def _goes_on(self) -> None:
        """A durable function that has waited in memory has a slot again."""
        if self._gatherings:
            self._look_later()

    def _look_later(self) -> None:
        """When all are here that come in this turn of the loop."""
        if not self._looks and any(isinstance(handler, Batch) for handler in self._handlers.values()):
            self._looks = True
            self._poller.loop.call_soon(self._look)

    def _look(self) -> None:
        self._looks = False
        if any(gathering.waiting for gathering in self._gatherings.values()):
            if self._drains or _json.loads(ask(lib.stent_worker_status, self._started()))["running"] >= self._slots:
                self._begin_gathered()

    def _begin_gathered(self) -> None:
        """No others will come, or none before something has ended."""
        for gathering in self._gatherings.values():
            gathering.begin()

    async def _submit(self, operation: Submission, request: dict[str, Any]) -> None:
        self._started()
        text = _json.dumps_options({"worker_id": self.worker_id, **request})
        await self._poller.submit(self._executor, operation, text)

    def _started(self) -> Any:
        if self._handle is None:
            raise ClosedError("the worker has not been started: use it in an `async with` statement, or await start()")
        return self._handle

    async def __aenter__(self) -> Worker:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.stop()
