"""A PostgreSQL server of the soak's own, and its synchronous standby. Needs Debian's package alone."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from pathlib import Path

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "wal_level": "replica",
    "hot_standby": "on",
    "wal_retrieve_retry_interval": "100ms",
    "wal_receiver_timeout": "5s",
    "log_min_messages": "warning",
}


def binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return found[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`folder` is the server's own; its parents must be open to whoever runs it: PostgreSQL does not run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.user = next((user for user in pwd.getpwall() if user.pw_name == "postgres"), pwd.getpwnam("nobody"))
        self.as_user = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"]
        if os.getuid() != 0:
            self.as_user = []
        folder.mkdir(parents=True)
        if self.as_user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        self.data = folder / "data"

    def _call(self, program: str, *args: str) -> str:
        command = [*self.as_user, str(binaries() / program), *args]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")
        return done.stdout

    def create(self) -> None:
        options = ["--no-sync", "--auth=trust", "--username=stent", "--encoding=UTF8", "--locale=C"]
        self._call("initdb", *options, "-D", str(self.data))
        lines = "".join(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(lines)
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host replication all 127.0.0.1/32 trust\n")

    def copy_of(self, other: Server) -> None:
        where = ["-h", "127.0.0.1", "-p", str(other.port), "-U", "stent"]
        self._call("pg_basebackup", *where, "-D", str(self.data), "-R", "--no-sync", "--checkpoint=fast")

    def start(self) -> None:
        tries = 0
        while True:
            log = ["-l", str(self.folder / "log"), "-o", f"-c port={self.port}"]
            try:
                self._call("pg_ctl", "-D", str(self.data), "-w", "-t", "60", *log, "start")
                return
            except RuntimeError:
                # The port of one that was just killed may not be free yet.
                tries += 1
                if tries == 20:
                    raise
                time.sleep(0.2)

    def stop(self, mode: str) -> None:
        """mode: fast, or immediate, which is a crash."""
        self._call("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-m", mode, "stop")

    def kill(self) -> None:
        """As the kernel does it, with all its processes: they notice that the first of them is gone."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def ask(self, sql: str) -> str:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "stent", "-d", "postgres", "-Atqc", sql]
        return self._call("psql", *where).strip()

    def wants_standby(self) -> None:
        self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.ask("SELECT pg_reload_conf()")

    def has_standby(self) -> bool:
        """It has what this one has, so that nothing is lost with this one."""
        now = self.ask("SELECT pg_current_wal_lsn()")
        follows = f"state = 'streaming' AND sync_state = 'sync' AND flush_lsn >= '{now}'"
        return self.ask(f"SELECT count(*) FROM pg_stat_replication WHERE {follows}") == "1"

    def promote(self) -> None:
        self.ask("ALTER SYSTEM SET synchronous_standby_names = ''")
        self._call("pg_ctl", "-D", str(self.data), "-w", "-t", "60", "promote")
        self.ask("SELECT pg_reload_conf()")
