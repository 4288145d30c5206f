"""The library's events on an event loop: a descriptor becomes readable, and what there is is taken and handed out."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any, Protocol

from . import _json
from ._described import STATUSES, Submission
from ._errors import Error, Failure, from_record, to_failure
from ._library import call, ffi, lib, make, release, text_of, utf8

# Taken at once: many, so that a burst costs little, and few enough to let others have the loop in between.
CAPACITY = 256

_log = logging.getLogger("stent")


class Run(Protocol):
    """A task that runs here."""

    def cancel(self) -> None:
        """Its work is in vain."""

    def drop(self) -> None:
        """It is to be forgotten: it goes on elsewhere, or not at all."""


class Host(Protocol):
    """Who runs tasks."""

    def begin(self, tag: int, task: Any, told: dict[str, Any]) -> None: ...

    def drains(self) -> None: ...


class Poller:
    def __init__(self) -> None:
        self.handle = make(lib.stent_poller_new, "stent_poller")
        self.loop = asyncio.get_running_loop()
        self.runs: dict[int, Run] = {}
        self.hosts: dict[str, Host] = {}
        self._ops: dict[int, Callable[[Any], None]] = {}
        self._replies: dict[int, asyncio.Future[Any]] = {}
        # Replies that are read whatever is in them.
        self._records: set[int] = set()
        self._tags = itertools.count(1)
        self._events = ffi.new("stent_event *[]", CAPACITY)
        self._count = ffi.new("size_t *")
        self._fd: int = lib.stent_poller_fd(self.handle)
        self.loop.add_reader(self._fd, self._take)

    def close(self) -> None:
        self.loop.remove_reader(self._fd)
        release(self.handle)
        for run in list(self.runs.values()):
            run.drop()

    async def submit(self, executor: Any, operation: Submission, request: str) -> Any:
        """An operation of the executor, and its answer."""
        tag = next(self._tags)
        self._replies[tag] = reply = self.loop.create_future()
        if operation != "result":
            self._records.add(tag)
        try:
            call(lib.stent_executor_submit, executor, utf8(operation), utf8(request), self.handle, tag)
            return await reply
        except asyncio.CancelledError:
            lib.stent_executor_submit_cancel(executor, self.handle, tag, ffi.NULL)
            raise
        finally:
            self._replies.pop(tag, None)
            self._records.discard(tag)

    def notify(self, task: Any, op: int, told: Callable[[Any], None]) -> int:
        """Has `told` called with the operation's result, or its error, once."""
        tag = next(self._tags)
        call(lib.stent_task_notify, task, op, self.handle, tag)
        self._ops[tag] = told
        return tag

    def notify_all(self, task: Any, ops: list[int], told: Callable[[Any], None]) -> int:
        """The same for all of them together, and their results."""
        tag = next(self._tags)
        call(lib.stent_task_notify_all, task, ffi.new("uint32_t []", ops), len(ops), self.handle, tag)
        self._ops[tag] = told
        return tag

    def forget(self, tag: int) -> None:
        self._ops.pop(tag, None)

    def _take(self) -> None:
        call(lib.stent_poller_take, self.handle, self._events, CAPACITY, self._count)
        for event in self._events[0 : self._count[0]]:
            try:
                TAKEN[text_of(lib.stent_event_type(event))](self, event)
            except Exception:
                # One event's trouble is not the others'.
                _log.exception("an event of the library could not be handled")
            finally:
                lib.stent_event_free(event)

    def _task(self, event: Any) -> None:
        tag, task = lib.stent_event_tag(event), lib.stent_event_task(event)
        try:
            told = _json.loads(text_of(lib.stent_event_json(event)))
            host = self.hosts[told["worker_id"]]
        except Exception as error:  # arguments that Python can't read, for one
            failed = Failure(type(error).__name__, str(error), retryable=False)
            fail_and_free(task, failed)
        else:
            host.begin(tag, task, told)

    def _op(self, event: Any) -> None:
        told = self._ops.pop(lib.stent_event_tag(event), None)
        if told is not None:
            told(outcome(event))

    def _reply(self, event: Any) -> None:
        tag = lib.stent_event_tag(event)
        reply = self._replies.get(tag)
        if reply is None or reply.done():
            return
        records = tag in self._records
        answer = outcome(event, _json.loads_records if records else _json.loads)
        if isinstance(answer, Error):
            reply.set_exception(answer)
        else:
            reply.set_result(answer)

    def _cancel(self, event: Any) -> None:
        run = self.runs.get(lib.stent_event_tag(event))
        if run is not None:
            run.cancel()

    def _drop(self, event: Any) -> None:
        run = self.runs.get(lib.stent_event_tag(event))
        if run is not None:
            run.drop()

    def _evict(self, event: Any) -> None:
        """Another worker's, or asked back; or cancelled while it waited, which it is told as one that runs."""
        run = self.runs.get(lib.stent_event_tag(event))
        if run is not None:
            if lib.stent_event_status(event) == STATUSES["CANCELLED"]:
                run.cancel()
            run.drop()

    def _worker(self, event: Any) -> None:
        """Who wants to know another state of a worker waits for it by a submission."""
        told = _json.loads(text_of(lib.stent_event_json(event)))
        host = self.hosts.get(told["worker_id"])
        if host is not None and told["state"] == "draining":
            host.drains()

    def _line(self, event: Any) -> None:
        """Log lines go to a log handler, which all pollers of the process share; see log_to."""


TAKEN: dict[str, Callable[[Poller, Any], None]] = {
    "task": Poller._task,
    "op": Poller._op,
    "reply": Poller._reply,
    "cancel": Poller._cancel,
    "ended": Poller._drop,
    "evict": Poller._evict,
    "worker": Poller._worker,
    "log": Poller._line,
}


def outcome(event: Any, read: Callable[[str], Any] = _json.loads) -> Any:
    """What the event brings: a value, or an error, which is not raised here."""
    text = text_of(lib.stent_event_json(event))
    if lib.stent_event_status(event) < 0:
        return from_record(_json.loads_records(text))
    try:
        return read(text)
    except Error as error:
        return error


def fail_and_free(task: Any, error: BaseException) -> None:
    """For a task that nobody runs: it must not keep its slot."""
    try:
        call(lib.stent_task_fail, task, utf8(_json.dumps(to_failure(error))))
    except Error as refused:
        _log.info("the end of a task is not taken: %s", refused)
    finally:
        lib.stent_task_free(task)
