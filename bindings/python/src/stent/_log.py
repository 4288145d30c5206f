"""The library's log, as Python's: the logger "stent", and those below it that the lines name."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any, Literal, TypeAlias

from ._errors import InvalidError

LevelName: TypeAlias = Literal["error", "warn", "warning", "info", "debug"]

CODES: dict[str, int] = {"error": 1, "warn": 2, "warning": 2, "info": 3, "debug": 4}
"""The library's numbers."""

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}

_given: list[Any] = []
"""What the library calls must stay where it is."""


def hand_over(ffi: Any, lib: Any) -> None:
    """Has every line of the library from now on. Not at the import: from the first handler on a process can't be forked."""
    if _given:
        return
    handler = ffi.callback("stent_log_fn")(lambda user_data, level, text: take(level, ffi.string(text).decode()))
    _given.append(handler)
    # Which lines are wanted, Python's logging says, whenever it is asked.
    status = lib.stent_set_log_handler(b'{"level":"debug"}', handler, ffi.NULL, ffi.NULL, ffi.NULL)
    if status < 0:
        _given.clear()


def give_back(lib: Any, null: Any) -> None:
    """No line comes any more, once the library was shut down after this."""
    if _given:
        lib.stent_set_log_handler(null, null, null, null, null)


def take(level: int, text: str) -> None:
    """A line of the library, on a thread of its own. Its facts are attributes of the record, with `stent_` before them."""
    number = _LEVELS.get(level, logging.ERROR)
    try:
        line = json.loads(text)
        logger = logging.getLogger(line["target"])
        if not logger.isEnabledFor(number):
            return
        message = line["message"]
        if line.get("lost"):
            message += f" ({line['lost']} lines before this one were lost: the log did not keep up)"
        facts = {f"stent_{name}": value for name, value in line["fields"].items()}
        # Without arguments it is no format: it may have any character.
        record = logger.makeRecord(logger.name, number, "(stent)", 0, message, (), None, None, facts)
        record.created = datetime.fromisoformat(line["time"]).timestamp()
        record.msecs = record.created % 1 * 1000
        logger.handle(record)
    except Exception:
        # As logging itself does: what goes wrong with a line is no trouble of the program's.
        logging.getLogger("stent").exception("a line of the log could not be written: %s", text)


def code(level: LevelName | int) -> int:
    """The library's number of a level, by its name or by logging's number. InvalidError: there is no such level."""
    if isinstance(level, int):
        return next((number for number, least in _LEVELS.items() if level >= least), CODES["debug"])
    if level not in CODES:
        raise InvalidError(f"{level!r} is no level of the log: use one of {', '.join(CODES)}, or a number of logging's")
    return CODES[level]
