"""Builds the wheel: with the library in it, and named after the platform that the library is for."""

import os
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CHECKOUT = Path(__file__).resolve().parents[3]
NAME = "libstent.so"


def library() -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target"))
    path = Path(os.environ.get("STENT_LIB_DIR", target / "release")) / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the library is not built yet; run: make lib")
    return path


class WheelHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own parameter is not public
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["force_include"][str(library())] = f"stent/{NAME}.0"
