"""JSON, as the library wants it. A payload is any JSON value, or bytes, at any depth; bytes travel as
{"$base64": "…"}. A dict that looks so, or that has such a dict as its only value under that key, travels with one such
key more around it, so that each comes back as what it was."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from . import _deep

MARK = "$base64"
_one_in_another = re.compile(r'\{\s*"\$base64"\s*:\s*\{')


def dumps(value: Any) -> str:
    """A payload. TypeError or ValueError when it can't be written as JSON."""
    text = _payload(value)
    # Almost no payload has the mark in it; those that do are looked through.
    return _payload(_marked(value)) if MARK in text else text


def loads(text: str) -> Any:
    """A payload. InvalidError for what Python can't read: numbers of thousands of digits, thousands of levels."""
    try:
        return _loads(text, json.loads)
    except (ValueError, RecursionError) as why:
        _refuse(why)


def loads_records(text: str) -> Any:
    """Records, of which one that can't be read must not take the others with it: what is too deep for Python's reader is
    read all the same, and a number that is too long for an int is a Decimal.
    """
    try:
        return _loads(text, json.loads)
    except (ValueError, RecursionError):
        return _unmarked_below(_deep.loads(text))


def _loads(text: str, read: Callable[..., Any]) -> Any:
    if MARK not in text:
        return read(text)
    if _one_in_another.search(text):
        return _unmarked_below(read(text))
    return read(text, object_hook=_unmarked)


def _refuse(why: Exception) -> NoReturn:
    from ._errors import InvalidError  # which imports this

    what = "it has too many levels" if isinstance(why, RecursionError) else str(why)
    raise InvalidError(f"the value can't be read: {what}") from None


def dumps_options(options: Mapping[str, Any], kwargs: Mapping[str, Any] | None = None) -> str:
    """Options may hold times, durations and UUIDs beside what JSON knows; what is a payload in them, such as the keyword
    arguments or the fields of a record that was read, may hold bytes.
    """
    if kwargs:
        options = {**options, "kwargs": dict(kwargs)}
    text = _options(options)
    return _options(_marked(options)) if MARK in text else text


def _bytes(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {MARK: ""}
    raise TypeError(f"a {type(value).__name__} has no place in JSON: {value!r}")


def _marked(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {MARK: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {MARK: value} if _is_mark(value) else {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return value


def _unmarked(value: dict[str, Any]) -> Any:
    """A dict that stands in no other mark."""
    if len(value) != 1 or not isinstance(held := value.get(MARK), str):
        return value
    try:
        return base64.b64decode(held, validate=True)
    except ValueError:
        return value  # the library takes no such thing; a store of one's own may


def _unmarked_below(value: Any) -> Any:
    """The same for a whole value, from its top, and without recursion."""
    top = [value]
    left: list[Any] = [top]
    while left:
        holder = left.pop()
        for key, item in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if isinstance(item, dict):
                held = item.get(MARK) if len(item) == 1 else None
                if isinstance(held, dict) and _is_mark(held):
                    holder[key] = held
                    continue
                item = holder[key] = _unmarked(item)
            if isinstance(item, dict | list):
                left.append(item)
    return top[0]


def _is_mark(value: dict[str, Any]) -> bool:
    """A text under the key of bytes, or such a dict."""
    held: Any = value
    while isinstance(held, dict) and len(held) == 1 and MARK in held:
        held = held[MARK]
    return isinstance(held, str) and held is not value


def _option(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {MARK: ""}
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
