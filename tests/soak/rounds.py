"""One round: a store, workers and clients, the plan's work and its faults, and then, with all faults healed, what is there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stent import sync

from .history import Line, Run
from .plan import Plan
from .processes import Processes
from .stores import Store

# Without any change for so long, what is left will not come any more.
PATIENCE = 60
PAGE = 500
OVER = ("completed", "failed", "timed_out", "cancelled")
OUTCRY = re.compile(r"panicked at|PANIC|Segmentation|AddressSanitizer|Fatal Python|Traceback")

Say = Callable[[str], None]


def play(plan: Plan, store: Store, program: Path, say: Say) -> tuple[Run, int]:
    """Gives the run, and how much of the trace of writes is good, if there is one."""
    folder = Path(plan.folder)
    plan.save()
    processes = Processes(folder, store, program)
    try:
        processes.start()
        time.sleep(0.7)
        hurt(plan, store, processes, say)
        while processes.working():
            processes.mend()
            time.sleep(0.05)
        processes.thawed()
        say("the clients have done")
        # What is traced ends here: this process has no shim.
        traced = store.traced()
        with sync.Executor(store.url, **json.loads(store.options)) as executor:
            unfinished = settle(executor, processes, say)
            say("all is over")
            unfinished += processes.stop(20)
            say("the workers have stopped")
            records = read_all(executor)
    finally:
        processes.end()
        store.heal()
    text = (folder / "stderr").read_text(errors="replace")
    records |= {"unfinished": unfinished, "outcries": [line for line in text.splitlines() if OUTCRY.search(line)]}
    (folder / "records.json").write_text(json.dumps(records))
    return Run.load(folder), traced


def hurt(plan: Plan, store: Store, processes: Processes, say: Say) -> None:
    began = time.monotonic()
    try:
        for fault in plan.faults:
            time.sleep(fault.after)
            if fault.kind in ("kill", "freeze", "drain", "kill_client"):
                what = getattr(processes, fault.kind)(fault.target)
            else:
                processes.journal.write(fault=fault.kind, begins=True)
                what = getattr(store, f"fault_{fault.kind}")(fault.amount)
                processes.journal.write(fault=fault.kind, what=what)
            say(f"{time.monotonic() - began:6.1f} s  {fault.kind} {what}")
            processes.working()
            processes.mend()
    finally:
        store.heal()
        processes.journal.write(fault="healed")


def settle(executor: sync.Executor, processes: Processes, say: Say) -> list[str]:
    """Waits until all executions are over. Those that are not, and don't move any more."""
    before, since = None, time.monotonic()
    while True:
        open = [one for one in every_execution(executor) if one["state"] not in OVER]
        if not open:
            return []
        # Leases are left out: a worker that does nothing but renew them is stuck too.
        tasks = [[task | {"lease_expires_at": None} for task in executor.backend.call("list_tasks_for_execution", execution_id=one["id"])]
                 for one in open]
        picture = json.dumps([open, tasks], sort_keys=True)
        if picture != before:
            before, since = picture, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            say(f"{len(open)} executions don't end")
            return [f"execution {one['id']} is {one['state']}" for one in open]
        processes.mend()
        time.sleep(0.3)


def every_execution(executor: sync.Executor) -> list[Any]:
    found: list[Any] = []
    while page := executor.list(limit=PAGE, offset=len(found)):
        found += page
    return found


def read_all(executor: sync.Executor) -> dict[str, Any]:
    executions: dict[str, Line] = {}
    tasks: dict[str, Any] = {}
    for one in every_execution(executor):
        executions[one["id"]] = dict(executor.execution(one["id"]).state())
        tasks[one["id"]] = executor.backend.call("list_tasks_for_execution", execution_id=one["id"])
    return {"executions": executions, "tasks": tasks, "letters": executor.dead_letters(limit=10_000)}
