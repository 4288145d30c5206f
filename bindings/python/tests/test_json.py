"""Payloads come back as what they were."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

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
    {"$base64": "not the shape", "for": "it has more"},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_round_trip(value: Any) -> None:
    assert _json.loads(_json.dumps(value)) == value


@stent.activity
def echo(value: Any, *, named: Any) -> Any:
    return [value, named]


@stent.activity
def plain(value: Any) -> Any:
    return value


def test_through_the_library(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(echo, plain):
        echoed = executor.dispatch_many(echo.bind(value, named=value) for value in VALUES)
        assert [execution.result(30) for execution in echoed] == [[value, value] for value in VALUES]
        plainly = executor.dispatch_many(plain.bind(value) for value in VALUES)
        assert [execution.result(30) for execution in plainly] == VALUES


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
        for value in (b"123", {"in": b"x"}, MARKED):
            execution = executor.dispatch(plain, value)
            assert execution.result(30) == value
            record = executor.backend.call("get_execution", execution_id=execution.id)
            assert record["result"] == value
            executor.backend.call("update_execution", execution=record)
            (task,) = executor.backend.call("list_tasks_for_execution", execution_id=execution.id)
            executor.backend.call("update_task", task=task)
            assert execution.state()["result"] == value and execution.state()["args"] == [value]


def test_what_is_no_json_says_so() -> None:
    with pytest.raises(TypeError, match="a set has no place in JSON"):
        _json.dumps({1, 2})
    with pytest.raises(ValueError):
        _json.dumps(math.nan)


def test_options_hold_times_and_durations() -> None:
    when = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    text = _json.dumps_options({"created_after": when, "timeout": timedelta(minutes=1.5)}, {"raw": b"x"})
    assert text == '{"created_after":"2030-01-02T03:04:05+00:00","timeout":90.0,"kwargs":{"raw":{"$base64":"eA=="}}}'
    with pytest.raises(ValueError, match="time zone"):
        _json.dumps_options({"created_after": datetime(2030, 1, 2)})
