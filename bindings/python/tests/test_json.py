"""Payloads come back as what they were."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import pytest

import stent
from stent import _json, sync

MARKED = {"$base64": "b25l"}
VALUES: list[Any] = [
    None,
    True,
    0,
    -(2**63),
    2**80,
    0.1,
    "",
    "ünïcödé \U0001f600 \" \\ \n",
    [],
    {},
    {"a": [1, {"b": None}]},
    b"",
    b"\x00\xff not text",
    # Bytes, whatever they spell.
    b"123",
    b'{"a":1}',
    b"null",
    b'{"$base64":"b25l"}',
    [b"in a list", {"and": b"in a dict"}],
    MARKED,
    [MARKED, {"in": MARKED}],
    {"$base64": MARKED},
    {"$base64": {"$base64": MARKED}},
    [b"1", {"$base64": MARKED}],
    {"$base64": "no base64"},
    {"$base64": 5},
    # What only Python has.
    (1, "two", (b"3",)),
    {1: "a", (2, 3): "b", None: "c"},
    {"$py": ["tuple", [1]]},
    {"$py": {"$base64": "b25l"}},
    {"$py": 1, "more": 2},
    [{1, 2}, frozenset(("a",)), set()],
    datetime(2030, 1, 2, 3, 4, 5, 6, timezone.utc),
    datetime(2030, 1, 2),
    [date(2030, 1, 2), time(3, 4), timedelta(days=-1, microseconds=1)],
    Decimal("1.10"),
    UUID(int=7),
    {"in": [{"all": (UUID(int=1), {Decimal(2): b"x"})}, {"$base64": MARKED}]},
    {"$base64": "not the shape", "for": "it has more"},
    # What looks like bytes, with bytes in it.
    {"$base64": b"x"},
    {"$base64": {"$base64": b"x"}},
    [{"in": {"$base64": {"$base64": {"$base64": b""}}}}, b"y", MARKED],
    {"$base64": {"$py": b"x"}},
    {"$py": {"$base64": b"x"}},
    {"$base64": (b"x",)},
    {"$base64": [{"$base64": b"x"}]},
]


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: True is no 1 here, and a tuple no list."""
    return bool(one == other) and repr(one) == repr(other)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_round_trip(value: Any) -> None:
    assert same(_json.loads(_json.dumps(value)), value)
    assert same(_json.loads_records(_json.dumps(value)), value)


class Colour(Enum):
    RED = "red"


class Place(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    id: int
    when: Any


class Model:
    """As pydantic's models are."""

    def __init__(self, n: int) -> None:
        self.n = n

    def model_dump(self, mode: str) -> dict[str, int]:
        assert mode == "json"
        return {"n": self.n}

    @classmethod
    def model_validate(cls, held: dict[str, int]) -> Model:
        return cls(**held)


@pytest.fixture
def codec() -> Iterator[stent.Codec]:
    """A codec of the test's own."""
    before = stent.codec()
    mine = stent.Codec()
    stent.use_codec(mine)
    yield mine
    stent.use_codec(before)


def test_classes_that_were_registered(store: str, codec: stent.Codec) -> None:
    for kind in (Colour, Place, Order, Model):
        codec.register(kind)
    codec.register(complex, name="complex", write=lambda value: [value.real, value.imag], read=lambda held: complex(*held))
    with pytest.raises(TypeError, match="how is a object written"):
        codec.register(object)
    with sync.Executor(store) as executor, executor.worker(plain):
        given = [Colour.RED, Place(1, 2), Order(7, datetime(2030, 1, 2, tzinfo=timezone.utc)), 1 + 2j]
        assert same(executor.dispatch(plain, given).result(30), given)
        assert executor.dispatch(plain, Model(3)).result(30).n == 3
        execution = executor.dispatch(plain, Colour.RED)
        assert execution.result(30) is Colour.RED
        # Who does not know the class is told so; pages are read.
        stent.use_codec(stent.Codec())
        with pytest.raises(stent.InvalidError, match="no class 'Colour' is registered here"):
            execution.result(30)
        assert execution.state()["result"] == {"$py": ["Colour", "red"]}
        assert len(executor.list()) == 3


def test_a_codec_of_ones_own(store: str, codec: stent.Codec) -> None:
    class Loud(stent.Codec):
        def dumps(self, value: Any) -> str:
            return super().dumps(value.upper() if isinstance(value, str) else value)

    stent.use_codec(Loud())
    with sync.Executor(store) as executor, executor.worker(plain):
        assert executor.dispatch(plain, "quiet").result(30) == "QUIET"


@stent.activity
def echo(value: Any, *, named: Any) -> Any:
    return [value, named]


@stent.activity
def plain(value: Any) -> Any:
    return value


def test_through_the_library(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(echo, plain):
        echoed = executor.dispatch_many(echo.bind(value, named=value) for value in VALUES)
        assert same([execution.result(30) for execution in echoed], [[value, value] for value in VALUES])
        plainly = executor.dispatch_many(plain.bind(value) for value in VALUES)
        assert same([execution.result(30) for execution in plainly], VALUES)


@stent.durable
def says(ctx: sync.Context, value: Any) -> Any:
    ctx.state_set("said", value)
    ctx.progress(value)
    return [ctx.call(plain, value), ctx.step("step", lambda: value), ctx.wait_signal("go")]


@pytest.mark.parametrize("value", [value for value in VALUES if isinstance(value, bytes)], ids=repr)
def test_bytes_wherever_they_go(store: str, value: bytes) -> None:
    with sync.Executor(store) as executor, executor.worker(says, plain):
        execution = executor.dispatch(says, value)
        execution.signal("go", value)
        assert execution.result(30) == [value] * 3
        state = execution.state()
        assert state["args"] == [value] and state["result"] == [value] * 3
        assert state["state_values"] == {"said": value}
        assert value in [entry["detail"] for entry in state["progress"]]


def test_a_record_with_bytes_can_be_written_back(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(plain):
        for value in (b"123", {"in": b"x"}, MARKED, (1, {2: UUID(int=3)}), datetime(2030, 1, 2, tzinfo=timezone.utc)):
            execution = executor.dispatch(plain, value)
            assert execution.result(30) == value
            record = executor.backend.call("get_execution", execution_id=execution.id)
            assert record["result"] == value
            executor.backend.call("update_execution", execution=record)
            (task,) = executor.backend.call("list_tasks_for_execution", execution_id=execution.id)
            executor.backend.call("update_task", task=task)
            assert execution.state()["result"] == value and execution.state()["args"] == [value]


def test_a_class_under_the_key_of_bytes(codec: stent.Codec) -> None:
    class Tint(str, Enum):
        RED = "b25l"

    class Key(bytes):
        pass

    class Raw(bytes, Enum):
        ONE = b"1"

    for unknown in (Tint.RED, Raw.ONE):
        with pytest.raises(TypeError, match="has no place in JSON"):
            _json.dumps({"$base64": unknown})
    codec.register(Tint)
    codec.register(Raw)
    codec.register(Key, write=bytes, read=Key)
    for value in (Tint.RED, Raw.ONE, Key(b"x")):
        for given in (value, {"$base64": value}, {"$base64": {"$base64": value}}):
            assert same(_json.loads(_json.dumps(given)), given)
    assert type(_json.loads(_json.dumps(Key(b"x")))) is Key


def test_plain_subclasses_come_back_plain() -> None:
    class Name(str):
        pass

    for value, kind in ((OrderedDict(a=1), dict), (defaultdict(list, a=[1]), dict), (Name("x"), str), (Name("b25l"), str)):
        for given in (value, {"$base64": value}):
            back = _json.loads(_json.dumps(given))
            assert back == given
            assert type(back if given is value else back["$base64"]) is kind


def test_what_is_no_json_says_so() -> None:
    for value in (object(), Order(1, "unregistered"), Colour.RED, Place(1, 2)):
        with pytest.raises(TypeError, match="has no place in JSON"):
            _json.dumps([value])
    with pytest.raises(ValueError):
        _json.dumps(math.nan)


def test_options_hold_times_and_durations() -> None:
    when = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    text = _json.dumps_options({"created_after": when, "timeout": timedelta(minutes=1.5)}, {"raw": b"x"})
    assert text == '{"created_after":"2030-01-02T03:04:05+00:00","timeout":90.0,"kwargs":{"raw":{"$base64":"eA=="}}}'
    with pytest.raises(ValueError, match="time zone"):
        _json.dumps_options({"created_after": datetime(2030, 1, 2)})
    with pytest.raises(stent.InvalidError, match="^options: "):
        _json.dumps_options({"rate": {"limit": 1, "period": math.nan}})
    with pytest.raises(stent.InvalidError, match="^options: "):
        _json.dumps_options({"unique_key": "\ud800"})
