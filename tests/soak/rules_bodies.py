"""What workers may do and when, and how it fits what is recorded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from .history import Line
from .plan import LEASE
from .programs import FUNCTIONS, LIMIT
from .view import HANDLED, Body, Problem, View

# A task that was taken before its execution's end may still begin, until its worker renews its leases and is told.
LATE = LEASE
# From the look at the lease to the body's first line, on a machine that is busy.
LOOKING = 0.5


def cancels(view: View) -> Iterator[Problem]:
    """No body begins when its execution's cancel or end was told. Allowed is what a lease allows, while its worker ran."""
    over: dict[str, float] = {}
    for item, id, _ in view.known:
        for what in ("cancel", "wait"):
            answer = view.answers.get(f"{what}:{item.number}")
            if answer and answer["say"] == "ack":
                over[id] = min(answer["at"], over.get(id, answer["at"]))
    for body in view.bodies:
        at = over.get(body.execution, body.began)
        if body.began > at and (late := view.awake(body.worker, at, body.began)) > LATE:
            what = f"{body.function} {body.task} of {body.execution}"
            yield Problem("cancels", f"{what} began {late:.2f} s after its end was told")


def leases(view: View) -> Iterator[Problem]:
    """A body begins only while its lease lives: a newer one has not begun long before, in its worker's waking hours."""
    for bodies in view.bodies_of.values():
        for older, newer in ((a, b) for a in bodies for b in bodies if a.fence < b.fence and b.began < a.began):
            if (late := view.awake(older.worker, newer.began, older.began)) > LOOKING:
                fences = f"with fence {older.fence} {late:.2f} s after fence {newer.fence} had"
                yield Problem("leases", f"{older.task} began {fences}")


def fences(view: View) -> Iterator[Problem]:
    """A fence is given to one body, and the result of the newest is the one that is recorded."""
    for (task, fence), count in Counter((body.task, body.fence) for body in view.bodies).items():
        if count > 1:
            yield Problem("fences", f"fence {fence} of {task} was given to {count} bodies")
    for task, bodies in view.bodies_of.items():
        record = view.tasks.get(task)
        if record is None or record["state"] not in ("completed", "failed"):
            continue
        newest = max(body.fence for body in bodies)
        if newest > record["fence"]:
            yield Problem("fences", f"{task} was ended with fence {record['fence']}, and begun with {newest}")
        # Of what has killed its worker, nobody was left to say so.
        died = record["state"] == "failed" and record["error"]["type"] == "WorkerDied" and not bodies[-1].end
        if not died and not any(is_newest(body, record) and is_end(body.end, body.value, record) for body in bodies):
            yield Problem("fences", f"what is recorded of {record['step_name']} {task} is not what its newest body said")


def is_newest(body: Body, record: Line) -> bool:
    return bool(body.fence == record["fence"] or (body.coroutine and body.fence < record["fence"]))


def is_end(end: str, value: object, record: Line) -> bool:
    if record["state"] == "completed":
        return end == "complete" and bool(value == record["result"])
    # A child's failure is passed on.
    return end == "fail" or (end == "leave" and value == "FAILED")


def ran(view: View) -> Iterator[Problem]:
    """What is recorded was done: by a body, or, of a key or a cache, by another's."""
    steps = {(line["execution"], line["name"]) for line in view.run.bodies if line["event"] == "step"}
    copied = {fork["id"] for forks in view.forks.values() for fork in forks}
    for id, tasks in view.run.tasks.items():
        for task in tasks:
            if task["state"] != "completed" or id in copied:
                continue
            excused = task["step_name"] in ("once", "cached")
            if task["kind"] in HANDLED and not excused and not view.bodies_of.get(task["id"]):
                yield Problem("ran", f"{task['step_name']} {task['id']} of {id} has a result, and no body ran")
            if task["kind"] == "step" and (id, task["step_name"]) not in steps:
                yield Problem("ran", f"the step {task['step_name']} of {id} has a result, and was not done")


def attempts(view: View) -> Iterator[Problem]:
    """After so many failures as the policy allows no body begins. Deaths are none, though an attempt's number counts them."""
    for task, bodies in view.bodies_of.items():
        most = FUNCTIONS[bodies[0].function]["retry_policy"]["max_attempts"]
        failures = sum(has_failed(view, older, newer) for older, newer in pairwise(bodies))
        if failures >= most:
            yield Problem("attempts", f"{bodies[0].function} {task} began after {failures} failures, of {most}")
    for id, record in view.tasks.items():
        if record["kind"] not in HANDLED:
            continue
        name, again = record["step_name"], record["retries"]
        if again >= (most := FUNCTIONS[name]["retry_policy"]["max_attempts"]):
            yield Problem("attempts", f"{name} {id} was tried again {again} times, of {most} in all")


def has_failed(view: View, older: Body, newer: Body) -> bool:
    """Its failure was taken, for certain: its worker was not thought dead meanwhile."""
    silent = newer.began - older.began > LEASE or view.leaves(older.worker, older.began) < newer.began
    return older.end == "fail" and not silent


def limits(view: View) -> Iterator[Problem]:
    """Bodies whose leases live, at once. Of a body that lasts strangely long only the beginning is counted: its worker
    may have stood still, and its lease may be over."""
    moments: list[tuple[float, int, str]] = []
    for body in view.bodies:
        if body.function == "limited":
            end = min(body.ended or float("inf"), view.leaves(body.worker, body.began), body.began + LEASE / 3)
            moments += [(body.began, 1, body.task), (max(end, body.began), -1, body.task)]
    running = 0
    for at, step, task in sorted(moments):
        running += step
        if running > LIMIT:
            yield Problem("limits", f"with {task} {running} run at {at:.3f}, of {LIMIT}")


def owners(view: View) -> Iterator[Problem]:
    """What is called with one key is done by one task."""
    tasks: dict[str, set[str]] = defaultdict(set)
    for line in view.run.bodies:
        if line["function"] == "once" and line["event"] == "begin":
            tasks[line["args"][0]].add(line["task"])
    for key, doers in tasks.items():
        if len(doers) > 1:
            yield Problem("keys", f"{key} was done by {len(doers)} tasks")


def caches(view: View) -> Iterator[Problem]:
    """What was kept is not computed again."""
    for item, id, _ in view.known:
        doers = {body.task for body in view.bodies if body.execution == id and body.function == "cached"}
        if item.kind == "cached" and len(doers) > 1:
            yield Problem("caches", f"{id} computed twice what was kept")


def sleeps(view: View) -> Iterator[Problem]:
    """No sleep and no time-out ends early, by a clock that nobody sets."""
    for item, id, execution in view.known:
        model = view.expected.get(str(item.number))
        root = {task["id"] for task in view.run.tasks[id] if task["parent_task_id"] is None}
        bodies = [body for body in view.bodies if body.task in root]
        if model and bodies and execution["state"] == "completed":
            took = max(body.ended for body in bodies) - min(body.began for body in bodies)
            if took < model.seconds - 0.01:
                yield Problem("sleeps", f"{item.kind} {id} took {took:.3f} s, and sleeps for {model.seconds:.3f}")
