"""A step in a transaction of the program's own: its record is written by the same connection, in the same commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from . import _json
from ._errors import InvalidError


def check(connection: object) -> None:
    """Before anything is asked of the library."""
    if not callable(getattr(connection, "cursor", None)):
        raise InvalidError(
            f"connection is {connection!r}; it must be an open connection of a DB-API driver, such as psycopg's or sqlite3's"
        )


def run(connection: Any, body: Callable[[Any], Any], token: str, schema: str) -> None:
    """Begins, runs the body, records its result and commits; rolls back whatever goes wrong."""
    lite = isinstance(connection, sqlite3.Connection)
    cursor = connection.cursor()
    try:
        if lite and not connection.in_transaction:
            # The write lock from the beginning: who takes it later may be refused it.
            cursor.execute("BEGIN IMMEDIATE")
        elif not lite and getattr(connection, "autocommit", False) is True:
            cursor.execute("BEGIN")
        result = _json.dumps(body(connection))
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
