"""A day of audio through the streaming path: does memory grow, is a window lost, does the clock drift?

    python benchmarks/soak.py --hours 24 --corpora DIR

Real clips, silence and noise, drawn by a seed, go through `StreamingRecognizer` with the voice detector
as a microphone would bring them: 48 kHz, 20 ms at a time. Exits 1 when a promise is broken.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import soxr
from numpy.typing import NDArray
from rich.progress import Progress

from edge_ser._util.files import write_text
from edge_ser.audio.io import AudioChunk, load
from edge_ser.corpora import load_corpus
from edge_ser.machine.process import memory
from edge_ser.recognition.events import (
    Ended,
    Event,
    Heartbeat,
    SpeechEnd,
    SpeechStart,
    Window,
    from_json,
    to_json,
)
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.vad.detectors import open_detector

Float32 = NDArray[np.float32]

RATE = 48_000
CHUNK = RATE // 50
MAX_GROWTH_MB = 5.0


class Ledger:
    """Account for every event of a session, in constant memory."""

    def __init__(self, window_s: float, hop_s: float, first_s: float) -> None:
        self._window_s, self._hop_s, self._first_s = window_s, hop_s, first_s
        self.n_windows = self.n_utterances = self.n_heartbeats = 0
        self.faults: list[str] = []
        self._seq = 0
        self._speaking = False
        self._last: Window | None = None
        self.end: Ended | None = None

    def take(self, event: Event) -> None:
        """Check an event against those before."""
        self._expect(event.seq == self._seq, f"event {event.seq} came, {self._seq} was next")
        self._seq = event.seq + 1
        self._expect(from_json(to_json(event)).kind == event.kind, f"{event} is no line")
        match event:
            case SpeechStart():
                self._expect(not self._speaking, f"two starts before {event.at_s:.2f} s")
                self._speaking, self._last = True, None
            case SpeechEnd():
                self._expect(self._speaking, f"an end without a start at {event.at_s:.2f} s")
                self._speaking = False
                self.n_utterances += 1
            case Window():
                self._window(event)
            case Heartbeat():
                self.n_heartbeats += 1
            case Ended():
                self.end = event

    def _window(self, window: Window) -> None:
        """See that it is the one that follows: an utterance's windows grow by a hop, then slide."""
        self.n_windows += 1
        last, self._last = self._last, window
        self._expect(self._speaking, f"a window at {window.at_s:.2f} s, where nobody speaks")
        length_s = window.end_s - window.start_s
        if last is None:
            self._expect(abs(length_s - self._first_s) < 1e-3, f"first window of {length_s:.3f} s")
            return
        whole = length_s > self._window_s - 1e-3
        step_s = window.end_s - last.end_s
        grown = whole and last.end_s - last.start_s < self._window_s - 1e-3
        fits = abs(step_s - self._hop_s) < 1e-3 or (grown and 0 < step_s < self._hop_s + 1e-3)
        self._expect(fits, f"windows end at {last.end_s:.3f} and {window.end_s:.3f} s")

    def closing_faults(self, pushed_s: float) -> list[str]:
        """Return what the end of the stream says that is not so."""
        end = self.end
        if end is None:
            return ["no end came"]
        faults = []
        if abs(end.at_s - pushed_s) > self._hop_s:
            faults.append(f"the stream ends at {end.at_s} s, {pushed_s} s were pushed")
        if (end.n_windows, end.n_utterances) != (self.n_windows, self.n_utterances):
            faults.append(f"the end counts {end}, {self.n_windows} windows came")
        if end.lost_s or end.n_overruns or abs(end.heard_s - pushed_s) > self._hop_s:
            faults.append(f"{end.heard_s} s heard, {end.lost_s} s lost")
        return faults

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds and len(self.faults) < 20:
            self.faults.append(otherwise)


def audio(clips: list[Float32], seconds: float, seed: int) -> Iterator[Float32]:
    """Yield pieces of clips, silence and noise [n] at RATE that last so long together."""
    rng = np.random.default_rng(seed)
    left = round(seconds * RATE)
    while left > 0:
        kind = rng.choice(["clip", "clip", "silence", "noise"])
        if kind == "clip":
            piece = clips[rng.integers(len(clips))] * np.float32(rng.uniform(0.3, 1.5))
        else:
            level = 0 if kind == "silence" else 10 ** rng.uniform(-3, -1.3)
            n = round(rng.uniform(0.2, 8.0) * RATE)
            piece = (level * rng.standard_normal(n)).astype(np.float32)
        yield piece[:left]
        left -= len(piece)


def chunks(pieces: Iterator[Float32]) -> Iterator[Float32]:
    """Cut pieces into what a microphone hands over; the last may be shorter."""
    rest = np.empty(0, dtype=np.float32)
    for piece in pieces:
        rest = np.concatenate([rest, piece])
        whole = len(rest) // CHUNK * CHUNK
        yield from rest[:whole].reshape(-1, CHUNK)
        rest = rest[whole:]
    if len(rest):
        yield rest


def soak(hours: float, corpora: Path, model: Path | None, seed: int = 0) -> dict[str, object]:
    """Run it and return what was found."""
    clips = [
        soxr.resample(load(clip.path, 16_000), 16_000, RATE)
        for name in ("RAVDESS", "EMO-DB")
        for clip in load_corpus(f"{name}={corpora / name}")[::40]
    ]
    recognizer = Recognizer(model)
    settings = recognizer.stream_settings()
    stream = recognizer.open_stream("soak", detector=open_detector(), settings=settings)
    ledger = Ledger(recognizer.window_s, recognizer.hop_s, settings.utterance.first_s)
    seconds = hours * 3600
    n_samples, warm_mb, began = 0, 0.0, time.perf_counter()
    next_look, rss_mb = 0.0, []
    with Progress(transient=True) as progress:
        task = progress.add_task(f"{hours:g} h of audio", total=seconds)
        for samples in chunks(audio(clips, seconds, seed)):
            n_samples += len(samples)
            for event in stream.push(AudioChunk(samples, RATE)):
                ledger.take(event)
            if n_samples / RATE >= next_look:
                next_look += seconds / 200
                progress.update(task, completed=n_samples / RATE)
                rss_mb.append(memory().rss_bytes / 1e6)
                if n_samples / RATE <= max(60.0, 0.1 * seconds):
                    warm_mb = max(warm_mb, rss_mb[-1])
    for event in stream.finish():
        ledger.take(event)
    took_s = time.perf_counter() - began
    growth_mb = max(rss_mb[-20:]) - warm_mb
    faults = [*ledger.faults, *ledger.closing_faults(n_samples / RATE)]
    if growth_mb >= MAX_GROWTH_MB:
        faults.append(f"memory grew by {growth_mb:.1f} MB")
    if took_s >= seconds:
        faults.append("slower than real time")
    return {
        "audio_s": n_samples / RATE,
        "took_s": round(took_s, 1),
        "times_real_time": round(n_samples / RATE / took_s, 1),
        "windows": ledger.n_windows,
        "utterances": ledger.n_utterances,
        "heartbeats": ledger.n_heartbeats,
        "rss_warm_mb": round(warm_mb, 1),
        "rss_growth_mb": round(growth_mb, 2),
        "end_at_s": None if ledger.end is None else ledger.end.at_s,
        "faults": faults,
    }


@click.command()
@click.option("--hours", type=click.FloatRange(0.01), default=24.0, show_default=True)
@click.option("--corpora", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path), help="Default: the bundled model.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Where to keep it.")
def main(hours: float, corpora: Path, model: Path | None, json_path: Path | None) -> None:
    """Soak the streaming path."""
    found = soak(hours, corpora, model)
    text = json.dumps(found, indent=1)
    print(text)
    if json_path is not None:
        write_text(json_path, text + "\n")
    sys.exit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
