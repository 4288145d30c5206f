"""Executions, started and watched by coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar, Unpack, overload

from . import _json
from ._backend import Backend
from ._described import (
    CleanupOptions,
    DeadLetterFilter,
    DeadLetterRecord,
    ExecutionFilter,
    ExecutionRecord,
    Operation,
    PauseOptions,
    ProgressRecord,
    ScheduleFilter,
    SqliteOptions,
    Submission,
    UnpauseOptions,
    WorkerOptions,
)
from ._errors import ClosedError, TimeoutError
from ._functions import Function, Handler, P, R, Request, checked, request
from ._library import NULL, call, lib, make, release, utf8
from ._poller import Poller
from ._requests import CleanupReport, ExecutionState, KeptSchedule, PauseRecord, Schedule, Tick, many
from ._watching import INTERVAL, ExecutionEvent, Watch
from ._worker import Worker, register

T = TypeVar("T")

# In the class below `list` is a method.
Listed: TypeAlias = list


class Execution(Generic[T]):
    """One run of a dispatched function, with everything that it called."""

    def __init__(self, executor: Executor, id: str) -> None:
        self._executor = executor
        self.id = id

    async def result(self, timeout: float | None = None) -> T:
        """Waits for the result, for at most so many seconds. `FailedError`, `CancelledError`: how else it ended.
        `TimeoutError`: it goes on, or (the detail "state" is "timed_out") ran out of its own time.
        """
        result: T = await self._ask("result", timeout=timeout)
        return result

    async def wait(self, timeout: float | None = None) -> ExecutionState:
        """Waits until it is over, in whatever way."""
        state: ExecutionState = await self._ask("wait", timeout=timeout)
        return state

    async def state(self) -> ExecutionState:
        """The execution as it is now: state, progress, counters, state values."""
        state: ExecutionState = await self._ask("state")
        return state

    async def events(self, interval: float = INTERVAL) -> AsyncGenerator[ExecutionEvent]:
        """What becomes of it, until it is over: its states, progress, counters and values, those of before first. The store
        is looked at once in so many seconds; of what changes more often the last is told.
        """
        watch = Watch()
        while True:
            for event in watch.news(await self.state()):
                yield event
            if watch.is_over:
                return
            with contextlib.suppress(TimeoutError):
                await self.wait(interval)

    async def progress(self, interval: float = INTERVAL) -> AsyncGenerator[ProgressRecord]:
        """Its lines of progress, each when it is new or says more than before, until it is over."""
        async with contextlib.aclosing(self.events(interval)) as events:
            async for event in events:
                if event["type"] == "progress":
                    yield event["value"]

    async def signal(self, name: str, payload: Any = None, *, id: str | None = None) -> None:
        """Sends a signal. It is kept until a wait takes it. The same `id` counts once."""
        sent = {"execution_id": self.id, "name": name, "payload": payload, "id": id}
        await self._executor._submit("signal", _json.dumps(sent))

    async def cancel(self, reason: str | None = None) -> None:
        """Cancels it with everything that it called."""
        await self._ask("cancel", reason=reason)

    async def _ask(self, operation: Submission, **request: Any) -> Any:
        return await self._executor._ask(operation, execution_id=self.id, **request)

    def __repr__(self) -> str:
        return f"<stent execution {self.id}>"


class Executor:
    """Dispatches executions on a store, and starts workers, on an event loop:

        async with stent.Executor("workflow.db") as executor:
            execution = await executor.dispatch(welcome, "world")

    store: a path, a PostgreSQL URL (both with the options of `Backend`), or an open `Backend`.
    """

    def __init__(self, store: str | os.PathLike[str] | Backend, **options: Unpack[SqliteOptions]) -> None:
        self._store = store
        self._options = options
        self._registered: dict[str, Handler[..., Any]] = {}
        self._handle: Any = None
        self._opened: tuple[Backend, Poller] | None = None

    async def open(self) -> None:
        """Opens the store. `async with` does it."""
        if isinstance(self._store, Backend):
            backend = self._store
        else:
            backend = await asyncio.to_thread(Backend, self._store, **self._options)
        self._handle = make(lib.stent_executor_new, "stent_executor", backend.handle, NULL)
        self._opened = (backend, Poller())
        self._registered = {}

    async def close(self) -> None:
        """Closes the store, if the executor opened it. Stop its workers first."""
        if self._opened is None:
            return
        backend, poller = self._opened
        self._opened = None
        poller.close()
        release(self._handle)
        if backend is not self._store:
            await asyncio.to_thread(backend.close)

    @property
    def backend(self) -> Backend:
        """The store. Its calls block: see `backend_call`."""
        return self._open()[0]

    def register(self, *handlers: Handler[..., Any]) -> None:
        """Makes handlers known to the workers that are started from now on."""
        self._open()
        for handler in handlers:
            known = self._registered.get(checked(handler).name)
            # An object's method is another thing each time that it is asked for.
            if known is None or known.body != handler.body:
                register(self._handle, handler)
                self._registered[handler.name] = handler

    def unregister(self, *handlers: Function[..., Any] | str) -> None:
        """Takes handlers back: workers that are started from now on don't have them, those that run keep them. What is not
        registered here raises NotFoundError."""
        self._open()
        for handler in handlers:
            name = handler if isinstance(handler, str) else handler.name
            call(lib.stent_executor_unregister, self._handle, utf8(name))
            # A mapping of its own: those that run keep theirs.
            self._registered = {known: body for known, body in self._registered.items() if known != name}

    def worker(self, *handlers: Handler[..., Any], **options: Unpack[WorkerOptions]) -> Worker:
        """A worker for these handlers and all that were registered: `async with executor.worker(greet, welcome): …`."""
        self.register(*handlers)
        return Worker(self._handle, self._open()[1], self._registered, options)

    @overload
    async def dispatch(self, function: Function[P, R], *args: P.args, **kwargs: P.kwargs) -> Execution[R]: ...
    @overload
    async def dispatch(self, function: str, *args: Any, **kwargs: Any) -> Execution[Any]: ...
    async def dispatch(self, function: Any, *args: Any, **kwargs: Any) -> Execution[Any]:
        """Starts an execution of a function, whoever has its code. Returns when that is durable."""
        return Execution(self, await self._submit("dispatch", request(function, args, kwargs).text))

    async def dispatch_many(self, requests: Iterable[Request[T]]) -> Listed[Execution[T]]:
        """Starts many at once: `await executor.dispatch_many(greet.bind(name) for name in names)`."""
        ids = await self._submit("dispatch_many", f'{{"requests":{many(requests)}}}')
        return [Execution(self, id) for id in ids]

    def execution(self, id: str) -> Execution[Any]:
        """An execution that was started before, here or elsewhere."""
        return Execution(self, id)

    async def list(self, **filter: Unpack[ExecutionFilter]) -> Listed[ExecutionRecord]:
        """Executions, newest first, without their progress."""
        listed: Listed[ExecutionRecord] = await self._ask("list", **filter)
        return listed

    async def stats(self) -> dict[str, Any]:
        """Counts by state, depths and ages of queues, dead letters, and what this process's workers did."""
        stats: dict[str, Any] = await self._ask("stats")
        return stats

    async def prometheus(self) -> str:
        """The same as text for Prometheus."""
        text: str = await self._ask("stats", format="prometheus")
        return text

    async def dead_letters(self, **filter: Unpack[DeadLetterFilter]) -> Listed[DeadLetterRecord]:
        """Tasks that used up their attempts, newest first."""
        letters: Listed[DeadLetterRecord] = await self._ask("dead_letters", **filter)
        return letters

    async def replay_dead_letter(self, task_id: str) -> Execution[Any]:
        """Starts an execution anew from a dead letter, with all that was recorded up to the failure."""
        return Execution(self, (await self._ask("replay_dead_letter", task_id=task_id))["execution_id"])

    async def discard_dead_letter(self, task_id: str) -> None:
        """Takes a dead letter away; its execution stays as it ended."""
        await self._ask("discard_dead_letter", task_id=task_id)

    async def resume(self, task_id: str) -> None:
        """Lets a task go on that was parked because its code did not match its journal."""
        await self._ask("resume", task_id=task_id)

    async def pause(self, **options: Unpack[PauseOptions]) -> None:
        """Pauses a queue or a function: `await executor.pause(queue="mails", reason="…")`. When it has returned, no worker
        claims a task of it any more."""
        await self._ask("pause", **options)

    async def unpause(self, **options: Unpack[UnpauseOptions]) -> None:
        """Ends a pause: its tasks are claimed again."""
        await self._ask("unpause", **options)

    async def pauses(self) -> Listed[PauseRecord]:
        """What is paused: queues first, by name, then functions."""
        pauses: Listed[PauseRecord] = await self._ask("pauses")
        return pauses

    async def cleanup(self, **options: Unpack[CleanupOptions]) -> CleanupReport:
        """Removes executions that ended long ago. Workers do it by themselves too."""
        report: CleanupReport = await self._ask("cleanup", **options)
        return report

    async def put_schedule(self, schedule: Schedule) -> None:
        """Puts a schedule into the store, in place of one of the same name."""
        await self._submit("schedule_put", schedule.text)

    def declare_schedules(self, owner: str, schedules: Iterable[Schedule], *, remove_others: bool = False) -> None:
        """Workers that are started from now on put an owner's schedules when they start."""
        self._open()
        texts = f"[{','.join(schedule.text for schedule in schedules)}]"
        options = _json.dumps_options({"remove_others": remove_others})
        call(lib.stent_executor_schedules_declare, self._handle, utf8(owner), utf8(texts), utf8(options))

    async def schedules(self, **filter: Unpack[ScheduleFilter]) -> Listed[KeptSchedule]:
        """Schedules by name, each with what comes next and what was."""
        kept: Listed[KeptSchedule] = await self._ask("schedule_list", **filter)
        return kept

    async def delete_schedule(self, name: str) -> None:
        """Deletes a schedule; what it has started goes on."""
        await self._ask("schedule_delete", name=name)

    async def pause_schedule(self, name: str, note: str | None = None) -> None:
        """It starts nothing by its times until it is resumed."""
        await self._ask("schedule_pause", name=name, note=note)

    async def resume_schedule(self, name: str) -> None:
        """It goes on from now."""
        await self._ask("schedule_resume", name=name)

    async def trigger_schedule(self, name: str, overlap: str | None = None) -> Listed[Tick]:
        """Makes a tick now, and tells what became of it."""
        ticks: Listed[Tick] = await self._ask("schedule_trigger", name=name, overlap=overlap)
        return ticks

    async def backfill_schedule(
        self, name: str, start: str | datetime, end: str | datetime, overlap: str | None = None
    ) -> Listed[Tick]:
        """Makes the ticks of a time that is over, but for those that were started."""
        asked = {"name": name, "from": start, "to": end, "overlap": overlap}
        ticks: Listed[Tick] = await self._ask("schedule_backfill", **asked)
        return ticks

    async def backend_call(self, operation: Operation, **request: Any) -> Any:
        """One operation of the backend protocol: the way to look at records and to repair them."""
        return await self._submit("backend_call", _json.dumps_options({"operation": operation, "request": request}))

    async def _ask(self, operation: Submission, **request: Any) -> Any:
        return await self._submit(operation, _json.dumps_options(request))

    async def _submit(self, operation: Submission, request: str) -> Any:
        return await self._open()[1].submit(self._handle, operation, request)

    def _open(self) -> tuple[Backend, Poller]:
        if self._opened is None:
            raise ClosedError("the executor is not open: use it in an `async with` statement, or await open()")
        return self._opened

    async def __aenter__(self) -> Executor:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()
