"""Changes of the label on natural speech: minutes of neutral clips played live, and what became of them.

Joins clips that nobody meant to be emotional with gaps of 0.4 s, lets the live recogniser hear them
through its voice detector, and counts `emotion` events. --corpora needs PicovoiceS2I and RAVDESS
below it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_ser.audio.io import AudioChunk, load
from edge_ser.recognition.events import Emotion, Event, SpeechEnd, SpeechStart
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.vad.detectors import open_detector

RATE = 16_000
GAP_S = 0.4
TEST_ACTORS = {"03", "06", "11", "18", "24"}
"""Of RAVDESS: the bundled model was not trained on them."""


@dataclass
class Count:
    """What was decided while somebody spoke."""

    n_utterances: int = 0
    n_events: int = 0
    n_within: int = 0
    """Events after the first of an utterance: changes of the label."""
    n_doubt: int = 0
    """Those between a label and none."""
    n_verdicts: int = 0
    n_agreeing: int = 0
    """Verdicts on an utterance that are the label which it ended with."""


def main() -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    recognizer = Recognizer(options.model)
    stream = recognizer.open_stream(
        "clips", detector=open_detector(), settings=recognizer.stream_settings()
    )
    events: list[Event] = []
    for samples in clips(options.corpora):
        events += stream.push(AudioChunk(samples, RATE))
        if stream.at_s >= 60 * options.minutes:
            break
    minutes = stream.at_s / 60
    events += stream.finish()
    c = count(events)
    print(
        f"{minutes:.1f} min, {c.n_utterances} utterances, {c.n_events} emotion events; "
        f"{c.n_within / minutes:.1f} changes a minute within utterances, "
        f"{c.n_doubt} of {c.n_within} between a label and none; "
        f"the last label is the verdict for {c.n_agreeing} of {c.n_verdicts}"
    )
    return 0


def clips(corpora: Path) -> Iterator[np.ndarray]:
    """Yield neutral clips with a gap after each, in a fixed order."""
    files = sorted((corpora / "PicovoiceS2I").rglob("*.flac"))
    files += [
        path
        for path in sorted((corpora / "RAVDESS").rglob("03-01-01-*"))
        if path.stem[-2:] in TEST_ACTORS
    ]
    files = [files[i] for i in np.random.default_rng(7).permutation(len(files))]
    gap = np.zeros(round(GAP_S * RATE), dtype=np.float32)
    for path in files:
        yield np.concatenate([load(path, RATE), gap])


def count(events: list[Event]) -> Count:
    """Return what happened to the label."""
    found, first, label = Count(), True, None
    for event in events:
        if isinstance(event, SpeechStart):
            first, label = True, None
        elif isinstance(event, Emotion):
            found.n_events += 1
            found.n_within += not first
            found.n_doubt += not first and None in {event.label, event.previous}
            first, label = False, event.label
        elif isinstance(event, SpeechEnd):
            found.n_utterances += 1
            found.n_verdicts += event.label is not None
            found.n_agreeing += event.label is not None and event.label == label
    return found


if __name__ == "__main__":
    sys.exit(main())
