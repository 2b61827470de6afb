"""Golden windows and event streams: write the record, and compute it again.

`python tests/golden_windows.py` writes `golden/windows.json`. Floats differ in their last bits between
processors and library versions, so the record names the arithmetic that it was made with. Exact digests
count where that is the same; elsewhere the rounded values count.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from streams import CARDS, RATE, SensitiveRunner, in_chunks, noise, scene
from support import EXAMPLES

from edge_ser import Recognizer
from edge_ser.audio.io import AudioChunk, Resampler, file_chunks
from edge_ser.audio.sources import PcmSource
from edge_ser.card import ModelCard
from edge_ser.errors import AudioError
from edge_ser.frontend import mfcc
from edge_ser.recognition.events import Event, to_json
from edge_ser.recognition.windowing import WindowConfig, clip_windows

GOLDEN = Path(__file__).parent / "golden" / "windows.json"
TIMES = {"time", "monotonic_s", "compute_ms", "latency_ms", "edge_ser", "runner", "source"}
"""Fields of an event that differ from run to run or from machine to machine."""


def clips() -> list[Path]:
    """Return the example clips."""
    return sorted(EXAMPLES.glob("*.wav"))


def window_cases(folder: Path) -> dict[str, tuple[ModelCard, list[AudioChunk]]]:
    """Return cards and audio whose windows are recorded, by name.

    Args:
        folder: an empty folder for files that are made.
    """
    bundled = Recognizer().card
    cases = {f"bundled {path.stem}": (bundled, list(file_chunks(path))) for path in clips()}
    loud = np.clip(noise(24_000, 0.6), -1, 1)
    signals = {
        "noise": noise(30_000),
        "silence": np.zeros(20_000, np.float32),
        "silence and noise": scene(2.0, 1.5, 1.6, 0.4),
        "shorter than a window": noise(9_000),
        "shorter than the minimum": noise(3_999),
        "exactly the minimum": noise(4_000),
        "exactly a window": noise(16_000),
        "clipped": loud,
        "nothing": noise(0),
    }
    for card in CARDS:
        for name, samples in signals.items():
            cases[f"{card} {name}"] = (CARDS[card], in_chunks(samples, []))
    for size in (1, 37, 160, 1_001, 16_001):
        samples = noise(20_800)
        pieces = in_chunks(samples, [size] * (len(samples) // size))
        cases |= {
            f"{card} chunks of {size}": (CARDS[card], pieces) for card in ("features", "waveform")
        }
    for rate in (8_000, 22_050, 44_100, 48_000):
        pieces = in_chunks(noise(2 * rate), [rate // 3] * 5, rate)
        cases |= {
            f"{card} at {rate} Hz": (CARDS[card], pieces) for card in ("features", "waveform")
        }
    stereo = folder / "stereo.wav"
    soundfile.write(stereo, noise(2 * 66_150).reshape(-1, 2), 44_100, subtype="PCM_16")
    for channel in (None, 1):
        cases[f"features stereo {channel}"] = (
            CARDS["features"],
            list(file_chunks(stereo, channel)),
        )
    return cases


def summary(windows: Iterable[tuple[int, int, np.ndarray | None, float, float]]) -> dict[str, Any]:
    """Return windows (start, stop, inputs, level, clipped) as a record with a digest of every bit."""
    digest = hashlib.sha256()
    rows = []
    for start, stop, inputs, level, clipped in windows:
        digest.update(repr((start, stop, float(level), float(clipped))).encode())
        digest.update(b"" if inputs is None else inputs.tobytes())
        mean = None if inputs is None else round(float(inputs.mean(dtype=np.float64)), 4)
        shape = None if inputs is None else list(inputs.shape)
        rows.append([start, stop, shape, mean, round(float(level), 3), round(float(clipped), 6)])
    return {"windows": rows, "sha256": digest.hexdigest()}


def recognizer_windows(card: ModelCard, chunks: list[AudioChunk]) -> dict[str, Any]:
    """Return the windows that a recognizer gives to its model."""
    runner = SensitiveRunner(card)
    rate = card.frontend.sample_rate
    found = []
    try:
        for window in Recognizer(runner).stream(chunks):
            silent = window.label is None
            inputs = None if silent else runner.inputs[-1]
            start, stop = round(window.start_s * rate), round(window.end_s * rate)
            assert (window.start_s, window.end_s) == (start / rate, stop / rate)
            found.append((start, stop, inputs, window.level_dbfs, window.clipped))
    except AudioError:
        return {**summary(found), "error": "AudioError"}
    return summary(found)


def cut_windows(card: ModelCard, chunks: list[AudioChunk]) -> dict[str, Any]:
    """Return the windows that are cut without a model."""
    found = []
    try:
        for window in clip_windows(chunks, WindowConfig.from_card(card)):
            row = (window.start, window.stop, window.inputs, window.level_dbfs, window.clipped)
            found.append(row)
    except AudioError:
        return {**summary(found), "error": "AudioError"}
    return summary(found)


def event_streams() -> dict[str, list[Event]]:
    """Return the events of the example clips by each way of listening, by name."""
    recognizer = Recognizer()
    sensitive = Recognizer(SensitiveRunner())
    found: dict[str, list[Event]] = {}
    for path in clips():
        for vad in (True, False):
            found[f"{path.stem} vad={vad}"] = list(recognizer.listen(path, vad=vad))
        samples, rate = soundfile.read(path, dtype="int16")
        pcm = np.concatenate([samples, np.zeros(2 * rate, np.int16), samples]).tobytes()
        source = PcmSource(io.BytesIO(pcm), rate, name="pcm")
        found[f"{path.stem} live"] = list(recognizer.listen(source))
        source = PcmSource(io.BytesIO(pcm), rate, name="pcm")
        found[f"{path.stem} live, short windows"] = list(sensitive.listen(source))
    return found


def event_record(events: Iterable[Event]) -> dict[str, Any]:
    """Return events as a record with a digest of their JSON lines but for times."""
    lines = [
        {key: value for key, value in json.loads(to_json(event)).items() if key not in TIMES}
        for event in events
    ]
    digest = hashlib.sha256("\n".join(json.dumps(line) for line in lines).encode()).hexdigest()
    rows = [
        [line["kind" if "kind" in line else "event"], round(line["at_s"], 4), line.get("label")]
        for line in lines
    ]
    return {"events": rows, "sha256": digest}


def arithmetic() -> str:
    """Return a digest of what this machine computes of fixed noise."""
    digest = hashlib.sha256()
    for name, card in CARDS.items():
        if name != "waveform":
            digest.update(mfcc(noise(16_000), card.frontend).tobytes())
    digest.update(Resampler(44_100, RATE).push(noise(44_100), last=True).tobytes())
    bundled = Recognizer()
    features = mfcc(noise(bundled.window_samples), bundled.card.frontend)
    digest.update(bundled.runner.infer(features[None]).logits.tobytes())
    return digest.hexdigest()


def write(folder: Path) -> None:
    """Write the record by today's code."""
    record = {
        "arithmetic": arithmetic(),
        "windows": {name: recognizer_windows(*case) for name, case in window_cases(folder).items()},
        "events": {name: event_record(events) for name, events in event_streams().items()},
    }
    parts = [f'"arithmetic": {json.dumps(record["arithmetic"])}']
    for part in ("windows", "events"):
        rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in record[part].items())
        parts.append(f'"{part}": {{\n{rows}\n}}')
    GOLDEN.write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        write(Path(made))
