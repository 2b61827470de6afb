"""Measure what an install takes: bytes on the disk, time to the first decision, memory while running."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import environments
import harness
from environments import NAIVE, OURS, PACKAGES, WAKEWORD
from harness import Timing
from report import Part, Table, Target, deliver, parser, timing_table
from speech import EXAMPLES, pcm, with_pauses

from edge_ser.machine.process import memory

CLIP = EXAMPLES / "1036_ITH_NEU_XX.wav"
PEERS = str(Path(__file__).with_name("peers.py"))
LARGEST = 8
METHOD = (
    "Each contestant is installed in a fresh environment; sizes are of the files in site-packages. "
    "A cold start is a whole process, from its start to the first decision on a clip, in turns; "
    "files are in the page cache. Memory is that of a process that was fed speech by a pipe as fast as "
    "it took it."
)
NOTES = """\
librosa and PyTorch run a network of a tenth of a million parameters, openWakeWord one wake word.
edge-ser runs its FP32 model, as it comes; its memory is that of `edge-ser run --stdin`, with the voice \
detector.
torch is the build that the package index gives for 2.13.0; here the one for the CPU."""


def main() -> int:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=10, help="cold starts of each")
    options.add_argument("--seconds", type=int, default=300, help="audio for the memory")
    chosen = options.parse_args()
    harness.on_one_core()
    with tempfile.TemporaryDirectory() as folder:
        part = measure(chosen.rounds, chosen.seconds, Path(folder))
    return deliver(part, chosen.json)


def measure(rounds: int, seconds: int, folder: Path) -> Part:
    """Return what was found."""
    pythons = {name: environments.make(name, folder) for name in PACKAGES}
    sizes = {name: environments.sizes(python) for name, python in pythons.items()}
    program = str(pythons[OURS].with_name("edge-ser"))
    on_file = {
        OURS: [program, "run", "--wav", str(CLIP), "--format", "jsonl"],
        NAIVE: [str(pythons[NAIVE]), PEERS, "naive", str(CLIP)],
        WAKEWORD: [str(pythons[WAKEWORD]), PEERS, "wakeword", str(CLIP)],
    }
    on_pipe = {
        OURS: [program, "run", "--stdin", "--rate", "16000", "--format", "jsonl"],
        NAIVE: [str(pythons[NAIVE]), PEERS, "naive", "-"],
        WAKEWORD: [str(pythons[WAKEWORD]), PEERS, "wakeword", "-"],
    }
    starts = cold_starts(on_file, rounds)
    speech = pcm(with_pauses(60, 16_000)) * (seconds // 60)
    rss = {name: resident_bytes(command, speech) for name, command in on_pipe.items()}
    total = {name: sum(found.values()) for name, found in sizes.items()}
    rows = [[name, f"{total[name] / 1e6:.1f}", f"{rss[name] / 1e6:.1f}"] for name in PACKAGES]
    parts = list(sizes[OURS].items())
    shown = [[name, f"{size / 1e6:.1f}"] for name, size in parts[:LARGEST]]
    rest = sum(size for _, size in parts[LARGEST:])
    shown.append([f"{len(parts) - LARGEST} more", f"{rest / 1e6:.1f}"])
    return Part(
        title="Footprint",
        method=METHOD,
        versions=harness.versions("onnxruntime", "numpy", "pyopen-wakeword", "torch"),
        tables=[
            timing_table(list(starts.values()), starts[OURS], f"Cold start, median of {rounds}"),
            Table(["", "install, MB", f"RSS after {seconds} s of audio, MB"], rows),
            Table(["package", "MB"], shown, "What edge-ser's install is made of"),
        ],
        targets=[
            Target.at_most("cold start", 1.2, starts[OURS].median_ms / 1e3, " s"),
            Target.at_most("resident memory", 150, rss[OURS] / 1e6, " MB", digits=1),
            Target.at_most("base install", 250, total[OURS] / 1e6, " MB", digits=1),
        ],
        notes=NOTES.splitlines(),
    )


def cold_starts(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, Timing]:
    """Return the times from start to first decision; one round before does not count."""
    contestants = [
        harness.Contestant(name, lambda command=command: first_decision(command))
        for name, command in commands.items()
    ]
    return harness.in_turns(contestants, rounds, warm_up=1)


def first_decision(command: Sequence[str]) -> None:
    """Start a process, wait for a line that says what was recognised, and end it.

    Raises:
        RuntimeError: the process ended without one.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_bare()) as process:
        decided = any(b'"event": "start"' not in line for line in process.stdout or ())
        process.kill()
    if not decided:
        raise RuntimeError(f"{' '.join(command)} decided nothing")


def resident_bytes(command: Sequence[str], speech: bytes) -> int:
    """Return the memory of a process that has read all speech, while it waits for more.

    Raises:
        RuntimeError: it ended before.
    """
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=_bare()
    ) as process:
        pipe = cast("IO[bytes]", process.stdin)
        pipe.write(speech)
        pipe.flush()
        time.sleep(1.0)
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        rss = memory(Path(f"/proc/{process.pid}")).rss_bytes
        pipe.close()
    return rss


def _bare() -> dict[str, str]:
    """Return the environment without a path that would shadow what is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


if __name__ == "__main__":
    sys.exit(main())
