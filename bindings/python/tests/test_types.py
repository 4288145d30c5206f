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

class Mailer:
    @stent.activity
    async def send(self, to: str) -> bool:
        return True

    @stent.activity(name="mailer.count")
    def count(self, letters: str, least: int) -> int:
        return max(len(letters), least)

@stent.durable
async def invites(ctx: stent.Context, mailer: str) -> None:
    reveal_type(await ctx.call(Mailer.send, "ada"))
    reveal_type(await ctx.call(Mailer().count, "ada", 1))
    await ctx.call(Mailer.send, 1)  # wrong
    await ctx.call(Mailer().send, "ada", "bo")  # wrong
    await ctx.map(Mailer.send, [1])  # wrong
    async for line in (await stent.Executor("stent.db").dispatch(invites, "ada")).progress():
        reveal_type(line["step"])

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
    revealed = ["str", "bool", "int", "str", "int"]
    assert notes == [f'note: Revealed type is "{kind}"' for kind in revealed]
    errors = {int(number) for _, number, text in said if text.startswith(" error:")}
    assert errors == {number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")}
