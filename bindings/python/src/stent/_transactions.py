"""A step in a transaction of the program's own: its record is written by the same connection, in the same commit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import _json
from ._errors import InvalidError


def check(connection: object) -> None:
    """Before anything is asked of the library."""
    if not callable(getattr(connection, "cursor", None)):
        raise InvalidError(
            f"connection is {connection!r}; it must be an open connection of a DB-API driver, such as psycopg's or sqlite3's"
        )


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wanted = 0
        self.thread: int | None = None


_turns: dict[int, _Turn] = {}
_guard = threading.Lock()


@contextmanager
def _in_turn(connection: object) -> Iterator[None]:
    """After whoever has come before: a connection has one transaction at a time."""
    with _guard:
        turn = _turns.setdefault(id(connection), _Turn())
        if turn.thread == threading.get_ident():
            raise InvalidError("this connection has a transaction of a step already; take another one for what is within it")
        turn.wanted += 1
    try:
        with turn.lock:
            turn.thread = threading.get_ident()
            try:
                yield
            finally:
                turn.thread = None
    finally:
        with _guard:
            turn.wanted -= 1
            if turn.wanted == 0:
                del _turns[id(connection)]


def run(connection: Any, body: Callable[[Any], Any], token: str, schema: str) -> None:
    """Begins, runs the body, records its result and commits; rolls back whatever goes wrong."""
    with _in_turn(connection):
        _run(connection, body, token, schema)


def _run(connection: Any, body: Callable[[Any], Any], token: str, schema: str) -> None:
    lite = isinstance(connection, sqlite3.Connection)
    cursor = connection.cursor()
    try:
        if lite and not connection.in_transaction:
            # The write lock from the beginning: who takes it later may be refused it.
            cursor.execute("BEGIN IMMEDIATE")
        elif not lite and getattr(connection, "autocommit", False) is True:
            cursor.execute("BEGIN")
        # Where the body has ended the transaction its savepoint is gone, and nothing is recorded without it.
        cursor.execute("SAVEPOINT stent_step")
        result = _json.dumps(body(connection))
        try:
            cursor.execute("RELEASE SAVEPOINT stent_step")
        except Exception as why:
            raise InvalidError(
                "the body has ended the transaction, or what it ran there has failed: it neither commits nor rolls back, so leave "
                f"that to ctx.transaction; the step is not recorded ({why})"
            ) from why
        if lite:
            _record(cursor, token, result)
        else:
            quoted = '"' + schema.replace('"', '""').replace("%", "%%") + '"'
            cursor.execute(f"SELECT {quoted}.record_step(%s, %s)", (token, result))
        # Not by `commit` alone: where the transaction was begun by a statement, some drivers know nothing of it.
        cursor.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    finally:
        cursor.close()


def _record(cursor: sqlite3.Cursor, token: str, result: str) -> None:
    try:
        cursor.execute("SELECT stent_record_step(?, ?)", (token, result)).fetchall()
    except sqlite3.OperationalError as why:
        if "no such function" not in str(why):
            raise
        raise InvalidError(
            "this connection has no stent_record_step: load the library into it first, by enable_load_extension and "
            "load_extension (docs/sql-sqlite.md)"
        ) from why
