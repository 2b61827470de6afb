"""Errors under torchrun: several processes may meet the same error; one of them prints it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def print_once(show: Callable[[], None]) -> None:
    """Call `show`, unless another process that torchrun started on this machine has done so.

    torchrun ends all processes as soon as one has failed. The first process with an error prints it,
    and the others wait until it has.
    """
    folder = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if folder is None:
        show()
        return
    import fcntl

    # One folder for each process, in one for all of them.
    with (Path(folder).parents[1] / "told").open("a") as marker:
        fcntl.flock(marker, fcntl.LOCK_EX)
        if os.fstat(marker.fileno()).st_size == 0:
            show()
            marker.write("told\n")
