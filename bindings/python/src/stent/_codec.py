"""How values become JSON and come back. What JSON has is written as it is; bytes, and what only Python has, with a mark."""

from __future__ import annotations

import base64
import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any
from uuid import UUID

from . import _deep

MARK = "$base64"
"""The key of bytes, in every language: {"$base64": "…"}. A dict that looks so, or that has such a dict as its only value
under that key, travels with one such key more around it; one with bytes under that key, as its pairs."""
PYTHON = "$py"
"""The key of what Python alone has: {"$py": ["tuple", [1, 2]]}. A dict with only that key travels as its pairs."""

_one_in_another = re.compile(r'\{\s*"\$base64"\s*:\s*\{')
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_PLAIN = (str, int, float, bool, NoneType)
_WRITABLE = (*_PLAIN, list, dict, bytes, bytearray, memoryview)


class Codec:
    """Writes and reads arguments, results, signals and all other values of handlers: `stent.use_codec` takes one of your
    own. It knows what JSON has, bytes, tuples, sets, dicts with any keys, datetime, date, time, timedelta, Decimal and
    UUID, and the classes that were registered: each comes back as what it was. Of anything else it says so, and changes
    nothing silently.
    """

    def __init__(self) -> None:
        self._writers: dict[type, tuple[str, Callable[[Any], Any]]] = {
            tuple: ("tuple", list),
            set: ("set", list),
            frozenset: ("frozenset", list),
            datetime: ("datetime", datetime.isoformat),
            date: ("date", date.isoformat),
            time: ("time", time.isoformat),
            timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
            Decimal: ("decimal", str),
            UUID: ("uuid", str),
        }
        self._readers: dict[str, Callable[[Any], Any]] = {
            "tuple": tuple,
            "set": set,
            "frozenset": frozenset,
            "dict": dict,
            "datetime": datetime.fromisoformat,
            "date": date.fromisoformat,
            "time": time.fromisoformat,
            "timedelta": lambda held: timedelta(*held),
            "decimal": Decimal,
            "uuid": UUID,
        }

    def register(
        self,
        kind: type,
        *,
        name: str | None = None,
        write: Callable[[Any], Any] | None = None,
        read: Callable[[Any], Any] | None = None,
    ) -> None:
        """Makes a class known by a name (its own, if none is given), which stands in what is recorded: don't change it.
        Of dataclasses, enums, named tuples and pydantic's models it is known how they are written and read.
        """
        known_write, known_read = _known(kind)
        writer, reader = write or known_write, read or known_read
        if writer is None or reader is None:
            raise TypeError(f"how is a {kind.__name__} written and read? Say it by `write` and `read`")
        name = name or kind.__qualname__
        self._writers[kind] = (name, writer)
        self._readers[name] = reader

    def learn(self, hint: Any) -> None:
        """Makes the classes known that a type hint names, and those of their fields, if it is known how they are written and
        read: so what the hints of handlers name need not be registered.
        """
        for kind in _classes_in(hint):
            if kind in self._writers or None in _known(kind) or kind.__qualname__ in self._readers:
                continue
            self.register(kind)
            for inner in hints_of(kind).values():
                self.learn(inner)

    def misfit(self, hint: Any) -> type | None:
        """A class in a type hint of which nothing can be written, as far as the hint tells."""
        if (type(self).plain, type(self).dumps) != (Codec.plain, Codec.dumps):
            return None
        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Literal:
            return None
        if origin is typing.Union or origin is UnionType:
            # One that can be carried is enough: a path that may be a str.
            found = [self.misfit(part) for part in parts if part is not NoneType]
            return found[0] if found and None not in found else None
        kinds = (kind for kind in (origin or hint,) if isinstance(kind, type) and not self._may_carry(kind))
        return next(kinds, None) or next((kind for kind in map(self.misfit, parts) if kind is not None), None)

    def _may_carry(self, kind: type) -> bool:
        if kind in self._writers or issubclass(kind, _WRITABLE) and not issubclass(kind, Enum):
            return True
        # Of what is abstract, or has kinds of its own, a hint does not tell.
        is_open = kind is object or kind.__module__ in ("typing", "typing_extensions") or inspect.isabstract(kind)
        return is_open or bool(type.__subclasses__(kind)) or getattr(kind, "_is_protocol", False)

    def dumps(self, value: Any) -> str:
        """A value as JSON. TypeError or ValueError when it can't be written."""
        return _encoder.encode(self.plain(value))

    def loads(self, text: str) -> Any:
        """The value of a JSON text. ValueError or RecursionError when it can't be read."""
        return self._revive(text, json.loads)

    def loads_any(self, text: str) -> Any:
        """As `loads`, of any JSON: what is too deep for Python's reader is read all the same, a number that is too long for
        an int is a Decimal, and what nobody registered stays as it is written.
        """
        try:
            return self._revive(text, json.loads)
        except (ValueError, RecursionError):
            return _bytes_below(_deep.loads(text))

    def plain(self, value: Any) -> Any:
        """The value, of what JSON has."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list:
            return [self.plain(item) for item in value]
        if kind is dict:
            return self._plain_dict(value)
        written = self._writers.get(kind)
        if written is not None:
            name, write = written
            return {PYTHON: [name, self.plain(write(value))]}
        if isinstance(value, bytes | bytearray | memoryview) and not isinstance(value, Enum):
            return {MARK: base64.b64encode(value).decode()}
        # What compares equal to what it is a kind of.
        if isinstance(value, str | int | float) and not isinstance(value, Enum):
            return value
        if isinstance(value, dict):
            return self._plain_dict(value)
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        raise TypeError(
            f"a {kind.__name__} has no place in JSON: {value!r}; convert it, or make its class known by "
            f"stent.codec().register({kind.__name__})"
        )

    def _plain_dict(self, value: dict[Any, Any]) -> Any:
        if not all(type(key) is str for key in value) or len(value) == 1 and PYTHON in value:
            return _pairs([[self.plain(key), self.plain(item)] for key, item in value.items()])
        made = {key: self.plain(item) for key, item in value.items()}
        if len(made) == 1 and MARK in made:
            held = made[MARK]
            if isinstance(held, str):
                return {MARK: made}
            # Bytes: with one key more around them they would be a dict that looks so.
            if isinstance(held, dict) and len(held) == 1 and isinstance(held.get(MARK), str):
                return _pairs([[MARK, held]])
        return made

    def _revive(self, text: str, read: Callable[..., Any]) -> Any:
        if MARK not in text and PYTHON not in text:
            return read(text)
        if _one_in_another.search(text):
            return self._revived_below(_bytes_below(read(text)))
        return read(text, object_hook=self._revived)

    def _revived(self, value: dict[str, Any]) -> Any:
        """A dict whose members are revived already."""
        if len(value) != 1:
            return value
        held = value.get(PYTHON)
        if not isinstance(held, list) or len(held) != 2 or not isinstance(held[0], str):
            return _bytes_of(value)
        read = self._readers.get(held[0])
        if read is None:
            raise ValueError(f"no class {held[0]!r} is registered here, by stent.codec().register")
        try:
            return read(held[1])
        except Exception as why:  # a reader may be anybody's
            raise ValueError(f"this is no {held[0]}: {type(why).__name__}: {why}") from None

    def _revived_below(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._revived_below(item) for item in value]
        if isinstance(value, dict):
            below = {key: self._revived_below(item) for key, item in value.items()}
            return self._revived(below) if PYTHON in below else below
        return value


def _pairs(pairs: list[list[Any]]) -> dict[str, Any]:
    return {PYTHON: ["dict", pairs]}


def _known(kind: type) -> tuple[Callable[[Any], Any] | None, Callable[[Any], Any] | None]:
    if issubclass(kind, Enum):
        return (lambda value: value.value), kind
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind) if field.init]
        return (lambda value: {name: getattr(value, name) for name in names}), (lambda held: kind(**held))
    if issubclass(kind, tuple) and hasattr(kind, "_make"):
        return list, kind._make
    if hasattr(kind, "model_dump") and hasattr(kind, "model_validate"):  # pydantic's
        return (lambda value: value.model_dump(mode="json")), kind.model_validate
    return None, None


def _classes_in(hint: Any) -> Iterator[type]:
    """The plain classes that a type hint is made of."""
    origin = typing.get_origin(hint)
    if origin is None:
        if isinstance(hint, type):
            yield hint
        return
    if origin is typing.Literal:
        return
    if isinstance(origin, type) and origin is not UnionType:
        yield origin
    for part in typing.get_args(hint):
        yield from _classes_in(part)


def hints_of(of: Any) -> dict[str, Any]:
    """The type hints of a function or a class. None where they name what is not there, as those for checkers alone do."""
    try:
        return typing.get_type_hints(of)
    except Exception:
        return {}


def _bytes_of(value: dict[str, Any]) -> Any:
    """A dict that stands in no other mark."""
    if len(value) != 1 or not isinstance(held := value.get(MARK), str):
        return value
    try:
        return base64.b64decode(held, validate=True)
    except ValueError:
        return value  # the library takes no such thing; a store of one's own may


def _bytes_below(value: Any) -> Any:
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
                item = holder[key] = _bytes_of(item)
            if isinstance(item, dict | list):
                left.append(item)
    return top[0]


def _is_mark(value: dict[str, Any]) -> bool:
    """A text under the key of bytes, or such a dict."""
    held: Any = value
    while isinstance(held, dict) and len(held) == 1 and MARK in held:
        held = held[MARK]
    return isinstance(held, str) and held is not value


_current = Codec()


def codec() -> Codec:
    """The codec of the program, to register classes at: `stent.codec().register(Order)`."""
    return _current


def use_codec(other: Codec) -> None:
    """Takes another codec for all values from now on. Before anything is dispatched, and the same in all programs on a
    store.
    """
    global _current
    _current = other
