"""Is the checker any good? A good run is damaged in many ways, and each must be found by the rule that is there for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from .checker import problems
from .history import Line, Run
from .plan import LEASE, Item
from .programs import LIMIT
from .view import View

Damage = Callable[[Run, View], None]
DAMAGES: list[tuple[str, Damage]] = []


def breaks(rule: str) -> Callable[[Damage], Damage]:
    def add(damage: Damage) -> Damage:
        DAMAGES.append((rule, damage))
        return damage

    return add


# ---- where to begin: each finds something of its kind in the run, or there is nothing to damage ----


def some(view: View, kind: str, state: str = "completed") -> tuple[Item, str, Line]:
    return next((item, id, e) for item, id, e in view.known if item.kind == kind and e["state"] == state)


def task(run: Run, id: str, name: str) -> Line:
    return next(task for task in run.tasks[id] if task["step_name"] == name and task["parent_task_id"])


def line(lines: list[Line], **wanted: Any) -> Line:
    return next(line for line in lines if all(line.get(key) == value for key, value in wanted.items()))


def now(run: Run) -> float:
    return max(float(line["at"]) for line in [*run.bodies, *run.client])


def body(run: Run, like: Line, **other: Any) -> None:
    """One more body, at the end of the run."""
    run.bodies.append({**like, "event": "begin", "at": now(run) + 1, "worker": "another", **other})


# ---- the damages ----


@breaks("lost")
def an_execution_is_lost(run: Run, view: View) -> None:
    _, id, _ = some(view, "fan_out")
    del run.executions[id], run.tasks[id]


@breaks("strays")
def an_execution_is_there_twice(run: Run, view: View) -> None:
    _, id, execution = some(view, "key")
    other = "00000000-0000-4000-8000-000000000000"
    run.executions[other], run.tasks[other] = {**execution, "id": other}, []


@breaks("ends")
def an_execution_does_not_end(run: Run, view: View) -> None:
    _, id, execution = some(view, "sleeps")
    execution["state"] = "running"
    run.unfinished.append(f"execution {id} is running")


@breaks("ends")
def a_cancelled_execution_completes(run: Run, view: View) -> None:
    some(view, "cancelled", "cancelled")[2]["state"] = "completed"


@breaks("ends")
def a_failure_is_another(run: Run, view: View) -> None:
    some(view, "fails", "failed")[2]["error"]["type"] = "ValueError"


@breaks("results")
def a_result_is_another(run: Run, view: View) -> None:
    some(view, "sequence")[2]["result"][2] += 1


@breaks("results")
def a_value_is_missing(run: Run, view: View) -> None:
    some(view, "nested")[2]["result"].pop()


@breaks("once")
def an_operation_is_recorded_twice(run: Run, view: View) -> None:
    _, id, _ = some(view, "sequence")
    found = task(run, id, "double")
    run.tasks[id].append({**found, "id": "00000000-0000-4000-8000-000000000001"})


@breaks("once")
def an_operation_is_lost(run: Run, view: View) -> None:
    _, id, _ = some(view, "steps")
    run.tasks[id].remove(task(run, id, "a"))


@breaks("open")
def a_task_is_left_behind(run: Run, view: View) -> None:
    _, id, _ = some(view, "cancelled", "cancelled")
    run.tasks[id][0]["state"] = "running"


@breaks("signals")
def two_signals_change_places(run: Run, view: View) -> None:
    result = some(view, "inbox")[2]["result"]
    result[0], result[1] = result[1], result[0]


@breaks("signals")
def a_signal_comes_twice(run: Run, view: View) -> None:
    result = some(view, "inbox")[2]["result"]
    result[4] = result[3]


@breaks("counters")
def a_counter_is_one_off(run: Run, view: View) -> None:
    some(view, "books")[2]["counters"]["lines"] += 1


@breaks("counters")
def an_addition_is_lost(run: Run, view: View) -> None:
    some(view, "keeper")[2]["counters"]["client"] -= 1


@breaks("counters")
def two_additions_see_the_same(run: Run, view: View) -> None:
    item, _, _ = some(view, "keeper")
    first, second = (line(run.client, request=f"add:{item.number}:{n}", say="ack") for n in (0, 1))
    second["answer"] = first["answer"]


@breaks("counters")
def an_effect_counts_without_a_body(run: Run, view: View) -> None:
    some(view, "books")[2]["counters"]["tallied"] += 100


@breaks("told")
def a_line_of_progress_is_doubled(run: Run, view: View) -> None:
    progress = some(view, "books")[2]["progress"]
    progress.append(next(line for line in progress if line["detail"] == {"soak": 1}))


@breaks("told")
def a_state_value_is_an_older_one(run: Run, view: View) -> None:
    some(view, "books")[2]["state_values"]["last"] = {"number": 0}


@breaks("letters")
def a_dead_letter_is_lost(run: Run, view: View) -> None:
    _, id, _ = some(view, "fails", "failed")
    run.letters = [letter for letter in run.letters if letter["task"]["execution_id"] != id]


@breaks("letters")
def a_letter_has_lost_what_its_replay_needs(run: Run, view: View) -> None:
    found = run.letters[0]["task"]
    run.tasks[found["execution_id"]] = [t for t in run.tasks[found["execution_id"]] if t["id"] != found["id"]]


@breaks("letters")
def a_replay_does_again_what_was_recorded(run: Run, view: View) -> None:
    fork = next(fork for forks in view.forks.values() for fork in forks)
    body(run, {**line(run.bodies, function="double", event="begin"), "task": task(run, fork["id"], "double")["id"]})


@breaks("compensation")
def a_compensation_is_made_twice(run: Run, view: View) -> None:
    id = next(iter(view.compensations.values()))[0]
    other = "00000000-0000-4000-8000-000000000002"
    run.executions[other], run.tasks[other] = {**run.executions[id], "id": other}, []


@breaks("compensation")
def a_compensation_is_forgotten(run: Run, view: View) -> None:
    id = next(iter(view.compensations.values()))[0]
    del run.executions[id], run.tasks[id]


@breaks("deadlines")
def a_deadline_passes_too_early(run: Run, view: View) -> None:
    run.faults = [fault for fault in run.faults if fault["fault"] != "clock"]
    execution = some(view, "deadline", "timed_out")[2]
    execution["completed_at"] = execution["created_at"]


@breaks("keys")
def a_key_names_two_executions(run: Run, view: View) -> None:
    item, _, _ = some(view, "key")
    line(run.client, request=f"dispatch:{item.number}:again", say="ack")["answer"] = "another"


@breaks("keys")
def a_key_is_done_twice(run: Run, view: View) -> None:
    body(run, line(run.bodies, function="once", event="begin"), task="00000000-0000-4000-8000-000000000003")


@breaks("caches")
def what_was_kept_is_computed_again(run: Run, view: View) -> None:
    _, id, _ = some(view, "cached")
    known = {found.task for found in view.bodies if found.function == "cached"}
    second = next(t["id"] for t in run.tasks[id] if t["step_name"] == "cached" and t["id"] not in known)
    body(run, line(run.bodies, function="cached", event="begin", execution=id), task=second)


@breaks("observed")
def what_was_over_changes(run: Run, view: View) -> None:
    item = next(item for item, _, e in view.known if f"wait:{item.number}" in view.answers and e["state"] == "completed")
    line(run.client, request=f"wait:{item.number}", say="ack")["answer"]["result"] = "another"


@breaks("answers")
def a_client_is_refused(run: Run, view: View) -> None:
    run.client.append({"request": "dispatch:0", "say": "error", "status": "INVALID", "message": "no", "at": now(run)})


@breaks("outcries")
def a_process_panics(run: Run, view: View) -> None:
    run.outcries.append("thread 'main' panicked at src/lib.rs")


@breaks("cancels")
def a_body_begins_after_the_cancel(run: Run, view: View) -> None:
    item, id, _ = some(view, "cancelled", "cancelled")
    told = line(run.client, request=f"cancel:{item.number}", say="ack")["at"]
    found = line(run.bodies, function="slow", event="begin")
    run.bodies.append({**found, "execution": id, "at": told + LEASE + 0.1, "worker": "another"})


@breaks("cancels")
def a_body_begins_after_the_end_was_told(run: Run, view: View) -> None:
    item, id, _ = next(known for known in view.known if f"wait:{known[0].number}" in view.answers)
    told = line(run.client, request=f"wait:{item.number}", say="ack")["at"]
    found = line(run.bodies, execution=id, event="begin")
    run.bodies.append({**found, "at": told + LEASE + 0.1, "worker": "another"})


@breaks("leases")
def a_body_begins_without_a_lease(run: Run, view: View) -> None:
    found = line(run.bodies, function="double", event="begin")
    body(run, found, fence=found["fence"] - 1)


@breaks("fences")
def an_older_fence_records(run: Run, view: View) -> None:
    _, id, _ = some(view, "sequence")
    task(run, id, "double")["fence"] -= 1


@breaks("fences")
def a_body_begins_after_the_end(run: Run, view: View) -> None:
    found = line(run.bodies, function="double", event="complete")
    found = line(run.bodies, task=found["task"], event="begin")
    body(run, found, fence=view.tasks[found["task"]]["fence"] + 1)


@breaks("fences")
def a_fence_is_given_to_two(run: Run, view: View) -> None:
    body(run, line(run.bodies, function="double", event="begin"))


@breaks("fences")
def a_result_is_nobodys(run: Run, view: View) -> None:
    _, id, execution = some(view, "stable")
    found = task(run, id, "stamp")
    found["result"] = execution["result"][3] = {"fence": 99, "worker": "nobody"}


@breaks("ran")
def nobody_has_done_it(run: Run, view: View) -> None:
    _, id, _ = some(view, "sequence")
    gone = task(run, id, "double")["id"]
    run.bodies = [found for found in run.bodies if found["task"] != gone]


@breaks("ran")
def a_step_was_not_done(run: Run, view: View) -> None:
    _, id, _ = some(view, "steps")
    run.bodies = [found for found in run.bodies if found["execution"] != id or found["event"] != "step"]


@breaks("attempts")
def it_is_tried_too_often(run: Run, view: View) -> None:
    # Each time at once, so that no death can be meant.
    failed = line(run.bodies, function="broken", event="fail")
    for number in range(1, 4):
        for event in ("begin", "fail"):
            at = failed["at"] + number / 100 + (event == "fail") / 1000
            run.bodies.append({**failed, "event": event, "fence": failed["fence"] + number, "at": at, "worker": "another"})


@breaks("attempts")
def it_is_retried_too_often(run: Run, view: View) -> None:
    _, id, _ = some(view, "broken", "failed")
    task(run, id, "broken")["retries"] = 2


@breaks("limits")
def more_run_than_may(run: Run, view: View) -> None:
    found = line(run.bodies, function="limited", event="begin")
    for number in range(LIMIT):
        run.bodies.append({**found, "task": f"{number}", "worker": "another"})


@breaks("sleeps")
def a_sleep_ends_early(run: Run, view: View) -> None:
    _, id, _ = some(view, "late_signal")
    began = line(run.bodies, execution=id, event="begin")["at"]
    for found in run.bodies:
        if found["execution"] == id:
            found["at"] = began + 0.001


def prove(run: Run) -> Iterator[tuple[str, str]]:
    """Each damage by its name, and what is wrong with how it was found; "" for nothing. Wants a run without a fault."""
    for rule, damage in DAMAGES:
        damaged = copy.deepcopy(run)
        title = damage.__name__.replace("_", " ")
        try:
            damage(damaged, View(damaged))
        except StopIteration:
            yield title, "there is nothing in this run to damage like this"
            continue
        damaged.bodies.sort(key=lambda line: float(line["at"]))
        found = {problem.rule for problem in problems(damaged)}
        yield title, "" if rule in found else f"{rule} has not found it; found was {sorted(found)}"
