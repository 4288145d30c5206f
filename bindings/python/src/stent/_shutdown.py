"""The end: handlers must not be running when the interpreter goes away."""

from __future__ import annotations

import atexit
import os
import sys

from . import _log
from ._errors import ForkedError, TimeoutError
from ._library import NULL, call, free_handles, lib, milliseconds

# A host that is told to end waits this long for its handlers, in seconds; what runs longer is taken over by others.
PATIENCE = 10.0


def shutdown(timeout: float | None = PATIENCE) -> None:
    """Drains and stops all workers of the process, and closes all stores, within so many seconds (None: as long as it
    takes). Python's exit does it too. `TimeoutError`: handlers were still running.
    """
    call(lib.stent_shutdown, milliseconds(timeout))


@atexit.register
def _at_exit() -> None:
    # What an executor was given is given back by calls of ours: they must come while there is an interpreter.
    free_handles()
    try:
        shutdown(PATIENCE)
        # The lines so far have been handed over. What comes later would find no interpreter.
        _log.give_back(lib, NULL)
        shutdown(PATIENCE)
    except ForkedError:
        pass  # the library is the parent's
    except TimeoutError as error:
        # A thread that comes back to an interpreter that is gone would abort the process.
        print(f"stent: at exit, after {PATIENCE} s: {error.message}; what ran was given up to other workers", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
