"""What workers say of the tasks that they hold: transitions, each with its own verdict."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

import stent

from . import cancelling, ends, restart, signals, start
from .failures import Failure
from .rows import NULL, Counter, Execution, FunctionOptions, Progress, ProgressRecord, Task, Value, is_null
from .transaction import Transaction


class Held(Struct):
    task_id: str
    execution_id: str
    parent_task_id: str | None
    fence: int


class SpawnActivity(Struct):
    args: Raw
    options: start.CallOptions
    args_hash: str | None = None
    registered: FunctionOptions | None = None


class SpawnTimer(Struct):
    delay: float


class SpawnSignal(Struct):
    timeout: float | None = None


class StepOutcome(Struct):
    completed: Raw = NULL
    failed: Raw = NULL


class SpawnStep(Struct):
    started_at: str
    outcome: StepOutcome


class SpawnKind(Struct):
    activity: SpawnActivity | None = None
    timer: SpawnTimer | None = None
    signal: SpawnSignal | None = None
    step: SpawnStep | None = None

    @property
    def kind(self) -> str:
        return next(name for name in self.__struct_fields__ if getattr(self, name) is not None)


class Spawn(Struct):
    id: str
    op: int
    key: str
    name: str
    what: SpawnKind


class Cancel(Struct):
    op: int
    id: str


class Extent(Struct, frozen=True):
    ops: int
    effects: int


class Commands(Struct):
    spawns: list[Spawn] = []
    cancels: list[Cancel] = []
    progress: list[ProgressRecord] = []
    counters: list[tuple[str, int | float]] = []
    state: list[tuple[str, Raw]] = []
    heartbeat: Raw = NULL
    begun: int | None = None
    from_: Extent | None = msgspec.field(name="from", default=None)

    @property
    def effects(self) -> int:
        return len(self.progress) + len(self.counters) + len(self.state)


class CacheSlot(Struct):
    key: str
    ttl: float | None = None


class Complete(Struct):
    result: Raw
    cache: CacheSlot | None
    cache_hit: bool


class Retry(Struct):
    failure: Raw
    delay: float
    reopen: bool


class Snooze(Struct):
    delay: float


class Dead(Struct):
    failure: Raw
    reason: str


class PassUp(Struct):
    failure: Raw


class Suspend(Struct):
    mode: Literal["all", "any"]
    ops: str
    known: int


class Park(Struct):
    failure: Raw
    version: str | None = None


class Continue(Struct):
    args: Raw
    seen: int


class Outcome(Struct):
    complete: Complete | None = None
    retry: Retry | None = None
    snooze: Snooze | None = None
    dead_letter: Dead | None = None
    pass_up: PassUp | None = None
    suspend: Suspend | None = None
    park: Park | None = None
    continue_: Continue | None = msgspec.field(name="continue", default=None)


class Transition(Struct):
    held: Held
    commands: Commands
    outcome: Literal["hold", "release"] | Outcome


Arrivals = list[tuple[int, int]]
Verdict = str | dict[str, Any]


def transition(tx: Transaction, said: Transition) -> Verdict:
    """All of it or nothing, and only for the holder of the newest lease."""
    task, execution = tx.get(Task, said.held.task_id), tx.get(Execution, said.held.execution_id)
    if task is None or execution is None or task.fence != said.held.fence:
        return "lease_lost"
    if task.state == "running" and execution.goes_on and not _is_said_again(task, said):
        arrivals = _carry_out(tx, task, said)
        cancelling.close(tx, execution)
        return _recorded(arrivals)
    if _is_recorded(task, execution, said):
        return _recorded([])
    if task.state == "running" and execution.state == "cancelling" and not execution.goes_on:
        if said.outcome != "hold":
            cancelling.stop(tx, task)
            cancelling.close(tx, execution)
        return "cancelled"
    return "lease_lost"


def _recorded(arrivals: Arrivals) -> Verdict:
    return {"recorded": {"arrivals": arrivals}}


def _is_said_again(task: Task, said: Transition) -> bool:
    """The task's record goes further than the sender knew: these commands are in it."""
    return said.commands.from_ is not None and said.commands.from_ != Extent(task.ops, task.effects)


def _is_recorded(task: Task, execution: Execution, said: Transition) -> bool:
    """Is it the same again, because the answer to the first commit was lost?"""
    outcome, commands = said.outcome, said.commands
    if outcome == "hold":
        before = commands.from_
        if before is None or task.state != "running" or not execution.goes_on:
            return False
        now = Extent(before.ops + len(commands.spawns), before.effects + commands.effects)
        return now == Extent(task.ops, task.effects) and now != before
    if not isinstance(outcome, Outcome):
        return False
    if outcome.suspend:
        return task.state == "waiting"
    # A root that has cleaned up is cancelled, whatever it said; whom others cancel has another fence.
    if outcome.complete:
        return task.state in ("completed", "cancelled")
    return bool(outcome.dead_letter or outcome.pass_up) and task.state in ("failed", "cancelled")


def _carry_out(tx: Transaction, task: Task, said: Transition) -> Arrivals:
    outcome, commands = said.outcome, said.commands
    if isinstance(outcome, Outcome) and (outcome.complete or outcome.dead_letter or outcome.pass_up):
        arrivals = _command(tx, task, commands, steps_alone=True)
        _end(tx, task, outcome)
        return arrivals
    is_new_run = isinstance(outcome, Outcome) and outcome.continue_ is not None
    arrivals = _command(tx, task, commands, steps_alone=is_new_run)
    _move(tx, task, outcome)
    return arrivals


def _end(tx: Transaction, task: Task, outcome: Outcome) -> None:
    if done := outcome.complete:
        cache = (done.cache.key, done.cache.ttl) if done.cache else None
        ends.finish(tx, task, ends.completed(done.result), keeps_fence=True, cache=cache, cache_hit=done.cache_hit)
    elif dead := outcome.dead_letter:
        ends.finish(tx, task, ends.Ending("failed", error=dead.failure), keeps_fence=True, letter=dead.reason)
    elif up := outcome.pass_up:
        ends.finish(tx, task, ends.Ending("failed", error=up.failure), keeps_fence=True)


def _move(tx: Transaction, task: Task, outcome: Literal["hold", "release"] | Outcome) -> None:
    """A task that is not over. Whatever happens but a hold gives the lease back."""
    if outcome == "hold":
        tx.put(task)
        return
    task.lease_expires_at = task.due_at = task.begun = None
    tx.hint_work()
    if not isinstance(outcome, Outcome):
        task.worker_id = None
        if not task.ops:
            task.started_at = task.deadline = None
        ends.make_ready(tx, task)
    elif suspended := outcome.suspend:
        task.state, task.due_at, task.crashes, task.company = "waiting", task.deadline, 0, None
        ends.suspend(tx, task, suspended.mode, suspended.ops, suspended.known)
    elif parked := outcome.park:
        task.state, task.worker_id, task.error = "waiting", None, parked.failure
        task.parked, task.parked_version = True, parked.version
        tx.put(task)
    elif again := outcome.retry:
        if again.reopen:
            restart.reopen_children(tx, task)
        task.retries += 1
        task.crashes, task.company, task.error = 0, None, again.failure
        try_again(tx, task, again.delay)
    elif later := outcome.snooze:
        task.snoozes += 1
        task.crashes, task.company = 0, None
        try_again(tx, task, later.delay)
    elif new := outcome.continue_:
        restart.from_the_start(tx, task, new.seen)
        task.worker_id, task.args, task.error, task.deadline = None, new.args, NULL, None
        task.crashes = task.ops = task.effects = 0
        task.opened = task.company = None
        task.run += 1
        task.first_started_at = tx.now
        ends.make_ready(tx, task)


def try_again(tx: Transaction, task: Task, delay: float) -> None:
    """Pending, at once or not before a delay is over."""
    task.state = "pending"
    task.first_started_at = task.first_started_at or task.started_at
    task.worker_id = task.lease_expires_at = task.started_at = task.deadline = task.joins = None
    task.lane = task.due_at = task.scheduled_for = None
    start.delay(tx, task, delay)
    tx.put(task)


# Commands.


def _command(tx: Transaction, task: Task, commands: Commands, *, steps_alone: bool) -> Arrivals:
    spawns = [spawn for spawn in commands.spawns if spawn.what.step or not steps_alone]
    arrivals = [(spawn.op, _step(tx, task, spawn, spawn.what.step)) for spawn in spawns if spawn.what.step]
    for spawn in spawns:
        if not spawn.what.step and tx.get(Task, spawn.id) is None:
            _spawn(tx, task, spawn)
    if not steps_alone:
        for cancel in commands.cancels:
            arrival = _cancel(tx, task, cancel)
            arrivals += [] if arrival is None else [(cancel.op, arrival)]
    _tell(tx, task.execution_id, commands)
    task.ops += len(commands.spawns)
    task.effects += commands.effects
    if not is_null(commands.heartbeat):
        task.heartbeat = commands.heartbeat
    if commands.spawns or (commands.effects and task.ops):
        task.crashes, task.company = 0, None
    if commands.begun is not None:
        task.begun = commands.begun
    return arrivals


def _new(tx: Transaction, parent: Task, spawn: Spawn, **fields: Any) -> Task:
    return Task(
        id=spawn.id,
        execution_id=parent.execution_id,
        parent_task_id=parent.id,
        step_name=spawn.name,
        step_key=spawn.key,
        kind=spawn.what.kind,
        op=spawn.op,
        created_at=tx.next_time(),
        **fields,
    )


def _step(tx: Transaction, parent: Task, spawn: Spawn, step: SpawnStep) -> int:
    """It is over already. Its number."""
    known = tx.get(Task, spawn.id)
    if known and known.arrival:
        return known.arrival
    parent.arrivals += 1
    failure = step.outcome.failed
    state = "completed" if is_null(failure) else "failed"
    made = _new(tx, parent, spawn, state=state, started_at=step.started_at, completed_at=tx.now, arrival=parent.arrivals)
    made.result, made.error = step.outcome.completed, failure
    tx.put(made)
    return parent.arrivals


def _spawn(tx: Transaction, parent: Task, spawn: Spawn) -> None:
    what = spawn.what
    if what.timer:
        made = _new(tx, parent, spawn, state="waiting", due_at=tx.after(what.timer.delay))
    elif what.signal:
        timeout = what.signal.timeout
        made = _new(tx, parent, spawn, state="waiting", due_at=None if timeout is None else tx.after(timeout))
    else:
        assert what.activity
        made = _new(tx, parent, spawn, state="pending", args=what.activity.args)
        _activity(tx, parent, made, what.activity)
        return
    if made.due_at:
        tx.hint_due(made.due_at)
    tx.put(made)
    if what.signal:
        signals.hand_out(tx, made.execution_id, made.step_name)


def _activity(tx: Transaction, parent: Task, made: Task, call: SpawnActivity) -> None:
    start.resolve(tx, made, call.options, call.options.cache_key, call.args_hash, call.registered)
    ending = None
    if made.idempotency_key is not None:
        try:
            ending = _join(tx, parent, made, start.reserve(tx, made, call.args_hash))
        except stent.ConflictError as conflict:
            # The operation's failure, recorded like any other; the key stays with its owner.
            made.idempotency_key = None
            ending = ends.failed(Failure("Conflict", conflict.message, retryable=False))
    if made.state == "pending":
        start.delay(tx, made, call.options.delay)
    tx.put(made)
    if ending:
        ends.finish(tx, made, ending)


def _join(tx: Transaction, parent: Task, made: Task, reserved: start.Reserved) -> ends.Ending | None:
    if reserved.result is not None:
        return ends.completed(reserved.result)
    if reserved.owner is None:
        return None
    if _waits_for(tx, reserved.owner, parent):
        raise stent.ConflictError(
            f"the idempotency key '{made.idempotency_key}' of {made.step_name} belongs to a task that waits for this very call"
        )
    made.state, made.joins = "waiting", reserved.owner
    return None


def _waits_for(tx: Transaction, owner: str, task: Task) -> bool:
    """Is the owner the task itself, or above it, directly or by what joins it?"""
    seen: set[str] = set()
    rest = [task.id]
    while rest:
        id = rest.pop()
        if id in seen:
            continue
        seen.add(id)
        one = tx.get(Task, id)
        if one and one.parent_task_id:
            rest.append(one.parent_task_id)
        rest += tx.find(f"joining:{id}")
    return owner in seen


def _cancel(tx: Transaction, task: Task, cancel: Cancel) -> int | None:
    """The operation's number; None: it was over, and stays as it is."""
    child = tx.get(Task, cancel.id)
    if child is None:
        return None
    if ends.finish(tx, child, ends.CANCELLED):
        tx.hint("lost", child.id)
        return child.arrival
    return signals.put_back(tx, task, child)


def _tell(tx: Transaction, execution_id: str, commands: Commands) -> None:
    for entry in commands.progress:
        entry.started_at = entry.started_at or tx.now
        tx.put(Progress(execution_id=execution_id, number=tx.next_number(), entry=entry))
    for name, amount in commands.counters:
        add(tx, execution_id, name, amount)
    for name, value in commands.state:
        tx.put(Value(execution_id=execution_id, name=name, value=value))


def add(tx: Transaction, execution_id: str, name: str, amount: int | float) -> int | float:
    counter = tx.get(Counter, f"{execution_id}/{name}") or Counter(execution_id=execution_id, name=name, value=0)
    value = counter.value + amount if counter.value != 0 or isinstance(counter.value, float) else amount
    if not (math.isfinite(value) if isinstance(value, float) else -(2**63) <= value < 2**63):
        raise stent.InvalidError(f"the counter '{name}' would leave the range of its numbers; it keeps its value")
    counter.value = value
    tx.put(counter)
    return value
