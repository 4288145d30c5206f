"""Durable operations for handlers on threads: each waits until its result is there, or leaves the handler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from .. import _json, _transactions
from .._errors import to_failure
from .._functions import Function, P, R, request
from .._library import ffi, lib, utf8
from .._task import DurableContext

T = TypeVar("T")
WAIT_ALL, WAIT_ANY = 0, 1
AS_THE_WORKER_SAYS = -1


class Operation(Generic[T]):
    """What was started and not awaited yet: a call, a sleep, or a wait for a signal."""

    def __init__(self, context: Context, number: int) -> None:
        self._context = context
        self.number = number

    def result(self) -> T:
        """Waits for the operation, and gives its result, or raises: `FailedError`, `CancelledError`."""
        self._context.wait_all(self)
        result: T = _json.loads(self._context._ask(lib.stent_task_result, self.number))
        return result

    def cancel(self) -> None:
        """Cancels it, when nobody waits for it any more: the loser of a race. One that has ended stays as it is."""
        self._context._do(lib.stent_task_cancel_op, self.number)


class Context(DurableContext):
    """The first parameter of a durable function on threads.

    What is not there yet leaves the function by an exception that is no `Exception`, and the function is run again when
    it is. `finally` blocks run then; durable operations in them do nothing.
    """

    @overload
    def call(self, function: Function[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def call(self, function: str, *args: Any, **kwargs: Any) -> Any: ...
    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls a function as a child of this task, and gives its result. `FailedError`: it failed for good."""
        return self.spawn(function, *args, **kwargs).result()

    @overload
    def spawn(self, function: Function[P, R], *args: P.args, **kwargs: P.kwargs) -> Operation[R]: ...
    @overload
    def spawn(self, function: str, *args: Any, **kwargs: Any) -> Operation[Any]: ...
    def spawn(self, function: Any, *args: Any, **kwargs: Any) -> Operation[Any]:
        """Starts a call without waiting. What is started is committed together, with the next wait."""
        return Operation(self, self._spawn_call(request(function, args, kwargs)))

    def map(self, function: Function[[T], R], items: Iterable[T]) -> list[R]:
        """Calls a function for each of the items, all at the same time, and gives the results in their order."""
        started = [self.spawn(function, item) for item in items]
        self.wait_all(*started)
        return [operation.result() for operation in started]

    def sleep(self, duration: float | str | timedelta) -> None:
        """Sleeps durably, until a time that is fixed when the sleep is first reached."""
        self.spawn_sleep(duration).result()

    def spawn_sleep(self, duration: float | str | timedelta) -> Operation[None]:
        """Starts a sleep without waiting: a time-out for what is awaited with it."""
        return Operation(self, self._spawn_sleep(duration))

    def wait_signal(self, name: str, *, timeout: float | str | timedelta | None = None, key: str | None = None) -> Any:
        """Takes the oldest signal of the name, and gives its payload. `FailedError` of type "SignalTimeout": none came."""
        return self.spawn_wait_signal(name, timeout=timeout, key=key).result()

    def spawn_wait_signal(
        self, name: str, *, timeout: float | str | timedelta | None = None, key: str | None = None
    ) -> Operation[Any]:
        """Starts a wait for a signal without waiting."""
        return Operation(self, self._spawn_wait_signal(name, {"timeout": timeout, "key": key}))

    def wait_all(self, *operations: Operation[Any]) -> None:
        """Waits until all of the operations have ended, in whatever way."""
        self._wait(operations, WAIT_ALL)

    def wait_any(self, *operations: Operation[T]) -> Operation[T]:
        """Waits for the first of the operations that ends, in whatever way, and gives it."""
        first = self._wait(operations, WAIT_ANY)
        return next(operation for operation in operations if operation.number == first)

    def _wait(self, operations: tuple[Operation[Any], ...], mode: int) -> int:
        numbers = ffi.new("uint32_t []", [operation.number for operation in operations])
        first = ffi.new("uint32_t *")
        self._do(lib.stent_task_await, numbers, len(operations), mode, AS_THE_WORKER_SAYS, first)
        number: int = first[0]
        return number

    def step(self, name: str, body: Callable[[], T], *, key: str | None = None) -> T:
        """Runs something here, once, and records its result: what comes from outside and needs no function of its own.
        A crash in between runs it again.
        """
        op, recorded = ffi.new("uint32_t *"), ffi.new("int32_t *")
        options = None if key is None else _json.dumps_options({"key": key})
        self._do(lib.stent_task_step_begin, utf8(name), utf8(options), op, recorded)
        if not recorded[0]:
            self._run_step(op[0], body)
        result: T = _json.loads(self._ask(lib.stent_task_result, op[0]))
        return result

    def transaction(
        self,
        name: str,
        connection: Any,
        body: Callable[[Any], T],
        *,
        key: str | None = None,
        schema: str = "stent",
        attempts: int = _transactions.ATTEMPTS,
    ) -> T:
        """Runs `body(connection)` in a transaction of the connection's, once: the transaction has the step's record too, so
        what the body does to the database is done exactly once. The connection is a DB-API's, on the store's database:
        psycopg's, where the store is the schema `schema`, or `sqlite3`'s, with the extension loaded. `body` gives the
        result; it neither commits nor rolls back. What the database refuses for others' sake (a deadlock, a serialization
        failure, "database is locked") is rolled back and begun again, up to `attempts` times in all; so the body may run more
        than once.
        """
        _transactions.check(connection, body, attempts)
        op, token = self._begin_transaction(name, key)
        if token is not None:
            failure = ffi.NULL
            try:
                _transactions.run(connection, body, token, schema, attempts)
            except Exception as error:
                failure = utf8(_json.dumps(to_failure(error)))
            self._do(lib.stent_task_transaction_end, op, failure)
        result: T = _json.loads(self._ask(lib.stent_task_result, op))
        return result

    def _run_step(self, op: int, body: Callable[[], Any]) -> None:
        try:
            result = _json.dumps(body())
        except Exception as error:
            self._do(lib.stent_task_step_end, op, ffi.NULL, utf8(_json.dumps(to_failure(error))))
        else:
            self._do(lib.stent_task_step_end, op, utf8(result), ffi.NULL)
