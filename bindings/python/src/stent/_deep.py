"""Reads any JSON: without recursion, whatever its depth, and whatever the length of its numbers. Slow: for what Python's
own reader gives up.
"""

from __future__ import annotations

import re
from decimal import Decimal
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any

_blanks = re.compile(r"[ \t\n\r]*")
_number = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_words = {"true": True, "false": False, "null": None}


class Long(Decimal):
    """A whole number that is too long for an int. It is not written back: Python has no other way to write it either."""


def loads(text: str) -> Any:
    """Any JSON value. A whole number that is too long for an int is a Decimal."""
    top: list[Any] = []
    open_ones: list[Any] = [top]
    keys: list[str] = []
    at = _skip(text, 0)
    while True:
        holder = open_ones[-1]
        if text[at] in "]}":
            open_ones.pop()
            at += 1
        else:
            if isinstance(holder, dict):
                key, at = scanstring(text, at + 1)
                keys.append(key)
                at = _skip(text, _skip(text, at) + 1)
            value, at = _value(text, at)
            if isinstance(holder, dict):
                holder[keys.pop()] = value
            else:
                holder.append(value)
            # An empty one is closed by what follows.
            if text[at - 1] in "[{" and isinstance(value, dict | list):
                open_ones.append(value)
        at = _skip(text, at)
        if len(open_ones) == 1:
            return top[0]
        if text[at] == ",":
            at = _skip(text, at + 1)


def _value(text: str, at: int) -> tuple[Any, int]:
    first = text[at]
    if first == "[":
        return [], at + 1
    if first == "{":
        return {}, at + 1
    if first == '"':
        string: tuple[str, int] = scanstring(text, at + 1)
        return string
    found = _number.match(text, at)
    if found:
        written = found.group()
        return _read(written, found.group(1) or found.group(2)), found.end()
    for word, value in _words.items():
        if text.startswith(word, at):
            return value, at + len(word)
    raise JSONDecodeError("no JSON", text, at)


def _read(written: str, real: str | None) -> Any:
    if real:
        return float(written)
    try:
        return int(written)
    except ValueError:
        return Long(written)


def _skip(text: str, at: int) -> int:
    found = _blanks.match(text, at)
    return at if found is None else found.end()
