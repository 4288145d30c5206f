"""Gathers tasks on an event loop, for handlers that take many in one call."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from typing import Any, cast

from . import _tracing
from ._activity import gathered
from ._batch import Batch, finish, split
from ._library import lib
from ._poller import Poller
from ._requests import TaskInfo
from ._task import TaskContext


class Gathered:
    """A task, from its arrival to its end."""

    def __init__(self, gathering: Gathering, tag: int, task: Any, told: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        self.gathering = gathering
        self.tag = tag
        self.task = task
        self.context = TaskContext(task)
        self.context._info = cast(TaskInfo, told)
        self.args = args
        self.kwargs = kwargs

    def end(self, outcome: Any) -> None:
        try:
            finish(self.task, outcome)
        finally:
            self.gathering.poller.runs.pop(self.tag, None)
            lib.stent_task_free(self.task)

    def cancel(self) -> None:
        """The others of its batch go on, if that has begun."""
        if self in self.gathering.waiting:
            self.gathering.waiting.remove(self)
            self.end(asyncio.CancelledError("the call was cancelled"))

    drop = cancel


class Gathering:
    """The calls of one function that wait for their batch, in one worker."""

    def __init__(
        self, poller: Poller, handler: Batch[Any, Any], slots: int, pool: concurrent.futures.Executor
    ) -> None:
        self.poller = poller
        self.waiting: list[Gathered] = []
        self._handler = handler
        self._pool = pool
        # More than the worker has slots would never come together.
        self._size = min(handler.size, slots)
        self._timer: asyncio.TimerHandle | None = None

    def add(self, tag: int, task: Any, told: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        arrived = Gathered(self, tag, task, told, args, kwargs)
        self.poller.runs[tag] = arrived
        if told.get("apart"):
            # Whether it kills its worker is found out by it alone.
            return self._begin([arrived])
        self.waiting.append(arrived)
        if len(self.waiting) >= self._size:
            self.begin()
        elif self._timer is None:
            # At once: others may come in the same turn of the loop.
            self._timer = self.poller.loop.call_later(self._handler.wait, self.begin)

    def begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self.waiting = self.waiting, []
        self._begin(batch)

    def _begin(self, batch: list[Gathered]) -> None:
        good, items, bad = split(self._handler, batch, lambda one: (one.args, one.kwargs))
        for one, why in bad:
            one.end(why)
        if not good:
            return
        context = contextvars.copy_context()
        context.run(gathered.set, [one.context for one in good])
        context.run(_tracing.enter, good[0].task)
        run = self.poller.loop.create_task(self._run(items), context=context)
        run.add_done_callback(lambda run: end_all(good, run))

    async def _run(self, items: list[Any]) -> list[Any]:
        try:
            if self._handler.is_async:
                answer = await self._handler.body(items)
            else:
                inside = contextvars.copy_context().run
                answer = await self.poller.loop.run_in_executor(self._pool, inside, self._handler.body, items)
            return self._handler.outcomes(answer, len(items))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the program lives on, whatever a handler raises
            return [error] * len(items)


def end_all(batch: list[Gathered], run: asyncio.Task[list[Any]]) -> None:
    if run.cancelled():
        outcomes: list[Any] = [asyncio.CancelledError("the batch was cancelled")] * len(batch)
    else:
        outcomes = run.result()
    for one, outcome in zip(batch, outcomes, strict=True):
        one.end(outcome)
