"""docs/determinism.md: what stands there is run as it is printed. A first process records, a second one runs from the top."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "determinism.md"

PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)

# What comes in front of it is the page's code.
PROGRAM = """
import json, sys

phase, name, place, arguments, *execution = sys.argv[1:]
workflow = globals()[name]
with sync.Executor(place) as executor:
    def tasks(of):
        return executor.backend.call("list_tasks_for_execution", execution_id=of)

    if phase == "record":
        begun = executor.dispatch(workflow, *json.loads(arguments)).id
        with executor.worker(workflow):  # nobody runs the activities: what is asked for stays open
            while len(tasks(begun)) == 1:
                time.sleep(0.01)
        print(begun)
    else:
        with executor.worker(workflow, charge, discount, mail):
            while True:
                root = next(task for task in tasks(execution[0]) if task["parent_task_id"] is None)
                if root["error"] is not None or root["state"] in ("completed", "failed"):
                    break
                time.sleep(0.01)
        print(json.dumps([root["state"], root["result"], root["error"]]))
"""

Prepared = tuple[list[Any], dict[str, str], dict[str, str], Callable[[], object]]


def nothing() -> None: ...


def of_offer(place: Path) -> Prepared:
    # The first process asks before it ends: much longer than a process takes here to begin.
    before = time.time()
    subprocess.run([sys.executable, "-c", "import stent.sync"], timeout=60, check=True)
    ends = time.time() + max(4, 5 * (time.time() - before))
    return [ends], {}, {}, lambda: time.sleep(max(0.0, ends - time.time()))


def of_buy(place: Path) -> Prepared:
    shop = str(place / "shop.db")

    def say(statement: str) -> None:
        with sqlite3.connect(shop) as database:
            database.execute(statement)

    say("CREATE TABLE prices (price INTEGER)")
    say("INSERT INTO prices VALUES (100)")
    return [shop], {}, {}, lambda: say("UPDATE prices SET price = 120")


# Arguments, the environments of both processes, and what happens between them.
EXAMPLES: dict[str, Callable[[Path], Prepared]] = {
    "offer": of_offer,
    "sample": lambda place: ([], {}, {}, nothing),
    "invite": lambda place: ([["ann", "bob", "cyd", "dan"]], {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}, nothing),
    "welcome": lambda place: (["ann"], {"SEND_MAIL": "yes"}, {"SEND_MAIL": "no"}, nothing),
    "buy": of_buy,
    "pair": lambda place: ([], {}, {}, nothing),
}

# Which thread is first is chance, and so is what comes of it.
BY_CHANCE = {"pair_badly"}


def in_two_processes(name: str, place: Path) -> tuple[str, Any, Any]:
    """State, result and error of the workflow, recorded by one process and run again by another."""
    program = place / "program.py"
    program.write_text("\n".join(PYTHON.findall(PAGE.read_text())) + PROGRAM)
    arguments, first, second, between = EXAMPLES[name.removesuffix("_badly")](place)

    def run(phase: str, environment: dict[str, str], *more: str) -> str:
        command = [sys.executable, str(program), phase, name, str(place / "store.db"), json.dumps(arguments), *more]
        ended = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    execution = run("record", first)
    between()
    state, result, error = json.loads(run("again", second, execution))
    return state, result, error


def names() -> list[str]:
    return [name for name in re.findall(r"^def (\w+)\(ctx", PAGE.read_text(), re.MULTILINE) if name not in BY_CHANCE]


def test_the_examples_are_those_of_the_page() -> None:
    assert {name.removesuffix("_badly") for name in names()} == set(EXAMPLES)


@pytest.mark.parametrize("name", names())
def test_the_example_comes_to_what_the_page_says(name: str, tmp_path: Path) -> None:
    state, result, error = in_two_processes(name, tmp_path)
    if not name.endswith("_badly"):
        assert (state, error) == ("completed", None) and result
        return
    assert (state, error["type"]) == ("waiting", "Nondeterminism")
    _, after = PAGE.read_text().split(f"def {name}(", 1)
    printed = re.search(r"```text\n(.*?)```", after, re.DOTALL)
    assert printed is not None
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in printed[1].split("…"))
    assert re.match(pattern.replace(r"\ .*", ".*"), error["message"]), error["message"]
