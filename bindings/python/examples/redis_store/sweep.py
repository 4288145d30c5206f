"""What time brings, and cancelling, which any worker goes on with: in bounded batches."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from msgspec import Struct

import stent

from . import cancelling, ends
from .advance import try_again
from .claims import forget_worker
from .failures import Failure, after_death, after_failure, policy_of, raw
from .operations import operation, unknown
from .rows import NULL, RUN_BY_WORKERS, TERMINAL, Execution, Task, Unfinished, Worker
from .transaction import Transaction, key_of

BATCH = 500
"""So many of a kind in one transaction: others wait for it."""

TREES = 2


class Swept(Struct):
    changed: int
    more: bool
    next_due: float | None


@operation
def sweep(tx: Transaction, worker_id: str) -> Swept:
    counts = [_fire(tx), _recover(tx), _expire(tx), _cut(tx), _cancel_trees(tx), _close(tx), _unpark(tx, worker_id)]
    more = max(counts) >= BATCH or tx.count("unfinished") > 0
    return Swept(sum(counts), more, _next_due(tx))


def _due(tx: Transaction, index: str) -> list[str]:
    return [key_of(member) for member in islice(tx.walk(index, below=f"{tx.now}~"), BATCH)]


def _next_due(tx: Transaction) -> float | None:
    times = [next(tx.walk(index), "").split("\t")[0] for index in ("due", "expiring", "cleaning", "leases")]
    first = min((time for time in times if time), default=None)
    if first is None:
        return None
    return max(0.0, (datetime.fromisoformat(first) - datetime.fromisoformat(tx.now)).total_seconds())


def _fire(tx: Transaction) -> int:
    """Delays, timers, time-outs of waits and of attempts, the end of a worker's first call."""
    due = _due(tx, "due")
    for task in tx.get_all(Task, due):
        if task is None or task.due_at is None:
            continue
        if task.kind == "timer":
            ends.finish(tx, task, ends.completed(NULL))
        elif task.kind == "signal":
            ends.finish(tx, task, ends.failed(Failure("SignalTimeout", f"no signal '{task.step_name}' came in time")))
        elif task.kind in RUN_BY_WORKERS and task.state == "pending":
            ends.make_ready(tx, task)
        elif task.kind in RUN_BY_WORKERS and task.state == "waiting":
            failure = Failure("Timeout", "the attempt took longer than the function's timeout, waits included")
            task.retries += 1
            since_first = tx.since(task.first_started_at or task.started_at)
            _charge(tx, task, failure, after_failure(policy_of(tx, task), task.retries, since_first, failure))
        else:
            task.due_at = None
            tx.put(task)
    return len(due)


def _charge(tx: Transaction, task: Task, failure: Failure, decided: float | str) -> None:
    """Tried again under a new fence, or given up."""
    if isinstance(decided, str):
        ends.finish(tx, task, ends.failed(failure), letter=decided)
        return
    task.fence += 1
    task.error, task.awaits = raw(failure), None
    tx.hint("lost", task.id)
    try_again(tx, task, decided)


def _recover(tx: Transaction) -> int:
    """Tasks whose worker let the lease end without a word."""
    ended = [key_of(member) for member in islice(tx.walk("leases", below=tx.now), BATCH)]
    for task in tx.get_all(Task, ended):
        if task is None or task.state != "running":
            continue
        worker = tx.get(Worker, task.worker_id) if task.worker_id else None
        if worker and worker.number is not None:
            forget_worker(tx, worker)
        execution = tx.get(Execution, task.execution_id)
        # In one that is over nobody would take it up again.
        if execution and not execution.goes_on:
            cancelling.stop(tx, task)
            cancelling.close(tx, execution)
            continue
        failure = Failure("WorkerDied", f"worker {task.worker_id} let its lease end without a word")
        known = task.error if task.begun is None else raw(failure)
        first = task.first_started_at if task.begun is None else task.first_started_at or task.started_at
        _charge(tx, task, failure, after_death(policy_of(tx, task), task))
        if task.state == "pending":
            task.error, task.first_started_at = known, first
            tx.put(task)
    return len(ended)


def _expire(tx: Transaction) -> int:
    expired = _due(tx, "expiring")
    for execution in tx.get_all(Execution, expired):
        if execution and execution.state not in TERMINAL:
            cancelling.begin(tx, execution, "timed_out", "it took longer than it was given")
    return len(expired)


def _cut(tx: Transaction) -> int:
    """Cleanups that have taken their time."""
    over = _due(tx, "cleaning")
    for execution in tx.get_all(Execution, over):
        if execution and execution.cleans_up:
            execution.cleans_up = False
            tx.put(execution)
            tx.hint("cancelling", execution.id)
            cancelling.go_on(tx, execution)
    return len(over)


def _cancel_trees(tx: Transaction) -> int:
    """Large trees go on being cancelled."""
    unfinished = [row for row in tx.get_all(Unfinished, list(islice(tx.find("unfinished"), TREES))) if row]
    for row in unfinished:
        tx.drop(row)
    for task in tx.get_all(Task, [row.task_id for row in unfinished]):
        if task:
            ends.cancel_below(tx, task, ends.TREE_BATCH / TREES)
    return len(unfinished)


def _close(tx: Transaction) -> int:
    """Executions that are being cancelled, by a tool or before a crash, and in which nothing runs."""
    count = 0
    for id in islice(tx.find("cancelling"), BATCH):
        execution = tx.get(Execution, id)
        if execution and not any(tx.count(f"{index}:{id}") for index in ("leases-of", "unfinished-of")):
            cancelling.go_on(tx, execution)
            count += 1
    return count


def _unpark(tx: Transaction, worker_id: str) -> int:
    """Parked tasks go to a worker that has another version of their function."""
    worker = tx.get(Worker, worker_id)
    count = 0
    for function in worker.functions if worker and worker.number is not None else []:
        for task in tx.rows(Task, f"parked:{function.name}"):
            if task.parked_version != function.options.version:
                _resume(tx, task, worker if function.options.max_concurrent is None else None)
                count += 1
    return count


def _resume(tx: Transaction, task: Task, worker: Worker | None) -> None:
    task.parked, task.parked_version, task.error = False, None, NULL
    ends.make_ready(tx, task, worker)


@operation
def resume(tx: Transaction, task_id: str) -> None:
    task = tx.get(Task, task_id)
    if task is None:
        raise stent.NotFoundError(f"resume: there is no task {task_id}")
    if task.state != "waiting" or not task.parked:
        raise stent.ConflictError(f"resume: task {task_id} is {task.state} and not parked; only a parked task is resumed")
    _resume(tx, task, None)


@operation
def cancel(tx: Transaction, execution_id: str, reason: str | None) -> None:
    execution = tx.get(Execution, execution_id)
    if execution is None:
        raise unknown("execution", execution_id)
    if execution.state in TERMINAL:
        raise stent.ConflictError(f"cancel: execution {execution_id} is {execution.state} already")
    if execution.state != "cancelling":
        cancelling.begin(tx, execution, "cancelled", reason)
