"""Windows of recordings for calibration, exactly as the runtime cuts them.

A first pass only measures levels. A second one computes the features of the windows that were chosen,
so that memory does not grow with the recordings.
"""

from __future__ import annotations

import dataclasses
import enum
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import file_chunks
from edge_ser.card import ModelCard
from edge_ser.corpora import Clip
from edge_ser.errors import AudioError
from edge_ser.recognition.windowing import WindowConfig, clip_windows

Float32 = NDArray[np.float32]


class Refused(str, enum.Enum):
    """Why a recording gives no window."""

    TOO_SHORT = "shorter than a window"
    SILENT = "silent"


@dataclass(frozen=True)
class Candidate:
    """A window that can be chosen."""

    clip: Clip
    start_s: float
    level_dbfs: float
    """RMS level of the window, in dB of full scale."""


@dataclass(frozen=True)
class Pool:
    """All windows to choose from."""

    candidates: tuple[Candidate, ...]
    refused: Mapping[Refused, int]
    """Recordings that give none, by reason."""


def survey(
    clips: Sequence[Clip],
    card: ModelCard,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> Pool:
    """Draw one audible window from each `card.window_s` of each recording.

    It is drawn, not the loudest or the middle one: a device meets an utterance at any place, with
    the pauses around it, and it is these that set the lower end of what activations reach.
    Overlapping windows would be nearly the same, so a clip shorter than two windows gives one.

    Args:
        clips: recordings; of those with one `group`, which hold the same audio, the first is heard.
        card: whose window and hop are taken.
        seed: decides the draw, of each recording by itself.
        progress: called after each recording.

    Raises:
        AudioError: a recording that cannot be read.
    """
    config = WindowConfig.from_card(card)
    per_span = max(1, -(-config.window_samples // config.hop_samples))
    found: list[Candidate] = []
    refused: Counter[Refused] = Counter()
    heard: set[str] = set()
    for clip in clips:
        progress()
        if clip.group in heard:
            continue
        heard.add(clip.group)
        chunks = file_chunks(clip.path, clip.channel)
        cut = clip_windows(chunks, config, str(clip.path), short=False, levels_only=True)
        windows = list(cut)
        rng = random.Random(f"{seed}/{clip.group}")  # noqa: S311 (a draw, not a secret)
        spans = [windows[at : at + per_span] for at in range(0, len(windows), per_span)]
        audible = [own for span in spans if (own := [w for w in span if w.inputs is not None])]
        if not audible:
            refused[Refused.SILENT if windows else Refused.TOO_SHORT] += 1
        for span in audible:
            window = rng.choice(span)
            found.append(Candidate(clip, window.start / config.sample_rate, window.level_dbfs))
    return Pool(tuple(found), dict(refused))


def cut(
    candidates: Sequence[Candidate],
    card: ModelCard,
    progress: Callable[[], None] = lambda: None,
) -> Float32:
    """Return the features of windows, [n_candidates, n_features, n_frames].

    Args:
        candidates: from `survey` with the same card.
        card: whose front end, window and hop are taken.
        progress: called after each recording.

    Raises:
        AudioError: a recording that cannot be read.
    """
    config = dataclasses.replace(WindowConfig.from_card(card), input="features")
    places: dict[Clip, dict[float, int]] = {}
    for place, candidate in enumerate(candidates):
        places.setdefault(candidate.clip, {})[candidate.start_s] = place
    frontend = card.frontend
    shape = (frontend.n_features, frontend.n_frames(config.window_samples))
    windows: Float32 = np.empty((len(candidates), *shape), dtype=np.float32)
    for clip, own in places.items():
        _cut_clip(config, clip, own, windows)
        progress()
    return windows


def _cut_clip(
    config: WindowConfig, clip: Clip, places: Mapping[float, int], windows: Float32
) -> None:
    """Fill in the windows of one recording, whose places are given by their starts."""
    missing = set(places)
    chunks = file_chunks(clip.path, clip.channel)
    for window in clip_windows(chunks, config, str(clip.path)):
        start_s = window.start / config.sample_rate
        if start_s in missing and window.inputs is not None:
            windows[places[start_s]] = window.inputs[0]
            missing.remove(start_s)
        if not missing:
            return
    raise AudioError(f"{clip.path} changed while it was read; run the command again")
