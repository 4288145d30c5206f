"""A step in a transaction of the program's own, on either kind of handler: its rows and its record are there together."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stent
from stent import sync

LIBRARY = str(Path(os.environ["STENT_LIB_DIR"]) / "libstent.so")


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.enable_load_extension(True)
    connection.execute("SELECT load_extension(?, 'stent_sqlite_init')", [LIBRARY])
    return connection


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "stent.db"
    sync.Executor(path).close()
    with contextlib.closing(connect(path)) as connection:
        connection.execute("CREATE TABLE transfers (amount INTEGER)")
        yield connection


def transfers(bank: sqlite3.Connection) -> list[tuple[int]]:
    return bank.execute("SELECT amount FROM transfers").fetchall()


def insert(amount: int) -> Any:
    def body(connection: sqlite3.Connection) -> dict[str, int]:
        connection.execute("INSERT INTO transfers VALUES (?)", [amount])
        if amount < 0:
            raise stent.Failure("Refused", "no such amount", retryable=False)
        return {"booked": amount}

    return body


def test_on_threads(tmp_path: Path, bank: sqlite3.Connection) -> None:
    tried = []

    @stent.durable
    def transfer(ctx: sync.Context, amount: int) -> Any:
        tried.append(amount)
        with contextlib.closing(connect(tmp_path / "stent.db")) as connection:
            booked = ctx.transaction("book", connection, insert(amount))
        ctx.sleep(0.01)
        return booked

    with sync.Executor(tmp_path / "stent.db") as executor, executor.worker(transfer):
        assert executor.dispatch(transfer, 5).result(timeout=60) == {"booked": 5}
        with pytest.raises(stent.FailedError) as refused:
            executor.dispatch(transfer, -1).result(timeout=60)
    assert refused.value.failure["type"] == "Refused"
    assert transfers(bank) == [(5,)]
    assert tried.count(5) > 1, "it has run again from the top"


async def test_on_an_event_loop(tmp_path: Path, bank: sqlite3.Connection) -> None:
    @stent.durable
    async def transfer(ctx: stent.Context, amount: int) -> Any:
        with contextlib.closing(connect(tmp_path / "stent.db")) as connection:
            booked = await ctx.transaction("book", connection, insert(amount), key="one")
        await ctx.sleep(0.01)
        return booked

    async with stent.Executor(tmp_path / "stent.db") as executor, executor.worker(transfer):
        execution = await executor.dispatch(transfer, 5)
        assert await execution.result(timeout=60) == {"booked": 5}
        execution = await executor.dispatch(transfer, -1)
        with pytest.raises(stent.FailedError) as refused:
            await execution.result(timeout=60)
    assert refused.value.failure["type"] == "Refused"
    assert transfers(bank) == [(5,)]
