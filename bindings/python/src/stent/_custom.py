"""Stores that are written in Python."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import itertools
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, Unpack

from . import _json
from ._backend import Backend
from ._described import STATUSES, CustomOptions
from ._errors import Error, InvalidError
from ._library import NULL, describe, ffi, lib, make, text_of, utf8

Answer: TypeAlias = Callable[[str, str], str | None] | Callable[[str, str], Awaitable[str | None]]
"""Given the name of an operation and its request, gives the answer; both are JSON. None stands for null."""

_log = logging.getLogger("stent")
_numbers = itertools.count(1)
_answerers: dict[int, Callable[[str, str, Any], None]] = {}


def custom_backend(
    answer: Answer | object, operations: Iterable[str] | None = None, **options: Unpack[CustomOptions]
) -> Backend:
    """A backend that is written in Python: `docs/writing-a-backend.md` says what it must do.

    `answer` is a function, `answer(operation, request)`, whose `operations` are named (None: the protocol's, without the
    engine's); or an object with a method for each operation that it answers, `get_task(request)`. Requests and answers
    are JSON texts, so that payloads stay what they are, to the letter. A failure is raised: `ConflictError`,
    `NotFoundError` and the others as what they are, any other exception as a `BackendError`.

    A plain function is called on threads of the library, several at once. An async one runs on the event loop that runs
    here now, so that nothing may block that loop meanwhile: use `stent.Executor`, and not the calls of `Backend`.
    """
    if not callable(answer):
        answer, operations = _methods(answer)
    answerer = _in_loop(answer) if inspect.iscoroutinefunction(answer) else _in_place(answer)
    names = ffi.NULL if operations is None else ffi.new("char []", json.dumps(list(operations)).encode())
    chosen = ffi.new("char []", _json.dumps_options(options).encode()) if options else NULL
    vtable = ffi.new("stent_backend_vtable *", (ffi.sizeof("stent_backend_vtable"), _call, names, chosen))
    number = next(_numbers)
    _answerers[number] = answerer
    # From here on the number is the library's, which gives it back by _forget, whatever happens.
    user_data = ffi.cast("void *", number)
    return Backend.of(make(lib.stent_backend_custom, "stent_backend", vtable, user_data, _forget))


def _methods(store: object) -> tuple[Callable[[str, str], Any], list[str]]:
    described = describe()
    known = [operation["name"] for operation in described["operations"] + described["engine_operations"]]
    methods = {name: getattr(store, name) for name in known if callable(getattr(store, name, None))}
    if not methods:
        raise InvalidError(f"{store!r} is no function, and has no method with the name of an operation, such as get_task")
    if any(inspect.iscoroutinefunction(method) for method in methods.values()):

        async def answer_later(operation: str, request: str) -> Any:
            answer = methods[operation](request)
            return await answer if inspect.isawaitable(answer) else answer

        return answer_later, list(methods)
    return lambda operation, request: methods[operation](request), list(methods)


def _in_place(answer: Callable[[str, str], Any]) -> Callable[[str, str, Any], None]:
    def called(operation: str, request: str, reply: Any) -> None:
        try:
            _ok(reply, answer(operation, request))
        except BaseException as error:  # a thread of the library's has nobody else to tell
            _failed(reply, operation, error)

    return called


def _in_loop(answer: Callable[[str, str], Any]) -> Callable[[str, str, Any], None]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise InvalidError("an async function needs the event loop that it is to run on: call custom_backend there") from None

    async def answered(operation: str, request: str, reply: Any) -> None:
        try:
            _ok(reply, await answer(operation, request))
        except BaseException as error:
            _failed(reply, operation, error)

    def called(operation: str, request: str, reply: Any) -> None:
        running = answered(operation, request, reply)
        try:
            answering = asyncio.run_coroutine_threadsafe(running, loop)
        except RuntimeError as error:  # the loop is closed
            running.close()
            _failed(reply, operation, error)
            return

        def over(answering: concurrent.futures.Future[None]) -> None:
            if answering.cancelled():  # before its first step
                _failed(reply, operation, asyncio.CancelledError("the loop ended"))

        answering.add_done_callback(over)

    return called


def _ok(reply: Any, answer: str | None) -> None:
    if not isinstance(answer, str | None):
        raise TypeError(f"an answer is JSON text, or None, and no {type(answer).__name__}: {answer!r}")
    lib.stent_reply_ok(reply, utf8(answer))


def _failed(reply: Any, operation: str, error: BaseException) -> None:
    if isinstance(error, Error):
        details = json.dumps({"retryable": error.retryable})
        lib.stent_reply_error(reply, STATUSES[error.status], utf8(error.message), utf8(details))
        return
    _log.error("%s: the custom backend raised an exception", operation, exc_info=error)
    message = f"{type(error).__name__}: {error}".replace("\0", "")
    lib.stent_reply_error(reply, STATUSES["BACKEND"], utf8(message), NULL)


@ffi.callback("stent_backend_call_fn")
def _call(user_data: Any, operation: Any, request: Any, reply: Any) -> None:
    _answerers[int(ffi.cast("uintptr_t", user_data))](text_of(operation), text_of(request), reply)


@ffi.callback("stent_free_fn")
def _forget(user_data: Any) -> None:
    del _answerers[int(ffi.cast("uintptr_t", user_data))]
