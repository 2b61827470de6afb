"""Errors under torchrun: all its processes may meet the same one, and one of them tells it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def tell_once(show: Callable[[], None]) -> None:
    """Call `show`, unless another process that torchrun started on this machine has done so.

    torchrun ends all processes as soon as one has failed, so the first one that has something to
    tell does it, and the others wait until it has.
    """
    folder = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if folder is None:
        show()
        return
    import fcntl

    # One folder for each process, in one for all of them.
    with (Path(folder).parents[1] / "told").open("a") as told:
        fcntl.flock(told, fcntl.LOCK_EX)
        if os.fstat(told.fileno()).st_size == 0:
            show()
            told.write("told\n")
