"""Where the program uses OpenTelemetry, spans of its handlers hang below those that the library tells of their runs."""

from __future__ import annotations

import sys
from typing import Any

from ._library import NULL, lib, text_of


def enter(task: Any) -> None:
    """Makes the task's trace context the current one. To be called in the run's own context, which ends with it."""
    # A program without OpenTelemetry pays for a look into a dict.
    if "opentelemetry.trace" not in sys.modules:
        return
    traceparent = lib.stent_task_traceparent(task)
    if traceparent == NULL:
        return
    from opentelemetry import context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": text_of(traceparent)}
    context.attach(TraceContextTextMapPropagator().extract(carrier, context.get_current()))
