"""The example with FastAPI, under uvicorn: it starts and drains with its server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stent

from .hosts import PATIENCE, until

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


class Server:
    """Uvicorn as a process of its own. It listens before it starts, so no request is too early."""

    def __init__(self, store: str, folder: Path) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_service:app"]
        self.process = subprocess.Popen(
            [*command, "--fd", str(listening.fileno())],
            env=os.environ | {"STENT_STORE": store, "STENT_EXAMPLE_FOLDER": str(folder)},
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        listening.close()

    async def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        return await asyncio.to_thread(self._ask, path, body)

    def _ask(self, path: str, body: Any) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def server(store: str, folder: Path) -> Iterator[Server]:
    started = Server(store, folder)
    yield started
    started.process.kill()
    started.process.wait()


async def test_it_starts_and_drains_with_the_server(store: str, folder: Path, server: Server) -> None:
    order = {"id": "42", "cents": 1250}
    (folder / "go").touch()
    status, sold = await server.ask("/orders", order)
    assert status == 202
    assert await server.ask("/orders", order) == (202, sold)
    async with asyncio.timeout(PATIENCE):
        while (told := (await server.ask(f"/executions/{sold['execution']}"))[1])["state"] != "completed":
            await asyncio.sleep(0.01)
    assert told["receipt"]["order"] == order
    assert told["receipt"]["charged"].startswith("1250 cents under ")
    assert (await server.ask("/executions/42"))[0] == 422

    for name in ("charging", "go"):
        (folder / name).unlink()
    _, sold = await server.ask("/orders", {"id": "43", "cents": 5})
    await until((folder / "charging").exists)
    server.process.send_signal(signal.SIGTERM)
    (folder / "go").touch()
    _, errors = await asyncio.to_thread(server.process.communicate, timeout=PATIENCE)
    # Uvicorn ends as the signal would have ended it, after the application's own end.
    assert server.process.returncode in (0, -signal.SIGTERM), errors
    assert "Application shutdown complete" in errors
    # What ran has ended, and is recorded; what follows goes on wherever there is a worker.
    async with stent.Executor(store) as executor:
        tasks = await executor.backend_call("list_tasks_for_execution", execution_id=sold["execution"])
        assert {task["step_name"]: task["state"] for task in tasks}["charge"] == "completed"
        assert all(task["retries"] == 0 for task in tasks)
