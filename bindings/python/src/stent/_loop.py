"""The event loop on which a durable function runs: asyncio without a clock and without I/O.

Callbacks run in the order in which they were asked for, so what a function does follows from what it is told, and in
which order. `asyncio.gather`, `wait`, `wait_for`, `timeout`, `TaskGroup` and `sleep` work as they do elsewhere; a timer
is a durable sleep. The loop does not wait: it runs until there is nothing left to do, and its host says when there is
more.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import inspect
import logging
import sys
import weakref
from asyncio import events
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextvars import Context
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# So often may one coroutine wait in its `finally` blocks when it is dropped.
AWAITS_IN_FINALLY = 100

_log = logging.getLogger("stent")


class Timers(Protocol):
    """What the loop needs of the task that it runs for."""

    def loop_time(self) -> float: ...
    def start_timer(self, delay: float, timer: Timer) -> None: ...
    def cancel_timer(self, timer: Timer) -> None: ...


class Timer(asyncio.TimerHandle):
    """A callback for later: a durable sleep."""

    op: int | None = None


class DurableLoop(asyncio.AbstractEventLoop):
    """One for each run of a durable function."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._ready: collections.deque[asyncio.Handle] = collections.deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        # Async generators that have begun: the program's own loop, on whose thread this one runs, would else take care
        # of them.
        self._generators: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()
        self._closed = False

    def run_until_idle(self) -> None:
        """Runs what is ready, and what becomes ready by that."""
        with self._running():
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()

    def fire(self, timer: Timer) -> None:
        """The timer's time has come."""
        self._ready.append(timer)

    def drop(self) -> None:
        """Forgets everything that runs here. Coroutines are closed: their `finally` blocks run, and nothing durable
        comes of them, for their task is deaf by now.
        """
        self._closed = True
        self._ready.clear()
        with self._running():
            while self._tasks:
                task = self._tasks.pop()
                if not task.done():
                    close(task)
            for generator in list(self._generators):
                _end(generator.aclose(), "an async generator")
        self._ready.clear()

    def _given_up(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Nobody has it any more: its `finally` runs, here."""
        self._generators.discard(generator)
        if self._closed:
            _end(generator.aclose(), "an async generator")
        else:
            self.create_task(generator.aclose())

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        outer = events._get_running_loop()
        hooks = sys.get_asyncgen_hooks()
        events._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=self._generators.add, finalizer=self._given_up)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)
            events._set_running_loop(outer)

    # What asyncio asks of a loop.

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: Unpack[Ts], context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        # Futures that end while everything is dropped call this too.
        if not self._closed:
            self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self._go_on()
        timer = Timer(self.time() + delay, callback, args, self, context)
        self._timers.start_timer(max(0.0, delay), timer)
        return timer

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def _timer_handle_cancelled(self, timer: Timer) -> None:
        if not self._closed:
            self._timers.cancel_timer(timer)

    def time(self) -> float:
        return self._timers.loop_time()

    def create_future(self) -> asyncio.Future[Any]:
        self._go_on()
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **more: Any,
    ) -> asyncio.Task[T]:
        self._go_on()
        task = asyncio.Task(coro, loop=self, name=name, context=context, **more)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _go_on(self) -> None:
        """A dropped coroutine that would wait in its `finally` ends there, as it does where it is closed."""
        if self._closed:
            raise GeneratorExit

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        _log.error("in a durable function: %s", context.get("message"), exc_info=error)

    def get_debug(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        """Tasks are asyncio's own; anyio asks."""

    def get_exception_handler(self) -> None:
        """What nobody took is logged."""

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed


class Dropped(BaseException):
    """What is thrown into a coroutine that is dropped. Not GeneratorExit, which does not reach what an async generator
    waits for; as that it runs `finally`, and no `except Exception`.
    """


def close(task: asyncio.Task[Any]) -> None:
    # asyncio would complain that it was destroyed while it waited, which is what is meant here.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    assert isinstance(coroutine, Coroutine)
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        return coroutine.close()
    # Who asks in a `finally` whose task this is gets it.
    loop = task.get_loop()
    asyncio.tasks._enter_task(loop, task)
    try:
        _end(coroutine, "a durable function")
    finally:
        asyncio.tasks._leave_task(loop, task)


def _end(coroutine: Coroutine[Any, Any, Any], what: str) -> None:
    """Whatever it waits for in its `finally` is over too."""
    for _ in range(AWAITS_IN_FINALLY):
        try:
            coroutine.throw(Dropped())
        except (Dropped, StopIteration, GeneratorExit, asyncio.CancelledError):
            return
        except BaseException as error:
            return _log.warning("%s raised %r while it was dropped", what, error)
    _log.warning("%s does not end while it is dropped: %r", what, coroutine)


def _refuse(name: str) -> Callable[..., Any]:
    def refused(self: DurableLoop, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"{name}() has no place in a durable function, which must do the same in every run: do it in an activity, "
            "or in ctx.step()"
        )

    return refused


# The world outside: everything else that asyncio's loops can do.
for _name in (
    "add_reader",
    "add_signal_handler",
    "add_writer",
    "call_soon_threadsafe",
    "connect_accepted_socket",
    "connect_read_pipe",
    "connect_write_pipe",
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "getaddrinfo",
    "getnameinfo",
    "run_in_executor",
    "sendfile",
    "sock_accept",
    "sock_connect",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendfile",
    "sock_sendto",
    "start_tls",
    "subprocess_exec",
    "subprocess_shell",
):
    setattr(DurableLoop, _name, _refuse(_name))
DurableLoop.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
