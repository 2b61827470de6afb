"""Speaker-independent splits: drawn or named test speakers, leave one speaker out, or k folds."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from edge_ser.corpora import Clip
from edge_ser.errors import ConfigError
from edge_ser.splits.choice import (
    drawable_corpora,
    drawn_speakers,
    genders_of,
    named_speakers,
    refuse_unknown,
    shuffled_by_gender,
)
from edge_ser.splits.fold import Fold, speakers

SPEAKER_INDEPENDENT = "speaker-independent"


def held_out_speakers(clips: Sequence[Clip], seed: int, test_speakers: str = "") -> tuple[Fold]:
    """Return one fold with named or drawn test speakers.

    Args:
        clips: all clips.
        seed: of the draw, if no speakers are named.
        test_speakers: comma-separated speakers (`1,11` or, with several corpora, `RAVDESS/1`);
            `none` for no test set; empty draws a fifth of the speakers of each corpus with three or
            more.

    Raises:
        ConfigError: unknown speakers, or clips whose speaker is unknown.
    """
    refuse_unknown(clips)
    if test_speakers:
        return (_fold("named", clips, named_speakers(clips, test_speakers, "test")),)
    return (_fold("drawn", clips, drawn_speakers(clips, drawable_corpora(clips), 5, seed)),)


def leave_one_speaker_out(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Return a fold for each speaker, named after the speaker and sorted by name.

    Raises:
        ConfigError: a single speaker, or clips whose speaker is not known.
    """
    refuse_unknown(clips)
    _require_folds(len(speakers(clips)), clips)
    return tuple(_fold(speaker, clips, {speaker}) for speaker in speakers(clips))


def speaker_folds(clips: Sequence[Clip], n_folds: int, seed: int) -> tuple[Fold, ...]:
    """Return k folds of speakers, stratified by corpus and gender.

    The shuffled speakers of each corpus and gender are assigned to the folds in turn.

    Raises:
        ConfigError: fewer than two folds, more folds than speakers, or clips whose speaker is not
            known.
    """
    refuse_unknown(clips)
    _require_folds(n_folds, clips)
    order: list[str] = []
    for corpus, members in sorted(genders_of(clips).items()):
        rng = random.Random(f"{seed}/{corpus}")  # noqa: S311 (a draw, not a secret)
        for group in shuffled_by_gender(members, rng):
            order += group
    return tuple(
        _fold(str(number + 1), clips, set(order[number::n_folds])) for number in range(n_folds)
    )


def _fold(name: str, clips: Sequence[Clip], test_speakers: Collection[str]) -> Fold:
    return Fold(
        protocol=SPEAKER_INDEPENDENT,
        name=name,
        train=tuple(clip for clip in clips if clip.speaker not in test_speakers),
        validation=(),
        test=tuple(clip for clip in clips if clip.speaker in test_speakers),
    )


def _require_folds(n_folds: int, clips: Sequence[Clip]) -> None:
    n_speakers = len(speakers(clips))
    if not 2 <= n_folds <= n_speakers:
        raise ConfigError(
            f"expected two folds or more, with a speaker for each, got {n_folds} fold(s) of "
            f"{n_speakers} speaker(s); give another --folds"
        )
