"""What begins: executions and operations of tasks, with what their function's options say."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

import stent

from . import ends
from .ids import child_id
from .rows import NULL, OBJECT, Execution, Function, FunctionOptions, Reservation, Route, Task, is_null
from .transaction import Transaction

KEY_TTL = 7 * 86_400.0


class TaskOptions(Struct, kw_only=True):
    queue: str | None = None
    tags: list[str] | None = None
    priority: int | None = None
    retry_policy: Raw = NULL
    timeout: float | None = None
    cached: bool | None = None
    cache_ttl: float | None = None
    kwargs: Raw = OBJECT
    delay: float | None = None
    idempotency_key: str | None = None


class CallOptions(TaskOptions, kw_only=True):
    key: str | None = None
    cache_key: str | None = None


class DispatchOptions(TaskOptions, kw_only=True):
    id: str | None = None
    expiry: float | None = None
    max_duration: float | None = None
    idempotency_reuse: str = "after_failure"
    on_cancel: str | None = None
    traceparent: str | None = None


class NewExecution(Struct):
    id: str
    function: str
    args: Raw
    options: DispatchOptions
    args_hash: str
    registered: FunctionOptions | None = None


def function_options(tx: Transaction, name: str, registered: FunctionOptions | None = None) -> FunctionOptions:
    """What the newest worker has said of it; else what its caller has registered."""
    function = tx.get(Function, name)
    return function.options if function else registered or FunctionOptions()


def route_of(tx: Transaction, queue: str | None, function: str, tags: list[str]) -> str:
    name = msgspec.json.encode([queue, function, sorted(tags)]).decode()
    if tx.get(Route, name) is None:
        tx.put(Route(name=name, queue=queue, function=function, tags=tags))
    return name


def resolve(
    tx: Transaction,
    task: Task,
    options: TaskOptions,
    cache_key: str | None,
    args_hash: str | None,
    registered: FunctionOptions | None,
) -> None:
    """What a task runs under: as the call says, else as the function says, else the defaults."""
    function = function_options(tx, task.step_name, registered)
    task.queue = function.queue if options.queue is None else options.queue
    task.tags = function.tags if options.tags is None else options.tags
    task.priority = (function.priority or 0) if options.priority is None else options.priority
    task.retry_policy = function.retry_policy if is_null(options.retry_policy) else options.retry_policy
    task.timeout = function.timeout if options.timeout is None else options.timeout
    task.cache_ttl = function.cache_ttl if options.cache_ttl is None else options.cache_ttl
    task.kwargs = options.kwargs
    task.route = route_of(tx, task.queue, task.step_name, task.tags)
    is_cached = function.cached if options.cached is None else options.cached
    if cache_key is not None:
        task.cache_key = f"{task.step_name}/{cache_key}"
    elif is_cached and args_hash:
        task.cache_key = f"{task.step_name}@{function.version or ''}/{args_hash}"
    if options.idempotency_key is not None:
        task.idempotency_key = options.idempotency_key
    elif function.idempotent and args_hash:
        task.idempotency_key = f"args:{args_hash}"


class Reserved(NamedTuple):
    """What a key means to the task that comes with it: another's result, or another's end, or (neither) its own run."""

    owner: str | None = None
    result: Raw | None = None
    is_over: bool = False


def reserve(tx: Transaction, task: Task, args_hash: str | None, reuse: str = "after_failure") -> Reserved:
    args_hash = args_hash or "0" * 64
    name = f"{task.step_name}/{task.idempotency_key}"
    found = tx.get(Reservation, name)
    if found and (found.expires_at is None or found.expires_at > tx.now):
        if found.args_hash not in (None, args_hash):
            raise stent.ConflictError(
                f"the idempotency key '{task.idempotency_key}' of {task.step_name} is taken by a call with other arguments; "
                "use another key, or the same arguments"
            )
        if found.is_recorded:
            return Reserved(result=found.value)
        owner = tx.get(Task, found.owner) if found.owner else None
        if owner and owner.state == "completed":
            return Reserved(owner.id, owner.result)
        if owner and owner.id != task.id and owner.state in ("pending", "running", "waiting"):
            return Reserved(owner.id)
        if owner and reuse == "never" and owner.kind == "orchestrator" and not owner.parent_task_id:
            return Reserved(owner.id, is_over=True)
    tx.put(Reservation(name=name, owner=task.id, args_hash=args_hash, expires_at=tx.after(KEY_TTL)))
    return Reserved()


def delay(tx: Transaction, task: Task, seconds: float | None) -> None:
    """Claimable at once, or not before its time."""
    if seconds:
        task.due_at = task.scheduled_for = tx.after(seconds)
        tx.hint_due(task.due_at)
    else:
        task.lane = task.route
        tx.hint_work()


def execution(tx: Transaction, new: NewExecution) -> str:
    """Starts an execution with its root; its id, or that of the one that holds the idempotency key."""
    if tx.get(Execution, new.id):
        raise stent.ConflictError(f"dispatch: an execution with the id {new.id} exists already; nothing was started")
    options = new.options
    created = tx.next_time()
    root = Task(
        id=child_id(new.id, 0, "root"),
        execution_id=new.id,
        step_name=new.function,
        kind="orchestrator",
        state="pending",
        args=new.args,
        created_at=created,
    )
    resolve(tx, root, options, None, new.args_hash, new.registered)
    result = None
    if root.idempotency_key is not None:
        reserved = reserve(tx, root, new.args_hash, options.idempotency_reuse)
        owner = tx.get(Task, reserved.owner) if reserved.owner else None
        if owner and owner.kind == "orchestrator" and not owner.parent_task_id:
            return owner.execution_id
        result = reserved.result
        if owner and result is None:
            root.state, root.joins = "waiting", owner.id
    start = options.delay or 0.0
    expiry = options.expiry if options.expiry is not None or options.max_duration is None else start + options.max_duration
    made = Execution(
        id=new.id,
        root_function=new.function,
        root=root.id,
        state="pending",
        args=new.args,
        kwargs=options.kwargs,
        created_at=created,
        expiry_at=None if expiry is None else tx.after(expiry),
        tags=root.tags,
        priority=root.priority,
        queue=root.queue,
        on_cancel=options.on_cancel,
        traceparent=options.traceparent,
    )
    if made.expiry_at:
        tx.hint_due(made.expiry_at)
    if root.state == "pending":
        delay(tx, root, options.delay)
    tx.put(made)
    tx.put(root)
    if result is not None:
        ends.finish(tx, root, ends.completed(result))
    return new.id
