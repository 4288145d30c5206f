"""The blocks of the documents that are no whole program, as they stand there: README.md, and docs/metrics.md's page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import stent
from stent import sync

from .hosts import PATIENCE


class Connection:
    def __init__(self) -> None:
        self.delivered: list[str] = []

    async def deliver(self, to: str) -> bool:
        self.delivered.append(to)
        return True


class Mailer:
    def __init__(self, smtp: Connection) -> None:
        self.smtp = smtp

    @stent.activity
    async def send(self, to: str) -> bool:  # its name is "Mailer.send"
        return await self.smtp.deliver(to)


@stent.durable
async def invite(ctx: stent.Context, to: str) -> bool:
    return await ctx.call(Mailer.send, to)  # whichever worker has an object of it


async def test_a_method_is_an_activity(store: str) -> None:
    smtp = Connection()
    async with stent.Executor(store) as executor:
        async with executor.worker(Mailer(smtp).send, invite):  # this object's code runs
            execution = await executor.dispatch(invite, "ada")
            assert await execution.result(PATIENCE)
    assert smtp.delivered == ["ada"]


Row = tuple[str, int]


class Database:
    def __init__(self) -> None:
        self.rows: list[Row] = []

    async def insert(self, rows: list[Row]) -> list[int | Exception]:
        self.rows.extend(rows)
        return [ValueError("too many") if count > 9 else count for _, count in rows]


database = Database()


@stent.batch(size=500, wait=0.05)  # seconds that the first call waits for others
async def store(rows: list[Row]) -> list[int | Exception]:
    return await database.insert(rows)  # for each row its number, or why not


async def test_many_calls_at_once(tmp_path: Path) -> None:
    async with stent.Executor(tmp_path / "stent.db") as executor, executor.worker(store, max_concurrency=500):
        good, bad = await executor.dispatch_many([store.bind(("ink", 3)), store.bind(("paper", 10))])
        assert await good.result(PATIENCE) == 3
        await bad.cancel()
    assert ("ink", 3) in database.rows


@stent.activity
async def charge_card(order: int) -> str:
    return f"receipt {order}"


@stent.durable
async def hurried(ctx: stent.Context, order: int) -> str:
    charge = ctx.call(charge_card, order)
    done, _ = await asyncio.wait((charge, ctx.sleep("30s")), return_when=asyncio.FIRST_COMPLETED)
    return charge.result() if charge in done else "late"


async def test_asyncio_is_as_it_is_there(store: str) -> None:
    async with stent.Executor(store) as executor, executor.worker(charge_card, hurried):
        assert await (await executor.dispatch(hurried, 7)).result(PATIENCE) == "receipt 7"


@stent.activity
async def greet(name: str) -> dict[str, str]:
    return {"hello": name}


@stent.activity(name="greet")
def says(name: str) -> str:
    return f"hello, {name}"


def test_on_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    greet = says

    @stent.durable
    def welcome(ctx: sync.Context, name: str) -> str:
        greeting = ctx.call(greet, name)
        ctx.sleep("500ms")
        return greeting

    with sync.Executor("hello.db") as executor, executor.worker(greet, welcome):
        print(executor.dispatch(welcome, "world").result(timeout=10))

    assert capsys.readouterr().out == "hello, world\n"


@stent.durable
async def welcome(ctx: stent.Context, name: str) -> dict[str, str]:
    return await ctx.call(greet, name)


async def test_welcome() -> None:
    async with stent.testing.worker(greet, welcome) as executor:
        execution = await executor.dispatch(welcome, "ada")
        assert await execution.result(timeout=10) == {"hello": "ada"}


async def test_a_page_of_metrics(store: str) -> None:
    port = 0
    async with stent.Executor(store) as executor:

        async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = (await executor.prometheus()).encode()
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(page, "127.0.0.1", port)

        async with server:
            where = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*where)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
            said = (await reader.read()).decode()
            writer.close()
    assert said.startswith("HTTP/1.1 200 OK\r\n") and 'stent_executions{state="pending"} 0' in said
