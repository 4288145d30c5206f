"""A step in a transaction of the program's own, on either kind of handler: its rows and its record are there together. Here on
PostgreSQL; on SQLite it is tests/sqlite_extension, as not every Python's sqlite3 loads extensions.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import stent
from stent import sync

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)

class Bank:
    """A store with a table of the program's own, and the program's own connections to it."""

    def __init__(self, store: str) -> None:
        self.store = store
        sync.Executor(self.store).close()
        self.server, _, options = store.partition("?")
        self.schema = options.partition("schema=")[2].partition("&")[0]
        self.table = f"{self.schema}.transfers"
        self.run(f"CREATE TABLE {self.table} (amount INTEGER)")

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server)

    def run(self, sql: str) -> Any:
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.execute(sql)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows

    def insert(self, amount: int) -> Callable[[Any], dict[str, int]]:
        def body(connection: Any) -> dict[str, int]:
            connection.execute(f"INSERT INTO {self.table} VALUES ({amount})")
            if amount < 0:
                raise stent.Failure("Refused", "no such amount", retryable=False)
            return {"booked": amount}

        return body


# As docs/sql.md shows it.

server, schema = "", ""


@stent.durable
def withdraw(ctx: sync.Context, account: int, amount: int) -> int:
    def book(bank: psycopg.Connection[Any]) -> int:
        sql = "UPDATE accounts SET balance = balance - %s WHERE number = %s RETURNING balance"
        row = bank.execute(sql, (amount, account)).fetchone()
        assert row is not None, "there is no such account"
        return int(row[0])

    with psycopg.connect(server) as bank:
        left = ctx.transaction("book", bank, book, schema=schema)
    ctx.sleep(0.01)
    return left


def test_the_pages_function(bank: Bank) -> None:
    global server, schema
    server, schema = f"{bank.server}?options=-csearch_path%3D{bank.schema}", bank.schema
    bank.run(f"CREATE TABLE {schema}.accounts AS SELECT 7 AS number, 100 AS balance")
    with sync.Executor(bank.store) as executor, executor.worker(withdraw):
        assert executor.dispatch(withdraw, 7, 30).result(60) == 70
    assert bank.run(f"SELECT balance FROM {schema}.accounts") == [(70,)]


@pytest.fixture
def bank(store: str) -> Bank:
    return Bank(store)


def test_on_threads(bank: Bank) -> None:
    tried = []

    @stent.durable
    def transfer(ctx: sync.Context, amount: int) -> Any:
        tried.append(amount)
        with contextlib.closing(bank.connect()) as connection:
            booked = ctx.transaction("book", connection, bank.insert(amount), schema=bank.schema)
        ctx.sleep(0.01)
        return booked

    with sync.Executor(bank.store) as executor, executor.worker(transfer):
        assert executor.dispatch(transfer, 5).result(60) == {"booked": 5}
        with pytest.raises(stent.FailedError) as refused:
            executor.dispatch(transfer, -1).result(60)
    assert refused.value.failure["type"] == "Refused"
    assert bank.run(f"SELECT amount FROM {bank.table}") == [(5,)]
    assert tried.count(5) > 1, "it has run again from the top"


async def test_on_an_event_loop(bank: Bank) -> None:
    @stent.durable
    async def transfer(ctx: stent.Context, amount: int) -> Any:
        with contextlib.closing(bank.connect()) as connection:
            booked = await ctx.transaction("book", connection, bank.insert(amount), key="one", schema=bank.schema)
        await ctx.sleep(0.01)
        return booked

    async with stent.Executor(bank.store) as executor, executor.worker(transfer):
        assert await (await executor.dispatch(transfer, 5)).result(60) == {"booked": 5}
        with pytest.raises(stent.FailedError) as refused:
            await (await executor.dispatch(transfer, -1)).result(60)
    assert refused.value.failure["type"] == "Refused"
    assert bank.run(f"SELECT amount FROM {bank.table}") == [(5,)]


def test_what_is_no_connection_is_refused_before_it_is_a_step(bank: Bank) -> None:
    @stent.durable
    def transfer(ctx: sync.Context) -> str:
        for wrong in (None, bank.server):
            with pytest.raises(stent.InvalidError, match="it must be an open connection"):
                ctx.transaction("book", wrong, lambda _: 1)
        with contextlib.closing(bank.connect()) as connection:
            return str(ctx.transaction("book", connection, lambda _: 2, schema=bank.schema))

    with sync.Executor(bank.store) as executor, executor.worker(transfer):
        assert executor.dispatch(transfer).result(60) == "2"


def test_what_has_ended_the_transaction_is_not_recorded(bank: Bank) -> None:
    @stent.durable
    def transfer(ctx: sync.Context, how: str) -> str:
        def body(connection: Any) -> str:
            bank.insert(1)(connection)
            getattr(connection, how)()
            return how

        with contextlib.closing(bank.connect()) as connection:
            return ctx.transaction("book", connection, body, schema=bank.schema)

    with sync.Executor(bank.store) as executor, executor.worker(transfer):
        for how in ("rollback", "commit"):
            with pytest.raises(stent.FailedError, match="has ended the transaction"):
                executor.dispatch(transfer, how).result(60)


async def test_two_at_once_on_one_connection_wait_for_each_other(bank: Bank) -> None:
    rounds = 10

    @stent.durable
    async def transfer(ctx: stent.Context, number: int) -> list[Any]:
        def fails(connection: Any) -> None:
            bank.insert(1_000 + number)(connection)
            raise stent.Failure("Refused", "no", retryable=False)

        with contextlib.closing(bank.connect()) as connection:
            good = ctx.transaction("debit", connection, bank.insert(number), key="debit", schema=bank.schema)
            bad = ctx.transaction("fee", connection, fails, key="fee", schema=bank.schema)
            done = await asyncio.gather(good, bad, return_exceptions=True)
            return [done[0] if isinstance(done[0], dict) else str(done[0]), type(done[1]).__name__]

    async with stent.Executor(bank.store) as executor, executor.worker(transfer):
        for number in range(rounds):
            told = await (await executor.dispatch(transfer, number)).result(60)
            assert told == [{"booked": number}, "FailedError"]
    assert bank.run(f"SELECT amount FROM {bank.table} ORDER BY amount") == [(number,) for number in range(rounds)]


def test_a_durable_call_within_a_transaction_is_refused(bank: Bank) -> None:
    @stent.durable
    def transfer(ctx: sync.Context) -> None:
        with contextlib.closing(bank.connect()) as connection:
            ctx.transaction("book", connection, lambda _: ctx.sleep(0.01), schema=bank.schema)

    with sync.Executor(bank.store) as executor, executor.worker(transfer):
        with pytest.raises(stent.FailedError, match="the transaction of operation 1 is open"):
            executor.dispatch(transfer).result(60)


def raises(executor: sync.Executor, function: Any, match: str, *args: Any) -> stent.FailedError:
    with pytest.raises(stent.FailedError, match=match) as refused:
        executor.dispatch(function, *args).result(60)
    return refused.value


def test_what_the_database_refuses_for_others_sake_is_begun_again(bank: Bank) -> None:
    bank.run(f"INSERT INTO {bank.table} VALUES (1)")
    bodies = []

    @stent.durable
    def transfer(ctx: sync.Context, how: str, attempts: int) -> Any:
        def body(connection: Any) -> int:
            bodies.append(how)
            connection.execute(f"SELECT amount FROM {bank.table}").fetchall()
            if bodies.count(how) == 1:
                # Another one commits first.
                bank.run(f"UPDATE {bank.table} SET amount = amount + 10")
            connection.execute(f"UPDATE {bank.table} SET amount = amount + 100")
            return len(bodies)

        with contextlib.closing(bank.connect()) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            if how == "taken":
                connection.execute("SELECT 1")
            return ctx.transaction("book", connection, body, schema=bank.schema, attempts=attempts)

    with sync.Executor(bank.store) as executor, executor.worker(transfer):
        assert executor.dispatch(transfer, "again", 2).result(60) == 2
        assert bank.run(f"SELECT amount FROM {bank.table}") == [(111,)]
        once = raises(executor, transfer, "could not serialize access", "once", 1)
        assert once.failure["type"] == "SerializationFailure"
        raises(executor, transfer, "was open before ctx.transaction", "taken", 5)
        raises(executor, transfer, "attempts is 0", "none", 0)
    assert bodies == ["again", "again", "once", "taken"]
    assert bank.run(f"SELECT amount FROM {bank.table}") == [(131,)], "what was refused has changed nothing"


def test_a_deadlock_is_begun_again(bank: Bank) -> None:
    bank.run(f"INSERT INTO {bank.table} VALUES (1), (2)")
    bodies = []

    def lock(connection: Any, amount: int) -> None:
        connection.execute(f"SELECT FROM {bank.table} WHERE amount = {amount} FOR UPDATE")

    @stent.durable
    def transfer(ctx: sync.Context) -> Any:
        with contextlib.closing(bank.connect()) as other, contextlib.closing(bank.connect()) as connection:
            # The first to look who waits for whom is the one that is ended.
            connection.execute("SET deadlock_timeout = '10ms'")
            connection.commit()
            other.execute("SET deadlock_timeout = '1h'")
            waits = threading.Thread(target=lock, args=(other, 2))

            def body(connection: Any) -> int:
                bodies.append(1)
                if len(bodies) == 2:
                    waits.join()
                    other.rollback()
                lock(connection, 2)
                if len(bodies) == 1:
                    lock(other, 1)
                    waits.start()
                    asks = f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = {other.info.backend_pid}"
                    while not bank.run(asks):
                        pass
                lock(connection, 1)
                return len(bodies)

            return ctx.transaction("book", connection, body, schema=bank.schema)

    with sync.Executor(bank.store) as executor, executor.worker(transfer):
        assert executor.dispatch(transfer).result(60) == 2


def test_what_a_step_can_t_be_is_said(bank: Bank) -> None:
    @stent.durable
    def transfer(ctx: sync.Context, how: str) -> Any:
        async def body(_: Any) -> int:
            return 1

        with contextlib.closing(bank.connect()) as connection:
            if how == "async":
                return ctx.transaction("book", connection, body, schema=bank.schema)
            if how == "gives a coroutine":
                return ctx.transaction("book", connection, lambda _: body(_), schema=bank.schema)
            if how == "nothing":
                return ctx.transaction("book", connection, lambda _: None, schema=bank.schema)
            return ctx.transaction("book", connection, lambda _: 1, schema=how)

    @stent.durable
    def nested(ctx: sync.Context) -> None:
        with contextlib.closing(bank.connect()) as connection:
            ctx.step("outer", lambda: ctx.transaction("book", connection, bank.insert(1), schema=bank.schema))

    with sync.Executor(bank.store) as executor, executor.worker(transfer, nested):
        for how in ("async", "gives a coroutine"):
            raises(executor, transfer, "can't be async", how)
        for how in (bank.schema + "x", "public"):
            raises(executor, transfer, f'no store in the schema "{how}"', how)
        # What does nothing in the database is a step all the same.
        assert executor.dispatch(transfer, "nothing").result(60) is None
        raises(executor, nested, "a durable operation within a step: operation 1 has not ended")
    assert bank.run(f"SELECT amount FROM {bank.table}") == []
