"""The package has the library's version, which stands in the Cargo.toml of the repository."""

import re
from pathlib import Path

CARGO = Path(__file__).resolve().parents[3] / "Cargo.toml"


def read() -> str:
    found = re.search(r'^version = "(.+)"$', CARGO.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{CARGO} has no line: version = \"…\"")
    return found[1]


__version__ = read()
