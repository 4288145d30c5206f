"""The binding's own helper of a step in a transaction, with Python's own SQLite, on either kind of handler."""

import asyncio
import contextlib
import sqlite3
import sys

import stent
from stent import sync

path, library = sys.argv[1:]


def connect(timeout=60, factory=sqlite3.Connection):
    db = sqlite3.connect(path, timeout=timeout, check_same_thread=False, factory=factory)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?, 'stent_sqlite_init')", [library])
    return db


def insert(amount):
    def body(db):
        db.execute("INSERT INTO transfers VALUES (?)", [amount])
        if amount < 0:
            raise stent.Failure("Refused", "no such amount", retryable=False)
        return {"booked": amount}

    return body


tried = []


@stent.durable
def on_threads(ctx: sync.Context, amount: int) -> object:
    tried.append(amount)
    with contextlib.closing(connect()) as db:
        booked = ctx.transaction("book", db, insert(amount))
    ctx.sleep(0.01)
    return booked


@stent.durable
async def on_a_loop(ctx: stent.Context, amount: int) -> object:
    with contextlib.closing(connect()) as db:
        booked = await ctx.transaction("book", db, insert(amount), key="one")
    await ctx.sleep(0.01)
    return booked


class Contended(sqlite3.Connection):
    """Another connection has the write lock when the transaction is begun, and gives it back when that has failed."""

    is_free = True

    def cursor(self, *args):
        if not self.is_free:
            self.is_free = True
            host.execute("BEGIN IMMEDIATE")
        return super().cursor(*args)

    def rollback(self):
        host.rollback()
        super().rollback()


@stent.durable
def contended(ctx: sync.Context, attempts: int) -> object:
    with contextlib.closing(connect(timeout=0, factory=Contended)) as db:
        db.is_free = False
        return ctx.transaction("book", db, insert(7), attempts=attempts)


@stent.durable
async def on_its_loops_thread(ctx: stent.Context) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        await ctx.transaction("book", db, insert(8))


def transfers():
    return host.execute("SELECT amount FROM transfers ORDER BY amount").fetchall()


def is_refused(why):
    assert why.failure["type"] == "Refused", why


sync.Executor(path).close()
host = connect()
host.execute("CREATE TABLE transfers (amount INTEGER)")
host.commit()
with sync.Executor(path) as executor, executor.worker(on_threads):
    assert executor.dispatch(on_threads, 5).result(60) == {"booked": 5}
    try:
        executor.dispatch(on_threads, -1).result(60)
        raise AssertionError("it is not refused")
    except stent.FailedError as why:
        is_refused(why)
assert tried.count(5) > 1, "it has run again from the top"
assert transfers() == [(5,)], transfers()
with sync.Executor(path) as executor, executor.worker(contended):
    assert executor.dispatch(contended, 2).result(60) == {"booked": 7}
    try:
        executor.dispatch(contended, 1).result(60)
        raise AssertionError("it is not refused")
    except stent.FailedError as why:
        assert "database is locked" in why.failure["message"], why
assert transfers() == [(5,), (7,)], transfers()


async def main():
    async with stent.Executor(path) as executor, executor.worker(on_a_loop, on_its_loops_thread):
        assert await (await executor.dispatch(on_a_loop, 6)).result(60) == {"booked": 6}
        try:
            await (await executor.dispatch(on_a_loop, -1)).result(60)
            raise AssertionError("it is not refused")
        except stent.FailedError as why:
            is_refused(why)
        try:
            await (await executor.dispatch(on_its_loops_thread)).result(60)
            raise AssertionError("another thread uses its connection")
        except stent.FailedError as why:
            assert "check_same_thread=False" in why.failure["message"], why


asyncio.run(main())
assert transfers() == [(5,), (6,), (7,)], transfers()
print("good")
