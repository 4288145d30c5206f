"""Workers and clients: started, killed, frozen, and started again."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .history import Journal
from .plan import CLIENTS, LEASE
from .programs import FUNCTIONS
from .stores import Store

LANGUAGES = ["c", "python", "c", "asyncio"]
MODULES = {"python": "soak.worker", "asyncio": "soak.coroutines"}
WORKER = {"max_concurrency": 4, "lease_duration": LEASE, "poll_interval": "100ms", "poll_interval_max": "300ms"}
# Processes that ended by themselves, in one round, are no bad luck any more.
ENDED_MAX = 60
# A frozen worker's leases are over when it wakes up.
FREEZE = 2 * LEASE
LIBC = ctypes.CDLL(None)


def end_with_us() -> None:
    """However the harness ends, what it has started ends with it: prctl's PR_SET_PDEATHSIG."""
    LIBC.prctl(1, signal.SIGKILL)


@dataclass
class Process:
    name: str
    popen: subprocess.Popen[bytes]
    frozen: bool = False


class Processes:
    def __init__(self, folder: Path, store: Store, program: Path) -> None:
        self.folder = folder
        self.store = store
        self.program = program
        self.functions = json.dumps(FUNCTIONS)
        self.journal = Journal(folder / "faults.jsonl")
        self.stderr = (folder / "stderr").open("ab")
        self.lock = threading.Lock()
        self.started = 0
        self.ended = 0
        self.workers: list[Process] = []
        self.leaving: list[Process] = []
        self.clients: list[Process | None] = []

    def _start(self, name: str, command: list[str]) -> Process:
        environment = os.environ | self.store.environment | {"PYTHONSAFEPATH": "1"}
        popen = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.stderr,
            stderr=self.stderr,
            preexec_fn=end_with_us,
        )
        self.journal.write(fault="start", worker=name, pid=popen.pid)
        return Process(name, popen)

    def start_worker(self, place: int) -> Process:
        self.started += 1
        language = LANGUAGES[place]
        name = f"{language}-{place}-{self.started}"
        program = [str(self.program)] if language == "c" else [sys.executable, "-m", MODULES[language]]
        options = json.dumps(WORKER | {"worker_id": name})
        where = [self.store.url, self.store.options, options, self.functions, str(self.folder / "bodies.jsonl")]
        return self._start(name, program + where)

    def start_client(self, number: int) -> Process:
        where = [str(self.folder), self.store.url, self.store.options, str(number), str(CLIENTS)]
        return self._start(f"client-{number}", [sys.executable, "-m", "soak.client", *where])

    def start(self) -> None:
        self.workers = [self.start_worker(place) for place in range(len(LANGUAGES))]
        self.clients = [self.start_client(number) for number in range(CLIENTS)]

    def working(self) -> bool:
        """Is a client still asking? One that ended badly is started again: the store may have been away for it."""
        for number, client in enumerate(self.clients):
            code = client.popen.poll() if client else 0
            if client and code is not None:
                if code != 0:
                    self._ended(client, code)
                self.clients[number] = self.start_client(number) if code else None
        return any(self.clients)

    def mend(self) -> None:
        """Workers that ended by themselves: they could not open the store, say."""
        for place, worker in enumerate(self.workers):
            if (code := worker.popen.poll()) is not None:
                self._ended(worker, code)
                self.workers[place] = self.start_worker(place)

    def _ended(self, process: Process, code: int) -> None:
        self.journal.write(fault="ended", worker=process.name, code=code)
        self.ended += 1
        if self.ended > ENDED_MAX:
            raise RuntimeError(f"{process.name} ended with {code}, and {ENDED_MAX} before it: see {self.folder}/stderr")
        time.sleep(0.2)

    def kill(self, target: int) -> str:
        place = target % len(self.workers)
        worker = self.workers[place]
        worker.popen.kill()
        worker.popen.wait()
        self.journal.write(fault="kill", worker=worker.name)
        self.workers[place] = self.start_worker(place)
        return worker.name

    def drain(self, target: int) -> str:
        """As a deploy does it: the new one comes while the old one ends."""
        place = target % len(self.workers)
        worker = self.workers[place]
        if worker.frozen:
            return "nobody"
        worker.popen.terminate()
        self.journal.write(fault="drain", worker=worker.name)
        self.leaving.append(worker)
        self.workers[place] = self.start_worker(place)
        return worker.name

    def freeze(self, target: int) -> str:
        """Another thread lets it go on: it may be frozen inside a transaction, for which the harness waits too."""
        worker = self.workers[target % len(self.workers)]
        if worker.frozen or sum(other.frozen for other in self.workers) > 1:
            return "nobody"
        worker.frozen = True
        worker.popen.send_signal(signal.SIGSTOP)
        self.journal.write(fault="freeze", worker=worker.name)

        def thaw() -> None:
            # It may have been killed meanwhile.
            if worker.popen.poll() is None:
                self.journal.write(fault="thaw", worker=worker.name)
                worker.popen.send_signal(signal.SIGCONT)
            worker.frozen = False

        threading.Timer(FREEZE, thaw).start()
        return worker.name

    def kill_client(self, target: int) -> str:
        number = target % len(self.clients)
        client = self.clients[number]
        if client is None:
            return "nobody"
        client.popen.kill()
        client.popen.wait()
        self.journal.write(fault="kill", worker=client.name)
        self.clients[number] = self.start_client(number)
        return client.name

    def thawed(self) -> None:
        end = time.monotonic() + 2 * FREEZE
        while any(worker.frozen for worker in self.workers) and time.monotonic() < end:
            time.sleep(0.05)

    def stop(self, patience: float) -> list[str]:
        """Drains the workers. Those that did not end in their time."""
        for worker in self.workers:
            worker.popen.terminate()
        end = time.monotonic() + patience
        slow = []
        for worker in [*self.workers, *self.leaving]:
            try:
                worker.popen.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                slow.append(f"{worker.name} has not stopped in {patience:.0f} s")
        self.end()
        return slow

    def end(self) -> None:
        """By force, whatever they do."""
        for process in [*self.workers, *self.leaving, *filter(None, self.clients)]:
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()
        self.stderr.close()
