"""What the store's final records must say, given what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from .history import Line
from .programs import outcome
from .view import HANDLED, Problem, View

ENDED = ("completed", "failed", "cancelled", "timed_out")


def lost(view: View) -> Iterator[Problem]:
    """What was acknowledged is there."""
    for item in view.items:
        id = view.id(item)
        if id is not None and id not in view.executions:
            yield Problem("lost", f"{item.kind} {id} was acknowledged, and is not there")


def answers(view: View) -> Iterator[Problem]:
    """Nothing was refused for good: all that clients ask for is right."""
    for line in view.run.client:
        refused = line["say"] == "error" and not line.get("retryable") and line["status"] != "TIMEOUT"
        if refused and not line["request"].startswith("add:"):
            yield Problem("answers", f"{line['request']} was answered {line['status']}: {line['message']}")


def strays(view: View) -> Iterator[Problem]:
    """Everything that is there was asked for, or follows from it."""
    wanted = {item.id for item in view.items} | {id for _, id, _ in view.known}
    open_keys = [item.program for item in view.items if item.how == "key" and view.id(item) is None]
    for id, execution in view.executions.items():
        follows = execution.get("replay_of") in view.executions or execution["root_function"] == "undo"
        if id not in wanted and not follows and execution["args"][:1] not in [[program] for program in open_keys]:
            yield Problem("strays", f"nobody has asked for {execution['root_function']} {id}")


def ends(view: View) -> Iterator[Problem]:
    """Every execution ends, as its kind says."""
    for what in view.run.unfinished:
        yield Problem("ends", what)
    for item, id, execution in view.known:
        wanted = "cancelled" if item.cancel else "timed_out" if item.expires else view.expected[str(item.number)].state
        if item.cancel and f"cancel:{item.number}" not in view.answers:
            continue
        if execution["state"] != wanted:
            why = execution["error"]
            yield Problem("ends", f"{item.kind} {id} is {execution['state']}, not {wanted}: {why}")
        failure = (execution["error"] or {}).get("type", "")
        if wanted == "failed" and failure != view.expected[str(item.number)].failure:
            yield Problem("ends", f"{item.kind} {id} failed of {failure}")


def results(view: View) -> Iterator[Problem]:
    """Results are the model's; and what signals brought, came once and in order."""
    for item, id, execution in view.known:
        model = view.expected.get(str(item.number))
        if model is None or model.state != "completed" or execution["state"] != "completed":
            continue
        found = execution["result"]
        if not isinstance(found, list) or len(found) != len(model.result):
            yield Problem("results", f"{item.kind} {id} has {found}, not {model.result}")
            continue
        for place, (value, wanted) in enumerate(zip(found, model.result, strict=True)):
            # Left to right: what can be anything is on the model's side.
            if not wanted == value:
                rule = "signals" if place in model.signals else "results"
                yield Problem(rule, f"{item.kind} {id} has {value} at {place}, not {wanted}")


def once(view: View) -> Iterator[Problem]:
    """Each operation is recorded once, and all of them are."""
    for id, tasks in view.run.tasks.items():
        keys = Counter((task["parent_task_id"], task["step_key"]) for task in tasks)
        ids = Counter(task["id"] for task in tasks)
        for key, count in [*keys.items(), *ids.items()]:
            if count > 1:
                yield Problem("once", f"{key} of {id} is recorded {count} times")
    for item, id, execution in view.known:
        model = view.expected.get(str(item.number))
        if model is None or execution["state"] != model.state:
            continue
        found = Counter(name(task) for task in view.run.tasks[id] if task["parent_task_id"])
        if found != model.tasks:
            yield Problem("once", f"{item.kind} {id} has the operations {dict(found)}, not {dict(model.tasks)}")


def name(task: Line) -> Any:
    return task["step_name"] if task["kind"] in HANDLED else task["kind"]


def open_tasks(view: View) -> Iterator[Problem]:
    """When an execution has ended, so has everything in it."""
    for id, tasks in view.run.tasks.items():
        for task in tasks:
            if view.executions[id]["state"] in ENDED and task["state"] not in ENDED:
                yield Problem("open", f"{name(task)} {task['id']} of {id} is {task['state']}")


def counters(view: View) -> Iterator[Problem]:
    """Effects through counters add up."""
    for item, id, execution in view.known:
        found = execution["counters"]
        if (model := view.expected.get(str(item.number))) and execution["state"] == "completed":
            for counter, wanted in model.counters.items():
                if counter != "tallied" and found.get(counter) != wanted:
                    yield Problem("counters", f"{counter} of {item.kind} {id} is {found.get(counter)}, not {wanted}")
            # An activity's attempt has no journal: it is heard at least once, and never oftener than it ran.
            ran = sum(body.execution == id and body.function == "tally" for body in view.bodies)
            least = model.counters["tallied"]
            if least and not least <= found.get("tallied", 0) <= ran:
                yield Problem("counters", f"tallied of {id} is {found.get('tallied')}, not {least} to {ran}")
        yield from additions(view, item.number, id, found.get("client", 0))


def additions(view: View, number: int, id: str, found: int) -> Iterator[Problem]:
    prefix = f"add:{number}:"
    amounts = {line["request"]: line["amount"] for line in view.run.client if line["request"].startswith(prefix)}
    sure = sum(amount for request, amount in amounts.items() if request in view.answers)
    if not sure <= found <= sum(amounts.values()):
        yield Problem("counters", f"client of {id} is {found}, not {sure} to {sum(amounts.values())}")
    values = [line["answer"] for request, line in view.answers.items() if request.startswith(prefix)]
    if len(set(values)) < len(values) or max(values, default=0) > found:
        yield Problem("counters", f"additions to {id} were answered {values}, in the end it is {found}")


def told(view: View) -> Iterator[Problem]:
    """State values and progress are what the flow said, each line once."""
    for item, id, execution in view.known:
        model = view.expected.get(str(item.number))
        if model is None or execution["state"] != "completed":
            continue
        if execution["state_values"] != model.states:
            yield Problem("told", f"{id} has the state {execution['state_values']}, not {model.states}")
        # The store has lines of its own, about failures.
        details = [line["detail"] for line in execution["progress"]]
        said = [detail for detail in details if isinstance(detail, dict) and "soak" in detail]
        if said != model.progress:
            yield Problem("told", f"{id} has the progress {said}, not {model.progress}")


def letters(view: View) -> Iterator[Problem]:
    """What has failed for good has a letter, with what its replay needs; a replay is one, and ends as it should."""
    lettered = Counter(letter["task"]["execution_id"] for letter in view.run.letters)
    for letter in view.run.letters:
        task = letter["task"]
        found = view.tasks.get(task["id"])
        if task["execution_id"] not in view.executions or found is None:
            yield Problem("letters", f"the letter of {task['id']} has lost its execution or its task")
        elif found["state"] != "failed" or found["args"] != task["args"] or not letter["reason"]:
            yield Problem("letters", f"the letter of {task['id']} is not what its task is, or has no reason")
    for item, id, execution in view.known:
        if item.kind not in ("broken", "poison", "fails") or execution["state"] != "failed":
            continue
        forks = view.forks.get(id, [])
        replayed = view.answers.get(f"replay:{item.number}")
        if len(forks) + lettered[id] != 1:
            yield Problem("letters", f"{item.kind} {id} has {lettered[id]} letters and {len(forks)} replays")
        if replayed and replayed["answer"] and replayed["answer"] not in [fork["id"] for fork in forks]:
            yield Problem("letters", f"the replay {replayed['answer']} of {id} was acknowledged, and is not there")
        model = outcome(item.program, item.signals, repaired=True)
        for fork in forks:
            if fork["state"] != "completed" or fork["result"] != model.result:
                yield Problem("letters", f"the replay of {id} is {fork['state']} with {fork['result']}")
            # The first call had its result before the failure.
            first = [task["id"] for task in view.run.tasks[fork["id"]] if task["step_key"] == "double#1"]
            if any(task in view.bodies_of for task in first):
                yield Problem("letters", f"the replay {fork['id']} did again what was recorded")


def compensation(view: View) -> Iterator[Problem]:
    """Whatever is cancelled or runs out of time is followed by its compensation, once."""
    for item, id, execution in view.known:
        wanted = int("on_cancel" in item.options and execution["state"] in ("cancelled", "timed_out"))
        found = view.compensations.get(id, [])
        if len(found) != wanted:
            yield Problem("compensation", f"{item.kind} {id} has {len(found)} compensations")
        for other in found:
            if view.executions[other]["state"] != "completed":
                yield Problem("compensation", f"that of {id} is {view.executions[other]['state']}")


def deadlines(view: View) -> Iterator[Problem]:
    """Nothing runs out of time before its time."""
    for item, id, execution in view.known:
        if execution["state"] == "timed_out" and not view.moved_clocks:
            ended, deadline = (datetime.fromisoformat(execution[name]) for name in ("completed_at", "expiry_at"))
            if ended < deadline:
                yield Problem("deadlines", f"{id} timed out at {ended}, before {deadline}")


def keys(view: View) -> Iterator[Problem]:
    """A key names one execution, whoever comes with it."""
    for item in view.items:
        again = view.answers.get(f"dispatch:{item.number}:again")
        if item.how == "key" and again and again["answer"] != view.id(item):
            yield Problem("keys", f"{item.options} was answered {view.id(item)}, and then {again['answer']}")


def observed(view: View) -> Iterator[Problem]:
    """What was once seen as over, stays so."""
    for item, id, execution in view.known:
        seen = view.answers.get(f"wait:{item.number}")
        if seen and seen["answer"] != {"state": execution["state"], "result": execution["result"]}:
            yield Problem("observed", f"{id} was {seen['answer']}, and is {execution['state']} {execution['result']}")


def outcries(view: View) -> Iterator[Problem]:
    """No process panics."""
    for line in view.run.outcries:
        yield Problem("outcries", line)
