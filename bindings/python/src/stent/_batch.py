"""Handlers that take many tasks in one call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeAlias, TypeVar, Unpack, overload

from ._described import BatchOptions, FunctionOptions
from ._errors import Failure, InvalidError, Snooze, to_failure
from ._functions import Handler
from ._hosting import end
from ._library import lib

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

Outcomes: TypeAlias = Sequence[R | BaseException]
"""One for each: a result, or what its handler would have raised if it had been alone."""


class Batch(Handler[[A], R]):
    """Does one thing for many calls at once. `executor.dispatch(store, row)` is one call; the body gets a list of rows."""

    def __init__(
        self, body: Callable[..., Any], name: str | None, size: int, wait: float, registration: FunctionOptions
    ) -> None:
        super().__init__(body, name, registration)
        self.size = size
        self.wait = wait

    @property
    def batch(self) -> BatchOptions:
        return {"size": self.size, "wait": self.wait}

    def __call__(self, items: list[A]) -> Any:
        return self.body(items)

    def item(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Of one task's arguments."""
        if len(args) != 1 or kwargs:
            given = f"{len(args)} arguments" + (" and named ones" if kwargs else "")
            raise Failure("InvalidError", f"{self.name} takes one argument, since it is a batch; it got {given}", retryable=False)
        return args[0]

    def outcomes(self, answer: Any, count: int) -> list[Any]:
        """What the body has returned, if that is one for each."""
        if not isinstance(answer, Sequence) or isinstance(answer, str | bytes) or len(answer) != count:
            told = f"{len(answer)} outcomes" if isinstance(answer, Sequence) else f"a {type(answer).__name__}"
            raise InvalidError(f"{self.name} returned {told} for {count} items: it must be a list with one for each")
        return list(answer)


class BatchDecorator(Generic[A]):
    def __init__(self, name: str | None, size: int, wait: float, options: FunctionOptions) -> None:
        self._name = name
        self._size = size
        self._wait = wait
        self._options = options

    @overload
    def __call__(self, body: Callable[[list[A]], Coroutine[Any, Any, Outcomes[R]]]) -> Batch[A, R]: ...
    @overload
    def __call__(self, body: Callable[[list[A]], Outcomes[R]]) -> Batch[A, R]: ...
    def __call__(self, body: Callable[..., Any]) -> Batch[Any, Any]:
        return Batch(body, self._name, self._size, self._wait, self._options)


def batch(
    *, size: int = 100, wait: float | timedelta = 0.0, name: str | None = None, **options: Unpack[FunctionOptions]
) -> BatchDecorator[Any]:
    """Makes a function one that takes many calls at once, for what costs as much for a hundred as for one:

        @stent.batch(size=500, wait=0.05)
        def store(rows: list[Row]) -> list[int | Exception]: ...

    Each call (`executor.dispatch(store, row)`, `ctx.call(store, row)`) has one argument, and is a task with attempts and a
    result of its own. The function gets a list of at most `size` of them, and returns a list with an outcome for each: its
    result, or an exception, which counts as if that call alone had raised it. What the function itself raises counts for
    all. A batch begins when it is full, when its worker has no slot left, or when its first call has waited for `wait` (seconds).
    Each call takes a slot, so let the worker's max_concurrency be no smaller than `size`.

    It may be `async def` or `def`; name and options are as for `activity`.
    """
    seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidError(f"batch: size is {size!r}; it must be a whole number, at least 1")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise InvalidError(f"batch: wait is {wait!r}; it must be a number of seconds, not below 0, or a timedelta")
    return BatchDecorator(name, size, seconds, options)


def split(handler: Batch[Any, Any], tasks: list[T], read: Callable[[T], tuple[Any, Any]]) -> tuple[list[T], list[Any], list[tuple[T, Failure]]]:
    """Those that have an item, their items, and those that have none, with the reason: they fail alone, and for good."""
    good, items, bad = [], [], []
    for task in tasks:
        try:
            item = handler.item(*read(task))
        except Failure as failure:
            bad.append((task, failure))
        except InvalidError as error:
            bad.append((task, Failure(type(error).__name__, str(error), retryable=False)))
        else:
            good.append(task)
            items.append(item)
    return good, items, bad


def finish(task: Any, outcome: Any) -> None:
    """Ends a task of a batch as its outcome says."""
    if isinstance(outcome, Snooze):
        end(lib.stent_task_snooze, task, outcome.text)
    elif isinstance(outcome, BaseException):
        end(lib.stent_task_fail, task, to_failure(outcome))
    else:
        end(lib.stent_task_complete, task, outcome)
