"""What all tests share: async tests, stores of their own on SQLite and PostgreSQL, and both kinds of host."""

from __future__ import annotations

import asyncio
import inspect
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from .fans import Say
from .hosts import Host


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs tests that are coroutines, each on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    if request.param == "sqlite":
        return str(tmp_path / "stent.db")
    server = os.environ.get("STENT_TEST_POSTGRES")
    assert server, "there is no PostgreSQL for the tests: run them by bindings/python/test, or by scripts/with-postgres"
    return f"{server}?schema=python_{uuid.uuid4().hex}&min_size=1&max_size=4"


@pytest.fixture(params=["asyncio", "threads"])
def host(request: pytest.FixtureRequest, store: str) -> Host:
    """A kind of host, and an empty store for it."""
    return Host(request.param, store)


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """What was measured, whether the test passes or not: it stands at the end of what pytest says."""
    return lambda line: record_property("measured", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for report in reports:
        if isinstance(report, pytest.TestReport) and report.when == "call":
            for _, line in report.user_properties:
                terminalreporter.write_line(str(line))
