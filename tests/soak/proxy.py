"""Stands between the store's clients and their PostgreSQL server, and cuts where it hurts most: after a COMMIT was sent,
before its answer came. Runs on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Relay:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    doomed: bool = False

    def cut(self) -> None:
        for writer in (self.client, self.server):
            if writer.transport:
                writer.transport.abort()


@dataclass
class Proxy:
    target: int
    port: int = 0
    # The answers to so many more COMMITs get lost; so many more COMMITs don't get to the server.
    lose: int = 0
    swallow: int = 0
    # How late everything is, in seconds.
    delay: float = 0
    relays: set[Relay] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._listen())
        ready.set()
        self.loop.run_forever()

    async def _listen(self) -> None:
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.listener.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        relay = Relay(writer, to_server)
        self.relays.add(relay)
        try:
            await asyncio.gather(self._ask(relay, reader), self._answer(relay, from_server))
        except OSError:
            pass
        finally:
            relay.cut()
            self.relays.discard(relay)

    async def _ask(self, relay: Relay, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 16):
            await self.speaks.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            if b"COMMIT" in data:
                if self.swallow:
                    self.swallow -= 1
                    break
                if self.lose:
                    self.lose -= 1
                    relay.doomed = True
            relay.server.write(data)
            await relay.server.drain()
        relay.cut()

    async def _answer(self, relay: Relay, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 16):
            await self.speaks.wait()
            # The server has answered, so the COMMIT is done.
            if relay.doomed:
                break
            relay.client.write(data)
            await relay.client.drain()
        relay.cut()

    def _cut_all(self) -> None:
        for relay in list(self.relays):
            relay.cut()

    def _do(self, work: Callable[[], object]) -> None:
        self.loop.call_soon_threadsafe(work)

    def lose_commits(self, count: int) -> None:
        self.lose = count

    def swallow_commits(self, count: int) -> None:
        self.swallow = count

    def cut_all(self) -> None:
        self._do(self._cut_all)

    def stall(self) -> None:
        self._do(self.speaks.clear)

    def heal(self) -> None:
        self.lose = self.swallow = 0
        self.delay = 0
        self._do(self.speaks.set)

    def turn_to(self, port: int) -> None:
        self.target = port
        self.cut_all()

    def close(self) -> None:
        self._do(self.listener.close)
        self.cut_all()
        # The relays notice that they are cut.
        self._do(lambda: self.loop.call_later(0.2, self.loop.stop))
