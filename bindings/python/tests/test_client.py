"""What operators do, by calls that block."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import stent
from stent import sync

from .hosts import wait_for


@stent.activity(retry_policy={"max_attempts": 1})
def fails(value: int) -> int:
    raise stent.Failure("Broken", f"no {value}", details={"value": value})


@stent.durable
def parent(ctx: sync.Context, value: int) -> int:
    return ctx.call(fails, value)


@stent.activity(name="fails")
def repaired(value: int) -> int:
    return value


def test_dead_letters_are_replayed(store: str) -> None:
    with sync.Executor(store) as executor:
        with executor.worker(parent, fails):
            broken = executor.dispatch(parent, 7)
            assert broken.wait(30)["state"] == "failed"
        (letter,) = executor.dead_letters(function="fails")
        assert letter["task"]["step_name"] == "fails"
        assert executor.stats()["store"]["dead_letters"] == 1
    with sync.Executor(store) as executor, executor.worker(parent, repaired):
        again = executor.replay_dead_letter(letter["task"]["id"])
        assert again.result(30) == 7
        assert again.state()["replay_of"] == broken.id
        assert executor.dead_letters() == []


def test_dead_letters_are_discarded(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(fails):
        executor.dispatch(fails, 1).wait(30)
        (letter,) = executor.dead_letters()
        executor.discard_dead_letter(letter["task"]["id"])
        assert executor.dead_letters() == []


def test_lists_and_numbers(store: str) -> None:
    with sync.Executor(store) as executor:
        before = datetime.now(timezone.utc) - timedelta(minutes=1)
        started = executor.dispatch_many(fails.options(queue="mail").bind(value) for value in range(5))
        listed = executor.list(state="pending", queue="mail", created_after=before, limit=3)
        assert [record["id"] for record in listed] == [execution.id for execution in reversed(started)][:3]
        assert executor.list(function="parent") == []
        assert 'stent_executions{state="pending"} 5' in executor.prometheus()
        assert executor.backend.call("count_executions", state="pending") == 5


def test_cleanup(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(repaired):
        executor.dispatch(repaired, 1).result(30)
        assert executor.cleanup(older_than="1h") == {"executions": 0, "dead_letters": 0}
        assert executor.cleanup(older_than=timedelta(0)) == {"executions": 1, "dead_letters": 0}


def test_one_key_runs_after_the_other(store: str) -> None:
    free = threading.Event()

    @stent.activity(max_concurrent_per_key=1)
    def imports(customer: str) -> str:
        return customer if free.wait(30) else "late"

    @stent.durable
    def calls(ctx: sync.Context, customer: str) -> str:
        return ctx.call(imports.options(concurrency_key=customer), customer)

    with sync.Executor(store) as executor, executor.worker(imports, calls):
        first = executor.dispatch(imports.options(concurrency_key="ada"), "ada")
        wait_for(lambda: first.state()["state"] == "running")
        second = executor.dispatch(calls, "ada")
        with pytest.raises(stent.TimeoutError, match="'imports' waits for a slot of the key 'ada': 1 of 1 are held"):
            wait_for(lambda: executor.stats()["store"]["waiting_for_slots"] == {"imports": 1})
            second.wait(0.01)
        third = executor.dispatch(imports.options(concurrency_key="bob"), "bob")
        wait_for(lambda: third.state()["state"] == "running")
        free.set()
        assert [one.result(30) for one in (first, second, third)] == ["ada", "ada", "bob"]


def test_one_of_a_unique_key_starts(store: str) -> None:
    free = threading.Event()

    @stent.activity
    def imports(number: int) -> int:
        return number if free.wait(30) else -1

    with sync.Executor(store) as executor, executor.worker(imports):
        nightly = imports.options(unique_key="nightly")
        first = executor.dispatch(nightly, 1)
        wait_for(lambda: first.state()["state"] == "running")
        assert executor.dispatch(nightly, 2).id == first.id
        with pytest.raises(stent.ConflictError, match=f"is taken by execution {first.id}, which is not over") as taken:
            executor.dispatch(nightly.options(unique_existing="refuse"), 3)
        assert taken.value.details["execution_id"] == str(first.id)
        free.set()
        assert first.result(30) == 1
        assert executor.dispatch(nightly.options(unique_for=timedelta(hours=1)), 4).id == first.id
        second = executor.dispatch(nightly, 5)
        assert second.id != first.id and second.result(30) == 5


def test_a_paused_queue_waits(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(repaired):
        executor.pause(queue="mail", reason="the relay is down", by="ann")
        waits = executor.dispatch(repaired.options(queue="mail"), 1)
        assert executor.dispatch(repaired, 2).result(30) == 2
        with pytest.raises(stent.TimeoutError, match="the queue 'mail' is paused since .* by ann: the relay is down"):
            waits.wait(0)
        (pause,) = executor.pauses()
        assert (pause["queue"], pause["function"], pause["reason"], pause["running"]) == ("mail", None, "the relay is down", 0)
        executor.unpause(queue="mail")
        assert waits.result(30) == 1
        with pytest.raises(stent.NotFoundError, match="is not paused"):
            executor.unpause(queue="mail")
        with pytest.raises(stent.InvalidError, match="neither a queue nor a function"):
            executor.pause(reason="why")


@stent.activity
def hello(name: str) -> str:
    return f"hello, {name}"


def test_schedules_are_declared(store: str) -> None:
    with sync.Executor(store) as executor:
        hourly = stent.Schedule("hourly", hello.bind("ada"), cron="0 * * * *", time_zone="Europe/Berlin")
        executor.declare_schedules("billing", [hourly], remove_others=True)
        with executor.worker(hello):
            (tick,) = executor.trigger_schedule("hourly")
            assert tick["execution_id"] is not None
            assert executor.execution(tick["execution_id"]).result(timeout=10) == "hello, ada"


def test_a_parked_task_is_resumed(store: str) -> None:
    @stent.durable(name="changing")
    def old(ctx: sync.Context) -> str:
        ctx.call(repaired, 1)
        ctx.wait_signal("go")
        return "old"

    @stent.durable(name="changing")
    def new(ctx: sync.Context) -> str:
        ctx.call(repaired, 2)
        return "new"

    with sync.Executor(store) as executor:
        with executor.worker(old, repaired):
            execution = executor.dispatch("changing")
            wait_for(lambda: executor.backend.call("count_tasks", state="waiting") == 2)
    with sync.Executor(store) as executor:
        with executor.worker(new):
            execution = executor.execution(execution.id)
            execution.signal("go")
            wait_for(lambda: executor.stats()["store"]["parked"] == 1)
            (task, *_) = executor.backend.call("list_tasks_for_execution", execution_id=execution.id)
            assert task["error"] is not None and task["error"]["type"] == "Nondeterminism"
    with sync.Executor(store) as executor, executor.worker(old, repaired):
        executor.resume(task["id"])
        assert executor.execution(execution.id).result(30) == "old"


def test_a_store_is_checked() -> None:
    with stent.Backend(":memory:") as backend:
        report = backend.check(only=["records/an_existing_id", "fences/"], timeout=timedelta(seconds=30))
        assert (report["level"], report["failed"], report["not_offered"]) == ("engine", 0, 0)
        assert report["passed"] == len(report["cases"])
        assert report["cases"][0]["name"] == "records/an_existing_id_is_a_conflict"
        assert {case["outcome"] for case in report["cases"]} == {"passed"}
        with pytest.raises(stent.InvalidError, match="nonsense"):
            backend.check(only=["nonsense"])


def test_a_store_in_use_is_copied(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with sync.Executor(str(tmp_path / "store.db")) as executor, executor.worker(repaired):
        execution = executor.dispatch(repaired, 7)
        assert execution.result(30) == 7
        executor.backend.backup(copy)
        with pytest.raises(stent.ConflictError, match="exists already"):
            executor.backend.backup(copy)
    with sync.Executor(str(copy)) as copied:
        assert copied.execution(execution.id).result(30) == 7


def test_with_names_nobody_typed(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(repaired):
        assert executor.dispatch("fails", value=3).result(30) == 3
        with pytest.raises(stent.InvalidError, match="no function of Stent"):
            executor.dispatch(print)  # type: ignore[call-overload]


@stent.activity(name="says")
def old() -> str:
    return "old"


@stent.activity(name="says")
def new() -> str:
    return "new"


def test_a_function_is_taken_back() -> None:
    with sync.Executor(":memory:") as executor, executor.worker(old, queues=["old"]):
        executor.unregister(old)
        with pytest.raises(stent.NotFoundError):
            executor.unregister("says")
        with executor.worker(new, queues=["new"]):
            for queue in ("old", "new", "old"):
                assert executor.dispatch(new.options(queue=queue)).result(30) == queue


async def test_a_worker_that_runs_keeps_what_is_taken_back() -> None:
    async with stent.Executor(":memory:") as executor, executor.worker(old, queues=["old"]):
        executor.unregister("says")
        with pytest.raises(stent.NotFoundError):
            executor.unregister(old)
        async with executor.worker(new, queues=["new"]):
            for queue in ("old", "new", "old"):
                assert await (await executor.dispatch(new.options(queue=queue))).result(30) == queue
