"""Executions that are being cancelled, until nobody holds a lease in them; then they clean up, where their function asks for
it, and at last their compensation starts."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec import Raw

from . import ends, start
from .ids import execution_id
from .rows import TERMINAL, Execution, Task
from .transaction import Transaction


def begin(tx: Transaction, execution: Execution, ending: str, reason: str | None) -> None:
    """From now on nothing of it is claimed, and no result of it is recorded."""
    execution.state, execution.ending, execution.cancel_reason = "cancelling", ending, reason
    tx.put(execution)
    tx.hint("cancelling", execution.id)
    go_on(tx, execution)


def go_on(tx: Transaction, execution: Execution) -> None:
    root = tx.get(Task, execution.root) if execution.root else None
    if root:
        ends.cancel_below(tx, root)
        if root.state != "running":
            stop(tx, root)
    close(tx, execution)


def stop(tx: Transaction, task: Task) -> None:
    """Nobody runs it any more. A root that is to clean up rests until that begins; all others end."""
    execution = tx.get(Execution, task.execution_id)
    if execution is None or execution.root != task.id or not _is_to_clean_up(tx, execution, task):
        ends.finish(tx, task, ends.CANCELLED)
        return
    if execution.cleanup is None:
        execution.cleanup = start.function_options(tx, task.step_name).cleanup
        tx.put(execution)
    if task.state == "running":
        task.fence += 1
    task.state, task.parked, task.worker_id = "waiting", False, None
    task.lane = task.due_at = task.lease_expires_at = task.begun = task.parked_version = None
    tx.put(task)


def _is_to_clean_up(tx: Transaction, execution: Execution, root: Task) -> bool:
    """Of one that has not begun, as far as is known, there is nothing to clean up."""
    if execution.state != "cancelling" or execution.cleanup_due or root.state in TERMINAL:
        return False
    has_begun = bool(root.ops or root.begun or root.retries or root.deaths) and not root.joins
    has_one = start.function_options(tx, root.step_name).cleanup is not None
    return execution.cleanup is not None or (has_one and has_begun)


def _clean_up(tx: Transaction, execution: Execution, root: Task, seconds: float) -> None:
    """From the top, with all that it had issued over; what it comes to is no result of the call."""
    execution.cleans_up, execution.cleanup_due = True, tx.after(seconds)
    tx.put(execution)
    tx.hint_due(execution.cleanup_due)
    children = [child for child in tx.rows(Task, f"children:{root.id}") if child.op is not None]
    for child in sorted(children, key=lambda child: child.op or 0):
        if child.arrival == 0:
            root.arrivals += 1
            child.arrival = root.arrivals
            tx.put(child)
    root.cleanup = max((child.op or 0 for child in children), default=0)
    root.fence += 1
    root.crashes, root.company, root.awaits, root.cache_key = 0, None, None, None
    root.started_at = root.deadline = root.scheduled_for = None
    ends.make_ready(tx, root)


def close(tx: Transaction, execution: Execution) -> None:
    """An execution that is being cancelled is over when nobody holds a lease in it; then its compensation starts."""
    if execution.state != "cancelling" or execution.cleans_up:
        return
    if any(tx.count(f"{index}:{execution.id}") for index in ("leases-of", "unfinished-of")):
        return
    root = tx.get(Task, execution.root) if execution.root else None
    if root and root.state not in TERMINAL and execution.cleanup is not None and not execution.cleanup_due:
        _clean_up(tx, execution, root, execution.cleanup)
        return
    execution.state, execution.completed_at = execution.ending or "cancelled", tx.now
    tx.put(execution)
    tx.hint("ended", execution.id)
    if execution.on_cancel:
        told = {
            "execution_id": execution.id,
            "state": execution.state,
            "reason": execution.cancel_reason,
            "args": execution.args,
            "kwargs": execution.kwargs,
        }
        args = Raw(msgspec.json.encode([told]))
        # Nobody else has these arguments: one that is idempotent joins no other's.
        args_hash = sha256(args).hexdigest()
        compensation = start.NewExecution(execution_id(tx), execution.on_cancel, args, start.DispatchOptions(), args_hash)
        start.execution(tx, compensation)
