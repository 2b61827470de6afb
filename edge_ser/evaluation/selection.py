"""Selection of the clips that a model is measured on, and their relation to its training data."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser.audio.io import find_audio
from edge_ser.card import ModelCard
from edge_ser.corpora import UNKNOWN_SPEAKER, UNLABELLED, Clip, Half, Role, speaker_known
from edge_ser.corpora.clip import speaker_id
from edge_ser.corpora.crowd import half_of
from edge_ser.errors import ConfigError
from edge_ser.evaluation.distribution import NEUTRAL, NO_SPEECH
from edge_ser.splits.fold import speakers as speakers_of


@dataclass(frozen=True)
class LeftOut:
    """Clips of one corpus that are left out of the measurement."""

    corpus: str
    reason: str
    n_clips: int


@dataclass(frozen=True)
class Selection:
    """Clips to measure on, and facts that reports state about them."""

    protocol: str
    """Description of the speakers."""
    clips: tuple[Clip, ...]
    left_out: tuple[LeftOut, ...]
    trained: tuple[str, ...]
    """Speakers among the clips that the model was trained on."""
    validation: tuple[str, ...]
    """Speakers among the clips that were used to choose the epoch."""
    plain: tuple[Clip, ...] = ()
    """Clips of corpora with one label or none, from `select_plain`: for distributions only."""


def select(
    clips: Sequence[Clip],
    card: ModelCard,
    *,
    chosen: Collection[Clip] | None = None,
    choice: str = "all speakers",
    include_trained: bool = False,
) -> Selection:
    """Leave out clips that the model cannot answer or was trained on.

    Args:
        clips: all clips of the corpora.
        card: the model's; it names the speakers of the training.
        chosen: those of the clips to measure on, None for all.
        choice: description of that choice.
        include_trained: keep speakers that the model was trained on.

    Raises:
        ConfigError: nothing is left.
    """
    trained_speakers = frozenset(speaker for use in card.corpora for speaker in use.speakers)
    requested = frozenset(clips if chosen is None else chosen)
    selected: list[Clip] = []
    reasons: Counter[tuple[str, str]] = Counter()
    for clip in clips:
        if clip.emotion not in card.labels:
            reason = f"labelled {clip.emotion}, which the model does not know"
        elif clip not in requested:
            reason = f"not of the {choice}"
        elif clip.speaker in trained_speakers and not include_trained:
            reason = "of speakers that the model was trained on"
        else:
            selected.append(clip)
            continue
        reasons[clip.corpus, reason] += 1
    left_out = tuple(LeftOut(*key, n_clips) for key, n_clips in sorted(reasons.items()))
    if not selected:
        raise ConfigError(_nothing_left(left_out, card))
    names = speakers_of(selected)
    tuned = frozenset(s for a in card.accuracy if a.split == "validation" for s in a.speakers)
    trained = tuple(name for name in names if name in trained_speakers)
    return Selection(
        protocol=choice + _overlap(bool(trained), bool(trained_speakers)),
        clips=tuple(selected),
        left_out=left_out,
        trained=trained,
        validation=tuple(name for name in names if name in tuned and name not in trained_speakers),
    )


def missing_labels(clips: Iterable[Clip], labels: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return, for each corpus, the labels that none of its clips has; corpora with all left out."""
    occurring: dict[str, set[str]] = {}
    for clip in clips:
        occurring.setdefault(clip.corpus, set()).add(clip.emotion)
    missing = {
        corpus: tuple(label for label in labels if label not in emotions)
        for corpus, emotions in occurring.items()
    }
    return {corpus: names for corpus, names in missing.items() if names}


def _overlap(trained: bool, known: bool) -> str:
    if trained:
        return "; includes speakers of the training data"
    if known:
        return ", without those of the training data"
    return "; the card names no speakers of the training, so overlap cannot be seen"


def _nothing_left(left_out: Sequence[LeftOut], card: ModelCard) -> str:
    parts = ", ".join(f"{part.corpus} {part.n_clips} {part.reason}" for part in left_out)
    remedy = (
        "give other speakers, or add --include-trained to see figures of remembering"
        if any("trained on" in part.reason for part in left_out)
        else f"the model's labels are {', '.join(card.labels)}"
    )
    return f"no clip is left to measure on ({parts}); {remedy}"


UNSEEN = "unseen corpora"
NEW_SPEAKERS = "new speakers"
TRAINED = "trained speakers"
UNKNOWN = "unknown"

SCOPES = (UNSEEN, NEW_SPEAKERS, TRAINED, UNKNOWN)
"""Relations of a corpus to the training data, in the order of reports."""

TITLES = {
    UNSEEN: "Corpora that are not in the training data",
    NEW_SPEAKERS: "New speakers of the training corpora",
    TRAINED: "Speakers of the training data",
    UNKNOWN: "Speech of which the overlap with the training data is not known",
}

NOTES = {
    UNSEEN: "not in the training data",
    NEW_SPEAKERS: "new speakers of a training corpus",
    TRAINED: "speakers of the training data",
    UNKNOWN: "overlap with the training data unknown",
}

MEANINGS = {
    UNSEEN: "The case of a new user: other voices, rooms, microphones and mostly other sentences.",
    NEW_SPEAKERS: (
        "The speakers are new; sentences, studio, microphone and language are those of the training. "
        "It cannot tell how the model does on other voices, rooms, languages and microphones."
    ),
    TRAINED: "The figures show what the model remembers, not its accuracy on new speakers.",
    UNKNOWN: (
        "The model file or the corpus does not name the speakers, so speakers of the training may be "
        "among them."
    ),
}

_HALVES = ("#train", "#held")


def scope_of(clips: Sequence[Clip], card: ModelCard) -> str:
    """Return the scope of the clips of one corpus.

    Corpora are compared by name; a half (`NAME#train`, `NAME#held`) counts as the complete corpus. A
    corpus that was used to choose the epoch counts as a training corpus.

    Args:
        clips: the measured clips of the corpus, at least one.
        card: the model's.
    """
    trained = {speaker for use in card.corpora for speaker in use.speakers}
    tuned = {s for a in card.accuracy if a.split == "validation" for s in a.speakers}
    if any(clip.speaker in trained for clip in clips):
        return TRAINED
    if not card.corpora:
        return UNKNOWN
    names = {use.name for use in card.corpora} | {speaker.partition("/")[0] for speaker in tuned}
    if _whole(clips[0].corpus) not in {_whole(name) for name in names}:
        return UNSEEN
    return NEW_SPEAKERS if all(map(speaker_known, clips)) else UNKNOWN


def _whole(name: str) -> str:
    for end in _HALVES:
        name = name.removesuffix(end)
    return name.casefold()


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
    return frozenset(corpus for corpus, labels in emotions.items() if len(labels) == 1)


def select_all(
    clips: Sequence[Clip],
    card: ModelCard,
    *,
    chosen: Collection[Clip] | None = None,
    choice: str = "all speakers",
    include_trained: bool = False,
) -> Selection:
    """Select labelled clips as `select` does, and also the clips of plain corpora.

    A choice of speakers or of a fold applies to labelled clips only. Plain corpora are measured
    completely, except for files that may have been used in training.

    Args:
        clips: all clips of the corpora.
        card: the model's; it names the corpora and speakers of the training.
        chosen: those of the labelled clips to measure on, None for all.
        choice: description of that choice.
        include_trained: keep speakers and corpora that the model was trained on.

    Raises:
        ConfigError: nothing is left.
    """
    names = plain_corpora(clips)
    labelled = [clip for clip in clips if clip.corpus not in names]
    selected, left_out = _plain([c for c in clips if c.corpus in names], card, include_trained)
    if labelled:
        selection = select(
            labelled, card, chosen=chosen, choice=choice, include_trained=include_trained
        )
        left_out = (*selection.left_out, *left_out)
        return dataclasses.replace(selection, plain=selected, left_out=left_out)
    if not selected:
        parts = ", ".join(f"{part.corpus} {part.n_clips} {part.reason}" for part in left_out)
        raise ConfigError(
            f"expected clips to measure on, got none ({parts}); add --include-trained, or give "
            f"labelled speech; the model's labels are {', '.join(card.labels)}"
        )
    return Selection("corpora of one label or none", (), left_out, (), (), selected)


def _plain(
    clips: Sequence[Clip], card: ModelCard, include_trained: bool
) -> tuple[tuple[Clip, ...], tuple[LeftOut, ...]]:
    trained = frozenset(speaker for use in card.corpora for speaker in use.speakers)
    names = frozenset(use.name for use in card.corpora)
    selected: list[Clip] = []
    reasons: Counter[tuple[str, str]] = Counter()
    for clip in clips:
        if clip.emotion not in ALWAYS and clip.emotion not in card.labels:
            reasons[clip.corpus, f"labelled {clip.emotion}, which the model does not know"] += 1
        elif not include_trained and (clip.speaker in trained or _in_half(clip, names)):
            reasons[clip.corpus, "that the model may have been trained on"] += 1
        else:
            selected.append(clip)
    return tuple(selected), tuple(LeftOut(*key, n) for key, n in sorted(reasons.items()))


def _in_half(clip: Clip, trained: frozenset[str]) -> bool:
    """Return whether training had the file under the name of the complete corpus, or of its half."""
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
