"""Selection of calibration windows, balanced over class, speaker and level."""

from __future__ import annotations

import dataclasses
import enum
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.callbacks import OnItem
from edge_ser._util.hashing import content_digest
from edge_ser.audio.io import file_chunks, find_audio
from edge_ser.card import ModelCard
from edge_ser.corpora import CORPORA, UNKNOWN_SPEAKER, Clip, speaker_known
from edge_ser.corpora.clip import speaker_id
from edge_ser.errors import AudioError, CalibrationError
from edge_ser.quantization.calibration_set import CalibrationClip, CalibrationSet
from edge_ser.recognition.windowing import WindowConfig, clip_windows

Float32 = NDArray[np.float32]


class Refused(str, enum.Enum):
    """Reasons why a recording gives no window."""

    TOO_SHORT = "shorter than a window"
    SILENT = "silent"


@dataclass(frozen=True)
class Candidate:
    """Window that can be selected."""

    clip: Clip
    start_s: float
    level_dbfs: float
    """RMS level of the window, in dB of full scale."""


@dataclass(frozen=True)
class WindowPool:
    """Windows to select from."""

    candidates: tuple[Candidate, ...]
    refused: Mapping[Refused, int]
    """Number of recordings without a window, by reason."""


def scan(
    clips: Sequence[Clip],
    card: ModelCard,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> WindowPool:
    """Draw one audible window at random from each `card.window_s` of each recording.

    A random window rather than the loudest or the middle one, because a device processes every part
    of an utterance, with the pauses around it, and these set the lower end of the activations.
    Overlapping windows would be nearly equal, so a clip shorter than two windows gives one.

    Args:
        clips: recordings. Clips of one `group` hold the same audio: only the first is read.
        card: the model card with window and hop.
        seed: seed of the draw, which is independent for each recording.
        progress: called after each recording.

    Raises:
        AudioError: a recording that cannot be read.
    """
    config = WindowConfig.from_card(card)
    per_span = max(1, -(-config.window_samples // config.hop_samples))
    candidates: list[Candidate] = []
    refused: Counter[Refused] = Counter()
    read: set[str] = set()
    for clip in clips:
        progress()
        if clip.group in read:
            continue
        read.add(clip.group)
        chunks = file_chunks(clip.path, clip.channel)
        cut = clip_windows(chunks, config, str(clip.path), short=False, levels_only=True)
        windows = list(cut)
        rng = random.Random(f"{seed}/{clip.group}")  # noqa: S311 (a draw, not a secret)
        spans = [windows[at : at + per_span] for at in range(0, len(windows), per_span)]
        audible = [some for span in spans if (some := [w for w in span if w.inputs is not None])]
        if not audible:
            refused[Refused.SILENT if windows else Refused.TOO_SHORT] += 1
        for span in audible:
            window = rng.choice(span)
            candidates.append(Candidate(clip, window.start / config.sample_rate, window.level_dbfs))
    return WindowPool(tuple(candidates), dict(refused))


def cut(
    candidates: Sequence[Candidate],
    card: ModelCard,
    progress: Callable[[], None] = lambda: None,
) -> Float32:
    """Return the features of windows, [n_candidates, n_features, n_frames].

    Args:
        candidates: from `scan` with the same card.
        card: the model card with front end, window and hop.
        progress: called after each recording.

    Raises:
        AudioError: a recording that cannot be read.
    """
    config = dataclasses.replace(WindowConfig.from_card(card), input="features")
    indices: dict[Clip, dict[float, int]] = {}
    for index, candidate in enumerate(candidates):
        indices.setdefault(candidate.clip, {})[candidate.start_s] = index
    frontend = card.frontend
    shape = (frontend.n_features, frontend.n_frames(config.window_samples))
    windows: Float32 = np.empty((len(candidates), *shape), dtype=np.float32)
    for clip, by_start in indices.items():
        _cut_clip(config, clip, by_start, windows)
        progress()
    return windows


def _cut_clip(
    config: WindowConfig, clip: Clip, by_start: Mapping[float, int], windows: Float32
) -> None:
    """Fill in the windows of one recording; `by_start` gives the index of each by its start in s."""
    missing = set(by_start)
    chunks = file_chunks(clip.path, clip.channel)
    for window in clip_windows(chunks, config, str(clip.path)):
        start_s = window.start / config.sample_rate
        if start_s in missing and window.inputs is not None:
            windows[by_start[start_s]] = window.inputs[0]
            missing.remove(start_s)
        if not missing:
            return
    raise AudioError(f"{clip.path} changed while it was read; run the command again")


LEVELS = ("soft", "middle", "loud")
"""Thirds of all candidate windows, by level."""


@dataclass(frozen=True)
class Eligible:
    """Clips that can be used to calibrate a model."""

    clips: tuple[Clip, ...]
    unknown_emotion: int
    """Clips left out because the model has no such label."""
    other_speakers: int
    """Clips left out because the model was trained on other speakers of their corpus."""


def eligible(clips: Sequence[Clip], card: ModelCard, *, any_speaker: bool = False) -> Eligible:
    """Return the clips with labels of the model and, of its training corpora, of its training speakers.

    This excludes the speakers that the model is evaluated on. All speakers of other corpora are
    included, and with `any_speaker` those of every corpus.

    Raises:
        CalibrationError: no clip is left.
    """
    known = [clip for clip in clips if clip.emotion in card.labels]
    if not known:
        raise CalibrationError(
            f"none of {len(clips)} clips has a label of {card.name} ({', '.join(card.labels)}); for "
            "recordings without labels: edge-ser calibrate select --wav FOLDER"
        )
    trained = _training_speakers(card)
    corpora = {clip.corpus for clip in known if clip.speaker in trained and not any_speaker}
    left = tuple(clip for clip in known if clip.corpus not in corpora or clip.speaker in trained)
    return Eligible(left, len(clips) - len(known), len(known) - len(left))


def cautions(chosen: CalibrationSet, card: ModelCard) -> tuple[str, ...]:
    """Return warnings about speakers of a set that its model was not trained on."""
    known = {c.speaker for c in chosen.clips if c.speaker != speaker_id(c.corpus, UNKNOWN_SPEAKER)}
    names = sorted(known - _training_speakers(card))
    warnings: list[str] = []
    for split, consequence in (
        ("test", "its accuracy on them would no longer be that on new speakers; choose others"),
        ("validation", "they were used to select its epoch; choose others if possible"),
    ):
        held_out = {s for a in card.accuracy if a.split == split for s in a.speakers}
        if found := [name for name in names if name in held_out]:
            warnings.append(f"{', '.join(found)}: {split} speakers of {card.name}; {consequence}")
        names = [name for name in names if name not in held_out]
    if names:
        warnings.append(
            f"{', '.join(names)}: {card.name} was not trained on these speakers; do not evaluate a "
            "model on them that is calibrated on this set"
        )
    return tuple(warnings)


def site_clips(path: Path, channel: int | None = None) -> tuple[Clip, ...]:
    """Return unlabelled recordings of unknown speakers.

    Args:
        path: an audio file, or a folder that is searched recursively.
        channel: the channel to use; None for the mean of all.

    Raises:
        AudioError: no audio found.
    """
    name = path.resolve().name
    return tuple(
        Clip(
            path=file,
            corpus=name,
            speaker=speaker_id(name, UNKNOWN_SPEAKER),
            emotion="",
            label="",
            gender=None,
            group=f"{name}/{file.relative_to(path).as_posix()}",
            channel=channel,
        )
        for file in find_audio(path)
    )


def balanced(facets: Sequence[tuple[str, ...]], n_items: int, seed: int) -> tuple[int, ...]:
    """Select items so that the values of each facet occur equally often.

    Greedy selection: each step takes the item whose first facet has been selected least often; ties
    are resolved by the second facet, and so on. Counts of the values of the first facet therefore
    differ by at most one, unless the items of a value run out.

    Args:
        facets: facets of each item, the same number for all, the most important first.
        n_items: number of items to select; all if there are fewer.
        seed: seed for the remaining ties.

    Returns:
        Indices of the selected items, ascending.
    """
    rng = random.Random(f"{seed}/balance")  # noqa: S311 (a draw, not a secret)
    left = rng.sample(range(len(facets)), len(facets))
    taken: Counter[tuple[int, str]] = Counter()
    chosen: list[int] = []
    while left and len(chosen) < n_items:
        best = min(left, key=lambda index: [taken[facet] for facet in enumerate(facets[index])])
        left.remove(best)
        taken.update(enumerate(facets[best]))
        chosen.append(best)
    return tuple(sorted(chosen))


def choose(
    pool: WindowPool,
    card: ModelCard,
    *,
    n_clips: int,
    seed: int,
    licence: str | None = None,
    progress: OnItem = lambda: None,
) -> CalibrationSet:
    """Make a calibration set of windows that are balanced over class, speaker and level.

    Classes are balanced first, then the speakers within each class, then all speakers, then the
    levels. If the speakers are unknown, files take their place. A second window of a file is only
    used when every file has given one.

    Args:
        pool: from `scan` with the same card.
        card: card of the model that the set is for.
        n_clips: number of windows; fewer if the pool has fewer.
        seed: seed for ties between windows.
        licence: terms of the recordings; None for those of their corpora.
        progress: called after each recording that is read.

    Raises:
        CalibrationError: the pool is empty.
        AudioError: a recording that cannot be read.
    """
    if not pool.candidates:
        parts = ", ".join(f"{n} {reason.value}" for reason, n in pool.refused.items())
        raise CalibrationError(
            f"no recording gives a window of {card.window_s:g} s ({parts or 'no recordings'}); give "
            "longer or louder recordings"
        )
    levels = thirds([candidate.level_dbfs for candidate in pool.candidates])
    facets = [_facets(*pair) for pair in zip(pool.candidates, levels, strict=True)]
    indices = balanced(facets, n_clips, seed)
    chosen = [pool.candidates[index] for index in indices]
    return CalibrationSet(
        frontend=card.frontend,
        window_s=card.window_s,
        clips=tuple(
            _origin(candidate, levels[index])
            for index, candidate in zip(indices, chosen, strict=True)
        ),
        windows=cut(chosen, card, progress),
        seed=seed,
        licence=_licence([c.clip for c in chosen]) if licence is None else licence,
    )


def thirds(levels_dbfs: Sequence[float]) -> list[str]:
    """Return the third that each level belongs to, one of LEVELS; equal levels share a third."""
    edges = np.quantile(levels_dbfs, [1 / 3, 2 / 3])
    return [LEVELS[i] for i in np.searchsorted(edges, levels_dbfs)]


def _facets(candidate: Candidate, level: str) -> tuple[str, ...]:
    clip = candidate.clip
    voice = clip.speaker if speaker_known(clip) else clip.group
    return clip.emotion, f"{clip.emotion}/{voice}", voice, clip.group, level


def _origin(candidate: Candidate, level: str) -> CalibrationClip:
    clip = candidate.clip
    return CalibrationClip(
        name=clip.path.name,
        corpus=clip.corpus,
        speaker=clip.speaker,
        emotion=clip.emotion,
        level_dbfs=round(candidate.level_dbfs, 2),
        sha256=content_digest(clip.path),
        level=level,
        start_s=candidate.start_s,
    )


def _licence(clips: Sequence[Clip]) -> str:
    """Return licence and citation of the clips' corpora; `not stated` for the user's recordings."""
    return "; ".join(
        f"{name}: {CORPORA[name].licence} ({CORPORA[name].citation})"
        if name in CORPORA
        else f"{name}: not stated"
        for name in sorted({clip.corpus for clip in clips})
    )


def _training_speakers(card: ModelCard) -> frozenset[str]:
    return frozenset(speaker for use in card.corpora for speaker in use.speakers)
