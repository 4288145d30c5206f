"""Python's own sqlite3 beside the library on one file, which are two copies of SQLite in one process: nothing that either
of them committed is lost.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import stent
from stent import sync

# At least so many of each, and so many executions at a time.
EXECUTIONS, BATCH = 300, 20
WRITTEN = 50

FROM_OUTSIDE = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1])
(check,), = file.execute("PRAGMA integrity_check")
(completed,), = file.execute("SELECT count(*) FROM executions WHERE state = 'completed'")
(own,), = file.execute("SELECT count(*) FROM of_the_host")
print(check, completed, own)
"""


@stent.activity
def double(n: int) -> int:
    return 2 * n


@stent.durable
def workflow(ctx: sync.Context, n: int) -> int:
    return ctx.call(double, ctx.call(double, n))


def test_two_copies_of_sqlite_on_one_file(tmp_path: Path) -> None:
    path = tmp_path / "stent.db"
    executor = sync.Executor(path)
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE of_the_host (n INTEGER)")

    over = threading.Event()
    written = 0

    def use_it_by_sqlite3() -> None:
        """Opens and closes the file all the time: each close would drop the POSIX locks of the whole process."""
        nonlocal written
        while not over.is_set():
            with contextlib.closing(sqlite3.connect(path, timeout=30)) as file, file:
                file.execute("INSERT INTO of_the_host VALUES (1)")
            with contextlib.closing(sqlite3.connect(path, timeout=30)) as file:
                file.execute("SELECT count(*) FROM executions").fetchone()
            written += 1

    beside = threading.Thread(target=use_it_by_sqlite3)
    beside.start()
    executions = 0
    with executor.worker(workflow, double):
        while executions < EXECUTIONS or written < WRITTEN:
            started = executor.dispatch_many(workflow.bind(n) for n in range(BATCH))
            assert [execution.result(60) for execution in started] == [4 * n for n in range(BATCH)]
            executions += BATCH
    over.set()
    beside.join()
    executor.close()

    seen = subprocess.run([sys.executable, "-c", FROM_OUTSIDE, path], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["ok", str(executions), str(written)]
