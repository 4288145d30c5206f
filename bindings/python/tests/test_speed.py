"""How fast: a number of ../../scenarios.md, measured and printed. It holds for the release build of the library; of another
a tenth of it is asked. `make python PART=speed` runs this alone.
"""

from __future__ import annotations

import time

import pytest

from .fans import BLOCK, RELEASE, Say, run, with_fans
from .hosts import Host

RATE = 2_000 if RELEASE else 200


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_activities_a_second(host: Host, say: Say) -> None:
    best = 0.0
    async with with_fans(host) as executor:
        # The best block counts: what else the machine does makes some slower, and none faster.
        for block in range(12):
            if block >= 3 and best >= RATE:
                break
            began = time.monotonic()
            await run(executor)
            best = max(best, BLOCK / (time.monotonic() - began))
    say(f"{host.kind}: {best:,.0f} activities/s")
    assert best >= RATE
