"""The library works on the store, and Python's own SQLite dispatches to it, in one process."""

import ctypes
import sqlite3
import sys
import time

path, library = sys.argv[1:]
stent = ctypes.CDLL(library)
HANDLER = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)
stent.stent_task_complete.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


@HANDLER
def ship(_user_data, task):
    return stent.stent_task_complete(task, b"1", None)


def call(function, *arguments):
    error = ctypes.c_void_p()
    status = getattr(stent, function)(*arguments, ctypes.byref(error))
    if status != 0:
        stent.stent_error_message.restype = ctypes.c_char_p
        raise RuntimeError(stent.stent_error_message(error).decode())


def made(function, *arguments):
    handle = ctypes.c_void_p()
    call(function, *arguments, ctypes.byref(handle))
    return handle


backend = made("stent_backend_open", path.encode(), None)
executor = made("stent_executor_new", backend, None)
call("stent_executor_register", executor, b"ship", None, ship, None, None)
# Its own polls are an hour apart: what wakes it is the commit.
worker = made("stent_worker_start", executor, b'{"poll_interval": 3600, "poll_interval_max": 3600}', None)

db = sqlite3.connect(path, timeout=60, isolation_level=None)
db.enable_load_extension(True)
db.execute("SELECT load_extension(?, 'stent_sqlite_init')", [library])
db.execute("CREATE TABLE orders (job TEXT)")
for _ in range(30):
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO orders VALUES (stent_dispatch('ship'))")
    # Another handle on the store comes and goes, and may drop no lock of this transaction.
    call("stent_backend_close", made("stent_backend_open", path.encode(), None))
    db.execute("COMMIT")
deadline = time.monotonic() + 60
while db.execute("SELECT count(*) FROM executions WHERE state = 'completed'").fetchone() != (30,):
    assert time.monotonic() < deadline, db.execute("SELECT state, count(*) FROM executions GROUP BY 1").fetchall()
    time.sleep(0.001)
db.close()
call("stent_shutdown", ctypes.c_int64(60_000))
print("good")
