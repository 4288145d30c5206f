"""The helpers for those who test with the package."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import stent
from stent import sync

pytest_plugins = ["pytester"]


@stent.activity
def greet(name: str) -> str:
    return f"hello, {name}"


async def test_a_worker_in_one_line() -> None:
    async with stent.testing.worker(greet, max_concurrency=2) as executor:
        assert await (await executor.dispatch(greet, "ada")).result(10) == "hello, ada"


def test_on_threads_too() -> None:
    with stent.testing.sync_worker(greet) as executor:
        assert executor.dispatch(greet, "ada").result(10) == "hello, ada"


def test_the_fixture_is_found_by_itself(stent_worker: Callable[..., sync.Executor]) -> None:
    one, other = stent_worker(greet), stent_worker(greet)
    assert one.dispatch(greet, "ada").result(10) == "hello, ada"
    assert other.list() == [], "each has a store of its own"


def test_the_fixture_ends_with_its_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, stent

        kept = []

        @stent.activity
        def greet(name): return name

        def test_one(stent_worker):
            kept.append(stent_worker(greet))

        def test_after_it():
            with pytest.raises(stent.ClosedError):
                kept[0].list()
        """
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=2)
