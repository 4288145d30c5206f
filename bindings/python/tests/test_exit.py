"""The end of a host's process."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .hosts import lines, wait_for

COMMON = """
import os, sys, time, signal, stent
from stent import sync

def add_line(line):
    with open(sys.argv[2], "a") as file:
        file.write(line + "\\n")

@stent.activity
def slow(seconds):
    add_line("begun")
    time.sleep(seconds)
    add_line("done")
    return seconds

@stent.activity
def double(n):
    return 2 * n

@stent.durable
def workflow(ctx, n):
    return sum(ctx.map(double, range(n)))
"""


def start(tmp_path: Path, program: str) -> subprocess.Popen[str]:
    arguments = [str(tmp_path / "stent.db"), str(tmp_path / "lines")]
    source = COMMON + textwrap.dedent(program)
    # Who runs tests in the background may ignore interrupts, and what is started inherits that.
    command = ["env", "--default-signal=INT", sys.executable, "-c", source, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, errors


def test_a_program_that_just_ends_waits_for_its_handlers(tmp_path: Path) -> None:
    process = start(
        tmp_path,
        """
        executor = sync.Executor(sys.argv[1])
        worker = executor.worker(slow)
        worker.start()
        executor.dispatch(slow, 0.5)
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.01)
        """,
    )
    assert ends(process) == (0, "")
    assert lines(tmp_path / "lines") == ["begun", "done"]


@pytest.mark.parametrize("how", ["pass", "raise SystemExit(3)", "1 / 0"])
def test_callbacks_in_flight_do_no_harm(tmp_path: Path, how: str) -> None:
    process = start(
        tmp_path,
        f"""
        executor = sync.Executor(sys.argv[1])
        worker = executor.worker(double, workflow, max_concurrency=8)
        worker.start()
        for execution in executor.dispatch_many(workflow.bind(100) for _ in range(20))[:3]:
            execution.result(30)
        {how}
        """,
    )
    code, errors = ends(process)
    assert code == {"pass": 0, "raise SystemExit(3)": 3, "1 / 0": 1}[how], errors
    assert "FATAL" not in errors


def test_a_handler_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    process = start(
        tmp_path,
        """
        import stent._shutdown
        stent._shutdown.PATIENCE = 0.2

        @stent.activity
        def endless():
            add_line("begun")
            while True:
                pass

        executor = sync.Executor(sys.argv[1])
        worker = executor.worker(endless)
        worker.start()
        executor.dispatch(endless)
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.01)
        print("flushed", file=sys.stderr, end="")
        """,
    )
    code, errors = ends(process)
    assert code == 1
    assert errors.startswith("flushed") and "1 handlers still run" in errors, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_drains_at_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    process = start(
        tmp_path,
        """
        with sync.Executor(sys.argv[1]) as executor:
            worker = executor.worker(slow)
            worker.start()
            executor.dispatch(slow, 0.5)
            worker.serve()
            add_line(worker.status()["state"])
        """,
    )
    wait_for(lambda: lines(tmp_path / "lines") == ["begun"])
    process.send_signal(number)
    assert ends(process) == (0, "")
    assert lines(tmp_path / "lines") == ["begun", "done", "stopped"]


def test_ctrl_c_reaches_who_waits(tmp_path: Path) -> None:
    process = start(
        tmp_path,
        """
        with sync.Executor(sys.argv[1]) as executor:
            execution = executor.dispatch("nobody has it")
            add_line("waiting")
            execution.result()
        """,
    )
    wait_for(lambda: lines(tmp_path / "lines") == ["waiting"])
    process.send_signal(signal.SIGINT)
    code, errors = ends(process)
    assert code == -signal.SIGINT and "KeyboardInterrupt" in errors
