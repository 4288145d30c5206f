"""The package, its tests, its scripts and its examples are typed, strictly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

WRONG = """
import stent
from stent import sync

@stent.activity
def greet(name: str) -> str:
    return name

@stent.durable
def workflow(ctx: sync.Context, n: int) -> int:
    reveal_type(ctx.call(greet, "ada"))
    ctx.call(greet, 1)  # wrong
    return n

executor = sync.Executor("stent.db", readers="four")  # wrong
reveal_type(executor.dispatch(workflow, 1).result())
executor.dispatch(workflow, "one")  # wrong
executor.dispatch(workflow.options(dealy="1h"), 1)  # wrong
executor.dispatch(workflow.options(delay="1h"), 1)
"""


def mypy(*arguments: str) -> str:
    command = [sys.executable, "-m", "mypy", "--no-color-output", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def test_everything_is_typed() -> None:
    said = mypy()
    assert "Success: no issues found" in said, said


def test_mistakes_are_seen(tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(WRONG)
    said = [line.split(":", 2) for line in mypy("--strict", str(program)).splitlines() if ".py:" in line]
    notes = [text.strip() for _, _, text in said if "Revealed" in text]
    assert notes == ['note: Revealed type is "str"', 'note: Revealed type is "int"']
    errors = {int(number) for _, number, text in said if text.startswith(" error:")}
    assert errors == {number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")}
