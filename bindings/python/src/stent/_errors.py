"""What goes wrong, as exceptions: a class for every status of the library, and the failures of handlers."""

from __future__ import annotations

import builtins
import traceback
from datetime import timedelta
from typing import Any, ClassVar, TypedDict

from ._codec import codec


class FailureRecord(TypedDict, total=False):
    """Why a task failed, in the shape that all languages share."""

    type: str
    message: str
    code: str | None
    retryable: bool
    retry_after: float | str
    details: Any
    stack: str | None


class Error(Exception):
    """A call to the library failed. Its subclasses say how; `details` has facts for programs."""

    status: ClassVar[str] = ""
    """The status's name, such as "NOT_FOUND"."""

    def __init__(self, message: str, *, retryable: bool = False, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        """The same call may succeed later, without a change by the caller."""
        self.details = details
        self.came_from: object = None
        """The context of the task whose durable operation raised it."""


class InvalidError(Error, ValueError):
    """The caller's mistake; the message says which, and what would be right."""

    status = "INVALID"


class UnwritableError(InvalidError, TypeError):
    """A value can't be carried: it has no place in JSON, and the program's codec does not know its class. In a handler it is
    final: another attempt would have the same value.
    """


class NotFoundError(Error, LookupError):
    """There is no such execution, task or dead letter."""

    status = "NOT_FOUND"


class ConflictError(Error):
    """It exists already, or is over already, or is not in the state that the call needs."""

    status = "CONFLICT"


class TimeoutError(Error, builtins.TimeoutError):
    """The time was up. What was waited for goes on."""

    status = "TIMEOUT"


class CancelledError(Error):
    """The execution, the task or the operation was cancelled."""

    status = "CANCELLED"


class ClosedError(Error):
    """The backend was closed, the worker stopped, or the library shut down."""

    status = "CLOSED"


class LeaseLostError(Error):
    """The task is another worker's by now: nothing that this handler does can be recorded any more."""

    status = "LEASE_LOST"


class NondeterminismError(Error):
    """The handler asks for something else than what its journal holds at this place."""

    status = "NONDETERMINISM"


class FailedError(Error):
    """A child, or the awaited execution, failed: why, and where, as its handler told, in whatever language that is."""

    status = "FAILED"

    def __init__(
        self, message: str, *, failure: FailureRecord, retryable: bool = False, details: Any = None
    ) -> None:
        super().__init__(message, retryable=retryable, details=details)
        self.failure = failure

    @property
    def type(self) -> str:
        """The failure's type: the class of a Python exception, or what other languages have in its place."""
        return self.failure["type"]


class BackendError(Error):
    """The store: busy, unreachable, corrupt, full, read-only."""

    status = "BACKEND"


class UnsupportedError(Error):
    """This backend, or this build, can't do it."""

    status = "UNSUPPORTED"


class WrongThreadError(Error):
    """A call that waits for handlers to end was made in one."""

    status = "WRONG_THREAD"


class ForkedError(Error):
    """This process was forked from one that was using the library."""

    status = "FORKED"


class PanicError(Error):
    """A defect of the library."""

    status = "PANIC"


def written(value: Any) -> str:
    """A handler's value as JSON."""
    try:
        return codec().dumps(value)
    except (TypeError, ValueError, RecursionError) as why:
        told = "it has too many levels, or is part of itself" if isinstance(why, RecursionError) else str(why)
        raise UnwritableError(told) from why


CLASSES: dict[str, type[Error]] = {
    kind.status: kind
    for kind in (
        InvalidError,
        NotFoundError,
        ConflictError,
        TimeoutError,
        CancelledError,
        ClosedError,
        LeaseLostError,
        NondeterminismError,
        FailedError,
        BackendError,
        UnsupportedError,
        WrongThreadError,
        ForkedError,
        PanicError,
    )
}


def from_record(record: dict[str, Any]) -> Error:
    """The exception for an error as stent_error_json tells it."""
    message, retryable, details = record["message"], record["retryable"], record["details"]
    if record["status"] == FailedError.status:
        failure: FailureRecord = record["failure"] or FailureRecord(type=FailedError.status, message=message)
        return FailedError(message, failure=failure, retryable=retryable, details=details)
    return CLASSES[record["status"]](message, retryable=retryable, details=details)


class Failure(Exception):
    """Raised by a handler that wants to say more than a Python exception can: the failure's type, a code, details, and
    whether and when another attempt makes sense. Any other exception is a failure too, of the type that is its class's name.
    """

    def __init__(
        self,
        type: str,
        message: str = "",
        *,
        code: str | None = None,
        retryable: bool = True,
        retry_after: float | timedelta | str | None = None,
        details: Any = None,
    ) -> None:
        """retry_after: no attempt sooner than in so many seconds; or the text of an HTTP header Retry-After, as it came."""
        super().__init__(message)
        written(details)  # what can't be written is the handler's mistake, and is told here
        self.type = type
        self.message = message
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        self.details = details


class Snooze(BaseException):
    """Raised by a handler that finds that it is not yet time: it runs again, from the top and with its journal, after this
    time. No attempt is charged; `snoozes` of its context tells how often it was so. It passes `except Exception`.
    """

    def __init__(self, duration: float | str | timedelta) -> None:
        super().__init__(duration)
        self.duration = duration

    @property
    def text(self) -> float | str:
        """As the library reads it."""
        return in_seconds(self.duration)


def in_seconds(duration: float | str | timedelta) -> float | str:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def to_failure(error: BaseException) -> FailureRecord:
    """What a handler's exception becomes. A child's failure that is passed on stays what it was."""
    if isinstance(error, FailedError):
        return error.failure
    stack = _clean("".join(traceback.format_exception(error)))
    if isinstance(error, InvalidError):
        # The handler's mistake in a call: it would be none the better for another attempt.
        return {"type": type(error).__name__, "message": _clean(_message(error)), "retryable": False, "stack": stack}
    if isinstance(error, Failure):
        later: FailureRecord = {}
        if error.retry_after is not None:
            later = {"retry_after": in_seconds(error.retry_after)}
        return {
            **later,
            "type": error.type,
            "message": _clean(error.message),
            "code": error.code,
            "retryable": error.retryable,
            "details": error.details,
            "stack": stack,
        }
    return {"type": type(error).__name__, "message": _clean(_message(error)), "stack": stack}


def to_failure_of_call(error: BaseException, frames: int = 1) -> FailureRecord:
    """The same for an exception that a handler's call raised. frames: how many of the host's own there are in its
    traceback; if there are no others, the arguments were not those that the handler takes, and never will be.
    """
    failure = to_failure(error)
    where = error.__traceback__
    for _ in range(frames):
        where = where and where.tb_next
    if isinstance(error, TypeError) and where is None:
        failure["retryable"] = False
    return failure


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as why:
        return f"(its __str__ raised {type(why).__name__})"


def _clean(text: str) -> str:
    """Without what is no Unicode, such as the undecodable bytes of a file's name."""
    return text.encode(errors="replace").decode()
