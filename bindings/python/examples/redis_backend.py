"""A backend on Redis, at the level of the engine: it has every guarantee of the stores of the library. It leaves out what a store
may leave out: pauses and schedules, which callers are told.

    python redis_backend.py [CASES…]      starts a Redis server, and runs the library's own suite against the backend

`redis_store/` is the store: rows and their indexes (`rows.py`), transactions (`transaction.py`), and the operations, each a
function of a transaction. docs/writing-a-backend.md says what they must do.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis

import stent
from redis_store import claims, engine, protocol, sweep  # each registers its operations
from redis_store.operations import OPERATIONS
from redis_store.transaction import Database

MODULES = (claims, engine, protocol, sweep)


def open_backend(url: str, prefix: str = "stent:") -> stent.Backend:
    """A backend on the Redis server at an URL, such as unix:///tmp/redis.sock. Those of one prefix share one store."""
    database = Database(url, prefix)

    def answer(operation: str, request: str) -> str | None:
        """Called on threads of the library, several at once."""
        try:
            if operation == "wait_for_work":
                return database.wait_for_changes(request)
            if operation == "close":
                database.close()
                return None
            return database.transact(lambda tx: OPERATIONS[operation](tx, request))
        except redis.RedisError as error:
            raise stent.BackendError(f"{operation}: {error}", retryable=True) from error

    return stent.custom_backend(answer, [*OPERATIONS, "close", "wait_for_work"])


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A Redis server of our own, on a socket in a temporary folder: its URL. What it has acknowledged is on disk."""
    with tempfile.TemporaryDirectory(prefix="stent-redis.") as folder:
        socket = Path(folder) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        try:
            running = subprocess.Popen(["redis-server", *options, *durable], stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            raise SystemExit("redis-server is missing; on Debian: apt-get install redis-server") from None
        try:
            url = f"unix://{socket}"
            _wait_for(url)
            yield url
        finally:
            running.terminate()
            running.wait()


def _wait_for(url: str) -> None:
    end = time.monotonic() + 30
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)


def main(*only: str) -> int:
    with server() as url, open_backend(url) as backend:
        report = backend.check(only=only)
    for case in report["cases"]:
        if case["outcome"] == "passed":
            print(f"  yes   {case['name']}")
        elif case["outcome"] == "not_offered":
            print(f"  -     {case['name']}")
        else:
            print(f"  NO    {case['name']}\n        expected {case['expected']}\n        got      {case['got']}")
            print(f"        at       {case['place']}")
    print(f"{report['passed']} passed, {report['failed']} failed, {report['not_offered']} not offered: level {report['level']}")
    left_out = {case["name"].split("/")[0] for case in report["cases"] if case["outcome"] == "not_offered"}
    return int(report["failed"] > 0 or not left_out <= {"pauses", "schedules", "slots", "slot_limits", "rates", "queue_rates", "unique", "debounces", "fairness", "ageing", "holds"})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
