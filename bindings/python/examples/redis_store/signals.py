"""Signals are a log: kept in order, taken by the oldest wait for their name."""

from __future__ import annotations

from . import ends
from .rows import NULL, Signal, Task
from .transaction import Transaction


def is_sent(tx: Transaction, execution_id: str, name: str, id: str | None) -> bool:
    """The same id counts once."""
    return id is not None and tx.count(f"sent:{execution_id}:{name}\t{id}") > 0


def hand_out(tx: Transaction, execution_id: str, name: str) -> None:
    """Gives the oldest signals to the oldest waits, as long as there are both."""
    while (wait := tx.first(Task, f"awaiting:{execution_id}:{name}")) and (
        signal := tx.first(Signal, f"signals:free:{execution_id}:{name}")
    ):
        signal.consumed, signal.consumed_at, signal.consumed_by = True, tx.now, wait.id
        tx.put(signal)
        ends.finish(tx, wait, ends.completed(signal.payload))


def put_back(tx: Transaction, parent: Task, wait: Task) -> int | None:
    """A wait that is cancelled after it took a signal which its handler has not seen: it ends again, as cancelled, under a
    new number, and the signal is there for others. None: it has taken nothing."""
    signal = tx.first(Signal, f"taken-by:{wait.id}")
    if signal is None or wait.state != "completed":
        return None
    signal.consumed, signal.consumed_at, signal.consumed_by = False, None, None
    tx.put(signal)
    parent.arrivals += 1
    wait.state, wait.result, wait.arrival = "cancelled", NULL, parent.arrivals
    tx.put(wait)
    tx.put(parent)
    hand_out(tx, signal.execution_id, signal.name)
    return wait.arrival
