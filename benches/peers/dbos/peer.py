"""DBOS: a program that benches/peers/run compares."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSClient

URL, SETTINGS, PHASE, COUNT = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
TUNED = SETTINGS == "recommended"
QUEUE = {"worker_concurrency": 256, "polling_interval_sec": 0.1} if TUNED else {}
RESULT = {"polling_interval_sec": 0.1} if TUNED else {}
JOBS, CHILDREN = "jobs", "children"

DBOS(config={"name": "peer", "system_database_url": URL, "log_level": "ERROR", "application_version": "1", "executor_id": "1"})


@DBOS.workflow()
def noop() -> None:
    pass


@DBOS.step()
def step() -> None:
    pass


@DBOS.workflow()
def calls() -> None:
    for _ in range(5):
        DBOS.enqueue_workflow(CHILDREN, noop).get_result(**RESULT)


@DBOS.workflow()
def steps() -> None:
    for _ in range(5):
        step()


@DBOS.workflow()
def probe() -> None:
    started.append(time.monotonic())


def launch() -> None:
    DBOS.launch()
    for queue in (JOBS, CHILDREN):
        DBOS.register_queue(queue, **QUEUE)


def setup() -> dict:
    launch()
    return {"seconds": 1}


def enqueue(client: DBOSClient, _: int) -> None:
    client.enqueue({"queue_name": JOBS, "workflow_name": "noop"})


def bulk() -> dict:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: enqueue(client(), number), range(COUNT)))
    return {"lacks": "one call for each, from 16 threads"}


def one() -> dict:
    dispatcher = client()
    return timed(lambda: [enqueue(dispatcher, number) for number in range(COUNT)])


def drain() -> dict:
    launch()
    return timed(until_done)


def until_done() -> None:
    watcher = client()
    while watcher.list_workflows(status=["ENQUEUED", "PENDING"], limit=1, load_input=False, load_output=False):
        time.sleep(0.02)
    found = len(watcher.list_workflows(status=["SUCCESS"], load_input=False, load_output=False))
    assert found == COUNT, f"{found} of {COUNT} have ended"


def workflows() -> dict:
    launch()
    workflow = calls if PHASE == "calls" else steps

    def all_at_once() -> None:
        with ThreadPoolExecutor(16) as pool:
            handles = list(pool.map(lambda _: DBOS.enqueue_workflow(JOBS, workflow), range(COUNT)))
        for handle in handles:
            handle.get_result(**RESULT)

    return timed(all_at_once)


def latency() -> dict:
    launch()
    to_start, to_result = [], []
    for _ in range(COUNT):
        asked = time.monotonic()
        DBOS.enqueue_workflow(JOBS, probe).get_result(**RESULT)
        to_result.append(time.monotonic() - asked)
        to_start.append(started.pop() - asked)
        time.sleep(0.005)
    return {"start_ms": statistics.median(to_start) * 1e3, "result_ms": statistics.median(to_result) * 1e3}


def client() -> DBOSClient:
    if not clients:
        clients.append(DBOSClient(system_database_url=URL))
    return clients[0]


def timed(work) -> dict:
    begin = time.monotonic()
    work()
    return {"seconds": time.monotonic() - begin}


started: list[float] = []
clients: list[DBOSClient] = []
phases = {"setup": setup, "bulk": bulk, "drain": drain, "one": one, "calls": workflows, "steps": workflows, "latency": latency}
print(json.dumps(phases[PHASE]()), flush=True)
# What is recorded is recorded; its threads need not end.
os._exit(0)
