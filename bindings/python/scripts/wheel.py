"""Builds the wheel: with the library in it, and named after what the library runs on: `make wheel` gives it one that was
linked for old systems."""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CHECKOUT = Path(__file__).resolve().parents[3]
NAME = "libstent.so"
# As ELF numbers them.
MACHINES = {62: "x86_64", 183: "aarch64"}


def library() -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target"))
    path = Path(os.environ.get("STENT_LIB_DIR", target / "release")) / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the library is not built yet; run: make lib, or name its folder by STENT_LIB_DIR")
    return path


def platform(path: Path) -> str:
    """The oldest glibc that has all that the library asks for, and the machine."""
    content = path.read_bytes()
    machine = MACHINES[int.from_bytes(content[18:20], "little")]
    asked = {(int(major), int(minor)) for major, minor in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", content)}
    major, minor = max(asked)
    return f"manylinux_{major}_{minor}_{machine}"


class WheelHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own parameter is not public
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        path = library()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform(path)}"
        build_data["force_include"][str(path)] = f"stent/{NAME}.0"
