"""Handlers on an event loop: durable functions each on a loop of its own, activities on the program's, or on threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from . import _json, _tracing
from ._activity import running
from ._context import Context, Operation
from ._errors import CancelledError, Error, Failure, InvalidError, Snooze, to_failure, to_failure_of_call
from ._functions import Durable, Handler
from ._library import NULL, call, lib, utf8
from ._loop import DurableLoop, Timer
from ._poller import Poller
from ._requests import TaskInfo
from ._task import ContinueExecution, TaskContext

_log = logging.getLogger("stent")


class DurableRun:
    """A durable function from its task's arrival to its end, or until it is dropped. It runs in turns: until nothing is
    left to do, and again when something has arrived.
    """

    def __init__(
        self,
        poller: Poller,
        pool: concurrent.futures.Executor,
        tag: int,
        task: Any,
        told: dict[str, Any],
        goes_on: Callable[[], None],
    ) -> None:
        self.task = task
        self.info = cast(TaskInfo, told)
        self.over = False
        self._goes_on = goes_on
        self.loop = DurableLoop(self)  # type: ignore[abstract]  # what it refuses is set on the class
        self._poller = poller
        self._pool = pool
        self._tag = tag
        self._created = datetime.fromisoformat(told["created_at"])
        self._context = Context(self)
        self._tags: set[int] = set()
        self._steps: dict[int, asyncio.Task[tuple[Any, Any]]] = {}
        self._transactions: set[int] = set()
        self._main: asyncio.Task[Any] | None = None
        self._knows = False

    def begin(self, handler: Durable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        self._poller.runs[self._tag] = self
        try:
            coroutine = handler.body(self._context, *args, **kwargs)
        except Exception as error:  # wrong arguments
            return self._end(lib.stent_task_fail, to_failure_of_call(error))
        context = contextvars.copy_context()
        context.run(_tracing.enter, self.task)
        self._main = self.loop.create_task(coroutine, context=context)
        self._turn()

    def operation(self, op: int) -> Operation[Any]:
        operation: Operation[Any] = Operation(self, [op])
        self._told(lambda told: self._poller.notify(self.task, op, told), lambda outcome: self._answer(operation, outcome))
        return operation

    def group(self, ops: list[int]) -> Operation[Any]:
        operation: Operation[Any] = Operation(self, ops)
        self._told(
            lambda told: self._poller.notify_all(self.task, ops, told), lambda outcome: self._answer(operation, outcome)
        )
        return operation

    def _answer(self, operation: Operation[Any], outcome: Any) -> None:
        if not self.hears(outcome):
            operation.told(outcome)
        elif not operation.done():
            operation.ended()

    def hears(self, outcome: Any) -> bool:
        """Is this how a cleanup is told that the execution was cancelled? The first time the function is cancelled, as
        asyncio does it: from the outside in, through its task groups and time-outs.
        """
        if not (self.info["cleanup"] and isinstance(outcome, CancelledError)):
            return False
        if not self._knows and self._main is not None:
            self._knows = True
            # The one that asks is told by an exception.
            if asyncio.current_task(self.loop) is not self._main:
                self._main.cancel()
        return True

    def cancel_op(self, op: int) -> None:
        if self.over:
            return
        step = self._steps.get(op)
        if step is not None:
            step.cancel()
            return
        # Asyncio expects no exception here. What the library refuses, it says again at the end of the turn.
        status = lib.stent_task_cancel_op(self.task, op, NULL)
        if status < 0:
            _log.debug("operation %d is not cancelled: status %d", op, status)

    def begin_step(self, op: int, body: Callable[[], Any]) -> None:
        """The step's body, on the program's loop; then its end, which is recorded without waiting."""
        self._steps[op] = step = self._poller.loop.create_task(self._step(body))
        # Not in the coroutine: one that is cancelled before its first step never comes to run.
        step.add_done_callback(lambda step: self._step_ended(op, step))

    def begin_transaction(self, op: int, body: Callable[[], Any]) -> None:
        """A step that its own transaction records: the store is asked whether it has."""
        self._transactions.add(op)
        self.begin_step(op, body)

    async def _step(self, body: Callable[[], Any]) -> tuple[Any, Any]:
        in_thread = self._poller.loop.run_in_executor
        try:
            inside = contextvars.copy_context().run
            result = await (body() if inspect.iscoroutinefunction(body) else in_thread(self._pool, inside, body))
            return utf8(_json.dumps(result)), NULL
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the program lives on, whatever a step raises
            return NULL, utf8(_json.dumps(to_failure(error)))

    def _step_ended(self, op: int, step: asyncio.Task[tuple[Any, Any]]) -> None:
        if step.cancelled():
            ended = (NULL, utf8(_json.dumps(to_failure(asyncio.CancelledError()))))
        else:
            ended = step.result()
        if self.over:
            return
        del self._steps[op]
        try:
            if op in self._transactions:
                self._transactions.remove(op)
                call(lib.stent_task_transaction_end, self.task, op, ended[1])
                return
            call(lib.stent_task_step_end, self.task, op, *ended)
        except InvalidError as error:  # the result is too large
            call(lib.stent_task_step_end, self.task, op, NULL, utf8(_json.dumps(to_failure(error))))
        except Error as error:
            _log.info("the end of a step is not taken: %s", error)

    def _told(self, ask: Callable[[Callable[[Any], None]], int], then: Callable[[Any], None]) -> None:
        """Asks for something; when it comes, it is the function's turn."""

        def told(outcome: Any) -> None:
            self._tags.discard(tag)
            self._goes_on()
            then(outcome)
            self._turn()

        tag = ask(told)
        self._tags.add(tag)

    def _turn(self) -> None:
        self._run()
        if self.over:
            return
        assert self._main is not None
        if self._main.done():
            return self._finish(self._main)
        try:
            call(lib.stent_task_suspend, self.task)
        except InvalidError:
            why = "it waits for something that no durable operation will end"
            self._end(lib.stent_task_fail, to_failure(Failure("Deadlock", why, retryable=False)))
        except Error:
            pass  # the library has ended it, or takes it away: an event tells

    def _run(self) -> None:
        try:
            self.loop.run_until_idle()
        except SystemExit:
            pass  # the failure of the function that raised it, and not the end of the program

    def _finish(self, main: asyncio.Task[Any]) -> None:
        if main.cancelled():
            return self._end(lib.stent_task_fail, {"type": "CancelledError", "message": "the function was cancelled"})
        error = main.exception()
        if error is None:
            self._end(lib.stent_task_complete, main.result())
        elif isinstance(error, ContinueExecution):
            self._end(lib.stent_task_continue, list(error.args))
        elif isinstance(error, Snooze):
            self._end(lib.stent_task_snooze, error.text)
        else:
            self._end(lib.stent_task_fail, to_failure(error))

    def _end(self, function: Any, value: Any) -> None:
        end(function, self.task, value)
        self.drop()

    def cancel(self) -> None:
        """The execution was cancelled, or the attempt took too long: the function is told as asyncio tells it, and may
        clean up; nothing durable comes of it.
        """
        if self.over or self._main is None:
            return
        self._main.cancel()
        self._run()
        if not self.over:
            self._end(lib.stent_task_fail, {"type": "CancelledError", "message": "the function was cancelled"})

    def drop(self) -> None:
        if self.over:
            return
        self.over = True
        del self._poller.runs[self._tag]
        for tag in self._tags:
            self._poller.forget(tag)
        for step in self._steps.values():
            step.cancel()
        self.loop.drop()
        lib.stent_task_free(self.task)

    # What the loop needs.

    def loop_time(self) -> float:
        return (self._context.now() - self._created).total_seconds()

    def start_timer(self, delay: float, timer: Timer) -> None:
        timer.op = self._context._spawn_sleep(f"{delay:.6f}")

        def fire(outcome: Any) -> None:
            timer.op = None
            if not self.hears(outcome):
                self.loop.fire(timer)

        op = timer.op
        self._told(lambda told: self._poller.notify(self.task, op, told), fire)

    def cancel_timer(self, timer: Timer) -> None:
        if timer.op is not None:
            self.cancel_op(timer.op)
            timer.op = None


class ActivityRun:
    """An activity from its task's arrival to its end."""

    def __init__(self, poller: Poller, tag: int, task: Any, told: dict[str, Any]) -> None:
        self._poller = poller
        self._tag = tag
        self._task = task
        self._context = TaskContext(task)
        self._context._info = cast(TaskInfo, told)
        self._running: asyncio.Task[tuple[Any, Any]] | None = None

    def begin(self, handler: Handler[..., Any], pool: concurrent.futures.Executor, args: list[Any], kwargs: Any) -> None:
        context = contextvars.copy_context()
        context.run(running.set, self._context)
        context.run(_tracing.enter, self._task)
        if not handler.is_async:
            pool.submit(context.run, self._run_here, handler, args, kwargs)
            return
        self._running = self._poller.loop.create_task(self._run(handler, args, kwargs), context=context)
        self._poller.runs[self._tag] = self
        # Not in the coroutine: one that is cancelled before its first step never comes to run.
        self._running.add_done_callback(self._ended)

    async def _run(self, handler: Handler[..., Any], args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """How it ends. The program lives on, whatever a handler raises."""
        try:
            return lib.stent_task_complete, await handler.body(*args, **kwargs)
        except asyncio.CancelledError:
            raise
        except Snooze as later:
            return lib.stent_task_snooze, later.text
        except BaseException as error:
            return lib.stent_task_fail, to_failure_of_call(error)

    def _ended(self, run: asyncio.Task[tuple[Any, Any]]) -> None:
        try:
            if run.cancelled():
                function, value = lib.stent_task_fail, to_failure(asyncio.CancelledError("the activity was cancelled"))
            else:
                function, value = run.result()
            end(function, self._task, value)
        finally:
            del self._poller.runs[self._tag]
            lib.stent_task_free(self._task)

    def _run_here(self, handler: Handler[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        try:
            end(lib.stent_task_complete, self._task, handler.body(*args, **kwargs))
        except Snooze as later:
            end(lib.stent_task_snooze, self._task, later.text)
        except BaseException as error:  # a thread of the pool has nobody else to tell
            end(lib.stent_task_fail, self._task, to_failure_of_call(error))
        finally:
            lib.stent_task_free(self._task)

    def cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()

    drop = cancel


def end(function: Any, task: Any, value: Any) -> None:
    """One of the ways to end. What can't be recorded as it is fails the task."""
    try:
        call(function, task, utf8(_json.dumps(value)))
    except Exception as error:
        if isinstance(error, Error) and not isinstance(error, InvalidError):
            return _log.info("the end of a task is not taken: %s", error)
        # No JSON, or too large, or the codec's trouble.
        call(lib.stent_task_fail, task, utf8(_json.dumps(to_failure(error))))
