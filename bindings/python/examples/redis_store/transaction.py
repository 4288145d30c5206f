"""Transactions on Redis.

There is no lock that a dead process could keep. Every commit raises one version, and every transaction watches it: what
was read is put together with what is written by MULTI and EXEC, which Redis refuses if anybody has committed in between;
then the transaction is run again. So transactions are as if one came after the other, reads included, a crash leaves all
or nothing, and of those that meet one always gets through. The engine is written in Python rather than in Lua, because
JSON in Redis's Lua turns every number into a double.
"""

from __future__ import annotations

import heapq
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import redis

from .rows import Row, Sequence

R = TypeVar("R", bound=Row)
T = TypeVar("T")

NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def text_of(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"


def after(time: str, seconds: float) -> str:
    start = datetime.fromisoformat(time)
    try:
        return text_of(start + timedelta(seconds=seconds))
    except OverflowError:
        return text_of(NEVER)


def key_of(member: str) -> str:
    return member.rsplit("\t", 1)[1]


class Transaction:
    """What one operation reads and writes. Rows are the same objects until its end; `put` says that one has changed."""

    def __init__(self, pipe: Any, prefix: str) -> None:
        self._pipe = pipe
        self._prefix = prefix
        seconds, micros = pipe.time()
        self.now = text_of(datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros))
        """The clock by which leases, timers and expiry are judged: the server's."""
        self._last_time = self.now
        self._rows: dict[tuple[str, str], Row | None] = {}
        self._entries: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self._changed: set[tuple[str, str]] = set()
        self._added: dict[str, set[str]] = defaultdict(set)
        self._removed: dict[str, set[str]] = defaultdict(set)
        self._hints: dict[str, list[str]] = {}

    # Rows.

    def get(self, kind: type[R], key: str) -> R | None:
        return self.get_all(kind, [key])[0]

    def get_all(self, kind: type[R], keys: list[str]) -> list[R | None]:
        unknown = [key for key in keys if (kind.table, key) not in self._rows]
        if unknown:
            for key, text in zip(unknown, self._pipe.hmget(f"{self._prefix}rows:{kind.table}", unknown), strict=True):
                row = None if text is None else msgspec.json.decode(text, type=kind)
                self._rows[kind.table, key] = row
                self._entries[kind.table, key] = set(row.entries()) if row else set()
        return [self._rows[kind.table, key] for key in keys]  # type: ignore[misc]  # the table has rows of this kind

    def put(self, row: Row) -> None:
        if (row.table, row.key) not in self._rows:
            # What is replaced leaves its indexes.
            self.get(type(row), row.key)
        self._write(row.table, row.key, row, set(row.entries()))

    def drop(self, row: Row) -> None:
        self._write(row.table, row.key, None, set())

    def _write(self, table: str, key: str, row: Row | None, entries: set[tuple[str, str]]) -> None:
        before = self._entries.get((table, key), set())
        for index, member in before - entries:
            self._added[index].discard(member)
            self._removed[index].add(member)
        for index, member in entries - before:
            self._removed[index].discard(member)
            self._added[index].add(member)
        self._rows[table, key], self._entries[table, key] = row, entries
        self._changed.add((table, key))

    # Indexes.

    def walk(self, index: str, above: str = "", below: str | None = None) -> Iterator[str]:
        """The members of an index in order, from `above` on (without it) up to `below` (without it)."""
        added = sorted(member for member in self._added[index] if above < member and (below is None or member < below))
        stored = self._walk_stored(index, above, below)
        return heapq.merge(stored, added) if added else stored

    def _walk_stored(self, index: str, above: str, below: str | None) -> Iterator[str]:
        start, size = f"({above}" if above else "-", 8
        while True:
            page = self._pipe.zrangebylex(self._prefix + index, start, f"({below}" if below else "+", 0, size)
            for raw in page:
                member = raw.decode()
                if member not in self._removed[index] and member not in self._added[index]:
                    yield member
            if len(page) < size:
                return
            start, size = f"({page[-1].decode()}", min(4 * size, 4096)

    def find(self, index: str, above: str = "", below: str | None = None) -> list[str]:
        """The keys of the rows that are in an index, in its order."""
        return [key_of(member) for member in self.walk(index, above, below)]

    def rows(self, kind: type[R], index: str, above: str = "", below: str | None = None) -> list[R]:
        return [row for row in self.get_all(kind, self.find(index, above, below)) if row is not None]

    def first(self, kind: type[R], index: str) -> R | None:
        member = next(self.walk(index), None)
        return None if member is None else self.get(kind, key_of(member))

    def newest(self, index: str, offset: int, limit: int) -> list[str]:
        """Keys from an index's end backwards."""
        wanted = offset + limit + len(self._removed[index])
        stored = self._pipe.zrevrangebylex(self._prefix + index, "+", "-", 0, wanted) if wanted else []
        members = {raw.decode() for raw in stored} - self._removed[index] | self._added[index]
        return [key_of(member) for member in sorted(members, reverse=True)[offset : offset + limit]]

    def count(self, index: str, above: str = "") -> int:
        stored = int(self._pipe.zlexcount(self._prefix + index, f"({above}" if above else "-", "+"))
        if not self._added[index] and not self._removed[index]:
            return stored
        return sum(1 for _ in self.walk(index, above))

    # Time and numbers.

    def after(self, seconds: float) -> str:
        return after(self.now, seconds)

    def since(self, time: str | None) -> float:
        """Seconds; 0 for none."""
        passed = datetime.fromisoformat(self.now) - datetime.fromisoformat(time or self.now)
        return max(0.0, passed.total_seconds())

    def next_time(self) -> str:
        """A time for what is created now, later than that of what was created before in this transaction."""
        time, self._last_time = self._last_time, after(self._last_time, 1e-6)
        return time

    def next_number(self) -> int:
        sequence = self.get(Sequence, "last") or Sequence()
        sequence.last += 1
        self.put(sequence)
        return sequence.last

    # Hints, which go out with the commit.

    def hint_work(self) -> None:
        self._hints["work"] = []

    def hint(self, what: str, id: str) -> None:
        """ended, cancelling, lost, arrived."""
        self._hints.setdefault(what, []).append(id)

    def hint_due(self, time: str) -> None:
        self._hints["due"] = [min([time, *self._hints.get("due", [])])]

    def _notices(self) -> list[Any]:
        told: dict[str, Any] = dict(self._hints)
        if "work" in told:
            told["work"] = {"served": None}
        if "due" in told:
            wait = datetime.fromisoformat(told["due"][0]) - datetime.fromisoformat(self.now)
            told["due"] = max(0.0, wait.total_seconds())
        return [{kind: what} for kind, what in told.items()]

    def commit(self, version: str, channel: str) -> None:
        """Raises `WatchError` if anybody has committed since this began."""
        pipe, prefix = self._pipe, self._prefix
        pipe.multi()
        for table, key in self._changed:
            row = self._rows[table, key]
            if row is None:
                pipe.hdel(f"{prefix}rows:{table}", key)
            else:
                pipe.hset(f"{prefix}rows:{table}", key, msgspec.json.encode(row))
        for index, members in self._added.items():
            if members:
                pipe.zadd(prefix + index, dict.fromkeys(members, 0))
        for index, members in self._removed.items():
            if members:
                pipe.zrem(prefix + index, *members)
        if self._changed:
            pipe.incr(version)
        else:
            pipe.exists(version)
        notices = self._notices()
        if notices:
            pipe.publish(channel, json.dumps(notices))
        pipe.execute()


class Database:
    """Runs transactions, one after the other in this process, beside those of others."""

    def __init__(self, url: str, prefix: str) -> None:
        connect: Any = redis.Redis.from_url  # it is typed in part
        self._client = connect(url)
        self._prefix = prefix
        self._version, self._channel = f"{prefix}version", f"{prefix}changes"
        # Those of one process would only make each other begin again.
        self._lock = threading.Lock()
        self._changes = self._client.pubsub(ignore_subscribe_messages=True)
        self._changes.subscribe(self._channel)
        self._listening = threading.Lock()
        self._is_closing = False

    def transact(self, work: Callable[[Transaction], T]) -> T:
        with self._lock, self._client.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(self._version)
                    tx = Transaction(pipe, self._prefix)
                    answer = work(tx)
                    tx.commit(self._version, self._channel)
                    return answer
                except redis.WatchError:
                    continue

    def wait_for_changes(self, request: str) -> str:
        """A list of hints as JSON, as soon as there are some; an empty one when the time is up."""
        timeout: float = json.loads(request)["timeout"]
        with self._listening:
            message = self._changes.get_message(timeout=0 if self._is_closing else timeout)
        return message["data"].decode() if message else "[]"

    def close(self) -> None:
        self._is_closing = True
        # Whoever waits is woken, and waits no more.
        self._client.publish(self._channel, "[]")
        with self._listening:
            self._changes.close()
        self._client.close()
