"""Handlers on threads of the library."""

from __future__ import annotations

import contextvars
import gc
import sys
from pathlib import Path
from typing import Any

import pytest

import stent
from stent import sync
from stent.sync._worker import working

from .hosts import lines, wait_for

ONCE: stent.FunctionOptions = {"retry_policy": {"max_attempts": 1}}


@stent.activity
def double(n: int) -> int:
    return 2 * n


def run(store: str, function: stent.Handler[..., Any], *args: Any, **options: Any) -> Any:
    with sync.Executor(store) as executor, executor.worker(function, double, **options):
        return executor.dispatch(function, *args).result(30)


def failure(store: str, function: stent.Handler[..., Any], *args: Any) -> stent.FailureRecord:
    with pytest.raises(stent.FailedError) as raised:
        run(store, function, *args)
    return raised.value.failure


def test_a_map_a_step_and_values_that_stay(store: str, tmp_path: Path) -> None:
    runs = []

    @stent.durable
    def workflow(ctx: sync.Context) -> list[int]:
        runs.append((ctx.uuid(), ctx.random().random(), ctx.now() is not None))
        first = ctx.map(double, [1, 2, 3])
        seen: Any = ctx.step("seen", lambda: {"tuple": (1, 2)})
        assert seen == {"tuple": (1, 2)}
        ctx.sleep(0.01)
        return [*first, ctx.call(double, 4)]

    assert run(store, workflow) == [2, 4, 6, 8]
    assert len(runs) > 1 and len(set(runs)) == 1


def test_a_cancelled_function_cleans_up(store: str) -> None:
    said: list[Any] = []
    begun: list[int] = []

    @stent.activity
    def refund() -> None:
        said.append("refund")

    @stent.durable(cleanup="5m")
    def order(ctx: sync.Context) -> None:
        begun.append(1)
        try:
            ctx.wait_signal("never")
        except stent.CancelledError:
            ctx.call(refund)
            said.append(ctx.info["cleanup"])
            raise

    with sync.Executor(store) as executor, executor.worker(order, refund) as worker:
        execution = executor.dispatch(order)
        wait_for(lambda: bool(begun) and worker.status()["held"] == 0)
        execution.cancel("enough")
        assert execution.wait(30)["state"] == "cancelled"
    assert said == ["refund", True]


def test_a_step_that_fails_is_recorded(store: str) -> None:
    ran = []

    @stent.durable
    def workflow(ctx: sync.Context) -> str:
        def look() -> None:
            ran.append(1)
            raise KeyError("k")

        try:
            ctx.step("look", look)
        except stent.FailedError as error:
            ctx.sleep(0.01)
            return error.type
        return "it went well"

    assert run(store, workflow) == "KeyError"
    assert len(ran) == 1


def test_finally_runs_at_a_suspension_and_nothing_durable_comes_of_it(store: str, tmp_path: Path) -> None:
    file = tmp_path / "cleaned"

    @stent.activity
    def clean() -> None:
        with file.open("a") as opened:
            opened.write("clean\n")

    @stent.durable
    def workflow(ctx: sync.Context) -> str:
        try:
            ctx.sleep(0.05)
        finally:
            ctx.call(clean)
        return "done"

    with sync.Executor(store) as executor, executor.worker(workflow, clean):
        assert executor.dispatch(workflow).result(30) == "done"
    assert lines(file) == ["clean"]


def test_a_swallowed_suspension_still_suspends(store: str) -> None:
    @stent.durable
    def workflow(ctx: sync.Context) -> str:
        try:
            ctx.sleep(0.05)
        except BaseException:
            return "swallowed"
        return "slept"

    assert run(store, workflow) == "slept"


def test_it_continues_with_new_arguments(store: str) -> None:
    @stent.durable
    def countdown(ctx: sync.Context, n: int) -> str:
        ctx.sleep(0.001)
        if n > 0:
            ctx.continue_with(n - 1)
        return "liftoff"

    assert run(store, countdown, 3) == "liftoff"


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("base")])
def test_whatever_it_raises_the_host_lives(store: str, raised: BaseException) -> None:
    @stent.activity(**ONCE)
    def bad() -> None:
        raise raised

    failed = failure(store, bad)
    assert failed["type"] == type(raised).__name__
    assert "raise raised" in (failed["stack"] or "")


def test_an_exception_that_can_not_be_told(store: str) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @stent.activity(**ONCE)
    def bad() -> None:
        raise Mute

    assert failure(store, bad)["message"] == "(its __str__ raised RuntimeError)"


def test_a_message_that_is_no_unicode(store: str) -> None:
    @stent.activity(**ONCE)
    def bad() -> None:
        raise ValueError("file \udcff")

    assert failure(store, bad)["message"] == "file ?"


def test_a_result_that_is_no_json(store: str) -> None:
    @stent.activity(**ONCE)
    def bad() -> object:
        return [object()]

    assert failure(store, bad)["type"] == "UnwritableError"


def test_wrong_arguments(store: str) -> None:
    with sync.Executor(store) as executor, executor.worker(double):
        wrong: stent.Function[..., Any] = stent.Function("double")
        execution = executor.dispatch(wrong.options(retry_policy=ONCE["retry_policy"]), 1, 2)
        with pytest.raises(stent.FailedError, match="takes 1 positional argument but 2 were given"):
            execution.result(30)


def test_a_failure_that_was_caught_and_raised_again_is_the_childs(store: str) -> None:
    @stent.activity(**ONCE)
    def bad(name: str) -> None:
        raise stent.Failure(name, name.lower())

    @stent.durable
    def workflow(ctx: sync.Context) -> None:
        caught: list[stent.FailedError] = []
        for name in ("First", "Second"):
            try:
                ctx.call(bad, name)
            except stent.FailedError as error:
                caught.append(error)
        raise caught[0]

    with sync.Executor(store) as executor, executor.worker(workflow, bad):
        with pytest.raises(stent.FailedError) as raised:
            executor.dispatch(workflow).result(30)
        assert (raised.value.type, raised.value.failure["message"]) == ("First", "first")


def test_heartbeats_are_there_at_the_next_attempt(store: str) -> None:
    @stent.activity(retry_policy={"max_attempts": 3, "initial_delay": "1ms"})
    def counts() -> Any:
        task = stent.current()
        if task.attempt < 3:
            task.heartbeat({"came_to": task.attempt})
            raise RuntimeError("again")
        return task.info["heartbeat"]

    assert run(store, counts) == {"came_to": 2}


def test_context_variables_do_not_leak(store: str) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @stent.activity
    def sets(n: int) -> int:
        before = variable.get()
        variable.set(n)
        return before

    with sync.Executor(store) as executor, executor.worker(sets, max_concurrency=1):
        assert [executor.dispatch(sets, n).result(30) for n in (1, 2, 3)] == [0, 0, 0]
    with pytest.raises(RuntimeError, match="no activity"):
        stent.current()


def test_an_async_function_needs_an_event_loop(store: str) -> None:
    @stent.activity
    async def awaits() -> None: ...

    with sync.Executor(store) as executor, pytest.raises(stent.InvalidError, match=r"stent\.Executor"):
        executor.register(awaits)


def test_what_is_registered_is_given_back(store: str) -> None:
    # Of its own: another test's may still be on its way to be given back.
    @stent.activity
    def twice(n: int) -> int:
        return 2 * n

    def given() -> int:
        return sys.getrefcount(twice)

    before = given()
    executor = sync.Executor(store)
    with executor.worker(twice):
        assert given() > before
        assert executor.dispatch(twice, 1).result(30) == 2
    executor.close()
    del executor
    wait_for(lambda: given() == before)


def test_a_worker_that_the_program_forgets_runs_on(store: str) -> None:
    with sync.Executor(store) as executor:
        executor.worker(double, worker_id="forgotten").start()
        gc.collect()
        assert executor.dispatch(double, 1).result(30) == 2
        (worker,) = (worker for worker in working if worker.status()["worker_id"] == "forgotten")
        worker.stop()
        assert worker not in working


def test_the_worker_says_what_it_does(store: str) -> None:
    with sync.Executor(store) as executor:
        worker = executor.worker(double, max_concurrency=3)
        with pytest.raises(stent.ClosedError, match="has not been started"):
            worker.status()
        with worker:
            status = worker.status()
            assert (status["state"], status["slots"], status["functions"]) == ("ready", 3, ["double"])
            with pytest.raises(stent.TimeoutError):
                worker.wait("stopped", timeout=0.05)
        assert worker.status()["state"] == "stopped"
