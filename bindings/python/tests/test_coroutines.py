"""Handlers on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import time
from pathlib import Path
from typing import Any

import pytest

import stent

from .hosts import PATIENCE, lines, until, wait_for

ONCE: stent.FunctionOptions = {"retry_policy": {"max_attempts": 1}}


@stent.activity
async def double(n: int) -> int:
    return 2 * n


@stent.activity(**ONCE)
async def fails(message: str) -> None:
    raise ValueError(message)


async def run(store: str, function: stent.Handler[..., Any], *args: Any, **options: Any) -> Any:
    async with stent.Executor(store) as executor:
        async with executor.worker(function, double, fails, **options):
            return await (await executor.dispatch(function, *args)).result(PATIENCE)


async def failure(store: str, function: stent.Handler[..., Any], *args: Any) -> stent.FailureRecord:
    with pytest.raises(stent.FailedError) as raised:
        await run(store, function, *args)
    return raised.value.failure


# Suspended is not failed.


async def test_an_eviction_runs_finally_and_nothing_durable_comes_of_it(store: str, tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "cleaned"

    @stent.activity
    async def clean() -> None:
        file.open("a").write("clean\n")

    @stent.durable
    async def workflow(ctx: stent.Context) -> str:
        try:
            try:
                await ctx.sleep(0.05)
            except Exception:
                said.append("an exception")
                raise
            finally:
                await asyncio.sleep(0.05)
                said.append("it went on")
        finally:
            said.append("finally")
            await ctx.call(clean)
        return "done"

    async with stent.Executor(store) as executor, executor.worker(workflow, clean, max_coroutines=0):
        assert await (await executor.dispatch(workflow)).result(PATIENCE) == "done"
    # Dropped at the first sleep, at the second, and in the call; then run to its end.
    assert said.count("it went on") == 2 and said.count("finally") >= 3 and "an exception" not in said
    assert lines(file) == ["clean"]


async def test_nothing_of_a_coroutine_runs_while_it_waits(store: str) -> None:
    said: list[str] = []

    @stent.durable
    async def workflow(ctx: stent.Context) -> None:
        said.append("begin")
        try:
            await ctx.wait_signal("go")
            await ctx.sleep(0.01)
        finally:
            said.append("finally")

    async with stent.Executor(store) as executor, executor.worker(workflow):
        execution = await executor.dispatch(workflow)
        await execution.signal("go")
        await execution.result(PATIENCE)
    assert said == ["begin", "finally"]


async def test_a_drain_lets_others_go_on(store: str) -> None:
    began: list[str] = []

    @stent.durable
    async def workflow(ctx: stent.Context) -> str:
        began.append("run")
        name: str = await ctx.wait_signal("go")
        return name

    async with stent.Executor(store) as executor:
        async with executor.worker(workflow):
            execution = await executor.dispatch(workflow)
            await until(lambda: began == ["run"])
        async with executor.worker(workflow):
            await execution.signal("go", "second")
            assert await execution.result(PATIENCE) == "second"
        tasks = await executor.backend_call("list_tasks_for_execution", execution_id=execution.id)
        assert {task["retries"] for task in tasks} == {0}
    assert began == ["run", "run"]


# Cancelled is cancelled, as asyncio has it.


async def test_cancel_reaches_coroutines(store: str) -> None:
    said: list[str] = []

    @stent.activity
    async def endless() -> None:
        said.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("activity")
            raise

    @stent.durable
    async def workflow(ctx: stent.Context) -> None:
        def block() -> None:
            said.append("step")
            time.sleep(0.3)

        step = ctx.step("step", block)
        try:
            await asyncio.gather(ctx.call(endless), step)
        except asyncio.CancelledError:
            said.append("durable")
            with pytest.raises(stent.Error):
                await ctx.call(endless)
            raise

    async with stent.Executor(store) as executor, executor.worker(workflow, endless):
        execution = await executor.dispatch(workflow)
        await until(lambda: "begun" in said or "step" in said)
        await execution.cancel()
        assert (await execution.wait(PATIENCE))["state"] == "cancelled"
        await until(lambda: "durable" in said)
        assert await executor.list(state="cancelled") != []


async def test_a_workflow_that_waits_is_told_of_its_cancellation(store: str) -> None:
    said: list[str] = []

    @stent.durable
    async def workflow(ctx: stent.Context) -> None:
        try:
            await asyncio.gather(ctx.wait_signal("never"), ctx.sleep("1h"))
        except asyncio.CancelledError:
            said.append("cancelled")
            raise
        finally:
            said.append("finally")

    async with stent.Executor(store) as executor, executor.worker(workflow) as worker:
        execution = await executor.dispatch(workflow)
        async with asyncio.timeout(PATIENCE):
            while (await executor.backend_call("count_tasks", state="waiting")) == 0 or (await worker.status())["running"]:
                await asyncio.sleep(0.01)
        await execution.cancel("enough")
        assert (await execution.wait(PATIENCE))["state"] == "cancelled"
        await until(lambda: said == ["cancelled", "finally"])


async def until_idle(executor: stent.Executor, worker: stent.Worker, waiting: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await executor.backend_call("count_tasks", state="waiting")) != waiting or (await worker.status())["running"]:
            await asyncio.sleep(0.01)


# With no coroutine in memory it waits as rows, as after a crash.
@pytest.mark.parametrize("coroutines", [0, 100])
async def test_a_cancelled_workflow_cleans_up(store: str, coroutines: int) -> None:
    said: list[Any] = []

    @stent.activity
    async def refund(what: str) -> str:
        said.append(what)
        return what

    @stent.durable(cleanup="5m")
    async def workflow(ctx: stent.Context) -> None:
        try:
            async with asyncio.TaskGroup() as group, asyncio.timeout(3600):
                group.create_task(asyncio.sleep(3600))
                await ctx.wait_signal("never")
        except asyncio.CancelledError:
            said.append(("cancelled", ctx.info["cleanup"]))
            async with asyncio.timeout(3600):
                await asyncio.sleep(0.05)
            raise
        finally:
            # It runs at each eviction too, and nothing durable comes of it then.
            await asyncio.gather(ctx.call(refund, "money"), ctx.call(refund, "goods"))
            said.append("finally")

    async with (
        stent.Executor(store) as executor,
        executor.worker(workflow, refund, max_coroutines=coroutines) as worker,
    ):
        execution = await executor.dispatch(workflow)
        await until_idle(executor, worker, 4)
        await execution.cancel("enough")
        ended = await execution.wait(PATIENCE)
        assert (ended["state"], ended["cancel_reason"]) == ("cancelled", "enough")
    assert [word for word in said if isinstance(word, str)] in (["money", "goods", "finally"], ["goods", "money", "finally"])
    assert ("cancelled", True) in said and ("cancelled", False) not in said


async def test_a_cleanup_is_told_by_what_it_asks_for_first(store: str) -> None:
    said: list[str] = []
    go = asyncio.Event()

    @stent.activity
    async def refund() -> None:
        said.append("refund")

    @stent.durable(cleanup="5m")
    async def workflow(ctx: stent.Context) -> None:
        async def child() -> None:
            await ctx.step("step", go.wait)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
        except asyncio.CancelledError:
            await ctx.call(refund)
            said.append("refunded")
            raise

    async with stent.Executor(store) as executor, executor.worker(workflow, refund) as worker:
        execution = await executor.dispatch(workflow)
        async with asyncio.timeout(PATIENCE):
            while not (await worker.status())["running"]:
                await asyncio.sleep(0.01)
        await execution.cancel()
        go.set()
        assert (await execution.wait(PATIENCE))["state"] == "cancelled"
    assert said == ["refund", "refunded"]


async def test_an_attempt_that_takes_too_long_is_told(store: str) -> None:
    said: list[str] = []

    # Long enough for it to begin.
    @stent.activity(timeout="2s", retry_policy={"max_attempts": 1})
    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("told")
            raise

    failed = await failure(store, endless)
    assert "Timeout" in failed["type"] or "TIMEOUT" in failed["type"]
    await until(lambda: said == ["told"])


# The program lives on, whatever its handlers do.


@pytest.mark.parametrize("raised", [SystemExit(3), GeneratorExit(), BaseException("base"), asyncio.CancelledError()])
@pytest.mark.parametrize("kind", ["activity", "durable", "thread"])
async def test_whatever_it_raises_the_host_lives(store: str, kind: str, raised: BaseException) -> None:
    @stent.activity(**ONCE, name="bad")
    async def bad_activity() -> None:
        raise raised

    @stent.activity(**ONCE, name="bad")
    def bad_thread() -> None:
        raise raised

    @stent.durable(**ONCE, name="bad")
    async def bad_durable(ctx: stent.Context) -> None:
        await ctx.sleep(0)
        raise raised

    bad = {"activity": bad_activity, "durable": bad_durable, "thread": bad_thread}[kind]
    failed = await failure(store, bad)
    assert failed["type"] == type(raised).__name__


async def test_what_waits_for_nothing_durable_fails(store: str) -> None:
    @stent.durable(**ONCE)
    async def stuck(ctx: stent.Context) -> None:
        await asyncio.Event().wait()

    failed = await failure(store, stuck)
    assert failed["type"] == "Deadlock" and "no durable operation" in failed["message"]


@pytest.mark.parametrize("what", ["to_thread", "open_connection", "create_subprocess_exec"])
async def test_the_world_outside_is_refused(store: str, what: str) -> None:
    @stent.durable(**ONCE)
    async def reaches_out(ctx: stent.Context) -> None:
        arguments: dict[str, tuple[Any, ...]] = {
            "to_thread": (print,),
            "open_connection": ("127.0.0.1", 1),
            "create_subprocess_exec": ("true",),
        }
        await getattr(asyncio, what)(*arguments[what])

    failed = await failure(store, reaches_out)
    assert failed["type"] == "RuntimeError" and "ctx.step()" in failed["message"]


async def test_durable_operations_elsewhere_are_refused(store: str) -> None:
    @stent.durable(**ONCE)
    async def workflow(ctx: stent.Context) -> str:
        async def nested() -> None:
            await asyncio.sleep(0.05)
            await ctx.call(double, 1)

        try:
            await ctx.step("step", nested)
        except stent.FailedError as error:
            return f"{error.type}: {error.failure['message']}"
        return "it was allowed"

    assert (await run(store, workflow)).startswith("InvalidError: a durable operation belongs into the durable function")


async def test_wrong_arguments_and_results(store: str) -> None:
    @stent.durable(**ONCE)
    async def durable(ctx: stent.Context, n: int) -> Any:
        return [n, object()]

    @stent.activity(**ONCE)
    async def activity(n: int) -> Any:
        return [n, object()]

    for function in (durable, activity):
        assert (await failure(store, function, 1))["type"] == "UnwritableError"
        assert "positional argument" in (await failure(store, function))["message"]


async def test_a_code_that_does_not_fit_is_parked_and_said(store: str) -> None:
    @stent.durable(name="changing")
    async def old(ctx: stent.Context) -> str:
        await ctx.call(double, 1)
        await ctx.wait_signal("go")
        return "old"

    @stent.durable(name="changing")
    async def new(ctx: stent.Context) -> str:
        await ctx.call(double, 2)
        return "new"

    async with stent.Executor(store) as executor, executor.worker(old, double):
        execution = await executor.dispatch("changing")
        async with asyncio.timeout(PATIENCE):
            while await executor.backend_call("count_tasks", state="waiting") < 2:
                await asyncio.sleep(0.01)
    async with stent.Executor(store) as executor, executor.worker(new, double):
        await executor.execution(execution.id).signal("go")
        async with asyncio.timeout(PATIENCE):
            while (await executor.stats())["store"]["parked"] == 0:
                await asyncio.sleep(0.01)
        tasks = await executor.backend_call("list_tasks_for_execution", execution_id=execution.id)
        assert tasks[0]["error"]["type"] == "Nondeterminism"
    async with stent.Executor(store) as executor, executor.worker(old, double):
        await executor.resume(tasks[0]["id"])
        assert await executor.execution(execution.id).result(PATIENCE) == "old"


# The event loop stays free.


async def test_nothing_blocks_the_loop(store: str) -> None:
    rounds = 0

    @stent.activity
    def blocks(n: int) -> None:
        # On the loop's own thread it would wait for ever.
        begun = rounds
        wait_for(lambda: rounds >= begun + n)

    @stent.durable
    async def workflow(ctx: stent.Context, n: int) -> None:
        await ctx.map(blocks, [5] * n)

    async def watch() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0.01)
            rounds += 1

    async with stent.Executor(store) as executor, executor.worker(workflow, blocks, max_concurrency=20):
        watcher = asyncio.create_task(watch())
        execution = await executor.dispatch(workflow, 40)
        await execution.result(PATIENCE)
        watcher.cancel()


async def test_whoever_waits_may_give_up(store: str) -> None:
    async with stent.Executor(store) as executor:
        execution = await executor.dispatch("nobody has it")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(execution.result(), 0.05)
        with pytest.raises(stent.TimeoutError):
            await execution.wait(0.05)
        with pytest.raises(stent.NotFoundError):
            await executor.execution("0190163d-8694-739b-aea5-966c26f8ad90").state()


async def test_context_variables(store: str) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @stent.activity
    async def sets(n: int) -> int:
        before = variable.get()
        variable.set(n)
        assert stent.current().attempt == 1
        return before

    @stent.durable
    async def workflow(ctx: stent.Context) -> list[int]:
        variable.set(7)
        return [await ctx.call(sets, 1), await ctx.call(sets, 2), variable.get()]

    async with stent.Executor(store) as executor, executor.worker(sets, workflow):
        assert await (await executor.dispatch(workflow)).result(PATIENCE) == [0, 0, 7]


async def test_what_an_event_loop_can_not_run(store: str) -> None:
    @stent.durable
    def blocking(ctx: Any) -> None: ...

    async with stent.Executor(store) as executor:
        with pytest.raises(stent.InvalidError, match=r"stent\.sync\.Executor"):
            executor.register(blocking)
        with pytest.raises(stent.InvalidError, match="is no handler"):
            executor.register(print)  # type: ignore[arg-type]
    with pytest.raises(stent.ClosedError, match="is not open"):
        await executor.list()


async def test_a_file_by_its_path_and_an_open_backend(tmp_path: Path) -> None:
    with stent.Backend(tmp_path / "stent.db", synchronous="normal") as backend:
        async with stent.Executor(backend) as executor, executor.worker(double):
            assert await (await executor.dispatch(double, n=4)).result(PATIENCE) == 8
        assert backend.call("count_executions") == 1


async def test_a_paused_function_waits(store: str) -> None:
    async with stent.Executor(store) as executor, executor.worker(double):
        await executor.pause(function="double")
        waits = await executor.dispatch(double, n=4)
        assert [pause["function"] for pause in await executor.pauses()] == ["double"]
        with pytest.raises(stent.TimeoutError, match="the function 'double' is paused"):
            await waits.wait(0.01)
        await executor.unpause(function="double")
        assert await waits.result(PATIENCE) == 8
        assert await executor.pauses() == []


async def test_operators(store: str) -> None:
    async with stent.Executor(store) as executor:
        async with executor.worker(fails):
            (broken,) = await executor.dispatch_many([fails.bind("no")])
            assert (await broken.wait(PATIENCE))["state"] == "failed"
        (letter,) = await executor.dead_letters()
        again = await executor.replay_dead_letter(letter["task"]["id"])
        await again.cancel("not needed")
        assert (await again.wait(PATIENCE))["replay_of"] == broken.id
        assert 'stent_executions{state="failed"} 1' in await executor.prometheus()
        assert (await executor.cleanup(older_than=0))["executions"] == 2
        with pytest.raises(stent.NotFoundError):
            await executor.discard_dead_letter(letter["task"]["id"])
