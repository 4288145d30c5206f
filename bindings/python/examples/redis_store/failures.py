"""Failures, and what becomes of a task that has one."""

from __future__ import annotations

import random

import msgspec
from msgspec import Raw, Struct

from .rows import Function, Task, is_null
from .transaction import Transaction


class Failure(Struct):
    type: str
    message: str = ""
    code: str | None = None
    retryable: bool = True
    details: Raw = Raw(b"null")
    stack: str | None = None


class RetryPolicy(Struct):
    max_attempts: int = 3
    max_deaths: int = 3
    backoff_factor: float = 2.0
    initial_delay: float = 1.0
    max_delay: float = 60.0
    delays: list[float] = []
    jitter: float = 0.1
    max_elapsed: float | None = None
    retry_for: list[str] = []
    no_retry_for: list[str] = []
    retry_children: bool = False

    def delay(self, retry: int) -> float:
        """Before the retry of this number, from 1."""
        try:
            if self.delays:
                plain = self.delays[min(retry, len(self.delays)) - 1]
            else:
                plain = min(self.initial_delay * self.backoff_factor ** (retry - 1), self.max_delay)
        except OverflowError:
            plain = self.max_delay
        return max(0.0, plain * (1 + self.jitter * random.uniform(-1, 1)))


def raw(failure: Failure) -> Raw:
    return Raw(msgspec.json.encode(failure))


def policy_of(tx: Transaction, task: Task) -> RetryPolicy:
    policy = task.retry_policy
    if is_null(policy):
        function = tx.get(Function, task.step_name)
        policy = function.options.retry_policy if function else policy
    return RetryPolicy() if is_null(policy) else msgspec.json.decode(policy, type=RetryPolicy)


def after_failure(policy: RetryPolicy, attempts: int, since_first: float, failure: Failure) -> float | str:
    """So many attempts have failed since the first began, these seconds ago: the delay before the next one, or the reason for the dead letter."""
    is_listed = not policy.retry_for or failure.type in policy.retry_for
    if not failure.retryable or not is_listed or failure.type in policy.no_retry_for:
        return f"{failure.type} is not retried: {failure.message}"
    if attempts >= policy.max_attempts:
        return f"{attempts} of {policy.max_attempts} attempts failed; the last with {failure.type}: {failure.message}"
    delay = policy.delay(attempts)
    if policy.max_elapsed is not None and since_first + delay > policy.max_elapsed:
        return (
            f"no retry begins later than {policy.max_elapsed} s after the first attempt began (max_elapsed); attempts that "
            f"failed: {attempts}; the last with {failure.type}: {failure.message}"
        )
    return delay


ANY_COMPANY = 10_000


def after_death(policy: RetryPolicy, task: Task) -> float | str:
    """A task whose worker died is tried again at once. Where others ran beside it, it is a suspect among fewer, and only
    where none did is the death its own."""
    if task.begun is None:
        # It may have begun just before: next time its worker says so first.
        task.company = task.company or ANY_COMPANY
        return 0.0
    task.deaths += 1
    task.company = max(task.begun // 4, 1)
    task.crashes += task.begun == 1
    if task.begun == 1 and task.crashes >= policy.max_deaths:
        return f"its worker died {task.crashes} times in a row while it ran alone (max_deaths is {policy.max_deaths})"
    return 0.0
