"""The library's log is Python's."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import stent
from stent import sync

from .hosts import PATIENCE, Host, until

QUICKLY: stent.RetryPolicy = {"max_attempts": 2, "initial_delay": "10ms", "jitter": 0}


@stent.activity(retry_policy=QUICKLY)
def unsteady() -> str:
    task = stent.current()
    if task.attempt == 1:
        raise LookupError("100% out of luck")
    task.log(logging.WARNING, "luck is back")
    return "done"


@stent.durable
async def talkative(ctx: stent.Context) -> str:
    ctx.log("info", "begun")
    result = await ctx.call(unsteady)
    await ctx.sleep(0.01)
    ctx.log("error", "100% done")
    return result


@stent.durable(name="talkative")
def talkative_too(ctx: sync.Context) -> str:
    ctx.log("info", "begun")
    result = ctx.call(unsteady)
    ctx.sleep(0.01)
    ctx.log("error", "100% done")
    return result


async def test_logging(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="stent")
    durable = talkative if host.kind == "asyncio" else talkative_too
    async with host.running(durable, unsteady) as (executor, _):
        execution = await executor.dispatch("talkative")
        assert await execution.result(PATIENCE) == "done"
        await until(lambda: any(line.message == "100% done" for line in caplog.records))
    mine = [line for line in caplog.records if getattr(line, "stent_execution", None) == execution.id]
    said = [(line.name, line.levelname, line.message) for line in mine if line.name == "stent.task"]
    # Each once, though the function on threads was run again from the top.
    assert said == [
        ("stent.task", "INFO", "begun"),
        ("stent.task", "WARNING", "luck is back"),
        ("stent.task", "ERROR", "100% done"),
    ]
    (failed,) = [line for line in mine if line.name == "stent.worker"]
    assert failed.levelno == logging.WARNING
    assert failed.message == "the attempt failed, and another follows in 10ms: LookupError: 100% out of luck"
    facts = {name: getattr(failed, f"stent_{name}") for name in ("function", "attempt", "error")}
    assert facts == {"function": "unsteady", "attempt": "1", "error": "LookupError"}
    assert failed.stent_retry_at[10] == "T"  # type: ignore[attr-defined]


async def test_a_call_of_what_nobody_has_is_in_the_log(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    async with host.running(unsteady) as (executor, _):
        execution = await executor.dispatch("unstaedy")
        details: dict[str, object] = {}
        async with asyncio.timeout(PATIENCE):
            # What the store said a moment ago is believed for a second.
            while "registered" not in details:
                with pytest.raises(stent.TimeoutError) as raised:
                    await execution.result(0.05)
                details = raised.value.details
        assert "did you mean 'unsteady'? These have been registered: unsteady" in str(raised.value)
        assert (details["function"], details["registered"]) == ("unstaedy", ["unsteady"])
        await until(lambda: any("no worker has registered 'unstaedy'" in line.message for line in caplog.records))


async def test_a_level_that_there_is_not_is_the_handler_s_mistake(store: str) -> None:
    runs = []

    @stent.durable
    async def shouts(ctx: stent.Context) -> None:
        runs.append(ctx.attempt)
        ctx.log("loud", "hear hear")  # type: ignore[arg-type]

    async with stent.testing.worker(shouts, store=store) as executor:
        execution = await executor.dispatch(shouts)
        with pytest.raises(stent.FailedError, match="'loud' is no level of the log"):
            await execution.result(PATIENCE)
    assert runs == [1]


PROGRAM = """
import sys, stent
from stent import sync

stent.configure(runtime_threads=1)

@stent.activity(retry_policy={"max_attempts": 2, "initial_delay": "1ms"})
def unsteady():
    if stent.current().attempt == 1:
        raise LookupError("out of luck")
    stent.current().log("info", "nobody asked for this one")

with sync.Executor(":memory:") as executor, executor.worker(unsteady):
    executor.dispatch(unsteady).result(30)
    try:
        stent.configure(runtime_threads=2)
    except stent.ConflictError:
        print("in use")
"""


def test_without_a_word_warnings_are_seen_and_a_program_ends() -> None:
    """As Python has it where nobody has configured logging."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "in use\n"), ran.stderr
    (line,) = ran.stderr.splitlines()
    assert line.endswith("LookupError: out of luck")


def test_lines_that_come_at_the_end_do_no_harm(tmp_path: Path) -> None:
    program = """
import logging, sys, stent
from stent import sync
logging.basicConfig(level=logging.DEBUG)

@stent.activity(retry_policy={"max_attempts": 1000, "initial_delay": "1ms", "max_delay": "1ms"})
def fails():
    raise LookupError("out of luck")

executor = sync.Executor(":memory:")
executor.worker(fails, max_concurrency=8).start()
for _ in range(50):
    executor.dispatch(fails)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0 and "Fatal" not in ran.stderr and "Traceback" not in ran.stderr, ran.stderr[-2000:]


def test_a_line_that_can_not_be_written_is_told(caplog: pytest.LogCaptureFixture) -> None:
    from stent import _log

    _log.take(3, "no JSON")
    assert "could not be written: no JSON" in caplog.text
