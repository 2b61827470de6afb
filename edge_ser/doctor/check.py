"""What a check looks at, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.machine.facts import MachineFacts
from edge_ser.machine.reading import Run

if TYPE_CHECKING:
    from edge_ser.audio.sources.devices import InputDevice
    from edge_ser.doctor.self_test import SelfTest
    from edge_ser.machine.audio import Audio

OK = "ok"
WARNING = "warning"
"""It works, and something about it could be better."""
MISSING = "missing"
"""What the group of the check is for does not work."""
UNKNOWN = "unknown"
"""It could not be told, or the check itself failed."""

STATES = (OK, WARNING, MISSING, UNKNOWN)


@dataclass(frozen=True)
class Check:
    """One feature, what was found of it, and what to do."""

    feature: str
    found: str
    state: str = OK
    """One of STATES."""
    remedy: str = ""
    """What to do; empty where there is nothing to do."""


@dataclass(frozen=True)
class Probes:
    """The machine that is examined. What several checks need is looked up once."""

    root: Path
    run: Run
    facts: MachineFacts
    with_self_test: bool = True

    @cached_property
    def audio(self) -> Audio:
        """Audio server and sound cards."""
        from edge_ser.machine.audio import read_audio

        return read_audio(self.root, self.run)

    @cached_property
    def inputs(self) -> tuple[InputDevice, ...]:
        """All microphones.

        Raises:
            AudioError: PortAudio cannot list them.
            MissingDependency: PortAudio is not installed.
        """
        from edge_ser.audio.sources.devices import list_devices
        from edge_ser.doctor.quiet import quiet

        with quiet():
            return list_devices()

    @cached_property
    def self_test(self) -> SelfTest:
        """What the bundled model makes of the test signal, and how fast.

        Raises:
            ModelError: the bundled model is missing or damaged.
        """
        from edge_ser.doctor.self_test import run_self_test

        return run_self_test()


Examine = Callable[[Probes], "Check | None"]
"""Looks at one feature; None where the feature does not concern this machine."""
