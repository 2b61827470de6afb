"""Result of a check, and the facts that checks share."""

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
"""Works, but could be better."""
MISSING = "missing"
"""The feature of the group does not work."""
UNKNOWN = "unknown"
"""Not known, or the check itself failed."""

STATES = (OK, WARNING, MISSING, UNKNOWN)


@dataclass(frozen=True)
class Check:
    """Result of one check: feature, finding and remedy."""

    feature: str
    found: str
    state: str = OK
    """One of STATES."""
    remedy: str = ""
    """Command or advice; empty if nothing is to be done."""


@dataclass(frozen=True)
class Probes:
    """Machine that is examined. Facts that several checks need are read once."""

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
        """Result of the bundled model on the test signal, with its speed.

        Raises:
            ModelError: the bundled model is missing or damaged.
        """
        from edge_ser.doctor.self_test import run_self_test

        return run_self_test()


Examine = Callable[[Probes], "Check | None"]
"""Check of one feature; returns None if the feature does not apply to this machine."""
