"""Stores: opened by a path or an URL, and asked by the operations of their protocol."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

from . import _json
from ._described import CheckOptions, Operation, SqliteOptions
from ._library import ask, call, ffi, lib, make, utf8


class CheckedCase(TypedDict):
    """One case of the conformance suite."""

    name: str
    outcome: Literal["passed", "failed", "not_offered"]
    seconds: float
    expected: str | None
    got: str | None
    place: str | None
    "Where in the suite it failed; or the operation that is not offered."


class CheckReport(TypedDict):
    """What came of the conformance suite."""

    backend: str
    level: Literal["engine", "protocol"]
    "protocol: the store does not answer the engine's operations."
    passed: int
    failed: int
    not_offered: int
    given_up: list[str]
    "Guarantees that a store of this level does not have."
    cases: list[CheckedCase]


class Backend:
    """An open store: a SQLite file (`"workflow.db"`), `":memory:"`, or a PostgreSQL database
    (`"postgresql://user@host/database"`). Its calls block; `stent.Executor` is for programs that must not.

    The options are those of a SQLite file: synchronous, busy_timeout, readers, file_mode.
    """

    def __init__(self, url: str | os.PathLike[str], **options: Unpack[SqliteOptions]) -> None:
        text = _json.dumps_options(options) if options else None
        self.handle: Any = make(lib.stent_backend_open, "stent_backend", utf8(os.fspath(url)), utf8(text))

    @classmethod
    def of(cls, handle: Any) -> Self:
        """A backend that is open already; the handle becomes its own."""
        backend = cls.__new__(cls)
        backend.handle = handle
        return backend

    def call(self, operation: Operation, **request: Any) -> Any:
        """One operation of the backend protocol, `backend.call("get_task", task_id=id)`: the way to look at records and
        to repair them. What it writes is not conditional on a worker's lease.
        """
        return _json.loads_records(ask(lib.stent_backend_call, self.handle, utf8(operation), utf8(_json.dumps_options(request))))

    def check(self, **options: Unpack[CheckOptions]) -> CheckReport:
        """Runs the conformance suite against the store, whoever wrote it: `backend.check(only=["records"])`. It wants a
        store of its own, on which no worker runs: what has ended there is cleaned away. A case that fails is no
        exception; the report tells of it.
        """
        report: CheckReport = _json.loads_records(ask(lib.stent_backend_check, self.handle, utf8(_json.dumps_options(options))))
        return report

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copies the store to a new file, as it is at one moment, while workers go on. For SQLite; other stores have
        tools of their own, and raise `UnsupportedError`.
        """
        call(lib.stent_backend_backup, self.handle, utf8(os.fspath(path)), ffi.NULL)

    def close(self) -> None:
        """Closes connections and files. Its executors raise `ClosedError` from now on. Again: nothing."""
        call(lib.stent_backend_close, self.handle)

    @classmethod
    async def open(cls, url: str | os.PathLike[str], **options: Unpack[SqliteOptions]) -> Self:
        """The same without blocking an event loop: `async with await stent.Backend.open("workflow.db") as backend: …`."""
        return await asyncio.to_thread(lambda: cls(url, **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()
