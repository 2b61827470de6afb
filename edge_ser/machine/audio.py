"""Audio server and sound cards."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.reading import ROOT, Run, commands_of, read_text


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
