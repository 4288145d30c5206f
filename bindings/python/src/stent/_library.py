"""libstent.so, loaded by cffi in ABI mode: calls that raise, and text that comes and goes as `str`."""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Any, Unpack

import cffi

from . import _errors, _json, _log
from ._described import ConfigureOptions

ABI = 0
"""The version of the C API that _declarations.h is of."""

SONAME = f"libstent.so.{ABI}"
OK, PENDING, SUSPEND = 0, 1, 2

ffi = cffi.FFI()
ffi.cdef((Path(__file__).parent / "_declarations.h").read_text())
NULL: Any = ffi.NULL

_handles: weakref.WeakSet[Any] = weakref.WeakSet()


def places() -> list[str]:
    """Where the library may be, the first first. What STENT_LIB_DIR names is the only place."""
    folder = os.environ.get("STENT_LIB_DIR")
    if folder:
        return [str(Path(folder) / "libstent.so")]
    package = Path(__file__).resolve().parent
    found = [str(package / SONAME)]
    # Of an editable install: <checkout>/bindings/python/src/stent.
    checkout = package.parents[3] if len(package.parents) > 3 else package
    if (checkout / "include" / "stent.h").is_file():
        found.append(str(checkout / "target" / "release" / "libstent.so"))
    # Without a folder it is the loader that looks.
    return [*found, SONAME]


def find() -> str:
    """The place where the library is, or else the last one."""
    every = places()
    return next((place for place in every if Path(place).is_file()), every[-1])


def load(path: str) -> Any:
    try:
        library: Any = ffi.dlopen(path)
    except OSError as why:
        every = places()
        missing = [f"{place}: there is no such file" for place in every[: every.index(path)]]
        tried = "".join(f"\n  {line}" for line in [*missing, f"{path}: {why}"])
        raise ImportError(
            f"Stent's library was not found. Tried:{tried}\nThe package's wheel carries it; in a checkout `make lib` builds it; "
            "STENT_LIB_DIR names the folder of one that is elsewhere."
        ) from why
    found = library.stent_abi_version()
    if found != ABI:
        raise ImportError(f"{path} has version {found} of the C API, and this package is made for version {ABI}")
    return library


lib = load(find())


def describe() -> dict[str, Any]:
    """Everything that the library knows: statuses, operations, options, records, events, metrics."""
    described: dict[str, Any] = json.loads(text_of(lib.stent_describe()))
    return described


def version() -> str:
    """The library's version."""
    return text_of(lib.stent_version())


def configure(**options: Unpack[ConfigureOptions]) -> None:
    """Sets what holds for the whole process, before the first store is opened: `runtime_threads` that serve the stores,
    `handler_stack_size`, for handlers on threads, and `otlp_endpoint`, the collector that gets spans. `ConflictError`: the
    library is in use already.
    """
    call(lib.stent_configure, utf8(_json.dumps_options(options)))


def call(function: Any, *args: Any) -> int:
    """A function of the C API without its last parameter, the error, which is raised. Its status."""
    error = ffi.new("stent_error **")
    status: int = function(*args, error)
    if status < 0:
        raise taken(error[0])
    return status


def ask(function: Any, *args: Any) -> str:
    """The same for a function that gives a text."""
    out = ffi.new("char **")
    call(function, *args, out)
    return take_text(out[0])


def make(function: Any, kind: str, *args: Any) -> Any:
    """The same for a function that makes a handle, which is freed when nobody has it any more."""
    _log.hand_over(ffi, lib)
    out = ffi.new(f"{kind} **")
    call(function, *args, out)
    handle = ffi.gc(out[0], getattr(lib, f"{kind}_free"))
    _handles.add(handle)
    return handle


def release(handle: Any) -> None:
    """Frees a handle before its time."""
    ffi.release(handle)


def free_handles() -> None:
    """Frees all that are left. Those who have them must not use them any more."""
    for handle in list(_handles):
        release(handle)


def taken(error: Any) -> _errors.Error:
    """The exception for a stent_error, which is freed."""
    try:
        return _errors.from_record(_json.loads_records(text_of(lib.stent_error_json(error))))
    finally:
        lib.stent_error_free(error)


def take_text(text: Any) -> str:
    """A text that is ours, which is freed."""
    try:
        return text_of(text)
    finally:
        lib.stent_free(text)


def text_of(text: Any) -> str:
    """A text that belongs to a handle, or to the library."""
    raw = ffi.string(text)
    assert isinstance(raw, bytes)
    return raw.decode()


def utf8(text: str | None) -> Any:
    """A text for the library. What is not there is NULL."""
    if text is None:
        return NULL
    raw = text.encode()
    if b"\0" in raw:
        raise _errors.InvalidError("a text with a NUL character can't be handed to the library")
    return raw


def milliseconds(timeout: float | None) -> int:
    """A time-out in seconds, None for none, as the library counts it."""
    return -1 if timeout is None else max(0, round(timeout * 1000))
