"""Workers whose handlers are plain functions, called on threads of the library."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterable
from contextvars import copy_context
from types import FrameType, TracebackType
from typing import Any, Literal

from .. import _json, _tracing
from .._activity import gathered, running
from .._batch import Batch, finish, split
from .._described import STATUSES, WorkerOptions
from .._errors import ClosedError, Error, FailedError, Failure, InvalidError, Snooze, to_failure_of_call
from .._functions import Durable, Handler
from .._library import NULL, OK, SUSPEND, ask, call, ffi, lib, make, milliseconds, text_of, utf8
from .._requests import WorkerStatus
from .._task import ContinueExecution, Suspended, TaskContext
from ._context import Context
from ._waits import wait_in_slices

_numbers = itertools.count(1)
_handlers: dict[int, Handler[..., Any]] = {}


def register(executor: Any, handler: Handler[..., Any]) -> None:
    if handler.is_async:
        raise InvalidError(f"{handler.name} is an async function, which threads can't run: use stent.Executor")
    options = utf8(_json.dumps_options(handler.registration)) if handler.registration else NULL
    number = next(_numbers)
    _handlers[number] = handler
    # From here on the number is the library's, which gives it back by _forget, whatever happens.
    user_data = ffi.cast("void *", number)
    if isinstance(handler, Batch):
        batch = utf8(_json.dumps_options(handler.batch))
        call(lib.stent_executor_register_batch, executor, utf8(handler.name), options, batch, _run_batch, user_data, _forget)
    else:
        call(lib.stent_executor_register, executor, utf8(handler.name), options, _run, user_data, _forget)


# What a callback returns when it could not even begin: anything but 0, which would be taken for a handler that is done.
@ffi.callback("stent_handler_fn", error=-99)
def _run(user_data: Any, task: Any) -> int:
    handler = _handlers[int(ffi.cast("uintptr_t", user_data))]
    # A context of its own for every run, as an event loop gives it to its tasks.
    return copy_context().run(_host, handler, task)


@ffi.callback("stent_batch_fn", error=-99)
def _run_batch(user_data: Any, tasks: Any, count: int) -> int:
    handler = _handlers[int(ffi.cast("uintptr_t", user_data))]
    assert isinstance(handler, Batch)
    return copy_context().run(_host_batch, handler, list(tasks[0:count]))


@ffi.callback("stent_free_fn")
def _forget(user_data: Any) -> None:
    del _handlers[int(ffi.cast("uintptr_t", user_data))]


def _host(handler: Handler[..., Any], task: Any) -> int:
    context = Context(task) if isinstance(handler, Durable) else TaskContext(task)
    try:
        _tracing.enter(task)
        return _run_body(handler, task, context)
    except Suspended:
        return SUSPEND
    except BaseException as error:  # a thread of the library's has nobody else to tell, and the host lives on
        return _fail(task, context, error)


def _run_body(handler: Handler[..., Any], task: Any, context: TaskContext) -> int:
    try:
        args, kwargs = _arguments(task)
    except InvalidError as error:
        raise Failure(type(error).__name__, str(error), retryable=False) from None
    try:
        if isinstance(handler, Durable):
            result = handler.body(context, *args, **kwargs)
        else:
            running.set(context)
            result = handler.body(*args, **kwargs)
    except ContinueExecution as again:
        return ended(lib.stent_task_continue, task, list(again.args))
    except Snooze as later:
        return ended(lib.stent_task_snooze, task, later.text)
    return ended(lib.stent_task_complete, task, result)


def _fail(task: Any, context: TaskContext, error: BaseException) -> int:
    if isinstance(error, Error) and error.came_from is context and not isinstance(error, (FailedError, InvalidError)):
        # The library knows what follows from it: nothing is recorded, or the task is parked, or released.
        return STATUSES[error.status]
    # Those of _host and _run_body.
    return ended(lib.stent_task_fail, task, to_failure_of_call(error, frames=2))


def _host_batch(handler: Batch[Any, Any], tasks: list[Any]) -> int:
    good, items, bad = split(handler, tasks, _arguments)
    for task, why in bad:
        finish(task, why)
    if not good:
        return OK
    gathered.set([TaskContext(task) for task in good])
    try:
        outcomes = handler.outcomes(handler.body(items), len(items))
    except BaseException as error:  # a thread of the library's has nobody else to tell, and the host lives on
        outcomes = [error] * len(items)
    for task, outcome in zip(good, outcomes, strict=True):
        finish(task, outcome)
    return OK


def _arguments(task: Any) -> tuple[Any, Any]:
    return _json.loads(text_of(lib.stent_task_args(task))), _json.loads(text_of(lib.stent_task_kwargs(task)))


def ended(function: Any, task: Any, value: Any) -> int:
    """One of the ways to end, and what the handler then returns."""
    status: int = function(task, utf8(_json.dumps(value)), NULL)
    return status


working: set[Worker] = set()
"""Those that were started and not told to end: they run, whether the program still has them or not."""


class Worker:
    """Runs handlers on threads of the library: between `with executor.worker(…):` and its end, or `start` and `stop`."""

    def __init__(self, executor: Any, options: WorkerOptions) -> None:
        self._executor = executor
        self._options = options
        self._handle: Any = None

    def start(self) -> None:
        """Starts it, and waits until the store knows it."""
        text = utf8(_json.dumps_options(self._options))
        self._handle = make(lib.stent_worker_start, "stent_worker", self._executor, text, NULL)
        self.wait("ready")
        working.add(self)

    def status(self) -> WorkerStatus:
        """Its state, its slots, what runs, and what troubles it."""
        status: WorkerStatus = _json.loads(ask(lib.stent_worker_status, self._started()))
        return status

    def wait(self, state: Literal["ready", "draining", "stopped"], timeout: float | None = None) -> None:
        """Waits until it has come to a state or past it."""
        wait_in_slices(lambda slice: call(lib.stent_worker_wait, self._started(), utf8(state), slice), timeout)

    def drain(self) -> None:
        """Tells it to take nothing new, and returns at once. What runs, ends, and then it is stopped."""
        call(lib.stent_worker_drain, self._started())
        working.discard(self)

    def stop(self, timeout: float | None = None) -> None:
        """Drains it and waits until it has stopped. What runs longer than `timeout` is given up: another worker may
        take it at once, no attempt is charged, and `TimeoutError` is raised.
        """
        self.drain()
        if timeout is None:
            self.wait("stopped")
        call(lib.stent_worker_stop, self._started(), milliseconds(timeout))

    def serve(
        self, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT), timeout: float | None = None
    ) -> None:
        """Waits for one of the signals, and then stops, as `stop(timeout)` does: the whole of a worker program, on its main
        thread.
        """
        told = threading.Event()

        def tell(number: int, frame: FrameType | None) -> None:
            told.set()

        before = {number: signal.signal(number, tell) for number in signals}
        try:
            told.wait()
            self.stop(timeout)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _started(self) -> Any:
        if self._handle is None:
            raise ClosedError("the worker has not been started: use it in a `with` statement, or call start()")
        return self._handle

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()
