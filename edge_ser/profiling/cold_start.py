"""Time from the start of a process to its first decision, in fresh processes.

This module is also the program that such a process runs. It records timestamps of the clock that all
processes share.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edge_ser.errors import EngineError, ModelError

TIMEOUT_S = 600.0
"""Limit of one start, in seconds; long enough to recompile an engine for another GPU."""

_STAMPS = ("started", "imported", "loaded", "decided")


@dataclass(frozen=True)
class ColdStart:
    """Times of one cold start, which add up to the total."""

    interpreter_ms: float
    """From the creation of the process to the first line of this module."""
    imports_ms: float
    load_ms: float
    """Time to open the model and the voice detector."""
    first_ms: float
    """Time to process the first window, whose audio is already available."""
    total_ms: float
    rss_bytes: int
    """Memory after the first decision, with this one model."""
    peak_rss_bytes: int


def cold_starts(
    model: Path, device: str, threads: int, detector: str | None, n: int, seed: int = 0
) -> tuple[ColdStart, ...]:
    """Start n processes one after the other, with the files in the system's cache.

    Args:
        model: the file.
        device: one of `inference.loader.DEVICES`.
        threads: CPU threads.
        detector: a name for `open_detector`, None for none.
        n: number of processes.
        seed: of the generated sound.

    Raises:
        ModelError, EngineError: a process failed or hung.
    """
    from edge_ser.profiling.sound import made_sound

    if n == 0:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "window.f32"
        audio.write_bytes(made_sound(16_000, seed, 10.0).samples.tobytes())
        request = json.dumps([str(model), device, threads, detector, str(audio)])
        return tuple(_start(request, model) for _ in range(n))


def _start(request: str, model: Path) -> ColdStart:
    program = [sys.executable, "-m", "edge_ser.profiling.cold_start", request]
    begin_ns = time.monotonic_ns()
    try:
        done = subprocess.run(
            program,
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT_S,
            cwd=Path.cwd(),
            env=os.environ,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(
            f"{model} made no decision within {TIMEOUT_S:g} s of a fresh start; try: edge-ser run "
            f"--model {model}"
        ) from None
    except subprocess.CalledProcessError as failed:
        reason = (failed.stderr or "").strip().splitlines()[-1:] or ["no message"]
        raise ModelError(
            f"{model} cannot be used in a fresh process ({reason[0]}); try: edge-ser run --model {model}"
        ) from None
    result = json.loads(done.stdout.splitlines()[-1])
    moments = [begin_ns, *(result[name] for name in _STAMPS)]
    interpreter, imports, load, first = ((b - a) / 1e6 for a, b in itertools.pairwise(moments))
    return ColdStart(
        interpreter,
        imports,
        load,
        first,
        total_ms=(moments[-1] - begin_ns) / 1e6,
        rss_bytes=result["rss_bytes"],
        peak_rss_bytes=result["peak_rss_bytes"],
    )


def main(request: str, started_ns: int) -> None:
    """Process one window and print the timestamps."""
    model, device, threads, detector, audio = json.loads(request)
    import numpy as np

    from edge_ser.audio.io import AudioChunk
    from edge_ser.machine.process import memory
    from edge_ser.profiling.stages import AlwaysSpeech
    from edge_ser.recognition.events import Window
    from edge_ser.recognition.recognizer import Recognizer
    from edge_ser.vad.detectors import open_detector

    imported_ns = time.monotonic_ns()
    recognizer = Recognizer(model, threads=threads, device=device)
    voice = None if detector is None else AlwaysSpeech(open_detector(detector))
    loaded_ns = time.monotonic_ns()
    stream = recognizer.open_stream("cold start", detector=voice)
    samples = np.fromfile(audio, dtype=np.float32)
    n = recognizer.window_samples
    for at in range(0, 2 * n, 320):
        piece = np.resize(samples[at % len(samples) :], 320)
        events = stream.push(AudioChunk(piece, recognizer.card.frontend.sample_rate))
        if any(isinstance(event, Window) and event.label for event in events):
            break
    else:
        raise ModelError(f"{model} made no decision on {2 * n} samples; export it again")
    decided_ns = time.monotonic_ns()
    held = memory()
    stamps = dict(
        zip(_STAMPS, (started_ns, imported_ns, loaded_ns, decided_ns), strict=True),
        rss_bytes=held.rss_bytes,
        peak_rss_bytes=held.peak_rss_bytes,
    )
    print(json.dumps(stamps))  # noqa: T201 (to the process that measures)


if __name__ == "__main__":
    main(sys.argv[1], time.monotonic_ns())
