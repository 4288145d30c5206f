"""A backend on Redis, at the level of the engine.

    python redis_backend.py unix:///tmp/redis.sock      checks it against the library's own suite

`redis_store/` is the store: rows and their indexes (`rows.py`), transactions (`transaction.py`), and the operations. What a
backend must do is told in docs/writing-a-backend.md. Redis keeps what it has acknowledged if it is told to: start it with
`--appendonly yes --appendfsync always`.
"""

from __future__ import annotations

import sys

import redis

import stent
from redis_store import claims, engine, protocol, sweep  # noqa: F401  # each registers its operations
from redis_store.operations import OPERATIONS
from redis_store.transaction import Database


class RedisBackend:
    """Answers operations. Called on threads of the library, several at once."""

    def __init__(self, url: str, prefix: str) -> None:
        self._database = Database(url, prefix)

    def answer(self, operation: str, request: str) -> str | None:
        try:
            if operation == "wait_for_work":
                return self._database.wait_for_changes(request)
            if operation == "close":
                return self._database.close()
            return self._database.transact(lambda tx: OPERATIONS[operation](tx, request))
        except redis.RedisError as error:
            raise stent.BackendError(f"{operation}: {error}", retryable=True) from error


def open_backend(url: str, prefix: str = "stent:") -> stent.Backend:
    """A backend on the Redis at an URL such as unix:///tmp/redis.sock; several may share it, by the same prefix."""
    store = RedisBackend(url, prefix)
    return stent.custom_backend(store.answer, [*OPERATIONS, "close", "wait_for_work"])


def main(url: str, *only: str) -> int:
    with open_backend(url, "stent-check:") as backend:
        report = backend.check(only=only)
    for case in report["cases"]:
        print("  yes  " if case["outcome"] == "passed" else "  NO   ", case["name"])
        if case["outcome"] != "passed":
            print(f"         expected {case['expected']}\n         got      {case['got']}\n         at       {case['place']}")
    print(f"{report['passed']} passed, {report['failed']} failed, at the level of the {report['level']}")
    return int(report["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
