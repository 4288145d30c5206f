"""Executions that are being cancelled, until nobody holds a lease in them; then their compensation starts."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec import Raw

from . import ends, start
from .ids import execution_id
from .rows import Execution, Task
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
            ends.finish(tx, root, ends.CANCELLED)
    close(tx, execution)


def close(tx: Transaction, execution: Execution) -> None:
    """An execution that is being cancelled is over when nobody holds a lease in it; then its compensation starts."""
    if execution.state != "cancelling" or any(tx.count(f"{index}:{execution.id}") for index in ("leases-of", "unfinished-of")):
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
