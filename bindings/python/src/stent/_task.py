"""What is the same for every handler, whatever hosts it: the task that it was given."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any, Literal, NoReturn
from uuid import UUID

from . import _json, _log
from ._errors import Error
from ._functions import Request
from ._log import LevelName
from ._library import SUSPEND, call, ffi, lib, take_text, text_of, utf8
from ._requests import TaskInfo


class ContinueExecution(BaseException):
    """Leaves the handler: its task starts over with new arguments."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        super().__init__(*args)


class Suspended(BaseException):
    """Leaves the handler: what it waits for is not there yet. It is run again, from the top, when it is."""


class TaskContext:
    """What a handler knows of its task, and what it can say of it to the outside."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self._info: TaskInfo | None = None

    @property
    def info(self) -> TaskInfo:
        """Ids, function, attempt, queue, deadline, and the heartbeat of the last attempt."""
        if self._info is None:
            self._info = _json.loads_records(text_of(lib.stent_task_info(self._task)))
        return self._info

    @property
    def task_id(self) -> str:
        """The task's id, the same in every attempt: a good key for what is done in the world outside."""
        return self.info["task_id"]

    @property
    def execution_id(self) -> str:
        return self.info["execution_id"]

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self.info["attempt"]

    @property
    def snoozes(self) -> int:
        """How often the task was put off by `Snooze`."""
        return self.info["snoozes"]

    @property
    def is_cancelled(self) -> bool:
        """The handler should come to its end: nothing of it will be taken. Costs nothing: ask often."""
        return bool(lib.stent_task_is_cancelled(self._task))

    def progress(self, detail: Any) -> None:
        """Adds a line to the execution's progress. As the two below, it is recorded with the task's next transition."""
        self._do(lib.stent_task_progress, utf8(_json.dumps(detail)))

    def counter_add(self, name: str, amount: float = 1) -> None:
        """Adds to a counter of the execution, which begins at 0."""
        self._do(lib.stent_task_counter_add, utf8(name), utf8(_json.dumps(amount)))

    def state_set(self, key: str, value: Any) -> None:
        """Sets a named value of the execution."""
        self._do(lib.stent_task_state_set, utf8(key), utf8(_json.dumps(value)))

    def heartbeat(self, details: Any = None) -> None:
        """Says how far the handler has come, for its next attempt, which finds it in `info["heartbeat"]`. The lease
        needs none. A good place to learn that the task was cancelled or lost: it raises.
        """
        self._do(lib.stent_task_heartbeat, utf8(_json.dumps(details)))

    def hold(self, what: Literal["key", "function"], time: float | str) -> None:
        """The other side wants nobody to ask for a while (429 with Retry-After): no other task of this one's
        `concurrency_key`, or of its function, starts in that time. It is recorded with whatever the attempt comes to; a
        longer hold stands. time: seconds, or text such as "1m30s", or that header's as it came.
        """
        self._do(lib.stent_task_hold, utf8(what), utf8(str(time)))

    def log(self, level: LevelName | int, message: str) -> None:
        """Writes a line to the logger "stent.task" with the task's function, ids and attempt, unless the task is replaying.
        level: "error", "warning", "info", "debug", or a number of logging's.
        """
        self._do(lib.stent_task_log, _log.code(level), utf8(message))

    def _do(self, function: Any, *args: Any) -> int:
        """A call on the task. An error that it raises can end the task by its status alone: the library knows it."""
        try:
            status = call(function, self._task, *args)
        except Error as error:
            error.came_from = self
            raise
        if status == SUSPEND:
            raise Suspended
        return status

    def _ask(self, function: Any, *args: Any) -> str:
        out = ffi.new("char **")
        self._do(function, *args, out)
        return take_text(out[0])


class DurableContext(TaskContext):
    """What durable functions have beside that, on threads and on event loops alike."""

    @property
    def is_replaying(self) -> bool:
        """Durable operations are answered from the record: for what should be said once."""
        return bool(lib.stent_task_is_replaying(self._task))

    def now(self) -> datetime:
        """The time of the last thing that this task was told: the same in every replay."""
        return datetime.fromisoformat(self._ask(lib.stent_task_now))

    def random(self) -> random.Random:
        """A generator that gives the same in every replay; not for secrets."""
        bits = ffi.new("uint64_t *")
        self._do(lib.stent_task_random, bits)
        return random.Random(bits[0])

    def uuid(self) -> UUID:
        """A UUID, the same in every replay: a good key for a call to another system."""
        return UUID(self._ask(lib.stent_task_uuid))

    def continue_with(self, *args: Any) -> NoReturn:
        """Leaves the handler, and starts the same execution over with new arguments and an empty journal; signals that
        were not taken stay. For workflows without an end.
        """
        raise ContinueExecution(args)

    def _started(self, function: Any, *args: Any) -> int:
        op = ffi.new("uint32_t *")
        self._do(function, *args, op)
        number: int = op[0]
        return number

    def _spawn_call(self, request: Request[Any]) -> int:
        name, args = utf8(request.function.name), utf8(request.args_text)
        return self._started(lib.stent_task_spawn_call, name, args, utf8(request.options_text))

    def _begin_transaction(self, name: str, key: str | None) -> tuple[int, str | None]:
        """The step's number, and the token by which its transaction records it; none: it is recorded."""
        op, token = ffi.new("uint32_t *"), ffi.new("char **")
        options = None if key is None else _json.dumps_options({"key": key})
        self._do(lib.stent_task_transaction_begin, utf8(name), utf8(options), op, token)
        return op[0], None if token[0] == ffi.NULL else take_text(token[0])

    def _spawn_sleep(self, duration: Any) -> int:
        return self._started(lib.stent_task_spawn_sleep, utf8(_json.duration(duration)))

    def _spawn_wait_signal(self, name: str, options: dict[str, Any]) -> int:
        given = {key: value for key, value in options.items() if value is not None}
        text = _json.dumps_options(given) if given else None
        return self._started(lib.stent_task_spawn_wait_signal, utf8(name), utf8(text))
