"""What pytest finds by itself where the package is installed. The library is loaded by the tests that ask for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .sync import Executor


@pytest.fixture
def stent_worker() -> Iterator[Callable[..., Executor]]:
    """`stent_worker(greet, welcome)`: an executor on a store in memory, with a worker for these handlers on threads. It ends
    with the test.
    """
    from . import testing

    with contextlib.ExitStack() as open_ones:

        def start(*handlers: Any, **options: Any) -> Executor:
            return open_ones.enter_context(testing.sync_worker(*handlers, **options))

        yield start
