"""JSON, as the library wants it. A payload is any JSON value, or bytes, at any depth; bytes travel as
{"$base64": "…"}, and a dict of just that shape is wrapped once more, so that each comes back as what it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

MARK = "$base64"


def dumps(value: Any) -> str:
    """A payload. TypeError or ValueError when it can't be written as JSON."""
    text = _payload(value)
    # Almost no payload has the mark in it; those that do are looked through.
    return _payload(_marked(value)) if MARK in text else text


def loads(text: str) -> Any:
    return json.loads(text, object_hook=_unmarked) if MARK in text else json.loads(text)


def dumps_options(options: Mapping[str, Any], kwargs: Mapping[str, Any] | None = None) -> str:
    """Options may hold times, durations and UUIDs beside what JSON knows; the keyword arguments are a payload."""
    if kwargs:
        options = {**options, "kwargs": _marked(dict(kwargs))}
    return _options(options)


def _bytes(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {MARK: ""}
    raise TypeError(f"a {type(value).__name__} has no place in JSON: {value!r}")


def _marked(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {MARK: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        if _is_mark(value):
            return {MARK: base64.b64encode(_payload(value).encode()).decode()}
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return value


def _unmarked(value: dict[str, Any]) -> Any:
    if not _is_mark(value):
        return value
    held = base64.b64decode(value[MARK], validate=True)
    try:
        inner = json.loads(held)
    except ValueError:
        return held
    return inner if isinstance(inner, dict) and _is_mark(inner) else held


def _is_mark(value: dict[str, Any]) -> bool:
    return len(value) == 1 and isinstance(value.get(MARK), str)


def _option(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return time(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{value!r} is no option: a {type(value).__name__} has no place in JSON")


def time(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: use datetime.now(timezone.utc), or .astimezone()")
    return value.isoformat()


def duration(value: float | str | timedelta) -> str:
    """As the C API takes durations: a number of seconds, or text with units."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return value if isinstance(value, str) else repr(value)


def _encoder(default: Callable[[Any], Any]) -> Callable[[Any], str]:
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)
    return encoder.encode


_payload, _options = _encoder(_bytes), _encoder(_option)
