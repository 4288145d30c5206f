"""Values of Python's own classes, and what can't be carried: it is told where it is written, and not tried again."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

import pydantic
import pytest

import stent
from stent import sync
from stent.testing import sync_worker

from .hosts import PATIENCE, Host, lines


class Currency(enum.Enum):
    EURO = "eur"
    YEN = "jpy"


class Flags(enum.IntFlag):
    GIFT = 1
    RUSH = 2


class Item(NamedTuple):
    sku: str
    number: int


@dataclass(frozen=True)
class Price:
    amount: Decimal
    currency: Currency


@dataclass
class Order:
    id: UUID
    items: list[Item]
    price: Price
    at: datetime
    due: date | None = None
    patience: timedelta = timedelta(days=3)
    labels: set[str] = field(default_factory=set)
    flags: Flags = Flags.GIFT


class Address(pydantic.BaseModel):
    street: str
    since: date


class Customer(pydantic.BaseModel):
    name: str
    credit: Decimal
    home: Address


class Opaque:
    """Nobody knows how it is written."""


ORDER = Order(
    UUID(int=7),
    [Item("tea", 2), Item("cup", 1)],
    Price(Decimal("12.50"), Currency.YEN),
    datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    labels={"blue", "fragile"},
    flags=Flags.GIFT | Flags.RUSH,
)
CUSTOMER = Customer(name="Ada", credit=Decimal("1.10"), home=Address(street="Main", since=date(2020, 2, 29)))


@stent.activity
def ship(order: Order, to: Customer | None = None) -> tuple[Order, Customer | None]:
    assert type(order) is Order and type(order.items[0]) is Item and order.price.currency is Currency.YEN
    return order, to


@stent.durable
async def sell(ctx: stent.Context, order: Order, to: Customer) -> dict[str, Any]:
    sent, customer = await ctx.call(ship, order, to=to)
    return {"sent": sent, "customer": customer, "signal": await ctx.wait_signal("go")}


@stent.durable(name="sell")
def sell_too(ctx: sync.Context, order: Order, to: Customer) -> dict[str, Any]:
    sent, customer = ctx.call(ship, order, to=to)
    return {"sent": sent, "customer": customer, "signal": ctx.wait_signal("go")}


@pytest.fixture(autouse=True)
def codec() -> Iterator[stent.Codec]:
    """A codec of the test's own, which knows what every codec does."""
    before, mine = stent.codec(), stent.Codec()
    stent.use_codec(mine)
    yield mine
    stent.use_codec(before)


async def test_codec(host: Host) -> None:
    """What handlers' hints name needs no word of the program's."""
    durable = sell if host.kind == "asyncio" else sell_too
    async with host.running(durable, ship) as (executor, _):
        execution = await executor.dispatch(durable, ORDER, to=CUSTOMER)
        await execution.signal("go", Price(Decimal(1), Currency.EURO))
        result = await execution.result(PATIENCE)
    assert result == {"sent": ORDER, "customer": CUSTOMER, "signal": Price(Decimal(1), Currency.EURO)}
    assert type(result["customer"].home) is Address


def test_two_classes_of_one_name(codec: stent.Codec) -> None:
    def made(name: str) -> type:
        @dataclass
        class Twin:
            n: int

        codec.register(Twin, name=name)
        return Twin

    one, other = made("one"), made("other")
    assert codec.loads(codec.dumps([one(1), other(2)])) == [one(1), other(2)]


def test_a_hint_that_names_what_can_not_be_carried_is_refused_before_anything_runs() -> None:
    @stent.activity
    def gives(n: int) -> Opaque:
        return Opaque()

    @stent.activity
    def takes(of: list[Opaque | None]) -> None: ...

    for handler, what in ((gives, "its result"), (takes, "its parameter of")):
        with pytest.raises(stent.InvalidError, match=f"{what} is a Opaque, which has no place in JSON"):
            with sync_worker(handler):
                pass
    stent.codec().register(Opaque, write=lambda value: None, read=lambda held: Opaque())
    with sync_worker(gives) as executor:
        assert type(executor.dispatch(gives, 1).result(PATIENCE)) is Opaque


def test_hints_that_say_little_are_no_reason_to_refuse() -> None:
    @stent.activity
    def free(
        any: Any, thing: object, word: Literal["a", "b"], path: str | Path, many: Mapping[str, list[tuple[int, ...]]] | None
    ) -> stent.FailureRecord:
        return {"message": word}

    with sync_worker(free) as executor:
        assert executor.dispatch(free, [1], 2, "a", "file", None).result(PATIENCE) == {"message": "a"}


async def test_wrong_types(host: Host, tmp_path: Path) -> None:
    """Told where it is written: to who dispatches before anything is dispatched, in a handler once."""
    file = tmp_path / "runs"

    def ran() -> None:
        with file.open("a") as opened:
            opened.write("ran\n")

    @stent.activity
    def given(value: Any) -> Any:
        ran()
        return Opaque() if value == "result" else value

    @stent.durable(name="asks")
    async def asks(ctx: stent.Context, what: str) -> Any:
        ran()
        if what == "failure":
            raise stent.Failure("Broken", details=Opaque())
        return await ctx.call(given, Opaque())

    @stent.durable(name="asks")
    def asks_too(ctx: sync.Context, what: str) -> Any:
        ran()
        if what == "failure":
            raise stent.Failure("Broken", details=Opaque())
        return ctx.call(given, Opaque())

    async with host.running(given, asks if host.kind == "asyncio" else asks_too) as (executor, _):
        with pytest.raises(stent.UnwritableError, match="a Opaque has no place in JSON") as told:
            await executor.dispatch("given", Opaque())
        assert isinstance(told.value, TypeError) and isinstance(told.value, stent.InvalidError)
        assert await executor.list() == [] and lines(file) == []

        for function, argument in (("given", "result"), ("asks", "call"), ("asks", "failure")):
            file.unlink(missing_ok=True)
            execution = await executor.dispatch(function, argument)
            with pytest.raises(stent.FailedError, match="a Opaque has no place in JSON") as failed:
                await execution.result(PATIENCE)
            assert (failed.value.type, failed.value.failure["retryable"]) == ("UnwritableError", False)
            assert lines(file) == ["ran"], "it is not tried again"

        # Arguments that the function does not take never fit.
        for function in ("given", "asks"):
            file.unlink(missing_ok=True)
            execution = await executor.dispatch(function, 1, 2, 3)
            with pytest.raises(stent.FailedError, match="positional argument") as failed:
                await execution.result(PATIENCE)
            assert (failed.value.type, failed.value.failure["retryable"]) == ("TypeError", False)
            assert lines(file) == []

        alive = await executor.dispatch("given", 7)
        assert await alive.result(PATIENCE) == 7


async def test_an_option_that_is_misused_in_a_handler_is_final(host: Host) -> None:
    runs = []

    @stent.durable(name="misuses")
    async def misuses(ctx: stent.Context) -> Any:
        runs.append(1)
        return await ctx.call(ship.options(tiemout="5s"), ORDER)  # type: ignore[call-overload, call-arg]

    @stent.durable(name="misuses")
    def misuses_too(ctx: sync.Context) -> Any:
        runs.append(1)
        return ctx.call(ship.options(tiemout="5s"), ORDER)  # type: ignore[call-overload, call-arg]

    async with host.running(misuses if host.kind == "asyncio" else misuses_too) as (executor, _):
        execution = await executor.dispatch("misuses")
        with pytest.raises(stent.FailedError, match='did you mean "timeout"') as failed:
            await execution.result(PATIENCE)
        assert (failed.value.type, failed.value.failure["retryable"]) == ("InvalidError", False)
        assert runs == [1]


def test_an_id_of_ones_own_is_no_execution_s() -> None:
    with sync.Executor(":memory:") as executor:
        for ask in (executor.execution("order-7").state, lambda: executor.dispatch(ship.options(id="order-7"), ORDER)):
            with pytest.raises(stent.InvalidError, match="idempotency_key"):
                ask()
