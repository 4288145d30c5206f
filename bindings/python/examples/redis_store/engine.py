"""The engine's other operations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Raw, Struct

import stent

from . import signals, start
from .advance import Transition, Verdict, transition
from .claims import Claim, Claimed, claim
from .ids import child_id
from .operations import operation, unknown
from .rows import (
    NULL,
    TERMINAL,
    Cached,
    Counter,
    DeadLetter,
    Execution,
    ExecutionRecord,
    Progress,
    ProgressRecord,
    Route,
    Signal,
    Task,
    Value,
)
from .transaction import Transaction

STATES = ("pending", "running", "cancelling", *TERMINAL)
TASK_STATES = ("pending", "running", "waiting", "completed", "failed", "cancelled")


@operation
def dispatch(tx: Transaction, executions: list[start.NewExecution]) -> list[str]:
    return [start.execution(tx, new) for new in executions]


class Advanced(Struct):
    verdicts: list[Verdict]
    claimed: list[Claimed]


@operation
def advance(tx: Transaction, transitions: list[Transition], claim_: Claim | None) -> Advanced:
    verdicts: list[Verdict] = []
    last: dict[str, Verdict] = {}
    for said in transitions:
        id = said.held.task_id
        _complete(tx, id, last.get(id))
        last[id] = transition(tx, said)
        verdicts.append(last[id])
    for id, verdict in last.items():
        _complete(tx, id, verdict)
    return Advanced(verdicts, claim(tx, claim_) if claim_ else [])


def _complete(tx: Transaction, id: str, verdict: Verdict | None) -> None:
    """The largest arrival is told as it is when all have spoken, or the task speaks again."""
    task = tx.get(Task, id)
    if isinstance(verdict, dict) and task:
        verdict["recorded"]["latest"] = task.arrivals


class JournalRequest(Struct):
    task_id: str
    after: int


class JournalEntry(Struct):
    op: int
    id: str
    key: str
    name: str
    kind: str
    args: Raw
    kwargs: Raw
    state: str
    result: Raw
    error: Raw
    arrival: int | None
    completed_at: str | None


@operation
def journals(tx: Transaction, requests: list[JournalRequest]) -> list[list[JournalEntry]]:
    return [_journal(tx, request) for request in requests]


def _journal(tx: Transaction, request: JournalRequest) -> list[JournalEntry]:
    children = f"children:{request.task_id}"
    tasks = tx.rows(Task, children, above=f"{request.after:019}~", below="o")
    if not request.after:
        tasks += tx.rows(Task, children, above="o")
    entries = [
        JournalEntry(
            op=task.op,
            id=task.id,
            key=task.step_key or "",
            name=task.step_name,
            kind=task.kind,
            args=task.args,
            kwargs=task.kwargs,
            state=task.state,
            result=task.result,
            error=task.error,
            arrival=task.arrival,
            completed_at=task.completed_at,
        )
        for task in tasks
        if task.op is not None
    ]
    return sorted(entries, key=lambda entry: entry.op)


class Found(Struct):
    value: Raw


@operation
def cached(tx: Transaction, keys: list[str]) -> list[Found | None]:
    rows = tx.get_all(Cached, keys)
    return [Found(row.value) if row and (row.expires_at is None or row.expires_at > tx.now) else None for row in rows]


class NewSignal(Struct):
    execution_id: str
    name: str
    payload: Raw
    id: str | None


@operation
def signal(tx: Transaction, signal: NewSignal) -> None:
    execution = tx.get(Execution, signal.execution_id)
    if execution is None:
        raise unknown("execution", signal.execution_id)
    if not execution.goes_on:
        raise stent.ConflictError(f"signal: execution {execution.id} is {execution.state}; only one that goes on takes signals")
    if signals.is_sent(tx, execution.id, signal.name, signal.id):
        return
    sent = Signal(execution_id=execution.id, name=signal.name, payload=signal.payload, created_at=tx.now, id=signal.id)
    sent.sequence = tx.next_number()
    tx.put(sent)
    signals.hand_out(tx, execution.id, signal.name)


@operation
def ended_among(tx: Transaction, executions: list[str]) -> list[str]:
    return [id for id in executions if (found := tx.get(Execution, id)) is None or found.state in TERMINAL]


@operation
def cancelled_among(tx: Transaction, executions: list[str]) -> list[str]:
    return [id for id in executions if (found := tx.get(Execution, id)) is None or not found.goes_on]


# What the outside sees.


class Snapshot(ExecutionRecord, kw_only=True):
    counters: dict[str, int | float]
    state_values: dict[str, Raw]
    replay_of: str | None
    cancel_reason: str | None


@operation
def snapshot(tx: Transaction, execution_id: str) -> Snapshot | None:
    execution = tx.get(Execution, execution_id)
    if execution is None:
        return None
    fields = {name: getattr(execution, name) for name in ExecutionRecord.__struct_fields__}
    fields["progress"] = _merged(tx, execution_id)
    return Snapshot(
        **fields,
        counters={row.name: row.value for row in tx.rows(Counter, f"counters-of:{execution_id}")},
        state_values={row.name: row.value for row in tx.rows(Value, f"values-of:{execution_id}")},
        replay_of=execution.replay_of,
        cancel_reason=execution.cancel_reason,
    )


def _merged(tx: Transaction, execution_id: str) -> list[ProgressRecord]:
    """A line for each task, and what handlers said, in order of time; what was said keeps its own order."""
    lines = [_line(task) for task in tx.rows(Task, f"tasks-of:{execution_id}")]
    lines.sort(key=lambda line: line[0], reverse=True)
    merged: list[ProgressRecord] = []
    for row in tx.rows(Progress, f"progress-of:{execution_id}"):
        time = row.entry.started_at or row.entry.completed_at
        while time and lines and lines[-1][0] <= time:
            merged.append(lines.pop()[1])
        merged.append(row.entry)
    return merged + [line for _, line in reversed(lines)]


def _line(task: Task) -> tuple[str, ProgressRecord]:
    status, detail = "dispatched", NULL
    if task.state == "completed":
        status = "cache_hit" if task.cache_hit else "completed"
    elif task.state in ("failed", "cancelled"):
        status, detail = "failed", task.error if task.state == "failed" else Raw(b'"cancelled"')
    elif task.state == "running" or task.started_at:
        status = "running"
    return task.started_at or task.created_at, ProgressRecord(task.step_name, status, task.started_at, task.completed_at, detail)


class ExecutionFilter(Struct):
    state: str | None = None
    function: str | None = None
    queue: str | None = None
    tag: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    limit: int = 50
    offset: int = 0

    def admits(self, row: Execution) -> bool:
        return (
            self.function in (None, row.root_function)
            and self.queue in (None, row.queue)
            and (self.tag is None or self.tag in row.tags)
        )


# `list` and `stats` are names of operations.
@operation
def list_(tx: Transaction, filter: ExecutionFilter) -> list[ExecutionRecord]:
    index = "executions" if filter.state is None else f"executions:{filter.state}"
    above = f"{filter.created_after}~" if filter.created_after else ""
    rows = [row for row in tx.rows(Execution, index, above, filter.created_before) if filter.admits(row)]
    return [plain(row) for row in rows[::-1][filter.offset : filter.offset + filter.limit]]


def plain(row: Execution) -> ExecutionRecord:
    """The record of a list, without progress."""
    return ExecutionRecord(**{name: getattr(row, name) for name in ExecutionRecord.__struct_fields__})


class DeadLetterFilter(Struct):
    task_id: str | None = None
    execution_id: str | None = None
    function: str | None = None
    limit: int = 50
    offset: int = 0

    def admits(self, row: DeadLetter) -> bool:
        return self.execution_id in (None, row.task.execution_id) and self.function in (None, row.task.step_name)


@operation
def dead_letters(tx: Transaction, filter: DeadLetterFilter) -> list[DeadLetter]:
    rows = tx.get_all(DeadLetter, [filter.task_id]) if filter.task_id else tx.rows(DeadLetter, "letters")[::-1]
    return [row for row in rows if row and filter.admits(row)][filter.offset : filter.offset + filter.limit]


class Depth(Struct):
    queue: str | None
    function: str
    count: int
    oldest: float


@operation
def stats(tx: Transaction) -> dict[str, Any]:
    return {
        "executions": {state: count for state in STATES if (count := tx.count(f"executions:{state}"))},
        "tasks": {state: count for state in TASK_STATES if (count := tx.count(f"tasks:{state}"))},
        "ready": _depths(tx),
        "scheduled": tx.count("scheduled"),
        "dead_letters": tx.count("letters"),
        "parked": tx.count("parked"),
        "workers": tx.count("workers"),
    }


def _depths(tx: Transaction) -> list[Depth]:
    now = datetime.fromisoformat(tx.now)
    depths: dict[tuple[str, str], Depth] = {}
    for route in tx.rows(Route, "routes"):
        count = tx.count(f"depth:{route.name}")
        if not count:
            continue
        created = next(tx.walk(f"depth:{route.name}")).split("\t")[0]
        age = max(0.0, (now - datetime.fromisoformat(created)).total_seconds())
        depth = depths.setdefault((route.queue or "", route.function), Depth(route.queue, route.function, 0, 0.0))
        depth.count += count
        depth.oldest = max(depth.oldest, age)
    return [depths[key] for key in sorted(depths)]


class Replayed(Struct):
    execution_id: str
    replay_of: str


@operation
def replay_dead_letter(tx: Transaction, task_id: str, new_execution_id: str) -> Replayed:
    """A new execution with the journal up to the failure: the path from the letter to the root runs again, and what was
    recorded beside it is copied."""
    letter, task = tx.get(DeadLetter, task_id), tx.get(Task, task_id)
    if letter is None:
        raise stent.NotFoundError(f"replay: there is no dead letter of task {task_id}")
    old = tx.get(Execution, letter.task.execution_id)
    if task is None or old is None:
        raise stent.NotFoundError(f"replay: task {task_id} and its execution were cleaned up; dispatch anew")
    if task.kind not in ("orchestrator", "activity"):
        raise stent.ConflictError(
            f"replay: {task_id} is a {task.kind} of task {task.parent_task_id}, and no worker runs it by itself;"
            " replay that task's dead letter, or dispatch the workflow anew"
        )
    tx.drop(letter)
    new = plain(old)
    created = tx.next_time()
    fork = Execution(**{name: getattr(new, name) for name in ExecutionRecord.__struct_fields__})
    fork.id, fork.state, fork.created_at, fork.replay_of = new_execution_id, "pending", created, old.id
    fork.result = fork.error = NULL
    fork.started_at = fork.completed_at = None
    fork.retries = 0
    fork.on_cancel, fork.traceparent, fork.root = old.on_cancel, old.traceparent, child_id(new_execution_id, 0, "root")
    if old.expiry_at:
        given = datetime.fromisoformat(old.expiry_at) - datetime.fromisoformat(old.created_at)
        fork.expiry_at = tx.after(given.total_seconds())
    tx.put(fork)
    path = [task]
    while path[-1].parent_task_id and (parent := tx.get(Task, path[-1].parent_task_id)):
        path.append(parent)
    _copy(tx, path[-1], fork, fork.root, None, [task.id for task in path])
    _copy_belongings(tx, old.id, fork.id)
    return Replayed(fork.id, old.id)


def _copy(tx: Transaction, old: Task, fork: Execution, id: str, parent: str | None, path: list[str]) -> None:
    again = old.id in path
    new = Task(
        id=id,
        execution_id=fork.id,
        parent_task_id=parent,
        step_name=old.step_name,
        step_key=old.step_key,
        kind=old.kind,
        state="pending" if again else old.state,
        created_at=tx.next_time(),
        route=old.route,
        lane=old.route if again else None,
        effects=old.effects,
        op=old.op,
        **{name: getattr(old, name) for name in COPIED},
    )
    if not again:
        for name in RECORDED:
            setattr(new, name, getattr(old, name))
        tx.put(new)
        return
    new.ops = old.ops
    tx.hint_work()
    children = tx.rows(Task, f"children:{old.id}")
    failed_at = next((child.arrival for child in children if child.id in path), None)
    opened = (old.opened, *(child.op for child in children if child.id in path))
    new.opened = min((op for op in opened if op is not None), default=None)
    for child in children:
        if child.id in path or _is_kept(child, failed_at):
            _copy(tx, child, fork, child_id(id, 0, child.step_key or ""), id, path)
            new.arrivals = max(new.arrivals, 0 if child.id in path else child.arrival or 0)
    tx.put(new)


COPIED = ("priority", "timeout", "queue", "tags", "retry_policy", "args", "kwargs", "cache_key", "cache_ttl", "cleanup")
RECORDED = ("arrival", "started_at", "completed_at", "retries", "result", "error")


def _is_kept(child: Task, failed_at: int | None) -> bool:
    """Completed work is never done twice. Other ends are kept if the handler saw them before the failure."""
    if not child.arrival:
        return False
    if child.state == "completed":
        return True
    return child.state in ("failed", "cancelled") and (failed_at is None or child.arrival < failed_at)


def _copy_belongings(tx: Transaction, old: str, new: str) -> None:
    for signal in tx.rows(Signal, f"signals-of:{old}"):
        if not signal.consumed:
            copy = Signal(execution_id=new, name=signal.name, payload=signal.payload, created_at=signal.created_at, id=signal.id)
            copy.sequence = tx.next_number()
            tx.put(copy)
    for counter in tx.rows(Counter, f"counters-of:{old}"):
        tx.put(Counter(execution_id=new, name=counter.name, value=counter.value))
    for value in tx.rows(Value, f"values-of:{old}"):
        tx.put(Value(execution_id=new, name=value.name, value=value.value))
    for line in tx.rows(Progress, f"progress-of:{old}"):
        tx.put(Progress(execution_id=new, number=tx.next_number(), entry=line.entry))
