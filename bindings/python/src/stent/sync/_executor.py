"""Executions, started and watched by calls that block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar, Unpack, overload

from .. import _json
from .._backend import Backend
from .._described import (
    CleanupOptions,
    DeadLetterFilter,
    DeadLetterRecord,
    ExecutionFilter,
    ExecutionRecord,
    PauseOptions,
    ProgressRecord,
    ScheduleFilter,
    SqliteOptions,
    UnpauseOptions,
    WorkerOptions,
)
from .._errors import TimeoutError
from .._functions import Function, Handler, P, R, Request, checked, request
from .._library import NULL, ask, call, ffi, lib, make, utf8
from .._requests import CleanupReport, ExecutionState, KeptSchedule, PauseRecord, Schedule, Tick, backfill, many
from .._watching import INTERVAL, ExecutionEvent, Watch
from ._waits import wait_in_slices
from ._worker import Worker, register

T = TypeVar("T")

# In the class below `list` is a method.
Listed: TypeAlias = list

class Execution(Generic[T]):
    """One run of a dispatched function, with everything that it called."""

    def __init__(self, executor: Executor, id: str) -> None:
        self._executor = executor
        self.id = id

    def result(self, timeout: float | None = None) -> T:
        """Waits for the result, for at most so many seconds. `FailedError`, `CancelledError`: how else it ended.
        `TimeoutError`: it goes on, or (the detail "state" is "timed_out") ran out of its own time.
        """
        result: T = self._ask_until(lib.stent_executor_result, timeout)
        return result

    def wait(self, timeout: float | None = None) -> ExecutionState:
        """Waits until it is over, in whatever way."""
        state: ExecutionState = self._ask_until(lib.stent_executor_wait, timeout)
        return state

    def state(self) -> ExecutionState:
        """The execution as it is now: state, progress, counters, state values."""
        state: ExecutionState = self._executor._ask(lib.stent_executor_state, utf8(self.id))
        return state

    def events(self, interval: float = INTERVAL) -> Iterator[ExecutionEvent]:
        """What becomes of it, until it is over: its states, progress, counters and values, those of before first. The store
        is looked at once in so many seconds; of what changes more often the last is told.
        """
        watch = Watch()
        while True:
            yield from watch.news(self.state())
            if watch.is_over:
                return
            with contextlib.suppress(TimeoutError):
                self.wait(interval)

    def progress(self, interval: float = INTERVAL) -> Iterator[ProgressRecord]:
        """Its lines of progress, each when it is new or says more than before, until it is over."""
        for event in self.events(interval):
            if event["type"] == "progress":
                yield event["value"]

    def signal(self, name: str, payload: Any = None, *, id: str | None = None) -> None:
        """Sends a signal. It is kept until a wait takes it. The same `id` counts once."""
        options = None if id is None else _json.dumps_options({"id": id})
        signal = (utf8(self.id), utf8(name), utf8(_json.dumps(payload)), utf8(options))
        call(lib.stent_executor_signal, self._executor.handle, *signal)

    def cancel(self, reason: str | None = None) -> None:
        """Cancels it with everything that it called."""
        call(lib.stent_executor_cancel, self._executor.handle, utf8(self.id), utf8(reason))

    def _ask_until(self, function: Any, timeout: float | None) -> Any:
        return wait_in_slices(lambda slice: self._executor._ask(function, utf8(self.id), slice), timeout)

    def __repr__(self) -> str:
        return f"<stent execution {self.id}>"


class Executor:
    """Dispatches executions on a store, and starts workers. Its calls block; see `stent.Executor` for asyncio.

    store: a path, a PostgreSQL URL (both with the options of `Backend`), or an open `Backend`.
    """

    def __init__(self, store: str | os.PathLike[str] | Backend, **options: Unpack[SqliteOptions]) -> None:
        self._owns = not isinstance(store, Backend)
        self.backend = store if isinstance(store, Backend) else Backend(store, **options)
        self.handle: Any = make(lib.stent_executor_new, "stent_executor", self.backend.handle, NULL)
        self._registered: dict[str, Handler[..., Any]] = {}

    def register(self, *handlers: Handler[..., Any]) -> None:
        """Makes handlers known to the workers that are started from now on."""
        for handler in handlers:
            known = self._registered.get(checked(handler).name)
            # An object's method is another thing each time that it is asked for.
            if known is None or known.body != handler.body:
                register(self.handle, handler)
                self._registered[handler.name] = handler

    def unregister(self, *handlers: Function[..., Any] | str) -> None:
        """Takes handlers back: workers that are started from now on don't have them, those that run keep them. What is not
        registered here raises NotFoundError."""
        for handler in handlers:
            name = handler if isinstance(handler, str) else handler.name
            call(lib.stent_executor_unregister, self.handle, utf8(name))
            self._registered.pop(name, None)

    def worker(self, *handlers: Handler[..., Any], **options: Unpack[WorkerOptions]) -> Worker:
        """A worker for these handlers and all that were registered: `with executor.worker(greet, welcome): …`."""
        self.register(*handlers)
        return Worker(self.handle, options)

    @overload
    def dispatch(self, function: Function[P, R], *args: P.args, **kwargs: P.kwargs) -> Execution[R]: ...
    @overload
    def dispatch(self, function: str, *args: Any, **kwargs: Any) -> Execution[Any]: ...
    def dispatch(self, function: Any, *args: Any, **kwargs: Any) -> Execution[Any]:
        """Starts an execution of a function, whoever has its code. Returns when that is durable."""
        wanted = request(function, args, kwargs)
        asked = (utf8(wanted.function.name), utf8(wanted.args_text), utf8(wanted.options_text))
        return Execution(self, ask(lib.stent_executor_dispatch, self.handle, *asked))

    def dispatch_many(self, requests: Iterable[Request[T]]) -> list[Execution[T]]:
        """Starts many at once: `executor.dispatch_many(greet.bind(name) for name in names)`."""
        ids = self._ask(lib.stent_executor_dispatch_many, utf8(many(requests)))
        return [Execution(self, id) for id in ids]

    def execution(self, id: str) -> Execution[Any]:
        """An execution that was started before, here or elsewhere."""
        return Execution(self, id)

    def list(self, **filter: Unpack[ExecutionFilter]) -> list[ExecutionRecord]:
        """Executions, newest first, without their progress."""
        listed: list[ExecutionRecord] = self._ask(lib.stent_executor_list, utf8(_json.dumps_options(filter)))
        return listed

    def stats(self) -> dict[str, Any]:
        """Counts by state, depths and ages of queues, dead letters, and what this process's workers did."""
        stats: dict[str, Any] = self._ask(lib.stent_executor_stats, NULL)
        return stats

    def prometheus(self) -> str:
        """The same as text for Prometheus."""
        return ask(lib.stent_executor_stats, self.handle, utf8('{"format":"prometheus"}'))

    def dead_letters(self, **filter: Unpack[DeadLetterFilter]) -> Listed[DeadLetterRecord]:
        """Tasks that used up their attempts, newest first."""
        text = utf8(_json.dumps_options(filter))
        letters: Listed[DeadLetterRecord] = self._ask(lib.stent_executor_dead_letters, text)
        return letters

    def replay_dead_letter(self, task_id: str) -> Execution[Any]:
        """Starts an execution anew from a dead letter, with all that was recorded up to the failure."""
        return Execution(self, self._ask(lib.stent_executor_replay_dead_letter, utf8(task_id), NULL)["execution_id"])

    def discard_dead_letter(self, task_id: str) -> None:
        """Takes a dead letter away; its execution stays as it ended."""
        call(lib.stent_executor_discard_dead_letter, self.handle, utf8(task_id))

    def resume(self, task_id: str) -> None:
        """Lets a task go on that was parked because its code did not match its journal."""
        call(lib.stent_executor_resume, self.handle, utf8(task_id), NULL)

    def pause(self, **options: Unpack[PauseOptions]) -> None:
        """Pauses a queue or a function: `executor.pause(queue="mails", reason="…")`. When it has returned, no worker claims
        a task of it any more."""
        call(lib.stent_executor_pause, self.handle, utf8(_json.dumps_options(options)))

    def unpause(self, **options: Unpack[UnpauseOptions]) -> None:
        """Ends a pause: its tasks are claimed again."""
        call(lib.stent_executor_unpause, self.handle, utf8(_json.dumps_options(options)))

    def pauses(self) -> Listed[PauseRecord]:
        """What is paused: queues first, by name, then functions."""
        pauses: Listed[PauseRecord] = self._ask(lib.stent_executor_pauses)
        return pauses

    def cleanup(self, **options: Unpack[CleanupOptions]) -> CleanupReport:
        """Removes executions that ended long ago. Workers do it by themselves too."""
        report: CleanupReport = self._ask(lib.stent_executor_cleanup, utf8(_json.dumps_options(options)))
        return report

    def put_schedule(self, schedule: Schedule) -> None:
        """Puts a schedule into the store, in place of one of the same name."""
        call(lib.stent_executor_schedule_put, self.handle, utf8(schedule.text))

    def declare_schedules(self, owner: str, schedules: Iterable[Schedule], *, remove_others: bool = False) -> None:
        """Workers that are started from now on put an owner's schedules when they start."""
        texts = f"[{','.join(schedule.text for schedule in schedules)}]"
        options = _json.dumps_options({"remove_others": remove_others})
        call(lib.stent_executor_schedules_declare, self.handle, utf8(owner), utf8(texts), utf8(options))

    def schedules(self, **filter: Unpack[ScheduleFilter]) -> Listed[KeptSchedule]:
        """Schedules by name, each with what comes next and what was."""
        kept: Listed[KeptSchedule] = self._ask(lib.stent_executor_schedule_list, utf8(_json.dumps_options(filter)))
        return kept

    def delete_schedule(self, name: str) -> None:
        """Deletes a schedule; what it has started goes on."""
        call(lib.stent_executor_schedule_delete, self.handle, utf8(name))

    def pause_schedule(self, name: str, note: str | None = None) -> None:
        """It starts nothing by its times until it is resumed."""
        options = _json.dumps_options({"note": note})
        call(lib.stent_executor_schedule_pause, self.handle, utf8(name), utf8(options))

    def resume_schedule(self, name: str) -> None:
        """It goes on from now."""
        call(lib.stent_executor_schedule_resume, self.handle, utf8(name))

    def trigger_schedule(self, name: str, overlap: str | None = None) -> Listed[Tick]:
        """Makes a tick now, and tells what became of it."""
        options = _json.dumps_options({"overlap": overlap})
        ticks: Listed[Tick] = self._ask(lib.stent_executor_schedule_trigger, utf8(name), utf8(options))
        return ticks

    def backfill_schedule(
        self, name: str, start: str | datetime, end: str | datetime, overlap: str | None = None
    ) -> Listed[Tick]:
        """Makes the ticks of a time that is over, but for those that were started."""
        options = backfill(start, end, overlap)
        ticks: Listed[Tick] = self._ask(lib.stent_executor_schedule_backfill, utf8(name), utf8(options))
        return ticks

    def close(self) -> None:
        """Closes the store, if the executor opened it. Stop its workers first."""
        if self._owns:
            self.backend.close()

    def _ask(self, function: Any, *args: Any) -> Any:
        read = _json.loads if function is lib.stent_executor_result else _json.loads_records
        return read(ask(function, self.handle, *args))

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


