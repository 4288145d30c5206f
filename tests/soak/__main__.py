"""The soak: programs in C and in Python run durable workflows on one store under all the bad luck that can be had, and a
checker reads what they wrote down. `make soak`, with

    SOAK_SECONDS   begin new rounds for so long (60); 0: one round
    SOAK_SEED      the first round's seed (drawn); each round's is one more than the one before
    SOAK_STORE     sqlite, postgres, or both

A *round* is a plan drawn from its seed (plan.py): executions of 25 kinds, which are programs for one interpreter
(programs.py) that worker.c, worker.py and coroutines.py all have, so that a workflow begun in C goes on in Python; and
faults. Clients
(client.py) dispatch, signal, cancel, add to counters and replay dead letters, and write down each request and each
answer; handlers write down each body that they begin and end. Meanwhile workers and clients are killed, frozen and
drained; a SQLite file's disk is full, its writes and syncs fail, its clock is set (shim.c, stores.py); a PostgreSQL server is
stopped, crashes, fails over to a synchronous standby, its connections are cut at COMMIT, stalled and delayed (postgres.py,
proxy.py). Then everything is healed, all executions must end, and the checker (checker.py, rules_*.py), a pure function,
compares the clients' log, the workers' history and the store's records with each other and with a model of the programs.

A SQLite file is also made anew as it would be after a power cut at chosen moments, from a trace of writes and syncs
(power.py): nothing that was acknowledged may be missing. That this finds something is seen with synchronous=NORMAL, where
something is. And the checker is proven by damaging a good run in forty ways, each of which it must find (damage.py).

The same seed draws the same plan; when things happen is the machine's business, so a fault that was seen once may need
several runs to be seen again. What a failed round wrote is kept in target/soak/, and `python -m soak FOLDER` (by
tests/soak/run) checks it anew.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from . import damage, lost_steps, plan, power, rounds
from .checker import RULES, check, problems
from .history import Run
from .stores import Postgres, Sqlite, Store
from .view import Problem

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or CHECKOUT / "target").resolve() / "soak"
# Of one round: every kind so often, and so many faults.
COPIES = 2
FAULTS = 14
POWER_CUTS = 12
SHOWN = 20


class Soak:
    def __init__(self) -> None:
        self.passed = self.failed = 0
        self.began = time.monotonic()
        self.good: Run | None = None
        library = os.environ["STENT_LIB_DIR"]
        compiler = [os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-g"]
        self.worker, self.shim = TARGET / "worker", TARGET / "shim.so"
        link = [f"-L{library}", "-lstent", f"-Wl,-rpath,{library}"]
        subprocess.run([*compiler, f"-I{CHECKOUT}/include", HERE / "worker.c", "-o", self.worker, *link], check=True)
        subprocess.run([*compiler, "-fPIC", "-shared", HERE / "shim.c", "-o", self.shim, "-ldl"], check=True)

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:7.1f} {text}", flush=True)

    def count(self, what: str, found: Iterable[Problem | str]) -> bool:
        all = [str(problem) for problem in found]
        self.passed += not all
        self.failed += bool(all)
        if all:
            print(f"test {what} ... FAILED", flush=True)
        for text in all[:SHOWN]:
            self.say(text)
        if len(all) > SHOWN:
            self.say(f"and {len(all) - SHOWN} more")
        return not all

    def round(self, seed: int, store: str) -> None:
        drawn = plan.make(seed, store, str(self.folder(seed, store)), COPIES, FAULTS)
        place = Path(drawn.folder)
        self.say(f"round {seed} on {store}: {len(drawn.items)} executions, {len(drawn.faults)} faults")
        made: Store = Sqlite(place, self.shim) if store == "sqlite" else Postgres(place)
        if isinstance(made, Postgres):
            self.count(f"lost steps {seed}", lost_steps.check(made))
        if self.play(drawn, made):
            shutil.rmtree(place)

    def play(self, drawn: plan.Plan, store: Store) -> tuple[Run, int] | None:
        """Gives the run and what of its trace is good; None if it could not be played."""
        place = Path(drawn.folder)
        good, played = True, None
        try:
            played = rounds.play(drawn, store, self.worker, self.say)
            for rule, found in zip(RULES, check(played[0]), strict=True):
                good &= self.count(f"{drawn.store} {drawn.seed}, {rule.__name__}", found)
        except Exception as error:
            good = self.count(f"{drawn.store} {drawn.seed}", [f"{type(error).__name__}: {error}"])
        finally:
            if not good:
                store.keep()
            store.close()
        if good and played and not self.good:
            self.good = played[0]
        if not good:
            self.say(f"kept: {place}. Check it again: tests/soak/run {place}")
            self.say(f"Run it again: make soak SOAK_SECONDS=0 SOAK_SEED={drawn.seed} SOAK_STORE={drawn.store}")
        return played if good else None

    def power(self, seed: int, synchronous: str) -> None:
        """Power cuts in a short run without other trouble than kills."""
        drawn = plan.make(seed, "sqlite", str(self.folder(seed, f"power-{synchronous}")), 1, FAULTS)
        drawn.faults = [fault for fault in drawn.faults if fault.kind in ("kill", "kill_client")]
        plan.paced(drawn)
        place = Path(drawn.folder)
        self.say(f"power cuts {seed}, synchronous={synchronous}")
        store = Sqlite(place, self.shim, trace=True, synchronous=synchronous)
        if not (played := self.play(drawn, store)):
            return
        run, traced = played
        cuts = place / "cuts"
        found = power.check(run, store.trace, traced, cuts, POWER_CUTS)
        if synchronous != "full":
            nothing = Problem("power", f"with synchronous={synchronous} nothing is missing after a power cut")
            found = [] if found else [nothing]
        if self.count(f"power cuts {seed}, {synchronous}", found):
            shutil.rmtree(place)
        else:
            self.say(f"kept: {place}")

    def prove(self) -> None:
        if not self.good:
            self.count("damages", ["there is no good run to be damaged"])
            return
        self.say(f"damaging a good run in {len(damage.DAMAGES)} ways")
        for title, wrong in damage.prove(self.good):
            self.count(f"damage: {title}", [wrong] if wrong else [])

    @staticmethod
    def folder(seed: int, name: str) -> Path:
        folder = TARGET / f"{seed}-{name}"
        if os.path.ismount(folder / "store"):
            subprocess.run(["umount", "--lazy", str(folder / "store")], check=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def again(folder: Path) -> int:
    found = problems(Run.load(folder))
    for problem in found:
        print(problem)
    print(f"{len(found)} problems")
    return 1 if found else 0


def interrupted(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    if len(sys.argv) > 1:
        return again(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, interrupted)
    seconds = float(os.environ.get("SOAK_SECONDS") or 60)
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1, 1_000_000))
    wanted = os.environ.get("SOAK_STORE") or "both"
    stores = {"both": ["sqlite", "postgres"], "sqlite": ["sqlite"], "postgres": ["postgres"]}[wanted]
    TARGET.mkdir(parents=True, exist_ok=True)
    soak = Soak()
    soak.say(f"SOAK_SEED={seed} SOAK_STORE={wanted}")
    end, first = time.monotonic() + seconds, True
    while first or time.monotonic() < end:
        for store in stores:
            soak.round(seed, store)
        if "sqlite" in stores:
            soak.power(seed, "full")
            if first:
                soak.power(seed, "normal")
        if first:
            soak.prove()
        seed, first = seed + 1, False
    print(f"soak: {soak.passed} passed, {soak.failed} failed")
    return 1 if soak.failed else 0


if __name__ == "__main__":
    sys.exit(main())
