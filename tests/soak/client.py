"""A client of the soak: asks for its part of a plan, and writes down every request and every answer.

    python -m soak.client FOLDER URL BACKEND_OPTIONS NUMBER COUNT

A request without an answer is repeated until there is one; each can be repeated, for it has an id. Additions to counters
have none: of one that was asked and not answered nobody knows. A client that was killed is started anew, reads what it has
written, and goes on from there.
"""

from __future__ import annotations

import ctypes
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stent
from stent import sync

from .history import Journal, mark, read
from .plan import THREADS, Item, Plan

# So long is a request repeated, in seconds; then it has failed, and the checker says so.
PATIENCE = 90


class Client:
    def __init__(self, folder: Path, executor: sync.Executor, number: int) -> None:
        path = folder / f"client-{number}.jsonl"
        before = read(path)
        self.done = {line["request"]: line.get("answer") for line in before if line["say"] in ("ack", "over")}
        self.asked = {line["request"] for line in before}
        self.journal = Journal(path)
        self.executor = executor
        # Where the shim is: the trace of writes learns what was acknowledged by then.
        self.shim: Any = getattr(ctypes.CDLL(None), "soak_mark", None)

    def ask(self, request: str, call: Callable[[], Any], over: Callable[[], Any] | None = None) -> Any:
        """`over`: what it means that there is a conflict; None: no conflict is expected."""
        if request in self.done:
            return self.done[request]
        end = time.monotonic() + PATIENCE
        while True:
            self.journal.write(request=request, say="ask")
            try:
                say, answer = "ack", call()
            except stent.ConflictError as error:
                if over is None:
                    self.journal.write(request=request, say="error", status=error.status, message=error.message)
                    return None
                say, answer = "over", over()
            except stent.Error as error:
                self.journal.write(
                    request=request, say="error", status=error.status, message=error.message, retryable=error.retryable
                )
                # Nothing that a client did is wrong; so what is not to be repeated is a finding.
                if not error.retryable or time.monotonic() > end:
                    return None
                time.sleep(0.1)
                continue
            at = self.journal.write(request=request, say=say, answer=answer)
            self.done[request] = answer
            self.mark(at)
            return answer

    def mark(self, at: float) -> None:
        if self.shim:
            self.shim(ctypes.c_int64(mark(at)))

    def start(self, item: Item, other: Item | None) -> str | None:
        """Gives its id, once it is there."""
        flow = stent.Function[..., Any]("flow")
        name = f"dispatch:{item.number}"
        if item.how == "key":
            use = flow.options(**item.options)
            for again in ("", ":again"):
                id = self.ask(name + again, lambda: self.executor.dispatch(use, item.program).id)
            return str(id) if id else None
        if item.how == "many" and other:
            both = [flow.options(**one.options, id=one.id).bind(one.program) for one in (item, other)]
            ids = [item.id, other.id]
            name = f"many:{item.number}:{other.number}"
            there = self.ask(name, lambda: [e.id for e in self.executor.dispatch_many(both)], lambda: ids)
            return item.id if there else None
        use = flow.options(**item.options, id=item.id)
        return str(self.ask(name, lambda: self.executor.dispatch(use, item.program).id, lambda: item.id) or "") or None

    def run(self, item: Item, other: Item | None) -> None:
        time.sleep(item.pause)
        id = self.start(item, other)
        if id is None:
            return
        for one in (item, other) if item.how == "many" and other else (item,):
            self.go_on(one, id if one is item else one.id)

    def go_on(self, item: Item, id: str) -> None:
        execution = self.executor.execution(id)
        payloads = enumerate(item.signals)
        for n, payload in payloads:
            for again in ("", ":again") if n in item.twice else ("",):
                name = f"signal:{item.number}:{n}{again}"
                self.ask(name, lambda: execution.signal("s", payload, id=f"s{n}"), lambda: "over")
        for n in range(item.additions):
            name = f"add:{item.number}:{n}"
            if name not in self.asked:
                self.add(name, id, n + 1)
        if item.cancel:
            time.sleep(random.Random(item.number).uniform(0, 1))
            self.ask(f"cancel:{item.number}", lambda: execution.cancel("enough"), lambda: execution.state()["state"])
        if item.watch:
            seen = self.ask(f"wait:{item.number}", lambda: self.ended(execution, 60 if item.replay else 20))
            if item.replay and seen and seen["state"] == "failed":
                self.replay(item, id)

    def add(self, name: str, id: str, amount: int) -> None:
        request = {"execution_id": id, "name": "client", "amount": amount}
        self.journal.write(request=name, say="ask", amount=amount)
        try:
            value = self.executor.backend.call("increment_execution_counter", **request)
        except stent.Error as error:
            self.journal.write(request=name, say="error", status=error.status, message=error.message, amount=amount)
        else:
            self.mark(self.journal.write(request=name, say="ack", answer=value, amount=amount))

    @staticmethod
    def ended(execution: sync.Execution[Any], patience: float) -> dict[str, Any]:
        found = execution.wait(patience)
        return {"state": found["state"], "result": found["result"]}

    def replay(self, item: Item, id: str) -> None:
        """A replay has no id: when a second one finds no letter, the first has been made."""
        Path(item.program[1][2][1]).touch()
        find = lambda: [letter["task"]["id"] for letter in self.executor.dead_letters(execution_id=id)]
        for letter in self.ask(f"letters:{item.number}", find) or []:
            self.ask(f"replay:{item.number}", lambda: self.replayed(letter))

    def replayed(self, letter: str) -> str | None:
        try:
            return self.executor.replay_dead_letter(letter).id
        except stent.NotFoundError:
            return None


def main() -> None:
    folder, (url, options), (number, count) = Path(sys.argv[1]), sys.argv[2:4], map(int, sys.argv[4:6])
    plan = Plan.load(folder)
    mine = [item for item in plan.items if item.number % count == number]
    # Requests for two take the next one as well.
    pairs: list[tuple[Item, Item | None]] = []
    taken: set[int] = set()
    for place, item in enumerate(mine):
        after = mine[place + 1] if place + 1 < len(mine) else None
        if item.number in taken:
            continue
        other = after if item.how == "many" and after and after.how == "dispatch" else None
        if other:
            taken.add(other.number)
        pairs.append((item, other))
    try:
        executor = sync.Executor(url, **json.loads(options))
    except stent.Error as error:
        sys.exit(f"open: {error}")
    with executor:
        client = Client(folder, executor, number)

        def work(thread: int) -> None:
            for pair in pairs[thread::THREADS]:
                client.run(*pair)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    client.journal.write(request="all", say="ack")


if __name__ == "__main__":
    main()
