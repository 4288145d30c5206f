"""Stent for programs without an event loop: calls block, and handlers are plain functions on threads of the library."""

from __future__ import annotations

from .._backend import Backend
from ._context import Context, Operation
from ._executor import Execution, Executor
from ._worker import Worker

__all__ = ["Backend", "Context", "Execution", "Executor", "Operation", "Worker"]
