"""Orders and their executions, in one transaction each."""

import json
import os
import sqlite3
import sys

path, library = sys.argv[1:]


def connect() -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?, 'stent_sqlite_init')", [library])
    db.enable_load_extension(False)
    return db


def counts() -> tuple[int, int]:
    return db.execute("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM executions)").fetchone()


db = connect()
db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, job TEXT)")

# Both or none.
db.execute("BEGIN IMMEDIATE")
order = db.execute("INSERT INTO orders (customer) VALUES ('Ada')").lastrowid
(job,) = db.execute("SELECT stent_dispatch('ship', ?)", [json.dumps([order])]).fetchone()
db.execute("UPDATE orders SET job = ? WHERE id = ?", [job, order])
db.execute("COMMIT")
assert counts() == (1, 1), counts()

db.execute("BEGIN IMMEDIATE")
db.execute("INSERT INTO orders (customer, job) VALUES ('Bob', stent_dispatch('ship'))")
db.execute("ROLLBACK")
assert counts() == (1, 1), counts()

# A context manager of the module's own.
db.isolation_level = ""
try:
    with db:
        db.execute("INSERT INTO orders (customer, job) VALUES ('Eve', stent_dispatch('ship'))")
        raise KeyError("changed my mind")
except KeyError:
    pass
assert counts() == (1, 1), counts()

try:
    db.execute("SELECT stent_dispatch('ship', '{}')")
    raise AssertionError("arguments that are no array are refused")
except sqlite3.OperationalError as why:
    assert "args: it is an object" in str(why), why

(again,) = db.execute("""SELECT stent_dispatch('ship', '[1]', '{"idempotency_key": "order 1"}')""").fetchone()
(same,) = db.execute("""SELECT stent_dispatch('ship', '[1]', '{"idempotency_key": "order 1"}')""").fetchone()
assert again == same
db.execute("SELECT stent_signal(?, 'paid', '{\"amount\": 5}')", [again]).fetchall()
db.execute("SELECT stent_cancel(?, 'no stock')", [again]).fetchall()
assert db.execute("SELECT state FROM executions WHERE cancel_reason = 'no stock'").fetchall() == [("cancelled",)]

def forked() -> str:
    """The id that a child draws, on a connection that it opens itself."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        (drawn,) = connect().execute("SELECT stent_dispatch('ship')").fetchone()
        os.write(writing, drawn.encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        drawn = pipe.read()
    assert os.wait()[1] == 0
    return drawn


# What is behind the time in an id is drawn anew in each child.
drawn = {forked()[15:], forked()[15:]}
assert len(drawn) == 2 and all(drawn), drawn

# A second connection of the same program, while the first is open.
other = connect()
other.execute("SELECT stent_dispatch('ship')").fetchall()
other.close()
db.close()
print("good")
