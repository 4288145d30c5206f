"""Journals that are opened again, wholly or in part."""

from __future__ import annotations

import math

from . import ends, signals
from .rows import NULL, DeadLetter, Reservation, Task, Unfinished
from .transaction import Transaction


def reopen_children(tx: Transaction, task: Task) -> None:
    """The failed activities of a task run again in their places, and so do those below that they failed of. Failed steps,
    timers and waits leave the journal: the handler makes them anew."""
    for child in tx.rows(Task, f"children:{task.id}", above=f"{0:019}~", below="o"):
        if child.state != "failed":
            continue
        if child.op is not None:
            task.opened = child.op if task.opened is None else min(task.opened, child.op)
        # Where it ended, a large tree may not be cancelled to its end yet.
        ends.cancel_below(tx, child, room=math.inf)
        _forget_unfinished(tx, child)
        reopen_children(tx, child)
        letter = tx.get(DeadLetter, child.id)
        if letter:
            tx.drop(letter)
        if child.kind != "activity":
            tx.drop(child)
            continue
        for given_up in tx.rows(Task, f"children:{child.id}", below=f"{0:019}~"):
            _forget(tx, given_up)
        child.arrival, child.error, child.completed_at, child.started_at, child.deadline = None, NULL, None, None, None
        child.retries = child.crashes = child.deaths = child.snoozes = 0
        child.company = child.first_started_at = None
        child.fence += 1
        ends.make_ready(tx, child)


def from_the_start(tx: Transaction, task: Task, seen: int) -> None:
    """An empty journal. Signals that were taken and not seen by the handler are there again."""
    ends.cancel_below(tx, task, room=math.inf)
    for child in tx.rows(Task, f"children:{task.id}", above=f"{seen:019}~", below="o"):
        if child.kind == "signal":
            signals.put_back(tx, task, child)
    for child in tx.rows(Task, f"children:{task.id}"):
        _forget(tx, child)
    task.arrivals, task.awaits = 0, None


def _forget(tx: Transaction, task: Task) -> None:
    """Takes a task away, with all that is below it. The results of idempotent calls stay with their keys."""
    for child in tx.rows(Task, f"children:{task.id}"):
        _forget(tx, child)
    if task.idempotency_key is not None and task.state == "completed":
        reservation = tx.get(Reservation, f"{task.step_name}/{task.idempotency_key}")
        if reservation and reservation.owner == task.id:
            reservation.is_recorded, reservation.value, reservation.owner = True, task.result, None
            tx.put(reservation)
    _forget_unfinished(tx, task)
    tx.drop(task)


def _forget_unfinished(tx: Transaction, task: Task) -> None:
    unfinished = tx.get(Unfinished, task.id)
    if unfinished:
        tx.drop(unfinished)
