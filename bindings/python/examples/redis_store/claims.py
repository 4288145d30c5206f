"""Who takes what: claims of the engine and of the protocol, and leases."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

from msgspec import Raw, Struct

import stent

from . import ends
from .advance import CacheSlot, Held
from .operations import operation
from .rows import Execution, Route, Task, TaskRecord, Worker
from .start import function_options
from .transaction import Transaction, after, key_of


class Claim(Struct):
    worker_id: str
    count: int
    limited: int
    begin: int
    slots: int
    lease: float


class Claimed(Struct):
    task: TaskRecord
    run: int
    ops: int
    effects: int
    heartbeat: Raw
    crashes: int
    deaths: int
    snoozes: int
    first_started_at: str | None
    begun: int | None
    company: int | None
    opened: int | None
    deadline: str | None
    cache: CacheSlot | None
    traceparent: str | None
    cleanup: int | None
    claimed_at: str


def claim(tx: Transaction, asked: Claim) -> list[Claimed]:
    worker = tx.get(Worker, asked.worker_id)
    if worker is None:
        raise stent.NotFoundError(f"claim: worker {asked.worker_id} is not registered; register it first")
    free = [worker.lane] if worker.number is not None else []
    limited: list[tuple[str, int, list[str]]] = []
    for function in worker.functions:
        routes = tx.rows(Route, f"routes:{function.name}")
        lanes = [route.name for route in routes if route.admits(worker.queues, worker.tags)]
        most = function_options(tx, function.name).max_concurrent
        if most is None:
            free += lanes
        else:
            limited.append((function.name, most, lanes))
    taken: list[Task] = []
    for lanes, count in _shares(tx, asked, limited, free):
        taken += _take(tx, asked, lanes, count, begin=count)
    taken += _take(tx, asked, free, asked.count, begin=asked.begin - len(taken))
    return [_claimed(tx, task) for task in sorted(taken, key=_order)]


def _shares(
    tx: Transaction, asked: Claim, limited: list[tuple[str, int, list[str]]], free: list[str]
) -> list[tuple[list[str], int]]:
    """How many of each limited function are among the best of all for which there are slots."""
    room = [most - tx.count(f"running:{name}", above=tx.now) for name, most, _ in limited]
    offers: list[tuple[Task, int | None]]
    offers = [(task, place) for place, (_, _, lanes) in enumerate(limited) for task in _best(tx, lanes, asked.limited)]
    offers += [(task, None) for task in _best(tx, free, min(asked.limited, asked.count))]
    shares, left = [0] * len(limited), asked.limited
    for _, place in sorted(offers, key=lambda offer: _order(offer[0])):
        if left == 0:
            break
        if place is not None:
            if shares[place] >= room[place]:
                # What may not run takes no slot.
                continue
            shares[place] += 1
        left -= 1
    return [(lanes, count) for (_, _, lanes), count in zip(limited, shares, strict=True) if count > 0]


def _best(tx: Transaction, lanes: list[str], count: int) -> list[Task]:
    return list(itertools.islice(_beginning(tx, lanes), count))


def _beginning(tx: Transaction, lanes: list[str]) -> Iterator[Task]:
    """Best first, of executions of which something may begin."""
    for task in _ready(tx, lanes):
        execution = tx.get(Execution, task.execution_id)
        if execution and execution.admits(tx.now):
            yield task


def _ready(tx: Transaction, lanes: list[str]) -> Iterator[Task]:
    """Best first, of executions that go on."""
    for member in heapq.merge(*(tx.walk(f"ready:{lane}") for lane in lanes)):
        task = tx.get(Task, key_of(member))
        execution = tx.get(Execution, task.execution_id) if task else None
        if task and (execution is None or execution.goes_on):
            yield task


def _take(tx: Transaction, asked: Claim, lanes: list[str], count: int, begin: int) -> list[Task]:
    """The best of them begin at once."""
    taken = list(itertools.islice(_beginning(tx, lanes), count))
    for place, task in enumerate(taken):
        # A suspect begins when its worker has said so, unless no more run there than may.
        may_begin = task.company is None or task.company >= asked.slots
        task.begun = asked.slots if place < begin and may_begin else None
        if task.ops == 0:
            # An attempt without a journal is heard in full.
            task.effects = 0
        task.deadline = task.deadline or (None if task.timeout is None else tx.after(task.timeout))
        hold(tx, task, asked.worker_id, tx.now, asked.lease)
    return taken


def hold(tx: Transaction, task: Task, worker_id: str, now: str, lease: float) -> None:
    task.state, task.worker_id = "running", worker_id
    task.fence += 1
    task.lane = task.due_at = None
    task.started_at = task.started_at or now
    task.lease_expires_at = after(now, lease)
    tx.put(task)
    tx.hint_due(task.lease_expires_at)
    execution = tx.get(Execution, task.execution_id)
    if execution and execution.state == "pending":
        execution.state, execution.started_at = "running", execution.started_at or now
        tx.put(execution)


def _claimed(tx: Transaction, task: Task) -> Claimed:
    execution = tx.get(Execution, task.execution_id)
    return Claimed(
        task=ends.record(task),
        run=task.run,
        ops=task.ops,
        effects=task.effects,
        heartbeat=task.heartbeat,
        crashes=task.crashes,
        deaths=task.deaths,
        snoozes=task.snoozes,
        first_started_at=task.first_started_at or task.started_at,
        begun=task.begun,
        company=task.company,
        opened=task.opened,
        deadline=task.deadline,
        cache=CacheSlot(task.cache_key, task.cache_ttl) if task.cache_key else None,
        traceparent=execution.traceparent if execution else None,
        cleanup=task.cleanup,
        claimed_at=tx.now,
    )


class Renew(Struct):
    worker_id: str
    held: list[Held]
    lease: float


class Renewed(Struct):
    lost: list[str]
    cancelled: list[str]


@operation
def renew(tx: Transaction, renew: Renew) -> Renewed:
    answer = Renewed([], [])
    tasks = tx.get_all(Task, [held.task_id for held in renew.held])
    for held, task in zip(renew.held, tasks, strict=True):
        if task is None or task.fence != held.fence or task.state != "running":
            answer.lost.append(held.task_id)
            continue
        task.lease_expires_at = tx.after(renew.lease)
        tx.put(task)
        execution = tx.get(Execution, task.execution_id)
        if execution is None or not execution.goes_on:
            answer.cancelled.append(held.task_id)
    worker = tx.get(Worker, renew.worker_id)
    if worker and worker.number is None:
        # It was taken for dead, and lives.
        worker.number = tx.next_number()
        tx.put(worker)
    return answer


@operation
def register_worker(tx: Transaction, worker: Worker) -> None:
    for function in worker.functions:
        tx.put(function)
        if function.options.max_concurrent is not None:
            # What was woken for one worker alone is counted from now on.
            for task in tx.rows(Task, f"woken:{function.name}"):
                task.lane, task.due_at = task.route, None
                tx.put(task)
    known = tx.get(Worker, worker.worker_id)
    worker.number = known.number if known and known.number is not None else tx.next_number()
    tx.put(worker)
    tx.hint_work()


def forget_worker(tx: Transaction, worker: Worker) -> None:
    """What waited for it alone goes to everyone; whoever is called by its name again is another."""
    for task in tx.rows(Task, f"ready:{worker.lane}"):
        task.lane, task.due_at = task.route, None
        tx.put(task)
    worker.number = None
    tx.put(worker)
    tx.hint_work()


@operation
def remove_worker(tx: Transaction, worker_id: str) -> None:
    worker = tx.get(Worker, worker_id)
    if worker:
        forget_worker(tx, worker)
        tx.drop(worker)


# The protocol's.


@operation
def claim_next_task(
    tx: Transaction,
    worker_id: str,
    queues: list[str] | None,
    tags: list[str] | None,
    now: str | None,
    lease_duration: float,
    concurrency_limits: dict[str, int],
) -> TaskRecord | None:
    at = now or tx.now
    for task in tx.rows(Task, "due", below=f"{at}~"):
        if task.state == "pending" and task.route:
            task.lane, task.due_at = task.route, None
            tx.put(task)
    routes = [route for route in tx.rows(Route, "routes") if route.admits(queues or [], tags or [])]
    names = {route.name for route in routes if _has_room(tx, route.function, concurrency_limits, at)}
    worker = tx.get(Worker, worker_id)
    own = [worker.lane] if worker and worker.number is not None else []
    best = None
    ready = (task for task in _ready(tx, [*names, *own]) if task.route in names and (task.scheduled_for or "") <= at)
    ended = (task for task in tx.rows(Task, "leases", below=at) if task.route in names and _goes_on(tx, task))
    for task in [*list(_first(ready)), *ended]:
        if best is None or _order(task) < _order(best):
            best = task
    if best is None:
        return None
    # Whoever held it before died without a word. It runs at once, and nobody knows what runs beside it.
    if best.state == "running":
        best.crashes += 1
        best.deaths += 1
        # A time-out is an attempt's: one that was suspended goes on, one whose holder died begins anew.
        best.deadline = None
    best.begun = 1
    best.deadline = best.deadline or (None if best.timeout is None else after(at, best.timeout))
    hold(tx, best, worker_id, at, lease_duration)
    return ends.record(best)


def _first(tasks: Iterator[Task]) -> list[Task]:
    task = next(tasks, None)
    return [task] if task else []


def _order(task: Task) -> tuple[int, str, str]:
    return (-task.priority, task.created_at, task.id)


def _goes_on(tx: Transaction, task: Task) -> bool:
    execution = tx.get(Execution, task.execution_id)
    return execution is None or execution.goes_on


def _has_room(tx: Transaction, function: str, limits: dict[str, int], now: str) -> bool:
    asked = (function_options(tx, function).max_concurrent, limits.get(function))
    most = [limit for limit in asked if limit is not None]
    return not most or tx.count(f"running:{function}", above=now) < min(most)


@operation
def renew_task_lease(tx: Transaction, task_id: str, worker_id: str, lease_duration: float) -> bool:
    task = tx.get(Task, task_id)
    if task is None or task.state != "running" or task.worker_id != worker_id:
        return False
    task.lease_expires_at = tx.after(lease_duration)
    tx.put(task)
    return True


