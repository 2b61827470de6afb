"""Push hop after hop through the streaming chain, and see that the memory of the process stays."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import harness
import models
import numpy as np
from pipeline import MIC_CHUNK, MIC_RATE, Ours
from report import Part, Table, Target, deliver, parser
from speech import with_pauses

from edge_ser.machine.process import memory

WARM_UP_HOPS = 2_000
METHOD = (
    "Speech with pauses at 48 kHz, in chunks of 20 ms, goes through the whole chain: utterances begin "
    "and end, windows are classified, events are written. Resident memory is read after a warm-up and "
    "then ten times; the garbage collector works as it does by default."
)


def main() -> int:
    """Push and print."""
    options = parser(__doc__)
    options.add_argument("--hops", type=int, default=100_000, help="hops of 250 ms")
    chosen = options.parse_args()
    harness.on_one_core()
    with tempfile.TemporaryDirectory() as folder:
        part = measure(chosen.hops, models.quantized(Path(folder)))
    return deliver(part, chosen.json)


def measure(n_hops: int, model: Path) -> Part:
    """Return what was found."""
    ours, audio = Ours(model, MIC_CHUNK), with_pauses(60, MIC_RATE)
    hops = np.split(audio, range(MIC_RATE // 4, len(audio), MIC_RATE // 4))
    for place in range(WARM_UP_HOPS):
        ours(hops[place % len(hops)])
    readings = [(0, memory().rss_bytes)]
    for place in range(n_hops):
        ours(hops[place % len(hops)])
        if (place + 1) % max(1, n_hops // 10) == 0:
            readings.append((place + 1, memory().rss_bytes))
    before, after = readings[0][1], readings[-1][1]
    rows = [[f"{n:,}", f"{rss / 1e6:.2f}", f"{(rss - before) / 1e6:+.2f}"] for n, rss in readings]
    return Part(
        title="Memory over time",
        method=METHOD,
        versions=harness.versions("onnxruntime", "numpy", "soxr"),
        tables=[Table(["hops", "RSS, MB", "growth, MB"], rows)],
        targets=[Target.at_most(f"growth over {n_hops:,} hops", 2, (after - before) / 1e6, " MB")],
        notes=[
            f"{ours.n_windows:,} windows were classified; {WARM_UP_HOPS:,} hops of warm-up not counted.",
            "The process holds PyTorch too, for other benchmarks; see the footprint for ours alone.",
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
