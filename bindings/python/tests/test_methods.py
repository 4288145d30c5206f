"""Methods of objects as activities."""

from __future__ import annotations

import pytest

import stent
from stent import sync
from stent.testing import sync_worker, worker

from .hosts import PATIENCE, Host


class Mailer:
    def __init__(self, sender: str) -> None:
        self.sender = sender

    @stent.activity
    async def send(self, to: str) -> str:
        return f"{self.sender} to {to}"

    @stent.activity(name="mailer.count")
    def count(self, *letters: str) -> int:
        return len(letters)


class Postman:
    @stent.activity
    def send(self, to: str) -> str:
        return f"by hand to {to}"


@stent.durable
async def invites(ctx: stent.Context, who: list[str]) -> list[str]:
    assert await ctx.call(Mailer.count, *who) == len(who)
    return await ctx.map(Mailer.send.options(timeout="5s"), who)


async def test_a_method_is_an_activity_of_its_object(store: str) -> None:
    mailer = Mailer("ada")
    async with worker(mailer.send, mailer.count, invites, store=store) as executor:
        execution = await executor.dispatch(invites, ["bo", "cy"])
        assert await execution.result(PATIENCE) == ["ada to bo", "ada to cy"]
        assert await (await executor.dispatch(mailer.send, "di")).result(PATIENCE) == "ada to di"
        # The same object's again: nothing new.
        executor.register(mailer.send)
        with pytest.raises(stent.ConflictError, match=r"Mailer\.send"):
            executor.register(Mailer("bo").send)
        with pytest.raises(stent.InvalidError, match="register that of an object"):
            executor.register(Mailer.send)  # type: ignore[arg-type]
    assert await mailer.send("eve") == "ada to eve"


def test_on_threads(store: str) -> None:
    """Methods of one name of two classes are two functions."""

    @stent.durable
    def flow(ctx: sync.Context) -> list[object]:
        return [ctx.call(Postman.send, "bo"), ctx.call(Mailer.count, "a", "b")]

    with sync_worker(Postman().send, Mailer("ada").count, flow, store=store) as executor:
        assert executor.dispatch(flow).result(PATIENCE) == ["by hand to bo", 2]
        assert executor.dispatch("Postman.send", "cy").result(PATIENCE) == "by hand to cy"


async def test_a_method_that_was_no_activity(host: Host) -> None:
    class Plain:
        def greet(self, name: str) -> str:
            return f"hello, {name}"

    greet = stent.activity(Plain().greet)
    async with host.running(greet) as (executor, _):
        execution = await executor.dispatch(greet, "ada")
        assert await execution.result(PATIENCE) == "hello, ada"
