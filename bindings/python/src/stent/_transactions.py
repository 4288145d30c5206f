"""A step in a transaction of the program's own: its record is written by the same connection, in the same commit."""

from __future__ import annotations

import inspect
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import _json
from ._errors import InvalidError

ATTEMPTS = 5
"""So often a transaction is begun that the database refuses for others' sake, if nothing else is said."""

# In seconds; each is twice as long as the one before, and up to a half shorter, so that two don't meet again.
_PAUSE_FIRST, _PAUSE_LONGEST = 0.01, 1.0


def check(connection: object, body: object, attempts: int) -> None:
    """Before anything is asked of the library."""
    if not callable(getattr(connection, "cursor", None)):
        raise InvalidError(
            f"connection is {connection!r}; it must be an open connection of a DB-API driver, such as psycopg's or sqlite3's"
        )
    if inspect.iscoroutinefunction(body) or inspect.iscoroutinefunction(getattr(connection, "commit", None)):
        raise _awaits()
    if type(attempts) is not int or attempts < 1:
        raise InvalidError(f"attempts is {attempts!r}; it must be a number of 1 or more")


def _awaits() -> InvalidError:
    return InvalidError(
        "the body of ctx.transaction, and its connection, can't be async: it runs on a thread, where nobody awaits it; give it "
        "a plain function, and a connection such as psycopg.Connection"
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


def run(connection: Any, body: Callable[[Any], Any], token: str, schema: str, attempts: int) -> None:
    """Begins, runs the body, records its result and commits; rolls back whatever goes wrong. What the database refuses for
    others' sake is begun again.
    """
    with _in_turn(connection):
        taken = _is_taken(connection)
        for attempt in range(1, attempts + 1):
            try:
                return _run(connection, body, token, schema)
            except Exception as why:
                if attempt == attempts or not _is_conflict(why):
                    raise
                if taken:
                    raise InvalidError(
                        f"the database has refused the transaction for others' sake ({why}), and it can't be begun again here: it "
                        "was open before ctx.transaction (or its driver does not tell), which knows nothing of what was done in it; "
                        "leave the beginning to ctx.transaction"
                    ) from why
                pause = min(_PAUSE_FIRST * 2 ** (attempt - 1), _PAUSE_LONGEST)
                time.sleep(pause * random.uniform(0.5, 1))


def _is_taken(connection: Any) -> bool:
    """The transaction is the program's, as far as the driver tells: it was begun before."""
    if isinstance(connection, sqlite3.Connection):
        return connection.in_transaction
    # psycopg's, and psycopg2's; 0 is that of no transaction in both.
    told = getattr(getattr(connection, "info", None), "transaction_status", None)
    # Of others it is only known that they have none where each statement is committed by itself.
    return told != 0 if told is not None else getattr(connection, "autocommit", False) is not True


def _is_conflict(why: BaseException | None) -> bool:
    """Is it one that the same transaction may be rid of when it is begun again? As the driver has raised it, or whoever stands
    around it (an ORM, the body) has passed it on.
    """
    while why is not None:
        if isinstance(why, sqlite3.OperationalError):
            code = getattr(why, "sqlite_errorcode", None)  # of Python 3.11 and newer
            if code is not None and code & 0xFF in (5, 6) or "is locked" in str(why):  # SQLITE_BUSY, SQLITE_LOCKED
                return True
        elif _sqlstate(why) in ("40001", "40P01"):
            return True
        why = why.__cause__
    return False


def _sqlstate(why: BaseException) -> object:
    """As psycopg, psycopg2 and pg8000 have it."""
    told = getattr(why, "sqlstate", None) or getattr(why, "pgcode", None)
    if told is None and why.args and isinstance(why.args[0], dict):
        return why.args[0].get("C")
    return told


def _cursor(connection: Any) -> Any:
    try:
        return connection.cursor()
    except sqlite3.ProgrammingError as why:
        if "thread" not in str(why):
            raise
        raise InvalidError(
            "the body of ctx.transaction runs on another thread than the one that has opened this connection, which sqlite3 "
            "refuses: open it by sqlite3.connect(…, check_same_thread=False)"
        ) from why


def _run(connection: Any, body: Callable[[Any], Any], token: str, schema: str) -> None:
    lite = isinstance(connection, sqlite3.Connection)
    cursor = _cursor(connection)
    try:
        if lite and not connection.in_transaction:
            # The write lock from the beginning: who takes it later may be refused it.
            cursor.execute("BEGIN IMMEDIATE")
        elif not lite and getattr(connection, "autocommit", False) is True:
            cursor.execute("BEGIN")
        # Where the body has ended the transaction its savepoint is gone, and nothing is recorded without it.
        cursor.execute("SAVEPOINT stent_step")
        given = body(connection)
        if inspect.iscoroutine(given):
            given.close()
            raise _awaits()
        result = _json.dumps(given)
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
            _record_in(schema, cursor, token, result)
        # Not by `commit` alone: where the transaction was begun by a statement, some drivers know nothing of it.
        cursor.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    finally:
        cursor.close()


def _record_in(schema: str, cursor: Any, token: str, result: str) -> None:
    quoted = '"' + schema.replace('"', '""').replace("%", "%%") + '"'
    try:
        # The work has been done in the transaction, which was seen just before; some work is to look at nothing.
        cursor.execute(f"SELECT {quoted}.record_step(%s, %s) FROM txid_current()", (token, result))
    except Exception as why:
        if _sqlstate(why) not in ("3F000", "42883"):  # no such schema, no such function
            raise
        raise InvalidError(
            f'there is no store in the schema "{schema}" of this connection\'s database ({str(why).splitlines()[0]}): give '
            'ctx.transaction the schema of the store\'s URL, as schema="…", and a connection to the same database'
        ) from why


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
