"""Which clips a model may honestly be measured on, and which are left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from edge_ser.card import ModelCard
from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.splits.fold import speakers as speakers_of


@dataclass(frozen=True)
class LeftOut:
    """Clips of one corpus that are not measured on."""

    corpus: str
    reason: str
    n_clips: int


@dataclass(frozen=True)
class Selection:
    """Clips to measure on, and what has to be known of them."""

    protocol: str
    """In words: which speakers."""
    clips: tuple[Clip, ...]
    left_out: tuple[LeftOut, ...]
    trained: tuple[str, ...]
    """Speakers among the clips that the model was trained on."""
    validation: tuple[str, ...]
    """Speakers among the clips by whom the training chose its epoch."""
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
    """Leave out what the model cannot be asked, or has been trained on.

    Args:
        clips: all clips of the corpora.
        card: the model's; it names the speakers of the training.
        chosen: those of the clips to measure on, None for all.
        choice: what chose them, in words.
        include_trained: keep speakers that the model was trained on.

    Raises:
        ConfigError: nothing is left.
    """
    heard = frozenset(speaker for use in card.corpora for speaker in use.speakers)
    wanted = frozenset(clips if chosen is None else chosen)
    kept: list[Clip] = []
    reasons: Counter[tuple[str, str]] = Counter()
    for clip in clips:
        if clip.emotion not in card.labels:
            reason = f"labelled {clip.emotion}, which the model does not know"
        elif clip not in wanted:
            reason = f"not of the {choice}"
        elif clip.speaker in heard and not include_trained:
            reason = "of speakers that the model was trained on"
        else:
            kept.append(clip)
            continue
        reasons[clip.corpus, reason] += 1
    left_out = tuple(LeftOut(*key, n_clips) for key, n_clips in sorted(reasons.items()))
    if not kept:
        raise ConfigError(_nothing_left(left_out, card))
    names = speakers_of(kept)
    tuned = frozenset(s for a in card.accuracy if a.split == "validation" for s in a.speakers)
    trained = tuple(name for name in names if name in heard)
    return Selection(
        protocol=choice + _overlap(bool(trained), bool(heard)),
        clips=tuple(kept),
        left_out=left_out,
        trained=trained,
        validation=tuple(name for name in names if name in tuned and name not in heard),
    )


def missing_labels(clips: Iterable[Clip], labels: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return, for each corpus, the labels that none of its clips has; corpora with all left out."""
    heard: dict[str, set[str]] = {}
    for clip in clips:
        heard.setdefault(clip.corpus, set()).add(clip.emotion)
    missing = {
        corpus: tuple(label for label in labels if label not in emotions)
        for corpus, emotions in heard.items()
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
