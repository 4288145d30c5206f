"""What the library knows, the package knows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import stent
from stent import _described, _errors, _library, _poller
from stent._log import CODES

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
STALE = "run: bindings/python/scripts/generate.py"


def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", SCRIPTS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_declarations_are_the_headers() -> None:
    generated = generate()
    assert generated.DECLARATIONS.read_text() == generated.DECLARED.read_text(), STALE


def test_options_operations_and_records_are_those_of_the_library() -> None:
    generated = generate()
    assert generated.DESCRIBED.read_text() == generated.description(stent.describe()), STALE


def test_every_status_is_an_exception_or_known_as_none() -> None:
    statuses = {status["name"]: status["code"] for status in stent.describe()["statuses"]}
    assert statuses == _described.STATUSES
    failures = {name for name, code in statuses.items() if code < 0}
    assert failures == set(_errors.CLASSES)
    assert all(getattr(stent, kind.__name__) is kind for kind in _errors.CLASSES.values())
    others = {"OK": _library.OK, "PENDING": _library.PENDING, "SUSPEND": _library.SUSPEND}
    assert others == {name: code for name, code in statuses.items() if code >= 0}


def test_every_event_has_somebody_who_takes_it() -> None:
    assert {event["name"] for event in stent.describe()["events"]} == set(_poller.TAKEN)


def test_every_function_of_the_header_is_in_the_library() -> None:
    functions = [line for line in generate().DECLARATIONS.read_text().splitlines() if "(" in line and "typedef" not in line]
    names = [line.split("(")[0].split()[-1].lstrip("*") for line in functions]
    assert len(names) > 60
    for name in names:
        assert getattr(_library.lib, name)


def test_log_levels_are_the_headers() -> None:
    codes = {level: code for level, code in CODES.items() if level != "warning"}  # the same as "warn"
    assert {level: getattr(_library.lib, f"STENT_LOG_{level.upper()}") for level in codes} == codes
