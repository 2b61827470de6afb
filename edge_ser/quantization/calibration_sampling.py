"""Which recordings a calibration set is made of: whose, and balanced over class, speaker and level."""

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
class WindowPool:
    """All windows to choose from."""

    candidates: tuple[Candidate, ...]
    refused: Mapping[Refused, int]
    """Recordings that give none, by reason."""


def scan(
    clips: Sequence[Clip],
    card: ModelCard,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> WindowPool:
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
    return WindowPool(tuple(found), dict(refused))


def cut(
    candidates: Sequence[Candidate],
    card: ModelCard,
    progress: Callable[[], None] = lambda: None,
) -> Float32:
    """Return the features of windows, [n_candidates, n_features, n_frames].

    Args:
        candidates: from `scan` with the same card.
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


LEVELS = ("soft", "middle", "loud")
"""Thirds of all windows that can be chosen, by their level."""


@dataclass(frozen=True)
class Eligible:
    """Clips that may calibrate a model."""

    clips: tuple[Clip, ...]
    unknown_emotion: int
    """Clips left out because the model has no such label."""
    other_speakers: int
    """Clips left out because the model was trained on others of that corpus."""


def eligible(clips: Sequence[Clip], card: ModelCard, *, any_speaker: bool = False) -> Eligible:
    """Return the clips of the model's labels and, of the corpora that taught it, of its speakers.

    So nobody by whom the model is or was judged has a part in it. Of a corpus that it was not
    trained on, or with `any_speaker`, all speakers are taken.

    Raises:
        CalibrationError: no clip is left.
    """
    known = [clip for clip in clips if clip.emotion in card.labels]
    if not known:
        raise CalibrationError(
            f"none of {len(clips)} clips has a label of {card.name} ({', '.join(card.labels)}); for "
            "recordings without labels: edge-ser calibrate select --wav FOLDER"
        )
    heard = _training_speakers(card)
    taught = {clip.corpus for clip in known if clip.speaker in heard and not any_speaker}
    kept = tuple(clip for clip in known if clip.corpus not in taught or clip.speaker in heard)
    return Eligible(kept, len(clips) - len(known), len(known) - len(kept))


def cautions(chosen: CalibrationSet, card: ModelCard) -> tuple[str, ...]:
    """Return what has to be said of the speakers of a set that its model was not trained on."""
    known = {c.speaker for c in chosen.clips if c.speaker != speaker_id(c.corpus, UNKNOWN_SPEAKER)}
    names = sorted(known - _training_speakers(card))
    said: list[str] = []
    for split, consequence in (
        ("test", "its figures on them would no longer be of unheard speakers; choose others"),
        ("validation", "they chose its epoch already; better choose others"),
    ):
        judges = {s for a in card.accuracy if a.split == split for s in a.speakers}
        if found := [name for name in names if name in judges]:
            said.append(f"{', '.join(found)}: {split} speakers of {card.name}; {consequence}")
        names = [name for name in names if name not in judges]
    if names:
        said.append(
            f"{', '.join(names)}: {card.name} was not trained on these speakers; do not measure a "
            "model on them that is calibrated on this set"
        )
    return tuple(said)


def site_clips(place: Path, channel: int | None = None) -> tuple[Clip, ...]:
    """Return recordings that nobody labelled, of unknown speakers.

    Args:
        place: a folder of audio, searched with all below it, or a file.
        channel: which channel to take, None for the mean of all.

    Raises:
        AudioError: no audio there.
    """
    name = place.resolve().name
    return tuple(
        Clip(
            path=path,
            corpus=name,
            speaker=speaker_id(name, UNKNOWN_SPEAKER),
            emotion="",
            label="",
            gender=None,
            group=f"{name}/{path.relative_to(place).as_posix()}",
            channel=channel,
        )
        for path in find_audio(place)
    )


def balanced(facets: Sequence[tuple[str, ...]], n_items: int, seed: int) -> tuple[int, ...]:
    """Choose items so that the values of their facets occur equally often.

    One after the other, that item is taken whose first facet was taken least often so far, among
    several that whose second was, and so on. So values of the first facet differ by one at most,
    except where the items of one run out.

    Args:
        facets: of each item, as many for each, the most important first.
        n_items: how many to choose; all, when there are fewer.
        seed: decides between items that are equal in this.

    Returns:
        Places of the chosen items, ascending.
    """
    rng = random.Random(f"{seed}/balance")  # noqa: S311 (a draw, not a secret)
    left = rng.sample(range(len(facets)), len(facets))
    taken: Counter[tuple[int, str]] = Counter()
    chosen: list[int] = []
    while left and len(chosen) < n_items:
        best = min(left, key=lambda place: [taken[facet] for facet in enumerate(facets[place])])
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

    First the classes are made even, then within each the speakers, then all speakers, then the
    levels. Where nobody knows who speaks, files stand for speakers; a second window of a file is
    only taken when a first of none is left.

    Args:
        pool: from `windows.survey` with the same card.
        card: of the model that the set is for.
        n_clips: windows wanted; fewer when the pool has fewer.
        seed: decides between windows that are equal in this.
        licence: terms of the recordings; None for those of their corpora.
        progress: called after each recording that is read.

    Raises:
        CalibrationError: no window to choose from.
        AudioError: a recording that cannot be read.
    """
    if not pool.candidates:
        parts = ", ".join(f"{n} {reason.value}" for reason, n in pool.refused.items())
        raise CalibrationError(
            f"no recording gives a window of {card.window_s:g} s ({parts or 'none came'}); give "
            "longer or louder recordings"
        )
    levels = thirds([candidate.level_dbfs for candidate in pool.candidates])
    facets = [_facets(*pair) for pair in zip(pool.candidates, levels, strict=True)]
    places = balanced(facets, n_clips, seed)
    chosen = [pool.candidates[place] for place in places]
    return CalibrationSet(
        frontend=card.frontend,
        window_s=card.window_s,
        clips=tuple(
            _origin(candidate, levels[place])
            for place, candidate in zip(places, chosen, strict=True)
        ),
        windows=cut(chosen, card, progress),
        seed=seed,
        licence=_licence([c.clip for c in chosen]) if licence is None else licence,
    )


def thirds(levels_dbfs: Sequence[float]) -> list[str]:
    """Return for each level in which third of all it lies; equal levels lie in the same."""
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
    """Return the terms of the clips' corpora, with whom to name; `not stated` for own recordings."""
    return "; ".join(
        f"{name}: {CORPORA[name].licence} ({CORPORA[name].citation})"
        if name in CORPORA
        else f"{name}: not stated"
        for name in sorted({clip.corpus for clip in clips})
    )


def _training_speakers(card: ModelCard) -> frozenset[str]:
    return frozenset(speaker for use in card.corpora for speaker in use.speakers)
