"""Spans of the handlers' own hang below those that the library tells."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from opentelemetry import trace

import stent
from stent import sync

from .hosts import Host

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DISPATCHER = "00f067aa0ba902b7"


def here() -> list[str]:
    """Trace and span, as any library that traces sees them."""
    context = trace.get_current_span().get_span_context()
    return [f"{context.trace_id:032x}", f"{context.span_id:016x}"]


@stent.activity
def plain() -> list[str]:
    return here()


@stent.activity
async def coroutine() -> list[str]:
    return here()


@stent.durable(name="parent")
async def on_a_loop(ctx: stent.Context) -> list[list[str]]:
    before = here()
    inside = await ctx.step("step", here)
    return [before, inside, await ctx.call(plain), await ctx.call(coroutine), here()]


@stent.durable(name="parent")
def on_a_thread(ctx: sync.Context) -> list[list[str]]:
    before = here()
    inside = ctx.step("step", here)
    return [before, inside, ctx.call(plain), here()]


async def contexts(host: Host, **options: Any) -> list[list[str]]:
    handlers = (on_a_loop, plain, coroutine) if host.kind == "asyncio" else (on_a_thread, plain)
    async with host.running(*handlers) as (executor, _):
        execution = await executor.dispatch(handlers[0].options(**options))
        result: list[list[str]] = await execution.result(30)
        return result


async def test_the_context_of_the_dispatch_is_current(host: Host) -> None:
    found = await contexts(host, traceparent=f"00-{TRACE}-{DISPATCHER}-01")
    assert all(context == [TRACE, DISPATCHER] for context in found), found
    assert here() == ["0" * 32, "0" * 16]


async def test_without_a_trace_there_is_no_context(host: Host) -> None:
    found = await contexts(host)
    assert all(context == ["0" * 32, "0" * 16] for context in found), found


async def test_what_is_exported_is_below_the_run(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        found = await contexts(host, traceparent=f"00-{TRACE}-{DISPATCHER}-01")
    assert {trace for trace, _ in found} == {TRACE}
    spans = [span for _, span in found]
    assert DISPATCHER not in spans
    # The children have spans of their own; a coroutine keeps the one with which it began.
    parent, children = (spans[0], spans[2:-1])
    assert len({parent, *children}) == 1 + len(children)
