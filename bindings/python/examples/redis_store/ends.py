"""The one way to end, and what follows from an end: its delivery, the wake-up, the end of the execution and of what is
unfinished below, the handing on of an idempotency key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Raw, Struct

from .failures import Failure, raw
from .rows import (
    GOING,
    NULL,
    TERMINAL,
    Cached,
    DeadLetter,
    Execution,
    Function,
    Reservation,
    Task,
    TaskRecord,
    Unfinished,
    Worker,
)
from .transaction import Transaction

FIRST_CALL = 0.025
"""So long the worker that suspended a task is the only one that may take it: it has the journal in memory."""

TREE_BATCH = 1000
"""So many tasks are cancelled in one transaction, for which others wait."""


class Ending(Struct):
    state: Literal["completed", "failed", "cancelled"]
    result: Raw = NULL
    error: Raw = NULL


CANCELLED = Ending("cancelled")


def completed(result: Raw) -> Ending:
    return Ending("completed", result=result)


def failed(failure: Failure) -> Ending:
    return Ending("failed", error=raw(failure))


def record(task: Task) -> TaskRecord:
    return TaskRecord(**{name: getattr(task, name) for name in TaskRecord.__struct_fields__})


def finish(
    tx: Transaction,
    task: Task,
    ending: Ending,
    *,
    keeps_fence: bool = False,
    letter: str | None = None,
    cache: tuple[str, float | None] | None = None,
    cache_hit: bool = False,
) -> bool:
    """Ends a task, whatever it does. False: it is over already."""
    if task.state in TERMINAL:
        return False
    parent = tx.get(Task, task.parent_task_id) if task.parent_task_id else None
    if parent:
        parent.arrivals += 1
        task.arrival = parent.arrivals
    has_cleaned_up = task.cleanup is not None and _is_ending(tx, task)
    task.state, task.result, task.error = ending.state, ending.result, ending.error
    if has_cleaned_up:
        # Whatever it says: what it comes to is no result of the call.
        task.state = "cancelled"
    task.completed_at = tx.now
    task.fence += 0 if keeps_fence else 1
    task.lane = task.due_at = task.lease_expires_at = task.joins = task.parked_version = task.awaits = None
    task.cache_hit, task.parked, task.heartbeat = cache_hit, False, NULL
    tx.put(task)
    if parent:
        tx.put(parent)
        deliver(tx, parent, task)
    if _is_limited(tx, task):
        tx.hint_work()
    cancel_below(tx, task)
    if not parent and task.kind == "orchestrator":
        _end_execution(tx, task, ending)
    if letter is not None:
        tx.put(DeadLetter(task=record(task), reason=letter, moved_at=tx.now))
    if cache and ending.state == "completed":
        name, ttl = cache
        tx.put(Cached(name=name, value=ending.result, expires_at=None if ttl is None else tx.after(ttl)))
    if task.idempotency_key is not None:
        _hand_on(tx, task, ending)
    return True


def deliver(tx: Transaction, parent: Task, child: Task) -> None:
    """The end of an operation has its number: the wait that counts on it is one nearer to its end."""
    if child.op is None:
        return
    tx.hint("arrived", parent.id)
    if parent.awaits is None or not _is_in(child.op, parent.awaits):
        return
    parent.missing -= 1
    tx.put(parent)
    if parent.awaits_any or parent.missing <= 0:
        wake(tx, parent)


def suspend(tx: Transaction, task: Task, mode: str, ops: str, known: int) -> None:
    """From now on it waits; what has come that it did not know of counts at once."""
    task.awaits, task.awaits_any = ops, mode == "any"
    task.missing = sum(last - first + 1 for first, last in _ranges(ops))
    tx.put(task)
    if not task.missing:
        wake(tx, task)
    for child in tx.rows(Task, f"children:{task.id}", above=f"{known:019}~", below="o"):
        if task.awaits is not None:
            deliver(tx, task, child)


def wake(tx: Transaction, task: Task) -> None:
    """Its wait is over: it may be claimed, first by the worker that suspended it."""
    task.awaits = None
    if task.state == "waiting" and not task.parked and not task.joins:
        worker = tx.get(Worker, task.worker_id) if task.worker_id else None
        make_ready(tx, task, None if _is_limited(tx, task) else worker)
    tx.put(task)


def make_ready(tx: Transaction, task: Task, worker: Worker | None = None) -> None:
    """Pending, for everybody, or for a while for one worker alone."""
    is_reserved = worker is not None and worker.number is not None and tx.count("workers") > 1
    task.state = "pending"
    task.lane = worker.lane if worker and is_reserved else task.route
    task.due_at = tx.after(FIRST_CALL) if is_reserved else None
    tx.put(task)
    tx.hint_work()
    if task.due_at:
        tx.hint_due(task.due_at)


def _ranges(ops: str) -> list[tuple[int, int]]:
    pairs = [part.split("-") for part in ops.split(",") if part]
    return [(int(pair[0]), int(pair[-1])) for pair in pairs]


def _is_in(op: int, ops: str) -> bool:
    return any(first <= op <= last for first, last in _ranges(ops))


def _is_limited(tx: Transaction, task: Task) -> bool:
    function = tx.get(Function, task.step_name)
    return function is not None and function.options.max_concurrent is not None


def _is_ending(tx: Transaction, root: Task) -> bool:
    execution = tx.get(Execution, root.execution_id)
    return execution is not None and execution.ending is not None


def _end_execution(tx: Transaction, root: Task, ending: Ending) -> None:
    """It ends as its root did; one that is being cancelled, or has cleaned up, ends when nobody holds a lease in it."""
    execution = tx.get(Execution, root.execution_id)
    if execution and execution.cleans_up:
        execution.cleans_up = False
        execution.result, execution.error, execution.retries = ending.result, ending.error, root.retries
        tx.put(execution)
        # Whoever does not close it leaves that to a sweep.
        tx.hint_due(tx.now)
    elif execution and execution.state in GOING:
        execution.state, execution.result, execution.error = ending.state, ending.result, ending.error
        execution.retries, execution.completed_at = root.retries, tx.now
        tx.put(execution)
        tx.hint("ended", execution.id)


# Trees.


def cancel_below(tx: Transaction, task: Task, room: float = TREE_BATCH) -> None:
    """Cancels what is unfinished below a task; of a large tree a part, and the rest is swept later. In an execution that is
    being cancelled, what runs keeps its lease until its handler returns."""
    execution = tx.get(Execution, task.execution_id)
    keeps_running = execution is not None and execution.state == "cancelling" and not execution.cleans_up
    rest = [task.id]
    while rest:
        parent = rest.pop()
        for child in _unfinished(tx, parent):
            if room <= 0:
                for id in (parent, *rest):
                    tx.put(Unfinished(task_id=id, execution_id=task.execution_id))
                tx.hint_due(tx.now)
                return
            if child.ops:
                rest.append(child.id)
            if child.state != "running" or not keeps_running:
                _cancel(tx, child)
                room -= 1


def _unfinished(tx: Transaction, parent: str) -> Iterator[Task]:
    ids = tx.find(f"children:{parent}", above="o")
    for some in (ids[at : at + TREE_BATCH] for at in range(0, len(ids), TREE_BATCH)):
        yield from (task for task in tx.get_all(Task, some) if task and task.state not in TERMINAL)


def _cancel(tx: Transaction, task: Task) -> None:
    if task.worker_id:
        tx.hint("lost", task.id)
    task.state, task.arrival, task.completed_at = "cancelled", 0, tx.now
    task.fence += 1
    task.lane = task.due_at = task.lease_expires_at = task.joins = task.awaits = None
    task.parked = False
    tx.put(task)
    if task.idempotency_key is not None:
        _release(tx, task)


# Idempotency keys.


def _joiners(tx: Transaction, owner: Task) -> list[Task]:
    return tx.rows(Task, f"joining:{owner.id}")


def _hand_on(tx: Transaction, owner: Task, ending: Ending) -> None:
    """Those who joined it get its result; or the first of them runs instead."""
    if owner.state != "completed":
        _release(tx, owner)
        return
    for joiner in _joiners(tx, owner):
        finish(tx, joiner, ending)


def _release(tx: Transaction, owner: Task) -> None:
    joiners = _joiners(tx, owner)
    if not joiners:
        return
    heir, *others = joiners
    reservation = tx.get(Reservation, f"{owner.step_name}/{owner.idempotency_key}")
    if reservation and reservation.owner == owner.id:
        reservation.owner = heir.id
        tx.put(reservation)
    heir.joins = None
    make_ready(tx, heir)
    for other in others:
        other.joins = heir.id
        tx.put(other)
