"""The stores of a round, and the faults that belong to each: a method `fault_…` for every one. All are healed in the end."""

from __future__ import annotations

import errno
import json
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from .postgres import Server
from .proxy import Proxy

# As in shim.c: the clock, failing syncs, failing writes, full.
CONTROL = struct.Struct("=qiiii")
# Ends the servers and clears their folder away when its standard input ends.
KEEPER = """
cat >/dev/null
for data in "$1"/*/data; do
    [ -f "$data/postmaster.pid" ] || continue
    pid=$(head -n 1 "$data/postmaster.pid")
    kill -KILL "$pid" 2>/dev/null
done
# Their processes notice that the first of them is gone, and may still write for a moment.
until rm -rf "$1" 2>/dev/null; do sleep 0.05; done
"""
# Of the file system that gets full.
SPACE = 64 << 20
# How far the clock is set, in seconds: what went by it would come much too early, or not at all.
JUMP = 3600


class Sqlite:
    """A file on a small file system of its own, where we may mount one, and a shim before it in every process."""

    def __init__(self, folder: Path, shim: Path, trace: bool = False, synchronous: str = "full") -> None:
        self.place = folder / "store"
        self.place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SPACE}", "none", str(self.place)]
        self.mounted = os.getuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
        self.path = self.place / "soak.db"
        control = folder / "control"
        control.write_bytes(bytes(CONTROL.size))
        with control.open("r+b") as file:
            self.control = mmap.mmap(file.fileno(), CONTROL.size)
        self.environment = {"LD_PRELOAD": str(shim), "SOAK_SHIM": str(control), "SOAK_SHIM_STORE": str(self.path)}
        self.trace = folder / "trace"
        if trace:
            self.environment["SOAK_SHIM_TRACE"] = str(self.trace)
        self.options = json.dumps({"busy_timeout": "10s", "synchronous": synchronous})
        self.url = str(self.path)

    def _set(self, place: int, format: str, value: int) -> None:
        struct.pack_into(format, self.control, place, value)

    def fault_full(self, amount: float) -> str:
        """Nothing can be written for a while."""
        seconds = 0.3 + amount
        if not self.mounted:
            self._set(16, "=i", 1)
            time.sleep(seconds)
            self._set(16, "=i", 0)
            return f"for {seconds:.1f} s, by the shim"
        ballast = self.place / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                for size in (1 << 20, 1 << 12, 1):
                    try:
                        while True:
                            file.write(bytes(size))
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                time.sleep(seconds)
            finally:
                ballast.unlink()
        return f"for {seconds:.1f} s"

    def fault_fail_sync(self, amount: float) -> str:
        self._set(8, "=i", 1 + int(amount * 4))
        return f"{1 + int(amount * 4)} times"

    def fault_fail_write(self, amount: float) -> str:
        self._set(12, "=i", 1 + int(amount * 4))
        return f"{1 + int(amount * 4)} times"

    def fault_clock(self, amount: float) -> str:
        """To and fro."""
        seconds = 2 * JUMP * (amount - 0.5)
        self._set(0, "=q", int(seconds * 1e9))
        return f"by {seconds:+.1f} s"

    def traced(self) -> int:
        return self.trace.stat().st_size if self.trace.exists() else 0

    def heal(self) -> None:
        self.control[:] = bytes(CONTROL.size)

    def keep(self) -> None:
        """Copies the file, for whoever looks for what is wrong."""
        shutil.copytree(self.place, self.place.with_name("kept"), dirs_exist_ok=True)

    def close(self) -> None:
        self.control.close()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.place)], check=False)


class Postgres:
    """A server with a synchronous standby, behind a proxy."""

    def __init__(self, folder: Path) -> None:
        # PostgreSQL does not run as root, and may not look into root's folders.
        self.folder = folder
        self.servers = Path(tempfile.mkdtemp(prefix="stent-soak-"))
        self.servers.chmod(0o755)
        # However this process ends, the servers end with it.
        keeper = ["sh", "-c", KEEPER, "keeper", str(self.servers)]
        self.keeper = subprocess.Popen(keeper, stdin=subprocess.PIPE, start_new_session=True)
        self.primary, self.standby = Server(self.servers / "one"), Server(self.servers / "two")
        self.primary.create()
        self.primary.start()
        self.standby.copy_of(self.primary)
        self.standby.start()
        self.primary.wants_standby()
        self.proxy = Proxy(self.primary.port)
        pool = "max_size=4&min_size=1&connect_timeout=5&call_timeout=5"
        self.url = f"postgresql://stent@127.0.0.1:{self.proxy.port}/postgres?{pool}"
        self.options = "{}"
        self.environment: dict[str, str] = {}

    def fault_lose_commit(self, amount: float) -> str:
        self.proxy.lose_commits(1 + int(amount * 6))
        return f"the answers to {1 + int(amount * 6)} COMMITs"

    def fault_swallow_commit(self, amount: float) -> str:
        self.proxy.swallow_commits(1 + int(amount * 6))
        return f"{1 + int(amount * 6)} COMMITs"

    def fault_cut(self, amount: float) -> str:
        self.proxy.cut_all()
        return "all connections"

    def fault_stall(self, amount: float) -> str:
        """Long enough for leases to end, and sometimes for calls."""
        seconds = 1 + 6 * amount
        self.proxy.stall()
        time.sleep(seconds)
        self.proxy.heal()
        return f"for {seconds:.1f} s"

    def fault_delay(self, amount: float) -> str:
        self.proxy.delay = 0.01 + 0.05 * amount
        time.sleep(1.5)
        self.proxy.delay = 0
        return f"every word, by {0.01 + 0.05 * amount:.2f} s"

    def fault_restart(self, amount: float) -> str:
        self.primary.stop("fast")
        time.sleep(2 * amount)
        self.primary.start()
        return f"after {2 * amount:.1f} s"

    def fault_crash(self, amount: float) -> str:
        if amount < 0.5:
            self.primary.stop("immediate")
        else:
            self.primary.kill()
            # Its processes go one after the other.
            time.sleep(0.5)
        time.sleep(amount)
        self.primary.start()
        return "immediate" if amount < 0.5 else "SIGKILL"

    def fault_failover(self, amount: float) -> str:
        """The last one: afterwards there is no standby."""
        end = time.monotonic() + 30
        while not self.primary.has_standby():
            if time.monotonic() > end:
                return "the standby is not there: left out"
            time.sleep(0.05)
        self.primary.stop("immediate")
        self.standby.promote()
        self.proxy.turn_to(self.standby.port)
        return "to the standby"

    def traced(self) -> int:
        return 0

    def heal(self) -> None:
        self.proxy.heal()

    def keep(self) -> None:
        for name in ("one", "two"):
            shutil.copy(self.servers / name / "log", self.folder / f"server-{name}.log")

    def close(self) -> None:
        self.proxy.close()
        assert self.keeper.stdin
        self.keeper.stdin.close()
        self.keeper.wait()


Store = Sqlite | Postgres
