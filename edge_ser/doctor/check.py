"""Result of a check, and the facts that checks share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.machine.facts import MachineFacts
from edge_ser.machine.reading import ROOT, Run, commands_of, read_text

if TYPE_CHECKING:
    from edge_ser.audio.sources.devices import InputDevice
    from edge_ser.doctor.self_test import SelfTest


@dataclass(frozen=True)
class Audio:
    """Audio server and sound cards."""

    server: str | None
    """Such as `PulseAudio (on PipeWire 1.0.5)`; None if no server answers and no socket exists."""
    sample_rate: int | None
    """Mixing rate of the server in Hz."""
    cards: tuple[str, ...]
    """Sound cards of the kernel."""


def parse_pactl_info(text: str) -> tuple[str | None, int | None]:
    """Return name and sample rate of the server that `pactl info` describes."""
    name = re.search(r"^Server Name: (.+)$", text, re.MULTILINE)
    rate = re.search(r"^Default Sample Specification: .*?(\d+)\s?Hz", text, re.MULTILINE)
    return name.group(1).strip() if name else None, int(rate.group(1)) if rate else None


def parse_asound_cards(text: str) -> tuple[str, ...]:
    """Return the long names of the cards in /proc/asound/cards."""
    return tuple(re.findall(r"^\s*\d+ \[.*?\]: .*? - (.+?)\s*$", text, re.MULTILINE))


def read_audio(root: Path = ROOT, run: Run | None = None) -> Audio:
    """Query the audio server, else look for its socket, and list the cards."""
    server, rate = parse_pactl_info((run or commands_of(root))("pactl", "info") or "")
    if server is None:
        # The folder is relative to `root`.
        runtime = root / os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}").lstrip("/")
        sockets = (("pipewire-0", "PipeWire"), ("pulse/native", "PulseAudio"))
        server = next((name for socket, name in sockets if (runtime / socket).exists()), None)
    return Audio(server, rate, parse_asound_cards(read_text(root / "proc/asound/cards") or ""))


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
