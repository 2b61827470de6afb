"""Corpora with one label or none: kept out of accuracy, measured by the distribution of the answers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from edge_ser.audio.io import find_audio
from edge_ser.card import ModelCard
from edge_ser.corpora import UNKNOWN_SPEAKER, UNLABELLED, Clip, Half, Role
from edge_ser.corpora.clip import speaker_id
from edge_ser.corpora.crowd import half_of
from edge_ser.errors import ConfigError
from edge_ser.evaluation.distribution import NEUTRAL, NO_SPEECH
from edge_ser.evaluation.selection import LeftOut, Selection, select

ALWAYS = frozenset({NEUTRAL, UNLABELLED, NO_SPEECH})
"""Emotions that need not be among the labels of the model."""


def noise_clips(folders: Sequence[Path]) -> tuple[Clip, ...]:
    """Return every audio file in folders as a clip without speech; a corpus for each folder.

    Raises:
        AudioError: no audio there.
        ConfigError: two folders of one name.
    """
    names = Counter(folder.absolute().name for folder in folders)
    if twice := [name for name, n in names.items() if n > 1]:
        raise ConfigError(
            f"expected folders of different names, got {names[twice[0]]} called {twice[0]}; rename one"
        )
    return tuple(
        _noise(folder.absolute().name, folder, path)
        for folder in folders
        for path in find_audio(folder)
    )


def plain_corpora(clips: Sequence[Clip]) -> frozenset[str]:
    """Return the corpora of which all clips have the same emotion, or none is labelled."""
    emotions: dict[str, set[str]] = {}
    for clip in clips:
        emotions.setdefault(clip.corpus, set()).add(clip.emotion)
    return frozenset(corpus for corpus, found in emotions.items() if len(found) == 1)


def select_all(
    clips: Sequence[Clip],
    card: ModelCard,
    *,
    chosen: Collection[Clip] | None = None,
    choice: str = "all speakers",
    include_trained: bool = False,
) -> Selection:
    """Select labelled clips as `select` does, and beside them those of plain corpora.

    A choice of speakers or of a fold is one among labelled clips: plain corpora are measured whole,
    but for clips of which training may have had the very file.

    Args:
        clips: all clips of the corpora.
        card: the model's; it names the corpora and speakers of the training.
        chosen: those of the labelled clips to measure on, None for all.
        choice: what chose them, in words.
        include_trained: keep speakers and corpora that the model was trained on.

    Raises:
        ConfigError: nothing is left.
    """
    names = plain_corpora(clips)
    labelled = [clip for clip in clips if clip.corpus not in names]
    kept, left_out = _plain([c for c in clips if c.corpus in names], card, include_trained)
    if labelled:
        selection = select(
            labelled, card, chosen=chosen, choice=choice, include_trained=include_trained
        )
        left_out = (*selection.left_out, *left_out)
        return dataclasses.replace(selection, plain=kept, left_out=left_out)
    if not kept:
        parts = ", ".join(f"{part.corpus} {part.n_clips} {part.reason}" for part in left_out)
        raise ConfigError(
            f"expected clips to measure on, got none ({parts}); add --include-trained, or give "
            f"labelled speech; the model's labels are {', '.join(card.labels)}"
        )
    return Selection("corpora of one label or none", (), left_out, (), (), kept)


def _plain(
    clips: Sequence[Clip], card: ModelCard, include_trained: bool
) -> tuple[tuple[Clip, ...], tuple[LeftOut, ...]]:
    trained = frozenset(speaker for use in card.corpora for speaker in use.speakers)
    names = frozenset(use.name for use in card.corpora)
    kept: list[Clip] = []
    reasons: Counter[tuple[str, str]] = Counter()
    for clip in clips:
        if clip.emotion not in ALWAYS and clip.emotion not in card.labels:
            reasons[clip.corpus, f"labelled {clip.emotion}, which the model does not know"] += 1
        elif not include_trained and (clip.speaker in trained or _in_half(clip, names)):
            reasons[clip.corpus, "that the model may have been trained on"] += 1
        else:
            kept.append(clip)
    return tuple(kept), tuple(LeftOut(*key, n) for key, n in sorted(reasons.items()))


def _in_half(clip: Clip, trained: frozenset[str]) -> bool:
    """Return whether training had the file of a crowd under another name: the whole, or its half."""
    if clip.role is Role.LABELLED:
        return False
    ends = tuple(f"#{half.value}" for half in Half)
    if clip.corpus.endswith(ends):
        return clip.corpus.rpartition("#")[0] in trained
    halves = {half for half in Half if f"{clip.corpus}#{half.value}" in trained}
    return bool(halves) and half_of(clip.path) in halves


def _noise(corpus: str, folder: Path, path: Path) -> Clip:
    return Clip(
        path=path,
        corpus=corpus,
        speaker=speaker_id(corpus, UNKNOWN_SPEAKER),
        emotion=NO_SPEECH,
        label=NO_SPEECH,
        gender=None,
        group=f"{corpus}/{path.relative_to(folder).as_posix()}",
        channel=None,
        role=Role.UNLABELLED,
    )
