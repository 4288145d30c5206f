"""JSON, as the library wants it: the values of handlers by the codec of the program, options by their own rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from ._codec import codec
from ._errors import InvalidError, UnwritableError, written

# What is a value of a handler's in requests and records.
_VALUES = frozenset(("args", "args_list", "kwargs", "result", "payload", "value", "values", "detail", "details"))


def dumps(value: Any) -> str:
    """A handler's value. UnwritableError when it can't be written as JSON."""
    return written(value)


def loads(text: str) -> Any:
    """A handler's value. InvalidError for what Python can't read: numbers of thousands of digits, thousands of levels."""
    try:
        return codec().loads(text)
    except (ValueError, RecursionError) as why:
        _refuse(why)


def loads_records(text: str) -> Any:
    """Records, of which one that can't be read must not take the others with it."""
    return codec().loads_any(text)


def _refuse(why: Exception) -> NoReturn:
    what = "it has too many levels" if isinstance(why, RecursionError) else str(why)
    raise InvalidError(f"the value can't be read: {what}") from None


def dumps_options(options: Mapping[str, Any], kwargs: Mapping[str, Any] | None = None) -> str:
    """Options may hold times, durations and UUIDs beside what JSON knows. Keyword arguments, and what is a handler's value
    in a record, are written as such: a record that was read can be written back.
    """
    if kwargs:
        options = {**options, "kwargs": dict(kwargs)}
    try:
        text = json.dumps(_option(options), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except ValueError as why:
        raise InvalidError(f"options: {why}") from None
    return text


def _option(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) if key in _VALUES else _option(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_option(item) for item in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return time(value)
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return codec().plain(value)
    raise UnwritableError(f"{value!r} is no option: a {type(value).__name__} has no place in JSON")


def _plain(value: Any) -> Any:
    try:
        return codec().plain(value)
    except (TypeError, ValueError, RecursionError) as why:
        raise UnwritableError(str(why)) from why


def time(value: datetime) -> str:
    if value.tzinfo is None:
        raise InvalidError(f"{value!r} has no time zone: use datetime.now(timezone.utc), or .astimezone()")
    return value.isoformat()


def duration(value: float | str | timedelta) -> str:
    """As the C API takes durations: a number of seconds, or text with units."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return value if isinstance(value, str) else repr(value)
