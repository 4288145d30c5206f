"""Errors are exceptions: a class for each status, with what the library says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stent
from stent import sync

UNKNOWN = "0190163d-8694-739b-aea5-966c26f8ad90"


@stent.activity
def never() -> None: ...


def test_an_unknown_option_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(stent.InvalidError, match="known are synchronous, busy_timeout, readers") as raised:
        stent.Backend(tmp_path / "stent.db", sync="full")  # type: ignore[call-arg]
    assert isinstance(raised.value, ValueError)
    assert raised.value.details["key"] == "sync"
    assert not raised.value.retryable


def test_what_is_not_there(store: str) -> None:
    with sync.Executor(store) as executor:
        with pytest.raises(stent.NotFoundError):
            executor.execution(UNKNOWN).state()
        with pytest.raises(LookupError):
            executor.discard_dead_letter(UNKNOWN)


def test_a_timeout_is_pythons_too(store: str) -> None:
    with sync.Executor(store) as executor:
        execution = executor.dispatch(never)
        with pytest.raises(TimeoutError):
            execution.result(0.05)
        assert execution.state()["state"] == "pending"


def test_an_id_is_used_once(store: str) -> None:
    with sync.Executor(store) as executor:
        executor.dispatch(never.options(id=UNKNOWN))
        with pytest.raises(stent.ConflictError):
            executor.dispatch(never.options(id=UNKNOWN))


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(stent.BackendError):
        stent.Backend(tmp_path / "no folder" / "stent.db")


def test_a_closed_store(store: str) -> None:
    executor = sync.Executor(store)
    executor.close()
    with pytest.raises(stent.ClosedError):
        executor.list()


def test_a_text_with_nul(tmp_path: Path) -> None:
    with pytest.raises(stent.InvalidError, match="NUL"):
        stent.Backend("a\0b")


def test_in_a_forked_child(tmp_path: Path) -> None:
    program = f"""
import os, sys, stent
from stent import sync
executor = sync.Executor({str(tmp_path / "stent.db")!r})
child = os.fork()
if child == 0:
    try:
        executor.list()
    except stent.ForkedError:
        sys.exit(7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 7


def test_no_library(tmp_path: Path) -> None:
    environment: dict[str, Any] = {"STENT_LIB_DIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", "import stent"], env=environment, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "ImportError" in ran.stderr and "STENT_LIB_DIR" in ran.stderr
