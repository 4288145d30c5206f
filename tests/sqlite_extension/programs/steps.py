"""Steps that a transaction of Python's own SQLite records: with its rows or not at all, and once."""

import ctypes
import os
import signal
import sqlite3
import subprocess
import sys
import time

path, library, *dies = sys.argv[1:]
stent = ctypes.CDLL(library)
HANDLER = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)
TASK, TEXT, PLACE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
stent.stent_task_complete.argtypes = [TASK, TEXT, PLACE]
stent.stent_task_result.argtypes = [TASK, ctypes.c_uint32, PLACE, PLACE]
stent.stent_task_sleep.argtypes = [TASK, TEXT, PLACE]
stent.stent_task_progress.argtypes = [TASK, TEXT, PLACE]
stent.stent_task_transaction_begin.argtypes = [TASK, TEXT, TEXT, PLACE, PLACE, PLACE]
stent.stent_task_transaction_end.argtypes = [TASK, ctypes.c_uint32, TEXT, PLACE]
stent.stent_free.argtypes = [PLACE]
stent.stent_error_message.restype = TEXT
stent.stent_error_message.argtypes = [PLACE]
# What each function does with its token, and how often it has got one. What is raised in one is none of its task's
# failures: another attempt may find a step that should not have been recorded.
works, tokens, raised = {}, {}, []


def connect():
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?, 'stent_sqlite_init')", [library])
    return db


def record(db, token, result="[5]"):
    db.execute("INSERT INTO money VALUES (5)")
    db.execute("SELECT stent_record_step(?, ?)", [token, result]).fetchall()


def refused(db, token, says):
    try:
        record(db, token)
    except sqlite3.Error as why:
        assert says in str(why), why
    else:
        raise AssertionError(f"it is not refused: {says}")
    db.execute("ROLLBACK")


def handler(name):
    @HANDLER
    def pay(_user_data, task):
        op, token = ctypes.c_uint32(), ctypes.c_void_p()
        status = stent.stent_task_transaction_begin(task, b"charge", None, ctypes.byref(op), ctypes.byref(token), None)
        if status != 0:
            return status
        if token.value:
            tokens[name] = tokens.get(name, 0) + 1
            db = connect()
            try:
                works[name](db, ctypes.string_at(token.value).decode(), task)
            except Exception as why:
                raised.append((name, why))
                raise
            finally:
                db.close()
                stent.stent_free(token)
            failure = b'{"type": "Declined", "message": "no money"}'
            status = stent.stent_task_transaction_end(task, op, failure, None)
            if status != 0:
                return status
        # Its handler runs again from the top.
        status = stent.stent_task_sleep(task, b"0.02", None)
        if status != 0:
            return status
        result = ctypes.c_void_p()
        status = stent.stent_task_result(task, op, ctypes.byref(result), None)
        return status if status != 0 else stent.stent_task_complete(task, ctypes.string_at(result.value), None)

    return pay


def call(function, *arguments):
    error = ctypes.c_void_p()
    status = getattr(stent, function)(*arguments, ctypes.byref(error))
    if status != 0:
        raise RuntimeError(stent.stent_error_message(error).decode())


def made(function, *arguments):
    handle = ctypes.c_void_p()
    call(function, *arguments, ctypes.byref(handle))
    return handle


def commits(db, token, task):
    db.execute("BEGIN IMMEDIATE")
    record(db, token)
    db.execute("COMMIT")
    # The worker goes on from what it knows itself.
    stent.stent_task_progress(task, b'"paid"', None)
    until(db, "SELECT count(*) FROM execution_progress", 1)


def rolls_back(db, token, _task):
    db.execute("BEGIN IMMEDIATE")
    record(db, token)
    db.execute("ROLLBACK")


def loses(db, token, _task):
    if tokens["loses"] > 1:
        db.execute("BEGIN IMMEDIATE")
        record(db, token)
        return db.execute("COMMIT")
    # As another worker's claim leaves it.
    db.execute("UPDATE tasks SET fence = fence + 1, lease_until = 0 WHERE step_name = 'loses'")
    db.execute("BEGIN IMMEDIATE")
    refused(db, token, "is not this run's any more")


def cancelled(db, token, _task):
    db.execute("SELECT stent_cancel(?)", [ids["cancelled"]]).fetchall()
    db.execute("BEGIN IMMEDIATE")
    refused(db, token, "is cancelled")


def twice(db, token, _task):
    db.execute("BEGIN IMMEDIATE")
    record(db, token)
    db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    refused(db, token, "is recorded already")


def wrong(db, token, _task):
    for other, says in [("", "this is none"), (token + "x", "this is none"), (token[:40], "this is none")]:
        db.execute("BEGIN IMMEDIATE")
        refused(db, other, says)
    try:
        db.execute("SELECT stent_record_step(?, '{')", [token]).fetchall()
    except sqlite3.Error as why:
        assert "result" in str(why), why
    else:
        raise AssertionError("that is no JSON")
    # Outside of a transaction the work has been committed before, or comes later.
    try:
        db.execute("SELECT stent_record_step(?)", [token]).fetchall()
    except sqlite3.Error as why:
        assert "no transaction is open" in str(why), why
    else:
        raise AssertionError("it is recorded without its work")
    db.execute("BEGIN IMMEDIATE")
    db.execute("SELECT stent_record_step(?)", [token]).fetchall()
    db.execute("COMMIT")


def holds_the_lock(db, token, task):
    db.execute("BEGIN IMMEDIATE")
    record(db, token)
    # The worker, which wants to write this, waits for its turn.
    stent.stent_task_progress(task, b'"waits"', None)
    time.sleep(0.5)
    db.execute("COMMIT")


def killed(db, token, _task):
    if not dies:
        db.execute("BEGIN IMMEDIATE")
        record(db, token)
        return db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    record(db, token)
    if dies == ["after"]:
        db.execute("COMMIT")
    os.kill(os.getpid(), signal.SIGKILL)


def until(db, sql, wanted, *given):
    deadline = time.monotonic() + 60
    while (found := db.execute(sql, given).fetchone()[0]) != wanted:
        assert time.monotonic() < deadline, (sql, given, found)
        time.sleep(0.001)


works.update({work.__name__: work for work in (commits, rolls_back, loses, cancelled, twice, wrong, holds_the_lock, killed)})
backend = made("stent_backend_open", path.encode(), None)
executor = made("stent_executor_new", backend, None)
handlers = {name: handler(name) for name in works}
for name, function in handlers.items():
    if not dies or name == "killed":
        call("stent_executor_register", executor, name.encode(), None, function, None, None)
options = b'{"lease_duration": 1, "poll_interval": 0.05, "poll_interval_max": 0.05}'
if dies:
    worker = made("stent_worker_start", executor, options, None)
    time.sleep(60)
    sys.exit("it has not been killed")

host = connect()
host.execute("CREATE TABLE money (amount INTEGER)")
ids = {}
for place in ("before", "after"):
    (ids[place],) = host.execute("SELECT stent_dispatch('killed')").fetchone()
    ended = subprocess.run([sys.executable, sys.argv[0], path, library, place], check=False)
    assert ended.returncode == -signal.SIGKILL, ended
    (money,) = host.execute("SELECT count(*) FROM money").fetchone()
    assert money == (place == "after"), (place, money)
    if place == "before":
        # Only the other may be found by the next one that dies.
        host.execute("UPDATE tasks SET lane = NULL, due_at = NULL, lease_until = 9e18 WHERE step_name = 'killed'")
        waits = host.execute("SELECT id FROM tasks WHERE step_name = 'killed'").fetchone()
worker = made("stent_worker_start", executor, options, None)
host.execute("UPDATE tasks SET lease_until = 0 WHERE id = ?", waits)
blob = "(SELECT state || coalesce(CAST(result AS TEXT), '') FROM executions WHERE lower(hex(id)) = replace(?, '-', ''))"
for place in ("before", "after"):
    until(host, f"SELECT {blob}", "completed[5]", ids[place])
# One was begun anew, of the other the record was found.
assert tokens["killed"] == 1 and host.execute("SELECT count(*) FROM money").fetchone() == (2,), tokens

for name, ends, added in [
    ("commits", "completed[5]", 1),
    ("rolls_back", "failed", 0),
    ("loses", "completed[5]", 1),
    ("cancelled", "cancelled", 0),
    ("twice", "completed[5]", 1),
    ("wrong", "completednull", 0),
    ("holds_the_lock", "completed[5]", 1),
]:
    (before,) = host.execute("SELECT count(*) FROM money").fetchone()
    host.execute("BEGIN IMMEDIATE")
    (ids[name],) = host.execute("SELECT stent_dispatch(?)", [name]).fetchone()
    host.execute("COMMIT")
    until(host, f"SELECT {blob}", ends, ids[name])
    assert host.execute("SELECT count(*) FROM money").fetchone() == (before + added,), name
    assert tokens[name] == (2 if name == "loses" else 1), (name, tokens)
host.close()
assert not raised, raised
call("stent_shutdown", ctypes.c_int64(60_000))
print("good")
