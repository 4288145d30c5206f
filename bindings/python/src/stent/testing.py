"""A worker for tests in one line, on a store in memory that nobody else sees.

    async with stent.testing.worker(greet, welcome) as executor:
        assert await (await executor.dispatch(welcome, "ada")).result(10) == {"hello": "ada"}

Under pytest `stent_worker` is a fixture of the same for threads: `stent_worker(greet, welcome)` gives the executor.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, Unpack

from . import sync
from ._backend import Backend
from ._described import WorkerOptions
from ._executor import Executor
from ._functions import Handler

MEMORY = ":memory:"


@contextlib.asynccontextmanager
async def worker(
    *handlers: Handler[..., Any], store: str | os.PathLike[str] | Backend = MEMORY, **options: Unpack[WorkerOptions]
) -> AsyncIterator[Executor]:
    """An executor with a worker for these handlers, on the event loop. They end with the block."""
    async with Executor(store) as executor, executor.worker(*handlers, **options):
        yield executor


@contextlib.contextmanager
def sync_worker(
    *handlers: Handler[..., Any], store: str | os.PathLike[str] | Backend = MEMORY, **options: Unpack[WorkerOptions]
) -> Iterator[sync.Executor]:
    """The same on threads."""
    with sync.Executor(store) as executor, executor.worker(*handlers, **options):
        yield executor
