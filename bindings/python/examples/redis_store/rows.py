"""What is stored: rows, and the indexes that they are in.

A row is a struct that lies in Redis as JSON. Payloads are `Raw`: the text that came, to the letter. Where a row is found is
a function of the row, `entries`: pairs of an index and a member of it. Indexes are sorted sets whose members have one
score, so that they are in order of their text, and each member ends in a tab and the row's key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Raw, Struct

NULL, ARRAY, OBJECT = Raw(b"null"), Raw(b"[]"), Raw(b"{}")
TERMINAL = ("completed", "failed", "cancelled", "timed_out")
GOING = ("pending", "running")
RUN_BY_WORKERS = ("orchestrator", "activity")

Entry = tuple[str, str]


def is_null(payload: Raw) -> bool:
    return bytes(payload) == b"null"


class Row(Struct, kw_only=True):
    table: ClassVar[str]

    @property
    def key(self) -> str:
        raise NotImplementedError

    def entries(self) -> Iterator[Entry]:
        yield from ()


class Named(Row, kw_only=True):
    """A row whose key is its name."""

    name: str

    @property
    def key(self) -> str:
        return self.name


class Expiring(Named, kw_only=True):
    """A row that is over at some time, if it ever is."""

    expires_at: str | None = None

    def entries(self) -> Iterator[Entry]:
        if self.expires_at:
            yield f"ending:{self.table}", f"{self.expires_at}\t{self.name}"


class OfExecution(Row, kw_only=True):
    """A row that an execution has under a name."""

    execution_id: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.execution_id}/{self.name}"

    def entries(self) -> Iterator[Entry]:
        yield f"{self.table}-of:{self.execution_id}", f"\t{self.key}"


class ExecutionRecord(Row, kw_only=True):
    """The record of the protocol. Its progress lies in rows of its own."""

    id: str
    root_function: str
    state: str
    args: Raw = ARRAY
    kwargs: Raw = OBJECT
    retries: int = 0
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None
    expiry_at: str | None = None
    progress: list[ProgressRecord] = []
    tags: list[str] = []
    priority: int = 0
    queue: str | None = None
    result: Raw = NULL
    error: Raw = NULL


class Execution(ExecutionRecord, kw_only=True):
    table = "executions"

    root: str | None = None
    ending: str | None = None
    """While it is cancelling: the state to come."""
    cancel_reason: str | None = None
    cleanup: float | None = None
    """So long it may clean up, once its root has stopped for that."""
    cleanup_due: str | None = None
    """When its cleanup is over; once it has begun."""
    cleans_up: bool = False
    """It is cancelling, and yet its root runs."""
    on_cancel: str | None = None
    traceparent: str | None = None
    replay_of: str | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def goes_on(self) -> bool:
        """Is what is of it claimed and recorded?"""
        return self.state in GOING or self.cleans_up

    def admits(self, now: str) -> bool:
        """May something of it begin? What has expired is ended by a sweep, which may come later."""
        return self.goes_on and not (self.state in GOING and self.expiry_at and self.expiry_at <= now)

    def entries(self) -> Iterator[Entry]:
        by_time = f"{self.created_at}\t{self.id}"
        yield "executions", by_time
        yield f"executions:{self.state}", by_time
        if self.state in GOING and self.expiry_at:
            yield "expiring", f"{self.expiry_at}\t{self.id}"
        if self.state == "cancelling" and not self.cleans_up:
            yield "cancelling", f"\t{self.id}"
        if self.cleans_up and self.cleanup_due:
            yield "cleaning", f"{self.cleanup_due}\t{self.id}"
        if self.state in TERMINAL and self.completed_at:
            yield "over", f"{self.completed_at}\t{self.id}"


class TaskRecord(Row, kw_only=True):
    """The record of the protocol."""

    id: str
    execution_id: str
    step_name: str
    kind: str
    parent_task_id: str | None = None
    state: str
    args: Raw = ARRAY
    kwargs: Raw = OBJECT
    retries: int = 0
    created_at: str
    tags: list[str] = []
    priority: int = 0
    queue: str | None = None
    retry_policy: Raw = NULL
    result: Raw = NULL
    error: Raw = NULL
    started_at: str | None = None
    completed_at: str | None = None
    worker_id: str | None = None
    lease_expires_at: str | None = None
    idempotency_key: str | None = None
    scheduled_for: str | None = None
    fence: int = 0
    step_key: str | None = None


class Task(TaskRecord, kw_only=True):
    table = "tasks"

    route: str | None = None
    """Queue, function and tags as one text; None: no worker runs it."""
    lane: str | None = None
    """Where it may be claimed now: its route, or the lane of one worker."""
    stray: bool = False
    """Its execution is still to come, so it is not ready."""
    due_at: str | None = None
    """When a sweep looks at it."""
    run: int = 0
    ops: int = 0
    effects: int = 0
    opened: int | None = None
    """The first operation that was opened again: from there on the handler may go another way."""
    crashes: int = 0
    deaths: int = 0
    snoozes: int = 0
    first_started_at: str | None = None
    """When the first attempt began, once it is over."""
    begun: int | None = None
    """How many bodies may run at once where its own has begun; None: it has not, as far as is known."""
    company: int | None = None
    """A suspect, after a worker's death: how many may run at once where it does."""
    heartbeat: Raw = NULL
    op: int | None = None
    arrival: int | None = None
    """In its parent's journal: the number of the operation, and the order of its end; 0: cancelled with the parent."""
    timeout: float | None = None
    deadline: str | None = None
    cache_key: str | None = None
    cache_ttl: float | None = None
    cache_hit: bool = False
    cleanup: int | None = None
    """Of the root of an execution that cleans up: the last operation before that."""
    joins: str | None = None
    """The task with the same idempotency key whose end it waits for."""
    parked: bool = False
    parked_version: str | None = None
    arrivals: int = 0
    """Ends that were delivered to it so far."""
    awaits: str | None = None
    """While it is suspended: the operations, as ranges."""
    awaits_any: bool = False
    missing: int = 0

    @property
    def key(self) -> str:
        return self.id

    def entries(self) -> Iterator[Entry]:
        by_time = f"{self.created_at}\t{self.id}"
        yield "tasks", by_time
        yield f"tasks:{self.state}", by_time
        yield f"tasks-of:{self.execution_id}", by_time
        if self.queue is not None:
            yield f"queue:{self.state}:{self.queue}", by_time
        if self.parent_task_id:
            arrival = "open" if self.arrival is None else f"{self.arrival:019}"
            yield f"children:{self.parent_task_id}", f"{arrival} {by_time}"
        if self.lane:
            yield f"ready:{self.lane}", f"{2**63 - self.priority:020} {by_time}"
            if not self.stray:
                yield f"depth:{self.route}", by_time
            if self.lane != self.route:
                yield f"woken:{self.step_name}", by_time
        if self.due_at:
            yield "due", f"{self.due_at}\t{self.id}"
            if self.state == "pending" and not self.lane:
                yield "scheduled", by_time
        if self.state == "running" and self.lease_expires_at:
            yield "leases", f"{self.lease_expires_at}\t{self.id}"
            yield f"leases-of:{self.execution_id}", by_time
            yield f"running:{self.step_name}", f"{self.lease_expires_at}\t{self.id}"
        if self.kind == "signal" and self.state == "waiting":
            yield f"awaiting:{self.execution_id}:{self.step_name}", by_time
        if self.joins:
            yield f"joining:{self.joins}", by_time
        if self.parked:
            yield "parked", by_time
            yield f"parked:{self.step_name}", by_time


class Unfinished(Row, kw_only=True):
    """A task below which there is more to cancel than one transaction should."""

    table = "unfinished"

    task_id: str
    execution_id: str

    @property
    def key(self) -> str:
        return self.task_id

    def entries(self) -> Iterator[Entry]:
        yield "unfinished", f"\t{self.task_id}"
        yield f"unfinished-of:{self.execution_id}", f"\t{self.task_id}"


class ProgressRecord(Struct):
    step: str
    status: str
    started_at: str | None = None
    completed_at: str | None = None
    detail: Raw = NULL


class Progress(Row, kw_only=True):
    table = "progress"

    execution_id: str
    number: int
    entry: ProgressRecord

    @property
    def key(self) -> str:
        return f"{self.number:019}"

    def entries(self) -> Iterator[Entry]:
        yield f"progress-of:{self.execution_id}", f"\t{self.key}"


class SignalRecord(Row, kw_only=True):
    """The record of the protocol."""

    execution_id: str
    name: str
    payload: Raw = NULL
    created_at: str
    consumed: bool = False
    consumed_at: str | None = None
    id: str | None = None
    sequence: int = 0


class Signal(SignalRecord, kw_only=True):
    table = "signals"

    consumed_by: str | None = None

    @property
    def key(self) -> str:
        return f"{self.sequence:019}"

    def entries(self) -> Iterator[Entry]:
        yield f"signals-of:{self.execution_id}", f"\t{self.key}"
        log = "taken" if self.consumed else "free"
        yield f"signals:{log}:{self.execution_id}:{self.name}", f"\t{self.key}"
        if self.id is not None:
            yield f"sent:{self.execution_id}:{self.name}\t{self.id}", f"\t{self.key}"
        if self.consumed_by:
            yield f"taken-by:{self.consumed_by}", f"\t{self.key}"


class DeadLetter(Row, kw_only=True):
    table = "letters"

    task: TaskRecord
    reason: str
    moved_at: str

    @property
    def key(self) -> str:
        return self.task.id

    def entries(self) -> Iterator[Entry]:
        yield "letters", f"{self.moved_at}\t{self.task.id}"
        yield f"letters-of:{self.task.execution_id}", f"{self.moved_at}\t{self.task.id}"


class Cached(Expiring, kw_only=True):
    table = "cache"

    value: Raw


class Reservation(Expiring, kw_only=True):
    """An idempotency key: its result, or the task that is to make it."""

    table = "idempotency"

    is_recorded: bool = False
    value: Raw = NULL
    owner: str | None = None
    args_hash: str | None = None


class Counter(OfExecution, kw_only=True):
    table = "counters"

    value: int | float


class Value(OfExecution, kw_only=True):
    table = "values"

    value: Raw


class FunctionOptions(Struct, kw_only=True, forbid_unknown_fields=True):
    queue: str | None = None
    tags: list[str] = []
    priority: int | None = None
    retry_policy: Raw = NULL
    timeout: float | None = None
    version: str | None = None
    max_concurrent: int | None = None
    cached: bool = False
    cache_ttl: float | None = None
    idempotent: bool = False
    cleanup: float | None = None


class Function(Named, kw_only=True):
    table = "functions"

    options: FunctionOptions


class Worker(Row, kw_only=True):
    table = "workers"

    worker_id: str
    queues: list[str]
    tags: list[str]
    functions: list[Function]
    number: int | None = None
    """Names its lane; None: it was taken for dead."""

    @property
    def key(self) -> str:
        return self.worker_id

    @property
    def lane(self) -> str:
        return f"worker {self.number}"

    def entries(self) -> Iterator[Entry]:
        if self.number is not None:
            yield "workers", f"\t{self.worker_id}"


class Route(Named, kw_only=True):
    """Tasks that share queue, function and tags: what a worker may take is decided for all of them at once."""

    table = "routes"

    queue: str | None
    function: str
    tags: list[str]

    def admits(self, queues: list[str], tags: list[str]) -> bool:
        is_queue = self.queue is None or not queues or self.queue in queues
        return is_queue and (not tags or not self.tags or any(tag in tags for tag in self.tags))

    def entries(self) -> Iterator[Entry]:
        yield "routes", f"\t{self.name}"
        yield f"routes:{self.function}", f"\t{self.name}"


class Sequence(Row, kw_only=True):
    """Numbers that are given once: to signals, lines of progress and workers."""

    table = "sequences"

    last: int = 0

    @property
    def key(self) -> str:
        return "last"
