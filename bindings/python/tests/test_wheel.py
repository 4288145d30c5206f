"""The wheel carries the library, and the README's first example runs as printed where only the wheel is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # What builds it is here already, among what the tests need.
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    subprocess.run(command, check=True, timeout=300)


def test_its_name_and_what_is_in_it(wheel: Path) -> None:
    assert re.fullmatch(r"stent-[0-9.]+-py3-none-linux_(x86_64|aarch64)\.whl", wheel.name)
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"stent/libstent.so.0", "stent/py.typed", "stent/_declarations.h", "stent/sync/__init__.py"} <= names
    assert not [name for name in names if "test" in name or "scenarios" in name]


def test_the_first_example_of_the_readme(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = str(tmp_path / "venv" / "bin" / "python")
    pip("--python", python, "install", str(wheel))
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "hello.py").write_text(example[1])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("STENT", "PYTHON"))}
    ran = subprocess.run([python, "hello.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "{'hello': 'world'}" in ran.stdout
    where = "import stent._library as library; print(library.find())"
    found = subprocess.run([python, "-c", where], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(tmp_path / "venv"))
