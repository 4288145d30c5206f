"""Every line of ../../scenarios.md, on both stores, by both kinds of host."""

from __future__ import annotations

import asyncio
import inspect
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import stent

from .hosts import PATIENCE, Host, lines, until

DECLINED = {
    "type": "CardDeclined",
    "message": "the card 42 was declined",
    "code": "card_declined",
    "details": {"card": "42"},
}


async def test_hello(host: Host) -> None:
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.hello", "ada")
        assert await execution.result(PATIENCE) == "hello, ada"


async def test_sequence(host: Host) -> None:
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.sequence", 100)
        assert await execution.result(PATIENCE) == 115
        tasks = await asyncio.to_thread(executor.backend.call, "list_tasks_for_execution", execution_id=execution.id)
        kinds = [task["kind"] for task in tasks if task["state"] == "completed"]
        assert kinds == ["orchestrator", *["activity"] * 5]


async def test_fan_out(host: Host) -> None:
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.fan_out", 50)
        assert await execution.result(PATIENCE) == 42925


async def test_race(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "race"
    async with host.running() as (executor, _):
        call = await executor.dispatch("python.race", "greet", ["ada"], "1h")
        sleep = await executor.dispatch("python.race", "until_cancelled", [str(file)], "3s")
        assert await call.result(PATIENCE) == {"winner": "call", "result": "hello, ada"}
        assert await sleep.result(PATIENCE) == {"winner": "sleep"}
        await until(lambda: lines(file) == ["started", "cancelled"])


async def test_sleep(host: Host) -> None:
    async with host.running() as (executor, worker):
        execution = await executor.dispatch("python.sleeper", "3s")
        async with asyncio.timeout(PATIENCE):
            while not ((await execution.state())["state"] == "running" and (await worker.status())["running"] == 0):
                await asyncio.sleep(0.01)
        times = await execution.result(PATIENCE)
        began, woke = (datetime.fromisoformat(times[key]) for key in ("began", "woke"))
        assert woke - began >= timedelta(seconds=3)


async def test_signals(host: Host) -> None:
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.inbox", 3)
        for n, id in ((1, "a"), (2, "b"), (2, "b"), (3, None)):
            await execution.signal("message", {"n": n}, id=id)
        assert await execution.result(PATIENCE) == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_retry(host: Host) -> None:
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.retried", 2)
        assert await execution.result(PATIENCE) == 3


async def test_snooze(host: Host) -> None:
    async with host.running() as (executor, _):
        began = time.monotonic()
        execution = await executor.dispatch("python.put_off")
        assert await execution.result(PATIENCE) == [1, [1, 2]]
        assert time.monotonic() - began >= 1


async def test_failure(host: Host) -> None:
    async with host.running() as (executor, _):
        caught = await executor.dispatch("python.purchase", "42", True)
        assert await caught.result(PATIENCE) == DECLINED

        passed = await executor.dispatch("python.purchase", "42", False)
        with pytest.raises(stent.FailedError) as failed:
            await passed.result(PATIENCE)
        assert failed.value.type == "CardDeclined"
        assert failed.value.failure.items() >= {**DECLINED, "retryable": False}.items()

        throws = await executor.dispatch("python.throws")
        with pytest.raises(stent.FailedError) as failed:
            await throws.result(PATIENCE)
        failure = failed.value.failure
        assert (failure["type"], failure["message"]) == ("ValueError", "out of paper")
        assert 'raise ValueError("out of paper")' in (failure["stack"] or "")
        tasks = await asyncio.to_thread(executor.backend.call, "list_tasks_for_execution", execution_id=throws.id)
        assert [(task["state"], task["retries"]) for task in tasks] == [("failed", 0)]

        alive = await executor.dispatch("python.hello", "ada")
        assert await alive.result(PATIENCE) == "hello, ada"


async def test_schedule(host: Host) -> None:
    def hourly(name: str, **more: Any) -> stent.Schedule:
        hello: stent.Function[[str], str] = stent.Function("python.hello")
        return stent.Schedule(name, hello.bind("ada"), cron="0 * * * *", time_zone="Europe/Berlin", **more)

    async with host.client() as client:
        await client.put_schedule(hourly("old", owner="scenarios"))
    async with host.client() as executor:
        declared = executor.declare_schedules("scenarios", [hourly("greeting")], remove_others=True)
        if declared is not None:
            await declared
        async with host.working(executor):
            await check_schedule(executor)


async def result_of(executor: Any, tick: Any) -> Any:
    execution = executor.execution(tick["execution_id"])
    if inspect.isawaitable(execution):
        execution = await execution
    return await execution.result(PATIENCE)


async def check_schedule(executor: Any) -> None:
    async def kept() -> Any:
        (only,) = await executor.schedules(next=2)
        return only

    first = await kept()
    assert (first["name"], first["owner"], first["time_zone"]) == ("greeting", "scenarios", "Europe/Berlin")
    assert len(first["next"]) == 2
    (tick,) = await executor.trigger_schedule("greeting")
    assert tick["state"] == "started"
    assert await result_of(executor, tick) == "hello, ada"

    await executor.pause_schedule("greeting", "enough")
    paused = await kept()
    assert (paused["pause_note"], paused["next"]) == ("enough", [])
    await executor.resume_schedule("greeting")
    assert len((await kept())["next"]) == 2

    at = datetime.fromisoformat(tick["at"])
    ticks = await executor.backfill_schedule("greeting", at - timedelta(hours=3), at, overlap="allow")
    assert len(ticks) == 3
    for tick in ticks:
        assert await result_of(executor, tick) == "hello, ada"
    await executor.delete_schedule("greeting")
    with pytest.raises(stent.NotFoundError):
        await executor.delete_schedule("greeting")


async def test_cancel(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "held"
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.holder", str(file))
        await until(lambda: lines(file) == ["started"])
        await execution.cancel("enough")
        state = await execution.wait(PATIENCE)
        assert (state["state"], state["cancel_reason"]) == ("cancelled", "enough")
        await until(lambda: lines(file) == ["started", "cancelled"])
        with pytest.raises(stent.CancelledError):
            await execution.result(PATIENCE)


async def test_crash(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "marks"
    async with host.client() as executor:
        execution = await executor.dispatch("python.marks", str(file), 5)
        async with host.process() as first:
            await until(lambda: lines(file)[-1:] == ["3"])
            first.process.send_signal(signal.SIGKILL)
            await first.ends()
        Path(f"{file}.go").touch()
        async with host.process():
            assert await execution.result(PATIENCE) == [1, 2, 3, 4, 5]
        assert lines(file) == ["1", "2", "3", "3", "4", "5"]


async def test_idempotent(host: Host, tmp_path: Path) -> None:
    file, other = tmp_path / "once", tmp_path / "other"
    once = stent.Function[[str], list[int]]("python.once").options(idempotency_key="k")
    async with host.running() as (executor, _):
        first = await executor.dispatch(once, str(file))
        second = await executor.dispatch(once, str(file))
        assert first.id == second.id
        with pytest.raises(stent.ConflictError):
            await executor.dispatch(once, str(other))
        assert await first.result(PATIENCE) == [1, 1]
        assert lines(file) == ["paid"]


async def test_counters(host: Host) -> None:
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.ledger", 4)
        state = await execution.wait(PATIENCE)
        assert state["counters"] == {"items": 4, "total": 10}
        assert state["state_values"] == {"last": {"i": 4}}
        said = [entry["detail"] for entry in state["progress"] if isinstance(entry["detail"], dict)]
        assert [detail for detail in said if detail.keys() == {"i"}] == [{"i": i} for i in range(1, 5)]


async def test_bytes(host: Host) -> None:
    async with host.running() as (executor, _):
        execution = await executor.dispatch("python.relay", [["python.reversed", [b"321"]], ["python.reversed", [b"\x00\xff"]]])
        assert await execution.result(PATIENCE) == [b"123", b"\xff\x00"]
        alone = await executor.dispatch("python.reversed", b"}1:\"a\"{")
        assert await alone.result(PATIENCE) == b'{"a":1}'


async def test_drain(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "marks"
    async with host.client() as executor:
        execution = await executor.dispatch("python.marks", str(file), 5)
        async with host.process() as first:
            await until(lambda: lines(file)[-1:] == ["3"])
            first.process.send_signal(signal.SIGTERM)
            await first.says("draining")
            Path(f"{file}.go").touch()
            await first.says("stopped")
            assert await first.ends() == 0
        assert lines(file) == ["1", "2", "3"]
        async with host.process():
            assert await execution.result(PATIENCE) == [1, 2, 3, 4, 5]
        assert lines(file) == ["1", "2", "3", "4", "5"]
        tasks = await asyncio.to_thread(executor.backend.call, "list_tasks_for_execution", execution_id=execution.id)
        assert {task["retries"] for task in tasks} == {0}
