"""How well a detector, and the utterances cut with it, agree with where somebody speaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from voice_scenes import RATE, STEP_S, Scene

from edge_ser.vad.base import VoiceDetector
from edge_ser.vad.segmenter import Segmenter, SegmenterConfig

Span = tuple[float, float]

HOP_SAMPLES = RATE // 4
TARGET_MS = 300.0


@dataclass(frozen=True)
class Score:
    """Frames and utterances of one kind of scene."""

    n_utterances: int
    miss: float
    """Share of the speech that the detector gives less than the threshold."""
    false_alarm: float
    """Share of the rest that it gives at least that."""
    missed: int
    """Utterances that nothing was found for."""
    split: int
    """Pieces too many that utterances were cut into."""
    merged: int
    """Utterances that were joined to the one before."""
    invented: int
    """Pieces found where nobody speaks."""
    start_ms: float | None
    """Median of found less true start, where one piece stands for one utterance; so the next."""
    start_p95_ms: float | None
    """95th percentile of its magnitude."""
    end_ms: float | None
    end_p95_ms: float | None
    within: float
    """Share of all utterances found once, start and end within 300 ms."""


class Recorder:
    """A detector that keeps every probability it gives."""

    def __init__(self, detector: VoiceDetector) -> None:
        self._detector = detector
        self.name = detector.name
        self.sample_rate = detector.sample_rate
        self.frame_samples = detector.frame_samples
        self.heard: list[float] = []

    def push(self, frame: NDArray[np.float32]) -> float:
        """Pass a frame on."""
        self.heard.append(self._detector.push(frame))
        return self.heard[-1]

    def reset(self) -> None:
        """Pass it on; what was heard is kept."""
        self._detector.reset()


def score(detector: VoiceDetector, scene: Scene, settings: SegmenterConfig) -> Score:
    """Let a detector that has heard nothing yet hear a scene in hops of 250 ms."""
    recorder = Recorder(detector)
    segmenter = Segmenter(recorder, RATE, settings)
    boundaries = [
        boundary
        for start in range(0, len(scene.samples), HOP_SAMPLES)
        for boundary in segmenter.push(scene.samples[start : start + HOP_SAMPLES])
    ]
    times = [boundary.at_s for boundary in (*boundaries, *segmenter.flush())]
    found = list(zip(times[::2], times[1::2], strict=True))
    middles = (np.arange(len(scene.active)) + 0.5) * STEP_S * RATE
    places = np.minimum(middles // recorder.frame_samples, len(recorder.heard) - 1).astype(int)
    speech = (np.array(recorder.heard) >= settings.on_threshold)[places]
    pairs, counts = match(scene.spans_s, found)
    starts = np.array([1e3 * (f[0] - t[0]) for t, f in pairs])
    ends = np.array([1e3 * (f[1] - t[1]) for t, f in pairs])
    good = (np.abs(starts) <= TARGET_MS) & (np.abs(ends) <= TARGET_MS)
    return Score(
        n_utterances=len(scene.spans_s),
        miss=float(np.mean(~speech[scene.active])),
        false_alarm=float(np.mean(speech[~scene.active])),
        start_ms=_percentile(starts, 50),
        start_p95_ms=_percentile(np.abs(starts), 95),
        end_ms=_percentile(ends, 50),
        end_p95_ms=_percentile(np.abs(ends), 95),
        within=float(good.sum()) / len(scene.spans_s),
        **counts,
    )


def match(
    true: Sequence[Span], found: Sequence[Span]
) -> tuple[list[tuple[Span, Span]], dict[str, int]]:
    """Return the pairs that overlap each other and nothing else, and the counts of the rest."""
    of_true = [[f for f in found if _overlap(t, f)] for t in true]
    of_found = [[t for t in true if _overlap(t, f)] for f in found]
    lone = {f for f, ts in zip(found, of_found, strict=True) if len(ts) == 1}
    pairs = [
        (t, fs[0]) for t, fs in zip(true, of_true, strict=True) if len(fs) == 1 and fs[0] in lone
    ]
    return pairs, {
        "missed": sum(not fs for fs in of_true),
        "split": _beyond_one(of_true),
        "merged": _beyond_one(of_found),
        "invented": sum(not ts for ts in of_found),
    }


def _beyond_one(groups: Iterable[Sequence[Span]]) -> int:
    return sum(max(0, len(group) - 1) for group in groups)


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _percentile(values: NDArray[np.float64], q: float) -> float | None:
    return float(np.percentile(values, q)) if len(values) else None
