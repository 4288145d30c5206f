"""The examples do what they say, each as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

PROMISES = 5


def run(name: str, *arguments: str, temporary: Path) -> str:
    """What it printed; it must have ended well."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = os.environ | {"TMPDIR": str(temporary)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert not list(temporary.iterdir()), "it leaves something behind"
    return ended.stdout


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_orders_survive_a_killed_worker(store: str, tmp_path: Path) -> None:
    said = run("order_workflow.py", store, temporary=tmp_path)
    assert "kill -9" in said and "every card was charged once" in said
    assert said.count("  yes   ") == PROMISES and "NO" not in said


def test_the_backend_on_redis_passes_every_case(tmp_path: Path) -> None:
    said = run("redis_backend.py", temporary=tmp_path)
    passed, rest = said.splitlines()[-1].split(" passed, ")
    failed, left_out = rest.removesuffix(" not offered: level engine").split(" failed, ")
    assert failed == "0", said
    assert int(passed) > 180 and said.count("  yes   ") == int(passed)
    # It keeps no schedules, pauses nothing, and has no slots of keys, no unique keys and no shares.
    optional = [line for line in said.splitlines() if line.startswith("  -     ")]
    assert len(optional) == int(left_out) and all(line.split()[1].startswith(("pauses/", "schedules/", "slots/", "slot_limits/", "rates/", "queue_rates/", "unique/", "debounces/", "fairness/", "ageing/", "holds/")) for line in optional), said
