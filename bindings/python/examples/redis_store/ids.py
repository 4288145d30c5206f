"""How ids are made: a child's follows from its parent, an execution's sorts by time."""

from __future__ import annotations

import os
import uuid
from datetime import datetime
from hashlib import sha256

from .transaction import Transaction


def child_id(parent: str, run: int, key: str) -> str:
    """The id of the operation of this key in a task's run."""
    of = uuid.UUID(parent).bytes
    digest = sha256(of + run.to_bytes(4, "big") + key.encode()).digest()
    return _uuid(of[:6] + digest[:10], version=8)


def execution_id(tx: Transaction) -> str:
    millis = int(datetime.fromisoformat(tx.now).timestamp() * 1000)
    return _uuid(millis.to_bytes(6, "big") + os.urandom(10), version=7)


def _uuid(octets: bytes, version: int) -> str:
    made = bytearray(octets)
    made[6] = made[6] & 0x0F | version << 4
    made[8] = made[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(made)))
