"""Durable operations for coroutines: each is a future."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any, Protocol, TypeVar, overload

from . import _json, _transactions
from ._errors import CancelledError, Error, InvalidError
from ._functions import Function, P, R, request
from ._library import ffi, lib, utf8
from ._requests import TaskInfo
from ._task import DurableContext, Suspended

T = TypeVar("T")


class Run(Protocol):
    """What durable operations need of the run that they belong to."""

    task: Any
    info: TaskInfo
    over: bool

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def operation(self, op: int) -> Operation[Any]: ...
    def group(self, ops: list[int]) -> Operation[Any]: ...
    def cancel_op(self, op: int) -> None: ...
    def begin_step(self, op: int, body: Callable[[], Any]) -> None: ...
    def begin_transaction(self, op: int, body: Callable[[], Any]) -> None: ...
    def hears(self, outcome: Any) -> bool: ...


class Operation(asyncio.Future[T]):
    """What was started: a call, a sleep, a wait for a signal, a step. To cancel it is recorded too."""

    def __init__(self, run: Run, ops: list[int]) -> None:
        super().__init__(loop=run.loop)
        self._run = run
        self._ops = ops

    def cancel(self, msg: Any = None) -> bool:
        if not super().cancel(msg):
            return False
        for op in self._ops:
            self._run.cancel_op(op)
        return True

    def ended(self) -> None:
        """It was cancelled with the execution."""
        super().cancel()

    def told(self, outcome: Any) -> None:
        if self.done():
            return
        if isinstance(outcome, Error):
            self.set_exception(outcome)
            self.exception()  # the loser of a race may fail, and nobody asks
        else:
            self.set_result(outcome)


class Context(DurableContext):
    """The first parameter of an `async` durable function.

    What it starts is a future: await it, or give it to `asyncio.gather`, `wait`, `wait_for`, `as_completed`. The
    operation begins when it is asked for, not when it is awaited. Cancelling the future cancels the operation.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run.task)
        self._run = run
        self._info = run.info

    @overload
    def call(self, function: Function[P, R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]: ...
    @overload
    def call(self, function: str, *args: Any, **kwargs: Any) -> asyncio.Future[Any]: ...
    def call(self, function: Any, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Calls a function as a child of this task. `FailedError`: it failed for good."""
        return self._run.operation(self._spawn_call(request(function, args, kwargs)))

    def map(self, function: Function[[T], R], items: Iterable[T]) -> asyncio.Future[list[R]]:
        """Calls a function for each of the items, all at the same time: the results in their order, or the error of the
        first that did not complete. The task is woken once, when the last of them has ended.
        """
        return self._run.group([self._spawn_call(request(function, (item,), {})) for item in items])

    def sleep(self, duration: float | str | timedelta) -> asyncio.Future[None]:
        """Sleeps durably, until a time that is fixed now. `asyncio.sleep` and time-outs do the same here."""
        return self._run.operation(self._spawn_sleep(duration))

    def wait_signal(
        self, name: str, *, timeout: float | str | timedelta | None = None, key: str | None = None
    ) -> asyncio.Future[Any]:
        """Takes the oldest signal of the name, and gives its payload. `FailedError` of type "SignalTimeout": none came."""
        return self._run.operation(self._spawn_wait_signal(name, {"timeout": timeout, "key": key}))

    @overload
    def step(
        self, name: str, body: Callable[[], Coroutine[Any, Any, T]], *, key: str | None = None
    ) -> asyncio.Future[T]: ...
    @overload
    def step(self, name: str, body: Callable[[], T], *, key: str | None = None) -> asyncio.Future[T]: ...
    def step(self, name: str, body: Callable[[], Any], *, key: str | None = None) -> asyncio.Future[Any]:
        """Runs something here, once, and records its result: what comes from outside and needs no function of its own.
        An `async` body runs on the program's own event loop, any other on a thread. A crash in between runs it again.
        """
        op, recorded = ffi.new("uint32_t *"), ffi.new("int32_t *")
        options = None if key is None else _json.dumps_options({"key": key})
        self._do(lib.stent_task_step_begin, utf8(name), utf8(options), op, recorded)
        future = self._run.operation(op[0])
        if not recorded[0]:
            self._run.begin_step(op[0], body)
        return future

    def transaction(
        self,
        name: str,
        connection: Any,
        body: Callable[[Any], T],
        *,
        key: str | None = None,
        schema: str = "stent",
        attempts: int = _transactions.ATTEMPTS,
    ) -> asyncio.Future[T]:
        """Runs `body(connection)` in a transaction of the connection's, once: the transaction has the step's record too, so
        what the body does to the database is done exactly once. The connection is a DB-API's, on the store's database:
        psycopg's, where the store is the schema `schema`, or `sqlite3`'s, with the extension loaded. `body` gives the
        result; it neither commits nor rolls back, and runs on a thread. What the database refuses for others' sake (a deadlock,
        a serialization failure, "database is locked") is rolled back and begun again, up to `attempts` times in all; so the body
        may run more than once.
        """
        _transactions.check(connection, body, attempts)
        op, token = self._begin_transaction(name, key)
        future = self._run.operation(op)
        if token is not None:
            self._run.begin_transaction(op, lambda: _transactions.run(connection, body, token, schema, attempts))
        return future

    def _do(self, function: Any, *args: Any) -> int:
        if self._run.over:
            raise GeneratorExit  # it is being dropped: its `finally` blocks do nothing durable
        try:
            return super()._do(function, *args)
        except CancelledError as error:
            # The first thing that a cleanup asks for anew, where it waited for nothing.
            if self._run.hears(error):
                raise asyncio.CancelledError(str(error)) from None
            raise
        except Suspended:
            raise InvalidError(
                "a durable operation belongs into the durable function itself, and into tasks that it makes; not into a "
                "step, an activity, or another event loop"
            ) from None
