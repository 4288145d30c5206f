"""The protocol's operations, but for its claim."""

from __future__ import annotations

from msgspec import Raw

import stent

from . import ends, signals, start
from .advance import add
from .engine import STATES, TASK_STATES, plain
from .operations import operation, unknown
from .rows import (
    RUN_BY_WORKERS,
    TERMINAL,
    Cached,
    Counter,
    DeadLetter,
    Execution,
    ExecutionRecord,
    Progress,
    ProgressRecord,
    Reservation,
    Row,
    Signal,
    SignalRecord,
    Task,
    TaskRecord,
    Unfinished,
    Value,
)
from .transaction import Transaction


@operation
def init_db(tx: Transaction) -> None:
    """There is no schema to make."""


# Executions.


def _known(tx: Transaction, id: str) -> Execution:
    found = tx.get(Execution, id)
    if found is None:
        raise unknown("execution", id)
    return found


def _insert_execution(tx: Transaction, record: ExecutionRecord, root: str | None = None) -> None:
    if tx.get(Execution, record.id):
        raise stent.ConflictError(f"there is an execution {record.id} already; give it an id of its own")
    made = Execution(**{name: getattr(record, name) for name in ExecutionRecord.__struct_fields__})
    made.progress, made.root = [], root
    _date(tx, made)
    tx.put(made)
    for early in tx.rows(Task, f"tasks-of:{record.id}"):
        early.stray = False
        tx.put(early)
        tx.hint_work()
    for entry in record.progress:
        tx.put(Progress(execution_id=record.id, number=tx.next_number(), entry=entry))


def _date(tx: Transaction, row: Task | Execution) -> None:
    """Each that is over has a time of its end, and no other one, whatever a tool has written."""
    row.completed_at = (row.completed_at or tx.now) if row.state in TERMINAL else None


@operation
def create_execution(tx: Transaction, execution: ExecutionRecord) -> None:
    _insert_execution(tx, execution)


@operation
def create_execution_with_root_task(tx: Transaction, execution: ExecutionRecord, task: TaskRecord) -> None:
    _insert_execution(tx, execution, task.id)
    _insert_task(tx, task)


@operation
def get_execution(tx: Transaction, execution_id: str) -> ExecutionRecord | None:
    found = tx.get(Execution, execution_id)
    if found is None:
        return None
    record = plain(found)
    record.progress = [row.entry for row in tx.rows(Progress, f"progress-of:{execution_id}")]
    return record


KEPT = ("id", "root_function", "created_at", "progress")


@operation
def update_execution(tx: Transaction, execution: ExecutionRecord) -> None:
    found = _known(tx, execution.id)
    if found.state in TERMINAL:
        _same_end(found, execution)
        return
    for name in ExecutionRecord.__struct_fields__:
        if name not in KEPT:
            setattr(found, name, getattr(execution, name))
    _date(tx, found)
    if found.state == "cancelling":
        # The record is what was written, until the next sweep takes the tree.
        found.ending = found.ending or "cancelled"
        tx.hint("cancelling", found.id)
    else:
        found.ending, found.cleans_up = None, False
    tx.put(found)
    if found.state in TERMINAL:
        tx.hint("ended", found.id)
        root = tx.get(Task, found.root) if found.root else None
        if root:
            ends.finish(tx, root, ends.CANCELLED)


def _same_end(found: Task | Execution, asked: TaskRecord | ExecutionRecord) -> None:
    """The same end again may be the repetition of a call whose answer was lost; another one would rewrite history."""
    if (found.state, bytes(found.result), bytes(found.error)) != (asked.state, bytes(asked.result), bytes(asked.error)):
        raise stent.ConflictError(f"{found.id} is {found.state} already, and an end never changes")


@operation
def list_executions(tx: Transaction, limit: int, offset: int, state: str | None) -> list[ExecutionRecord]:
    index = "executions" if state is None else f"executions:{state}"
    return [plain(row) for row in tx.get_all(Execution, tx.newest(index, offset, limit)) if row]


@operation
def count_executions(tx: Transaction, state: str | None) -> int:
    return sum(tx.count(f"executions:{each}") for each in STATES if state in (None, each))


@operation
def append_progress(tx: Transaction, execution_id: str, progress: ProgressRecord) -> None:
    _known(tx, execution_id)
    tx.put(Progress(execution_id=execution_id, number=tx.next_number(), entry=progress))


# Tasks.


def _is_own_ancestor(tx: Transaction, record: TaskRecord) -> bool:
    """The task that closes a circle is the last of it that is written."""
    above, seen = record.parent_task_id, set[str]()
    while above and above not in seen:
        if above == record.id:
            return True
        seen.add(above)
        found = tx.get(Task, above)
        above = found.parent_task_id if found else None
    return False


def _insert_task(tx: Transaction, record: TaskRecord) -> None:
    if tx.get(Task, record.id):
        raise stent.ConflictError(f"there is a task {record.id} already, or it is given twice; give it an id of its own")
    if _is_own_ancestor(tx, record):
        raise stent.InvalidError(f"task {record.id} would be its own ancestor")
    execution = tx.get(Execution, record.execution_id)
    if execution and not execution.goes_on and record.state not in TERMINAL:
        raise stent.ConflictError(f"the execution {execution.id} is {execution.state}, so nobody would run it")
    made = Task(**{name: getattr(record, name) for name in TaskRecord.__struct_fields__})
    _date(tx, made)
    made.stray = execution is None
    made.timeout = start.function_options(tx, made.step_name).timeout
    if made.kind in RUN_BY_WORKERS:
        made.route = start.route_of(tx, made.queue, made.step_name, made.tags)
    _place(tx, made)
    if execution and execution.root is None and made.kind == "orchestrator" and not made.parent_task_id:
        execution.root = made.id
        tx.put(execution)


def _place(tx: Transaction, task: Task) -> None:
    """Where a task stands follows from its state."""
    task.lane = task.due_at = None
    if task.state == "pending" and task.route:
        if task.scheduled_for and task.scheduled_for > tx.now:
            task.due_at = task.scheduled_for
        else:
            task.lane = task.route
            tx.hint_work()
    elif task.state in ("pending", "waiting") and task.kind in ("timer", "signal"):
        task.due_at = task.scheduled_for
    if task.due_at:
        tx.hint_due(task.due_at)
    tx.put(task)


@operation
def create_task(tx: Transaction, task: TaskRecord) -> None:
    _insert_task(tx, task)


@operation
def create_tasks(tx: Transaction, tasks: list[TaskRecord]) -> None:
    for task in tasks:
        _insert_task(tx, task)


@operation
def get_task(tx: Transaction, task_id: str) -> TaskRecord | None:
    found = tx.get(Task, task_id)
    return ends.record(found) if found else None


@operation
def list_tasks(tx: Transaction, limit: int, offset: int, state: str | None) -> list[TaskRecord]:
    index = "tasks" if state is None else f"tasks:{state}"
    return [ends.record(row) for row in tx.get_all(Task, tx.newest(index, offset, limit)) if row]


@operation
def list_tasks_for_execution(tx: Transaction, execution_id: str) -> list[TaskRecord]:
    return [ends.record(row) for row in tx.rows(Task, f"tasks-of:{execution_id}")]


CHANGED = ("retries", "started_at", "worker_id", "lease_expires_at", "scheduled_for")


@operation
def update_task(tx: Transaction, task: TaskRecord) -> None:
    found = tx.get(Task, task.id)
    if found is None:
        raise unknown("task", task.id)
    if found.state in TERMINAL:
        _same_end(found, task)
        return
    for name in CHANGED:
        setattr(found, name, getattr(task, name))
    if task.state in TERMINAL:
        error = task.error
        ends.finish(tx, found, ends.Ending(task.state, task.result, error))  # type: ignore[arg-type]  # it is one of them
        found.completed_at, found.lease_expires_at = task.completed_at or found.completed_at, task.lease_expires_at
        tx.put(found)
        return
    waits_on = found.state == task.state == "waiting"
    due_at = found.due_at
    found.state, found.result, found.error, found.completed_at = task.state, task.result, task.error, task.completed_at
    found.fence += 1
    found.deadline = found.begun = None
    _place(tx, found)
    if waits_on:
        # What it waits for is what it was.
        found.due_at = found.due_at or due_at
    else:
        found.awaits = found.joins = found.parked_version = None
        found.parked = False
    tx.put(found)


@operation
def count_tasks(tx: Transaction, queue: str | None, state: str | None) -> int:
    index = "tasks:{}" if queue is None else "queue:{}:" + queue.replace("{", "{{").replace("}", "}}")
    return sum(tx.count(index.format(each)) for each in TASK_STATES if state in (None, each))


# Results that are kept.


def _until(tx: Transaction, ttl: float | None) -> str | None:
    return None if ttl is None else tx.after(ttl)


@operation
def get_cached_result(tx: Transaction, key: str) -> Raw | None:
    found = tx.get(Cached, key)
    return found.value if found and (found.expires_at is None or found.expires_at > tx.now) else None


@operation
def set_cached_result(tx: Transaction, key: str, value: Raw, ttl: float | None) -> None:
    tx.put(Cached(name=key, value=value, expires_at=_until(tx, ttl)))


@operation
def get_idempotency_result(tx: Transaction, key: str) -> Raw | None:
    found = tx.get(Reservation, key)
    return found.value if found and found.is_recorded and (found.expires_at is None or found.expires_at > tx.now) else None


@operation
def set_idempotency_result(tx: Transaction, key: str, value: Raw, ttl: float | None) -> None:
    tx.put(Reservation(name=key, is_recorded=True, value=value, expires_at=_until(tx, ttl)))


# Dead letters.


@operation
def move_task_to_dead_letter(tx: Transaction, task: TaskRecord, reason: str) -> None:
    if task.parent_task_id == task.id:
        raise stent.InvalidError(f"task {task.id} would be its own ancestor")
    stored = tx.get(Task, task.id)
    if stored and stored.execution_id != task.execution_id:
        raise stent.ConflictError(
            f"the dead letter names execution {task.execution_id}, but task {task.id} is of {stored.execution_id}"
        )
    tx.put(DeadLetter(task=task, reason=reason, moved_at=tx.now))


@operation
def list_dead_tasks(tx: Transaction, limit: int) -> list[DeadLetter]:
    return [row for row in tx.get_all(DeadLetter, tx.newest("letters", 0, limit)) if row]


@operation
def count_dead_tasks(tx: Transaction) -> int:
    return tx.count("letters")


@operation
def get_dead_task(tx: Transaction, task_id: str) -> DeadLetter | None:
    return tx.get(DeadLetter, task_id)


@operation
def delete_dead_task(tx: Transaction, task_id: str) -> bool:
    found = tx.get(DeadLetter, task_id)
    if found:
        tx.drop(found)
    return found is not None


# Signals, counters, values.


@operation
def create_signal(tx: Transaction, signal: SignalRecord) -> None:
    _known(tx, signal.execution_id)
    oldest = tx.first(Signal, f"signals:free:{signal.execution_id}:{signal.name}")
    if signal.consumed and oldest:
        oldest.consumed, oldest.consumed_at = True, signal.consumed_at or tx.now
        tx.put(oldest)
        return
    if signals.is_sent(tx, signal.execution_id, signal.name, signal.id):
        return
    made = Signal(**{name: getattr(signal, name) for name in SignalRecord.__struct_fields__})
    made.sequence = tx.next_number()
    tx.put(made)
    signals.hand_out(tx, signal.execution_id, signal.name)


@operation
def get_signal(tx: Transaction, execution_id: str, name: str) -> SignalRecord | None:
    newest = tx.newest(f"signals:taken:{execution_id}:{name}", 0, 1)
    found = tx.first(Signal, f"signals:free:{execution_id}:{name}") or (tx.get(Signal, newest[0]) if newest else None)
    return SignalRecord(**{name: getattr(found, name) for name in SignalRecord.__struct_fields__}) if found else None


@operation
def ensure_execution_counters(tx: Transaction, execution_id: str, counters: dict[str, int | float]) -> None:
    _known(tx, execution_id)
    for name, value in counters.items():
        if tx.get(Counter, f"{execution_id}/{name}") is None:
            tx.put(Counter(execution_id=execution_id, name=name, value=value))


@operation
def increment_execution_counter(tx: Transaction, execution_id: str, name: str, amount: int | float) -> int | float:
    _known(tx, execution_id)
    return add(tx, execution_id, name, amount)


@operation
def get_execution_counters(tx: Transaction, execution_id: str) -> dict[str, int | float]:
    return {row.name: row.value for row in tx.rows(Counter, f"counters-of:{execution_id}")}


@operation
def ensure_execution_state_values(tx: Transaction, execution_id: str, values: dict[str, Raw]) -> None:
    _known(tx, execution_id)
    for name, value in values.items():
        if tx.get(Value, f"{execution_id}/{name}") is None:
            tx.put(Value(execution_id=execution_id, name=name, value=value))


@operation
def set_execution_state_value(tx: Transaction, execution_id: str, key: str, value: Raw) -> None:
    _known(tx, execution_id)
    tx.put(Value(execution_id=execution_id, name=key, value=value))


@operation
def get_execution_state_values(tx: Transaction, execution_id: str) -> dict[str, Raw]:
    return {row.name: row.value for row in tx.rows(Value, f"values-of:{execution_id}")}


# Cleanup.

BELONGINGS: dict[str, type[Row]] = {
    "tasks-of": Task,
    "progress-of": Progress,
    "signals-of": Signal,
    "counters-of": Counter,
    "values-of": Value,
    "unfinished-of": Unfinished,
}


@operation
def cleanup_executions(tx: Transaction, older_than: str) -> int:
    # The replay of a dead letter needs its execution.
    old = [row for row in tx.rows(Execution, "over", below=older_than) if not tx.count(f"letters-of:{row.id}")]
    for execution in old:
        for index, kind in BELONGINGS.items():
            for row in tx.rows(kind, f"{index}:{execution.id}"):
                tx.drop(row)
        tx.drop(execution)
    expired: list[type[Row]] = [Cached, Reservation]
    for kind in expired:
        for row in tx.rows(kind, f"ending:{kind.table}", below=tx.now):
            tx.drop(row)
    return len(old)


@operation
def cleanup_dead_letters(tx: Transaction, older_than: str) -> int:
    old = tx.rows(DeadLetter, "letters", below=older_than)
    for letter in old:
        tx.drop(letter)
    return len(old)
